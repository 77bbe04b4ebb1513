/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fake_relay.h"

#include <stdlib.h>
#include <string.h>

#include "mesh/mesh.h"
#include "mesh/seam_neighbours.h"
#include "node/node_state.h"

/* FLOW_OPEN in hand: the peer is asked, then told, then the opener. */
struct opening {
	struct fake_relay *relay;
	struct fake_flow *flow;
	struct mesh_incoming *incoming;
	uint8_t life;
	uint8_t reply[256];
};

static struct mesh_seam seam_of(const struct fake_relay *relay)
{
	return mesh_seam_of(relay->node->node->home->mesh);
}

static void label_of(const struct fake_relay *relay, const struct fake_flow *flow, unsigned leg,
		     enum weft_relay_kind kind, uint8_t out[static 16])
{
	memset(out, 0x11, 16);
	out[0] = 0x9e;
	out[1] = (uint8_t)(leg << 7 | kind);
	out[2] = 0x80;
	out[3] = relay->life;
	out[4] = flow->number;
	out[5] = 0;
}

static struct relay_flow_message told(const struct fake_relay *relay, const struct fake_flow *flow,
				      unsigned leg)
{
	struct relay_flow_message message = {
		.class = flow->class,
		.mtu = relay->mtu,
		.flow = (uint64_t)flow->number | (uint64_t)leg << 32,
		.expires_s = 7200,
		.is_slow = relay->slows,
	};

	memcpy(message.peer, flow->keys[leg ^ 1], MESH_KEY_LEN);
	label_of(relay, flow, leg, WEFT_RELAY_TO_RELAY, message.label);
	return message;
}

static void opening_fail(struct opening *opening, enum mesh_code code)
{
	seam_of(opening->relay).ops->answer_error(opening->incoming, code, "not there", 0);
	opening->flow->is_used = false;
	free(opening);
}

static void on_told(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct opening *opening = arg;

	(void)reply, (void)now_ns;
	free(opening);
}

static void on_accepted(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct opening *opening = arg;
	struct fake_relay *relay = opening->relay;
	struct fake_flow *flow = opening->flow;
	struct relay_flow_message message;
	struct mesh_request *request;
	uint8_t payload[256];
	struct writer w;
	struct mesh_ask ask = {
		.type = MESH_FLOW,
		.payload = payload,
		.reply_buf = opening->reply,
		.reply_cap = sizeof(opening->reply),
		.timeout_ns = 5 * NS_PER_S,
		.reply = on_told,
		.arg = opening,
	};

	if (reply->err < 0) {
		opening_fail(opening, MESH_CODE_REFUSED);
		return;
	}
	flow->is_open = true;
	relay->opened_cnt++;
	message = told(relay, flow, 0);
	w = writer_of(payload, sizeof(payload));
	relay_message_flow_write(&w, &message);
	(void)seam_of(relay).ops->answer(opening->incoming, MESH_FLOW, payload, writer_len(&w),
					 NULL);
	message = told(relay, flow, 1);
	w = writer_of(payload, sizeof(payload));
	relay_message_flow_write(&w, &message);
	ask.payload_len = writer_len(&w);
	memcpy(ask.peer.key, flow->keys[1], MESH_KEY_LEN);
	if (seam_of(relay).ops->ask(seam_of(relay).mesh, &ask, now_ns, &request) < 0)
		abort();
}

static bool leg_look(struct fake_relay *relay, struct fake_flow *flow, unsigned leg)
{
	struct mesh_path path;

	if (!mesh_neighbour_ops.path(seam_of(relay).mesh, flow->keys[leg], &path))
		return false;
	flow->addrs[leg] = path.remote;
	return true;
}

static struct fake_flow *flow_new(struct fake_relay *relay)
{
	for (unsigned i = 0; i < FAKE_RELAY_FLOWS; i++) {
		struct fake_flow *flow = &relay->flows[i];

		if (flow->is_used)
			continue;
		*flow = (struct fake_flow){.is_used = true, .number = (uint8_t)(i + 1)};
		return flow;
	}
	abort();
}

static void on_open(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct fake_relay *relay = ctx;
	struct opening *opening = calloc(1, sizeof(*opening));
	struct relay_open_message open;
	struct relay_offer_message offer = {.first = {.cnt = 0}};
	struct mesh_request *request;
	uint8_t payload[RELAY_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_ask ask = {
		.type = MESH_FLOW_OFFER,
		.payload = payload,
		.timeout_ns = 5 * NS_PER_S,
		.reply = on_accepted,
		.arg = opening,
	};

	if (!opening || relay_message_open_parse(call->payload, call->payload_len, &open) < 0)
		abort();
	*opening = (struct opening){
		.relay = relay, .flow = flow_new(relay), .incoming = call->incoming};
	memcpy(opening->flow->keys[0], call->peer_key, MESH_KEY_LEN);
	memcpy(opening->flow->keys[1], open.peer, MESH_KEY_LEN);
	opening->flow->class = offer.class = open.class;
	if (open.grant_len ? relay->refuses_grants : open.class == RELAY_CONTENT) {
		opening_fail(opening, MESH_CODE_REFUSED);
		return;
	}
	if (!leg_look(relay, opening->flow, 0) || !leg_look(relay, opening->flow, 1)) {
		opening_fail(opening, MESH_CODE_ABSENT);
		return;
	}
	memcpy(offer.opener, call->peer_key, MESH_KEY_LEN);
	offer.first = open.first;
	relay_message_offer_write(&w, &offer);
	ask.payload_len = writer_len(&w);
	ask.reply_buf = opening->reply;
	ask.reply_cap = sizeof(opening->reply);
	memcpy(ask.peer.key, open.peer, MESH_KEY_LEN);
	if (seam_of(relay).ops->ask(seam_of(relay).mesh, &ask, now_ns, &request) < 0)
		opening_fail(opening, MESH_CODE_BUSY);
}

/* FLOW_LEG, as userspace/relay/broker/broker_leg.c. */
static void on_leg(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct fake_relay *relay = ctx;
	struct relay_leg_message asked, answer = {.addr_cnt = 0};
	const struct fake_flow *flow;
	uint8_t payload[128];
	struct writer w = writer_of(payload, sizeof(payload));
	unsigned leg;

	(void)now_ns;
	if (relay_message_leg_parse(call->payload, call->payload_len, &asked) < 0 ||
	    !(asked.flow & 0xff) || (asked.flow & 0xff) > FAKE_RELAY_FLOWS)
		abort();
	flow = &relay->flows[(asked.flow & 0xff) - 1];
	leg = asked.flow >> 32 & 1;
	answer.flow = asked.flow;
	for (unsigned i = 0; i < asked.addr_cnt && !answer.addr_cnt; i++)
		if (addr_is_same_host(&asked.addrs[i], &flow->addrs[leg ^ 1]))
			answer.addrs[answer.addr_cnt++] = asked.addrs[i];
	relay_message_leg_write(&w, &answer);
	(void)seam_of(relay).ops->answer(call->incoming, MESH_FLOW_LEG, payload, writer_len(&w),
					 NULL);
}

/* --- datagrams --- */

static void send_on(struct fake_relay *relay, const struct addr *to, const uint8_t *label,
		    const struct dgram *inner)
{
	struct dgram_sink *sink = &relay->node->node->home->tx->sink;
	const struct dgram_route route = {.local = relay->node->addr, .remote = *to};
	size_t len = inner ? inner->len - 16 : 0;
	struct dgram_slot slot;

	if (!sink->ops->reserve(sink, 16 + len, &slot))
		return;
	memcpy(slot.data, label, 16);
	if (inner)
		memcpy(slot.data + 16, inner->data + 16, len);
	sink->ops->commit(sink, &slot, 16 + len, &route);
}

static bool on_input(void *ctx, struct dgram *dgram, uint64_t now_ns)
{
	struct fake_relay *relay = ctx;
	unsigned leg = dgram->data[1] >> 7;
	uint8_t label[16];

	(void)now_ns;
	for (unsigned i = 0; i < FAKE_RELAY_FLOWS; i++) {
		struct fake_flow *flow = &relay->flows[i];

		label_of(relay, flow, leg, WEFT_RELAY_TO_RELAY, label);
		if (!flow->is_open || dgram->len < 16 || memcmp(label, dgram->data, 16) != 0 ||
		    !addr_equal(&flow->addrs[leg], &dgram->remote))
			continue;
		label_of(relay, flow, leg ^ 1, WEFT_RELAY_TO_END, label);
		relay->forwarded_cnt++;
		send_on(relay, &flow->addrs[leg ^ 1], label, dgram);
		return false;
	}
	relay->unknown_cnt++;
	memcpy(label, dgram->data, 16);
	label[1] |= WEFT_RELAY_UNKNOWN;
	send_on(relay, &dgram->remote, label, NULL);
	return false;
}

static struct dgram_sink *on_wrap(void *ctx, struct dgram_sink *sink)
{
	(void)ctx;
	return sink;
}

static size_t on_len_max(void *ctx, const struct addr *label)
{
	(void)ctx, (void)label;
	return 0;
}

static const struct worker_relay_end forward_ops = {
	.input = on_input, .wrap = on_wrap, .len_max = on_len_max};

void fake_relay_attach(struct fake_relay *relay, struct sim_node *node)
{
	*relay = (struct fake_relay){
		.node = node, .life = (uint8_t)(relay->life + 1), .mtu = relay->mtu};
	if (!relay->mtu)
		relay->mtu = 1436;
	mesh_neighbour_ops.announce(seam_of(relay).mesh, MESH_CAP_RELAY, true);
	if (seam_of(relay).ops->handle(seam_of(relay).mesh, MESH_FLOW_OPEN, on_open, relay) < 0 ||
	    seam_of(relay).ops->handle(seam_of(relay).mesh, MESH_FLOW_LEG, on_leg, relay) < 0)
		abort();
	worker_set_relay_end(node->node->home, &forward_ops, relay);
}

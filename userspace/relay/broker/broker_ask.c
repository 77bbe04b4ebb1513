/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the relay asks of ends: whether they take a flow, and that they learn labels and ends of
 * flows. Each request has a place of a fair pool until its answer. Labels that find no place are
 * sent in a later turn. An end that misses the end of a flow learns it by its next datagram, which
 * is answered by kind 2.
 */
#include <string.h>

#include "base/monotonic.h"
#include "broker_state.h"

#define LABEL_NS (10 * NS_PER_S)
#define CLOSE_NS (5 * NS_PER_S)

/* --- places --- */

struct fair_path relay_broker_path_of(const struct relay_broker *broker, const uint8_t *key,
				      const struct addr *remote)
{
	const struct relay_broker_params *params = &broker->params;
	struct fair_path path;

	fair_path_of_addr(&broker->places.paths, remote,
			  params->class_of ? params->class_of(params->ctx, key) : FAIR_UNKNOWN,
			  &path);
	fair_path_add(&broker->places.paths, &path, key, RELAY_KEY_LEN);
	return path;
}

void relay_broker_ask_end(struct relay_broker *broker, struct broker_ask *ask)
{
	if (ask->request)
		broker->params.mesh.ops->cancel(ask->request);
	ask->request = NULL;
	fair_release(&broker->places.fair, &ask->share, broker->now_ns);
	list_unlink(&ask->link);
	pool_release(&broker->ask_slots, ask);
}

static struct broker_leg *leg_of(const struct relay_broker *broker, const struct broker_ask *ask)
{
	struct broker_flow *flow = relay_broker_flow_of(broker, ask->id);

	return flow ? &flow->legs[ask->leg] : NULL;
}

static void ask_evict(struct relay_broker *broker, struct broker_ask *ask)
{
	struct broker_leg *leg;

	switch (ask->kind) {
	case BROKER_OFFER:
		relay_broker_offer_evicted(broker, ask);
		break;
	case BROKER_LABEL:
		leg = leg_of(broker, ask);
		if (leg)
			leg->is_asking = false;
		break;
	case BROKER_CLOSE:
		broker->stats.untold_cnt++;
		break;
	}
	relay_broker_ask_end(broker, ask);
}

/* NULL: refused. */
static struct broker_ask *place_take(struct relay_broker *broker, const struct broker_ask *fields,
				     const struct fair_path *path)
{
	/* One slot more than shares: the victim's is free only after it was ended. */
	struct broker_ask *ask = pool_acquire(&broker->ask_slots);
	struct fair_item *victim;

	if (!ask)
		return NULL;
	*ask = *fields;
	ask->broker = broker;
	list_push_back(&broker->asks, &ask->link);
	switch (fair_take(&broker->places.fair, path, &ask->share, broker->now_ns, &victim)) {
	case FAIR_TAKEN:
		return ask;
	case FAIR_TAKEN_FROM:
		ask_evict(broker, (struct broker_ask *)victim);
		return ask;
	case FAIR_BUSY:
		break;
	}
	list_unlink(&ask->link);
	pool_release(&broker->ask_slots, ask);
	return NULL;
}

/* --- answers --- */

/* An end that knows the flow no more, or does not take it, has no use for it. */
static bool is_final(const struct mesh_reply *reply)
{
	return reply->code == MESH_CODE_ABSENT || reply->code == MESH_CODE_REFUSED ||
	       reply->code == MESH_CODE_UNKNOWN || reply->code == MESH_CODE_MALFORMED;
}

static void label_done(struct relay_broker *broker, const struct broker_ask *ask,
		       const struct mesh_reply *reply)
{
	struct broker_flow *flow = relay_broker_flow_of(broker, ask->id);
	unsigned leg = ask->leg;

	if (!flow)
		return;
	flow->legs[leg].is_asking = false;
	if (reply->err == 0) {
		flow->legs[leg].is_told = true;
		flow->legs[leg].told_generation = ask->generation;
		flow->legs[leg].told_slow = ask->is_slow;
	} else if (is_final(reply)) {
		/* One that had a label and has lost the flow may take it again at once. */
		bool is_lost = reply->code == MESH_CODE_ABSENT && flow->legs[leg].told_generation;

		relay_broker_flow_end(broker, flow, leg ^ 1,
				      is_lost ? RELAY_END_PEER_GONE : RELAY_END_REFUSED);
	}
}

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct broker_ask *ask = arg;
	struct relay_broker *broker = ask->broker;
	struct broker_ask copy;

	broker->now_ns = now_ns;
	ask->request = NULL;
	if (ask->kind == BROKER_OFFER) {
		relay_broker_offer_done(broker, ask, reply);
		return;
	}
	/* What follows may need the place. */
	copy = *ask;
	relay_broker_ask_end(broker, ask);
	if (copy.kind == BROKER_LABEL)
		label_done(broker, &copy, reply);
}

int relay_broker_ask_begin(struct relay_broker *broker, const struct broker_ask *fields,
			   const struct broker_ask_terms *terms)
{
	struct broker_ask *ask = place_take(broker, fields, terms->path);
	struct mesh_ask request = {
		.type = terms->type,
		.payload = terms->payload,
		.payload_len = terms->payload_len,
		.reply_cap = BROKER_REPLY_CAP,
		.timeout_ns = terms->timeout_ns,
		.reply = on_reply,
		.arg = ask,
	};
	struct mesh_path path;
	int err;

	if (!ask)
		return WEFT_EFULL;
	request.reply_buf = ask->reply;
	memcpy(request.peer.key, terms->key, sizeof(request.peer.key));
	/* A session of another worker is dialled where it is, and lives on home from then on. */
	if (relay_broker_session_look(broker, terms->key, &path)) {
		request.peer.addrs = &path.remote;
		request.peer.addr_cnt = 1;
	}
	err = broker->params.mesh.ops->ask(broker->params.mesh.mesh, &request, broker->now_ns,
					   &ask->request);
	if (err < 0) {
		ask->request = NULL;
		relay_broker_ask_end(broker, ask);
	}
	return err;
}

/* --- labels and ends of flows --- */

size_t relay_broker_flow_write(const struct relay_broker *broker, const struct broker_flow *flow,
			       unsigned leg, uint8_t *out, size_t cap)
{
	struct relay_flow_message message = {
		.class = flow->class,
		.mtu = flow->mtu,
		.flow = relay_flow_number(flow->id, leg),
		.is_slow = flow->is_slow,
	};
	uint64_t end_s = ((uint64_t)flow->generation + WEFT_RELAY_KEY_CNT) * WEFT_RELAY_KEY_LIFE_S;
	struct writer w = writer_of(out, cap);
	struct weft_relay_label label;

	if (relay_flow_label(broker->params.relay, flow->id, leg, &label) < 0)
		return 0;
	_Static_assert(sizeof(label) == sizeof(message.label), "a label is what a message carries");
	memcpy(message.label, &label, sizeof(message.label));
	memcpy(message.peer, flow->legs[leg ^ 1].end->key, sizeof(message.peer));
	/* A clock that was put back is behind the label's hour. */
	if (end_s > broker->wall_s + WEFT_RELAY_KEY_CNT * WEFT_RELAY_KEY_LIFE_S)
		message.expires_s = WEFT_RELAY_KEY_CNT * WEFT_RELAY_KEY_LIFE_S;
	else if (end_s > broker->wall_s)
		message.expires_s = (uint32_t)(end_s - broker->wall_s);
	relay_message_flow_write(&w, &message);
	return writer_len(&w);
}

/* Sends type to the end of a leg, on its own account. */
static int end_ask(struct relay_broker *broker, const struct broker_ask *fields,
		   struct broker_ask_terms *terms)
{
	const struct broker_end *end = broker->flows[fields->id.idx].legs[fields->leg].end;
	struct fair_path path = relay_broker_path_of(broker, end->key, &end->remote);

	terms->path = &path;
	terms->key = end->key;
	return relay_broker_ask_begin(broker, fields, terms);
}

void relay_broker_label_tell(struct relay_broker *broker, struct broker_flow *flow, unsigned leg)
{
	uint8_t payload[256];
	const struct broker_ask fields = {.kind = BROKER_LABEL,
					  .id = flow->id,
					  .leg = leg,
					  .generation = flow->generation,
					  .is_slow = flow->is_slow};
	struct broker_ask_terms terms = {
		.type = MESH_FLOW,
		.payload = payload,
		.payload_len = relay_broker_flow_write(broker, flow, leg, payload, sizeof(payload)),
		.timeout_ns = LABEL_NS,
	};

	if (flow->legs[leg].end->is_guest) {
		/* Its labels are written here (relay_broker_guest_send). */
		flow->legs[leg].is_told = true;
		flow->legs[leg].told_generation = flow->generation;
		flow->legs[leg].told_slow = flow->is_slow;
		return;
	}
	if (!flow->legs[leg].is_asking && terms.payload_len)
		flow->legs[leg].is_asking = end_ask(broker, &fields, &terms) == 0;
}

void relay_broker_close_tell(struct relay_broker *broker, struct broker_flow *flow, unsigned leg,
			     enum relay_end_why why)
{
	const struct relay_close_message message = {relay_flow_number(flow->id, leg), why};
	const struct broker_ask fields = {.kind = BROKER_CLOSE, .id = flow->id, .leg = leg};
	uint8_t payload[32];
	struct writer w = writer_of(payload, sizeof(payload));
	struct broker_ask_terms terms = {
		.type = MESH_FLOW_CLOSE, .payload = payload, .timeout_ns = CLOSE_NS};

	if (flow->legs[leg].end->is_guest) {
		relay_broker_guest_refuse(broker, flow->legs[leg].end->key,
					  flow->legs[leg ^ 1].end->key, flow);
		return;
	}
	relay_message_close_write(&w, &message);
	terms.payload_len = writer_len(&w);
	if (end_ask(broker, &fields, &terms) < 0)
		broker->stats.untold_cnt++;
}

void relay_broker_flow_end(struct relay_broker *broker, struct broker_flow *flow, unsigned leg,
			   enum relay_end_why why)
{
	relay_broker_flow_note(broker, flow);
	relay_broker_close_tell(broker, flow, leg, why);
	relay_flow_close(broker->params.relay, flow->id);
	relay_broker_flow_drop(broker, flow);
}

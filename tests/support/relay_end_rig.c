/* SPDX-License-Identifier: Apache-2.0 */
#include "support/relay_end_rig.h"

#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"

#define STEP_NS (10 * NS_PER_MS)

/* A call's only field that the ends hand on. */
static struct relay_end_rig *current;

void relay_end_rig_key(unsigned number, uint8_t out_key[static MESH_KEY_LEN])
{
	memset(out_key, 0x5a, MESH_KEY_LEN);
	out_key[0] = (uint8_t)number;
	out_key[1] = (uint8_t)(number >> 8);
}

/* --- the mesh --- */

static int mesh_ask(struct mesh *mesh, const struct mesh_ask *ask, uint64_t now_ns,
		    struct mesh_request **out_request)
{
	struct relay_end_rig *rig = current;

	(void)mesh, (void)now_ns;
	for (unsigned i = 0; i < END_RIG_ASKS; i++) {
		struct mesh_request *request = &rig->asks[i];

		if (request->is_used)
			continue;
		*request = (struct mesh_request){.ask = *ask, .is_used = true};
		memcpy(request->payload, ask->payload, ask->payload_len);
		rig->ask_cnt++;
		rig->asked_cnt++;
		*out_request = request;
		return 0;
	}
	return WEFT_EFULL;
}

static void mesh_cancel(struct mesh_request *request)
{
	request->is_used = false;
	current->ask_cnt--;
}

static int mesh_handle(struct mesh *mesh, unsigned type, mesh_handler_fn handler, void *ctx)
{
	(void)mesh;
	*(type == MESH_FLOW_OFFER ? &current->on_offer : &current->on_flow) = handler;
	current->handler_ctx = ctx;
	return 0;
}

static int mesh_answer(struct mesh_incoming *incoming, unsigned type, const void *head,
		       size_t head_len, const struct transport_span *tail)
{
	struct relay_accept_message message;

	(void)incoming, (void)tail;
	if (type != MESH_FLOW_ACCEPT || relay_message_accept_parse(head, head_len, &message) < 0)
		abort();
	current->is_answered = true;
	current->code = 0;
	current->answer_type = type;
	return 0;
}

static void mesh_answer_error(struct mesh_incoming *incoming, enum mesh_code code, const char *text,
			      uint64_t not_before_ms)
{
	(void)incoming, (void)text, (void)not_before_ms;
	current->is_answered = true;
	current->code = code;
}

static const struct mesh_ops mesh_ops = {
	.ask = mesh_ask,
	.cancel = mesh_cancel,
	.handle = mesh_handle,
	.answer = mesh_answer,
	.answer_error = mesh_answer_error,
};

/* --- the sink --- */

static bool sink_reserve(struct dgram_sink *sink, size_t len, struct dgram_slot *out_slot)
{
	struct relay_end_rig *rig = container_of(sink, struct relay_end_rig, sink);

	if (len > rig->cap)
		return false;
	*out_slot = (struct dgram_slot){rig->run, len};
	return true;
}

static void sink_commit(struct dgram_sink *sink, const struct dgram_slot *slot, size_t len,
			const struct dgram_route *route)
{
	struct relay_end_rig *rig = container_of(sink, struct relay_end_rig, sink);

	if (len > slot->cap || slot->data != rig->run)
		abort();
	rig->run_len = len;
	rig->route = *route;
	rig->run_cnt++;
}

static void sink_cancel(struct dgram_sink *sink, const struct dgram_slot *slot)
{
	(void)slot;
	container_of(sink, struct relay_end_rig, sink)->cancelled_cnt++;
}

static const struct dgram_sink_ops sink_ops = {sink_reserve, sink_commit, sink_cancel};

/* --- what the node does --- */

static bool on_path(void *ctx, const uint8_t *key, struct mesh_path *out_path)
{
	const struct relay_end_rig *rig = ctx;

	if (key[0] >= END_RIG_RELAYS || rig->is_down[key[0]])
		return false;
	out_path->remote = rig->address[key[0]];
	out_path->local = (struct addr){.family = ADDR_IPV4, .ip = {10, 9, 9, 9}, .port = 7000};
	if (rig->is_quiet)
		out_path->received_len = rig->answered_ns[key[0]];
	else if (!rig->is_mute[key[0]])
		out_path->received_len = rig->now_ns;
	return true;
}

static void on_leg_send(void *ctx, const struct addr *leg, const struct dgram *dgram)
{
	struct relay_end_rig *rig = ctx;

	if (dgram->len > sizeof(rig->leg_bytes))
		abort();
	rig->leg_cnt++;
	rig->leg = *leg;
	rig->leg_len = dgram->len;
	rig->leg_ecn = dgram->ecn;
	memcpy(rig->leg_bytes, dgram->data, dgram->len);
}

static enum fair_class on_key_class(void *ctx, const uint8_t *key)
{
	(void)key;
	return ((struct relay_end_rig *)ctx)->class;
}

static bool on_refuses(void *ctx, const uint8_t *key)
{
	const struct relay_end_rig *rig = ctx;
	uint8_t banned[MESH_KEY_LEN];

	relay_end_rig_key(rig->banned, banned);
	return rig->banned && memcmp(key, banned, sizeof(banned)) == 0;
}

static unsigned on_trust(void *ctx, const uint8_t *relay, const uint8_t *by)
{
	const struct relay_end_rig *rig = ctx;

	if (relay[0] >= END_RIG_RELAYS)
		return 0;
	return by ? rig->told_trusts[relay[0]] : rig->trusts[relay[0]];
}

/* By trust, then by number. */
static unsigned on_relays(void *ctx, struct relay_end_place out[static RELAY_END_PLACES_MAX])
{
	const struct relay_end_rig *rig = ctx;
	unsigned cnt = 0;

	for (unsigned trust = 0; trust < 8; trust++)
		for (unsigned i = 0; i < rig->relay_cnt && cnt < RELAY_END_PLACES_MAX; i++) {
			if (rig->trusts[i] != trust)
				continue;
			out[cnt] =
				(struct relay_end_place){.addrs = {rig->address[i]}, .addr_cnt = 1};
			relay_end_rig_key(i, out[cnt++].key);
		}
	return cnt;
}

static void on_probe(void *ctx, const uint8_t *key)
{
	struct relay_end_rig *rig = ctx;

	rig->probed_cnt++;
	if (key[0] >= END_RIG_RELAYS)
		return;
	rig->probed_cnts[key[0]]++;
	if (!rig->is_mute[key[0]])
		rig->answered_ns[key[0]] = rig->now_ns;
}

static void on_kept(void *ctx)
{
	((struct relay_end_rig *)ctx)->kept_cnt++;
}

static void on_deliver(void *ctx, struct dgram *dgram)
{
	struct relay_end_rig *rig = ctx;

	rig->delivered_cnt++;
	rig->delivered_at = dgram->remote;
}

static void on_expel(void *ctx, const struct addr *label)
{
	struct relay_end_rig *rig = ctx;

	rig->expelled = *label;
	rig->expelled_cnt++;
}

static void on_move(void *ctx, const struct addr *from, const struct addr *to)
{
	struct relay_end_rig *rig = ctx;

	(void)from;
	rig->moved_cnt++;
	rig->moved_to = *to;
}

static void on_used(void *ctx, const uint8_t *relay, const uint64_t lens[static 2], bool is_over)
{
	struct relay_end_rig *rig = ctx;

	(void)relay;
	rig->used[0] += lens[0];
	rig->used[1] += lens[1];
	rig->over_cnt += is_over;
}

static void on_event(void *ctx, const struct relay_end_event *event)
{
	((struct relay_end_rig *)ctx)->event_cnts[event->kind]++;
}

static int on_connect(void *ctx, const struct relay_end_place *place, uint64_t timeout_ns,
		      mesh_connect_fn done, void *arg)
{
	struct relay_end_rig *rig = ctx;

	(void)place, (void)timeout_ns;
	rig->connect_cnt++;
	rig->dialled = *place;
	rig->dialled_timeout_ns = timeout_ns;
	rig->connect_done = done;
	rig->connect_arg = arg;
	return 0;
}

static void on_found(void *arg, const struct addr *label, uint64_t now_ns)
{
	struct relay_end_rig *rig = arg;

	(void)now_ns;
	rig->found = *label;
	rig->found_cnt++;
}

static void on_ended(void *arg, int err, uint64_t now_ns)
{
	struct relay_end_rig *rig = arg;

	(void)now_ns;
	rig->ended_err = err;
	rig->ended_cnt++;
}

/* --- for tests --- */

static void on_tell_relay(void *ctx, const uint8_t *key, uint64_t took_ns)
{
	struct relay_end_rig *rig = ctx;

	(took_ns ? rig->served_cnts : rig->gone_cnts)[key[0]]++;
}

static bool on_relayed(void *ctx, const uint8_t *relay, const uint8_t *peer, uint64_t len,
		       bool is_first)
{
	struct relay_end_rig *rig = ctx;

	rig->carried_cnt++;
	rig->first_cnt += is_first;
	rig->carried_len += len;
	rig->carried_relay = relay[0];
	rig->carried_peer = peer[0];
	return !rig->is_uncounted;
}

static bool on_grant(void *ctx, const uint8_t *key, struct relay_end_grant *out_grant)
{
	static const uint8_t grant[RELAY_MESSAGE_GRANT_MAX] = {0x47};
	const struct relay_end_rig *rig = ctx;

	(void)key;
	*out_grant = (struct relay_end_grant){
		.bytes = grant, .len = rig->grant_len, .is_content = rig->is_grant_of_content};
	return rig->grant_len > 0;
}

static void on_undefer(void *ctx, const uint8_t *key)
{
	(void)key;
	((struct relay_end_rig *)ctx)->undeferred_cnt++;
}

static unsigned on_web_places(void *ctx, struct relay_end_place out[static RELAY_END_WEB_MAX])
{
	const struct relay_end_rig *rig = ctx;

	if (!rig->has_web)
		return 0;
	out[0] = (struct relay_end_place){.addrs = {{.family = ADDR_IPV4,
						     .ip = {20, 90, 1, 1},
						     .port = 443,
						     .transport = ADDR_TCP}},
					  .addr_cnt = 1,
					  .is_web = true};
	relay_end_rig_key(END_RIG_WEB, out[0].key);
	return 1;
}

static bool on_web_is_up(void *ctx, const uint8_t *key)
{
	const struct relay_end_rig *rig = ctx;

	if (key[0] < END_RIG_RELAYS)
		return rig->is_web_upgraded[key[0]];
	return rig->is_web_up && key[0] == END_RIG_WEB;
}

static void on_web_use(void *ctx, const struct relay_end_place *relays, unsigned cnt)
{
	struct relay_end_rig *rig = ctx;

	if (cnt > RELAY_END_KEPT_MAX)
		abort();
	rig->web_used_cnt = cnt;
	for (unsigned i = 0; i < cnt; i++)
		rig->web_used[i] = relays[i].key[0];
}

static void on_web_send(void *ctx, const uint8_t *key, const uint8_t *peer,
			const struct dgram *dgram)
{
	struct relay_end_rig *rig = ctx;

	if (key[0] != END_RIG_WEB)
		abort();
	rig->web_cnt++;
	memcpy(rig->web_peer, peer, MESH_KEY_LEN);
	rig->web_len = dgram->len;
	rig->web_ecn = dgram->ecn;
}

static const struct relay_end_web web = {
	.places = on_web_places,
	.is_up = on_web_is_up,
	.use = on_web_use,
	.send = on_web_send,
};

void relay_end_rig_init(struct relay_end_rig *rig, const struct relay_end_config *config)
{
	static const uint8_t own_key[MESH_KEY_LEN] = {200, 1};
	struct relay_end_params params = {
		.own_key = own_key,
		.mesh = {.ops = &mesh_ops},
		.random = &rig->random,
		.path = on_path,
		.trust = on_trust,
		.leg_send = on_leg_send,
		.refuses = on_refuses,
		.key_class = on_key_class,
		.relays = on_relays,
		.tell_relay = on_tell_relay,
		.relayed = on_relayed,
		.grant = on_grant,
		.undefer = on_undefer,
		.on_kept = on_kept,
		.probe = on_probe,
		.deliver = on_deliver,
		.expel = on_expel,
		.move = on_move,
		.used = on_used,
		.web = &web,
		.on_event = on_event,
		.connect = on_connect,
		.ctx = rig,
	};

	memset(rig, 0, sizeof(*rig));
	current = rig;
	random_init_seeded(&rig->random, 4);
	rig->now_ns = 1000 * NS_PER_S;
	rig->relay_cnt = 2;
	rig->cap = sizeof(rig->run);
	rig->sink = (struct dgram_sink){.ops = &sink_ops, .batch_len_max = sizeof(rig->run)};
	/* Each in a network of its own. */
	for (unsigned i = 0; i < END_RIG_RELAYS; i++)
		rig->address[i] = (struct addr){
			.family = ADDR_IPV4, .ip = {20, (uint8_t)i, 1, 1}, .port = 7000};
	params.now_ns = rig->now_ns;
	relay_end_config_defaults(&params.config);
	if (config)
		params.config = *config;
	if (relay_end_new(&params, &rig->end) < 0)
		abort();
	(void)relay_end_sink(rig->end, &rig->sink);
}

void relay_end_rig_fini(struct relay_end_rig *rig)
{
	relay_end_stop(rig->end);
	relay_end_free(rig->end);
}

void relay_end_rig_run(struct relay_end_rig *rig, uint64_t for_ns)
{
	uint64_t end_ns = rig->now_ns + for_ns;

	do {
		relay_end_turn(rig->end, rig->now_ns);
		rig->now_ns += STEP_NS;
	} while (rig->now_ns < end_ns);
	relay_end_turn(rig->end, rig->now_ns);
}

void relay_end_rig_call(struct relay_end_rig *rig, unsigned relay, unsigned type,
			const uint8_t *payload, size_t len)
{
	uint8_t key[MESH_KEY_LEN];
	const struct mesh_call call = {
		.peer_key = key, .type = type, .payload = payload, .payload_len = len};

	relay_end_rig_key(relay, key);
	rig->is_answered = false;
	(type == MESH_FLOW_OFFER ? rig->on_offer : rig->on_flow)(rig->handler_ctx, &call,
								 rig->now_ns);
}

void relay_end_rig_offer(struct relay_end_rig *rig, unsigned relay, unsigned peer, uint16_t len)
{
	static const uint8_t bytes[RELAY_FIRST_LEN_MAX] = {0xc0};
	struct relay_offer_message message = {.class = rig->offer_class};
	uint8_t payload[RELAY_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));

	relay_end_rig_key(peer, message.opener);
	for (unsigned i = 0; len && i < RELAY_FIRST_CNT_MAX; i++) {
		message.first.dgrams[message.first.cnt].data = bytes;
		message.first.dgrams[message.first.cnt++].len = len;
	}
	relay_message_offer_write(&w, &message);
	relay_end_rig_call(rig, relay, MESH_FLOW_OFFER, payload, writer_len(&w));
}

struct relay_flow_message relay_end_rig_told(unsigned relay, unsigned peer, unsigned number)
{
	struct relay_flow_message message = {
		.class = RELAY_CONTROL, .mtu = 1436, .flow = number, .expires_s = 7200};

	relay_end_rig_key(peer, message.peer);
	memset(message.label, 0x33, sizeof(message.label));
	message.label[0] = 0x9e;
	message.label[1] = 0;
	message.label[2] = 0x80;
	message.label[3] = (uint8_t)relay;
	message.label[4] = (uint8_t)number;
	message.label[5] = (uint8_t)(number >> 8);
	return message;
}

void relay_end_rig_flow(struct relay_end_rig *rig, unsigned relay,
			const struct relay_flow_message *message)
{
	uint8_t payload[RELAY_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));

	relay_message_flow_write(&w, message);
	relay_end_rig_call(rig, relay, MESH_FLOW, payload, writer_len(&w));
}

struct mesh_request *relay_end_rig_asked(struct relay_end_rig *rig, unsigned type)
{
	for (unsigned i = 0; i < END_RIG_ASKS; i++)
		if (rig->asks[i].is_used && rig->asks[i].ask.type == type)
			return &rig->asks[i];
	return NULL;
}

void relay_end_rig_reply(struct relay_end_rig *rig, struct mesh_request *request, int err,
			 const struct relay_flow_message *message)
{
	uint8_t payload[RELAY_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_reply reply = {.err = err,
				   .type = MESH_FLOW,
				   .payload = payload,
				   .not_before_ns = err < 0 ? rig->not_before_ns : 0};

	if (message)
		relay_message_flow_write(&w, message);
	reply.payload_len = writer_len(&w);
	request->is_used = false;
	rig->ask_cnt--;
	request->ask.reply(request->ask.arg, &reply, rig->now_ns);
	relay_end_turn(rig->end, rig->now_ns);
}

void *relay_end_rig_look(struct relay_end_rig *rig, unsigned peer)
{
	const struct relay_end_look look = {.found = on_found, .ended = on_ended, .arg = rig};
	uint8_t key[MESH_KEY_LEN];
	void *run = NULL;

	relay_end_rig_key(peer, key);
	if (relay_end_look(rig->end, key, &look, rig->now_ns, &run) < 0)
		return NULL;
	relay_end_turn(rig->end, rig->now_ns);
	return run;
}

void relay_end_rig_send(struct relay_end_rig *rig, const struct addr *label, size_t len,
			unsigned cnt, size_t less)
{
	struct dgram_sink *sink = relay_end_sink(rig->end, &rig->sink);
	const struct dgram_route route = {
		.local = *label, .remote = *label, .segment_len = cnt > 1 ? len : 0, .ecn = 2};
	struct dgram_slot slot;

	if (!sink->ops->reserve(sink, len * cnt, &slot))
		return;
	for (unsigned i = 0; i < cnt; i++)
		memset(slot.data + i * len, (int)(0x40 + i), len);
	sink->ops->commit(sink, &slot, len * cnt - less, &route);
	relay_end_turn(rig->end, rig->now_ns);
}

bool relay_end_rig_hear(struct relay_end_rig *rig, unsigned relay,
			const struct relay_flow_message *flow, unsigned kind, size_t inner_len)
{
	uint8_t bytes[2048] = {0};
	struct dgram dgram = {.data = bytes, .len = 16 + inner_len, .remote = rig->address[relay]};
	uint8_t key[MESH_KEY_LEN];
	bool is_quic;

	relay_end_rig_key(relay, key);
	if (dgram.remote.transport == ADDR_TCP)
		dgram.remote = addr_of_leg(key, 0);
	memcpy(bytes, flow->label, sizeof(flow->label));
	bytes[1] |= (uint8_t)kind;
	bytes[16] = 0x40;
	is_quic = relay_end_input(rig->end, &dgram, rig->now_ns);
	if (is_quic)
		rig->delivered_at = dgram.remote;
	return is_quic;
}

struct relay_end_stats relay_end_rig_stats(const struct relay_end_rig *rig)
{
	struct relay_end_stats stats;

	relay_end_stats(rig->end, &stats);
	return stats;
}

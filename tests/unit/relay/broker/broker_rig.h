/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_BROKER_RIG_H
#define WEFT_TESTS_BROKER_RIG_H

#include "relay/broker/relay_broker.h"

#include "base/monotonic.h"
#include "crypto/node_key.h"
#include "support/check.h"
#include "support/mesh_lab.h"
#include "support/relay_messages_rig.h"

/* A relay and the ends that open, take and close its flows, on a network in memory. */

#define ENDS	 70u
#define FLOW_CAP 128u
#define MTU	 1400

/* How an end answers what the relay asks of it. */
struct end {
	struct mesh *mesh;
	struct mesh_lab_ask ask; /* its request to the relay */
	bool declines, is_silent, denies_labels;
	void (*on_offer)(void); /* what happens before it answers; NULL: nothing */
	unsigned offer_cnt, label_cnt, close_cnt;
	struct relay_offer_message offer; /* the last of each; datagrams are not kept */
	unsigned offer_first_len;
	struct relay_flow_message flow;
	struct relay_close_message close;
	uint8_t opener[RELAY_KEY_LEN];
};

static struct mesh_lab lab;
static struct random dice;
static struct relay *relay;
static struct relay_broker *broker;
static struct mesh *node;
static struct node_key *key;
static struct end ends[ENDS];
static unsigned end_cnt;
static uint64_t wall_ahead_s; /* of the lab's clock */
static uint32_t free_opens;   /* set before begin_with; 0: as by default */
static struct relay_messages *messages;
static bool has_messages; /* set before begin_with: ends have the rates of their scores */
static const struct mem_link calm = {.delay_ns = 10 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};

/* --- the relay --- */

static inline uint64_t wall_s(void)
{
	return mesh_lab_wall_s(&lab) + wall_ahead_s;
}

static inline void node_expire(void *ctx, uint64_t now_ns)
{
	(void)ctx;
	relay_turn(relay, now_ns, wall_s());
	relay_broker_turn(broker, now_ns, wall_s());
}

static inline uint64_t node_next_ns(void *ctx)
{
	uint64_t relay_ns = relay_next_ns(relay), broker_ns = relay_broker_next_ns(broker);

	(void)ctx;
	return relay_ns < broker_ns ? relay_ns : broker_ns;
}

static inline void on_closed(void *ctx, struct relay_flow_id id, enum relay_close_why why)
{
	(void)ctx;
	relay_broker_closed(broker, id, why);
}

static inline void on_slowed(void *ctx, struct relay_flow_id id, bool is_slow)
{
	(void)ctx;
	relay_broker_slowed(broker, id, is_slow);
}

static inline int no_grant(void *ctx, const uint8_t *opener,
			   const struct relay_open_message *message, unsigned *out_row,
			   const char **out_why)
{
	(void)ctx;
	(void)opener;
	(void)message;
	*out_row = RELAY_NO_GRANT;
	*out_why = "the grant is revoked";
	return WEFT_EREFUSED;
}

/* What is shown begins with the grant's number, which is all of its id. */
static inline unsigned grant_open(uint32_t number)
{
	struct relay_grant_terms terms = {.flow_max = 1};
	int row;

	memcpy(terms.id, &number, sizeof(number));
	row = relay_grant_open(relay, &terms);
	return row > 0 ? (unsigned)row : RELAY_NO_GRANT;
}

static inline int numbered_grant(void *ctx, const uint8_t *opener,
				 const struct relay_open_message *message, unsigned *out_row,
				 const char **out_why)
{
	(void)ctx;
	(void)opener;
	*out_why = "there is no row";
	*out_row = grant_open(message->grant[0]);
	return *out_row == RELAY_NO_GRANT ? WEFT_EREFUSED : 0;
}

/* --- ends --- */

static inline void on_offer(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct end *end = ctx;
	const struct relay_accept_message accept = {MTU - 100};
	uint8_t payload[64];
	struct writer w = writer_of(payload, sizeof(payload));

	(void)now_ns;
	CHECK_EQ(relay_message_offer_parse(call->payload, call->payload_len, &end->offer), 0);
	end->offer_cnt++;
	end->offer_first_len = end->offer.first.cnt ? end->offer.first.dgrams[0].len : 0;
	memcpy(end->opener, end->offer.opener, sizeof(end->opener));
	if (end->on_offer)
		end->on_offer();
	if (end->is_silent)
		return;
	relay_message_accept_write(&w, &accept);
	if (end->declines)
		mesh_lab_seam_of(end->mesh).ops->answer_error(call->incoming, MESH_CODE_REFUSED,
							      "no flows", 0);
	else
		(void)mesh_lab_seam_of(end->mesh).ops->answer(call->incoming, MESH_FLOW_ACCEPT,
							      payload, writer_len(&w), NULL);
}

static inline void on_label(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct end *end = ctx;
	const struct relay_accept_message accept = {MTU};
	uint8_t payload[64];
	struct writer w = writer_of(payload, sizeof(payload));

	(void)now_ns;
	CHECK_EQ(relay_message_flow_parse(call->payload, call->payload_len, &end->flow), 0);
	end->label_cnt++;
	relay_message_accept_write(&w, &accept);
	if (end->denies_labels)
		mesh_lab_seam_of(end->mesh).ops->answer_error(call->incoming, MESH_CODE_ABSENT,
							      "no such flow", 0);
	else
		(void)mesh_lab_seam_of(end->mesh).ops->answer(call->incoming, MESH_FLOW_ACCEPT,
							      payload, writer_len(&w), NULL);
}

static inline void on_close(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct end *end = ctx;

	(void)now_ns;
	CHECK_EQ(relay_message_close_parse(call->payload, call->payload_len, &end->close), 0);
	end->close_cnt++;
	(void)mesh_lab_seam_of(end->mesh).ops->answer(call->incoming, MESH_FLOW_CLOSE,
						      call->payload, call->payload_len, NULL);
}

static inline void run_ms(uint64_t ms)
{
	(void)mesh_lab_run(&lab, ms * NS_PER_MS, NULL, NULL);
}

/* An end with a session to the relay. */
static inline struct end *end_add(void)
{
	struct end *end = &ends[end_cnt++];

	*end = (struct end){.mesh = mesh_lab_add(&lab)};
	mesh_lab_up(end->mesh);
	(void)mesh_lab_seam_of(end->mesh).ops->handle(end->mesh, MESH_FLOW_OFFER, on_offer, end);
	(void)mesh_lab_seam_of(end->mesh).ops->handle(end->mesh, MESH_FLOW, on_label, end);
	(void)mesh_lab_seam_of(end->mesh).ops->handle(end->mesh, MESH_FLOW_CLOSE, on_close, end);
	mesh_lab_ask(end->mesh, node, MESH_FLOW_CLOSE, "", 0, &end->ask);
	if (end->ask.reply.err != WEFT_EMALFORMED)
		abort();
	return end;
}

static inline void begin_with(const struct relay_broker_params *more)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {3, 1};
	struct relay_params params = {
		.random = &dice, .on_closed = on_closed, .on_slowed = on_slowed};
	struct relay_broker_params of_broker = *more;

	end_cnt = 0;
	wall_ahead_s = 0;
	broker = NULL;
	random_init_seeded(&dice, 5);
	mesh_lab_init(&lab, 4, ENDS + 1, &calm);
	lab.idle_ns = 1000000 * NS_PER_S;
	node = mesh_lab_add(&lab);
	CHECK_EQ(node_key_from_seed(seed, &key), 0);
	memcpy(node->key, node_key_public(key), MESH_KEY_LEN);
	mesh_lab_up(node);
	relay_config_defaults(&params.config);
	params.config.is_on = true;
	params.config.flow_cap = FLOW_CAP;
	if (free_opens)
		params.config.free_opens = free_opens;
	params.key = key;
	params.now_ns = lab.now_ns;
	params.wall_s = wall_s();
	if (relay_new(&params, &relay) < 0)
		abort();
	if (!of_broker.config.ask_cap)
		of_broker.config.ask_cap = 64;
	if (has_messages)
		messages = relay_messages_of(node, &dice);
	of_broker.messages = messages;
	of_broker.relay = relay;
	of_broker.flow_cap = FLOW_CAP;
	of_broker.own_key = node->key;
	of_broker.mesh = mesh_lab_seam_of(node);
	of_broker.neighbours = &mesh_lab_neighbours;
	of_broker.random = &dice;
	of_broker.now_ns = lab.now_ns;
	of_broker.wall_s = wall_s();
	if (relay_broker_new(&of_broker, &broker) < 0)
		abort();
	node->expire = node_expire;
	node->next_ns = node_next_ns;
}

static inline void begin(void)
{
	begin_with(&(struct relay_broker_params){.flow_cap = 0});
}

/* begin_pair: and two ends. */
static inline void begin_pair(struct end **out_opener, struct end **out_peer)
{
	begin();
	*out_opener = end_add();
	*out_peer = end_add();
}

static inline void end_all(void)
{
	relay_broker_stop(broker);
	mesh_lab_fini(&lab);
	relay_broker_free(broker);
	relay_messages_free(messages);
	messages = NULL;
	has_messages = false;
	free_opens = 0;
	relay_free(relay);
	node_key_free(key);
}

static inline struct relay_broker_stats stats(void)
{
	struct relay_broker_stats got;

	relay_broker_stats(broker, &got);
	return got;
}

/* --- what ends ask --- */

static inline struct relay_open_message to_peer(const struct end *peer)
{
	struct relay_open_message message = {.class = RELAY_CONTROL, .mtu = MTU};

	memcpy(message.peer, peer->mesh->key, sizeof(message.peer));
	return message;
}

/* What the relay answers to opener; with 0 the label is in opener->flow. */
static inline int open_by(struct end *opener, const struct relay_open_message *message)
{
	uint8_t payload[RELAY_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));

	relay_message_open_write(&w, message);
	mesh_lab_ask(opener->mesh, node, MESH_FLOW_OPEN, payload, writer_len(&w), &opener->ask);
	if (opener->ask.reply.err < 0)
		return opener->ask.reply.err;
	if (opener->ask.reply.type != MESH_FLOW)
		return WEFT_EUNKNOWN;
	return relay_message_flow_parse(opener->ask.reply.payload, opener->ask.reply.payload_len,
					&opener->flow);
}

static inline int open_to(struct end *opener, const struct end *peer)
{
	const struct relay_open_message message = to_peer(peer);

	return open_by(opener, &message);
}

static inline int close_by(struct end *end, uint64_t flow)
{
	const struct relay_close_message message = {flow, RELAY_END_DONE};
	uint8_t payload[64];
	struct writer w = writer_of(payload, sizeof(payload));

	relay_message_close_write(&w, &message);
	mesh_lab_ask(end->mesh, node, MESH_FLOW_CLOSE, payload, writer_len(&w), &end->ask);
	return end->ask.reply.err;
}

static inline void session_end(const struct end *end)
{
	for (unsigned i = 0; i < node->session_cnt; i++)
		if (memcmp(node->sessions[i].key, end->mesh->key, MESH_KEY_LEN) == 0)
			node->sessions[i--] = node->sessions[--node->session_cnt];
	relay_broker_session_changed(broker, end->mesh->key, lab.now_ns);
}

static inline bool leg_is_at(struct relay_flow_id id, unsigned leg, const struct addr *addr)
{
	const struct weft_endpoint endpoint = addr_endpoint(addr);

	return weft_endpoint_equal(&endpoint, &relay_tables(relay)->flows[id.idx].legs[leg].remote);
}

static inline uint32_t open_cnt(void)
{
	return relay_stats(relay)->open_cnt;
}

#endif

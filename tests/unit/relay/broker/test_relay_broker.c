/* SPDX-License-Identifier: Apache-2.0 */
/* A relay and the ends that open, take and close its flows, on a network in memory. */
#include "relay/broker/relay_broker.h"

#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "crypto/node_key.h"
#include "net/ingress/ingress_policy.h"
#include "support/check.h"
#include "support/mesh_lab.h"

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
static const struct mem_link calm = {.delay_ns = 10 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};

/* --- the relay --- */

static uint64_t wall_s(void)
{
	return mesh_lab_wall_s(&lab) + wall_ahead_s;
}

static void node_expire(void *ctx, uint64_t now_ns)
{
	(void)ctx;
	relay_turn(relay, now_ns, wall_s());
	relay_broker_turn(broker, now_ns, wall_s());
}

static uint64_t node_next_ns(void *ctx)
{
	uint64_t relay_ns = relay_next_ns(relay), broker_ns = relay_broker_next_ns(broker);

	(void)ctx;
	return relay_ns < broker_ns ? relay_ns : broker_ns;
}

static void on_closed(void *ctx, struct relay_flow_id id, enum relay_close_why why)
{
	(void)ctx;
	relay_broker_closed(broker, id, why);
}

static int no_grant(void *ctx, const uint8_t *opener, const struct relay_open_message *message,
		    unsigned *out_row, const char **out_why)
{
	(void)ctx;
	(void)opener;
	(void)message;
	*out_row = RELAY_NO_GRANT;
	*out_why = "the grant is revoked";
	return WEFT_EREFUSED;
}

/* What is shown begins with the grant's number, which is all of its id. */
static unsigned grant_open(uint32_t number)
{
	struct relay_grant_terms terms = {.flow_max = 1};
	int row;

	memcpy(terms.id, &number, sizeof(number));
	row = relay_grant_open(relay, &terms);
	return row > 0 ? (unsigned)row : RELAY_NO_GRANT;
}

static int numbered_grant(void *ctx, const uint8_t *opener,
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

static void on_offer(void *ctx, const struct mesh_call *call, uint64_t now_ns)
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

static void on_label(void *ctx, const struct mesh_call *call, uint64_t now_ns)
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

static void on_close(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct end *end = ctx;

	(void)now_ns;
	CHECK_EQ(relay_message_close_parse(call->payload, call->payload_len, &end->close), 0);
	end->close_cnt++;
	(void)mesh_lab_seam_of(end->mesh).ops->answer(call->incoming, MESH_FLOW_CLOSE,
						      call->payload, call->payload_len, NULL);
}

static void run_ms(uint64_t ms)
{
	(void)mesh_lab_run(&lab, ms * NS_PER_MS, NULL, NULL);
}

/* An end with a session to the relay. */
static struct end *end_add(void)
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

static void begin_with(const struct relay_broker_params *more)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {3, 1};
	struct relay_params params = {.random = &dice, .on_closed = on_closed};
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
	params.key = key;
	params.now_ns = lab.now_ns;
	params.wall_s = wall_s();
	if (relay_new(&params, &relay) < 0)
		abort();
	if (!of_broker.config.ask_cap)
		of_broker.config.ask_cap = 64;
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

static void begin(void)
{
	begin_with(&(struct relay_broker_params){.flow_cap = 0});
}

static void end_all(void)
{
	relay_broker_stop(broker);
	mesh_lab_fini(&lab);
	relay_broker_free(broker);
	relay_free(relay);
	node_key_free(key);
}

static struct relay_broker_stats stats(void)
{
	struct relay_broker_stats got;

	relay_broker_stats(broker, &got);
	return got;
}

/* --- what ends ask --- */

static struct relay_open_message to_peer(const struct end *peer)
{
	struct relay_open_message message = {.class = RELAY_CONTROL, .mtu = MTU};

	memcpy(message.peer, peer->mesh->key, sizeof(message.peer));
	return message;
}

/* What the relay answers to opener; with 0 the label is in opener->flow. */
static int open_by(struct end *opener, const struct relay_open_message *message)
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

static int open_to(struct end *opener, const struct end *peer)
{
	const struct relay_open_message message = to_peer(peer);

	return open_by(opener, &message);
}

static int close_by(struct end *end, uint64_t flow)
{
	const struct relay_close_message message = {flow, RELAY_END_DONE};
	uint8_t payload[64];
	struct writer w = writer_of(payload, sizeof(payload));

	relay_message_close_write(&w, &message);
	mesh_lab_ask(end->mesh, node, MESH_FLOW_CLOSE, payload, writer_len(&w), &end->ask);
	return end->ask.reply.err;
}

static void session_end(const struct end *end)
{
	for (unsigned i = 0; i < node->session_cnt; i++)
		if (memcmp(node->sessions[i].key, end->mesh->key, MESH_KEY_LEN) == 0)
			node->sessions[i--] = node->sessions[--node->session_cnt];
	relay_broker_session_down(broker, end->mesh->key, lab.now_ns);
}

static bool leg_is_at(struct relay_flow_id id, unsigned leg, const struct addr *addr)
{
	const struct weft_endpoint endpoint = addr_endpoint(addr);

	return weft_endpoint_equal(&endpoint, &relay_tables(relay)->flows[id.idx].legs[leg].remote);
}

static uint32_t open_cnt(void)
{
	return relay_stats(relay)->open_cnt;
}

/* --- opening --- */

static void test_both_ends_get_labels_of_one_flow(void)
{
	struct end *opener, *peer;
	struct relay_flow_id id;
	unsigned leg;

	begin();
	opener = end_add();
	peer = end_add();
	CHECK_EQ(open_to(opener, peer), 0);
	run_ms(100);
	CHECK_EQ(peer->offer_cnt, 1);
	CHECK_EQ(peer->label_cnt, 1);
	CHECK_MEM(peer->opener, opener->mesh->key, MESH_KEY_LEN);
	CHECK_MEM(opener->flow.peer, peer->mesh->key, MESH_KEY_LEN);
	CHECK_MEM(peer->flow.peer, opener->mesh->key, MESH_KEY_LEN);
	CHECK_EQ(opener->flow.mtu, MTU - 100);
	CHECK_EQ(peer->flow.mtu, MTU - 100);
	CHECK(memcmp(opener->flow.label, peer->flow.label, sizeof(peer->flow.label)) != 0);
	CHECK(opener->flow.expires_s > 3 * WEFT_RELAY_KEY_LIFE_S);
	CHECK(opener->flow.expires_s <= 4 * WEFT_RELAY_KEY_LIFE_S);
	id = relay_flow_of_number(peer->flow.flow, &leg);
	CHECK_EQ(leg, 1);
	CHECK(leg_is_at(id, 0, &opener->mesh->addr));
	CHECK(leg_is_at(id, 1, &peer->mesh->addr));
	CHECK_EQ(open_cnt(), 1);
	CHECK_EQ(stats().end_cnt, 2);
	CHECK_EQ(stats().asking_cnt, 0);
	end_all();
}

static void test_first_datagrams_travel_in_the_offer(void)
{
	static const uint8_t dgram[RELAY_FIRST_LEN_MAX] = {0x40};
	struct relay_open_message message;
	struct end *opener, *peer;

	begin();
	opener = end_add();
	peer = end_add();
	message = to_peer(peer);
	message.first.cnt = RELAY_FIRST_CNT_MAX;
	for (unsigned i = 0; i < RELAY_FIRST_CNT_MAX; i++) {
		message.first.dgrams[i].data = dgram;
		message.first.dgrams[i].len = sizeof(dgram);
	}
	CHECK_EQ(open_by(opener, &message), 0);
	CHECK_EQ(peer->offer_first_len, RELAY_FIRST_LEN_MAX);
	end_all();
}

static void test_a_fourth_flow_without_a_grant_is_refused(void)
{
	struct end *opener, *peer;

	begin();
	opener = end_add();
	peer = end_add();
	for (unsigned i = 0; i < RELAY_OPENED_MAX; i++)
		CHECK_EQ(open_to(opener, peer), 0);
	CHECK_EQ(open_to(opener, peer), WEFT_EREFUSED);
	CHECK_EQ(peer->offer_cnt, RELAY_OPENED_MAX);
	CHECK_EQ(close_by(opener, opener->flow.flow), 0);
	CHECK_EQ(open_to(opener, peer), 0);
	end_all();
}

static void test_a_key_takes_64_flows_of_others(void)
{
	struct end *peer;

	begin_with(&(struct relay_broker_params){.config.ask_cap = 256});
	peer = end_add();
	for (unsigned i = 0; i < RELAY_ACCEPTED_MAX; i++)
		CHECK_EQ(open_to(end_add(), peer), 0);
	CHECK_EQ(open_to(end_add(), peer), WEFT_EREFUSED);
	CHECK_EQ(open_cnt(), RELAY_ACCEPTED_MAX);
	end_all();
}

static void test_a_flow_leads_to_another_key_that_has_a_session(void)
{
	struct end *opener, *peer, self;

	begin();
	opener = end_add();
	peer = end_add();
	CHECK_EQ(open_to(opener, opener), WEFT_EMALFORMED);
	self.mesh = node;
	CHECK_EQ(open_to(opener, &self), WEFT_EMALFORMED);
	session_end(peer);
	CHECK_EQ(open_to(opener, peer), WEFT_EABSENT);
	mesh_lab_ask(opener->mesh, node, MESH_FLOW_OPEN, "\xa0", 1, &opener->ask);
	CHECK_EQ(opener->ask.reply.err, WEFT_EMALFORMED);
	CHECK_EQ(stats().refused_cnt, 6); /* two sessions began with an empty FLOW_CLOSE */
	CHECK_EQ(stats().end_cnt, 0);
	end_all();
}

static void test_content_and_grants_go_by_the_configuration(void)
{
	static const uint8_t grant[4] = {1};
	struct relay_open_message message;
	struct end *opener, *peer;

	begin();
	opener = end_add();
	peer = end_add();
	message = to_peer(peer);
	message.class = RELAY_CONTENT;
	CHECK_EQ(open_by(opener, &message), WEFT_EREFUSED);
	message.class = RELAY_CONTROL;
	message.grant = grant;
	message.grant_len = sizeof(grant);
	CHECK_EQ(open_by(opener, &message), WEFT_EREFUSED);
	end_all();

	begin_with(
		&(struct relay_broker_params){.config.has_free_content = true, .grant = no_grant});
	opener = end_add();
	peer = end_add();
	message = to_peer(peer);
	message.class = RELAY_CONTENT;
	CHECK_EQ(open_by(opener, &message), 0);
	CHECK_EQ(opener->flow.class, RELAY_CONTENT);
	message.grant = grant;
	message.grant_len = sizeof(grant);
	CHECK_EQ(open_by(opener, &message), WEFT_EREFUSED);
	end_all();
}

static void grant_close(void)
{
	relay_grant_close(relay, 1);
}

/* Others take all rows, so that the last has the one that the pending request had. */
static void grant_replace(void)
{
	unsigned row = RELAY_NO_GRANT;

	grant_close();
	for (uint32_t i = 2; i <= WEFT_RELAY_GRANT_CNT; i++)
		row = grant_open(i);
	CHECK_EQ(row, 1);
}

/* The grant is judged before the offer goes out, and the flow opens after the answer. */
static void test_a_flow_is_of_the_grant_that_was_shown_or_of_none(void)
{
	static const struct {
		void (*meanwhile)(void);
		int err;
		uint32_t flow_cnt;
	} rows[] = {
		{NULL, 0, 1},
		{grant_close, WEFT_EBUSY, 0},
		{grant_replace, WEFT_EBUSY, 0},
	};
	static const uint8_t grant[4] = {1};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct relay_open_message message;
		struct end *opener, *peer;

		begin_with(&(struct relay_broker_params){.grant = numbered_grant});
		opener = end_add();
		peer = end_add();
		peer->on_offer = rows[i].meanwhile;
		message = to_peer(peer);
		message.grant = grant;
		message.grant_len = sizeof(grant);
		CHECK_EQ(open_by(opener, &message), rows[i].err);
		CHECK_EQ(open_cnt(), rows[i].flow_cnt);
		CHECK_EQ(relay_grant_flow_cnt(relay, 1), rows[i].flow_cnt);
		end_all();
	}
}

static void test_an_offer_that_is_declined_opens_nothing(void)
{
	struct end *opener, *peer;

	begin();
	opener = end_add();
	peer = end_add();
	peer->declines = true;
	CHECK_EQ(open_to(opener, peer), WEFT_EREFUSED);
	CHECK_EQ(stats().declined_cnt, 1);
	CHECK_EQ(open_cnt(), 0);
	CHECK_EQ(stats().end_cnt, 0);
	end_all();
}

static void test_an_offer_without_an_answer_ends_after_five_seconds(void)
{
	struct end *opener, *peer;
	uint64_t begun_ns;

	begin();
	opener = end_add();
	peer = end_add();
	peer->is_silent = true;
	begun_ns = lab.now_ns;
	CHECK(open_to(opener, peer) < 0);
	CHECK(lab.now_ns - begun_ns >= RELAY_OFFER_NS);
	CHECK(lab.now_ns - begun_ns < RELAY_OFFER_NS + NS_PER_S);
	CHECK_EQ(stats().silent_cnt, 1);
	CHECK_EQ(stats().end_cnt, 0);
	end_all();
}

static void on_answer(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct mesh_lab_ask *ask = arg;

	(void)now_ns;
	ask->is_done = true;
	ask->reply = *reply;
}

/* A request from opener that is not waited for. */
static void open_begin(const struct end *opener, const struct relay_open_message *message,
		       struct mesh_lab_ask *ask)
{
	uint8_t payload[RELAY_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_ask request = {
		.type = MESH_FLOW_OPEN,
		.payload = payload,
		.reply_buf = ask->buf,
		.reply_cap = sizeof(ask->buf),
		.timeout_ns = 60 * NS_PER_S,
		.reply = on_answer,
		.arg = ask,
		.peer = {.addrs = &node->addr, .addr_cnt = 1},
	};

	relay_message_open_write(&w, message);
	memcpy(request.peer.key, node->key, MESH_KEY_LEN);
	request.payload_len = writer_len(&w);
	ask->is_done = false;
	CHECK_EQ(mesh_lab_seam_of(opener->mesh)
			 .ops->ask(opener->mesh, &request, lab.now_ns, &ask->request),
		 0);
	packet_tx_flush(opener->mesh->tx);
}

/* Openers of 22 networks have 64 offers out at a silent peer; the next network's has a place. */
static void test_one_offer_beyond_capacity_takes_a_place_back(void)
{
	struct relay_open_message message;
	struct end *opener, *peer, *other;
	static struct mesh_lab_ask asks[64];
	struct fair_view view;
	unsigned asked = 0;

	begin();
	peer = end_add();
	other = end_add();
	peer->is_silent = true;
	message = to_peer(peer);
	while (asked < 64) {
		opener = end_add();
		for (unsigned i = 0; i < RELAY_OPENED_MAX && asked < 64; i++)
			open_begin(opener, &message, &asks[asked++]);
	}
	run_ms(50);
	relay_broker_view(broker, &view);
	CHECK_EQ(view.held_cnt, 64);
	CHECK_EQ(open_to(end_add(), other), 0);
	relay_broker_view(broker, &view);
	CHECK(view.evicted_cnts[FAIR_UNKNOWN] >= 1);
	end_all();
}

/* 64 openers have one offer out each. One of them asks again: its first offer makes room. */
static void test_an_opener_of_a_full_pool_loses_its_own_offer(void)
{
	static struct mesh_lab_ask asks[64];
	struct relay_open_message message;
	struct end *opener = NULL, *peer;
	uint64_t refused_cnt;
	struct fair_view view;

	begin();
	peer = end_add();
	peer->is_silent = true;
	message = to_peer(peer);
	for (unsigned i = 0; i < 64; i++) {
		opener = end_add();
		open_begin(opener, &message, &asks[i]);
	}
	run_ms(200);
	relay_broker_view(broker, &view);
	CHECK_EQ(view.held_cnt, 64);
	refused_cnt = stats().refused_cnt;
	peer->is_silent = false;
	CHECK_EQ(open_by(opener, &message), 0);
	relay_broker_view(broker, &view);
	CHECK_EQ(view.evicted_cnts[FAIR_UNKNOWN], 1);
	CHECK(asks[63].is_done && !asks[62].is_done);
	CHECK_EQ(asks[63].reply.err, WEFT_EBUSY);
	CHECK_EQ(stats().refused_cnt - refused_cnt, 1);
	/* Nothing is left of the opener once its flow is. */
	CHECK_EQ(open_cnt(), 1);
	CHECK_EQ(stats().end_cnt, 65);
	CHECK_EQ(close_by(opener, opener->flow.flow), 0);
	CHECK_EQ(stats().end_cnt, 63);
	run_ms(6000);
	CHECK_EQ(stats().silent_cnt, 63);
	CHECK_EQ(stats().end_cnt, 0);
	end_all();
}

/* --- the end of a flow --- */

static void test_the_other_end_learns_that_one_closed(void)
{
	struct end *opener, *peer, *third;

	begin();
	opener = end_add();
	peer = end_add();
	third = end_add();
	CHECK_EQ(open_to(opener, peer), 0);
	run_ms(100);
	CHECK_EQ(close_by(third, opener->flow.flow), 0);
	CHECK_EQ(close_by(peer, opener->flow.flow), 0);
	CHECK_EQ(open_cnt(), 1);
	CHECK_EQ(close_by(peer, peer->flow.flow), 0);
	run_ms(100);
	CHECK_EQ(open_cnt(), 0);
	CHECK_EQ(opener->close_cnt, 1);
	CHECK_EQ(opener->close.flow, opener->flow.flow);
	CHECK_EQ(opener->close.why, RELAY_END_DONE);
	CHECK_EQ(peer->close_cnt, 0);
	CHECK_EQ(close_by(peer, peer->flow.flow), 0);
	CHECK_EQ(stats().end_cnt, 0);
	end_all();
}

static void test_a_sessions_end_takes_its_flows_along(void)
{
	struct end *opener, *peer, *other;

	begin();
	opener = end_add();
	peer = end_add();
	other = end_add();
	CHECK_EQ(open_to(opener, peer), 0);
	CHECK_EQ(open_to(opener, other), 0);
	CHECK_EQ(open_to(other, peer), 0);
	run_ms(100);
	/* A second session of the key lives on. */
	relay_broker_session_down(broker, opener->mesh->key, lab.now_ns);
	CHECK_EQ(open_cnt(), 3);
	session_end(opener);
	run_ms(100);
	CHECK_EQ(open_cnt(), 1);
	CHECK_EQ(peer->close_cnt, 1);
	CHECK_EQ(peer->close.why, RELAY_END_PEER_GONE);
	CHECK_EQ(other->close_cnt, 1);
	CHECK_EQ(stats().end_cnt, 2);
	CHECK_EQ(stats().gone_cnt, 2);
	end_all();
}

static void test_an_end_that_denies_its_label_ends_the_flow(void)
{
	struct end *opener, *peer;

	begin();
	opener = end_add();
	peer = end_add();
	peer->denies_labels = true;
	CHECK_EQ(open_to(opener, peer), 0);
	run_ms(100);
	CHECK_EQ(open_cnt(), 0);
	CHECK_EQ(opener->close_cnt, 1);
	CHECK_EQ(opener->close.why, RELAY_END_REFUSED);
	end_all();
}

static void test_both_ends_learn_that_an_idle_flow_is_closed(void)
{
	struct end *opener, *peer;

	begin();
	opener = end_add();
	peer = end_add();
	CHECK_EQ(open_to(opener, peer), 0);
	run_ms(310000);
	CHECK_EQ(open_cnt(), 0);
	CHECK_EQ(opener->close.why, RELAY_END_IDLE);
	CHECK_EQ(peer->close.why, RELAY_END_IDLE);
	CHECK_EQ(stats().end_cnt, 0);
	end_all();
}

/* --- while it is open --- */

static void test_a_leg_follows_its_session(void)
{
	struct end *opener, *peer;
	struct relay_flow_id id;
	struct addr moved;
	unsigned leg;

	begin();
	opener = end_add();
	peer = end_add();
	CHECK_EQ(open_to(opener, peer), 0);
	id = relay_flow_of_number(opener->flow.flow, &leg);
	moved = opener->mesh->addr;
	moved.port = 4711;
	for (unsigned i = 0; i < node->session_cnt; i++)
		if (memcmp(node->sessions[i].key, opener->mesh->key, MESH_KEY_LEN) == 0)
			node->sessions[i].remote = moved;
	run_ms(200);
	CHECK(leg_is_at(id, 0, &moved));
	CHECK_EQ(stats().moved_cnt, 1);
	/* Two ends of one flow are never at one address. */
	for (unsigned i = 0; i < node->session_cnt; i++)
		if (memcmp(node->sessions[i].key, opener->mesh->key, MESH_KEY_LEN) == 0)
			node->sessions[i].remote = peer->mesh->addr;
	run_ms(200);
	CHECK_EQ(open_cnt(), 0);
	end_all();
}

static void test_labels_are_renewed_while_they_are_heard(void)
{
	uint8_t first[RELAY_MESSAGE_LABEL_LEN];
	struct end *opener, *peer;

	begin();
	opener = end_add();
	peer = end_add();
	CHECK_EQ(open_to(opener, peer), 0);
	run_ms(5000);
	memcpy(first, peer->flow.label, sizeof(first));
	wall_ahead_s = WEFT_RELAY_KEY_LIFE_S;
	run_ms(5000);
	CHECK_EQ(peer->label_cnt, 1);
	wall_ahead_s = 2 * WEFT_RELAY_KEY_LIFE_S;
	run_ms(5000);
	CHECK_EQ(peer->label_cnt, 2);
	CHECK_EQ(opener->label_cnt, 1);
	CHECK(memcmp(peer->flow.label, first, sizeof(first)) != 0);
	CHECK_EQ(stats().renewed_cnt, 1);
	CHECK_EQ(open_cnt(), 1);
	end_all();
}

static void test_a_clock_that_was_put_back_opens_flows(void)
{
	struct end *opener, *peer;

	begin();
	opener = end_add();
	peer = end_add();
	wall_ahead_s = 3 * WEFT_RELAY_KEY_LIFE_S;
	run_ms(2000);
	wall_ahead_s = 0;
	run_ms(2000);
	CHECK_EQ(open_to(opener, peer), 0);
	CHECK_EQ(opener->flow.expires_s, WEFT_RELAY_KEY_CNT * WEFT_RELAY_KEY_LIFE_S);
	end_all();
}

static void test_a_flow_is_shown_with_both_keys(void)
{
	struct relay_broker_flow shown;
	struct end *opener, *peer;
	uint32_t idx = 0;

	begin();
	CHECK(!relay_broker_next(broker, &idx, &shown));
	opener = end_add();
	peer = end_add();
	CHECK_EQ(open_to(opener, peer), 0);
	idx = 0;
	CHECK(relay_broker_next(broker, &idx, &shown));
	CHECK_MEM(shown.keys[0], opener->mesh->key, MESH_KEY_LEN);
	CHECK_MEM(shown.keys[1], peer->mesh->key, MESH_KEY_LEN);
	CHECK(addr_equal(shown.remotes[1], &peer->mesh->addr));
	CHECK(!relay_broker_next(broker, &idx, &shown));
	end_all();
}

/* --- what the labels of messages are good for --- */

/* How ingress judges a datagram from addr under label, and where it goes. */
static enum weft_reason judged(const uint8_t *label, const struct addr *addr,
			       struct weft_relay_way *out_way)
{
	static struct weft_tables tables;
	static struct arena arena;
	const struct demux_tables_params params = {.ban_cap = 4, .session_cap = 16};
	static uint8_t dgram[WEFT_RELAY_LABEL_LEN + 64];
	struct weft_facts facts = {.now_ns = lab.now_ns, .len = sizeof(dgram)};
	struct weft_view view = {dgram, dgram + sizeof(dgram)};
	enum weft_reason reason;

	if (!arena.start && (arena_open(&arena, ARENA_GROWS) < 0 ||
			     net_ingress_tables_init(&tables, &arena, &params) < 0))
		abort();
	memcpy(dgram, label, WEFT_RELAY_LABEL_LEN);
	dgram[WEFT_RELAY_LABEL_LEN] = 0x40;
	facts.source = addr_endpoint(addr);
	tables.relay = *relay_tables(relay);
	tables.now_ns = lab.now_ns;
	tables.payload = dgram;
	reason = weft_policy_judge(&tables, &view, &facts);
	*out_way = tables.relay_way;
	return reason;
}

/* A datagram of one end goes to the other, under the other's label. */
static bool is_carried(const struct end *from, const struct end *to)
{
	const struct weft_endpoint there = addr_endpoint(&to->mesh->addr);
	struct weft_relay_label label;
	struct weft_relay_way way;

	memcpy(&label, to->flow.label, sizeof(label));
	label.head = weft_relay_head_of_kind(label.head, WEFT_RELAY_TO_END);
	return judged(from->flow.label, &from->mesh->addr, &way) == WEFT_REASON_RELAYED &&
	       weft_endpoint_equal(&way.out.remote, &there) && way.out.label.head == label.head &&
	       way.out.label.tag == label.tag;
}

static void test_datagrams_pass_both_ways_under_the_labels_of_messages(void)
{
	struct end *opener, *peer, *third;
	struct weft_relay_way way;

	begin();
	opener = end_add();
	peer = end_add();
	third = end_add();
	CHECK_EQ(open_to(opener, peer), 0);
	run_ms(100);
	CHECK(is_carried(opener, peer));
	CHECK(is_carried(peer, opener));
	CHECK_EQ(judged(opener->flow.label, &third->mesh->addr, &way), WEFT_REASON_RELAY_MOVED);
	CHECK_EQ(close_by(opener, opener->flow.flow), 0);
	CHECK_EQ(judged(peer->flow.label, &peer->mesh->addr, &way), WEFT_REASON_RELAY_UNKNOWN);
	end_all();
}

static void test_labels_of_before_a_renewal_are_heard(void)
{
	struct weft_relay_way way;
	struct end *opener, *peer, old;

	begin();
	opener = end_add();
	peer = end_add();
	CHECK_EQ(open_to(opener, peer), 0);
	run_ms(100);
	old = *opener;
	wall_ahead_s = 2 * WEFT_RELAY_KEY_LIFE_S;
	run_ms(5000);
	CHECK_EQ(judged(old.flow.label, &opener->mesh->addr, &way), WEFT_REASON_RELAYED);
	CHECK(is_carried(opener, peer));
	CHECK(is_carried(peer, opener));
	end_all();
}

int main(void)
{
	RUN(test_both_ends_get_labels_of_one_flow);
	RUN(test_first_datagrams_travel_in_the_offer);
	RUN(test_a_fourth_flow_without_a_grant_is_refused);
	RUN(test_a_key_takes_64_flows_of_others);
	RUN(test_a_flow_leads_to_another_key_that_has_a_session);
	RUN(test_content_and_grants_go_by_the_configuration);
	RUN(test_a_flow_is_of_the_grant_that_was_shown_or_of_none);
	RUN(test_an_offer_that_is_declined_opens_nothing);
	RUN(test_an_offer_without_an_answer_ends_after_five_seconds);
	RUN(test_one_offer_beyond_capacity_takes_a_place_back);
	RUN(test_an_opener_of_a_full_pool_loses_its_own_offer);
	RUN(test_the_other_end_learns_that_one_closed);
	RUN(test_a_sessions_end_takes_its_flows_along);
	RUN(test_an_end_that_denies_its_label_ends_the_flow);
	RUN(test_both_ends_learn_that_an_idle_flow_is_closed);
	RUN(test_a_leg_follows_its_session);
	RUN(test_labels_are_renewed_while_they_are_heard);
	RUN(test_a_clock_that_was_put_back_opens_flows);
	RUN(test_a_flow_is_shown_with_both_keys);
	RUN(test_datagrams_pass_both_ways_under_the_labels_of_messages);
	RUN(test_labels_of_before_a_renewal_are_heard);
	return check_done();
}

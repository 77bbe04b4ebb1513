/* SPDX-License-Identifier: Apache-2.0 */
/* How flows open at a relay, and what the labels of its messages are good for. */
#include "relay/broker/relay_broker.h"

#include "base/memory/arena.h"
#include "net/ingress/ingress_policy.h"
/* Its names would hide those of headers that come after it. */
#include "broker_rig.h"

static void test_both_ends_get_labels_of_one_flow(void)
{
	struct end *opener, *peer;
	struct relay_flow_id id;
	unsigned leg;

	begin_pair(&opener, &peer);
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

	begin_pair(&opener, &peer);
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

	begin_pair(&opener, &peer);
	for (unsigned i = 0; i < RELAY_OPENED_MAX; i++)
		CHECK_EQ(open_to(opener, peer), 0);
	CHECK_EQ(open_to(opener, peer), WEFT_EREFUSED);
	CHECK_EQ(peer->offer_cnt, RELAY_OPENED_MAX);
	CHECK_EQ(close_by(opener, opener->flow.flow), 0);
	CHECK_EQ(open_to(opener, peer), 0);
	end_all();
}

/* The peer is not asked either: the day's flows are those that were opened. */
static void test_one_flow_beyond_those_of_a_day_is_refused_until_it_ends(void)
{
	struct end *opener, *peer;

	free_opens = 4;
	begin_pair(&opener, &peer);
	for (unsigned i = 0; i < 4; i++) {
		CHECK_EQ(open_to(opener, peer), 0);
		CHECK_EQ(close_by(opener, opener->flow.flow), 0);
	}
	peer->declines = true;
	CHECK_EQ(open_to(opener, peer), WEFT_EREFUSED);
	CHECK_EQ(peer->offer_cnt, 4);
	/* It is told when to come back. */
	CHECK_EQ(opener->ask.reply.not_before_ns > lab.now_ns, true);
	peer->declines = false;
	CHECK_EQ(open_to(peer, opener), 0);
	wall_ahead_s += RELAY_DAY_S;
	run_ms(1000);
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

	begin_pair(&opener, &peer);
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

	begin_pair(&opener, &peer);
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

	begin_pair(&opener, &peer);
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

	begin_pair(&opener, &peer);
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

	begin_pair(&opener, &peer);
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

	begin_pair(&opener, &peer);
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

static void test_a_node_without_the_role_opens_no_flow_and_keeps_those_there_are(void)
{
	struct end *opener, *peer;

	begin_pair(&opener, &peer);
	CHECK_EQ(open_to(opener, peer), 0);
	relay_broker_set_off(broker, true);
	CHECK_EQ(open_to(opener, peer), WEFT_EREFUSED);
	CHECK_EQ(peer->offer_cnt, 1);
	CHECK_EQ(open_cnt(), 1);
	relay_broker_set_off(broker, false);
	CHECK_EQ(open_to(opener, peer), 0);
	CHECK_EQ(open_cnt(), 2);
	end_all();
}

/* Opened and closed in turn: a score of zero has 20 at once and 10 a second. */
static void test_messages_beyond_the_rate_of_a_peer_are_refused(void)
{
	struct relay_messages_stats limited;
	struct end *opener, *peer, *other;
	uint64_t began_ns;
	unsigned cnt = 0;

	has_messages = true;
	begin_pair(&opener, &peer);
	other = end_add();
	began_ns = lab.now_ns;
	while (open_to(opener, peer) == 0) {
		cnt++;
		if (close_by(opener, opener->flow.flow) < 0)
			break;
		cnt++;
	}
	CHECK_EQ(opener->ask.reply.err, WEFT_EREFUSED);
	CHECK(node->refused_wait_ms > 0 && node->refused_wait_ms <= 101);
	CHECK(cnt >= 20);
	CHECK(cnt <= 21 + (lab.now_ns - began_ns) / (100 * NS_PER_MS));
	relay_messages_stats(messages, &limited);
	CHECK_EQ(limited.admitted_cnt, cnt + 3); /* each end says something at first */
	CHECK_EQ(limited.over_rate_cnt, 1);
	CHECK_EQ(open_to(other, peer), 0); /* another key has its own */
	run_ms(101);
	CHECK_EQ(open_to(opener, peer), 0);
	end_all();
}

int main(void)
{
	RUN(test_both_ends_get_labels_of_one_flow);
	RUN(test_first_datagrams_travel_in_the_offer);
	RUN(test_a_fourth_flow_without_a_grant_is_refused);
	RUN(test_one_flow_beyond_those_of_a_day_is_refused_until_it_ends);
	RUN(test_a_key_takes_64_flows_of_others);
	RUN(test_a_flow_leads_to_another_key_that_has_a_session);
	RUN(test_content_and_grants_go_by_the_configuration);
	RUN(test_a_flow_is_of_the_grant_that_was_shown_or_of_none);
	RUN(test_an_offer_that_is_declined_opens_nothing);
	RUN(test_an_offer_without_an_answer_ends_after_five_seconds);
	RUN(test_one_offer_beyond_capacity_takes_a_place_back);
	RUN(test_an_opener_of_a_full_pool_loses_its_own_offer);
	RUN(test_datagrams_pass_both_ways_under_the_labels_of_messages);
	RUN(test_labels_of_before_a_renewal_are_heard);
	RUN(test_a_node_without_the_role_opens_no_flow_and_keeps_those_there_are);
	RUN(test_messages_beyond_the_rate_of_a_peer_are_refused);
	return check_done();
}

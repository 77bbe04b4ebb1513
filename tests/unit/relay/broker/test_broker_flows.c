/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of open flows at a relay, and how they end. */
#include "broker_rig.h"

/* --- the end of a flow --- */

static void test_the_other_end_learns_that_one_closed(void)
{
	struct end *opener, *peer, *third;

	begin_pair(&opener, &peer);
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

	begin_pair(&opener, &peer);
	other = end_add();
	CHECK_EQ(open_to(opener, peer), 0);
	CHECK_EQ(open_to(opener, other), 0);
	CHECK_EQ(open_to(other, peer), 0);
	run_ms(100);
	/* A second session of the key lives on. */
	relay_broker_session_changed(broker, opener->mesh->key, lab.now_ns);
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

	begin_pair(&opener, &peer);
	peer->denies_labels = true;
	CHECK_EQ(open_to(opener, peer), 0);
	run_ms(100);
	CHECK_EQ(open_cnt(), 0);
	CHECK_EQ(opener->close_cnt, 1);
	CHECK_EQ(opener->close.why, RELAY_END_REFUSED);
	end_all();
}

/* Its end took the last one for lost, and the relay did not notice that in time. */
static void session_renew(const struct end *end)
{
	for (unsigned i = 0; i < node->session_cnt; i++)
		if (memcmp(node->sessions[i].key, end->mesh->key, MESH_KEY_LEN) == 0)
			node->sessions[i].renewed_cnt++;
}

static void test_an_end_gets_its_labels_again_in_another_session(void)
{
	struct end *opener, *peer;
	uint64_t number, own_number;

	begin_pair(&opener, &peer);
	CHECK_EQ(open_to(opener, peer), 0);
	run_ms(100);
	CHECK_EQ(peer->label_cnt, 1);
	number = peer->flow.flow;
	own_number = opener->flow.flow;
	memset(&peer->flow, 0, sizeof(peer->flow));
	session_renew(peer);
	run_ms(200);
	CHECK_EQ(peer->label_cnt, 2);
	CHECK_EQ(peer->flow.flow, number);
	session_renew(opener);
	run_ms(200);
	CHECK_EQ(opener->label_cnt, 1); /* the first one was in the answer */
	CHECK_EQ(opener->flow.flow, own_number);
	run_ms(5000);
	CHECK_EQ(peer->label_cnt + opener->label_cnt, 3);
	CHECK_EQ(open_cnt(), 1);
	end_all();
}

static void test_an_end_that_lost_its_flow_with_a_session_ends_it(void)
{
	struct end *opener, *peer, *other;

	begin_pair(&opener, &peer);
	other = end_add();
	CHECK_EQ(open_to(opener, peer), 0);
	CHECK_EQ(open_to(opener, other), 0);
	run_ms(100);
	peer->denies_labels = true;
	session_renew(peer);
	run_ms(200);
	CHECK_EQ(open_cnt(), 1);
	CHECK_EQ(opener->close_cnt, 1);
	CHECK_EQ(opener->close.why, RELAY_END_PEER_GONE);
	/* So does an opener: what it opens anew is no fourth flow beside three that are lost. */
	opener->denies_labels = true;
	session_renew(opener);
	run_ms(200);
	CHECK_EQ(open_cnt(), 0);
	CHECK_EQ(other->close_cnt, 1);
	CHECK_EQ(other->close.why, RELAY_END_PEER_GONE);
	CHECK_EQ(stats().end_cnt, 0);
	end_all();
}

static void test_both_ends_learn_that_an_idle_flow_is_closed(void)
{
	struct end *opener, *peer;

	begin_pair(&opener, &peer);
	CHECK_EQ(open_to(opener, peer), 0);
	run_ms(310000);
	CHECK_EQ(open_cnt(), 0);
	CHECK_EQ(opener->close.why, RELAY_END_IDLE);
	CHECK_EQ(peer->close.why, RELAY_END_IDLE);
	CHECK_EQ(stats().end_cnt, 0);
	end_all();
}

/* --- while it is open --- */

static void session_move(const struct end *end, const struct addr *to)
{
	for (unsigned i = 0; i < node->session_cnt; i++)
		if (memcmp(node->sessions[i].key, end->mesh->key, MESH_KEY_LEN) == 0)
			node->sessions[i].remote = *to;
}

static void test_a_leg_follows_its_session(void)
{
	struct end *opener, *peer;
	struct relay_flow_id id;
	struct addr moved;
	unsigned leg;

	begin_pair(&opener, &peer);
	CHECK_EQ(open_to(opener, peer), 0);
	id = relay_flow_of_number(opener->flow.flow, &leg);
	moved = opener->mesh->addr;
	moved.port = 4711;
	session_move(opener, &moved);
	run_ms(200);
	CHECK(leg_is_at(id, 0, &moved));
	CHECK_EQ(stats().moved_cnt, 1);
	/* At once, where the mesh reports it. */
	moved.port = 4712;
	session_move(opener, &moved);
	relay_broker_session_changed(broker, opener->mesh->key, lab.now_ns);
	CHECK(leg_is_at(id, 0, &moved));
	CHECK_EQ(stats().moved_cnt, 2);
	/* Two ends of one flow are never at one address. */
	session_move(opener, &peer->mesh->addr);
	run_ms(200);
	CHECK_EQ(open_cnt(), 0);
	end_all();
}

static void test_a_leg_may_be_a_session_on_tcp(void)
{
	struct end *opener, *peer;
	struct relay_flow_id id;
	struct addr leg;
	unsigned idx;

	begin();
	opener = end_add();
	peer = end_add();
	CHECK_EQ(open_to(opener, peer), 0);
	id = relay_flow_of_number(opener->flow.flow, &idx);
	leg = addr_of_leg(opener->mesh->key, 0);
	for (unsigned i = 0; i < node->session_cnt; i++)
		if (memcmp(node->sessions[i].key, opener->mesh->key, MESH_KEY_LEN) == 0)
			node->sessions[i].remote.transport = ADDR_TCP;
	run_ms(200);
	CHECK(leg_is_at(id, 0, &leg));
	CHECK(leg_is_at(id, 1, &peer->mesh->addr));
	/* Both may be at one address then: they are told apart by their keys. */
	for (unsigned i = 0; i < node->session_cnt; i++)
		if (memcmp(node->sessions[i].key, peer->mesh->key, MESH_KEY_LEN) == 0) {
			node->sessions[i].remote = opener->mesh->addr;
			node->sessions[i].remote.transport = ADDR_TCP;
		}
	run_ms(200);
	leg = addr_of_leg(peer->mesh->key, 0);
	CHECK(leg_is_at(id, 1, &leg));
	CHECK_EQ(open_cnt(), 1);
	end_all();
}

static void test_labels_are_renewed_while_they_are_heard(void)
{
	uint8_t first[RELAY_MESSAGE_LABEL_LEN];
	struct end *opener, *peer;

	begin_pair(&opener, &peer);
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

static void test_a_clock_that_was_put_back_renews_labels_at_once(void)
{
	struct end *opener, *peer;

	begin_pair(&opener, &peer);
	wall_ahead_s = 49 * WEFT_RELAY_KEY_LIFE_S;
	run_ms(1000);
	CHECK_EQ(open_to(opener, peer), 0);
	run_ms(5000);
	CHECK_EQ(peer->label_cnt, 1);
	/* The hour before may be the same one, half over. */
	wall_ahead_s = 48 * WEFT_RELAY_KEY_LIFE_S;
	run_ms(5000);
	CHECK_EQ(peer->label_cnt, 1);
	wall_ahead_s = 0;
	run_ms(5000);
	CHECK_EQ(peer->label_cnt, 2);
	CHECK_EQ(opener->label_cnt, 1);
	CHECK_EQ(peer->flow.expires_s > 3 * WEFT_RELAY_KEY_LIFE_S, true);
	run_ms(20000);
	CHECK_EQ(peer->label_cnt, 2);
	wall_ahead_s = 2 * WEFT_RELAY_KEY_LIFE_S;
	run_ms(5000);
	CHECK_EQ(peer->label_cnt, 3);
	CHECK_EQ(open_cnt(), 1);
	end_all();
}

/* The flow of both ends carried len bytes more, as the driver counts them. */
static void carry(const struct end *opener, uint64_t len)
{
	unsigned leg;
	struct relay_flow_id id = relay_flow_of_number(opener->flow.flow, &leg);
	struct weft_relay_flow *row = &relay_tables(relay)->flows[id.idx];

	row->bytes[0] += len;
	row->packets[0]++;
}

static void test_both_ends_learn_that_the_volume_ended_and_is_there_again(void)
{
	struct end *opener, *peer;

	begin();
	opener = end_add();
	peer = end_add();
	CHECK_EQ(open_to(opener, peer), 0);
	run_ms(5000);
	carry(opener, 16u << 20);
	run_ms(5000);
	CHECK_EQ(peer->label_cnt, 1);
	CHECK(!peer->flow.is_slow);
	carry(opener, 1);
	run_ms(5000);
	CHECK_EQ(peer->label_cnt, 2);
	CHECK_EQ(opener->label_cnt, 1);
	CHECK(peer->flow.is_slow && opener->flow.is_slow);
	wall_ahead_s = 24 * 3600;
	run_ms(5000);
	CHECK(!peer->flow.is_slow && !opener->flow.is_slow);
	end_all();
}

static void test_a_flow_of_a_key_whose_volume_ended_begins_slow(void)
{
	struct end *opener, *peer, *other;

	begin();
	opener = end_add();
	peer = end_add();
	other = end_add();
	CHECK_EQ(open_to(opener, peer), 0);
	carry(opener, (16u << 20) + 1);
	run_ms(5000);
	CHECK_EQ(open_to(opener, other), 0);
	CHECK(opener->flow.is_slow);
	run_ms(5000);
	CHECK(other->flow.is_slow);
	CHECK_EQ(other->label_cnt, 1);
	end_all();
}

static void test_a_clock_that_was_put_back_opens_flows(void)
{
	struct end *opener, *peer;

	begin_pair(&opener, &peer);
	wall_ahead_s = WEFT_RELAY_KEY_LIFE_S;
	run_ms(2000);
	wall_ahead_s = 0;
	run_ms(2000);
	CHECK_EQ(open_to(opener, peer), 0);
	CHECK_EQ(opener->flow.expires_s, WEFT_RELAY_KEY_CNT * WEFT_RELAY_KEY_LIFE_S);
	end_all();
}

static struct {
	unsigned word_cnt, first_cnt;
	uint64_t len;
	uint8_t opener[MESH_KEY_LEN];
} carried;

static void on_carried(void *ctx, const uint8_t *opener, uint64_t len, bool is_first)
{
	(void)ctx;
	carried.word_cnt++;
	carried.first_cnt += is_first;
	carried.len += len;
	memcpy(carried.opener, opener, MESH_KEY_LEN);
}

static void test_what_a_flow_carried_is_noted_while_it_is_open_and_at_its_end(void)
{
	struct weft_relay_flow *row;
	struct end *opener, *peer;
	unsigned leg;

	memset(&carried, 0, sizeof(carried));
	begin_with(&(struct relay_broker_params){.carried = on_carried});
	opener = end_add();
	peer = end_add();
	CHECK_EQ(open_to(opener, peer), 0);
	row = &relay_tables(relay)->flows[relay_flow_of_number(opener->flow.flow, &leg).idx];
	run_ms(5000);
	CHECK_EQ(carried.word_cnt, 0);
	row->bytes[0] += 1000;
	row->packets[0]++;
	run_ms(5000);
	/* The other end was not heard yet. */
	CHECK_EQ(carried.len, 1000);
	CHECK_EQ(carried.first_cnt, 0);
	CHECK_MEM(carried.opener, opener->mesh->key, MESH_KEY_LEN);
	row->bytes[1] += 500;
	row->packets[1]++;
	run_ms(5000);
	CHECK_EQ(carried.len, 1500);
	CHECK_EQ(carried.first_cnt, 1);
	row->bytes[0] += 70;
	CHECK_EQ(close_by(opener, opener->flow.flow), 0);
	CHECK_EQ(carried.len, 1570);
	CHECK_EQ(carried.first_cnt, 1);
	/* The next flow in the row begins at nothing. */
	CHECK_EQ(open_to(opener, peer), 0);
	run_ms(5000);
	CHECK_EQ(carried.len, 1570);
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

int main(void)
{
	RUN(test_the_other_end_learns_that_one_closed);
	RUN(test_a_sessions_end_takes_its_flows_along);
	RUN(test_an_end_that_denies_its_label_ends_the_flow);
	RUN(test_an_end_gets_its_labels_again_in_another_session);
	RUN(test_an_end_that_lost_its_flow_with_a_session_ends_it);
	RUN(test_both_ends_learn_that_an_idle_flow_is_closed);
	RUN(test_a_leg_follows_its_session);
	RUN(test_a_leg_may_be_a_session_on_tcp);
	RUN(test_labels_are_renewed_while_they_are_heard);
	RUN(test_a_clock_that_was_put_back_renews_labels_at_once);
	RUN(test_both_ends_learn_that_the_volume_ended_and_is_there_again);
	RUN(test_a_flow_of_a_key_whose_volume_ended_begins_slow);
	RUN(test_a_clock_that_was_put_back_opens_flows);
	RUN(test_what_a_flow_carried_is_noted_while_it_is_open_and_at_its_end);
	RUN(test_a_flow_is_shown_with_both_keys);
	return check_done();
}

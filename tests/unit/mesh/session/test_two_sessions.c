/* SPDX-License-Identifier: Apache-2.0 */
/* Two sessions with one peer: which of them stays, and what moves to it. */
#include "dial_rig.h"
#include "support/pair_raw.h"

/* Both sides dial each other, the second lead_ms after the first. */
static void crossed_dials(unsigned lead_ms, unsigned late)
{
	struct rig_ask asks[2];

	nodes_init(2);
	CHECK_EQ(rig_ask(&rig, &asks[1 - late], 1 - late, late, MESH_GET_CHUNK, "abc", 3), 0);
	pair_net_run(&rig.net, lead_ms * PAIR_MS);
	CHECK_EQ(rig_ask(&rig, &asks[late], late, 1 - late, MESH_GET_CHUNK, "abc", 3), 0);
	pair_net_run(&rig.net, 500 * PAIR_MS);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(asks[i].reply_cnt, 1);
		CHECK_EQ(asks[i].reply.err, 0);
		rig_ask_fini(&asks[i]);
	}
	/* Quiet, the loser goes; the survivor is the same on both sides and works both ways. */
	pair_net_run(&rig.net, 10 * PAIR_S);
	CHECK_EQ(rig.net.conn_open_cnt, 2);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(stats_of(i).session_cnt, 1);
		CHECK_EQ(rig.nodes[i].up_cnt - rig.nodes[i].down_cnt, 1);
		CHECK_EQ(rig_ask(&rig, &ask, i, 1 - i, MESH_GET_CHUNK, "abc", 3), 0);
		pair_net_run(&rig.net, PAIR_S);
		CHECK_EQ(ask.reply.err, 0);
		rig_ask_fini(&ask);
	}
	CHECK_EQ(rig.net.conn_open_cnt, 2);
	rig_fini(&rig);
}

static void test_crossed_dials_leave_one_session(void)
{
	for (unsigned lead_ms = 0; lead_ms <= 60 && !check_failed; lead_ms += 5)
		for (unsigned late = 0; late < 2 && !check_failed; late++)
			crossed_dials(lead_ms, late);
}

static void test_crossed_dials_prefer_the_smaller_keys(void)
{
	struct rig_ask asks[2];
	uint8_t key[MESH_KEY_LEN], ids[2][MESH_SESSION_ID_LEN];

	nodes_init(2);
	for (unsigned i = 0; i < 2; i++)
		CHECK_EQ(rig_ask(&rig, &asks[i], i, 1 - i, MESH_GET_CHUNK, "abc", 3), 0);
	pair_net_run(&rig.net, 60 * PAIR_MS);
	for (unsigned i = 0; i < 2; i++) {
		memset(key, (int)(2 - i), sizeof(key));
		CHECK_EQ(mesh_session_id(rig.nodes[i].mesh, key, ids[i]), 0);
		rig_ask_fini(&asks[i]);
	}
	CHECK_MEM(ids[0], ids[1], sizeof(ids[0]));
	pair_net_run(&rig.net, 10 * PAIR_S);
	CHECK_EQ(rig.nodes[1].end->close_code, MESH_BYE_DUPLICATE); /* the larger key's went */
	rig_fini(&rig);
}

static void test_accepted_session_takes_our_dial_back(void)
{
	struct rig_ask other;

	for (unsigned slow = 0; slow < 2; slow++) {
		nodes_init(2);
		pair_net_rule(&rig.net, pair_addr(2 - slow), PAIR_NORMAL, 300 * PAIR_MS);
		CHECK_EQ(rig_ask(&rig, &ask, slow, 1 - slow, MESH_GET_CHUNK, "abc", 3), 0);
		CHECK_EQ(rig_ask(&rig, &other, 1 - slow, slow, MESH_GET_CHUNK, "abc", 3), 0);
		pair_net_run(&rig.net, 200 * PAIR_MS);
		CHECK_EQ(ask.reply_cnt, 1);
		CHECK_EQ(other.reply_cnt, 1);
		CHECK_EQ(rig.net.conn_open_cnt, 2);
		pair_net_run(&rig.net, 20 * PAIR_S);
		CHECK_EQ(rig.net.conn_open_cnt, 2);
		CHECK_EQ(ask.reply.err, 0);
		CHECK_EQ(other.reply.err, 0);
		rig_ask_fini(&other);
		nodes_fini();
	}
}

/* Two sessions with a raw peer, both dialled by it: the second is preferred. hello_cnt of them say HELLO. */
static bool twins_init(struct pair_raw *raw, struct transport_conn *out_conns[2],
		       unsigned hello_cnt)
{
	uint8_t hello[256];

	nodes_init(1);
	memset(raw, 0, sizeof(*raw));
	raw->end = pair_net_add(&rig.net, 9, &pair_raw_events, raw);
	for (unsigned i = 0; i < 2; i++) {
		if (!pair_raw_dial(raw, pair_addr(1), 1))
			return false;
		out_conns[i] = raw->conn;
		if (i < hello_cnt)
			pair_raw_send(raw, pair_raw_open(raw), hello,
				      rig_hello(hello, sizeof(hello), RIG_WALL_S), false);
		pair_net_run(&rig.net, 100 * PAIR_MS);
	}
	return stats_of(0).session_cnt == 2;
}

static void test_retired_session_takes_over_when_the_other_ends(void)
{
	struct transport_conn *conns[2];
	struct pair_raw raw;
	uint8_t bytes[64];

	CHECK(twins_init(&raw, conns, 2));
	CHECK_EQ(rig_ask(&rig, &ask, 0, 8, MESH_GET_CHUNK, "abc", 3), 0);
	rig_ask_fini(&ask);
	raw.end->transport.ops->close(conns[1], 0, NULL);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(stats_of(0).session_cnt, 1);
	CHECK_EQ(rig.nodes[0].down_cnt, 0); /* the peer is still there */
	pair_net_run(&rig.net, 20 * PAIR_S);
	CHECK_EQ(stats_of(0).session_cnt, 1);
	CHECK_EQ(rig_ask(&rig, &ask, 0, 8, MESH_GET_CHUNK, "abc", 3), 0);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	pair_raw_send(&raw, raw.stream_cnt - 1, bytes,
		      rig_frame(bytes, sizeof(bytes), MESH_CHUNK_DATA, 1, 1, "x", 1), true);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, 0);
	nodes_fini();
}

/* Its dialler gave the second up before it was ready, and the word of that was lost. */
static void test_a_session_that_says_no_hello_retires_none_for_good(void)
{
	struct transport_conn *conns[2];
	struct pair_raw raw;

	CHECK(twins_init(&raw, conns, 1));
	pair_net_run(&rig.net, 20 * PAIR_S);
	CHECK_EQ(stats_of(0).session_cnt, 1);
	CHECK_EQ(rig.nodes[0].down_cnt, 0);
	CHECK_EQ(rig_ask(&rig, &ask, 0, 8, MESH_GET_CHUNK, "abc", 3), 0);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	CHECK_EQ(ask.reply_cnt, 0); /* it waits for the raw peer, which says nothing */
	rig_ask_fini(&ask);
	nodes_fini();
}

static void test_our_retired_dial_lives_when_it_takes_over(void)
{
	struct rig_ask asks[2];

	/* Crossed dials; the larger key's connection is retired. Then the other is lost. */
	nodes_init(2);
	for (unsigned i = 0; i < 2; i++)
		CHECK_EQ(rig_ask(&rig, &asks[i], i, 1 - i, MESH_GET_CHUNK, "abc", 3), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(stats_of(1).session_cnt, 2);
	pair_net_close_dialled(&rig.net, 0);
	pair_net_run(&rig.net, 30 * PAIR_S);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(stats_of(i).session_cnt, 1);
		CHECK_EQ(rig.nodes[i].down_cnt, 0);
		rig_ask_fini(&asks[i]);
	}
	rig_fini(&rig);
}

static void test_queued_requests_move_to_the_other_session_or_fail(void)
{
	struct transport_conn *conns[2];
	struct rig_ask asks[3];
	struct pair_raw raw;

	CHECK(twins_init(&raw, conns, 2));
	rig.net.stream_credit = 1;
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(rig_ask(&rig, &asks[i], 0, 8, MESH_GET_CHUNK, "abc", 3), 0);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	raw.end->transport.ops->close(conns[1], 0, NULL);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	CHECK_EQ(asks[0].reply_cnt, 1); /* was on a stream */
	CHECK_EQ(asks[0].reply.err, WEFT_ECLOSED);
	CHECK_EQ(asks[1].reply_cnt + asks[2].reply_cnt, 0);
	raw.end->transport.ops->close(conns[0], 0, NULL);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(asks[i].reply_cnt, 1);
		CHECK_EQ(asks[i].reply.err, WEFT_ECLOSED);
		rig_ask_fini(&asks[i]);
	}
	CHECK_EQ(stats_of(0).request_cnt, 0);
	rig_fini(&rig);
}

static void test_restarted_peer_is_reached_again(void)
{
	struct mesh_config config;

	/* The peer is killed without a word and dials us after its restart. */
	for (unsigned old_dialler = 0; old_dialler < 2; old_dialler++) {
		nodes_init(2);
		mesh_config_defaults(&config);
		CHECK(rig_connected(&rig, old_dialler, 1 - old_dialler));
		pair_net_run(&rig.net, 5 * PAIR_S);
		rig.nodes[1].end->is_dead = true;
		mesh_free(rig.nodes[1].mesh);
		rig.nodes[1].end->addr = pair_addr(99);
		rig.nodes[1].end = NULL;
		/* Its next life has another end with the same key. */
		rig_add(&rig, 1, &config, NULL, RIG_WALL_S);
		CHECK(rig_connected(&rig, 1, 0));
		CHECK_EQ(rig.nodes[1].seam.ops->handle(rig.nodes[1].mesh, MESH_GET_CHUNK, rig_echo,
						       &rig.nodes[1]),
			 0);
		CHECK_EQ(stats_of(0).session_cnt, 2); /* the dead one times out in time */
		CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK, "abc", 3), 0);
		pair_net_run(&rig.net, PAIR_S);
		CHECK_EQ(ask.reply_cnt, 1);
		CHECK_EQ(ask.reply.err, 0);
		nodes_fini();
	}
}

static void test_peer_that_connects_again_and_again_has_few_sessions(void)
{
	struct pair_raw raws[2] = {0};

	nodes_init(1);
	raws[0].end = pair_net_add(&rig.net, 9, &pair_raw_events, &raws[0]);
	for (unsigned i = 0; i < 10; i++) {
		CHECK(pair_raw_dial(&raws[0], pair_addr(1), 1));
		CHECK(stats_of(0).session_cnt <= 3);
	}
	CHECK_EQ(stats_of(0).session_cnt, 3);
	rig_fini(&rig);
}

static void test_reconnect_after_close(void)
{
	nodes_init(2);
	for (unsigned i = 0; i < 5; i++) {
		CHECK(rig_connected(&rig, 0, 1));
		CHECK_EQ(rig.nodes[0].up_cnt, i + 1);
		mesh_goodbye(rig.nodes[1].mesh, 0, 0, rig.net.now_ns);
		pair_net_run(&rig.net, PAIR_S);
		CHECK_EQ(rig.nodes[0].down_cnt, i + 1);
		CHECK_EQ(rig.net.conn_open_cnt, 0);
		mesh_free(rig.nodes[1].mesh);
		{
			struct mesh_config config;

			mesh_config_defaults(&config);
			rig_add(&rig, 1, &config, NULL, RIG_WALL_S);
		}
	}
	rig_fini(&rig);
}

int main(void)
{
	RUN(test_crossed_dials_leave_one_session);
	RUN(test_crossed_dials_prefer_the_smaller_keys);
	RUN(test_accepted_session_takes_our_dial_back);
	RUN(test_retired_session_takes_over_when_the_other_ends);
	RUN(test_a_session_that_says_no_hello_retires_none_for_good);
	RUN(test_our_retired_dial_lives_when_it_takes_over);
	RUN(test_queued_requests_move_to_the_other_session_or_fail);
	RUN(test_restarted_peer_is_reached_again);
	RUN(test_peer_that_connects_again_and_again_has_few_sessions);
	RUN(test_reconnect_after_close);
	return check_done();
}

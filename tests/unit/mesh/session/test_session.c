/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a session: its cap, PING, GOODBYE, its end, and what it shows of the peer. */
#include "session_rig.h"

static void test_peer_without_a_key_or_with_the_own_key_is_closed_with_a_reason(void)
{
	for (uint8_t key = 0; key < 2; key++) {
		CHECK(raw_init(key)); /* node 0 has key byte 1 */
		CHECK(!raw.conn);
		CHECK_EQ(raw.close.code, MESH_BYE_NO_KEY);
		CHECK_STR(rig.nodes[0].end->close_reason,
			  key ? "this is my own key" : "a node key is needed");
		CHECK_EQ(stats_of(0).session_cnt, 0);
		CHECK_EQ(stats_of(0).refused_cnt, 1);
		rig_fini(&rig);
	}
}

static void test_sessions_beyond_the_cap_are_refused(void)
{
	struct mesh_config config;
	struct pair_raw raws[3] = {0};

	mesh_config_defaults(&config);
	config.session_cap = 2;
	memset(&rig, 0, sizeof(rig));
	pair_net_init(&rig.net);
	rig_add(&rig, 0, &config, NULL, RIG_WALL_S);
	for (unsigned i = 0; i < 3; i++) {
		raws[i].end = pair_net_add(&rig.net, (uint8_t)(9 + i), &pair_raw_events, &raws[i]);
		CHECK(pair_raw_dial(&raws[i], pair_addr(1), 1));
		CHECK_EQ(raws[i].conn != NULL, i < 2);
	}
	CHECK_EQ(raws[2].close.code, MESH_BYE_FULL);
	CHECK_EQ(stats_of(0).session_cnt, 2);
	rig_fini(&rig);
}

static int ping_err;
static uint64_t ping_rtt_ns;
static unsigned ping_cnt;

static void ping_done(void *arg, int err, uint64_t rtt_ns)
{
	(void)arg;
	ping_cnt++;
	ping_err = err;
	ping_rtt_ns = rtt_ns;
}

static int ping(unsigned node, uint8_t key_byte)
{
	uint8_t key[MESH_KEY_LEN];

	memset(key, key_byte, sizeof(key));
	ping_cnt = 0;
	return mesh_ping(
		rig.nodes[node].mesh,
		&(struct mesh_ping_ask){
			.key = key, .timeout_ns = 5 * PAIR_S, .done = ping_done, .arg = NULL},
		rig.net.now_ns);
}

static void test_ping_measures_the_round_trip(void)
{
	rig_init(&rig, 2);
	CHECK_EQ(ping(0, 2), WEFT_EABSENT);
	CHECK(rig_connected(&rig, 0, 1));
	for (unsigned node = 0; node < 2; node++) {
		CHECK_EQ(ping(node, (uint8_t)(2 - node)), 0);
		CHECK_EQ(ping(node, (uint8_t)(2 - node)), WEFT_EBUSY);
		pair_net_run(&rig.net, PAIR_S);
		CHECK_EQ(ping_cnt, 1);
		CHECK_EQ(ping_err, 0);
		CHECK_EQ(ping_rtt_ns, 20 * PAIR_MS);
	}
	rig.nodes[0].end->send_full_cnt = 1;
	CHECK_EQ(ping(0, 2), WEFT_EFULL);
	CHECK_EQ(ping(0, 2), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ping_err, 0);
	rig_fini(&rig);
}

static void test_ping_ends_without_an_answer(void)
{
	uint8_t bytes[64];

	CHECK(raw_init(9));
	CHECK_EQ(ping(0, 9), WEFT_EBUSY); /* no control stream yet */
	CHECK(raw_say_hello(RIG_WALL_S));
	CHECK_EQ(ping(0, 9), 0);
	pair_net_run(&rig.net, 6 * PAIR_S);
	CHECK_EQ(ping_cnt, 1);
	CHECK_EQ(ping_err, WEFT_ETIMEOUT);
	/* Too late is nothing. */
	raw_say(0, bytes, rig_frame(bytes, sizeof(bytes), MESH_PONG, 1, 1, "", 0));
	CHECK_EQ(ping_cnt, 1);
	CHECK(raw.conn);
	/* Another peer's is nothing. */
	CHECK_EQ(ping(0, 9), 0);
	raw_say(0, bytes, rig_frame(bytes, sizeof(bytes), MESH_PONG, 1, 1, "", 0));
	CHECK_EQ(ping_cnt, 0);
	/* A peer that does not know ping says so. */
	raw_say(0, bytes, rig_frame(bytes, sizeof(bytes), MESH_ERROR, 2, 3, "", 0));
	CHECK_EQ(ping_cnt, 1);
	CHECK_EQ(ping_err, WEFT_EUNKNOWN);
	CHECK_EQ(ping(0, 9), 0);
	raw.end->transport.ops->close(raw.conn, 0, NULL);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ping_cnt, 1);
	CHECK_EQ(ping_err, WEFT_ECLOSED);
	rig_fini(&rig);
}

static void test_goodbye_is_sent_and_honoured(void)
{
	struct rig_ask ask;
	uint64_t said_at_ns;

	rig_init(&rig, 2);
	CHECK(rig_connected(&rig, 0, 1));
	said_at_ns = rig.net.now_ns;
	mesh_goodbye(rig.nodes[1].mesh, MESH_BYE_SHUTDOWN, 60000, said_at_ns);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(rig.net.conn_open_cnt, 0);
	CHECK_EQ(stats_of(0).session_cnt, 0);
	CHECK_EQ(stats_of(1).session_cnt, 0);
	CHECK_EQ(rig.nodes[0].down_cnt, 1);
	/* The one that left asks no peer; the other does not dial before the time. */
	CHECK_EQ(rig_ask(&rig, &ask, 1, 0, MESH_GET_CHUNK, "abc", 3), WEFT_EREFUSED);
	rig_ask_fini(&ask);
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK, "abc", 3), 0);
	CHECK_EQ(ask.reply_cnt, 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, WEFT_EREFUSED);
	/* In the second half of the minute: peers do not all come at once. */
	said_at_ns += rig.net.delay_ns;
	CHECK(ask.reply.not_before_ns >= said_at_ns + 30 * PAIR_S &&
	      ask.reply.not_before_ns <= said_at_ns + 60 * PAIR_S);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 1);
	rig_ask_fini(&ask);
	pair_net_run(&rig.net, 60 * PAIR_S);
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK, "abc", 3), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 2);
	rig_ask_fini(&ask);
	rig_fini(&rig);
}

static void test_peer_that_comes_back_by_itself_is_dialled_again(void)
{
	struct mesh_config config;
	struct rig_ask ask;

	rig_init(&rig, 2);
	CHECK(rig_connected(&rig, 0, 1));
	mesh_goodbye(rig.nodes[1].mesh, MESH_BYE_SHUTDOWN, 600000, rig.net.now_ns);
	pair_net_run(&rig.net, PAIR_S);
	mesh_free(rig.nodes[1].mesh);
	mesh_config_defaults(&config);
	rig_add(&rig, 1, &config, NULL, RIG_WALL_S);
	CHECK(rig_connected(&rig, 1, 0)); /* long before the time it gave */
	pair_net_close_dialled(&rig.net, 1);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(stats_of(0).session_cnt, 0);
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK, "abc", 3), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 2);
	rig_ask_fini(&ask);
	rig_fini(&rig);
}

static void test_goodbye_to_a_deaf_peer_ends_by_closing(void)
{
	const uint8_t *payload;
	struct mesh_frame frame;
	struct mesh_bye bye;

	CHECK(raw_init(9));
	CHECK(raw_say_hello(RIG_WALL_S));
	mesh_goodbye(rig.nodes[0].mesh, MESH_BYE_SHUTDOWN, 5000, rig.net.now_ns);
	pair_net_run(&rig.net, 150 * PAIR_MS);
	CHECK(raw.conn);
	CHECK(frame_on(0, 1, &frame, &payload));
	CHECK_EQ(frame.type, MESH_GOODBYE);
	CHECK_EQ(mesh_bye_parse(payload, frame.payload_len, &bye), 0);
	CHECK_EQ(bye.reason, MESH_BYE_SHUTDOWN);
	CHECK(bye.not_before_ms >= 2500 && bye.not_before_ms <= 5000);
	pair_net_run(&rig.net, 200 * PAIR_MS);
	CHECK(!raw.conn);
	CHECK_EQ(raw.close.code, MESH_BYE_SHUTDOWN);
	CHECK(!pair_raw_dial(&raw, pair_addr(1), 1) || !raw.conn);
	rig_fini(&rig);
}

static void test_endless_not_before_is_cut_to_an_hour(void)
{
	uint8_t bytes[64];
	struct rig_ask ask;

	CHECK(raw_init(9));
	CHECK(raw_say_hello(RIG_WALL_S));
	raw_say(0, bytes,
		rig_frame(bytes, sizeof(bytes), MESH_GOODBYE, 0, 0,
			  "\xa2\x00\x01\x01\x1b\xff\xff\xff\xff\xff\xff\xff\xff", 13));
	CHECK(!raw.conn);
	CHECK_EQ(rig_ask(&rig, &ask, 0, 8, MESH_GET_CHUNK, "abc", 3), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ask.reply.err, WEFT_EREFUSED);
	CHECK(ask.reply.not_before_ns <= rig.net.now_ns + 3600 * PAIR_S);
	rig_ask_fini(&ask);
	rig_fini(&rig);
}

static void test_session_id_is_the_same_on_both_sides(void)
{
	uint8_t ids[2][MESH_SESSION_ID_LEN], key[MESH_KEY_LEN];

	rig_init(&rig, 2);
	memset(key, 2, sizeof(key));
	CHECK_EQ(mesh_session_id(rig.nodes[0].mesh, key, ids[0]), WEFT_EABSENT);
	CHECK(rig_connected(&rig, 0, 1));
	CHECK_EQ(mesh_session_id(rig.nodes[0].mesh, key, ids[0]), 0);
	memset(key, 1, sizeof(key));
	CHECK_EQ(mesh_session_id(rig.nodes[1].mesh, key, ids[1]), 0);
	CHECK_MEM(ids[0], ids[1], sizeof(ids[0]));
	rig_fini(&rig);
}

/* A node of several workers may dial a peer of another worker. */
static void test_retired_session_that_its_dialler_leaves_alone_is_closed(void)
{
	struct transport_conn *first = NULL;
	uint8_t bytes[256];

	raw = (struct pair_raw){.conn = NULL};
	rig_init(&rig, 1);
	raw.end = pair_net_add(&rig.net, 9, &pair_raw_events, &raw);
	for (unsigned i = 0; i < 2; i++) {
		CHECK(pair_raw_dial(&raw, pair_addr(1), 1));
		first = i ? first : raw.conn;
		pair_raw_send(&raw, pair_raw_open(&raw), bytes,
			      rig_hello(bytes, sizeof(bytes), RIG_WALL_S), false);
		pair_net_run(&rig.net, PAIR_S);
	}
	CHECK(raw.conn != first);
	CHECK_EQ(stats_of(0).session_cnt, 2);
	pair_net_run(&rig.net, 7 * PAIR_S);
	CHECK_EQ(stats_of(0).session_cnt, 2);
	pair_net_run(&rig.net, 6 * PAIR_S);
	CHECK_EQ(stats_of(0).session_cnt, 1);
	CHECK_EQ(rig.nodes[0].end->close_code, MESH_BYE_DUPLICATE);
	CHECK(raw.conn != NULL);
	rig_fini(&rig);
}

static void test_connected_peers_are_listed_first(void)
{
	struct mesh_walk walk = {0};
	struct mesh_peer_info peer;
	char seen[16] = "";

	rig_init(&rig, 4);
	for (unsigned i = 1; i < 4; i++)
		CHECK(rig_connected(&rig, 0, i));
	mesh_goodbye(rig.nodes[1].mesh, 0, 0, rig.net.now_ns);
	pair_net_run(&rig.net, PAIR_S);
	for (size_t len = 0; len < 8 && mesh_peers_next(rig.nodes[0].mesh, &walk, &peer);
	     len += 2) {
		seen[len] = (char)('0' + peer.key[0]);
		seen[len + 1] = peer.is_connected ? '+' : '-';
	}
	CHECK(strcmp(seen, "3+4+2-") == 0 || strcmp(seen, "4+3+2-") == 0);
	rig_fini(&rig);
}

static void test_last_seen_follows_a_clock_that_was_set(void)
{
	struct mesh_peer_info peer = {0};

	rig_init(&rig, 2);
	CHECK(rig_connected(&rig, 0, 1));
	/* Nothing happened since: the clock is set later than the last event. */
	mesh_set_wall(rig.nodes[0].mesh, RIG_WALL_S + 60, rig.net.now_ns + 60 * PAIR_S);
	CHECK(mesh_peers_next(rig.nodes[0].mesh, &(struct mesh_walk){0}, &peer));
	CHECK_EQ(peer.last_seen_s, RIG_WALL_S + 60);
	rig_fini(&rig);
}

static void test_skew_of_a_peer_follows_a_clock_that_was_set(void)
{
	struct mesh_peer_info peer = {0};

	rig_init(&rig, 2);
	CHECK(rig_connected(&rig, 0, 1));
	CHECK(mesh_peers_next(rig.nodes[0].mesh, &(struct mesh_walk){0}, &peer));
	CHECK_EQ(peer.skew_s, 0);
	mesh_set_wall(rig.nodes[0].mesh, RIG_WALL_S + 3600 + 10, rig.net.now_ns + 10 * PAIR_S);
	CHECK(mesh_peers_next(rig.nodes[0].mesh, &(struct mesh_walk){0}, &peer));
	CHECK(peer.skew_s <= -3599 && peer.skew_s >= -3601);
	mesh_set_wall(rig.nodes[0].mesh, RIG_WALL_S + 20, rig.net.now_ns + 20 * PAIR_S);
	CHECK(mesh_peers_next(rig.nodes[0].mesh, &(struct mesh_walk){0}, &peer));
	CHECK(peer.skew_s <= 1 && peer.skew_s >= -1);
	rig_fini(&rig);
}

int main(void)
{
	RUN(test_peer_without_a_key_or_with_the_own_key_is_closed_with_a_reason);
	RUN(test_sessions_beyond_the_cap_are_refused);
	RUN(test_ping_measures_the_round_trip);
	RUN(test_ping_ends_without_an_answer);
	RUN(test_goodbye_is_sent_and_honoured);
	RUN(test_peer_that_comes_back_by_itself_is_dialled_again);
	RUN(test_goodbye_to_a_deaf_peer_ends_by_closing);
	RUN(test_endless_not_before_is_cut_to_an_hour);
	RUN(test_session_id_is_the_same_on_both_sides);
	RUN(test_retired_session_that_its_dialler_leaves_alone_is_closed);
	RUN(test_connected_peers_are_listed_first);
	RUN(test_skew_of_a_peer_follows_a_clock_that_was_set);
	RUN(test_last_seen_follows_a_clock_that_was_set);
	return check_done();
}

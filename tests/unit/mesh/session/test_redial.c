/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/mesh_rig.h"

#include "mesh/session/hello.h"

/*
 * Node 0 asks node 1, which is killed without a word and may come back
 * elsewhere. Node 1 echoes chunks and keeps what is asked for hashes.
 */
static struct rig rig;
static struct rig_ask ask, later;
static struct rig_kept kept;

static struct mesh_stats stats_of(unsigned node)
{
	struct mesh_stats stats;

	mesh_stats(rig.nodes[node].mesh, &stats);
	return stats;
}

static void handle_all(unsigned node)
{
	const struct mesh_ops *ops = rig.nodes[node].seam.ops;

	kept.ops = ops;
	kept.wants_gone = true;
	(void)ops->handle(rig.nodes[node].mesh, MESH_GET_CHUNK, rig_echo, &rig.nodes[node]);
	(void)ops->handle(rig.nodes[node].mesh, MESH_GET_CHUNK_HASHES, rig_keep, &kept);
}

static bool nodes_init(void)
{
	memset(&kept, 0, sizeof(kept));
	memset(&ask, 0, sizeof(ask));
	memset(&later, 0, sizeof(later));
	rig_init(&rig, 2);
	handle_all(0);
	handle_all(1);
	return rig_connected(&rig, 0, 1);
}

static void nodes_fini(void)
{
	rig_ask_fini(&ask);
	rig_ask_fini(&later);
	rig_fini(&rig);
}

static void revive_peer_at(struct addr addr)
{
	rig_revive(&rig, 1, addr);
	handle_all(1);
}

static unsigned dial_cnt(void)
{
	return rig.nodes[0].end->dial_cnt - 1; /* the first made the session */
}

static int ask_at(struct rig_ask *out_ask, struct addr addr, unsigned type)
{
	struct mesh_ask call = {.peer = {.addrs = &addr, .addr_cnt = 1},
				.type = type,
				.payload = "abc",
				.payload_len = 3,
				.timeout_ns = 60 * PAIR_S};

	memset(call.peer.key, 2, MESH_KEY_LEN);
	return rig_ask_with(&rig, out_ask, 0, &call);
}

static void test_killed_peer_is_reached_at_its_new_address(void)
{
	struct addr moved = pair_addr(99);

	CHECK(nodes_init());
	rig_kill(&rig, 1);
	revive_peer_at(moved);
	CHECK_EQ(ask_at(&ask, moved, MESH_GET_CHUNK), 0);
	pair_net_run(&rig.net, 260 * PAIR_MS);
	CHECK_EQ(dial_cnt(), 1);
	/* Asked while the race is on: it waits for the winner. */
	CHECK_EQ(ask_at(&later, moved, MESH_GET_CHUNK), 0);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, WEFT_ECLOSED);
	CHECK_EQ(later.reply_cnt, 1);
	CHECK_EQ(later.reply.err, 0);
	CHECK_EQ(stats_of(0).session_cnt, 1);
	CHECK_EQ(rig.nodes[0].end->close_code, MESH_BYE_DUPLICATE);
	CHECK_STR(rig.nodes[0].end->close_reason, "another session answers");
	nodes_fini();
}

static void test_killed_peer_is_reached_at_its_old_address(void)
{
	CHECK(nodes_init());
	rig_kill(&rig, 1);
	CHECK_EQ(ask_at(&ask, pair_addr(2), MESH_GET_CHUNK), 0);
	pair_net_run(&rig.net, 500 * PAIR_MS);
	revive_peer_at(pair_addr(2));
	/* The session itself is asked there first: a sender of stateless resets is back at once. */
	pair_net_run(&rig.net, 7000 * PAIR_MS);
	CHECK_EQ(dial_cnt(), 0);
	pair_net_run(&rig.net, 500 * PAIR_MS);
	CHECK_EQ(dial_cnt(), 1);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, WEFT_ECLOSED);
	CHECK_EQ(ask_at(&later, pair_addr(2), MESH_GET_CHUNK), 0);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	CHECK_EQ(later.reply_cnt, 1);
	CHECK_EQ(later.reply.err, 0);
	nodes_fini();
}

/* For for_ns, with an answer to each port probe. */
static void run_answering(uint64_t for_ns, enum mesh_port_probe answer)
{
	uint64_t until_ns = rig.net.now_ns + for_ns;
	unsigned told_cnt = 0;

	while (rig.net.now_ns < until_ns) {
		pair_net_run(&rig.net, 10 * PAIR_MS);
		if (rig.nodes[0].port_probe_cnt == told_cnt)
			continue;
		told_cnt = rig.nodes[0].port_probe_cnt;
		mesh_knocked(rig.nodes[0].mesh, &rig.nodes[0].knocked, answer, rig.net.now_ns);
	}
}

/* Without a stateless reset: a program listens there, and it is not the session's peer. */
static void test_peer_that_is_back_is_noticed_by_a_port_probe(void)
{
	CHECK(nodes_init());
	rig_kill(&rig, 1);
	CHECK_EQ(ask_at(&ask, pair_addr(2), MESH_GET_CHUNK), 0);
	pair_net_run(&rig.net, 500 * PAIR_MS);
	revive_peer_at(pair_addr(2));
	run_answering(1000 * PAIR_MS, MESH_PORT_PROBE_THERE);
	CHECK(rig.nodes[0].port_probe_cnt > 0);
	CHECK_EQ(dial_cnt(), 1);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, WEFT_ECLOSED);
	CHECK_EQ(ask_at(&later, pair_addr(2), MESH_GET_CHUNK), 0);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	CHECK_EQ(later.reply.err, 0);
	nodes_fini();
}

/* Its answer is on its way when the port probe's comes. */
static void test_answered_port_probe_ends_no_session_that_answers_too(void)
{
	CHECK(nodes_init());
	rig.net.delay_ns = 550 * PAIR_MS;
	CHECK_EQ(ask_at(&ask, pair_addr(2), MESH_GET_CHUNK_HASHES), 0);
	run_answering(20 * PAIR_S, MESH_PORT_PROBE_THERE);
	CHECK(rig.nodes[0].port_probe_cnt > 0);
	CHECK_EQ(dial_cnt(), 0);
	CHECK_EQ(ask.reply_cnt, 0);
	CHECK_EQ(rig.nodes[0].down_cnt, 0);
	nodes_fini();
}

static void test_host_that_says_port_unreachable_is_believed_after_a_moment(void)
{
	CHECK(nodes_init());
	rig_kill(&rig, 1);
	pair_net_rule(&rig.net, pair_addr(2), PAIR_SILENT, 0);
	CHECK_EQ(ask_at(&ask, pair_addr(2), MESH_GET_CHUNK), 0);
	run_answering(1600 * PAIR_MS, MESH_PORT_PROBE_NOBODY);
	CHECK_EQ(ask.reply_cnt, 0);
	run_answering(500 * PAIR_MS, MESH_PORT_PROBE_NOBODY);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, WEFT_ECLOSED);
	CHECK_EQ(rig.nodes[0].end->close_code, MESH_BYE_SILENT);
	CHECK_EQ(stats_of(0).session_cnt, 0);
	nodes_fini();
}

/* Askers that wait for 300 ms each, and rest between, would never see the end of it. */
static void test_port_unreachable_outlives_its_waiters(void)
{
	CHECK(nodes_init());
	rig_kill(&rig, 1);
	pair_net_rule(&rig.net, pair_addr(2), PAIR_SILENT, 0);
	CHECK_EQ(ask_at(&ask, pair_addr(2), MESH_GET_CHUNK), 0);
	run_answering(1100 * PAIR_MS, MESH_PORT_PROBE_NOBODY);
	CHECK(rig.nodes[0].port_probe_cnt > 0);
	rig.nodes[0].seam.ops->cancel(ask.request);
	run_answering(1000 * PAIR_MS, MESH_PORT_PROBE_NOBODY);
	CHECK_EQ(stats_of(0).session_cnt, 0);
	nodes_fini();
}

/* A word that can be forged, or a gateway's: a peer that is only slow keeps its session. */
static void test_port_unreachable_ends_no_session_that_answers(void)
{
	CHECK(nodes_init());
	rig.net.delay_ns = 700 * PAIR_MS; /* answers after 1.4 s */
	CHECK_EQ(ask_at(&ask, pair_addr(2), MESH_GET_CHUNK_HASHES), 0);
	run_answering(30 * PAIR_S, MESH_PORT_PROBE_NOBODY);
	CHECK(rig.nodes[0].port_probe_cnt > 0);
	CHECK_EQ(ask.reply_cnt, 0);
	CHECK_EQ(rig.nodes[0].down_cnt, 0);
	nodes_fini();
}

/* What it dialled us from may be a port of its gateway that is open for us alone. */
static void test_port_unreachable_counts_at_the_dialled_address(void)
{
	struct mesh_ask call = {.type = MESH_GET_CHUNK, .timeout_ns = 60 * PAIR_S};

	memset(&ask, 0, sizeof(ask));
	memset(&later, 0, sizeof(later));
	rig_init(&rig, 2);
	handle_all(0);
	handle_all(1);
	CHECK(rig_connected(&rig, 1, 0));
	rig_kill(&rig, 1);
	pair_net_rule(&rig.net, pair_addr(2), PAIR_SILENT, 0);
	memset(call.peer.key, 2, MESH_KEY_LEN);
	CHECK_EQ(rig_ask_with(&rig, &ask, 0, &call), 0);
	run_answering(6 * PAIR_S, MESH_PORT_PROBE_NOBODY);
	CHECK(rig.nodes[0].port_probe_cnt > 2);
	CHECK_EQ(ask.reply_cnt, 0);
	CHECK_EQ(stats_of(0).session_cnt, 1);
	nodes_fini();
}

static void test_peer_that_dials_us_again_frees_what_hangs(void)
{
	CHECK(nodes_init());
	pair_net_run(&rig.net, 5 * PAIR_S); /* its next dial is no simultaneous one */
	rig_kill(&rig, 1);
	CHECK_EQ(ask_at(&ask, pair_addr(2), MESH_GET_CHUNK), 0);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	revive_peer_at(pair_addr(99));
	CHECK_EQ(rig_ask(&rig, &later, 1, 0, MESH_GET_CHUNK, "abc", 3), 0);
	pair_net_run(&rig.net, 800 * PAIR_MS);
	CHECK_EQ(later.reply_cnt, 1);
	CHECK_EQ(ask.reply_cnt, 0); /* the old session had no time to answer yet */
	pair_net_run(&rig.net, 200 * PAIR_MS);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, WEFT_ECLOSED);
	CHECK_EQ(dial_cnt(), 0);
	CHECK_EQ(stats_of(0).session_cnt, 1);
	nodes_fini();
}

static void test_session_that_owes_nothing_is_never_doubted(void)
{
	CHECK(nodes_init());
	/* One request is acknowledged and its answer takes long; one is answered. */
	CHECK_EQ(ask_at(&ask, pair_addr(99), MESH_GET_CHUNK_HASHES), 0);
	CHECK_EQ(ask_at(&later, pair_addr(99), MESH_GET_CHUNK), 0);
	pair_net_run(&rig.net, 50 * PAIR_S);
	CHECK_EQ(later.reply.err, 0);
	CHECK_EQ(dial_cnt(), 0);
	CHECK_EQ(ask.reply_cnt, 0);
	CHECK_EQ(kept.ops->answer(kept.incoming[0], MESH_CHUNK_HASH_LIST, "x", 1, NULL), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ask.reply.err, 0);
	/* Dead and asked nothing, it is idle; a request taken back owes nothing. */
	rig_kill(&rig, 1);
	pair_net_run(&rig.net, 50 * PAIR_S);
	rig_ask_fini(&ask);
	CHECK_EQ(ask_at(&ask, pair_addr(99), MESH_GET_CHUNK), 0);
	rig.nodes[0].seam.ops->cancel(ask.request);
	pair_net_run(&rig.net, 50 * PAIR_S);
	CHECK_EQ(dial_cnt(), 0);
	CHECK_EQ(stats_of(0).session_cnt, 1);
	nodes_fini();
}

static void test_late_answer_of_the_session_ends_the_dial(void)
{
	struct addr silent = pair_addr(50);

	CHECK(nodes_init());
	pair_net_rule(&rig.net, silent, PAIR_SILENT, 0);
	rig.net.delay_ns = 700 * PAIR_MS; /* an answer after 1.4 s */
	CHECK_EQ(ask_at(&ask, silent, MESH_GET_CHUNK), 0);
	pair_net_run(&rig.net, 400 * PAIR_MS);
	CHECK_EQ(dial_cnt(), 1);
	CHECK_EQ(ask_at(&later, silent, MESH_GET_CHUNK), 0);
	pair_net_run(&rig.net, 1300 * PAIR_MS);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, 0);
	CHECK_EQ(rig.nodes[0].end->close_code, MESH_BYE_DUPLICATE);
	pair_net_run(&rig.net, 1500 * PAIR_MS);
	CHECK_EQ(later.reply_cnt, 1);
	CHECK_EQ(later.reply.err, 0);
	CHECK_EQ(stats_of(0).session_cnt, 1);
	CHECK_EQ(rig.nodes[0].down_cnt, 0);
	nodes_fini();
}

/* A connection that is proved after the session has stirred is one too many. */
static void test_request_that_lives_outlives_the_redial(void)
{
	CHECK(nodes_init());
	rig.net.delay_ns = 3880 * PAIR_MS; /* stirs 10 ms after the dial began */
	CHECK_EQ(ask_at(&ask, pair_addr(2), MESH_GET_CHUNK_HASHES), 0);
	pair_net_run(&rig.net, 7700 * PAIR_MS);
	rig.net.delay_ns = 10 * PAIR_MS; /* proved another 10 ms later */
	pair_net_run(&rig.net, 300 * PAIR_MS);
	CHECK_EQ(dial_cnt(), 1);
	CHECK_EQ(stats_of(0).session_cnt, 1);
	pair_net_run(&rig.net, 10 * PAIR_S);
	CHECK_EQ(ask.reply_cnt, 0);
	CHECK_EQ(kept.ops->answer(kept.incoming[0], MESH_CHUNK_HASH_LIST, "x", 1, NULL), 0);
	pair_net_run(&rig.net, 10 * PAIR_S);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, 0);
	CHECK_EQ(stats_of(0).session_cnt, 1);
	CHECK_EQ(rig.nodes[0].down_cnt, 0);
	nodes_fini();
}

static void test_failed_redial_ends_the_session(void)
{
	struct addr nobody = pair_addr(50), silent = pair_addr(51);
	unsigned cnt;

	CHECK(nodes_init());
	rig_kill(&rig, 1);
	pair_net_rule(&rig.net, silent, PAIR_SILENT, 0);
	CHECK_EQ(ask_at(&ask, silent, MESH_GET_CHUNK), 0);
	pair_net_run(&rig.net, 300 * PAIR_MS);
	CHECK_EQ(ask_at(&later, nobody, MESH_GET_CHUNK), 0);
	pair_net_run(&rig.net, 10 * PAIR_S);
	CHECK_EQ(later.reply_cnt, 1);
	CHECK_EQ(later.reply.err, WEFT_EUNREACHABLE);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, WEFT_ECLOSED);
	CHECK_EQ(rig.nodes[0].end->close_code, MESH_BYE_SILENT);
	CHECK_EQ(stats_of(0).session_cnt, 0);
	CHECK_EQ(rig.nodes[0].down_cnt, 1);
	/* Those two and where the session is, and what is silent again; no other without an ask. */
	cnt = dial_cnt();
	CHECK(cnt >= 3);
	pair_net_run(&rig.net, 40 * PAIR_S);
	CHECK_EQ(dial_cnt(), cnt);
	nodes_fini();
}

/* Its peer may be well, and this node has no room for one more connection. */
static void test_redial_without_room_leaves_the_session(void)
{
	CHECK(nodes_init());
	rig_kill(&rig, 1);
	pair_net_rule(&rig.net, pair_addr(2), PAIR_FULL, 0);
	CHECK_EQ(ask_at(&ask, pair_addr(2), MESH_GET_CHUNK), 0);
	pair_net_run(&rig.net, 20 * PAIR_S);
	CHECK(dial_cnt() > 1); /* it is doubted anew as long as it is waited on */
	CHECK_EQ(ask.reply_cnt, 0);
	CHECK_EQ(stats_of(0).session_cnt, 1);
	nodes_fini();
}

static void test_session_that_ends_leaves_the_dial_to_its_waiters(void)
{
	CHECK(nodes_init());
	rig_kill(&rig, 1);
	revive_peer_at(pair_addr(99));
	pair_net_rule(&rig.net, pair_addr(99), PAIR_NORMAL, 500 * PAIR_MS);
	CHECK_EQ(ask_at(&ask, pair_addr(99), MESH_GET_CHUNK), 0);
	pair_net_run(&rig.net, 300 * PAIR_MS);
	CHECK_EQ(ask_at(&later, pair_addr(99), MESH_GET_CHUNK), 0);
	pair_net_close_dialled(&rig.net, 0);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, WEFT_ECLOSED);
	CHECK_EQ(later.reply_cnt, 0);
	pair_net_run(&rig.net, 2 * PAIR_S);
	CHECK_EQ(later.reply_cnt, 1);
	CHECK_EQ(later.reply.err, 0);
	nodes_fini();
}

static unsigned connect_cnt;
static int connect_err;

static void connect_done(void *arg, int err, const uint8_t *actual_key)
{
	(void)arg;
	(void)actual_key;
	connect_cnt++;
	connect_err = err;
}

static int connect_at(struct addr addr)
{
	struct mesh_peer peer = {.addrs = &addr, .addr_cnt = 1};
	int err;

	connect_cnt = 0;
	memset(peer.key, 2, sizeof(peer.key));
	err = mesh_connect(rig.nodes[0].mesh,
			   &(struct mesh_connect){.peer = &peer,
						  .timeout_ns = 20 * PAIR_S,
						  .done = connect_done,
						  .arg = NULL},
			   rig.net.now_ns);
	pair_net_run(&rig.net, 200 * PAIR_MS);
	return err;
}

static void test_connect_elsewhere_dials_there(void)
{
	CHECK(nodes_init());
	CHECK_EQ(connect_at(pair_addr(2)), 0);
	CHECK_EQ(connect_cnt, 1);
	CHECK_EQ(connect_err, 0);
	CHECK_EQ(dial_cnt(), 0);
	CHECK_EQ(connect_at(pair_addr(50)), 0);
	CHECK_EQ(connect_cnt, 1);
	CHECK_EQ(connect_err, WEFT_EUNREACHABLE);
	CHECK_EQ(stats_of(0).session_cnt, 1);
	rig_kill(&rig, 1);
	revive_peer_at(pair_addr(99));
	/* Also when a request has just put the session to the test. */
	CHECK_EQ(ask_at(&ask, pair_addr(2), MESH_GET_CHUNK), 0);
	CHECK_EQ(connect_at(pair_addr(99)), 0);
	CHECK_EQ(connect_cnt, 1);
	CHECK_EQ(connect_err, 0);
	CHECK_EQ(stats_of(0).session_cnt, 2);
	CHECK_EQ(ask_at(&later, pair_addr(99), MESH_GET_CHUNK), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(later.reply.err, 0);
	nodes_fini();
}

int main(void)
{
	RUN(test_killed_peer_is_reached_at_its_new_address);
	RUN(test_killed_peer_is_reached_at_its_old_address);
	RUN(test_peer_that_is_back_is_noticed_by_a_port_probe);
	RUN(test_answered_port_probe_ends_no_session_that_answers_too);
	RUN(test_host_that_says_port_unreachable_is_believed_after_a_moment);
	RUN(test_port_unreachable_outlives_its_waiters);
	RUN(test_port_unreachable_ends_no_session_that_answers);
	RUN(test_port_unreachable_counts_at_the_dialled_address);
	RUN(test_peer_that_dials_us_again_frees_what_hangs);
	RUN(test_session_that_owes_nothing_is_never_doubted);
	RUN(test_late_answer_of_the_session_ends_the_dial);
	RUN(test_request_that_lives_outlives_the_redial);
	RUN(test_failed_redial_ends_the_session);
	RUN(test_redial_without_room_leaves_the_session);
	RUN(test_session_that_ends_leaves_the_dial_to_its_waiters);
	RUN(test_connect_elsewhere_dials_there);
	return check_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Node 0 asks node 1, which acknowledges and keeps the request, and then is
 * killed without a word or lives on.
 */
#include "mesh/mesh_state.h"
#include "support/check.h"
#include "support/mesh_rig.h"
#include "support/stream_user.h"

/* A silent turn of the watch, the race's second, a handshake's time-out in this transport. */
#define NOTICED_WITHIN (13 * PAIR_S)

static struct rig rig;
static struct rig_kept kept;
static struct rig_ask ask, later;
static struct stream_user user;
static struct stream_host host;

static void handle_all(unsigned node)
{
	kept.ops = rig.nodes[node].seam.ops;
	kept.wants_gone = true;
	host.ops = mesh_stream_seam_of(rig.nodes[node].mesh).ops;
	check_failed |=
		kept.ops->handle(rig.nodes[node].mesh, MESH_GET_CHUNK_HASHES, rig_keep, &kept) < 0;
	check_failed |=
		host.ops->accept(rig.nodes[node].mesh, MESH_CALL, stream_host_accept, &host) < 0;
}

static bool nodes_init(void)
{
	memset(&kept, 0, sizeof(kept));
	memset(&ask, 0, sizeof(ask));
	memset(&later, 0, sizeof(later));
	memset(&user, 0, sizeof(user));
	memset(&host, 0, sizeof(host));
	rig_init(&rig, 2);
	handle_all(1);
	return rig_connected(&rig, 0, 1);
}

static void nodes_fini(void)
{
	rig_ask_fini(&ask);
	rig_ask_fini(&later);
	rig_fini(&rig);
}

static void revive_peer(void)
{
	rig_revive(&rig, 1, pair_addr(2));
	handle_all(1);
}

static int ask_kept(struct rig_ask *out_ask)
{
	struct addr addr = pair_addr(2);
	struct mesh_ask call = {.peer = {.addrs = &addr, .addr_cnt = 1},
				.type = MESH_GET_CHUNK_HASHES,
				.timeout_ns = 60 * PAIR_S};

	memset(call.peer.key, 2, MESH_KEY_LEN);
	return rig_ask_with(&rig, out_ask, 0, &call);
}

static struct mesh_stats stats_of(unsigned node)
{
	struct mesh_stats stats;

	mesh_stats(rig.nodes[node].mesh, &stats);
	return stats;
}

static void test_peer_that_dies_with_a_request_in_hand_is_given_up(void)
{
	CHECK(nodes_init());
	CHECK_EQ(ask_kept(&ask), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(kept.cnt, 1);
	rig_kill(&rig, 1);
	pair_net_run(&rig.net, NOTICED_WITHIN);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, WEFT_ECLOSED);
	CHECK_EQ(rig.nodes[0].end->close_code, MESH_BYE_SILENT);
	CHECK_EQ(stats_of(0).session_cnt, 0);
	nodes_fini();
}

static void test_peer_that_is_back_without_the_request_frees_its_asker(void)
{
	CHECK(nodes_init());
	CHECK_EQ(ask_kept(&ask), 0);
	pair_net_run(&rig.net, PAIR_S);
	rig_kill(&rig, 1);
	revive_peer();
	pair_net_run(&rig.net, 13 * PAIR_S);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, WEFT_ECLOSED);
	CHECK_EQ(ask_kept(&later), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(kept.cnt, 2);
	CHECK_EQ(stats_of(0).session_cnt, 1);
	nodes_fini();
}

static void test_peer_that_dies_with_a_stream_open_is_given_up(void)
{
	struct addr addr = pair_addr(2);

	CHECK(nodes_init());
	CHECK_EQ(stream_user_open(&user, mesh_stream_seam_of(rig.nodes[0].mesh), 2, &addr,
				  rig.net.now_ns),
		 0);
	CHECK_EQ(stream_user_say(&user, MESH_CALL, "head", NULL), 0);
	pair_net_run(&rig.net, 20 * PAIR_S);
	CHECK_EQ(user.ended_cnt, 0);
	rig_kill(&rig, 1);
	pair_net_run(&rig.net, NOTICED_WITHIN);
	CHECK_EQ(user.ended_cnt, 1);
	CHECK_EQ(user.end.err, WEFT_ECLOSED);
	nodes_fini();
}

static void test_peer_that_lives_is_asked_for_a_sign_and_no_more(void)
{
	uint64_t said_cnt;

	CHECK(nodes_init());
	CHECK_EQ(ask_kept(&ask), 0);
	pair_net_run(&rig.net, PAIR_S);
	said_cnt = stats_of(0).frame_out_cnt;
	pair_net_run(&rig.net, 30 * PAIR_S);
	CHECK(stats_of(0).frame_out_cnt > said_cnt);
	CHECK(stats_of(0).frame_out_cnt <= said_cnt + 20);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 1);
	CHECK_EQ(ask.reply_cnt, 0);
	CHECK_EQ(kept.ops->answer(kept.incoming[0], MESH_CHUNK_HASH_LIST, "x", 1, NULL), 0);
	pair_net_run(&rig.net, 4 * PAIR_S);
	CHECK_EQ(ask.reply.err, 0);
	/* No request waits any more. */
	said_cnt = stats_of(0).frame_out_cnt;
	pair_net_run(&rig.net, 30 * PAIR_S);
	CHECK_EQ(stats_of(0).frame_out_cnt, said_cnt);
	nodes_fini();
}

int main(void)
{
	RUN(test_peer_that_dies_with_a_request_in_hand_is_given_up);
	RUN(test_peer_that_is_back_without_the_request_frees_its_asker);
	RUN(test_peer_that_dies_with_a_stream_open_is_given_up);
	RUN(test_peer_that_lives_is_asked_for_a_sign_and_no_more);
	return check_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Whom the owner of a mesh will not have. */
#include "mesh/mesh_state.h"
#include "support/check.h"
#include "support/mesh_rig.h"

static struct rig rig;
static uint8_t refused_key; /* the first byte of one; 0: none */
static struct addr refused_addr;

static bool refuses(void *ctx, const uint8_t *key, const struct addr *remote)
{
	(void)ctx;
	return key[0] == refused_key || (refused_addr.family && addr_equal(remote, &refused_addr));
}

static void refuse_init(void)
{
	rig_init(&rig, 3);
	rig.nodes[0].mesh->refuses = refuses;
	refused_key = 0;
	refused_addr = (struct addr){0};
}

static uint32_t session_cnt(unsigned node)
{
	struct mesh_stats stats;

	mesh_stats(rig.nodes[node].mesh, &stats);
	return stats.session_cnt;
}

static void test_a_refused_key_gets_no_session_and_others_do(void)
{
	refuse_init();
	refused_key = 2;
	(void)rig_connected(&rig, 1, 0);
	pair_net_run(&rig.net, 2 * PAIR_S);
	CHECK_EQ(session_cnt(0), 0);
	CHECK_EQ(rig.nodes[0].up_cnt, 0);
	CHECK(rig_connected(&rig, 2, 0));
	CHECK_EQ(session_cnt(0), 1);
	rig_fini(&rig);
}

static void test_expel_closes_what_is_refused_by_now_and_nothing_else(void)
{
	refuse_init();
	CHECK(rig_connected(&rig, 1, 0));
	CHECK(rig_connected(&rig, 2, 0));
	CHECK_EQ(mesh_expel(rig.nodes[0].mesh, rig.net.now_ns), 0);
	refused_key = 2;
	CHECK_EQ(mesh_expel(rig.nodes[0].mesh, rig.net.now_ns), 1);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(session_cnt(0), 1);
	CHECK_EQ(session_cnt(1), 0);
	CHECK_EQ(session_cnt(2), 1);
	CHECK_EQ(rig.nodes[0].last_peer.end.code, MESH_BYE_REFUSED);
	CHECK(!rig.nodes[0].last_peer.end.by_peer);
	/* What closes with the connection cannot tell why. */
	CHECK(rig.nodes[1].last_peer.end.code == MESH_END_UNKNOWN);
	refused_key = 0;
	refused_addr = pair_addr(3);
	CHECK_EQ(mesh_expel(rig.nodes[0].mesh, rig.net.now_ns), 1);
	CHECK_EQ(session_cnt(0), 0);
	rig_fini(&rig);
}

static void test_asking_a_refused_key_fails_and_dials_nobody(void)
{
	struct rig_ask ask;

	refuse_init();
	refused_key = 2;
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK, "x", 1), 0);
	CHECK_EQ(ask.reply_cnt, 0); /* never inside ask */
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, WEFT_EREFUSED);
	CHECK_EQ(session_cnt(1), 0);
	rig_ask_fini(&ask);
	rig_fini(&rig);
}

static void test_expel_fails_a_dial_under_way(void)
{
	struct rig_ask ask;

	refuse_init();
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK, "x", 1), 0);
	refused_key = 2;
	CHECK_EQ(mesh_expel(rig.nodes[0].mesh, rig.net.now_ns), 0);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, WEFT_EREFUSED);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(session_cnt(0), 0);
	rig_ask_fini(&ask);
	rig_fini(&rig);
}

int main(void)
{
	RUN(test_a_refused_key_gets_no_session_and_others_do);
	RUN(test_expel_closes_what_is_refused_by_now_and_nothing_else);
	RUN(test_asking_a_refused_key_fails_and_dials_nobody);
	RUN(test_expel_fails_a_dial_under_way);
	return check_done();
}

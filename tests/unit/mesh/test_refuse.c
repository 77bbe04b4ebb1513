/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that the owner of a mesh refuses. */
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
	rig.nodes[0].mesh->params.refuses = refuses;
	refused_key = 0;
	refused_addr = (struct addr){0};
}

static uint32_t session_cnt(unsigned node)
{
	struct mesh_stats stats;

	mesh_stats(rig.nodes[node].mesh, &stats);
	return stats.session_cnt;
}

static struct mesh_failure failure; /* the last one node 0 told */
static unsigned failure_cnt;

static void on_failure(void *ctx, const struct mesh_failure *told)
{
	(void)ctx;
	failure = *told;
	failure_cnt++;
}

static void test_a_peer_without_a_session_is_reported(void)
{
	refuse_init();
	rig.nodes[0].mesh->params.on_failure = on_failure;
	failure_cnt = 0;
	refused_key = 2;
	(void)rig_connected(&rig, 1, 0);
	pair_net_run(&rig.net, 2 * PAIR_S);
	CHECK(failure_cnt > 0);
	CHECK(!failure.is_dialler);
	CHECK_EQ(failure.key[0], 2);
	CHECK_EQ(failure.end.err, WEFT_EREFUSED);
	CHECK_EQ(failure.end.code, MESH_BYE_REFUSED);
	rig_fini(&rig);
}

static void test_every_dial_that_fails_is_reported_with_its_place(void)
{
	struct addr addrs[2] = {pair_addr(50), pair_addr(3)};
	struct mesh_ask call = {.peer = {.addrs = addrs, .addr_cnt = 2},
				.type = MESH_GET_CHUNK,
				.timeout_ns = 20 * PAIR_S};
	struct rig_ask ask;

	refuse_init();
	rig.nodes[0].mesh->params.on_failure = on_failure;
	failure_cnt = 0;
	memset(call.peer.key, 2, MESH_KEY_LEN);
	CHECK_EQ(rig_ask_with(&rig, &ask, 0, &call), 0);
	pair_net_run(&rig.net, 10 * PAIR_S);
	CHECK_EQ(ask.reply.err, WEFT_EWRONGKEY);
	CHECK_EQ(failure_cnt, 2);
	CHECK(failure.is_dialler);
	CHECK_EQ(failure.key[0], 2);
	CHECK(addr_equal(&failure.remote, &addrs[1]));
	CHECK_EQ(failure.end.err, WEFT_EWRONGKEY);
	CHECK(failure.end.has_key);
	CHECK_EQ(failure.end.actual_key[0], 3);
	rig_ask_fini(&ask);
	rig_fini(&rig);
}

static void test_a_dial_that_is_given_up_is_reported(void)
{
	struct addr silent = pair_addr(50);
	struct mesh_ask call = {.peer = {.addrs = &silent, .addr_cnt = 1},
				.type = MESH_GET_CHUNK,
				.timeout_ns = PAIR_S};
	struct rig_ask ask;

	refuse_init();
	rig.nodes[0].mesh->params.on_failure = on_failure;
	failure_cnt = 0;
	pair_net_rule(&rig.net, silent, PAIR_SILENT, 0);
	memset(call.peer.key, 2, MESH_KEY_LEN);
	CHECK_EQ(rig_ask_with(&rig, &ask, 0, &call), 0);
	pair_net_run(&rig.net, 2 * PAIR_S);
	CHECK_EQ(ask.reply.err, WEFT_EUNREACHABLE);
	CHECK_EQ(failure_cnt, 1);
	CHECK(addr_equal(&failure.remote, &silent));
	CHECK_EQ(failure.end.err, WEFT_ECANCELLED);
	rig_ask_fini(&ask);
	rig_fini(&rig);
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
	CHECK_EQ(rig.nodes[1].last_peer.end.code, MESH_BYE_REFUSED);
	CHECK(rig.nodes[1].last_peer.end.by_peer);
	refused_key = 0;
	refused_addr = pair_addr(3);
	CHECK_EQ(mesh_expel(rig.nodes[0].mesh, rig.net.now_ns), 1);
	CHECK_EQ(session_cnt(0), 0);
	rig_fini(&rig);
}

static void test_asking_a_refused_key_fails_without_a_dial(void)
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

static void test_a_refused_address_is_not_dialled(void)
{
	struct rig_ask ask;

	refuse_init();
	refused_addr = pair_addr(2);
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK, "x", 1), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, WEFT_EREFUSED);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 0);
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
	RUN(test_a_peer_without_a_session_is_reported);
	RUN(test_every_dial_that_fails_is_reported_with_its_place);
	RUN(test_a_dial_that_is_given_up_is_reported);
	RUN(test_a_refused_key_gets_no_session_and_others_do);
	RUN(test_expel_closes_what_is_refused_by_now_and_nothing_else);
	RUN(test_asking_a_refused_key_fails_without_a_dial);
	RUN(test_a_refused_address_is_not_dialled);
	RUN(test_expel_fails_a_dial_under_way);
	return check_done();
}

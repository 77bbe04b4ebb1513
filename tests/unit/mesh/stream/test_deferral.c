/* SPDX-License-Identifier: Apache-2.0 */
/* A peer that told when to come back is not asked before, by anything of this node. */
#include "mesh/stream/deferral.h"

#include <string.h>

#include "mesh/stream/mesh_frame.h"
#include "support/check.h"
#include "support/mesh_rig.h"
#include "support/stream_user.h"

static struct mesh_deferrals deferrals;
static struct rig rig;
static struct rig_ask asks[4];
static struct rig_kept kept;

static const uint8_t *key_of(unsigned n)
{
	static uint8_t key[MESH_KEY_LEN];

	memset(key, 0, sizeof(key));
	memcpy(key, &n, sizeof(n));
	return key;
}

static void test_a_deferral_of_one_message_concerns_no_other(void)
{
	memset(&deferrals, 0, sizeof(deferrals));
	mesh_deferrals_note(&deferrals, key_of(1), MESH_GET_CHUNK, 200, 100);
	CHECK_EQ(mesh_deferrals_until(&deferrals, key_of(1), MESH_GET_CHUNK, 199), 200);
	CHECK_EQ(mesh_deferrals_until(&deferrals, key_of(1), MESH_GET_CHUNK, 200), 0);
	CHECK_EQ(mesh_deferrals_until(&deferrals, key_of(1), MESH_FIND_NODE, 100), 0);
	CHECK_EQ(mesh_deferrals_until(&deferrals, key_of(1), MESH_DEFER_ALL, 100), 0);
	CHECK_EQ(mesh_deferrals_until(&deferrals, key_of(2), MESH_GET_CHUNK, 100), 0);
	mesh_deferrals_note(&deferrals, key_of(1), MESH_DEFER_ALL, 300, 100);
	CHECK_EQ(mesh_deferrals_until(&deferrals, key_of(1), MESH_FIND_NODE, 100), 300);
	CHECK_EQ(mesh_deferrals_until(&deferrals, key_of(1), MESH_GET_CHUNK, 100), 300);
	CHECK_EQ(mesh_deferrals_cnt(&deferrals, 100), 2);
	CHECK_EQ(mesh_deferrals_cnt(&deferrals, 200), 1);
	mesh_deferrals_forget(&deferrals, key_of(1), MESH_DEFER_ALL);
	CHECK_EQ(mesh_deferrals_until(&deferrals, key_of(1), MESH_GET_CHUNK, 100), 200);
	mesh_deferrals_forget(&deferrals, key_of(2), MESH_GET_CHUNK);
	mesh_deferrals_forget(&deferrals, key_of(1), MESH_FIND_NODE);
	CHECK_EQ(mesh_deferrals_until(&deferrals, key_of(1), MESH_GET_CHUNK, 100), 200);
	mesh_deferrals_forget(&deferrals, key_of(1), MESH_GET_CHUNK);
	CHECK_EQ(mesh_deferrals_until(&deferrals, key_of(1), MESH_GET_CHUNK, 100), 0);
}

static void test_a_later_time_counts_and_an_earlier_one_does_not(void)
{
	memset(&deferrals, 0, sizeof(deferrals));
	mesh_deferrals_note(&deferrals, key_of(1), MESH_CALL, 200, 100);
	mesh_deferrals_note(&deferrals, key_of(1), MESH_CALL, 150, 100);
	CHECK_EQ(mesh_deferrals_until(&deferrals, key_of(1), MESH_CALL, 100), 200);
	mesh_deferrals_note(&deferrals, key_of(1), MESH_CALL, 250, 100);
	CHECK_EQ(mesh_deferrals_until(&deferrals, key_of(1), MESH_CALL, 100), 250);
	/* A time that is over is none, also when the clock goes back. */
	mesh_deferrals_note(&deferrals, key_of(2), MESH_CALL, 100, 100);
	CHECK_EQ(mesh_deferrals_until(&deferrals, key_of(2), MESH_CALL, 50), 0);
}

static void test_a_full_table_forgets_what_ends_first(void)
{
	enum { CAP = MESH_DEFERRAL_SET_CNT * MESH_DEFERRAL_SET_WAYS };
	unsigned kept_cnt = 0;

	memset(&deferrals, 0, sizeof(deferrals));
	for (unsigned i = 0; i < 100 * CAP; i++)
		mesh_deferrals_note(&deferrals, key_of(i), MESH_CALL, 1000 + i, 1);
	CHECK_EQ(mesh_deferrals_cnt(&deferrals, 1), CAP);
	/* The last of each set are there. */
	for (unsigned i = 99 * CAP; i < 100 * CAP; i++)
		kept_cnt += mesh_deferrals_until(&deferrals, key_of(i), MESH_CALL, 1) != 0;
	CHECK(kept_cnt > CAP / 2);
	CHECK(mesh_deferrals_until(&deferrals, key_of(100 * CAP - 1), MESH_CALL, 1));
}

/* --- between two nodes --- */

static void pair_open(void)
{
	struct mesh_config config;

	memset(&rig, 0, sizeof(rig));
	memset(&kept, 0, sizeof(kept));
	mesh_config_defaults(&config);
	pair_net_init(&rig.net);
	for (unsigned i = 0; i < 2; i++)
		rig_add(&rig, i, &config, NULL, RIG_WALL_S);
	kept.ops = rig.nodes[1].seam.ops;
	CHECK_EQ(kept.ops->handle(rig.nodes[1].mesh, MESH_GET_CHUNK, rig_keep, &kept), 0);
	CHECK_EQ(kept.ops->handle(rig.nodes[1].mesh, MESH_GET_MANIFEST, rig_keep, &kept), 0);
}

static void pair_close(void)
{
	for (unsigned i = 0; i < 4; i++)
		rig_ask_fini(&asks[i]);
	rig_fini(&rig);
}

static void ask(unsigned i, unsigned type)
{
	CHECK_EQ(rig_ask(&rig, &asks[i], 0, 1, type, "abc", 3), 0);
}

/* Node 1 answers the first request as busy for ms. */
static void pair_open_busy(uint64_t ms)
{
	pair_open();
	ask(0, MESH_GET_CHUNK);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(kept.cnt, 1);
	kept.ops->answer_error(kept.incoming[0], MESH_CODE_BUSY, "busy", ms);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(asks[0].reply.err, WEFT_EBUSY);
}

static void test_a_request_waits_for_the_time_of_a_busy_peer(void)
{
	uint64_t not_before_ns;

	pair_open_busy(5000);
	not_before_ns = asks[0].reply.not_before_ns;
	ask(1, MESH_GET_CHUNK);
	ask(2, MESH_GET_MANIFEST);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	CHECK_EQ(kept.cnt, 2); /* the manifest, which was not refused */
	pair_net_run(&rig.net, not_before_ns - rig.net.now_ns - PAIR_MS);
	CHECK_EQ(kept.cnt, 2);
	CHECK_EQ(asks[1].reply_cnt, 0);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	CHECK_EQ(kept.cnt, 3);
	pair_close();
}

static void test_a_request_without_the_time_fails_with_it(void)
{
	pair_open_busy(11500); /* of 20 s that a request has */
	ask(1, MESH_GET_CHUNK);
	pair_net_run(&rig.net, PAIR_MS);
	CHECK_EQ(asks[1].reply_cnt, 1);
	CHECK_EQ(asks[1].reply.err, WEFT_EBUSY);
	CHECK_EQ(asks[1].reply.not_before_ns, asks[0].reply.not_before_ns);
	CHECK_EQ(kept.cnt, 1);
	pair_net_run(&rig.net, 2 * PAIR_S);
	ask(2, MESH_GET_CHUNK);
	pair_net_run(&rig.net, 11 * PAIR_S);
	CHECK_EQ(kept.cnt, 2);
	pair_close();
}

static void test_a_waiting_request_can_be_taken_back(void)
{
	pair_open_busy(5000);
	ask(1, MESH_GET_CHUNK);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	rig.nodes[0].seam.ops->cancel(asks[1].request);
	pair_net_run(&rig.net, 30 * PAIR_S);
	CHECK_EQ(asks[1].reply_cnt, 0);
	CHECK_EQ(kept.cnt, 1);
	pair_close();
}

static void test_a_peer_without_a_place_is_dialled_when_it_said(void)
{
	pair_open();
	CHECK(rig_connected(&rig, 0, 1));
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 1);
	pair_net_close_busy(&rig.net, 0, 3000);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	ask(0, MESH_GET_CHUNK);
	pair_net_run(&rig.net, 2800 * PAIR_MS);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 1);
	CHECK_EQ(asks[0].reply_cnt, 0);
	pair_net_run(&rig.net, 200 * PAIR_MS);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 2);
	CHECK_EQ(kept.cnt, 1);
	pair_close();
}

static void test_a_peer_away_for_longer_than_a_request_is_not_dialled(void)
{
	uint64_t closed_ns;

	pair_open();
	CHECK(rig_connected(&rig, 0, 1));
	closed_ns = rig.net.now_ns;
	pair_net_close_busy(&rig.net, 0, 30000);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	ask(0, MESH_GET_CHUNK);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(asks[0].reply.err, WEFT_EREFUSED);
	CHECK_EQ(asks[0].reply.not_before_ns, closed_ns + 30 * PAIR_S);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 1);
	pair_close();
}

static void test_a_request_on_its_way_hears_when_to_come_back(void)
{
	uint64_t closed_ns;

	pair_open();
	CHECK(rig_connected(&rig, 0, 1));
	ask(0, MESH_GET_CHUNK);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(kept.cnt, 1);
	closed_ns = rig.net.now_ns;
	pair_net_close_busy(&rig.net, 0, 4000);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(asks[0].reply.err, WEFT_EBUSY);
	CHECK_EQ(asks[0].reply.not_before_ns, closed_ns + 4 * PAIR_S);
	pair_close();
}

/* What was not sent is asked on the next session, after the time told. */
static void test_a_deferred_request_outlives_its_session(void)
{
	pair_open_busy(2000);
	ask(1, MESH_GET_CHUNK);
	pair_net_close_busy(&rig.net, 0, 3000);
	pair_net_run(&rig.net, 2900 * PAIR_MS);
	CHECK_EQ(kept.cnt, 1);
	CHECK_EQ(asks[1].reply_cnt, 0);
	pair_net_run(&rig.net, 300 * PAIR_MS);
	CHECK_EQ(kept.cnt, 2);
	pair_close();
}

/* The deferral of a message holds on the next session, too. */
static void test_a_new_session_does_not_end_a_deferral(void)
{
	pair_open_busy(5000);
	pair_net_close_dialled(&rig.net, 0);
	pair_net_run(&rig.net, PAIR_S);
	ask(1, MESH_GET_CHUNK);
	ask(2, MESH_GET_MANIFEST);
	pair_net_run(&rig.net, 2500 * PAIR_MS);
	CHECK_EQ(kept.cnt, 2);
	CHECK_EQ(asks[1].reply_cnt, 0);
	pair_net_run(&rig.net, 600 * PAIR_MS);
	CHECK_EQ(kept.cnt, 3);
	pair_close();
}

static void test_a_stream_waits_as_a_request_does(void)
{
	static struct stream_user user, late;
	static struct stream_host host;
	/* {0: 9, 1: "", 2: 3000}: busy, for 3 s. */
	static const char busy[] = "\xa3\x00\x09\x01\x60\x02\x19\x0b\xb8";
	const struct mesh_stream_frame error = {.type = MESH_ERROR,
						.payload_len = sizeof(busy) - 1};
	struct mesh_stream_seam near, far;

	pair_open();
	near = mesh_stream_seam_of(rig.nodes[0].mesh);
	far = mesh_stream_seam_of(rig.nodes[1].mesh);
	memset(&host, 0, sizeof(host));
	host.ops = far.ops;
	CHECK_EQ(far.ops->accept(far.mesh, MESH_CALL, stream_host_accept, &host), 0);
	CHECK(rig_connected(&rig, 0, 1));
	CHECK_EQ(stream_user_open(&user, near, 2, NULL, rig.net.now_ns), 0);
	CHECK_EQ(stream_user_say(&user, MESH_CALL, "call", NULL), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(host.cnt, 1);
	CHECK_EQ(host.ops->send(host.users[0].stream, &error, busy, sizeof(busy) - 1, NULL), 0);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	CHECK_EQ(user.end.err, WEFT_EBUSY);
	CHECK_EQ(stream_user_open(&late, near, 2, NULL, rig.net.now_ns), 0);
	CHECK_EQ(stream_user_say(&late, MESH_CALL, "call", NULL), 0);
	pair_net_run(&rig.net, 2800 * PAIR_MS);
	CHECK_EQ(host.cnt, 1);
	pair_net_run(&rig.net, 300 * PAIR_MS);
	CHECK_EQ(host.cnt, 2);
	pair_close();
}

int main(void)
{
	RUN(test_a_deferral_of_one_message_concerns_no_other);
	RUN(test_a_later_time_counts_and_an_earlier_one_does_not);
	RUN(test_a_full_table_forgets_what_ends_first);
	RUN(test_a_request_waits_for_the_time_of_a_busy_peer);
	RUN(test_a_request_without_the_time_fails_with_it);
	RUN(test_a_waiting_request_can_be_taken_back);
	RUN(test_a_peer_without_a_place_is_dialled_when_it_said);
	RUN(test_a_peer_away_for_longer_than_a_request_is_not_dialled);
	RUN(test_a_request_on_its_way_hears_when_to_come_back);
	RUN(test_a_deferred_request_outlives_its_session);
	RUN(test_a_new_session_does_not_end_a_deferral);
	RUN(test_a_stream_waits_as_a_request_does);
	return check_done();
}

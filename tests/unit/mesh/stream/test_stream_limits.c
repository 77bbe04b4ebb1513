/* SPDX-License-Identifier: Apache-2.0 */
/* How many streams and bytes a peer may have, and how streams end with their session. */
#include "mesh_stream_rig.h"

static void test_peer_has_so_many_streams_and_no_more(void)
{
	struct stream_user users[4] = {0};
	struct mesh_config config;

	for (unsigned in_all = 0; in_all < 2; in_all++) {
		memset(users, 0, sizeof(users));
		bench_init(1);
		mesh_config_defaults(&config);
		if (in_all)
			config.stream_cap = 3;
		else
			config.stream_per_session_cap = 3;
		rig_add(&rig, 1, &config, NULL, RIG_WALL_S);
		seams[1] = mesh_stream_seam_of(rig.nodes[1].mesh);
		host.ops = seams[1].ops;
		CHECK_EQ(host.ops->accept(seams[1].mesh, MESH_CALL, stream_host_accept, &host), 0);
		for (unsigned i = 0; i < 4; i++) {
			CHECK_EQ(open_to(&users[i], 1), 0);
			CHECK_EQ(stream_user_say(&users[i], MESH_CALL, "x", NULL), 0);
			run_s(1);
		}
		CHECK_EQ(host.cnt, 3);
		CHECK_EQ(users[2].ended_cnt, 0);
		CHECK_EQ(users[3].end.err, WEFT_EBUSY);
		CHECK_EQ(users[3].end.code, MESH_CODE_BUSY);
		CHECK(users[3].end.not_before_ns > users[3].ended_at_ns);
		CHECK_EQ(stats_of(1).refused_cnt, 1);
		/* One that ends makes room for one. */
		users[0].ops->reset(users[0].stream, 0);
		run_s(1);
		users[3] = (struct stream_user){0};
		CHECK_EQ(open_to(&users[3], 1), 0);
		CHECK_EQ(stream_user_say(&users[3], MESH_CALL, "x", NULL), 0);
		run_s(1);
		CHECK_EQ(host.cnt, 4);
		rig_fini(&rig);
	}
}

/* Node 0 opens all that node 1 takes; node 2's first calls take from its youngest, one each. */
static void test_newcomers_stream_takes_from_the_largest_holder(void)
{
	struct stream_user many[4] = {0}, few[3] = {0};
	struct mesh_config config;
	struct fair_view pool;

	bench_init(1);
	mesh_config_defaults(&config);
	config.stream_cap = 4;
	rig_add(&rig, 1, &config, NULL, RIG_WALL_S);
	mesh_config_defaults(&config);
	rig_add(&rig, 2, &config, NULL, RIG_WALL_S);
	for (unsigned i = 1; i < 3; i++)
		seams[i] = mesh_stream_seam_of(rig.nodes[i].mesh);
	host.ops = seams[1].ops;
	CHECK_EQ(host.ops->accept(seams[1].mesh, MESH_CALL, stream_host_accept, &host), 0);
	for (unsigned i = 0; i < 4; i++) {
		CHECK_EQ(open_from(&many[i], 0, 1), 0);
		CHECK_EQ(stream_user_say(&many[i], MESH_CALL, "x", NULL), 0);
		run_s(1);
	}
	CHECK_EQ(host.cnt, 4);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(open_from(&few[i], 2, 1), 0);
		CHECK_EQ(stream_user_say(&few[i], MESH_CALL, "y", NULL), 0);
		run_s(1);
	}
	/* Two each: a third would only turn them round. */
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(few[i].ended_cnt, 0);
		CHECK_EQ(many[i].ended_cnt, 0);
		CHECK_EQ(many[2 + i].ended_cnt, 1);
		CHECK_EQ(many[2 + i].end.code, MESH_CODE_BUSY);
		CHECK_EQ(host.users[2 + i].end.err, WEFT_EBUSY);
	}
	CHECK_EQ(few[2].end.err, WEFT_EBUSY);
	CHECK(few[2].end.not_before_ns > few[2].ended_at_ns);
	pool = stats_of(1).pools[MESH_POOL_STREAMS];
	CHECK_EQ(pool.held_cnt, 4);
	CHECK_EQ(pool.evicted_cnts[FAIR_UNKNOWN], 2);
	CHECK_EQ(pool.refused_cnts[FAIR_UNKNOWN], 1);
	CHECK_EQ(stats_of(1).pools_largest[MESH_POOL_STREAMS].family, ADDR_IPV4);
	/* Those that stayed still work. */
	CHECK_EQ(stream_user_say(&host.users[0], MESH_REPLY, "", "answer"), 0);
	run_s(1);
	CHECK(strstr(many[0].log, "answer"));
	rig_fini(&rig);
}

static void test_own_streams_are_bounded(void)
{
	for (unsigned in_all = 0; in_all < 2; in_all++) {
		struct stream_user users[5] = {0};
		struct mesh_config config;

		rig_init(&rig, 0);
		mesh_config_defaults(&config);
		/* Half of those with one peer may be over but for an acknowledgement. */
		if (in_all)
			config.stream_cap = 4;
		else
			config.stream_per_session_cap = 2;
		for (unsigned i = 0; i < 2; i++) {
			rig_add(&rig, i, &config, NULL, RIG_WALL_S);
			seams[i] = mesh_stream_seam_of(rig.nodes[i].mesh);
		}
		CHECK(rig_connected(&rig, 0, 1));
		for (unsigned i = 0; i < 4; i++)
			CHECK_EQ(open_to(&users[i], 1), 0);
		CHECK_EQ(open_to(&users[4], 1), WEFT_EFULL);
		users[0].ops->reset(users[0].stream, 0);
		CHECK_EQ(open_to(&users[4], 1), 0);
		rig_fini(&rig);
	}
}

static void test_reader_that_does_not_consume_is_not_given_more(void)
{
	struct stream_user *other = &host.users[0];

	bench_init(2);
	other->keeps = true;
	CHECK_EQ(open_to(&user, 1), 0);
	CHECK_EQ(stream_user_say(&user, MESH_CALL, "four", NULL), 0);
	run_s(1);
	CHECK_EQ(other->kept_len, 4);
	other->ops->consume(other->stream, 3);
	/* Unused buffers are given back when the stream ends: the rig sees to it. */
	user.ops->reset(user.stream, 0);
	run_s(1);
	CHECK_EQ(other->ended_cnt, 1);
	CHECK(all_gone());
	rig_fini(&rig);
}

static void test_sessions_end_ends_streams_once(void)
{
	struct stream_user waiting = {0};

	bench_init(2);
	CHECK(rig_connected(&rig, 0, 1));
	rig.net.stream_credit = 2;
	CHECK_EQ(open_to(&user, 1), 0);
	CHECK_EQ(stream_user_say(&user, MESH_CALL, "a", "tail"), 0);
	CHECK_EQ(open_to(&waiting, 1), 0);
	CHECK_EQ(stream_user_say(&waiting, MESH_CALL, "a", "tail"), 0);
	run_s(1);
	pair_net_close_dialled(&rig.net, 0);
	run_s(1);
	CHECK_STR(user.log, " end:-1012");
	CHECK_STR(waiting.log, " end:-1012");
	CHECK(!user.end.is_unsent);
	CHECK(waiting.end.is_unsent);
	CHECK_EQ(waiting.lent_cnt, 0);
	CHECK_STR(host.users[0].log, "f300:5 d:atail end:-1012");
	CHECK(all_gone());
	rig_fini(&rig);
}

static void test_dials_that_fail_end_the_stream(void)
{
	struct addr addr = pair_addr(2), nowhere = pair_addr(9);

	bench_init(2);
	CHECK_EQ(stream_user_open(&user, seams[0], 7, &nowhere, rig.net.now_ns), 0);
	CHECK_EQ(stream_user_say(&user, MESH_CALL, "a", "tail"), 0);
	run_s(30);
	CHECK_EQ(user.ended_cnt, 1);
	CHECK_EQ(user.end.err, WEFT_EUNREACHABLE);
	CHECK(user.end.is_unsent);
	CHECK_EQ(user.lent_cnt, 0);
	user = (struct stream_user){0};
	CHECK_EQ(stream_user_open(&user, seams[0], 7, &addr, rig.net.now_ns), 0);
	run_s(30);
	CHECK_EQ(user.end.err, WEFT_EWRONGKEY);
	CHECK_EQ(user.actual_key[0], 2);
	user = (struct stream_user){0};
	/* No address, no source of one; and the own key. */
	CHECK_EQ(stream_user_open(&user, seams[0], 8, NULL, rig.net.now_ns), WEFT_EMALFORMED);
	CHECK_EQ(stream_user_open(&user, seams[0], 1, &addr, rig.net.now_ns), WEFT_EMALFORMED);
	mesh_goodbye(rig.nodes[0].mesh, 1, 0, rig.net.now_ns);
	CHECK_EQ(open_to(&user, 1), WEFT_EREFUSED);
	CHECK(all_gone());
	rig_fini(&rig);
}

int main(void)
{
	RUN(test_peer_has_so_many_streams_and_no_more);
	RUN(test_newcomers_stream_takes_from_the_largest_holder);
	RUN(test_own_streams_are_bounded);
	RUN(test_reader_that_does_not_consume_is_not_given_more);
	RUN(test_sessions_end_ends_streams_once);
	RUN(test_dials_that_fail_end_the_stream);
	return check_done();
}

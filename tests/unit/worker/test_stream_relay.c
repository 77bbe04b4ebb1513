/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams on a worker's sessions whose users are at home: node 0 opens them,
 * node 1 is the worker's mesh, node 2 home's. Both threads are this one.
 */
#include "relay_of_home_rig.h"

static int open_call(struct stream_user *at, const char *head, const char *tail)
{
	struct addr addr = pair_addr(2);
	int err = stream_user_open(at, peer_seam, 2, &addr, rig.net.now_ns);

	return err ?: stream_user_say(at, MESH_CALL, head, tail);
}

static void test_call_reaches_home_and_its_reply_the_peer(void)
{
	struct stream_user *taker = &host.users[0];
	struct mesh_stream_peer ours, theirs;

	bench_init();
	CHECK_EQ(open_call(&user, "head ", "body"), 0);
	user.ops->finish(user.stream);
	run();
	CHECK_STR(taker->log, "f300:9 d:head body fin");
	CHECK_EQ(host.ops->peer(taker->stream, &theirs), 0);
	CHECK_EQ(user.ops->peer(user.stream, &ours), 0);
	CHECK_EQ(theirs.key[0], 1);
	CHECK_MEM(ours.session_id, theirs.session_id, sizeof(ours.session_id));
	CHECK_EQ(stream_user_say(taker, MESH_REPLY, "good ", "answer"), 0);
	CHECK_EQ(stream_user_say(taker, MESH_STREAM_DATA, "more", NULL), 0);
	host.ops->finish(taker->stream);
	CHECK_EQ(stream_user_say(taker, MESH_STREAM_DATA, "late", NULL), WEFT_ECLOSED);
	run();
	CHECK_STR(user.log, "f301:11 d:good answer f303:4 d:more fin end:0");
	CHECK_STR(taker->log, "f300:9 d:head body fin end:0");
	CHECK_EQ(taker->lent_cnt, 0);
	CHECK(all_gone());
	bench_fini();
}

static void test_resets_pass_both_ways(void)
{
	bench_init();
	CHECK_EQ(open_call(&user, "a", NULL), 0);
	run();
	user.ops->reset(user.stream, 77);
	run();
	CHECK_STR(host.users[0].log, "f300:1 d:a end:-1010/77");
	CHECK(all_gone());
	memset(&user, 0, sizeof(user));
	CHECK_EQ(open_call(&user, "b", NULL), 0);
	run();
	CHECK_EQ(stream_user_say(&host.users[1], MESH_REPLY, "", "tail"), 0);
	host.ops->reset(host.users[1].stream, 78);
	run();
	CHECK_EQ(user.end.err, WEFT_ECANCELLED);
	CHECK_EQ(user.end.code, 78);
	CHECK_STR(host.users[1].log, "f300:1 d:b");
	CHECK_EQ(host.users[1].lent_cnt, 0);
	CHECK(all_gone());
	bench_fini();
}

static void test_user_may_reset_inside_any_event(void)
{
	static const char events[] = {'f', 'd', 'n', 'w', 'e'};

	for (size_t i = 0; i < sizeof(events); i++) {
		struct stream_user *taker = &host.users[0];

		bench_init();
		taker->resets_in = events[i];
		CHECK_EQ(open_call(&user, "a", NULL), 0);
		user.ops->finish(user.stream);
		run();
		for (unsigned k = 0; k <= RELAY_SAYS_MAX && taker->stream; k++)
			(void)stream_user_say(taker, MESH_STREAM_DATA, "c", NULL);
		run();
		if (taker->stream)
			host.ops->finish(taker->stream);
		run();
		CHECK(!taker->stream);
		CHECK(!user.stream);
		CHECK(all_gone());
		bench_fini();
	}
}

static void test_refusals_are_reported(void)
{
	bench_init();
	host.refusal = WEFT_EBUSY;
	CHECK_EQ(open_call(&user, "a", NULL), 0);
	run();
	CHECK_EQ(user.end.code, MESH_CODE_REFUSED);
	/* The acceptor resets itself. */
	host.resets = true;
	memset(&user, 0, sizeof(user));
	CHECK_EQ(open_call(&user, "a", NULL), 0);
	run();
	CHECK_EQ(user.end.code, 7);
	CHECK(all_gone());
	bench_fini();
}

static void test_type_that_home_does_not_take_is_unknown(void)
{
	struct addr addr = pair_addr(2);

	bench_init();
	CHECK_EQ(stream_user_open(&user, peer_seam, 2, &addr, rig.net.now_ns), 0);
	CHECK_EQ(stream_user_say(&user, MESH_STREAM_OPEN, "x", NULL), 0);
	run();
	CHECK_EQ(user.end.err, WEFT_ECANCELLED);
	CHECK_EQ(user.end.code, MESH_CODE_UNKNOWN);
	CHECK(all_gone());
	bench_fini();
}

static void test_streams_beyond_homes_limit_are_refused(void)
{
	struct stream_user users[HOME_CAP + 2] = {0};

	bench_init();
	for (unsigned i = 0; i <= HOME_CAP; i++) {
		CHECK_EQ(open_call(&users[i], "a", NULL), 0);
		run();
	}
	CHECK_EQ(host.cnt, HOME_CAP);
	CHECK_EQ(users[HOME_CAP].end.err, WEFT_ECANCELLED);
	CHECK_EQ(users[HOME_CAP].end.code, MESH_CODE_BUSY);
	CHECK_EQ(users[HOME_CAP - 1].ended_cnt, 0);
	/* One that ends makes room for one. */
	users[0].ops->reset(users[0].stream, 0);
	run();
	CHECK_EQ(open_call(&users[HOME_CAP + 1], "a", NULL), 0);
	run();
	CHECK_EQ(host.cnt, HOME_CAP + 1);
	CHECK_EQ(users[HOME_CAP + 1].ended_cnt, 0);
	bench_fini();
}

static void test_frames_under_way_are_bounded(void)
{
	struct stream_user *taker = &host.users[0];

	bench_init();
	CHECK_EQ(open_call(&user, "a", NULL), 0);
	run();
	for (unsigned i = 0; i < RELAY_SAYS_MAX; i++)
		CHECK_EQ(stream_user_say(taker, MESH_STREAM_DATA, "x", "y"), 0);
	CHECK_EQ(stream_user_say(taker, MESH_STREAM_DATA, "z", NULL), WEFT_EFULL);
	CHECK_STR(taker->log, "f300:1 d:a");
	run();
	CHECK_STR(taker->log, "f300:1 d:a writable");
	CHECK_EQ(stream_user_say(taker, MESH_STREAM_DATA, "z", NULL), 0);
	run();
	CHECK_EQ(user.data_len, 2 * RELAY_SAYS_MAX + 1);
	CHECK_EQ(taker->lent_cnt, 0);
	bench_fini();
}

/* One place is a stream's own. Of the others a key holds fewer than are free, or the last one. */
static void test_frames_of_all_streams_share_places(void)
{
	static const struct {
		uint32_t cap, cnts[2];
	} rows[] = {{2 * RELAY_SAYS_MAX, {RELAY_SAYS_MAX, 2}}, {1, {2, 1}}};

	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		const uint32_t *cnts = rows[k].cnts;
		struct stream_user second = {0};
		struct stream_user *taker = &host.users[1];

		bench_init();
		inlet.frame_cap = rows[k].cap;
		CHECK_EQ(open_call(&user, "a", NULL), 0);
		CHECK_EQ(open_call(&second, "b", NULL), 0);
		run();
		for (unsigned i = 0; i < cnts[0] + cnts[1]; i++)
			CHECK_EQ(stream_user_say(&host.users[i >= cnts[0]], MESH_STREAM_DATA, "x",
						 "y"),
				 0);
		CHECK_EQ(stream_user_say(taker, MESH_STREAM_DATA, "z", NULL), WEFT_EFULL);
		CHECK_EQ(inlet.frame_refused_cnt, 1);
		CHECK_EQ(inlet.own_frame_cnt, 2);
		CHECK_EQ(inlet.frame_slots.held_cnt, cnts[0] + cnts[1] - 2);
		run();
		CHECK_STR(taker->log, "f300:1 d:b writable");
		CHECK_EQ(stream_user_say(taker, MESH_STREAM_DATA, "z", NULL), 0);
		run();
		CHECK_EQ(user.data_len, 2 * cnts[0]);
		CHECK_EQ(second.data_len, 2 * cnts[1] + 1);
		CHECK_EQ(inlet.own_frame_cnt + inlet.frame_slots.held_cnt, 0);
		CHECK_EQ(inlet.made_frame_cnt, cnts[0] + cnts[1]);
		bench_fini();
	}
}

static void test_frames_wait_for_a_full_stream(void)
{
	struct stream_user *taker = &host.users[0];

	bench_init();
	CHECK_EQ(open_call(&user, "a", NULL), 0);
	run();
	rig.nodes[1].end->send_full_cnt = 5;
	for (unsigned i = 0; i < RELAY_SAYS_MAX; i++)
		CHECK_EQ(stream_user_say(taker, MESH_STREAM_DATA, "x", "y"), 0);
	host.ops->finish(taker->stream);
	run();
	CHECK_EQ(user.data_len, 2 * RELAY_SAYS_MAX);
	CHECK(strstr(user.log, " fin"));
	CHECK_EQ(taker->lent_cnt, 0);
	bench_fini();
}

static void test_bytes_that_home_does_not_use_are_bounded(void)
{
	struct stream_user second = {0};

	bench_init();
	relay.len_max = 20; /* one peer may have half */
	host.users[0].keeps = true;
	CHECK_EQ(open_call(&user, "0123456789", NULL), 0);
	run();
	CHECK_EQ(host.users[0].kept_len, 10);
	CHECK_EQ(relay.unused_len, 10);
	/* One more, be it of another stream, is one too many. */
	CHECK_EQ(open_call(&second, "x", NULL), 0);
	run();
	CHECK_EQ(second.end.code, MESH_CODE_BUSY);
	CHECK_EQ(host.users[1].end.err, WEFT_EBUSY);
	CHECK_EQ(user.ended_cnt, 0);
	/* What is used makes room. */
	host.ops->consume(host.users[0].stream, 4);
	memset(&second, 0, sizeof(second));
	run();
	CHECK_EQ(relay.unused_len, 6);
	CHECK_EQ(open_call(&second, "abcd", NULL), 0);
	run();
	CHECK_STR(host.users[2].log, "f300:4 d:abcd");
	bench_fini();
}

/* Frames of no bytes cost their sender next to nothing, and a letter each. */
static void test_letters_that_home_has_not_read_are_bounded(void)
{
	struct stream_user second = {0};

	bench_init();
	CHECK_EQ(open_call(&user, "", NULL), 0);
	run();
	CHECK_EQ(relay.messages_len, RELAY_MESSAGE_LEN); /* of its end */
	relay.messages_len_max = 8 * RELAY_MESSAGE_LEN;	 /* one peer may have half */
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(stream_user_say(&user, MESH_STREAM_DATA, "", NULL), 0);
	pair_net_run(&rig.net, PAIR_S); /* home does not read */
	CHECK_EQ(relay.messages_len, relay.messages_len_max / 2);
	CHECK_EQ(user.ended_cnt, 0);
	/* One more stream is one too many, and so is one more frame. */
	CHECK_EQ(open_call(&second, "", NULL), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(second.end.code, MESH_CODE_REFUSED);
	CHECK_EQ(relay.stats.refused_cnt, 1);
	CHECK_EQ(stream_user_say(&user, MESH_STREAM_DATA, "", NULL), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(user.end.code, MESH_CODE_BUSY);
	CHECK_EQ(relay.stats.refused_cnt, 2);
	CHECK_EQ(relay.stats.peak_len, relay.messages_len_max / 2);
	/* What home has read makes room. */
	run();
	CHECK(all_gone());
	memset(&user, 0, sizeof(user));
	CHECK_EQ(open_call(&user, "", NULL), 0);
	run();
	CHECK_EQ(user.ended_cnt, 0);
	bench_fini();
}

/* Home does not read: the peer that fills the ring is refused, and another's letters pass. */
static struct arena load_arena;
static struct load load;

static void load_make(void)
{
	static const uint64_t secret[2] = {1, 2};

	if (arena_open(&load_arena, ARENA_GROWS) < 0 ||
	    load_init(&load, &load_arena, LOAD_LINE_CNT, secret) < 0)
		abort();
	relay.load = &load;
}

/* What why says of the node's key. */
static uint64_t refused_cnt_of(unsigned node)
{
	const struct refused who = refused_of_key(rig.nodes[node].end->key);
	const struct refusal *row = NULL;

	while ((row = refusals_next(&load.refusals, row)))
		if (refused_equal(&row->who, &who) &&
		    strcmp(row->pool, "streams from workers to home") == 0)
			return row->cnt;
	return 0;
}

static void test_one_peer_leaves_room_for_others(void)
{
	struct stream_user second = {0}, other = {0};
	struct addr addr = pair_addr(2);
	struct mesh_config config;

	bench_init();
	mesh_config_defaults(&config);
	rig_add(&rig, 3, &config, NULL, RIG_WALL_S);
	relay.messages_len_max = 12 * RELAY_MESSAGE_LEN;
	load_make();
	CHECK_EQ(open_call(&user, "", NULL), 0);
	pair_net_run(&rig.net, PAIR_S);
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(stream_user_say(&user, MESH_STREAM_DATA, "", NULL), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(relay.messages_len, 6 * RELAY_MESSAGE_LEN); /* opened, ended, 4 frames */
	CHECK_EQ(user.ended_cnt, 0);
	CHECK_EQ(open_call(&second, "", NULL), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(second.end.code, MESH_CODE_REFUSED);
	CHECK_EQ(refused_cnt_of(0), 1);
	CHECK_EQ(refused_cnt_of(3), 0);
	CHECK_EQ(stream_user_open(&other, mesh_stream_seam_of(rig.nodes[3].mesh), 2, &addr,
				  rig.net.now_ns),
		 0);
	CHECK_EQ(stream_user_say(&other, MESH_CALL, "", NULL), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(other.ended_cnt, 0);
	CHECK_EQ(relay.accounts.used_cnt, 3); /* of two peers and their network */
	CHECK_EQ(relay.messages_len, 9 * RELAY_MESSAGE_LEN);
	/* One more would leave less than it holds. */
	CHECK_EQ(stream_user_say(&other, MESH_STREAM_DATA, "", NULL), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(other.end.code, MESH_CODE_BUSY);
	CHECK_EQ(user.ended_cnt, 0);
	CHECK_EQ(refused_cnt_of(3), 1);
	arena_close(&load_arena);
	relay.load = NULL;
	run();
	CHECK_EQ(host.cnt, 2);
	CHECK_EQ(relay.messages_len, RELAY_MESSAGE_LEN); /* of the end of the first */
	CHECK_EQ(relay.accounts.used_cnt, 2);
	bench_fini();
}

static void test_the_keys_of_one_network_leave_a_quarter_to_others(void)
{
	struct stream_user users[4] = {0};
	struct addr addr = pair_addr(2);
	struct mesh_config config;

	bench_init();
	mesh_config_defaults(&config);
	relay.messages_len_max = 20 * RELAY_MESSAGE_LEN;
	for (unsigned i = 0; i < 4; i++) {
		if (i > 0)
			rig_add(&rig, 2 + i, &config, NULL, RIG_WALL_S);
		CHECK_EQ(stream_user_open(&users[i],
					  mesh_stream_seam_of(rig.nodes[i ? 2 + i : 0].mesh), 2,
					  &addr, rig.net.now_ns),
			 0);
		CHECK_EQ(stream_user_say(&users[i], MESH_CALL, "", NULL), 0);
		pair_net_run(&rig.net, PAIR_S);
		CHECK_EQ(users[i].ended_cnt, 0);
		CHECK_EQ(stream_user_say(&users[i], MESH_STREAM_DATA, "", NULL), 0);
		pair_net_run(&rig.net, PAIR_S);
	}
	/* Opened, ended, a call and a piece each. With it the last would leave as much as it holds. */
	CHECK_EQ(relay.messages_len, 15 * RELAY_MESSAGE_LEN);
	CHECK_EQ(users[3].end.code, MESH_CODE_BUSY);
	CHECK_EQ(users[0].ended_cnt + users[1].ended_cnt + users[2].ended_cnt, 0);
	run();
	bench_fini();
}

static void test_worker_that_ends_takes_its_streams_along(void)
{
	bench_init();
	CHECK_EQ(open_call(&user, "a", NULL), 0);
	run();
	/* Said, but never heard: first on its way, then waiting for room in the stream. */
	CHECK_EQ(stream_user_say(&host.users[0], MESH_REPLY, "x", "tail"), 0);
	rig.nodes[1].end->send_full_cnt = 1;
	(void)worker_stream_relay_read(&relay);
	CHECK_EQ(stream_user_say(&host.users[0], MESH_STREAM_DATA, "x", "tail"), 0);
	worker_stop();
	CHECK_STR(host.users[0].log, "f300:1 d:a end:-1012");
	CHECK_EQ(host.users[0].lent_cnt, 0);
	CHECK_EQ(stream_cnt(2), 0);
	/* The worker's mesh is gone with it. */
	rig_fini(&rig);
}

static void test_session_that_ends_is_reported_once(void)
{
	bench_init();
	CHECK_EQ(open_call(&user, "a", NULL), 0);
	run();
	CHECK_EQ(stream_user_say(&host.users[0], MESH_REPLY, "x", "tail"), 0);
	pair_net_close_dialled(&rig.net, 0);
	run();
	CHECK_STR(host.users[0].log, "f300:1 d:a end:-1012");
	CHECK_EQ(host.users[0].lent_cnt, 0);
	CHECK(all_gone());
	bench_fini();
}

int main(void)
{
	RUN(test_call_reaches_home_and_its_reply_the_peer);
	RUN(test_resets_pass_both_ways);
	RUN(test_user_may_reset_inside_any_event);
	RUN(test_refusals_are_reported);
	RUN(test_type_that_home_does_not_take_is_unknown);
	RUN(test_streams_beyond_homes_limit_are_refused);
	RUN(test_frames_under_way_are_bounded);
	RUN(test_frames_of_all_streams_share_places);
	RUN(test_frames_wait_for_a_full_stream);
	RUN(test_bytes_that_home_does_not_use_are_bounded);
	RUN(test_letters_that_home_has_not_read_are_bounded);
	RUN(test_one_peer_leaves_room_for_others);
	RUN(test_the_keys_of_one_network_leave_a_quarter_to_others);
	RUN(test_worker_that_ends_takes_its_streams_along);
	RUN(test_session_that_ends_is_reported_once);
	return check_done();
}

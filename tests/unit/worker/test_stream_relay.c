/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams on a worker's sessions whose users are at home: node 0 opens them,
 * node 1 is the worker's mesh, node 2 home's. Both threads are this one.
 */
#include "worker/stream_relay.h"

#include "base/fair/load.h"
#include "mesh/mesh_state.h"
#include "worker/stream_inlet.h"
#include "support/check.h"
#include "support/mesh_rig.h"
#include "support/stream_user.h"

#define STREAM_CAP 8 /* of the worker */
#define HOME_CAP   5

static struct rig rig;
static struct stream_queue to_worker, to_home;
static struct stream_relay relay;
static struct stream_inlet inlet;
static struct stream_host host; /* at home */
static struct stream_user user; /* at the peer */
static struct mesh_stream_seam peer_seam;

static void bench_init(void)
{
	static const uint32_t stream_caps[] = {2 * STREAM_CAP, STREAM_CAP, HOME_CAP};
	struct mesh_config config;

	memset(&host, 0, sizeof(host));
	memset(&user, 0, sizeof(user));
	rig_init(&rig, 0);
	mesh_config_defaults(&config);
	for (unsigned i = 0; i < 3; i++) {
		config.stream_cap = stream_caps[i];
		rig_add(&rig, i, &config, NULL, RIG_WALL_S);
	}
	peer_seam = mesh_stream_seam_of(rig.nodes[0].mesh);
	host.ops = mesh_stream_seam_of(rig.nodes[2].mesh).ops;
	check_failed |=
		worker_stream_relay_queues(&to_worker, -1, &to_home, -1) < 0 ||
		worker_stream_relay_open(&relay, mesh_stream_seam_of(rig.nodes[1].mesh), STREAM_CAP,
					 &to_worker, &to_home) < 0 ||
		worker_stream_inlet_open(&inlet, rig.nodes[2].mesh, STREAM_CAP, &to_worker,
					 &to_home) < 0 ||
		host.ops->accept(rig.nodes[2].mesh, MESH_CALL, stream_host_accept, &host) < 0;
}

static void worker_stop(void)
{
	worker_stream_relay_close(&relay);
	worker_stream_inlet_close(&inlet, rig.net.now_ns);
	worker_stream_queue_fini(&to_worker);
	worker_stream_queue_fini(&to_home);
}

static void bench_fini(void)
{
	worker_stop();
	rig_fini(&rig);
}

/* Lets some turns of both threads and of the network pass. */
static void run(void)
{
	for (unsigned i = 0; i < 100; i++) {
		pair_net_run(&rig.net, 20 * PAIR_MS);
		(void)worker_stream_relay_read(&relay);
		(void)worker_stream_relay_flush(&relay);
		(void)worker_stream_inlet_read(&inlet, rig.net.now_ns);
		(void)worker_stream_inlet_flush(&inlet);
	}
}

static int open_call(struct stream_user *at, const char *head, const char *tail)
{
	struct addr addr = pair_addr(2);
	int err = stream_user_open(at, peer_seam, 2, &addr, rig.net.now_ns);

	return err ?: stream_user_say(at, MESH_CALL, head, tail);
}

static unsigned stream_cnt(unsigned idx)
{
	struct mesh_stats stats;

	mesh_stats(rig.nodes[idx].mesh, &stats);
	return stats.stream_cnt;
}

static bool all_gone(void)
{
	return !stream_cnt(0) && !stream_cnt(1) && !stream_cnt(2) && !relay.streams.used_cnt &&
	       !relay.unused_len && !relay.messages_len && !relay.accounts.used_cnt &&
	       !inlet.streams.used_cnt && !rig.net.span_out_cnt;
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

/* --- requests, whose handlers are at home --- */

static struct rig_ask asked, asked_too;
static struct rig_kept kept;

static void request_bench_init(void)
{
	bench_init();
	memset(&asked, 0, sizeof(asked));
	memset(&asked_too, 0, sizeof(asked_too));
	kept = (struct rig_kept){.ops = rig.nodes[2].seam.ops, .wants_gone = true};
	check_failed |= kept.ops->handle(rig.nodes[2].mesh, MESH_FIND_NODE, rig_keep, &kept) < 0;
}

static void request_bench_fini(void)
{
	rig_ask_fini(&asked);
	rig_ask_fini(&asked_too);
	bench_fini();
}

static bool requests_gone(void)
{
	struct mesh_stats stats;

	mesh_stats(rig.nodes[2].mesh, &stats);
	return all_gone() && !stats.incoming_cnt;
}

static void count_done(void *arg)
{
	++*(unsigned *)arg;
}

static uint8_t seen_key, seen_payload[8];
static struct addr seen_addr;

static void request_look(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	kept.ops->asker_addr(call->incoming, &seen_addr);
	seen_key = call->peer_key[0];
	memcpy(seen_payload, call->payload, call->payload_len < 8 ? call->payload_len : 8);
	rig_keep(ctx, call, now_ns);
}

static void test_request_reaches_home_and_its_answer_the_peer(void)
{
	static uint8_t payload[64 * 1024] = "first", tail[50000];
	struct mesh_peer_info asker = {.is_connected = true, .last_addr = pair_addr(1)};
	unsigned done_cnt = 0;
	struct transport_span span = {tail, sizeof(tail), count_done, &done_cnt};

	request_bench_init();
	CHECK_EQ(kept.ops->handle(rig.nodes[2].mesh, MESH_STORE, request_look, &kept), 0);
	memset(asker.key, 1, sizeof(asker.key));
	mesh_note_peer(rig.nodes[2].mesh, &asker, rig.net.now_ns);
	memset(tail, 't', sizeof(tail));
	CHECK_EQ(rig_ask(&rig, &asked, 0, 1, MESH_STORE, payload, sizeof(payload)), 0);
	run();
	CHECK_EQ(kept.cnt, 1);
	CHECK_EQ(seen_key, 1);
	CHECK(addr_equal(&seen_addr, &asker.last_addr));
	CHECK_STR((char *)seen_payload, "first");
	CHECK_EQ(asked.reply_cnt, 0);
	CHECK_EQ(kept.ops->answer(kept.incoming[0], MESH_STORE, "head ", 5, NULL), 0);
	run();
	CHECK_EQ(asked.reply.err, 0);
	CHECK_EQ(asked.reply.type, MESH_STORE);
	CHECK_EQ(asked.reply.payload_len, 5);
	CHECK_MEM(asked.reply.payload, "head ", 5);
	/* What is lent comes back once. */
	CHECK_EQ(rig_ask(&rig, &asked_too, 0, 1, MESH_FIND_NODE, "", 0), 0);
	run();
	CHECK_EQ(kept.cnt, 2);
	CHECK_EQ(kept.ops->answer(kept.incoming[1], MESH_FIND_NODE, "x", 1, &span), 0);
	run();
	CHECK_EQ(asked_too.reply.err, 0);
	CHECK_EQ(asked_too.reply.payload_len, 1 + sizeof(tail));
	CHECK_EQ(asked_too.reply.payload[sizeof(tail)], 't');
	CHECK_EQ(done_cnt, 1);
	CHECK_EQ(kept.gone_cnt, 0);
	CHECK(requests_gone());
	request_bench_fini();
}

static void test_requests_for_lists_of_shares_and_of_communities_reach_home(void)
{
	static const unsigned types[] = {MESH_LIST_SHARES,
					 MESH_ASK_COMMUNITY,
					 MESH_LIST_OWN_SHARES,
					 MESH_LIST_MEMBERS,
					 MESH_LIST_COMMUNITY_SHARES,
					 MESH_SEARCH_COMMUNITY,
					 MESH_ASK_EVENTS,
					 MESH_SHOW_MEMBER};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		request_bench_init();
		CHECK_EQ(kept.ops->handle(rig.nodes[2].mesh, types[i], rig_keep, &kept), 0);
		CHECK_EQ(rig_ask(&rig, &asked, 0, 1, types[i], "x", 1), 0);
		run();
		CHECK_EQ(kept.cnt, 1);
		kept.ops->answer_error(kept.incoming[0], MESH_CODE_ABSENT, "none", 0);
		run();
		CHECK_EQ(asked.reply.code, MESH_CODE_ABSENT);
		CHECK(requests_gone());
		request_bench_fini();
	}
}

static void test_home_says_why_it_refuses_a_request(void)
{
	request_bench_init();
	CHECK_EQ(rig_ask(&rig, &asked, 0, 1, MESH_FIND_NODE, "x", 1), 0);
	run();
	CHECK_EQ(kept.cnt, 1);
	kept.ops->answer_error(kept.incoming[0], MESH_CODE_REFUSED, "too often", 5000);
	run();
	CHECK_EQ(asked.reply.err, WEFT_EREFUSED);
	CHECK_EQ(asked.reply.code, MESH_CODE_REFUSED);
	CHECK(asked.reply.not_before_ns > rig.net.now_ns);
	CHECK(requests_gone());
	/* No handler at home takes those. */
	CHECK_EQ(rig_ask(&rig, &asked_too, 0, 1, MESH_FIND_VALUE, "x", 1), 0);
	run();
	CHECK(asked_too.reply.err < 0);
	CHECK(requests_gone());
	request_bench_fini();
}

static void test_home_hears_that_the_asker_left(void)
{
	request_bench_init();
	CHECK_EQ(rig_ask(&rig, &asked, 0, 1, MESH_FIND_NODE, "x", 1), 0);
	CHECK_EQ(rig_ask(&rig, &asked_too, 0, 1, MESH_FIND_NODE, "y", 1), 0);
	run();
	CHECK_EQ(kept.cnt, 2);
	rig.nodes[0].seam.ops->cancel(asked.request);
	run();
	CHECK_EQ(kept.gone_cnt, 1);
	/* The worker ends while home has the other one in hand. */
	worker_stop();
	CHECK_EQ(kept.gone_cnt, 2);
	CHECK_EQ(stream_cnt(2), 0);
	rig_ask_fini(&asked);
	rig_ask_fini(&asked_too);
	rig_fini(&rig);
}

static void test_answer_after_the_asker_left_is_ignored(void)
{
	static uint8_t tail[5000];
	unsigned done_cnt = 0;
	struct transport_span span = {tail, sizeof(tail), count_done, &done_cnt};

	request_bench_init();
	kept.wants_gone = false;
	CHECK_EQ(rig_ask(&rig, &asked, 0, 1, MESH_FIND_NODE, "x", 1), 0);
	run();
	rig.nodes[0].seam.ops->cancel(asked.request);
	run();
	CHECK_EQ(kept.ops->answer(kept.incoming[0], MESH_FIND_NODE, "x", 1, &span), WEFT_ECLOSED);
	CHECK_EQ(done_cnt, 0);
	CHECK(requests_gone());
	request_bench_fini();
}

static void test_requests_beyond_homes_limit_are_refused(void)
{
	struct rig_ask asks[HOME_CAP + 1];

	request_bench_init();
	rig.nodes[2].mesh->slots.pools[MESH_POOL_INCOMING].config.cap_cnt = HOME_CAP;
	for (unsigned i = 0; i <= HOME_CAP; i++) {
		CHECK_EQ(rig_ask(&rig, &asks[i], 0, 1, MESH_FIND_NODE, "x", 1), 0);
		run();
	}
	CHECK_EQ(kept.cnt, HOME_CAP);
	CHECK_EQ(asks[HOME_CAP].reply_cnt, 1);
	CHECK(asks[HOME_CAP].reply.err < 0);
	for (unsigned i = 0; i < HOME_CAP; i++)
		CHECK_EQ(kept.ops->answer(kept.incoming[i], MESH_FIND_NODE, "ok", 2, NULL), 0);
	run();
	for (unsigned i = 0; i < HOME_CAP; i++)
		CHECK_EQ(asks[i].reply.err, 0);
	CHECK(requests_gone());
	for (unsigned i = 0; i <= HOME_CAP; i++)
		rig_ask_fini(&asks[i]);
	request_bench_fini();
}

static void check_say(void *object, const void *bytes, size_t len)
{
	const struct stream_say *say = *(struct stream_say *const *)bytes;
	pool_handle *next = object;

	CHECK_EQ(len, sizeof(say));
	CHECK_EQ(say->stream, ++*next);
}

static void test_queue_keeps_order_when_it_is_full(void)
{
	const struct stream_queue_params params = {
		.message_cnt = 64, .len = 1 << 20, .fd = -1, .on_say = check_say};
	const struct mailbox_message turn = {.run = worker_relay_turn};
	static struct stream_say says[1000];
	struct stream_queue queue;
	pool_handle next = 0;

	CHECK_EQ(worker_stream_queue_init(&queue, &params), 0);
	for (pool_handle i = 1; i <= 1000; i++) {
		says[i - 1].stream = i;
		worker_stream_queue_post_say(&queue, &says[i - 1]);
	}
	CHECK(!worker_stream_queue_post(&queue, &turn));
	for (bool has_more = true; has_more;) {
		has_more = worker_stream_queue_flush(&queue);
		while (mailbox_run(&queue.mailbox, (void *[]){&next}))
			;
	}
	CHECK_EQ(next, 1000);
	worker_stream_queue_fini(&queue);
}

static void count_gone(void *arg)
{
	++*(unsigned *)arg;
}

static void test_tails_of_unread_frames_come_back(void)
{
	const struct stream_queue_params params = {
		.message_cnt = 4, .len = 1 << 20, .fd = -1, .on_say = check_say};
	static struct stream_say says[6];
	struct stream_queue queue;
	unsigned gone_cnt = 0;

	CHECK_EQ(worker_stream_queue_init(&queue, &params), 0);
	for (unsigned i = 0; i < 6; i++) {
		says[i].tail =
			(struct transport_span){(const uint8_t *)"x", 1, count_gone, &gone_cnt};
		worker_stream_queue_post_say(&queue, &says[i]);
	}
	worker_stream_queue_fini(&queue);
	CHECK_EQ(gone_cnt, 6);
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
	RUN(test_request_reaches_home_and_its_answer_the_peer);
	RUN(test_requests_for_lists_of_shares_and_of_communities_reach_home);
	RUN(test_home_says_why_it_refuses_a_request);
	RUN(test_home_hears_that_the_asker_left);
	RUN(test_answer_after_the_asker_left_is_ignored);
	RUN(test_requests_beyond_homes_limit_are_refused);
	RUN(test_queue_keeps_order_when_it_is_full);
	RUN(test_tails_of_unread_frames_come_back);
	return check_done();
}

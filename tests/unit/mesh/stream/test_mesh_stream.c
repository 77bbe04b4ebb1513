/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of frames between two meshes: sessions, order of events, credit, ends. */
#include "mesh_stream_rig.h"

#define CODE_CANCELLED 99
#define WAITING_CNT    70

static void test_call_and_reply(void)
{
	/* First without a session, then over the one there is, however the bytes are cut. */
	for (size_t cut = 0; cut < 40; cut++) {
		bench_init(2);
		rig.net.cut_len = cut;
		if (cut & 1)
			CHECK(rig_connected(&rig, 0, 1));
		CHECK_EQ(open_to(&user, 1), 0);
		CHECK_EQ(stream_user_say(&user, MESH_CALL, "head ", "body"), 0);
		user.ops->finish(user.stream);
		CHECK_EQ(user.log_len, 0);
		run_s(1);
		CHECK_EQ(host.cnt, 1);
		CHECK_STR(host.users[0].log, "f300:9 d:head body fin");
		CHECK_EQ(stream_user_say(&host.users[0], MESH_REPLY, "", "answer"), 0);
		CHECK_EQ(stream_user_say(&host.users[0], MESH_STREAM_CLOSE, "x", NULL), 0);
		host.users[0].ops->finish(host.users[0].stream);
		run_s(1);
		CHECK_STR(user.log, "f301:6 d:answer f304:1 d:x fin end:0");
		CHECK_STR(host.users[0].log, "f300:9 d:head body fin end:0");
		CHECK_EQ(host.users[0].lent_cnt, 0);
		CHECK(all_gone());
		rig_fini(&rig);
	}
}

static void test_both_sides_speak_at_once(void)
{
	struct stream_user *other = &host.users[0];

	bench_init(2);
	CHECK_EQ(open_to(&user, 1), 0);
	CHECK_EQ(stream_user_say(&user, MESH_STREAM_OPEN, "a", NULL), 0);
	run_s(1);
	CHECK_EQ(stream_user_say(&user, MESH_STREAM_DATA, "b", "c"), 0);
	CHECK_EQ(stream_user_say(other, MESH_REPLY, "d", NULL), 0);
	CHECK_EQ(stream_user_say(other, MESH_STREAM_DATA, "e", NULL), 0);
	user.ops->finish(user.stream);
	run_s(1);
	CHECK_STR(other->log, "f302:1 d:a f303:2 d:bc fin");
	/* Half-closed: the other side goes on. */
	CHECK_EQ(stream_user_say(&user, MESH_STREAM_DATA, "z", NULL), WEFT_ECLOSED);
	CHECK_EQ(stream_user_say(other, MESH_STREAM_DATA, "f", NULL), 0);
	run_s(1);
	CHECK_STR(user.log, "f301:1 d:d f303:1 d:e f303:1 d:f");
	other->ops->finish(other->stream);
	run_s(1);
	CHECK_EQ(user.ended_cnt, 1);
	CHECK_EQ(user.end.err, 0);
	CHECK_EQ(other->end.err, 0);
	CHECK(all_gone());
	rig_fini(&rig);
}

static uint64_t useful_units(unsigned at, unsigned of)
{
	const struct mesh *mesh = rig.nodes[at].mesh;

	return mesh_peers_lookup(&mesh->peers, rig.nodes[of].end->key)->useful_units;
}

static void test_an_answered_call_makes_its_peer_useful(void)
{
	bench_init(2);
	CHECK_EQ(open_to(&user, 1), 0);
	CHECK_EQ(stream_user_say(&user, MESH_CALL, "a", NULL), 0);
	user.ops->finish(user.stream);
	run_s(1);
	CHECK_EQ(useful_units(0, 1), 0);
	host.users[0].ops->finish(host.users[0].stream);
	run_s(1);
	CHECK_EQ(user.end.err, 0);
	CHECK_EQ(useful_units(0, 1), 1);
	/* An asking peer is of no use for it. */
	CHECK_EQ(useful_units(1, 0), 0);
	/* A reset is no answer. */
	memset(&user, 0, sizeof(user));
	CHECK_EQ(open_to(&user, 1), 0);
	CHECK_EQ(stream_user_say(&user, MESH_CALL, "a", NULL), 0);
	run_s(1);
	host.users[1].ops->reset(host.users[1].stream, CODE_CANCELLED);
	run_s(1);
	CHECK_EQ(user.ended_cnt, 1);
	CHECK_EQ(useful_units(0, 1), 1);
	CHECK(all_gone());
	rig_fini(&rig);
}

static void test_a_stream_that_waits_for_a_silent_session_is_notified(void)
{
	struct mesh_stream_peer peer;

	bench_init(2);
	CHECK_EQ(open_to(&user, 1), 0);
	CHECK(user.ops->peer(user.stream, &peer) < 0);
	run_s(1);
	CHECK_STR(user.log, " writable");
	CHECK_EQ(user.ops->peer(user.stream, &peer), 0);
	CHECK_EQ(stream_user_say(&user, MESH_CALL, "a", NULL), 0);
	run_s(1);
	CHECK_STR(host.users[0].log, "f300:1 d:a");
	user.ops->reset(user.stream, 0);
	run_s(1);
	CHECK(all_gone());
	rig_fini(&rig);
}

static void test_flags_and_empty_frames_arrive(void)
{
	struct mesh_stream_frame frame = {.type = MESH_STREAM_DATA,
					  .flags = MESH_STREAM_FLAG_TEXT | MESH_STREAM_FLAG_MORE};

	bench_init(2);
	CHECK_EQ(open_to(&user, 1), 0);
	CHECK_EQ(stream_user_say(&user, MESH_CALL, "", NULL), 0);
	run_s(1);
	CHECK_STR(host.users[0].log, "f300:0");
	CHECK_EQ(user.ops->send(user.stream, &frame, NULL, 0, NULL), 0);
	run_s(1);
	CHECK_EQ(host.users[0].last_flags, MESH_STREAM_FLAG_TEXT | MESH_STREAM_FLAG_MORE);
	frame.type = MESH_REPLY;
	frame.flags = MESH_STREAM_FLAG_TEXT;
	CHECK_EQ(host.users[0].ops->send(host.users[0].stream, &frame, NULL, 0, NULL), 0);
	run_s(1);
	CHECK_STR(user.log, "f301:0");
	CHECK_EQ(user.last_flags, MESH_STREAM_FLAG_TEXT);
	rig_fini(&rig);
}

static void test_peer_is_known(void)
{
	struct mesh_stream_peer ours, theirs;

	bench_init(2);
	CHECK_EQ(open_to(&user, 1), 0);
	CHECK_EQ(user.ops->peer(user.stream, &ours), WEFT_EABSENT);
	CHECK_EQ(stream_user_say(&user, MESH_CALL, "x", NULL), 0);
	run_s(1);
	CHECK_EQ(user.ops->peer(user.stream, &ours), 0);
	CHECK_EQ(host.users[0].ops->peer(host.users[0].stream, &theirs), 0);
	CHECK_EQ(ours.key[0], 2);
	CHECK_EQ(theirs.key[0], 1);
	CHECK_MEM(ours.session_id, theirs.session_id, 16);
	rig_fini(&rig);
}

static void test_frames_that_may_not_be_said(void)
{
	static const uint8_t bytes[1048576 + 1025];
	const struct transport_span span = {bytes, sizeof(bytes), NULL, NULL};
	const struct transport_span none = {bytes, 0, NULL, NULL};
	struct mesh_stream_frame frame = {.type = MESH_CALL, .payload_len = sizeof(bytes)};

	bench_init(2);
	CHECK_EQ(open_to(&user, 1), 0);
	CHECK_EQ(stream_user_say(&user, MESH_REPLY, "x", NULL), WEFT_EMALFORMED);
	CHECK_EQ(stream_user_say(&user, MESH_PING, "", NULL), WEFT_EMALFORMED);
	CHECK_EQ(stream_user_say(&user, 65000, "", NULL), WEFT_EMALFORMED);
	CHECK_EQ(user.ops->send(user.stream, &frame, NULL, 0, &span), WEFT_ETOOLARGE);
	CHECK_EQ(user.ops->send(user.stream, &frame, NULL, 0, NULL), WEFT_EMALFORMED);
	frame.payload_len = 0;
	CHECK_EQ(user.ops->send(user.stream, &frame, NULL, 0, &none), WEFT_EMALFORMED);
	frame.flags = 1;
	CHECK_EQ(user.ops->send(user.stream, &frame, NULL, 0, NULL), WEFT_EMALFORMED);
	frame.flags = 0;
	frame.payload_len = MESH_STREAM_HEAD_LEN_MAX + 1;
	CHECK_EQ(user.ops->send(user.stream, &frame, bytes, frame.payload_len, NULL),
		 WEFT_EMALFORMED);
	frame.payload_len--;
	CHECK_EQ(user.ops->send(user.stream, &frame, bytes, frame.payload_len, NULL), 0);
	run_s(1);
	CHECK_EQ(host.users[0].data_len, MESH_STREAM_HEAD_LEN_MAX);
	rig_fini(&rig);
}

static void test_one_frame_waits_for_the_session(void)
{
	bench_init(2);
	CHECK_EQ(open_to(&user, 1), 0);
	CHECK_EQ(stream_user_say(&user, MESH_STREAM_OPEN, "a", "b"), 0);
	CHECK_EQ(stream_user_say(&user, MESH_STREAM_DATA, "c", "d"), WEFT_EFULL);
	CHECK_EQ(user.lent_cnt, 1);
	run_s(1);
	CHECK_STR(user.log, " writable");
	CHECK_EQ(stream_user_say(&user, MESH_STREAM_DATA, "c", "d"), 0);
	run_s(1);
	CHECK_STR(host.users[0].log, "f302:2 d:ab f303:2 d:cd");
	user.ops->reset(user.stream, 0);
	run_s(1);
	CHECK(all_gone());
	rig_fini(&rig);
}

static void test_full_stream_says_when_it_is_writable(void)
{
	/* The head, the tail, or both are refused, again and again. */
	for (unsigned full = 0; full < 6; full++) {
		int err;

		bench_init(2);
		CHECK(rig_connected(&rig, 0, 1));
		CHECK_EQ(open_to(&user, 1), 0);
		CHECK_EQ(stream_user_say(&user, MESH_STREAM_OPEN, "a", "b"), 0);
		if (full)
			rig.nodes[0].end->send_full_cnt = full;
		err = stream_user_say(&user, MESH_STREAM_DATA, "c", "d");
		CHECK_EQ(err, full ? WEFT_EFULL : 0);
		CHECK_EQ(user.log_len, 0);
		run_s(1);
		CHECK_STR(user.log, full ? " writable" : "");
		if (full) {
			user.log_len = 0;
			while ((err = stream_user_say(&user, MESH_STREAM_DATA, "c", "d")) != 0) {
				CHECK_EQ(err, WEFT_EFULL);
				run_s(1);
			}
		}
		user.ops->finish(user.stream);
		run_s(1);
		CHECK_STR(host.users[0].log, "f302:2 d:ab f303:2 d:cd fin");
		host.users[0].ops->finish(host.users[0].stream);
		run_s(1);
		CHECK_EQ(user.end.err, 0);
		CHECK(all_gone());
		rig_fini(&rig);
	}
}

static void test_tail_and_finish_wait_for_room(void)
{
	bench_init(2);
	CHECK_EQ(open_to(&user, 1), 0);
	CHECK_EQ(stream_user_say(&user, MESH_STREAM_OPEN, "a", "b"), 0);
	user.ops->finish(user.stream);
	rig.nodes[0].end->send_full_cnt = 3;
	run_s(2);
	CHECK_STR(host.users[0].log, "f302:2 d:ab fin");
	CHECK_EQ(user.log_len, 0);
	rig_fini(&rig);
}

static void test_stream_credit_is_waited_for(void)
{
	struct stream_user second = {0};

	bench_init(2);
	CHECK(rig_connected(&rig, 0, 1));
	rig.net.stream_credit = 2; /* one is the control stream */
	CHECK_EQ(open_to(&user, 1), 0);
	CHECK_EQ(stream_user_say(&user, MESH_CALL, "1", NULL), 0);
	CHECK_EQ(open_to(&second, 1), 0);
	CHECK_EQ(stream_user_say(&second, MESH_CALL, "2", "tail"), 0);
	CHECK_EQ(stream_user_say(&second, MESH_STREAM_DATA, "3", NULL), WEFT_EFULL);
	run_s(1);
	CHECK_EQ(host.cnt, 1);
	user.ops->reset(user.stream, CODE_CANCELLED);
	run_s(1);
	CHECK_EQ(host.cnt, 2);
	CHECK_STR(host.users[0].log, "f300:1 d:1 end:-1010/99");
	CHECK_STR(host.users[1].log, "f300:5 d:2tail");
	CHECK_STR(second.log, " writable");
	CHECK_EQ(second.lent_cnt, 0);
	second.ops->reset(second.stream, 0);
	rig_fini(&rig);
}

/* Frames that wait hold the small buffers, which a request and its answer would take. */
static void test_a_request_that_finds_no_buffer_is_reset(void)
{
	static struct stream_user users[WAITING_CNT];
	struct rig_ask ask = {0};
	struct mesh_config config;
	unsigned full_cnt = 0;

	rig_init(&rig, 0);
	mesh_config_defaults(&config);
	/* Of small buffers there are as many as these say, sessions twice, and one. */
	config.session_cap = config.request_cap = config.incoming_cap = 16;
	for (unsigned i = 0; i < 2; i++) {
		rig_add(&rig, i, &config, NULL, RIG_WALL_S);
		seams[i] = mesh_stream_seam_of(rig.nodes[i].mesh);
	}
	CHECK_EQ(rig.nodes[0].seam.ops->handle(rig.nodes[0].mesh, MESH_GET_CHUNK, rig_echo,
					       &rig.nodes[0]),
		 0);
	CHECK(rig_connected(&rig, 0, 1));
	rig.net.stream_credit = 2; /* one is the control stream */
	for (unsigned i = 0; i < WAITING_CNT; i++) {
		CHECK_EQ(open_to(&users[i], 1), 0);
		full_cnt += stream_user_say(&users[i], MESH_CALL, "x", NULL) == WEFT_EFULL;
	}
	CHECK_EQ(full_cnt, WAITING_CNT - 4 * 16 - 1 - 1); /* one has its stream */
	CHECK_EQ(rig_ask(&rig, &ask, 1, 0, MESH_GET_CHUNK, "q", 1), 0);
	run_s(1);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK(ask.reply.err < 0);
	rig_ask_fini(&ask);
	for (unsigned i = 0; i < WAITING_CNT; i++)
		if (users[i].stream)
			users[i].ops->reset(users[i].stream, 0);
	rig_fini(&rig);
}

static void test_resets_reach_the_other_side(void)
{
	bench_init(2);
	CHECK_EQ(open_to(&user, 1), 0);
	CHECK_EQ(stream_user_say(&user, MESH_CALL, "x", "tail"), 0);
	run_s(1);
	host.users[0].ops->reset(host.users[0].stream, 7);
	run_s(1);
	CHECK_STR(user.log, " end:-1010/7");
	CHECK_STR(host.users[0].log, "f300:5 d:xtail");
	CHECK(all_gone());
	/* Before there is a session, a lent tail comes back at once. */
	user = (struct stream_user){0};
	CHECK_EQ(open_to(&user, 2), 0);
	CHECK_EQ(stream_user_say(&user, MESH_CALL, "x", "tail"), 0);
	user.ops->reset(user.stream, 7);
	CHECK_EQ(user.lent_cnt, 0);
	run_s(30);
	CHECK_EQ(user.log_len, 0);
	CHECK(all_gone());
	rig_fini(&rig);
}

static void test_user_may_reset_inside_any_event(void)
{
	static const char events[] = {'f', 'd', 'n', 'w', 'e'};

	for (size_t i = 0; i < sizeof(events); i++) {
		struct stream_user *other = &host.users[0];

		bench_init(2);
		other->resets_in = events[i];
		user.resets_in = events[i];
		CHECK_EQ(open_to(&user, 1), 0);
		CHECK_EQ(stream_user_say(&user, MESH_CALL, "a", NULL), 0);
		CHECK_EQ(stream_user_say(&user, MESH_STREAM_DATA, "b", NULL), WEFT_EFULL);
		run_s(1);
		if (user.stream) {
			CHECK_EQ(stream_user_say(&user, MESH_STREAM_DATA, "b", NULL), 0);
			user.ops->finish(user.stream);
			run_s(1);
		}
		if (other->stream) {
			CHECK_EQ(stream_user_say(other, MESH_REPLY, "c", NULL), 0);
			other->ops->finish(other->stream);
			run_s(1);
		}
		CHECK(!user.stream);
		CHECK(!other->stream);
		CHECK(user.ended_cnt <= 1 && other->ended_cnt <= 1);
		CHECK(all_gone());
		rig_fini(&rig);
	}
}

static void test_acceptor_may_refuse(void)
{
	bench_init(2);
	host.refusal = WEFT_EBUSY;
	CHECK_EQ(open_to(&user, 1), 0);
	CHECK_EQ(stream_user_say(&user, MESH_CALL, "a", NULL), 0);
	run_s(1);
	CHECK_STR(user.log, " end:-1010/5"); /* MESH_CODE_REFUSED */
	host.resets = true;
	user = (struct stream_user){0};
	CHECK_EQ(open_to(&user, 1), 0);
	CHECK_EQ(stream_user_say(&user, MESH_CALL, "a", NULL), 0);
	run_s(1);
	CHECK_STR(user.log, " end:-1010/7");
	CHECK(all_gone());
	rig_fini(&rig);
}

static void test_type_without_acceptor_is_unknown(void)
{
	bench_init(2);
	CHECK_EQ(host.ops->accept(seams[1].mesh, MESH_CALL, stream_host_accept, &host),
		 WEFT_EEXISTS);
	CHECK_EQ(host.ops->accept(seams[1].mesh, MESH_REPLY, stream_host_accept, &host),
		 WEFT_EUNKNOWN);
	CHECK_EQ(host.ops->accept(seams[1].mesh, MESH_HELLO, stream_host_accept, &host),
		 WEFT_EUNKNOWN);
	CHECK_EQ(rig.nodes[1].seam.ops->handle(seams[1].mesh, MESH_CALL, rig_echo, NULL),
		 WEFT_EEXISTS);
	CHECK_EQ(open_to(&user, 1), 0);
	CHECK_EQ(stream_user_say(&user, MESH_GET_MANIFEST, "a", NULL), 0);
	run_s(1);
	CHECK_EQ(user.end.err, WEFT_EUNKNOWN);
	CHECK_EQ(user.end.code, MESH_CODE_UNKNOWN);
	CHECK(all_gone());
	rig_fini(&rig);
}

static void test_request_is_answered_by_an_acceptor(void)
{
	struct rig_ask ask;

	bench_init(2);
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_CALL, "hello", 5), 0);
	run_s(1);
	CHECK_STR(host.users[0].log, "f300:5 d:hello fin");
	CHECK_EQ(stream_user_say(&host.users[0], MESH_REPLY, "good", NULL), 0);
	host.users[0].ops->finish(host.users[0].stream);
	run_s(1);
	CHECK_EQ(ask.reply.err, 0);
	CHECK_EQ(ask.reply.payload_len, 4);
	rig_ask_fini(&ask);
	rig_fini(&rig);
}

int main(void)
{
	RUN(test_call_and_reply);
	RUN(test_both_sides_speak_at_once);
	RUN(test_an_answered_call_makes_its_peer_useful);
	RUN(test_a_stream_that_waits_for_a_silent_session_is_notified);
	RUN(test_flags_and_empty_frames_arrive);
	RUN(test_peer_is_known);
	RUN(test_frames_that_may_not_be_said);
	RUN(test_one_frame_waits_for_the_session);
	RUN(test_full_stream_says_when_it_is_writable);
	RUN(test_tail_and_finish_wait_for_room);
	RUN(test_stream_credit_is_waited_for);
	RUN(test_a_request_that_finds_no_buffer_is_reset);
	RUN(test_resets_reach_the_other_side);
	RUN(test_user_may_reset_inside_any_event);
	RUN(test_acceptor_may_refuse);
	RUN(test_type_without_acceptor_is_unknown);
	RUN(test_request_is_answered_by_an_acceptor);
	return check_done();
}

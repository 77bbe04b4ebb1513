/* SPDX-License-Identifier: Apache-2.0 */
/* Streams to a program on a socket. */
#include "unit/provider/socket_rig.h"

static int stream_take(struct desk *desk, struct prig_stream *stream, const char *head, size_t len)
{
	json_t *request;
	int fd;

	weft_assert(prig_open(&desk->rig, stream, "desk", "Chat", head, len) == 0);
	fd = desk_take(desk, &request);
	json_decref(request);
	return fd;
}

static void frame_say(int fd, enum pipe_frame_kind kind, const void *data, size_t len)
{
	uint8_t head[PIPE_FRAME_HEAD_LEN];
	struct writer w = writer_of(head, sizeof(head));

	pipe_frame_head_write(&w, kind, len);
	program_say(fd, head, sizeof(head));
	if (len)
		program_say(fd, data, len);
}

/* The next thing that the program hears; a piece's bytes are copied. */
static bool frame_hear(struct desk *desk, int fd, struct pipe_frame_in *in,
		       struct pipe_frame *out_frame, char *text, size_t cap)
{
	uint8_t byte;

	for (unsigned i = 0; i < 20000; i++) {
		ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
		struct cursor c = cursor_of(&byte, n > 0 ? 1 : 0);

		if (n <= 0) {
			prig_turn(&desk->rig, NS_PER_MS);
			continue;
		}
		if (pipe_frame_input(in, &c, out_frame) != 1)
			continue;
		weft_assert(out_frame->len < cap);
		memcpy(text, out_frame->data ? out_frame->data : (const uint8_t *)"",
		       out_frame->len);
		text[out_frame->len] = '\0';
		return true;
	}
	return false;
}

static void test_a_stream_carries_messages_both_ways(void)
{
	char body[64];
	struct prig_stream stream = {.body = body, .body_cap = sizeof(body)};
	struct pipe_frame_in in = {.head_len = 0};
	struct pipe_frame frame;
	struct desk desk;
	json_t *request;
	char text[64];
	int fd;

	desk_init(&desk);
	CHECK_EQ(prig_open(&desk.rig, &stream, "desk", "Chat", "\0hi", 3), 0);
	fd = desk_take(&desk, &request);
	CHECK_STR(json_string_value(json_object_get(request, "method")), "net.weft.Service.Open");
	CHECK(json_is_true(json_object_get(request, "upgrade")));
	CHECK_STR(param(request, "method"), "Chat");
	CHECK_STR(param(request, "base64"), "AGhp");
	json_decref(request);
	/* What the caller says before the program took the stream is kept for after that. */
	stream_say(&stream, "a", 1, true);
	prig_run(&desk.rig);
	CHECK(recv(fd, text, 1, MSG_DONTWAIT) < 0);
	/* The reply and the first frames may come at once. */
	program_say(fd, "{}\0\0\0\0\2\1hi\0\0\0\1\3x", 16);
	frame_say(fd, PIPE_FRAME_TEXT, "y", 1);
	CHECK(frame_hear(&desk, fd, &in, &frame, text, sizeof(text)));
	CHECK_EQ(frame.kind, PIPE_FRAME_TEXT);
	CHECK(frame.is_last);
	CHECK_STR(text, "a");
	CHECK_EQ(stream.message_cnt, 2);
	CHECK(stream.is_text);
	CHECK_EQ(stream.body_len, 4);
	CHECK_MEM(body, "hixy", 4);
	stream_say(&stream, "\xff\0", 2, false);
	service_channel_finish(stream.channel);
	CHECK(frame_hear(&desk, fd, &in, &frame, text, sizeof(text)));
	CHECK_EQ(frame.kind, PIPE_FRAME_BINARY);
	while (!frame.is_last)
		CHECK(frame_hear(&desk, fd, &in, &frame, text, sizeof(text)));
	CHECK(frame_hear(&desk, fd, &in, &frame, text, sizeof(text)));
	CHECK_EQ(frame.kind, PIPE_FRAME_FINISH);
	frame_say(fd, PIPE_FRAME_FINISH, NULL, 0);
	CHECK(frame_hear(&desk, fd, &in, &frame, text, sizeof(text)));
	CHECK_EQ(frame.kind, PIPE_FRAME_END);
	CHECK_EQ(frame.status, SERVICE_OK);
	CHECK_EQ(stream.finished_cnt, 1);
	CHECK_EQ(stream.ended_cnt, 1);
	CHECK_EQ(stream.status, SERVICE_OK);
	CHECK_EQ(memory_used(&desk), 0);
	close(fd);
	desk_fini(&desk);
}

static void test_a_program_may_refuse_a_stream_and_end_it(void)
{
	struct prig_stream stream = {.body = NULL};
	struct desk desk;
	int fd;

	desk_init(&desk);
	fd = stream_take(&desk, &stream, NULL, 0);
	desk_reply(&desk, fd,
		   "{\"error\":\"net.weft.Service.Failed\",\"parameters\":"
		   "{\"status\":8,\"text\":\"not you\"}}");
	CHECK_EQ(stream.ended_cnt, 1);
	CHECK_EQ(stream.status, SERVICE_FORBIDDEN);
	CHECK_STR(stream.text, "not you");
	close(fd);
	stream = (struct prig_stream){.body = NULL};
	fd = stream_take(&desk, &stream, NULL, 0);
	desk_reply(&desk, fd, "{}");
	frame_say(fd, PIPE_FRAME_END, "\6slower", 7);
	prig_run(&desk.rig);
	CHECK_EQ(stream.status, SERVICE_RATE_LIMITED);
	CHECK_STR(stream.text, "slower");
	CHECK(program_is_left(fd));
	CHECK_EQ(desk.rig.event_cnts[PROVIDER_EVENT_FAILED], 0);
	close(fd);
	desk_fini(&desk);
}

static void test_a_program_that_breaks_a_stream(void)
{
	static const struct {
		const char *said;
		size_t len;
		bool closes;
		enum service_status want;
	} rows[] = {
		{"rubbish", 8, false, SERVICE_UNKNOWN_ERROR},
		{"{}\0\0\0\0\1\x09x", 9, false, SERVICE_UNKNOWN_ERROR},
		{"{}\0\0\4\0\1\1", 8, false, SERVICE_UNKNOWN_ERROR},
		{"", 0, true, SERVICE_UNAVAILABLE},
		{"{}\0\0\0\0\2\1x", 9, true, SERVICE_UNAVAILABLE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct prig_stream stream = {.body = NULL};
		struct desk desk;
		int fd;

		desk_init(&desk);
		fd = stream_take(&desk, &stream, NULL, 0);
		program_say(fd, rows[i].said, rows[i].len);
		if (rows[i].closes)
			close(fd);
		prig_run(&desk.rig);
		CHECK_EQ(stream.ended_cnt, 1);
		CHECK_EQ(stream.status, rows[i].want);
		CHECK_EQ(desk.rig.event_cnts[PROVIDER_EVENT_FAILED], 1);
		CHECK_EQ(prig_view(&desk.rig).active_cnt, 0);
		if (!rows[i].closes)
			close(fd);
		desk_fini(&desk);
	}
}

static void test_the_program_learns_how_its_caller_ended(void)
{
	struct prig_stream stream = {.body = NULL};
	struct pipe_frame_in in = {.head_len = 0};
	struct pipe_frame frame;
	struct desk desk;
	char text[64];
	int fd;

	desk_init(&desk);
	fd = stream_take(&desk, &stream, NULL, 0);
	desk_reply(&desk, fd, "{}");
	service_channel_end(stream.channel, SERVICE_TIMEOUT, "enough");
	CHECK(frame_hear(&desk, fd, &in, &frame, text, sizeof(text)));
	CHECK_EQ(frame.kind, PIPE_FRAME_END);
	CHECK_EQ(frame.status, SERVICE_TIMEOUT);
	CHECK_STR(frame.text, "enough");
	CHECK(program_is_left(fd));
	CHECK_EQ(desk.rig.event_cnts[PROVIDER_EVENT_FAILED], 0);
	close(fd);
	desk_fini(&desk);
}

static void test_a_reader_that_pauses_stops_the_writer(void)
{
	static char much[16000], sink[65536];
	struct service_piece piece = {
		.data = (uint8_t *)much, .len = sizeof(much), .is_last = true};
	struct prig_stream stream = {.body = NULL};
	struct provider_stats stats;
	size_t said = 0, heard = 0, told = 0;
	struct desk desk;
	int fd;

	desk_init(&desk);
	fd = stream_take(&desk, &stream, NULL, 0);
	desk_reply(&desk, fd, "{}");
	stream.is_holding = true;
	for (unsigned i = 0; i < 3000; i++) {
		if (service_channel_send(stream.channel, &piece, NULL, NULL) == 0)
			said += sizeof(much);
		if (send(fd, "\0\0\3\350\0", 5, MSG_DONTWAIT | MSG_NOSIGNAL) == 5) {
			ssize_t n = send(fd, much, 1000, MSG_DONTWAIT | MSG_NOSIGNAL);

			if (n != 1000)
				break;
			told += 1000;
		}
		prig_turn(&desk.rig, 0);
	}
	provider_stats(desk.rig.provider, &stats);
	CHECK(said < 3u << 20);
	CHECK(stats.memory_peak_len < 1u << 20);
	CHECK_EQ(stream.ended_cnt, 0);
	for (unsigned i = 0; i < 100000 && heard < said; i++) {
		ssize_t n = recv(fd, sink, sizeof(sink), MSG_DONTWAIT);

		heard += n > 0 ? (size_t)n : 0;
		if (n < 0)
			prig_turn(&desk.rig, NS_PER_MS);
	}
	CHECK(heard >= said);
	stream.is_holding = false;
	service_channel_consume(stream.channel, stream.held_len);
	CHECK_SOON(&desk.rig, stream.body_len >= told);
	close(fd);
	desk_fini(&desk);
}

static void test_a_piece_may_be_longer_than_what_is_read_at_once(void)
{
	static char much[60000], reply[12000];
	struct prig_stream stream = {.body = NULL};
	struct desk desk;
	int fd;

	/* A long reply has all room there is be made to read into. */
	memset(reply, ' ', sizeof(reply) - 1);
	reply[0] = '{';
	reply[sizeof(reply) - 2] = '}';
	desk_init(&desk);
	fd = stream_take(&desk, &stream, NULL, 0);
	desk_reply(&desk, fd, reply);
	frame_say(fd, PIPE_FRAME_BINARY, much, sizeof(much));
	CHECK_SOON(&desk.rig, stream.body_len == sizeof(much));
	CHECK_EQ(stream.message_cnt, 1);
	CHECK_EQ(stream.ended_cnt, 0);
	close(fd);
	desk_fini(&desk);
}

static void test_a_stream_that_is_not_taken_ends(void)
{
	struct prig_stream stream = {.body = NULL};
	struct desk desk;
	int fd;

	desk_init(&desk);
	fd = stream_take(&desk, &stream, NULL, 0);
	prig_pass(&desk.rig, 31 * NS_PER_S);
	CHECK_EQ(stream.ended_cnt, 1);
	CHECK_EQ(stream.status, SERVICE_TIMEOUT);
	CHECK(program_is_left(fd));
	close(fd);
	desk_fini(&desk);
}

static void test_a_silent_stream_lives_and_ends_with_its_service(void)
{
	struct prig_stream stream = {.body = NULL};
	struct desk desk;
	int fd;

	desk_init(&desk);
	fd = stream_take(&desk, &stream, NULL, 0);
	desk_reply(&desk, fd, "{}");
	prig_pass(&desk.rig, 600 * NS_PER_S);
	CHECK_EQ(stream.ended_cnt, 0);
	CHECK_EQ(provider_withdraw(desk.rig.provider, "desk", 1,
				   &(struct provider_waiter){prig_done, &desk.rig},
				   prig_now(&desk.rig)),
		 0);
	prig_run(&desk.rig);
	CHECK_EQ(stream.ended_cnt, 1);
	CHECK_EQ(stream.status, SERVICE_UNAVAILABLE);
	CHECK(program_is_left(fd));
	close(fd);
	desk_fini(&desk);
}

static void test_http_is_refused(void)
{
	struct prig_stream stream = {.body = NULL};
	struct desk desk;

	desk_init(&desk);
	CHECK_EQ(prig_open(&desk.rig, &stream, "desk", SERVICE_HTTP_METHOD, NULL, 0), 0);
	prig_run(&desk.rig);
	CHECK_EQ(stream.status, SERVICE_METHOD_NOT_FOUND);
	desk_fini(&desk);
}

int main(void)
{
	RUN(test_a_stream_carries_messages_both_ways);
	RUN(test_a_program_may_refuse_a_stream_and_end_it);
	RUN(test_a_program_that_breaks_a_stream);
	RUN(test_the_program_learns_how_its_caller_ended);
	RUN(test_a_reader_that_pauses_stops_the_writer);
	RUN(test_a_piece_may_be_longer_than_what_is_read_at_once);
	RUN(test_a_stream_that_is_not_taken_ends);
	RUN(test_a_silent_stream_lives_and_ends_with_its_service);
	RUN(test_http_is_refused);
	return check_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A program of the test's on a unix socket, which speaks net.weft.Service. */
#include "rig.h"

#include <jansson.h>

#include "codec/base64.h"
#include "codec/pipe_frame.h"
#include "codec/zbase32.h"

#define HEAR_CAP (3u << 20)

struct desk {
	struct prig rig;
	struct prig_program program;
	char *heard;
};

static const struct provider_spec desk_spec = {
	.name = "desk",
	.version = "1.0.0",
	.kind = PROVIDER_SOCKET,
};

static void desk_init_with(struct desk *desk, struct provider_spec spec)
{
	prig_init(&desk->rig);
	desk->heard = malloc(HEAR_CAP);
	program_listen_unix(&desk->program, &desk->rig);
	spec.target = desk->program.target;
	weft_assert(prig_publish(&desk->rig, &spec) == 0);
	close(program_accept(&desk->rig, &desk->program));
	weft_assert(prig_view(&desk->rig).state == PROVIDER_READY);
}

static void desk_init(struct desk *desk)
{
	desk_init_with(desk, desk_spec);
}

static void desk_fini(struct desk *desk)
{
	close(desk->program.listener);
	free(desk->heard);
	prig_fini(&desk->rig);
}

static uint64_t memory_used(const struct desk *desk)
{
	struct provider_stats stats;

	provider_stats(desk->rig.provider, &stats);
	return stats.memory_used_len;
}

/* The program takes a request: a connection, and the message that came on it. */
static int desk_take(struct desk *desk, json_t **out_request)
{
	int fd = program_accept(&desk->rig, &desk->program);
	size_t len = 0;

	weft_assert(fd >= 0);
	for (unsigned i = 0; i < 2000 && !memchr(desk->heard, '\0', len); i++) {
		ssize_t n = recv(fd, desk->heard + len, HEAR_CAP - len, MSG_DONTWAIT);

		if (n > 0)
			len += (size_t)n;
		else
			prig_turn(&desk->rig, NS_PER_MS);
	}
	*out_request = json_loads(desk->heard, JSON_REJECT_DUPLICATES, NULL);
	weft_assert(*out_request && desk->heard[len - 1] == '\0');
	return fd;
}

static void desk_reply(struct desk *desk, int fd, const char *text)
{
	program_say(fd, text, strlen(text) + 1);
	prig_run(&desk->rig);
}

static const char *param(const json_t *request, const char *name)
{
	return json_string_value(json_object_get(json_object_get(request, "parameters"), name));
}

static void test_an_object_is_asked_as_json_and_may_be_answered_so(void)
{
	static const char payload[] = "{\"a\": 1.50, \"b\":[\"\\u00e9\"]}";
	struct prig_call call = {.cnt = 0};
	char key[80];
	struct desk desk;
	json_t *request;
	int fd;

	desk_init(&desk);
	CHECK_EQ(prig_call(&desk.rig, &call, "desk", "Do", payload, strlen(payload)), 0);
	fd = desk_take(&desk, &request);
	CHECK(strstr(desk.heard, payload)); /* byte for byte */
	CHECK_STR(json_string_value(json_object_get(request, "method")), "net.weft.Service.Call");
	CHECK_STR(param(request, "method"), "Do");
	CHECK_STR(param(request, "caller"),
		  zbase32_write(node_key_public(desk.rig.key), MESH_KEY_LEN, key));
	CHECK_EQ(strlen(param(request, "correlation")), 32);
	CHECK(json_integer_value(
		      json_object_get(json_object_get(request, "parameters"), "ms_left")) > 20000);
	CHECK(!param(request, "base64"));
	desk_reply(&desk, fd, "{\"parameters\":{\"json\":{\"z\":1,\"a\":[2.5,null]}}}");
	CHECK_EQ(call.cnt, 1);
	CHECK_EQ(call.status, SERVICE_OK);
	CHECK_STR(call.payload, "{\"z\":1,\"a\":[2.5,null]}");
	CHECK(program_is_left(fd));
	CHECK_EQ(memory_used(&desk), 0);
	json_decref(request);
	free(call.payload);
	close(fd);
	desk_fini(&desk);
}

static void test_other_payloads_travel_in_base64(void)
{
	static const struct {
		const char *payload;
		size_t len;
	} rows[] = {
		{"", 0},
		{"\0\xff{", 3},
		{"[1]", 3},
		{"{\"a\":1}x", 8},
		{"{\"a\":1,\"a\":2}", 13},
		{"{\"a\":\"\x01\"}", 9},
		{"text", 4},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct prig_call call = {.cnt = 0};
		uint8_t bytes[64];
		char reply[128];
		const char *text;
		struct desk desk;
		json_t *request;
		size_t len = 0;
		int fd;

		desk_init(&desk);
		CHECK_EQ(prig_call(&desk.rig, &call, "desk", "Do", rows[i].payload, rows[i].len),
			 0);
		fd = desk_take(&desk, &request);
		text = param(request, "base64");
		CHECK(!json_object_get(json_object_get(request, "parameters"), "json"));
		CHECK(rows[i].len == 0 || text);
		if (text)
			CHECK_EQ(base64_read(text, strlen(text), bytes, sizeof(bytes), &len), 0);
		CHECK_EQ(len, rows[i].len);
		CHECK_MEM(bytes, rows[i].payload, len);
		snprintf(reply, sizeof(reply), "{\"parameters\":{\"base64\":\"%s\"}}",
			 text ? text : "");
		desk_reply(&desk, fd, reply);
		CHECK_EQ(call.status, SERVICE_OK);
		CHECK_EQ(call.len, rows[i].len);
		CHECK_MEM(call.payload, rows[i].payload, call.len);
		json_decref(request);
		free(call.payload);
		close(fd);
		desk_fini(&desk);
	}
}

static void test_a_payload_of_a_mebibyte_goes_both_ways(void)
{
	size_t len = SERVICE_PAYLOAD_LEN_MAX;
	uint8_t *payload = malloc(len);
	char *reply = malloc(2 * len);
	struct prig_call call = {.cnt = 0};
	struct desk desk;
	json_t *request;
	size_t sent = 0, reply_len;
	int fd;

	for (size_t i = 0; i < len; i++)
		payload[i] = (uint8_t)(i * 31 % 251);
	desk_init(&desk);
	CHECK_EQ(prig_call(&desk.rig, &call, "desk", "Do", payload, len), 0);
	fd = desk_take(&desk, &request);
	reply_len = (size_t)sprintf(reply, "{\"parameters\":{\"base64\":\"%s\"}}",
				    param(request, "base64")) +
		    1;
	while (sent < reply_len) {
		ssize_t n = send(fd, reply + sent, reply_len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		prig_turn(&desk.rig, 0);
	}
	CHECK_SOON(&desk.rig, call.cnt == 1);
	CHECK_EQ(call.status, SERVICE_OK);
	CHECK_EQ(call.len, len);
	CHECK_MEM(call.payload, payload, len);
	CHECK_EQ(memory_used(&desk), 0);
	json_decref(request);
	free(call.payload);
	free(payload);
	free(reply);
	close(fd);
	desk_fini(&desk);
}

static void test_replies_that_are_errors_or_none(void)
{
	static const struct {
		const char *reply;
		enum service_status want;
		const char *text; /* NULL: not looked at */
		unsigned failed_cnt;
	} rows[] = {
		{"{}", SERVICE_OK, "", 0},
		{"{\"parameters\":{}}", SERVICE_OK, "", 0},
		{"{\"parameters\":{\"json\":null,\"base64\":null}}", SERVICE_OK, "", 0},
		{"{\"error\":\"net.weft.Service.Failed\",\"parameters\":"
		 "{\"status\":2,\"text\":\"no\\nsuch thing\"}}",
		 SERVICE_NOT_FOUND, "no?such thing", 0},
		{"{\"error\":\"net.weft.Service.Failed\",\"parameters\":"
		 "{\"status\":4,\"text\":\"zu gro\u00df\"}}",
		 SERVICE_INVALID_PAYLOAD, "zu gro\u00df", 0},
		{"{\"error\":\"net.weft.Service.Failed\",\"parameters\":{\"status\":8}}",
		 SERVICE_FORBIDDEN, NULL, 0},
		{"{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{}}",
		 SERVICE_METHOD_NOT_FOUND, NULL, 0},
		{"{\"error\":\"net.weft.Service.Failed\",\"parameters\":"
		 "{\"status\":1,\"text\":\"/etc/secret\"}}",
		 SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"{\"error\":\"net.weft.Service.Failed\",\"parameters\":{\"status\":0}}",
		 SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"{\"error\":\"net.weft.Service.Failed\",\"parameters\":{\"status\":11}}",
		 SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"{\"error\":\"net.weft.Service.Failed\"}", SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"{\"error\":\"com.example.Oops\",\"parameters\":{}}", SERVICE_UNKNOWN_ERROR, NULL,
		 1},
		{"{\"error\":1}", SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"{\"parameters\":{},\"continues\":true}", SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"{\"parameters\":{\"json\":[1]}}", SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"{\"parameters\":{\"json\":{},\"base64\":\"\"}}", SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"{\"parameters\":{\"base64\":\"?\"}}", SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"{\"parameters\":{\"base64\":1}}", SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"[]", SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"rubbish", SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"", SERVICE_UNKNOWN_ERROR, NULL, 1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct prig_call call = {.cnt = 0};
		struct desk desk;
		json_t *request;
		int fd;

		desk_init(&desk);
		CHECK_EQ(prig_call(&desk.rig, &call, "desk", "Do", "x", 1), 0);
		fd = desk_take(&desk, &request);
		desk_reply(&desk, fd, rows[i].reply);
		if (call.cnt != 1 || call.status != rows[i].want)
			printf("# %s\n", rows[i].reply);
		CHECK_EQ(call.cnt, 1);
		CHECK_EQ(call.status, rows[i].want);
		CHECK(!rows[i].text || strcmp(call.text, rows[i].text) == 0);
		CHECK(!strstr(call.text, "secret"));
		CHECK_EQ(desk.rig.event_cnts[PROVIDER_EVENT_FAILED], rows[i].failed_cnt);
		json_decref(request);
		free(call.payload);
		close(fd);
		desk_fini(&desk);
	}
}

static void test_a_reply_of_two_mebibytes_is_too_long(void)
{
	static char much[65536];
	struct prig_call call = {.cnt = 0};
	size_t said = 0;
	struct desk desk;
	json_t *request;
	int fd;

	memset(much, 'A', sizeof(much));
	desk_init(&desk);
	CHECK_EQ(prig_call(&desk.rig, &call, "desk", "Do", "x", 1), 0);
	fd = desk_take(&desk, &request);
	while (said < 4u << 20 && call.cnt == 0) {
		ssize_t n = send(fd, much, sizeof(much), MSG_DONTWAIT | MSG_NOSIGNAL);

		said += n > 0 ? (size_t)n : 0;
		prig_turn(&desk.rig, 0);
	}
	CHECK_EQ(call.cnt, 1);
	CHECK_EQ(call.status, SERVICE_PAYLOAD_TOO_LARGE);
	CHECK_EQ(desk.rig.event_cnts[PROVIDER_EVENT_FAILED], 1);
	CHECK(program_is_left(fd));
	CHECK_EQ(memory_used(&desk), 0);
	json_decref(request);
	free(call.payload);
	close(fd);
	desk_fini(&desk);
}

static void test_a_reply_longer_than_the_offer_allows(void)
{
	struct provider_spec spec = desk_spec;

	spec.payload_len_max = 3;
	for (unsigned more = 0; more < 2; more++) {
		struct prig_call call = {.cnt = 0};
		struct desk desk;
		json_t *request;
		int fd;

		desk_init_with(&desk, spec);
		CHECK_EQ(prig_call(&desk.rig, &call, "desk", "Do", "x", 1), 0);
		fd = desk_take(&desk, &request);
		desk_reply(&desk, fd,
			   more ? "{\"parameters\":{\"base64\":\"YWJjZA==\"}}"
				: "{\"parameters\":{\"base64\":\"YWJj\"}}");
		CHECK_EQ(call.status, more ? SERVICE_PAYLOAD_TOO_LARGE : SERVICE_OK);
		json_decref(request);
		free(call.payload);
		close(fd);
		desk_fini(&desk);
	}
}

static void test_a_program_that_is_late_or_leaves(void)
{
	struct prig_call late = {.cnt = 0}, left = {.cnt = 0};
	struct desk desk;
	json_t *request;
	int fd;

	desk_init(&desk);
	CHECK_EQ(prig_call(&desk.rig, &left, "desk", "Do", "x", 1), 0);
	fd = desk_take(&desk, &request);
	json_decref(request);
	close(fd);
	prig_run(&desk.rig);
	CHECK_EQ(left.status, SERVICE_UNKNOWN_ERROR);
	CHECK_EQ(desk.rig.event_cnts[PROVIDER_EVENT_FAILED], 1);
	CHECK_EQ(prig_call(&desk.rig, &late, "desk", "Do", "x", 1), 0);
	fd = desk_take(&desk, &request);
	prig_pass(&desk.rig, 31 * NS_PER_S);
	CHECK_EQ(late.cnt, 1);
	CHECK_EQ(late.status, SERVICE_TIMEOUT);
	CHECK(program_is_left(fd));
	/* Its reply after that meets nobody. */
	CHECK(send(fd, "{}", 3, MSG_NOSIGNAL) < 0);
	CHECK_EQ(late.cnt, 1);
	CHECK_EQ(prig_view(&desk.rig).active_cnt, 0);
	json_decref(request);
	free(late.payload);
	free(left.payload);
	close(fd);
	desk_fini(&desk);
}

static void test_several_calls_are_under_way_and_one_too_many_is_refused(void)
{
	struct provider_spec spec = desk_spec;
	struct prig_call calls[4] = {{.cnt = 0}};
	json_t *requests[3];
	int fds[3];
	struct desk desk;
	unsigned ok_cnt = 0;

	spec.concurrency_max = 3;
	desk_init_with(&desk, spec);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(prig_call(&desk.rig, &calls[i], "desk", "Do", "x", 1), 0);
	for (unsigned i = 0; i < 3; i++)
		fds[i] = desk_take(&desk, &requests[i]);
	CHECK_SOON(&desk.rig, calls[0].cnt + calls[1].cnt + calls[2].cnt + calls[3].cnt == 1);
	for (unsigned i = 0; i < 3; i++)
		desk_reply(&desk, fds[2 - i], "{}");
	for (unsigned i = 0; i < 4; i++) {
		CHECK_EQ(calls[i].cnt, 1);
		ok_cnt += calls[i].status == SERVICE_OK;
		CHECK(calls[i].status == SERVICE_OK || calls[i].status == SERVICE_UNAVAILABLE);
		free(calls[i].payload);
	}
	CHECK_EQ(ok_cnt, 3);
	for (unsigned i = 0; i < 3; i++) {
		json_decref(requests[i]);
		close(fds[i]);
	}
	desk_fini(&desk);
}

static void test_a_program_that_is_not_there(void)
{
	struct prig_call call = {.cnt = 0};
	struct prig_stream stream = {.body = NULL};
	struct desk desk;

	desk_init(&desk);
	close(desk.program.listener);
	CHECK_EQ(prig_call(&desk.rig, &call, "desk", "Do", "x", 1), 0);
	prig_run(&desk.rig);
	CHECK_EQ(call.status, SERVICE_UNAVAILABLE);
	CHECK_EQ(prig_view(&desk.rig).state, PROVIDER_DOWN);
	CHECK_EQ(prig_open(&desk.rig, &stream, "desk", "Do", NULL, 0), 0);
	prig_run(&desk.rig);
	CHECK_EQ(stream.status, SERVICE_UNAVAILABLE);
	program_listen_unix(&desk.program, &desk.rig);
	prig_pass(&desk.rig, NS_PER_S);
	CHECK_EQ(prig_view(&desk.rig).state, PROVIDER_READY);
	free(call.payload);
	desk_fini(&desk);
}

/* Streams. */

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

static void test_the_program_is_told_how_its_caller_ended(void)
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

static void test_who_does_not_read_stops_who_writes(void)
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
	CHECK_EQ(provider_withdraw(desk.rig.provider, "desk", 1, prig_done, &desk.rig,
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
	RUN(test_an_object_is_asked_as_json_and_may_be_answered_so);
	RUN(test_other_payloads_travel_in_base64);
	RUN(test_a_payload_of_a_mebibyte_goes_both_ways);
	RUN(test_replies_that_are_errors_or_none);
	RUN(test_a_reply_of_two_mebibytes_is_too_long);
	RUN(test_a_reply_longer_than_the_offer_allows);
	RUN(test_a_program_that_is_late_or_leaves);
	RUN(test_several_calls_are_under_way_and_one_too_many_is_refused);
	RUN(test_a_program_that_is_not_there);
	RUN(test_a_stream_carries_messages_both_ways);
	RUN(test_a_program_may_refuse_a_stream_and_end_it);
	RUN(test_a_program_that_breaks_a_stream);
	RUN(test_the_program_is_told_how_its_caller_ended);
	RUN(test_who_does_not_read_stops_who_writes);
	RUN(test_a_piece_may_be_longer_than_what_is_read_at_once);
	RUN(test_a_stream_that_is_not_taken_ends);
	RUN(test_a_silent_stream_lives_and_ends_with_its_service);
	RUN(test_http_is_refused);
	return check_done();
}

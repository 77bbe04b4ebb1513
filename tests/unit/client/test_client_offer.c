/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"

#include <sys/stat.h>

static char published[512], withdrawn[128];

static void answer(int fd, const json_t *call)
{
	bool is_publish = call_is(call, "net.weft.Services.PublishService");
	char *text = json_dumps(json_object_get(call, "parameters"), JSON_COMPACT | JSON_SORT_KEYS);

	if (is_publish)
		snprintf(published, sizeof(published), "%s", text);
	else
		snprintf(withdrawn, sizeof(withdrawn), "%s", text);
	if (is_publish && strcmp(json_string_value(parameter(call, "name")), "refused") == 0)
		say_text(fd, "{\"error\":\"net.weft.Node.Refused\",\"parameters\":{\"code\":-1008,"
			     "\"what\":\"service refused\",\"why\":\"no room\",\"next\":\"\"}}");
	else
		say_text(fd, "{\"parameters\":{}}");
	free(text);
}

struct seen {
	unsigned call_cnt, stream_cnt, end_cnt;
	int send_err;
	char text[128], trace[64];
	struct weft_request *held;
	struct weft_stream *stream;
};

static void on_call(void *ctx, struct weft_request *request, const struct weft_request_info *info)
{
	struct seen *seen = ctx;

	seen->call_cnt++;
	snprintf(seen->text, sizeof(seen->text), "%s %s %s %d %.*s", info->method, info->caller,
		 info->correlation, info->ms_left, (int)info->len, (const char *)info->payload);
	snprintf(seen->trace, sizeof(seen->trace), "%s",
		 info->traceparent ? info->traceparent : "");
	if (strcmp(info->method, "fail") == 0)
		weft_request_fail(request, WEFT_CALL_FORBIDDEN, "not you");
	else if (strcmp(info->method, "hold") == 0)
		seen->held = request;
	else
		weft_request_reply(request, info->payload, info->len);
}

static void on_piece(void *arg, struct weft_stream *stream, const void *data, size_t len,
		     unsigned flags)
{
	struct seen *seen = arg;

	seen->send_err |= weft_stream_send(stream, data, len, flags);
}

static void on_finished(void *arg, struct weft_stream *stream)
{
	(void)arg;
	weft_stream_finish(stream);
}

static void on_ended(void *arg, struct weft_stream *stream, enum weft_call_status status,
		     const char *text)
{
	struct seen *seen = arg;

	(void)stream, (void)status, (void)text;
	seen->end_cnt++;
}

static void on_stream(void *ctx, struct weft_request *request, const struct weft_request_info *info)
{
	static const struct weft_stream_events events = {
		.piece = on_piece, .finished = on_finished, .ended = on_ended};
	struct seen *seen = ctx;

	seen->stream_cnt++;
	if (strcmp(info->method, "no") != 0)
		seen->stream = weft_request_accept(request, &events, seen);
}

static const struct weft_handler handler = {on_call, on_stream};

static struct weft_offer *offer_start(struct weft_client *client, struct seen *seen, char *path)
{
	static const char *const allow[] = {"node-1", NULL};
	static const char *const metadata[] = {"lang", "c", NULL};
	static const char *const read_only[] = {"List", "Get", NULL};
	struct weft_offering offering = {.name = "echo",
					 .socket_path = path,
					 .calls_per_min = 7,
					 .concurrency = 3,
					 .description = "{}",
					 .allow = allow,
					 .metadata = metadata,
					 .read_only = read_only,
					 .handler = &handler,
					 .ctx = seen};
	struct weft_offer *offer;

	snprintf(path, 96, "%s/echo.sock", fake.dir);
	if (weft_offer_open(client, &offering, &offer, NULL) < 0)
		abort();
	return offer;
}

#define TRACE "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
#define CALL(method, more)                                                                         \
	"{\"method\":\"net.weft.Service.Call\",\"parameters\":{\"method\":\"" method               \
	"\",\"caller\":\"c\",\"correlation\":\"00\",\"ms_left\":99" more "}}"
#define OPEN(method)                                                                               \
	"{\"method\":\"net.weft.Service.Open\",\"parameters\":{\"method\":\"" method               \
	"\",\"caller\":\"c\",\"correlation\":\"00\",\"base64\":\"\"},\"upgrade\":true}"

static void test_calls_are_answered(void)
{
	static const struct {
		const char *call, *seen, *reply;
	} rows[] = {
		{CALL("Say", ",\"base64\":\"aGk=\""), "Say c 00 99 hi",
		 "{\"parameters\":{\"base64\":\"aGk=\"}}"},
		{CALL("Say", ",\"json\":{\"a\":[1]}"), "Say c 00 99 {\"a\":[1]}",
		 "{\"parameters\":{\"base64\":\"eyJhIjpbMV19\"}}"},
		{CALL("Say", ""), "Say c 00 99 ", "{\"parameters\":{\"base64\":\"\"}}"},
		{CALL("Say", ",\"json\":[1]"), "",
		 "{\"error\":\"net.weft.Service.Failed\",\"parameters\":{\"status\":4,\"text\":"
		 "\"the payload cannot be read\"}}"},
		{CALL("Say", ",\"a_field_of_later\":1"), "Say c 00 99 ",
		 "{\"parameters\":{\"base64\":\"\"}}"},
		{CALL("fail", ",\"traceparent\":\"" TRACE "\""), "fail c 00 99 ",
		 "{\"error\":\"net.weft.Service.Failed\",\"parameters\":{\"status\":8,\"text\":"
		 "\"not you\"}}"},
		{CALL("Say", ",\"base64\":\"*\""), "",
		 "{\"error\":\"net.weft.Service.Failed\",\"parameters\":{\"status\":4,\"text\":"
		 "\"the payload cannot be read\"}}"},
		{"{\"method\":\"net.weft.Other.Call\"}", "",
		 "{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{\"method\":"
		 "\"net.weft.Other.Call\"}}"},
		{OPEN("no"), "",
		 "{\"error\":\"net.weft.Service.Failed\",\"parameters\":{\"status\":3,\"text\":"
		 "\"it takes no such stream\"}}"},
	};
	struct weft_client *client;
	struct weft_offer *offer;
	struct seen seen = {0};
	char path[96];
	int fd;

	daemon_open(answer);
	client = client_of_fake();
	offer = offer_start(client, &seen, path);
	fd = daemon_dial(path);
	/* All at once: they are answered one by one, in order. */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		say_text(fd, rows[i].call);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static char reply[512];
		size_t len = 0;

		for (;;) {
			ssize_t n = recv(fd, reply + len, 1, MSG_DONTWAIT);

			if (n == 1 && !reply[len++])
				break;
			if (n < 0)
				CHECK_EQ(weft_client_dispatch(client, -1), 0);
		}
		CHECK_STR(reply, rows[i].reply);
	}
	CHECK_STR(seen.text, "fail c 00 99 ");
	CHECK_STR(seen.trace, TRACE);
	CHECK_EQ(seen.call_cnt, 5);
	close(fd);
	weft_offer_close(offer);
	weft_client_close(client);
	daemon_close();
}

static void test_an_offer_is_published_and_withdrawn(void)
{
	struct weft_client *client;
	struct weft_offer *offer;
	struct seen seen = {0};
	char path[96], wanted[320];
	struct stat st;

	daemon_open(answer);
	client = client_of_fake();
	offer = offer_start(client, &seen, path);
	snprintf(wanted, sizeof(wanted),
		 "{\"allow\":[\"node-1\"],\"calls_per_min\":7,\"concurrency\":3,\"description\":\"{"
		 "}\",\"metadata\":{"
		 "\"lang\":\"c\"},"
		 "\"name\":\"echo\",\"read_only\":[\"List\",\"Get\"],\"socket\":\"%s\","
		 "\"version\":\"1.0.0\"}",
		 path);
	CHECK_STR(published, wanted);
	weft_offer_close(offer);
	CHECK_STR(withdrawn, "{\"name\":\"echo\",\"version\":\"1.0.0\"}");
	CHECK(lstat(path, &st) < 0);
	weft_client_close(client);
	daemon_close();
}

static void test_a_socket_in_use_is_left_alone_and_a_stale_one_replaced(void)
{
	struct seen seen = {0};
	struct weft_offering offering = {.name = "echo", .handler = &handler, .ctx = &seen};
	struct weft_client *client;
	struct weft_offer *offer;
	struct weft_error error;
	char path[96];
	struct stat st;
	int fd;

	daemon_open(answer);
	client = client_of_fake();
	snprintf(path, sizeof(path), "%s/echo.sock", fake.dir);
	offering.socket_path = path;
	fd = daemon_listen(path);
	CHECK_EQ(weft_offer_open(client, &offering, &offer, &error), WEFT_EBUSY);
	CHECK_STR(error.what, path);
	close(fd); /* its file stays, as after kill -9 */
	CHECK_EQ(weft_offer_open(client, &offering, &offer, &error), 0);
	weft_offer_close(offer);
	offering.name = "refused";
	CHECK_EQ(weft_offer_open(client, &offering, &offer, &error), WEFT_EREFUSED);
	CHECK_STR(error.why, "no room");
	CHECK(lstat(path, &st) < 0);
	weft_client_close(client);
	daemon_close();
}

static void test_a_reply_may_come_later_and_after_its_caller_left(void)
{
	struct weft_client *client;
	struct weft_offer *offer;
	struct seen seen = {0};
	char path[96], reply[64];
	int fd;

	daemon_open(answer);
	client = client_of_fake();
	offer = offer_start(client, &seen, path);
	fd = daemon_dial(path);
	say_text(fd, CALL("hold", ""));
	UNTIL(client, seen.held);
	weft_request_reply(seen.held, "x", 1);
	CHECK(recv(fd, reply, sizeof(reply), 0) > 0);
	CHECK_STR(reply, "{\"parameters\":{\"base64\":\"eA==\"}}");
	seen.held = NULL;
	say_text(fd, CALL("hold", ""));
	UNTIL(client, seen.held);
	close(fd);
	while (weft_client_dispatch(client, 10) == 0 && seen.call_cnt < 3) {
		/* Another caller is served meanwhile. */
		fd = daemon_dial(path);
		say_text(fd, CALL("Say", ""));
	}
	weft_request_reply(seen.held, "x", 1);
	close(fd);
	weft_offer_close(offer);
	weft_client_close(client);
	daemon_close();
}

static void test_a_stream_is_taken_and_echoes(void)
{
	static const char frames[] = "\0\0\0\2\1hi\0\0\0\0\4";
	static const char reply[] = "{\"parameters\":{}}";
	struct weft_client *client;
	struct weft_offer *offer;
	struct seen seen = {0};
	char path[96], heard[64];
	int fd;

	daemon_open(answer);
	client = client_of_fake();
	offer = offer_start(client, &seen, path);
	fd = daemon_dial(path);
	/* The frames come with the call, before it is taken. */
	say_text(fd, OPEN("yes"));
	say_bytes(fd, frames, sizeof(frames) - 1);
	UNTIL(client, seen.stream_cnt);
	for (size_t len = 0; len < sizeof(reply) + sizeof(frames) - 1;) {
		ssize_t n = recv(fd, heard + len, sizeof(heard) - len, MSG_DONTWAIT);

		if (n > 0)
			len += (size_t)n;
		else
			CHECK_EQ(weft_client_dispatch(client, -1), 0);
	}
	CHECK_MEM(heard, reply, sizeof(reply));
	CHECK_MEM(heard + sizeof(reply), frames, sizeof(frames) - 1);
	say_bytes(fd, "\0\0\0\1\5\0", 6);
	UNTIL(client, seen.end_cnt);
	close(fd);
	weft_offer_close(offer);
	weft_client_close(client);
	daemon_close();
	CHECK_EQ(seen.end_cnt, 1);
	CHECK_EQ(seen.send_err, 0);
}

int main(void)
{
	RUN(test_calls_are_answered);
	RUN(test_an_offer_is_published_and_withdrawn);
	RUN(test_a_socket_in_use_is_left_alone_and_a_stale_one_replaced);
	RUN(test_a_reply_may_come_later_and_after_its_caller_left);
	RUN(test_a_stream_is_taken_and_echoes);
	return check_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/pipe_frame.h"
#include "daemon.h"

static int stream_fd = -1; /* of the stream that the test speaks on */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* The upgrade is answered here; the conn's thread then leaves the connection to the test. */
static void answer(int fd, const json_t *call)
{
	const char *method = json_string_value(parameter(call, "method"));

	if (!call_is(call, "net.weft.Services.OpenServiceStream") ||
	    !json_is_true(json_object_get(call, "upgrade"))) {
		say_text(fd, "{\"error\":\"org.varlink.service.MethodNotFound\"}");
		return;
	}
	if (strcmp(method, "refuse") == 0) {
		say_text(fd, "{\"error\":\"net.weft.Node.NotFound\",\"parameters\":{\"code\":-1002,"
			     "\"status\":2,\"what\":\"service echo\",\"why\":\"nobody provides "
			     "it\"}}");
		return;
	}
	if (strcmp(method, "leave") == 0) {
		shutdown(fd, SHUT_RDWR);
		return;
	}
	say_text(fd, "{\"parameters\":{\"provider\":\"a-node\"}}");
	pthread_mutex_lock(&lock);
	stream_fd = fd;
	pthread_cond_broadcast(&changed);
	while (stream_fd >= 0)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	shutdown(fd, SHUT_RDWR);
}

static int stream_take(void)
{
	int fd;

	pthread_mutex_lock(&lock);
	while (stream_fd < 0)
		pthread_cond_wait(&changed, &lock);
	fd = stream_fd;
	pthread_mutex_unlock(&lock);
	return fd;
}

static void stream_leave(void)
{
	pthread_mutex_lock(&lock);
	stream_fd = -1;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

struct heard {
	char text[256]; /* O opened, b: or t: message; F finished, W writable, E end */
	struct weft_stream *stream;
	size_t len;
	bool is_in_message, is_over;
	bool pauses; /* behind each piece */
};

static void note(struct heard *heard, const char *text)
{
	size_t len = strlen(heard->text);

	snprintf(heard->text + len, sizeof(heard->text) - len, "%s", text);
}

static void opened(void *arg, struct weft_stream *stream, const char *provider)
{
	(void)stream;
	note(arg, strcmp(provider, "a-node") == 0 ? "O" : "?");
}

static void piece(void *arg, struct weft_stream *stream, const void *data, size_t len,
		  unsigned flags)
{
	struct heard *heard = arg;
	char text[64];

	heard->len += len;
	snprintf(text, sizeof(text), "%s%.*s%s",
		 heard->is_in_message	    ? ""
		 : flags & WEFT_STREAM_TEXT ? "t:"
					    : "b:",
		 len < 16 ? (int)len : 0, (const char *)data, flags & WEFT_STREAM_MORE ? "" : ";");
	heard->is_in_message = flags & WEFT_STREAM_MORE;
	note(heard, text);
	if (heard->pauses)
		weft_stream_pause(stream, true);
}

static void finished(void *arg, struct weft_stream *stream)
{
	(void)stream;
	note(arg, "F");
}

static void writable(void *arg, struct weft_stream *stream)
{
	(void)stream;
	note(arg, "W");
}

static void ended(void *arg, struct weft_stream *stream, enum weft_call_status status,
		  const char *text)
{
	struct heard *heard = arg;
	char end[64];

	(void)stream;
	snprintf(end, sizeof(end), "E%d %s", (int)status, text);
	note(heard, end);
	heard->is_over = true;
}

static const struct weft_stream_events events = {opened, piece, finished, writable, ended};

static bool stream_start(struct weft_client *client, const char *method, struct heard *heard)
{
	const struct weft_stream_params params = {.target = {.service = "echo"},
						  .method = method,
						  .head = "head",
						  .len = 4,
						  .timeout_ms = 10000,
						  .events = &events,
						  .arg = heard};

	return weft_stream_open(client, &params, &heard->stream, NULL) == 0;
}

static void test_messages_go_both_ways(void)
{
	static const char out[] = "\0\0\0\2\0hi\0\0\0\1\3a\0\0\0\1\1b\0\0\0\0\4";
	static const char in[] = "\0\0\0\2\1yo\0\0\0\3\2abc\0\0\0\0\0\0\0\0\0\4\0\0\0\5\5\0done";
	struct heard heard = {.len = 0};
	struct weft_client *client;
	char seen[sizeof(out) - 1];

	daemon_open(answer);
	client = client_of_fake();
	CHECK(stream_start(client, "chat", &heard));
	CHECK_EQ(weft_stream_send(heard.stream, "hi", 2, 0), 0);
	CHECK_EQ(weft_stream_send(heard.stream, "a", 1, WEFT_STREAM_TEXT | WEFT_STREAM_MORE), 0);
	CHECK_EQ(weft_stream_send(heard.stream, "b", 1, WEFT_STREAM_TEXT), 0);
	weft_stream_finish(heard.stream);
	CHECK_EQ(weft_stream_send(heard.stream, "c", 1, 0), WEFT_ECLOSED);
	UNTIL(client, *heard.text);
	CHECK(hear_bytes(stream_take(), seen, sizeof(seen)));
	CHECK_MEM(seen, out, sizeof(seen));
	say_bytes(stream_take(), in, sizeof(in) - 1);
	UNTIL(client, heard.is_over);
	CHECK_STR(heard.text, "Ot:yo;b:abc;FE0 done");
	stream_leave();
	weft_client_close(client);
	daemon_close();
}

static void test_streams_that_do_not_open_end(void)
{
	static const struct {
		const char *method, *text;
	} rows[] = {
		{"refuse", "E2 nobody provides it"},
		{"leave", "E10 the connection to the daemon is gone"},
	};
	struct weft_client *client;

	daemon_open(answer);
	client = client_of_fake();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct heard heard = {.len = 0};

		CHECK(stream_start(client, rows[i].method, &heard));
		UNTIL(client, heard.is_over);
		CHECK_STR(heard.text, rows[i].text);
	}
	weft_client_close(client);
	daemon_close();
}

static void test_what_is_no_frame_and_a_daemon_that_leaves_end_a_stream(void)
{
	static const struct {
		const char *said;
		size_t len;
		const char *text;
	} rows[] = {
		{"\0\0\0\0\11", 5, "OE1 the daemon sent what is no frame of a stream"},
		{"\0\0\0\1\1x", 6, "Ot:x;E10 the connection to the daemon is gone"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct heard heard = {.len = 0};
		struct weft_client *client;

		daemon_open(answer);
		client = client_of_fake();
		CHECK(stream_start(client, "chat", &heard));
		say_bytes(stream_take(), rows[i].said, rows[i].len);
		stream_leave();
		UNTIL(client, heard.is_over);
		CHECK_STR(heard.text, rows[i].text);
		weft_client_close(client);
		daemon_close();
	}
}

static void test_a_paused_stream_hears_nothing_until_it_goes_on(void)
{
	struct heard heard = {.pauses = true};
	struct weft_client *client;

	daemon_open(answer);
	client = client_of_fake();
	CHECK(stream_start(client, "chat", &heard));
	say_bytes(stream_take(), "\0\0\0\1\1a\0\0\0\1\1b\0\0\0\1\5\0", 18);
	UNTIL(client, heard.len == 1);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(weft_client_dispatch(client, 0), 0);
	CHECK_STR(heard.text, "Ot:a;");
	weft_stream_pause(heard.stream, false);
	UNTIL(client, heard.len == 2);
	CHECK_STR(heard.text, "Ot:a;t:b;");
	weft_stream_pause(heard.stream, false);
	UNTIL(client, heard.is_over);
	CHECK_STR(heard.text, "Ot:a;t:b;E0 ");
	stream_leave();
	weft_client_close(client);
	daemon_close();
}

static void test_a_megabyte_waits_and_no_more(void)
{
	static char data[WEFT_STREAM_PIECE_MAX + 1];
	static char seen[sizeof(data)];
	struct heard heard = {.len = 0};
	struct weft_client *client;
	size_t sent_cnt = 0;
	int fd;

	daemon_open(answer);
	client = client_of_fake();
	CHECK(stream_start(client, "chat", &heard));
	UNTIL(client, *heard.text);
	fd = stream_take();
	CHECK_EQ(weft_stream_send(heard.stream, data, sizeof(data), 0), WEFT_ETOOLARGE);
	while (weft_stream_send(heard.stream, data, sizeof(data) - 1, 0) == 0)
		sent_cnt++;
	CHECK(sent_cnt >= 3 && sent_cnt <= 8);
	CHECK_EQ(weft_stream_send(heard.stream, data, sizeof(data) - 1, 0), WEFT_EFULL);
	CHECK_STR(heard.text, "O");
	while (sent_cnt) {
		ssize_t n = recv(fd, seen, sizeof(seen), MSG_DONTWAIT);

		if (n < 0 && strcmp(heard.text, "OW") == 0)
			break;
		CHECK(n > 0 || errno == EAGAIN);
		CHECK_EQ(weft_client_dispatch(client, 0), 0);
	}
	CHECK_STR(heard.text, "OW");
	weft_stream_end(heard.stream, WEFT_CALL_OK, NULL);
	stream_leave();
	weft_client_close(client);
	daemon_close();
}

static void test_an_end_of_one_side_reaches_the_other_and_nothing_follows(void)
{
	struct heard heard = {.len = 0};
	struct weft_client *client;
	char seen[10];

	daemon_open(answer);
	client = client_of_fake();
	CHECK(stream_start(client, "chat", &heard));
	UNTIL(client, *heard.text);
	weft_stream_end(heard.stream, WEFT_CALL_FORBIDDEN, "no!!");
	CHECK(hear_bytes(stream_take(), seen, sizeof(seen)));
	CHECK_MEM(seen, "\0\0\0\5\5\10no!!", sizeof(seen));
	CHECK_EQ(recv(stream_take(), seen, 1, 0), 0);
	CHECK_STR(heard.text, "O");
	stream_leave();
	weft_client_close(client);
	daemon_close();
}

int main(void)
{
	RUN(test_messages_go_both_ways);
	RUN(test_streams_that_do_not_open_end);
	RUN(test_what_is_no_frame_and_a_daemon_that_leaves_end_a_stream);
	RUN(test_a_paused_stream_hears_nothing_until_it_goes_on);
	RUN(test_a_megabyte_waits_and_no_more);
	RUN(test_an_end_of_one_side_reaches_the_other_and_nothing_follows);
	return check_done();
}

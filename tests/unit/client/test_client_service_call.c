/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/text/base64.h"
#include "daemon.h"

#define PAYLOAD_LEN_MAX (1024 * 1024)
#define MANY		1000

static int held_fd = -1; /* of the call "hold", whose reply the test sends */
static json_int_t held_id;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void held_give(int fd)
{
	pthread_mutex_lock(&lock);
	held_fd = fd;
	held_id = control_call_id;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}

static void answer_call(int fd, const json_t *call)
{
	const char *method = json_string_value(parameter(call, "method"));

	if (strcmp(method, "echo") == 0) {
		say(fd, json_pack("{s:{s:i, s:s, s:s, s:s, s:i, s:O}}", "parameters", "status", 0,
				  "status_name", "OK", "text", "", "provider", "a-node", "took_us",
				  17, "base64", parameter(call, "base64")));
	} else if (strcmp(method, "limited") == 0) {
		say(fd, json_pack("{s:{s:i, s:s, s:s, s:i, s:i}}", "parameters", "status", 6,
				  "status_name", "RateLimited", "text", "too often", "took_us", 5,
				  "not_before_ms", 250));
	} else if (strcmp(method, "garbage") == 0) {
		say(fd, json_pack("{s:{s:i, s:s}}", "parameters", "status", 0, "base64", "***"));
	} else if (strcmp(method, "asked") == 0) {
		char *text = json_dumps(json_object_get(call, "parameters"),
					JSON_COMPACT | JSON_SORT_KEYS);
		char base64[1024];

		base64_write((const uint8_t *)text, strlen(text), base64);
		say(fd, json_pack("{s:{s:i, s:s}}", "parameters", "status", 0, "base64", base64));
		free(text);
	} else if (strcmp(method, "burst") == 0) {
		/* All together, the newest first. */
		static json_int_t ids[MANY];
		static unsigned cnt;

		ids[cnt++] = control_call_id;
		if (cnt < MANY)
			return;
		while (cnt) {
			control_call_id = ids[--cnt];
			say(fd, json_pack("{s:{s:i, s:I}}", "parameters", "status", 0, "took_us",
					  control_call_id));
		}
	} else {
		held_give(fd);
	}
}

static void answer(int fd, const json_t *call)
{
	if (call_is(call, "net.weft.Node.CancelCall")) {
		control_call_id = json_integer_value(parameter(call, "call"));
		held_give(fd);
	} else {
		answer_call(fd, call);
	}
}

static int held_take(void)
{
	int fd;

	pthread_mutex_lock(&lock);
	while (held_fd < 0)
		pthread_cond_wait(&changed, &lock);
	fd = held_fd;
	held_fd = -1;
	pthread_mutex_unlock(&lock);
	return fd;
}

static struct weft_call_params call_of(const char *method)
{
	return (struct weft_call_params){.target = {.service = "echo"}, .method = method};
}

static void test_a_payload_comes_back_as_it_went(void)
{
	static uint8_t payload[PAYLOAD_LEN_MAX];
	static const size_t lens[] = {0, 1, 2, 3, 256, PAYLOAD_LEN_MAX};
	struct weft_call_params params = {.target = {.service = "echo"},
					  .method = "echo",
					  .payload = payload,
					  .timeout_ms = 10000};
	struct weft_client *client;

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 31 + i / 256);
	daemon_open(answer);
	client = client_of_fake();
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct weft_reply *reply;

		params.len = lens[i];
		CHECK_EQ(weft_call(client, &params, &reply, NULL), 0);
		CHECK_EQ(reply->status, WEFT_CALL_OK);
		CHECK_EQ(reply->len, lens[i]);
		CHECK_MEM(reply->payload, payload, lens[i]);
		CHECK_STR(reply->provider, "a-node");
		CHECK_EQ(reply->took_us, 17);
		weft_reply_free(reply);
	}
	weft_client_close(client);
	daemon_close();
	CHECK_EQ(fake.conn_cnt, 1);
}

static void test_a_refusal_is_an_answer(void)
{
	const struct weft_call_params limited = call_of("limited"), garbage = call_of("garbage");
	struct weft_client *client;
	struct weft_reply *reply;

	daemon_open(answer);
	client = client_of_fake();
	CHECK_EQ(weft_call(client, &limited, &reply, NULL), 0);
	CHECK_EQ(reply->status, WEFT_CALL_RATE_LIMITED);
	CHECK_STR(reply->text, "too often");
	CHECK_STR(reply->provider, "");
	CHECK_EQ(reply->not_before_ms, 250);
	CHECK_EQ(reply->len, 0);
	weft_reply_free(reply);
	CHECK(weft_call(client, &garbage, &reply, NULL) < 0);
	weft_client_close(client);
	daemon_close();
}

static void test_only_the_given_target_fields_are_sent(void)
{
	static const struct {
		struct weft_target target;
		int timeout_ms;
		const char *asked;
	} rows[] = {
		{{.service = "echo"},
		 -1,
		 "{\"base64\":\"aGk=\",\"method\":\"asked\",\"name\":\"echo\"}"},
		{{.service = "echo", .version = "^1", .provider = "a-node"},
		 1500,
		 "{\"base64\":\"aGk=\",\"method\":\"asked\",\"name\":\"echo\",\"provider\":\"a-"
		 "node\","
		 "\"timeout_ms\":1500,\"version\":\"^1\"}"},
		{{.service = "echo", .traceparent = "00-a"},
		 -1,
		 "{\"base64\":\"aGk=\",\"method\":\"asked\",\"name\":\"echo\",\"traceparent\":\"00-"
		 "a\"}"},
	};
	struct weft_client *client;

	daemon_open(answer);
	client = client_of_fake();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct weft_call_params params = {.target = rows[i].target,
							.method = "asked",
							.payload = "hi",
							.len = 2,
							.timeout_ms = rows[i].timeout_ms};
		struct weft_reply *reply;
		char asked[256];

		CHECK_EQ(weft_call(client, &params, &reply, NULL), 0);
		snprintf(asked, sizeof(asked), "%.*s", (int)reply->len,
			 (const char *)reply->payload);
		CHECK_STR(asked, rows[i].asked);
		weft_reply_free(reply);
	}
	weft_client_close(client);
	daemon_close();
}

struct told {
	unsigned cnt;
	int err;
	int status;
};

static void done(void *arg, const struct weft_reply *reply, const struct weft_error *error)
{
	struct told *told = arg;

	told->cnt++;
	told->err = error ? error->err : 0;
	told->status = reply ? (int)reply->status : -1;
}

static struct weft_pending *start(struct weft_client *client, const char *method, struct told *told)
{
	const struct weft_call_params params = call_of(method);
	struct weft_pending *pending;

	if (weft_call_start(client, &params, (struct weft_call_done){done, told}, &pending, NULL) <
	    0)
		abort();
	return pending;
}

static void test_calls_do_not_wait_for_each_other(void)
{
	struct told slow_told = {0}, quick_told = {0};
	struct weft_client *client;

	daemon_open(answer);
	client = client_of_fake();
	start(client, "hold", &slow_told);
	start(client, "limited", &quick_told);
	UNTIL(client, quick_told.cnt);
	CHECK_EQ(quick_told.status, WEFT_CALL_RATE_LIMITED);
	CHECK_EQ(slow_told.cnt, 0);
	say(held_take(), json_pack("{s:{s:i}, s:I}", "parameters", "status", 0, "id", held_id));
	UNTIL(client, slow_told.cnt);
	CHECK_EQ(slow_told.status, WEFT_CALL_OK);
	CHECK_EQ(slow_told.err, 0);
	weft_client_close(client);
	daemon_close();
	CHECK_EQ(fake.conn_cnt, 1);
}

static void test_a_cancelled_call_is_seen_to_be_gone(void)
{
	struct weft_pending *pending;
	struct told told = {0}, other_told = {0};
	struct weft_client *client;
	json_int_t id;
	int fd;

	daemon_open(answer);
	client = client_of_fake();
	pending = start(client, "cancel", &told);
	(void)held_take();
	id = held_id;
	weft_call_cancel(pending);
	(void)held_take();
	CHECK_EQ(held_id, id);
	/* Its answer was under way: no caller hears it, and the connection serves others. */
	start(client, "hold", &other_told);
	fd = held_take();
	say(fd, json_pack("{s:{s:i}, s:I}", "parameters", "status", 0, "id", id));
	say(fd, json_pack("{s:{s:i}, s:I}", "parameters", "status", 0, "id", held_id));
	UNTIL(client, other_told.cnt);
	weft_client_close(client);
	daemon_close();
	CHECK_EQ(told.cnt, 0);
	CHECK_EQ(fake.conn_cnt, 1);
}

static void test_a_thousand_calls_take_one_connection(void)
{
	static struct told told[MANY];
	struct weft_client *client;
	unsigned good_cnt = 0;

	daemon_open(answer);
	client = client_of_fake();
	for (int i = 0; i < MANY; i++)
		start(client, "burst", &told[i]);
	UNTIL(client, told[0].cnt);
	for (int i = 0; i < MANY; i++)
		good_cnt += told[i].cnt == 1 && told[i].status == WEFT_CALL_OK;
	CHECK_EQ(good_cnt, MANY);
	weft_client_close(client);
	daemon_close();
	CHECK_EQ(fake.conn_cnt, 1);
}

static void test_a_daemon_without_ids_is_recognised(void)
{
	struct told told = {0};
	struct weft_client *client;

	daemon_open(answer);
	client = client_of_fake();
	start(client, "hold", &told);
	say(held_take(), json_pack("{s:{s:i}}", "parameters", "status", 0));
	UNTIL(client, told.cnt);
	CHECK_EQ(told.err, WEFT_EMALFORMED);
	weft_client_close(client);
	daemon_close();
}

static void test_a_daemon_that_leaves_is_an_error_of_the_call(void)
{
	struct told told = {0};
	struct weft_client *client;

	daemon_open(answer);
	client = client_of_fake();
	start(client, "hold", &told);
	shutdown(held_take(), SHUT_RDWR);
	UNTIL(client, told.cnt);
	CHECK_EQ(told.err, WEFT_ECLOSED);
	CHECK_EQ(told.status, -1);
	weft_client_close(client);
	daemon_close();
}

int main(void)
{
	RUN(test_a_payload_comes_back_as_it_went);
	RUN(test_a_refusal_is_an_answer);
	RUN(test_only_the_given_target_fields_are_sent);
	RUN(test_calls_do_not_wait_for_each_other);
	RUN(test_a_cancelled_call_is_seen_to_be_gone);
	RUN(test_a_thousand_calls_take_one_connection);
	RUN(test_a_daemon_without_ids_is_recognised);
	RUN(test_a_daemon_that_leaves_is_an_error_of_the_call);
	return check_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"

#define NODE "net.weft.Node."

static void answer(int fd, const json_t *call)
{
	if (call_is(call, NODE "GetNodeId")) {
		say_text(fd, "{\"parameters\":{\"node_id\":\"me\"}}");
	} else if (call_is(call, NODE "ShowPeer")) {
		say_text(fd, "{\"error\":\"net.weft.Node.NotFound\",\"parameters\":{\"code\":-1002,"
			     "\"name\":\"WEFT_EABSENT\",\"what\":\"peer x\",\"why\":\"unknown\","
			     "\"next\":\"meet it\"}}");
	} else if (call_is(call, NODE "Shutdown")) {
		say_text(fd, "{\"error\":\"org.varlink.service.PermissionDenied\"}");
	} else if (call_is(call, NODE "PlanXdp")) {
		say_text(fd, "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":"
			     "{\"parameter\":\"device\"}}");
	} else if (call_is(call, NODE "Status")) {
		say_text(fd, "no JSON");
	} else if (call_is(call, NODE "Reload")) {
		shutdown(fd, SHUT_RDWR);
	} else if (call_is(call, NODE "ListPeers")) {
		const char text[] = "{\"parameters\":{\"peers\":[]}}";

		for (size_t i = 0; i < sizeof(text); i++)
			say_bytes(fd, text + i, 1);
	} else if (call_is(call, NODE "AddShare")) {
		say_text(fd, "{\"parameters\":{\"import\":{}},\"continues\":true}");
		say_text(fd, "{\"parameters\":{\"import\":{},\"link\":\"mesh:x\"}}");
	} else if (call_is(call, NODE "Get")) {
		/* In one piece: who stops at the first has the others in its buffer. */
		static const char text[] =
			"{\"parameters\":{\"transfer\":{\"bytes_done\":0,\"bytes\":200}},"
			"\"continues\":true}\0"
			"{\"parameters\":{\"transfer\":{\"bytes_done\":100,\"bytes\":200}},"
			"\"continues\":true}\0"
			"{\"parameters\":{\"transfer\":{\"bytes_done\":200,\"bytes\":200}}}";

		say_bytes(fd, text, sizeof(text));
	} else if (call_is(call, NODE "WatchEvents")) {
		for (int i = 1; i <= 3; i++)
			say(fd, json_pack("{s:{s:{s:i}}, s:b}", "parameters", "event", "seq", i,
					  "continues", 1));
		if (json_is_integer(parameter(call, "since")))
			shutdown(fd, SHUT_RDWR);
	}
	/* CancelGet is not answered. */
}

static void test_a_method_is_asked(void)
{
	struct weft_client *client;
	char *json;

	daemon_open(answer);
	client = client_of_fake();
	CHECK_EQ(weft_ask(client, "GetNodeId", NULL, 10000, &json, NULL), 0);
	CHECK_STR(json, "{\"node_id\":\"me\"}");
	free(json);
	CHECK_EQ(weft_ask(client, "ListPeers", "{}", 10000, &json, NULL), 0);
	CHECK_STR(json, "{\"peers\":[]}");
	free(json);
	weft_client_close(client);
	daemon_close();
	CHECK_EQ(fake.conn_cnt, 1);
}

static void test_errors_are_told_in_words(void)
{
	static const struct {
		const char *method, *parameters;
		int err;
		const char *what, *why;
	} rows[] = {
		{"ShowPeer", "{\"node_id\":\"x\"}", WEFT_EABSENT, "peer x", "unknown"},
		{"Shutdown", NULL, WEFT_EREFUSED, "daemon", "you may not do this"},
		{"PlanXdp", NULL, WEFT_EMALFORMED, "device", "the daemon does not take this value"},
		{"Status", NULL, WEFT_EMALFORMED, "reply",
		 "the daemon sent something that is no JSON"},
		{"Reload", NULL, WEFT_ECLOSED, "daemon", "it closed the connection"},
		{"Status", "[1]", WEFT_EMALFORMED, "parameters", "they are no JSON object"},
		{"Status", "{", WEFT_EMALFORMED, "parameters", "they are no JSON object"},
		{"CancelGet", NULL, WEFT_ETIMEOUT, NULL, "no answer within 20 ms"},
	};
	struct weft_client *client;
	struct weft_error error;
	char *json;

	daemon_open(answer);
	client = client_of_fake();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int timeout_ms = rows[i].err == WEFT_ETIMEOUT ? 20 : 120000;

		CHECK_EQ(weft_ask(client, rows[i].method, rows[i].parameters, timeout_ms, &json,
				  &error),
			 rows[i].err);
		CHECK_EQ(error.err, rows[i].err);
		if (rows[i].what)
			CHECK_STR(error.what, rows[i].what);
		CHECK_STR(error.why, rows[i].why);
		CHECK_EQ(weft_ask(client, rows[i].method, rows[i].parameters, timeout_ms, &json,
				  NULL),
			 rows[i].err);
	}
	CHECK_EQ(weft_ask(client, "GetNodeId", NULL, 10000, &json, &error), 0);
	free(json);
	weft_client_close(client);
	daemon_close();
}

static void test_no_daemon_is_an_error_that_says_where(void)
{
	struct weft_client *client;
	struct weft_error error;
	char path[200];

	CHECK_EQ(weft_client_open("/nonexistent/control.sock", 1000, &client, &error), -ENOENT);
	CHECK_STR(error.what, "no daemon answers at /nonexistent/control.sock");
	CHECK(strstr(error.next, "weftd --control"));
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	CHECK_EQ(weft_client_open(path, 1000, &client, NULL), -ENAMETOOLONG);
}

static void test_the_environment_says_where_the_daemon_is(void)
{
	struct weft_client *client;
	char *json;

	daemon_open(answer);
	setenv("WEFT_SOCKET", fake.path, 1);
	CHECK_EQ(weft_client_open(NULL, 10000, &client, NULL), 0);
	unsetenv("WEFT_SOCKET");
	CHECK_EQ(weft_ask(client, "GetNodeId", NULL, 10000, &json, NULL), 0);
	free(json);
	weft_client_close(client);
	daemon_close();
}

struct seen {
	unsigned reply_cnt, end_cnt;
	int err;
	char last[64];
	struct weft_watch *watch;
	unsigned close_at; /* close behind so many replies; 0: never */
};

static void watched(void *arg, const char *json, const struct weft_error *error)
{
	struct seen *seen = arg;

	if (!json) {
		seen->end_cnt++;
		seen->err = error ? error->err : 0;
		return;
	}
	snprintf(seen->last, sizeof(seen->last), "%s", json);
	if (++seen->reply_cnt == seen->close_at)
		weft_watch_close(seen->watch);
}

static void test_a_watch_hears_each_reply_and_the_end(void)
{
	static const struct {
		const char *method, *parameters;
		unsigned close_at, reply_cnt, end_cnt;
		int err;
		const char *last;
	} rows[] = {
		{"AddShare", "{\"path\":\"/x\"}", 0, 2, 1, 0,
		 "{\"import\":{},\"link\":\"mesh:x\"}"},
		{"AddShare", "{\"path\":\"/x\"}", 1, 1, 0, 0, "{\"import\":{}}"},
		{"AddShare", "{\"path\":\"/x\"}", 2, 2, 0, 0,
		 "{\"import\":{},\"link\":\"mesh:x\"}"},
		{"WatchEvents", NULL, 3, 3, 0, 0, "{\"event\":{\"seq\":3}}"},
		{"WatchEvents", "{\"since\":1}", 0, 3, 1, WEFT_ECLOSED, "{\"event\":{\"seq\":3}}"},
		{"ShowPeer", "{\"node_id\":\"x\"}", 0, 0, 1, WEFT_EABSENT, ""},
	};
	struct weft_client *client;

	daemon_open(answer);
	client = client_of_fake();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct seen seen = {.close_at = rows[i].close_at};

		CHECK_EQ(weft_watch_open(client, rows[i].method, rows[i].parameters, watched, &seen,
					 &seen.watch, NULL),
			 0);
		UNTIL(client, seen.end_cnt || (seen.close_at && seen.reply_cnt == seen.close_at));
		CHECK_EQ(weft_client_dispatch(client, 0), 0);
		CHECK_EQ(seen.reply_cnt, rows[i].reply_cnt);
		CHECK_EQ(seen.end_cnt, rows[i].end_cnt);
		CHECK_EQ(seen.err, rows[i].err);
		CHECK_STR(seen.last, rows[i].last);
	}
	weft_client_close(client);
	daemon_close();
}

static void test_closing_a_client_calls_nothing_back(void)
{
	struct weft_client *client;
	struct seen seen = {0};

	daemon_open(answer);
	client = client_of_fake();
	CHECK_EQ(weft_watch_open(client, "CancelGet", NULL, watched, &seen, &seen.watch, NULL), 0);
	weft_client_close(client);
	CHECK_EQ(seen.end_cnt, 0);
	daemon_close();
	weft_client_close(NULL);
}

static bool first_only(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	uint64_t *seen = arg;

	*seen += 1000 * total_bytes + done_bytes;
	return false;
}

static bool all(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	first_only(arg, done_bytes, total_bytes);
	return true;
}

static void test_shares_and_gets_are_waited_for(void)
{
	struct weft_client *client;
	uint64_t seen = 0;
	char *link;

	daemon_open(answer);
	client = client_of_fake();
	CHECK_EQ(weft_share(client, "/x", "X", 10000, &link, NULL), 0);
	CHECK_STR(link, "mesh:x");
	free(link);
	CHECK_EQ(weft_get(client, "mesh:x", "/y", 10000, NULL, NULL, NULL), 0);
	CHECK_EQ(weft_get(client, "mesh:x", "/y", 10000, all, &seen, NULL), 0);
	CHECK_EQ(seen, 3 * 200000 + 100 + 200);
	seen = 0;
	CHECK_EQ(weft_get(client, "mesh:x", "/y", 10000, first_only, &seen, NULL), WEFT_ECANCELLED);
	CHECK_EQ(seen, 200000);
	weft_client_close(client);
	daemon_close();
}

int main(void)
{
	RUN(test_a_method_is_asked);
	RUN(test_errors_are_told_in_words);
	RUN(test_no_daemon_is_an_error_that_says_where);
	RUN(test_the_environment_says_where_the_daemon_is);
	RUN(test_a_watch_hears_each_reply_and_the_end);
	RUN(test_closing_a_client_calls_nothing_back);
	RUN(test_shares_and_gets_are_waited_for);
	return check_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"

#define NODE	"net.weft.Node."
#define NETWORK "net.weft.Network."
#define CONTENT "net.weft.Content."

static void answer(int fd, const json_t *call)
{
	if (call_is(call, NODE "GetNodeId")) {
		say_text(fd, "{\"parameters\":{\"node_id\":\"me\"}}");
	} else if (call_is(call, NETWORK "ShowPeer")) {
		say_text(fd, "{\"error\":\"net.weft.Node.NotFound\",\"parameters\":{\"code\":-1002,"
			     "\"name\":\"WEFT_EABSENT\",\"what\":\"peer x\",\"why\":\"unknown\","
			     "\"next\":\"meet it\"}}");
	} else if (call_is(call, NODE "Shutdown")) {
		say_text(fd, "{\"error\":\"org.varlink.service.PermissionDenied\"}");
	} else if (call_is(call, NETWORK "PlanXdp")) {
		say_text(fd, "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":"
			     "{\"parameter\":\"device\"}}");
	} else if (call_is(call, NODE "Status")) {
		say_text(fd, "no JSON");
	} else if (call_is(call, NODE "Reload")) {
		shutdown(fd, SHUT_RDWR);
	} else if (call_is(call, NETWORK "ListPeers")) {
		char text[64];
		int len =
			snprintf(text, sizeof(text), "{\"id\":%lld,\"parameters\":{\"peers\":[]}}",
				 (long long)control_call_id);

		for (int i = 0; i <= len; i++)
			say_bytes(fd, text + i, 1);
	} else if (call_is(call, CONTENT "AddShare")) {
		say_text(fd, "{\"parameters\":{\"import\":{}},\"continues\":true}");
		say_text(fd, "{\"parameters\":{\"import\":{},\"link\":\"mesh:x\"}}");
	} else if (call_is(call, CONTENT "Get")) {
		/* In one piece: a program that stops at the first has the others in its buffer. */
		static const char one[] = "{\"id\":%lld,\"parameters\":{\"get\":{\"bytes_"
					  "done\":%d,\"bytes\":200}}%s}";
		char text[512];
		size_t len = 0;

		for (int done = 0; done <= 200; done += 100)
			len += 1 + (size_t)snprintf(text + len, sizeof(text) - len, one,
						    (long long)control_call_id, done,
						    done < 200 ? ",\"continues\":true" : "");
		say_bytes(fd, text, len);
	} else if (call_is(call, NETWORK "ListBans")) {
		/* Behind events of another call. */
		json_int_t id = control_call_id--;

		for (int i = 4; i <= 5; i++)
			say(fd, json_pack("{s:{s:{s:i}}, s:b}", "parameters", "event", "seq", i,
					  "continues", 1));
		control_call_id = id;
		say_text(fd, "{\"parameters\":{\"bans\":[]}}");
	} else if (call_is(call, NODE "WatchEvents")) {
		for (int i = 1; i <= 3; i++)
			say(fd, json_pack("{s:{s:{s:i}}, s:b}", "parameters", "event", "seq", i,
					  "continues", 1));
		if (json_is_integer(parameter(call, "since")))
			shutdown(fd, SHUT_RDWR);
	}
	/* CancelGet is not answered. */
}

static int ask(struct weft_client *client, const char *method, const char *parameters,
	       char **out_json, struct weft_error *error)
{
	const struct weft_ask_params params = {
		.method = method, .parameters = parameters, .timeout_ms = 10000};

	return weft_ask(client, &params, out_json, error);
}

static void test_a_method_is_asked(void)
{
	struct weft_client *client;
	char *json;

	daemon_open(answer);
	client = client_of_fake();
	CHECK_EQ(ask(client, NODE "GetNodeId", NULL, &json, NULL), 0);
	CHECK_STR(json, "{\"node_id\":\"me\"}");
	free(json);
	CHECK_EQ(ask(client, NETWORK "ListPeers", "{}", &json, NULL), 0);
	CHECK_STR(json, "{\"peers\":[]}");
	free(json);
	weft_client_close(client);
	daemon_close();
	CHECK_EQ(fake.conn_cnt, 1);
}

static void test_errors_are_described_in_words(void)
{
	static const struct {
		const char *method, *parameters;
		int err;
		const char *what, *why;
	} rows[] = {
		{NETWORK "ShowPeer", "{\"node_id\":\"x\"}", WEFT_EABSENT, "peer x", "unknown"},
		{NODE "Shutdown", NULL, WEFT_EREFUSED, "daemon", "you may not do this"},
		{NETWORK "PlanXdp", NULL, WEFT_EMALFORMED, "device",
		 "the daemon does not take this value"},
		{NODE "Status", NULL, WEFT_EMALFORMED, "reply",
		 "the daemon sent something that is no JSON"},
		{NODE "Reload", NULL, WEFT_ECLOSED, "daemon", "it closed the connection"},
		{NODE "Status", "[1]", WEFT_EMALFORMED, "parameters", "they are no JSON object"},
		{NODE "Status", "{", WEFT_EMALFORMED, "parameters", "they are no JSON object"},
		{CONTENT "CancelGet", NULL, WEFT_ETIMEOUT, NULL, "no answer within 20 ms"},
	};
	struct weft_client *client;
	struct weft_error error;
	char *json;

	daemon_open(answer);
	client = client_of_fake();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct weft_ask_params params = {
			.method = rows[i].method,
			.parameters = rows[i].parameters,
			.timeout_ms = rows[i].err == WEFT_ETIMEOUT ? 20 : 120000};

		CHECK_EQ(weft_ask(client, &params, &json, &error), rows[i].err);
		CHECK_EQ(error.err, rows[i].err);
		if (rows[i].what)
			CHECK_STR(error.what, rows[i].what);
		CHECK_STR(error.why, rows[i].why);
		CHECK_EQ(weft_ask(client, &params, &json, NULL), rows[i].err);
	}
	CHECK_EQ(ask(client, NODE "GetNodeId", NULL, &json, &error), 0);
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
	CHECK_EQ(ask(client, NODE "GetNodeId", NULL, &json, NULL), 0);
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

static void watch(struct weft_client *client, const char *method, const char *parameters,
		  struct seen *seen)
{
	const struct weft_watch_params params = {
		.method = method, .parameters = parameters, .fn = watched, .arg = seen};

	CHECK_EQ(weft_watch_open(client, &params, &seen->watch, NULL), 0);
}

static void test_a_watch_hears_each_reply_and_the_end(void)
{
	static const struct {
		const char *method, *parameters;
		unsigned close_at, reply_cnt, end_cnt;
		int err;
		const char *last;
	} rows[] = {
		{CONTENT "AddShare", "{\"path\":\"/x\"}", 0, 2, 1, 0,
		 "{\"import\":{},\"link\":\"mesh:x\"}"},
		{CONTENT "AddShare", "{\"path\":\"/x\"}", 1, 1, 0, 0, "{\"import\":{}}"},
		{CONTENT "AddShare", "{\"path\":\"/x\"}", 2, 2, 0, 0,
		 "{\"import\":{},\"link\":\"mesh:x\"}"},
		{NODE "WatchEvents", NULL, 3, 3, 0, 0, "{\"event\":{\"seq\":3}}"},
		{NODE "WatchEvents", "{\"since\":1}", 0, 3, 1, WEFT_ECLOSED,
		 "{\"event\":{\"seq\":3}}"},
		{NETWORK "ShowPeer", "{\"node_id\":\"x\"}", 0, 0, 1, WEFT_EABSENT, ""},
	};
	struct weft_client *client;

	daemon_open(answer);
	client = client_of_fake();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct seen seen = {.close_at = rows[i].close_at};

		watch(client, rows[i].method, rows[i].parameters, &seen);
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

static void test_a_call_that_waits_calls_back_nothing_of_others(void)
{
	struct weft_client *client;
	struct seen seen = {0};
	char *json;

	daemon_open(answer);
	client = client_of_fake();
	watch(client, NODE "WatchEvents", NULL, &seen);
	UNTIL(client, seen.reply_cnt == 3);
	CHECK_EQ(ask(client, NETWORK "ListBans", NULL, &json, NULL), 0);
	CHECK_STR(json, "{\"bans\":[]}");
	free(json);
	CHECK_EQ(seen.reply_cnt, 3);
	UNTIL(client, seen.reply_cnt == 5);
	CHECK_STR(seen.last, "{\"event\":{\"seq\":5}}");
	/* A connection that is lost meanwhile is told to the others later, too. */
	CHECK_EQ(ask(client, NODE "Reload", NULL, &json, NULL), WEFT_ECLOSED);
	CHECK_EQ(seen.end_cnt, 0);
	CHECK_EQ(ask(client, NODE "GetNodeId", NULL, &json, NULL), 0);
	free(json);
	UNTIL(client, seen.end_cnt);
	CHECK_EQ(seen.err, WEFT_ECLOSED);
	weft_client_close(client);
	daemon_close();
	CHECK_EQ(fake.conn_cnt, 2);
}

static void test_closing_a_client_calls_nothing_back(void)
{
	struct weft_client *client;
	struct seen seen = {0};

	daemon_open(answer);
	client = client_of_fake();
	watch(client, CONTENT "CancelGet", NULL, &seen);
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
	struct weft_get_params get = {
		.link = "mesh:x", .folder = "/y", .timeout_ms = 10000, .arg = &seen};
	char *link;

	daemon_open(answer);
	client = client_of_fake();
	CHECK_EQ(weft_share(client, &(struct weft_share_params){"/x", "X", 10000}, &link, NULL), 0);
	CHECK_STR(link, "mesh:x");
	free(link);
	CHECK_EQ(weft_get(client, &get, NULL), 0);
	get.progress = all;
	CHECK_EQ(weft_get(client, &get, NULL), 0);
	CHECK_EQ(seen, 3 * 200000 + 100 + 200);
	seen = 0;
	get.progress = first_only;
	CHECK_EQ(weft_get(client, &get, NULL), WEFT_ECANCELLED);
	CHECK_EQ(seen, 200000);
	weft_client_close(client);
	daemon_close();
}

int main(void)
{
	RUN(test_a_method_is_asked);
	RUN(test_errors_are_described_in_words);
	RUN(test_no_daemon_is_an_error_that_says_where);
	RUN(test_the_environment_says_where_the_daemon_is);
	RUN(test_a_watch_hears_each_reply_and_the_end);
	RUN(test_a_call_that_waits_calls_back_nothing_of_others);
	RUN(test_closing_a_client_calls_nothing_back);
	RUN(test_shares_and_gets_are_waited_for);
	return check_done();
}

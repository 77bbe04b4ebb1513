/* SPDX-License-Identifier: Apache-2.0 */
/* Rows, values and counters of an offer, as libweft asks a daemon for them. */
#include "daemon.h"

#include <string.h>

static char asked[1024];   /* parameters of the last call */
static const char *answer; /* to it; NULL: {} */
static unsigned part_cnt;  /* of ReadServiceRows */

/* Three rows in two parts: "a" -> "1", "b" -> "", and behind "b", "c" -> "3". */
static const char *part(void)
{
	static const char *const parts[] = {
		"{\"parameters\":{\"rows\":[{\"key\":\"YQ==\",\"value\":\"MQ==\"},"
		"{\"key\":\"Yg==\",\"value\":\"\"}],\"more\":true}}",
		"{\"parameters\":{\"rows\":[{\"key\":\"Yw==\",\"value\":\"Mw==\"}],\"more\":false}"
		"}",
	};

	return parts[part_cnt++ & 1];
}

static void daemon_answer(int fd, const json_t *call)
{
	char *text = json_dumps(json_object_get(call, "parameters"), JSON_COMPACT | JSON_SORT_KEYS);

	if (!call_is(call, "net.weft.Services.WithdrawService"))
		snprintf(asked, sizeof(asked), "%s", text);
	free(text);
	if (call_is(call, "net.weft.Services.ReadServiceRows"))
		say_text(fd, part());
	else
		say_text(fd, answer ? answer : "{\"parameters\":{}}");
}

static struct {
	struct weft_client *client;
	struct weft_offer *offer;
	struct weft_error error;
	unsigned cnt, most;
	char text[256];
} rig;

static void start(void)
{
	static const struct weft_handler handler;
	static const char *const tags[] = {"open", NULL}, *const counters[] = {"seen", "lost",
									       NULL};
	const struct weft_capabilities with = {
		.rows = 9, .row_bytes = 99, .tags = tags, .counters = counters};
	char path[96];
	struct weft_offering offering = {.name = "app", .socket_path = path, .handler = &handler};

	memset(&rig, 0, sizeof(rig));
	rig.most = 99;
	answer = NULL;
	part_cnt = 0;
	daemon_open(daemon_answer);
	snprintf(path, sizeof(path), "%s/app.sock", fake.dir);
	if (weft_client_open(fake.path, 5000, &rig.client, NULL) < 0 ||
	    weft_offer_open_with(rig.client, &offering, &with, &rig.offer, NULL) < 0)
		abort();
}

static void stop(void)
{
	weft_offer_close(rig.offer);
	weft_client_close(rig.client);
	daemon_close();
}

static bool on_row(void *arg, const struct weft_row *row)
{
	size_t len = strlen(rig.text);

	(void)arg;
	if (!row->value)
		abort();
	snprintf(rig.text + len, sizeof(rig.text) - len, "%.*s=%.*s ", (int)row->key_len,
		 (const char *)row->key, (int)row->len, (const char *)row->value);
	return ++rig.cnt < rig.most;
}

static void test_an_offer_declares_its_capabilities(void)
{
	start();
	CHECK(strstr(asked, "\"counters\":[\"seen\",\"lost\"]"));
	CHECK(strstr(asked, "\"rows\":9"));
	CHECK(strstr(asked, "\"row_bytes\":99"));
	CHECK(strstr(asked, "\"tags\":[\"open\"]"));
	stop();
}

static void test_a_write_has_puts_and_deletes(void)
{
	const struct weft_row rows[] = {{"a", 1, "1", 1}, {"b", 1, NULL, 0}, {"c", 1, "", 0}};

	start();
	CHECK_EQ(weft_rows_write(rig.offer, rows, 3, &rig.error), 0);
	CHECK_STR(asked,
		  "{\"changes\":[{\"key\":\"YQ==\",\"value\":\"MQ==\"},{\"key\":\"Yg==\"},"
		  "{\"key\":\"Yw==\",\"value\":\"\"}],\"name\":\"app\",\"version\":\"1.0.0\"}");
	answer = "{\"error\":\"net.weft.Node.Refused\",\"parameters\":{\"code\":-1008,"
		 "\"what\":\"rows\",\"why\":\"app did not declare the capability rows\"}}";
	CHECK_EQ(weft_rows_write(rig.offer, rows, 3, &rig.error), WEFT_EREFUSED);
	CHECK_STR(rig.error.what, "rows");
	stop();
}

static void test_a_row_is_read_or_absent(void)
{
	struct weft_row *row = NULL;

	start();
	CHECK_EQ(weft_row_read(rig.offer, "a", 1, &row, &rig.error), WEFT_EABSENT);
	CHECK_STR(rig.error.what, "row");
	CHECK(row == NULL);
	answer = "{\"parameters\":{\"value\":\"MQ==\"}}";
	CHECK_EQ(weft_row_read(rig.offer, "a", 1, &row, &rig.error), 0);
	CHECK_STR(asked, "{\"key\":\"YQ==\",\"name\":\"app\",\"version\":\"1.0.0\"}");
	CHECK_EQ(row->len, 1);
	CHECK_MEM(row->value, "1", 1);
	CHECK_MEM(row->key, "a", 1);
	weft_row_free(row);
	answer = "{\"parameters\":{\"value\":\"\"}}";
	CHECK_EQ(weft_row_read(rig.offer, "a", 1, &row, &rig.error), 0);
	CHECK_EQ(row->len, 0);
	weft_row_free(row);
	answer = "{\"parameters\":{\"value\":\"*\"}}";
	CHECK_EQ(weft_row_read(rig.offer, "a", 1, &row, &rig.error), WEFT_EMALFORMED);
	weft_row_free(NULL);
	stop();
}

static void test_rows_are_read_in_parts(void)
{
	const struct weft_rows_read_params all = {.fn = on_row};
	const struct weft_rows_read_params some = {.prefix = "k", .prefix_len = 1, .fn = on_row};

	start();
	CHECK_EQ(weft_rows_read(rig.offer, &all, &rig.error), 0);
	CHECK_STR(rig.text, "a=1 b= c=3 ");
	CHECK_STR(asked, "{\"after\":\"Yg==\",\"name\":\"app\",\"version\":\"1.0.0\"}");
	CHECK_EQ(part_cnt, 2);
	rig.most = 4; /* the next one is the last that is wanted */
	CHECK_EQ(weft_rows_read(rig.offer, &some, &rig.error), 0);
	CHECK_EQ(part_cnt, 3);
	CHECK_STR(asked, "{\"name\":\"app\",\"prefix\":\"aw==\",\"version\":\"1.0.0\"}");
	CHECK_EQ(rig.cnt, 4);
	stop();
}

static bool on_value(void *arg, const struct weft_value *value)
{
	(void)arg;
	snprintf(rig.text, sizeof(rig.text), "%s %.*s %llu", value->node, (int)value->len,
		 (const char *)value->value, (unsigned long long)value->expires_s);
	return ++rig.cnt < rig.most;
}

static void test_values_are_put_and_got(void)
{
	const struct weft_value_put_params put = {
		.tag = "open", .key = "k", .key_len = 1, .value = "v", .len = 1, .life_s = 60};
	const struct weft_values_get_params get = {
		.tag = "open", .key = "k", .key_len = 1, .fn = on_value};
	unsigned node_cnt = 0;

	start();
	answer = "{\"parameters\":{\"nodes\":3,\"expires_s\":9}}";
	CHECK_EQ(weft_value_put(rig.offer, &put, &node_cnt, &rig.error), 0);
	CHECK_EQ(node_cnt, 3);
	CHECK_STR(asked, "{\"key\":\"aw==\",\"life_s\":60,\"name\":\"app\",\"tag\":\"open\","
			 "\"value\":\"dg==\",\"version\":\"1.0.0\"}");
	answer = "{\"parameters\":{\"values\":[{\"node\":\"n1\",\"value\":\"dg==\",\"created_s\":1,"
		 "\"expires_s\":9},{\"node\":\"n2\",\"value\":\"dw==\",\"created_s\":1,"
		 "\"expires_s\":9}],\"asked\":4}}";
	CHECK_EQ(weft_values_get(rig.offer, &get, &rig.error), 0);
	CHECK_STR(rig.text, "n2 w 9");
	rig.cnt = 0;
	rig.most = 1;
	CHECK_EQ(weft_values_get(rig.offer, &get, &rig.error), 0);
	CHECK_STR(rig.text, "n1 v 9");
	stop();
}

static void test_a_counter_is_added_to(void)
{
	start();
	CHECK_EQ(weft_count(rig.offer, "seen", 2, &rig.error), 0);
	CHECK_STR(asked, "{\"counts\":[{\"count\":2,\"counter\":\"seen\"}],\"name\":\"app\","
			 "\"version\":\"1.0.0\"}");
	CHECK_EQ(weft_count(rig.offer, "seen", UINT64_MAX, NULL), 0);
	CHECK(strstr(asked, "9223372036854775807"));
	stop();
}

int main(void)
{
	RUN(test_an_offer_declares_its_capabilities);
	RUN(test_a_write_has_puts_and_deletes);
	RUN(test_a_row_is_read_or_absent);
	RUN(test_rows_are_read_in_parts);
	RUN(test_values_are_put_and_got);
	RUN(test_a_counter_is_added_to);
	return check_done();
}

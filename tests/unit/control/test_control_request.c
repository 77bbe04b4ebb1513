/* SPDX-License-Identifier: Apache-2.0 */
#include "control/control_request.h"

#include "support/check.h"

#define LEN_MAX 8192

/* feed puts bytes into splitter in steps of step; the last error or 0. */
static int feed(struct request_splitter *s, const char *data, size_t len, size_t step)
{
	while (len) {
		char *room;
		size_t cap, n;
		int err = control_request_reserve(s, &room, &cap);

		if (err < 0)
			return err;
		n = len < step ? len : step;
		n = n < cap ? n : cap;
		memcpy(room, data, n);
		control_request_commit(s, n);
		data += n;
		len -= n;
	}
	return 0;
}

static void test_requests_come_out_whole_in_any_step(void)
{
	static const char stream[] = "one\0\0three\0fou";

	for (size_t step = 1; step <= sizeof(stream); step++) {
		struct request_splitter s = {.len_max = LEN_MAX};
		static const char *const wanted[] = {"one", "", "three"};
		const char *text;
		size_t len;

		CHECK_EQ(feed(&s, stream, sizeof(stream) - 1, step), 0);
		for (int i = 0; i < 3; i++) {
			CHECK_EQ(control_request_take(&s, &text, &len), 1);
			CHECK_STR(text, wanted[i]);
			CHECK_EQ(len, strlen(wanted[i]));
		}
		CHECK_EQ(control_request_take(&s, &text, &len), 0);
		CHECK(control_request_is_partial(&s));
		CHECK_EQ(feed(&s, "r", 2, step), 0);
		CHECK_EQ(control_request_take(&s, &text, &len), 1);
		CHECK_STR(text, "four");
		CHECK(!control_request_is_partial(&s));
		control_request_shrink(&s);
		CHECK(s.buf == NULL);
		CHECK_EQ(s.len_max, LEN_MAX);
		control_request_fini(&s);
	}
}

static void test_the_longest_request_fits_and_one_byte_more_does_not(void)
{
	char *data = malloc(LEN_MAX + 2);
	struct request_splitter s = {.len_max = LEN_MAX};
	const char *text;
	size_t len;

	memset(data, 'x', LEN_MAX + 2);
	data[LEN_MAX] = '\0';
	CHECK_EQ(feed(&s, data, LEN_MAX + 1, 1000), 0);
	CHECK_EQ(control_request_take(&s, &text, &len), 1);
	CHECK_EQ(len, LEN_MAX);
	control_request_fini(&s);

	data[LEN_MAX] = 'x';
	CHECK_EQ(feed(&s, data, LEN_MAX + 1, 1000), 0);
	CHECK_EQ(control_request_take(&s, &text, &len), WEFT_ETOOLARGE);
	CHECK_EQ(feed(&s, data, 1, 1), WEFT_ETOOLARGE);
	CHECK_EQ(s.cap, LEN_MAX + 1);
	control_request_fini(&s);
	free(data);
}

static void test_a_call_is_read(void)
{
	static const char text[] = "{\"method\":\"a.b.C\",\"parameters\":{\"x\":1},\"more\":true,"
				   "\"extension\":[1]}";
	struct request r;

	CHECK_EQ(control_request_parse(text, sizeof(text) - 1, &r), 0);
	CHECK_STR(r.method, "a.b.C");
	CHECK(r.wants_more);
	CHECK(!r.is_oneway && !r.wants_upgrade);
	CHECK_EQ(json_integer_value(json_object_get(r.parameters, "x")), 1);
	control_request_drop(&r);
	for (size_t len = 0; len < sizeof(text) - 1; len++)
		CHECK_EQ(control_request_parse(text, len, &r), WEFT_EMALFORMED);
}

static void test_an_upgrade_is_read_and_what_follows_it_is_kept(void)
{
	static const char text[] = "{\"method\":\"a.b.C\",\"upgrade\":true}\0raw";
	struct request_splitter s = {.len_max = LEN_MAX};
	const uint8_t *data;
	const char *call;
	struct request r;
	size_t len;

	CHECK_EQ(feed(&s, text, sizeof(text) - 1, 1000), 0);
	CHECK_EQ(control_request_take(&s, &call, &len), 1);
	CHECK_EQ(control_request_parse(call, len, &r), 0);
	CHECK(r.wants_upgrade);
	control_request_drop(&r);
	CHECK_EQ(control_request_peek(&s, &data), 3);
	CHECK_MEM(data, "raw", 3);
	control_request_skip(&s, 1);
	control_request_widen(&s);
	CHECK_EQ(s.cap, LEN_MAX + 1);
	CHECK_EQ(control_request_peek(&s, &data), 2);
	CHECK_MEM(data, "aw", 2);
	control_request_skip(&s, 2);
	CHECK_EQ(control_request_peek(&s, &data), 0);
	control_request_fini(&s);
}

static void test_absent_parameters_are_an_empty_object(void)
{
	static const char *const texts[] = {
		"{\"method\":\"a.b.C\"}",
		"{\"method\":\"a.b.C\",\"parameters\":null,\"oneway\":null}",
	};

	for (size_t i = 0; i < 2; i++) {
		struct request r;

		CHECK_EQ(control_request_parse(texts[i], strlen(texts[i]), &r), 0);
		CHECK_EQ(json_object_size(r.parameters), 0);
		control_request_drop(&r);
	}
}

static void test_calls_that_are_none_are_refused(void)
{
	static const struct {
		const char *text;
		int err;
	} rows[] = {
		{"", WEFT_EMALFORMED},
		{"x", WEFT_EMALFORMED},
		{"null", WEFT_EMALFORMED},
		{"[]", WEFT_EMALFORMED},
		{"{}", WEFT_EMALFORMED},
		{"{\"method\":1}", WEFT_EMALFORMED},
		{"{\"method\":\"a.b.C\"} x", WEFT_EMALFORMED},
		{"{\"method\":\"a.b.C\",\"method\":\"a.b.D\"}", WEFT_EMALFORMED},
		{"{\"method\":\"a.b.C\",\"parameters\":{\"x\":1,\"x\":2}}", WEFT_EMALFORMED},
		{"{\"method\":\"a.b.C\",\"parameters\":[]}", WEFT_EMALFORMED},
		{"{\"method\":\"a.b.C\",\"more\":1}", WEFT_EMALFORMED},
		{"{\"method\":\"a.b.C\",\"oneway\":\"yes\"}", WEFT_EMALFORMED},
		{"{\"method\":\"a.b.C\",\"upgrade\":{}}", WEFT_EMALFORMED},
		{"{\"method\":\"a.b.C\",\"more\":true,\"oneway\":true}", WEFT_EMALFORMED},
		{"{\"method\":\"a\\u0000b\"}", WEFT_EMALFORMED},
		{"{\"method\":\"\xff\"}", WEFT_EMALFORMED},
		{"{\"method\":\"a.b.C\",\"parameters\":{\"x\":1e999}}", WEFT_EMALFORMED},
		{"{\"method\":\"a.b.C\",\"upgrade\":true,\"more\":true}", WEFT_EMALFORMED},
		{"{\"method\":\"a.b.C\",\"upgrade\":true,\"oneway\":true}", WEFT_EMALFORMED},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct request r;

		CHECK_EQ(control_request_parse(rows[i].text, strlen(rows[i].text), &r),
			 rows[i].err);
	}
}

/* A JSON text whose arrays lie depth deep in all, the outermost object included. */
static size_t nested(char *text, int depth)
{
	size_t len = (size_t)sprintf(text, "{\"method\":\"a.b.C\",\"x\":");

	for (int i = 1; i < depth; i++)
		text[len++] = '[';
	for (int i = 1; i < depth; i++)
		text[len++] = ']';
	text[len++] = '}';
	return len;
}

static void test_depth_is_limited(void)
{
	char *text = malloc(3 * REQUEST_DEPTH_MAX + 100);
	struct request r;

	CHECK_EQ(control_request_parse(text, nested(text, REQUEST_DEPTH_MAX), &r), 0);
	control_request_drop(&r);
	CHECK_EQ(control_request_parse(text, nested(text, REQUEST_DEPTH_MAX + 1), &r),
		 WEFT_EMALFORMED);
	free(text);
}

int main(void)
{
	RUN(test_requests_come_out_whole_in_any_step);
	RUN(test_the_longest_request_fits_and_one_byte_more_does_not);
	RUN(test_a_call_is_read);
	RUN(test_an_upgrade_is_read_and_what_follows_it_is_kept);
	RUN(test_absent_parameters_are_an_empty_object);
	RUN(test_calls_that_are_none_are_refused);
	RUN(test_depth_is_limited);
	return check_done();
}

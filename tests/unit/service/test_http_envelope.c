/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include "codec/cbor.h"
#include "service/http_envelope.h"

#define HEAD_CAP (4 * SERVICE_HTTP_HEAD_LEN_MAX)

static struct service_http_header header_of(const char *name, const char *value)
{
	return (struct service_http_header){name, value, strlen(name), strlen(value)};
}

static struct service_http_request request_of(const char *verb, const char *target)
{
	return (struct service_http_request){
		.verb = verb,
		.verb_len = strlen(verb),
		.target = target,
		.target_len = strlen(target),
		.body_len = SERVICE_HTTP_BODY_LEN_UNTOLD,
	};
}

static void headers_add(struct service_http_headers *headers, const char *name, const char *value)
{
	headers->list[headers->cnt++] = header_of(name, value);
}

static bool value_is(const struct service_http_headers *headers, const char *name, const char *want)
{
	const struct service_http_header *header = service_http_header_lookup(headers, name);

	return header && header->value_len == strlen(want) &&
	       memcmp(header->value, want, header->value_len) == 0;
}

static struct service_http_request full_request(void)
{
	struct service_http_request request = request_of("POST", "/lookup?mbid=1&q=%20");

	request.body_len = 1048576;
	headers_add(&request.headers, "Content-Type", "text/plain; charset=\xe9\t");
	headers_add(&request.headers, "Authorization", "Bearer 1");
	headers_add(&request.headers, "Range", "bytes=0-9");
	headers_add(&request.headers, "X-Empty", "");
	return request;
}

static void test_request_is_read_as_written(void)
{
	struct service_http_request request = full_request(), got;
	uint8_t bytes[HEAD_CAP];
	struct writer w = writer_of(bytes, sizeof(bytes));

	CHECK_EQ(service_http_request_write(&w, &request), 0);
	CHECK_EQ(service_http_request_parse(bytes, writer_len(&w), &got), 0);
	CHECK_EQ(got.verb_len, 4);
	CHECK_MEM(got.verb, "POST", 4);
	CHECK_EQ(got.target_len, request.target_len);
	CHECK_MEM(got.target, request.target, got.target_len);
	CHECK_EQ(got.body_len, 1048576);
	CHECK_EQ(got.headers.cnt, 4);
	for (unsigned i = 0; i < 4; i++)
		CHECK(value_is(&got.headers, request.headers.list[i].name,
			       request.headers.list[i].value));
}

static void test_answer_is_read_as_written(void)
{
	struct service_http_answer answer = {.status = 206, .body_len = 0}, got;
	uint8_t bytes[HEAD_CAP];
	struct writer w = writer_of(bytes, sizeof(bytes));

	headers_add(&answer.headers, "content-range", "bytes 0-0/1");
	CHECK_EQ(service_http_answer_write(&w, &answer), 0);
	CHECK_EQ(service_http_answer_parse(bytes, writer_len(&w), &got), 0);
	CHECK_EQ(got.status, 206);
	CHECK_EQ(got.body_len, 0);
	CHECK_EQ(got.headers.cnt, 1);
	CHECK(value_is(&got.headers, "Content-Range", "bytes 0-0/1"));
}

static void test_prefix_of_a_head_is_refused(void)
{
	struct service_http_request request = full_request(), got;
	struct service_http_answer answer = {.status = 200, .headers = request.headers}, got_answer;
	uint8_t bytes[HEAD_CAP];
	struct writer w = writer_of(bytes, sizeof(bytes));

	CHECK_EQ(service_http_request_write(&w, &request), 0);
	for (size_t len = 0; len < writer_len(&w); len++)
		CHECK_EQ(service_http_request_parse(bytes, len, &got), WEFT_EMALFORMED);
	w = writer_of(bytes, sizeof(bytes));
	CHECK_EQ(service_http_answer_write(&w, &answer), 0);
	for (size_t len = 0; len < writer_len(&w); len++)
		CHECK_EQ(service_http_answer_parse(bytes, len, &got_answer), WEFT_EMALFORMED);
}

/* Writes a head as a peer would that leaves nothing out. */
static void head_write_raw(struct writer *w, bool is_request, const char *name, const char *value)
{
	cbor_write_map(w, is_request ? 3 : 2);
	cbor_write_uint(w, 0);
	if (is_request) {
		cbor_write_text(w, "GET", 3);
		cbor_write_uint(w, 1);
		cbor_write_text(w, "/", 1);
	} else {
		cbor_write_uint(w, 200);
	}
	cbor_write_uint(w, 2);
	cbor_write_array(w, 2);
	cbor_write_array(w, 2);
	cbor_write_text(w, name, strlen(name));
	cbor_write_bytes(w, value, strlen(value));
	cbor_write_array(w, 2);
	cbor_write_text(w, "connection", 10);
	cbor_write_bytes(w, " X-Named ,\tx-other", 18);
}

enum { CROSSES_REQUEST = 1, CROSSES_ANSWER = 2 };

static const struct {
	const char *name;
	int crosses;
} crossings[] = {
	{"Accept", 3},
	{"Authorization", 3},
	{"Content-Type", 3},
	{"If-None-Match", 3},
	{"Range", 3},
	{"Upgrade-Insecure-Requests", 3},
	{"Teapot", 3},
	{"X-Mesh", 3},
	{"X-Nam", 3},
	{"X-Named-Too", 3},
	{"Connection", 0},
	{"CONNECTION", 0},
	{"Keep-Alive", 0},
	{"Proxy", 0},
	{"Proxy-Connection", 0},
	{"Proxy-Authorization", 0},
	{"TE", 0},
	{"Trailer", 0},
	{"Transfer-Encoding", 0},
	{"transfer_encoding", 0},
	{"Upgrade", 0},
	{"HTTP2-Settings", 0},
	{"X-Mesh-Peer", 0},
	{"X_Mesh_Peer", 0},
	{"x-named", 0},
	{"X-Other", 0},
	{"Host", CROSSES_ANSWER},
	{"Forwarded", CROSSES_ANSWER},
	{"X-Forwarded-For", CROSSES_ANSWER},
	{"X_Forwarded-Host", CROSSES_ANSWER},
	{"X-Real-IP", CROSSES_ANSWER},
	{"X-Client-IP", CROSSES_ANSWER},
	{"True-Client-IP", CROSSES_ANSWER},
	{"X-Original-URL", CROSSES_ANSWER},
	{"X-Rewrite-URL", CROSSES_ANSWER},
	{"X-HTTP-Method-Override", CROSSES_ANSWER},
	{"X_Method_Override", CROSSES_ANSWER},
	{"X-HTTP-Method", CROSSES_ANSWER},
	{"Expect", CROSSES_ANSWER},
	{"Cookie", CROSSES_REQUEST | CROSSES_ANSWER},
	{"Cookie2", CROSSES_ANSWER},
	{"Set-Cookie", CROSSES_REQUEST | CROSSES_ANSWER},
	{"Set-Cookie2", CROSSES_REQUEST},
	{"WWW-Authenticate", CROSSES_REQUEST | CROSSES_ANSWER},
	{"Service-Worker-Allowed", CROSSES_REQUEST},
	{"Clear-Site-Data", CROSSES_REQUEST},
	{"Alt-Svc", CROSSES_REQUEST},
	{"Access-Control-Allow-Origin", CROSSES_REQUEST},
	{"X-Accel-Redirect", CROSSES_REQUEST},
	{"X-Sendfile", CROSSES_REQUEST},
};

static void test_reader_leaves_out_what_must_not_cross(void)
{
	for (size_t i = 0; i < sizeof(crossings) / sizeof(crossings[0]); i++) {
		struct service_http_request request;
		struct service_http_answer answer;
		uint8_t bytes[512];
		struct writer w = writer_of(bytes, sizeof(bytes));
		int crosses;

		head_write_raw(&w, true, crossings[i].name, "1");
		CHECK_EQ(service_http_request_parse(bytes, writer_len(&w), &request), 0);
		crosses = request.headers.cnt == 1 ? CROSSES_REQUEST : 0;
		w = writer_of(bytes, sizeof(bytes));
		head_write_raw(&w, false, crossings[i].name, "1");
		CHECK_EQ(service_http_answer_parse(bytes, writer_len(&w), &answer), 0);
		crosses |= answer.headers.cnt == 1 ? CROSSES_ANSWER : 0;
		if (crosses != crossings[i].crosses)
			printf("# %s\n", crossings[i].name);
		CHECK_EQ(crosses, crossings[i].crosses);
	}
}

static bool holds(const uint8_t *bytes, size_t len, const char *text)
{
	return memmem(bytes, len, text, strlen(text)) != NULL;
}

static void test_writer_leaves_out_what_must_not_cross(void)
{
	for (size_t i = 0; i < sizeof(crossings) / sizeof(crossings[0]); i++) {
		struct service_http_request request = request_of("GET", "/");
		struct service_http_answer answer = {.status = 200};
		uint8_t bytes[512];
		struct writer w = writer_of(bytes, sizeof(bytes));
		int crosses;

		headers_add(&request.headers, crossings[i].name, "1");
		headers_add(&request.headers, "Connection", "close, X-Named,, X-Other ");
		answer.headers = request.headers;
		CHECK_EQ(service_http_request_write(&w, &request), 0);
		crosses = holds(bytes, writer_len(&w), crossings[i].name) ? CROSSES_REQUEST : 0;
		w = writer_of(bytes, sizeof(bytes));
		CHECK_EQ(service_http_answer_write(&w, &answer), 0);
		crosses |= holds(bytes, writer_len(&w), crossings[i].name) ? CROSSES_ANSWER : 0;
		if (crosses != crossings[i].crosses)
			printf("# %s\n", crossings[i].name);
		CHECK_EQ(crosses, crossings[i].crosses);
	}
}

static void test_verbs_and_targets(void)
{
	static const struct {
		const char *verb, *target;
		int want;
	} rows[] = {
		{"GET", "/", 0},
		{"PROPFIND", "/a//b/../c?x=[1]&y='", 0},
		{"M-SEARCH", "/", 0},
		{"ABCDEFGHIJKLMNOPQRSTUVWX", "/", 0},
		{"ABCDEFGHIJKLMNOPQRSTUVWXY", "/", WEFT_EMALFORMED},
		{"CONNECT", "/", WEFT_EMALFORMED},
		{"TRACE", "/", WEFT_EMALFORMED},
		{"", "/", WEFT_EMALFORMED},
		{"GE T", "/", WEFT_EMALFORMED},
		{"GET\r\n", "/", WEFT_EMALFORMED},
		{"GET", "", WEFT_EMALFORMED},
		{"OPTIONS", "*", WEFT_EMALFORMED},
		{"GET", "http://127.0.0.1/", WEFT_EMALFORMED},
		{"GET", "/a b", WEFT_EMALFORMED},
		{"GET", "/ HTTP/1.1\r\nHost: x", WEFT_EMALFORMED},
		{"GET", "/a#b", WEFT_EMALFORMED},
		{"GET", "/\xc3\xa9", WEFT_EMALFORMED},
		{"GET", "/\x7f", WEFT_EMALFORMED},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct service_http_request request = request_of(rows[i].verb, rows[i].target);
		struct service_http_request got;
		uint8_t bytes[512];
		struct writer w = writer_of(bytes, sizeof(bytes));

		CHECK_EQ(service_http_request_write(&w, &request), rows[i].want);
		w = writer_of(bytes, sizeof(bytes));
		cbor_write_map(&w, 3);
		cbor_write_uint(&w, 0);
		cbor_write_text(&w, rows[i].verb, strlen(rows[i].verb));
		cbor_write_uint(&w, 1);
		cbor_write_text(&w, rows[i].target, strlen(rows[i].target));
		cbor_write_uint(&w, 2);
		cbor_write_array(&w, 0);
		CHECK_EQ(service_http_request_parse(bytes, writer_len(&w), &got), rows[i].want);
	}
}

static void test_header_fields_cannot_break_lines(void)
{
	static const struct {
		const char *name, *value;
	} rows[] = {
		{"", "empty name"},
		{"a b", "space in it"},
		{"a:", "colon in it"},
		{"a\r\nb", "line"},
		{"\xc3\xa9", "not ASCII"},
		{"a", "1\r\nHost: x"},
		{"a", "1\nb"},
		{"a", "1\rb"},
		{"a", "\x01"},
		{"a", "\x7f"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct service_http_request request = request_of("GET", "/");
		struct service_http_answer answer = {.status = 200};
		uint8_t bytes[512];
		struct writer w = writer_of(bytes, sizeof(bytes));

		headers_add(&request.headers, rows[i].name, rows[i].value);
		answer.headers = request.headers;
		CHECK_EQ(service_http_request_write(&w, &request), WEFT_EMALFORMED);
		CHECK_EQ(service_http_answer_write(&w, &answer), WEFT_EMALFORMED);
		w = writer_of(bytes, sizeof(bytes));
		head_write_raw(&w, true, rows[i].name, rows[i].value);
		CHECK_EQ(service_http_request_parse(bytes, writer_len(&w), &request),
			 WEFT_EMALFORMED);
		w = writer_of(bytes, sizeof(bytes));
		head_write_raw(&w, false, rows[i].name, rows[i].value);
		CHECK_EQ(service_http_answer_parse(bytes, writer_len(&w), &answer),
			 WEFT_EMALFORMED);
	}
}

static void test_value_with_a_zero_byte_is_refused(void)
{
	struct service_http_request request = request_of("GET", "/");
	uint8_t bytes[512];
	struct writer w = writer_of(bytes, sizeof(bytes));

	request.headers.list[0] = (struct service_http_header){"a", "1\0002", 1, 3};
	request.headers.cnt = 1;
	CHECK_EQ(service_http_request_write(&w, &request), WEFT_EMALFORMED);
}

static void test_body_has_one_length(void)
{
	static const struct {
		const char *value;
		int want;
	} rows[] = {
		{"0", 0},
		{"42", 0},
		{"9999999999999999999", 0},
		{"10000000000000000000", WEFT_EMALFORMED},
		{"", WEFT_EMALFORMED},
		{"-1", WEFT_EMALFORMED},
		{"+1", WEFT_EMALFORMED},
		{"042", WEFT_EMALFORMED},
		{" 42", WEFT_EMALFORMED},
		{"42, 42", WEFT_EMALFORMED},
		{"0x2a", WEFT_EMALFORMED},
	};
	struct service_http_request got;
	uint8_t bytes[512];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct writer w = writer_of(bytes, sizeof(bytes));

		head_write_raw(&w, true, "Content-Length", rows[i].value);
		CHECK_EQ(service_http_request_parse(bytes, writer_len(&w), &got), rows[i].want);
		if (rows[i].want == 0)
			CHECK(got.body_len == strtoull(rows[i].value, NULL, 10));
		CHECK(rows[i].want < 0 || got.headers.cnt == 0);
	}
}

static void test_two_lengths_are_refused(void)
{
	struct service_http_request got;
	uint8_t bytes[512];
	struct writer w = writer_of(bytes, sizeof(bytes));

	cbor_write_map(&w, 3);
	cbor_write_uint(&w, 0);
	cbor_write_text(&w, "POST", 4);
	cbor_write_uint(&w, 1);
	cbor_write_text(&w, "/", 1);
	cbor_write_uint(&w, 2);
	cbor_write_array(&w, 2);
	for (int i = 0; i < 2; i++) {
		cbor_write_array(&w, 2);
		cbor_write_text(&w, i ? "content_length" : "Content-Length", 14);
		cbor_write_bytes(&w, "5", 1);
	}
	CHECK_EQ(service_http_request_parse(bytes, writer_len(&w), &got), WEFT_EMALFORMED);
}

/* A length given among the fields says nothing: body_len does. */
static void test_writer_needs_body_len_alone(void)
{
	struct service_http_request request = request_of("POST", "/"), got;
	uint8_t bytes[512];
	struct writer w = writer_of(bytes, sizeof(bytes));

	headers_add(&request.headers, "Content-Length", "7");
	CHECK_EQ(service_http_request_write(&w, &request), 0);
	CHECK_EQ(service_http_request_parse(bytes, writer_len(&w), &got), 0);
	CHECK(got.body_len == SERVICE_HTTP_BODY_LEN_UNTOLD);
}

static void test_statuses(void)
{
	static const struct {
		unsigned status;
		int want;
	} rows[] = {
		{0, WEFT_EMALFORMED},
		{100, WEFT_EMALFORMED},
		{101, WEFT_EMALFORMED},
		{199, WEFT_EMALFORMED},
		{200, 0},
		{304, 0},
		{599, 0},
		{600, WEFT_EMALFORMED},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct service_http_answer answer = {.status = rows[i].status}, got;
		uint8_t bytes[64];
		struct writer w = writer_of(bytes, sizeof(bytes));

		CHECK_EQ(service_http_answer_write(&w, &answer), rows[i].want);
		w = writer_of(bytes, sizeof(bytes));
		cbor_write_map(&w, 2);
		cbor_write_uint(&w, 0);
		cbor_write_uint(&w, rows[i].status);
		cbor_write_uint(&w, 2);
		cbor_write_array(&w, 0);
		CHECK_EQ(service_http_answer_parse(bytes, writer_len(&w), &got), rows[i].want);
	}
}

static void test_one_header_too_many_is_refused(void)
{
	for (unsigned cnt = SERVICE_HTTP_HEADERS_MAX; cnt <= SERVICE_HTTP_HEADERS_MAX + 1; cnt++) {
		int want = cnt <= SERVICE_HTTP_HEADERS_MAX ? 0 : WEFT_EMALFORMED;
		struct service_http_request got;
		uint8_t bytes[2048];
		struct writer w = writer_of(bytes, sizeof(bytes));

		cbor_write_map(&w, 3);
		cbor_write_uint(&w, 0);
		cbor_write_text(&w, "GET", 3);
		cbor_write_uint(&w, 1);
		cbor_write_text(&w, "/", 1);
		cbor_write_uint(&w, 2);
		cbor_write_array(&w, cnt);
		for (unsigned i = 0; i < cnt; i++) {
			cbor_write_array(&w, 2);
			cbor_write_text(&w, "a", 1);
			cbor_write_bytes(&w, "b", 1);
		}
		CHECK_EQ(service_http_request_parse(bytes, writer_len(&w), &got), want);
	}
}

/* The length of the body is one of the fields as they travel. */
static void test_writer_counts_the_length_among_headers(void)
{
	struct service_http_request request = request_of("POST", "/");
	uint8_t bytes[HEAD_CAP];
	struct writer w = writer_of(bytes, sizeof(bytes));

	for (unsigned i = 0; i < SERVICE_HTTP_HEADERS_MAX; i++)
		headers_add(&request.headers, "a", "b");
	CHECK_EQ(service_http_request_write(&w, &request), 0);
	request.body_len = 5;
	w = writer_of(bytes, sizeof(bytes));
	CHECK_EQ(service_http_request_write(&w, &request), WEFT_ETOOLARGE);
}

static void test_head_of_one_byte_too_many_is_refused(void)
{
	static char value[SERVICE_HTTP_HEAD_LEN_MAX];
	struct service_http_request request = request_of("GET", "/"), got;
	uint8_t bytes[HEAD_CAP];
	struct writer w = writer_of(bytes, sizeof(bytes));

	memset(value, 'v', sizeof(value));
	request.headers.cnt = 1;
	request.headers.list[0] = (struct service_http_header){"a", value, 1, 0};
	/* The map and its keys take 4 bytes, verb 4, target 2, two arrays 2, name 2, a value of this length 3. */
	request.headers.list[0].value_len = SERVICE_HTTP_HEAD_LEN_MAX - 17;
	CHECK_EQ(service_http_request_write(&w, &request), 0);
	CHECK_EQ(writer_len(&w), SERVICE_HTTP_HEAD_LEN_MAX);
	CHECK_EQ(service_http_request_parse(bytes, writer_len(&w), &got), 0);
	request.headers.list[0].value_len++;
	w = writer_of(bytes, sizeof(bytes));
	CHECK_EQ(service_http_request_write(&w, &request), WEFT_ETOOLARGE);
	CHECK_EQ(service_http_request_parse(bytes, writer_len(&w), &got), WEFT_ETOOLARGE);
}

static void test_target_of_one_byte_too_many_is_refused(void)
{
	static char target[SERVICE_HTTP_TARGET_LEN_MAX + 1];
	struct service_http_request request = request_of("GET", "/");
	uint8_t bytes[HEAD_CAP];
	struct writer w = writer_of(bytes, sizeof(bytes));

	memset(target, '/', sizeof(target));
	request.target = target;
	request.target_len = SERVICE_HTTP_TARGET_LEN_MAX;
	CHECK_EQ(service_http_request_write(&w, &request), 0);
	request.target_len++;
	w = writer_of(bytes, sizeof(bytes));
	CHECK_EQ(service_http_request_write(&w, &request), WEFT_ETOOLARGE);
}

static void test_too_little_room_is_reported(void)
{
	struct service_http_request request = full_request();
	uint8_t bytes[256];
	struct writer w = writer_of(bytes, sizeof(bytes));
	size_t len;

	CHECK_EQ(service_http_request_write(&w, &request), 0);
	len = writer_len(&w);
	w = writer_of(bytes, len - 1);
	CHECK_EQ(service_http_request_write(&w, &request), WEFT_ETOOLARGE);
}

static void test_101_is_an_answer_to_an_upgrade_alone(void)
{
	struct service_http_answer answer = {.status = 101,
					     .body_len = SERVICE_HTTP_BODY_LEN_UNTOLD};
	uint8_t bytes[64];
	struct writer w = writer_of(bytes, sizeof(bytes));

	CHECK_EQ(service_http_answer_write(&w, &answer), WEFT_EMALFORMED);
	CHECK_EQ(service_http_switch_write(&w, &answer), 0);
	CHECK_EQ(service_http_answer_parse(bytes, writer_len(&w), &answer), WEFT_EMALFORMED);
	CHECK_EQ(service_http_switch_parse(bytes, writer_len(&w), &answer), 0);
	CHECK_EQ(answer.status, 101);
	w = writer_of(bytes, sizeof(bytes));
	answer.status = 100;
	CHECK_EQ(service_http_switch_write(&w, &answer), WEFT_EMALFORMED);
	answer.status = 404;
	CHECK_EQ(service_http_switch_write(&w, &answer), 0);
	CHECK_EQ(service_http_switch_parse(bytes, writer_len(&w), &answer), 0);
}

int main(void)
{
	RUN(test_request_is_read_as_written);
	RUN(test_answer_is_read_as_written);
	RUN(test_prefix_of_a_head_is_refused);
	RUN(test_reader_leaves_out_what_must_not_cross);
	RUN(test_writer_leaves_out_what_must_not_cross);
	RUN(test_verbs_and_targets);
	RUN(test_header_fields_cannot_break_lines);
	RUN(test_value_with_a_zero_byte_is_refused);
	RUN(test_body_has_one_length);
	RUN(test_two_lengths_are_refused);
	RUN(test_writer_needs_body_len_alone);
	RUN(test_statuses);
	RUN(test_101_is_an_answer_to_an_upgrade_alone);
	RUN(test_one_header_too_many_is_refused);
	RUN(test_writer_counts_the_length_among_headers);
	RUN(test_head_of_one_byte_too_many_is_refused);
	RUN(test_target_of_one_byte_too_many_is_refused);
	RUN(test_too_little_room_is_reported);
	return check_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/assert.h"
#include "service/http_envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* More than a head that was read takes when its length is written anew. */
#define AGAIN_CAP (SERVICE_HTTP_HEAD_LEN_MAX + 64)

static bool headers_equal(const struct service_http_headers *a,
			  const struct service_http_headers *b)
{
	if (a->cnt != b->cnt)
		return false;
	for (unsigned i = 0; i < a->cnt; i++)
		if (a->list[i].name_len != b->list[i].name_len ||
		    a->list[i].value_len != b->list[i].value_len ||
		    memcmp(a->list[i].name, b->list[i].name, a->list[i].name_len) != 0 ||
		    memcmp(a->list[i].value, b->list[i].value, a->list[i].value_len) != 0)
			return false;
	return true;
}

static void check_headers(const struct service_http_headers *headers)
{
	static const char *const never[] = {"connection", "transfer-encoding", "content-length",
					    "upgrade", "x-mesh-peer"};

	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		weft_assert(!service_http_header_lookup(headers, never[i]));
	for (unsigned i = 0; i < headers->cnt; i++)
		for (size_t at = 0; at < headers->list[i].value_len; at++)
			weft_assert(!strchr("\r\n", headers->list[i].value[at]));
}

static void check_request(const uint8_t *data, size_t len)
{
	uint8_t bytes[AGAIN_CAP];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct service_http_request request, again;

	if (service_http_request_parse(data, len, &request) < 0)
		return;
	check_headers(&request.headers);
	weft_assert(!service_http_header_lookup(&request.headers, "host"));
	weft_assert(service_http_request_write(&w, &request) == 0);
	weft_assert(service_http_request_parse(bytes, writer_len(&w), &again) == 0);
	weft_assert(request.body_len == again.body_len);
	weft_assert(request.target_len == again.target_len);
	weft_assert(memcmp(request.target, again.target, again.target_len) == 0);
	weft_assert(headers_equal(&request.headers, &again.headers));
}

static void check_answer(const uint8_t *data, size_t len)
{
	uint8_t bytes[AGAIN_CAP];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct service_http_answer answer, again;

	if (service_http_answer_parse(data, len, &answer) < 0)
		return;
	check_headers(&answer.headers);
	weft_assert(!service_http_header_lookup(&answer.headers, "set-cookie2"));
	weft_assert(service_http_answer_write(&w, &answer) == 0);
	weft_assert(service_http_answer_parse(bytes, writer_len(&w), &again) == 0);
	weft_assert(answer.status == again.status);
	weft_assert(answer.body_len == again.body_len);
	weft_assert(headers_equal(&answer.headers, &again.headers));
}

/* What is accepted holds nothing that must not cross, and is written as what reads the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_request(data, len);
	check_answer(data, len);
	return 0;
}

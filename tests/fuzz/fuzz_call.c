/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The heads of calls, replies and closes: what parses is written back as it
 * was, and no byte beyond the input is looked at.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "service/call_head.h"
#include "service/incoming/router_intake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_call_head(const uint8_t *data, size_t size)
{
	uint8_t bytes[SERVICE_CALL_HEAD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct service_call_head head;
	int len = service_call_head_parse(data, size, &head);

	if (len < 0)
		return;
	service_call_head_write(&w, &head);
	weft_assert(!w.bad);
	weft_assert(writer_len(&w) == (size_t)len);
	weft_assert(memcmp(bytes, data, (size_t)len) == 0);
	weft_assert(service_method_is_valid(head.method));
}

static void fuzz_reply_head(const uint8_t *data, size_t size)
{
	struct service_reply_head head;
	int len = service_reply_head_parse(data, size, &head);

	weft_assert(len <= (int)size);
	if (len >= 0)
		weft_assert(head.status < SERVICE_STATUS_CNT);
	if (service_close_parse(data, size, &head) == 0)
		weft_assert(head.status < SERVICE_STATUS_CNT);
}

/* However a frame is cut, its head and body are the same. */
static void fuzz_intake(const uint8_t *data, size_t size, size_t cut)
{
	struct service_intake intake;
	size_t at = 0, len;
	const uint8_t *head = NULL;

	service_intake_begin(&intake, size);
	while (!head && at < size) {
		size_t piece = size - at < cut ? size - at : cut;
		struct cursor c = cursor_of(data + at, piece);

		head = service_intake_head(&intake, &c, SERVICE_CALL_HEAD_LEN_MAX, &len);
		at += piece;
	}
	weft_assert(head && memcmp(head, data, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	fuzz_call_head(data + 1, size - 1);
	fuzz_reply_head(data + 1, size - 1);
	fuzz_intake(data + 1, size - 1, 1u + data[0]);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"
#include "blobs/content_message_holders.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The first byte picks the direction; what is read fits what is written. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t bytes[HOLDERS_ANSWER_CAP];
	static struct message_holder holders[HOLDERS_MAX];
	struct message_holders_request request;
	struct writer w = writer_of(bytes, sizeof(bytes));
	int cnt;

	if (len == 0)
		return 0;
	if (data[0] % 2 == 0) {
		if (blobs_message_holders_request_parse(data + 1, len - 1, &request) < 0)
			return 0;
		blobs_message_holders_request_write(&w, &request);
		weft_assert(!w.bad && writer_len(&w) <= HOLDERS_REQUEST_CAP);
		return 0;
	}
	cnt = blobs_message_holders_parse(data + 1, len - 1, holders);
	if (cnt < 0)
		return 0;
	blobs_message_holders_write(&w, holders, (unsigned)cnt);
	weft_assert(!w.bad);
	return 0;
}

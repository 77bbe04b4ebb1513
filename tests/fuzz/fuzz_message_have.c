/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"
#include "blobs/content_message_have.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void request_check(const uint8_t *data, size_t len)
{
	struct message_have_request request;

	if (blobs_message_have_request_parse(data, len, &request) < 0)
		return;
	weft_assert(request.id_cnt <= HAVE_IDS_MAX);
	weft_assert(request.has_manifest == (request.id_cnt == 0));
	for (uint32_t i = 0; i < request.id_cnt; i++)
		weft_assert(blobs_message_have_id(&request, i) + 32 <= data + len);
}

/* What is read can be written into what answers are given, and says the same again. */
static void answer_check(const uint8_t *data, size_t len)
{
	static uint8_t bytes[HAVE_ANSWER_CAP];
	static struct message_have_answer answer, again;
	struct writer w = writer_of(bytes, sizeof(bytes));

	if (blobs_message_have_answer_parse(data, len, &answer) < 0)
		return;
	blobs_message_have_answer_write(&w, &answer);
	weft_assert(!w.bad);
	weft_assert(blobs_message_have_answer_parse(bytes, writer_len(&w), &again) == 0);
	for (uint32_t item = 0; item < HAVE_ITEMS_MAX; item += 7)
		weft_assert(blobs_message_have_has_chunk(&answer, item, item * 3ull) ==
			    blobs_message_have_has_chunk(&again, item, item * 3ull));
}

/* The first byte picks the direction. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len == 0)
		return 0;
	if (data[0] % 2 == 0)
		request_check(data + 1, len - 1);
	else
		answer_check(data + 1, len - 1);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/assert.h"
#include "shares/share_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What parses is written as the same bytes: there is one way to say it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t again[LIST_ANSWER_CAP];
	struct writer w = writer_of(again, sizeof(again));
	struct list_request request;
	struct list_answer answer;

	if (shares_list_request_parse(data, len, &request) == 0) {
		weft_assert(shares_list_request_write(&request, again) == len);
		weft_assert(memcmp(again, data, len) == 0);
	}
	if (shares_list_answer_parse(data, len, &answer) == 0) {
		shares_list_answer_write(&w, &answer);
		weft_assert(!w.bad && writer_len(&w) == len);
		weft_assert(memcmp(again, data, len) == 0);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "social/slots/social_slot_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t out[SLOT_DIFF_LEN_MAX], again[SLOT_DIFF_LEN_MAX];

/* What is read is written, read again, and then written as it was. */
#define PARSE_AND_WRITE(type, parse, write)                                                        \
	do {                                                                                       \
		static struct type first, second;                                                  \
		struct writer w = writer_of(out, sizeof(out));                                     \
		struct writer w2 = writer_of(again, sizeof(again));                                \
                                                                                                   \
		if (parse(data, len, &first) < 0)                                                  \
			break;                                                                     \
		write(&w, &first);                                                                 \
		if (w.bad || parse(out, writer_len(&w), &second) < 0)                              \
			abort();                                                                   \
		write(&w2, &second);                                                               \
		if (w2.bad || writer_len(&w) != writer_len(&w2) ||                                 \
		    memcmp(out, again, writer_len(&w)) != 0)                                       \
			abort();                                                                   \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	PARSE_AND_WRITE(slot_hail, social_slot_hail_parse, social_slot_hail_write);
	PARSE_AND_WRITE(slot_redirect, social_slot_redirect_parse, social_slot_redirect_write);
	PARSE_AND_WRITE(slot_share, social_slot_share_parse, social_slot_share_write);
	PARSE_AND_WRITE(slot_diff, social_slot_diff_parse, social_slot_diff_write);
	PARSE_AND_WRITE(worm_query, social_worm_query_parse, social_worm_query_write);
	PARSE_AND_WRITE(worm_answer, social_worm_answer_parse, social_worm_answer_write);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* 620, 621 and 625 with both answers: what is read is written, and then reads and writes as it did. */
#include <stdlib.h>
#include <string.h>

#include "social/routes/anchor_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t out[ANCHOR_ANSWER_LEN_MAX + 64], again[ANCHOR_ANSWER_LEN_MAX + 64];

static void check_same(const struct writer *w, const struct writer *w2)
{
	if (w->bad || w2->bad || writer_len(w) != writer_len(w2) ||
	    memcmp(out, again, writer_len(w)) != 0)
		abort();
}

static void check_in_check(const uint8_t *data, size_t len)
{
	struct writer w = writer_of(out, sizeof(out)), w2 = writer_of(again, sizeof(again));
	struct check_in first, second;

	if (social_check_in_parse(data, len, &first) < 0)
		return;
	if (first.record_len > SOCIAL_ADDRESS_LEN_MAX)
		abort();
	social_check_in_write(&w, &first);
	if (social_check_in_parse(out, writer_len(&w), &second) < 0)
		abort();
	social_check_in_write(&w2, &second);
	check_same(&w, &w2);
}

static void keeping_check(const uint8_t *data, size_t len)
{
	struct writer w = writer_of(out, sizeof(out));
	struct check_in_answer first, second;

	if (social_check_in_answer_parse(data, len, &first) < 0)
		return;
	social_check_in_answer_write(&w, &first);
	if (first.keep_s > ANCHOR_KEEP_S_MAX || first.record_len > SOCIAL_ADDRESS_LEN_MAX ||
	    w.bad || writer_len(&w) > CHECK_IN_ANSWER_LEN_MAX ||
	    social_check_in_answer_parse(out, writer_len(&w), &second) < 0 ||
	    first.keep_s != second.keep_s || !first.record != !second.record ||
	    first.record_len != second.record_len)
		abort();
}

static void query_check(const uint8_t *data, size_t len)
{
	struct writer w = writer_of(out, sizeof(out));
	uint8_t key[NODE_KEY_LEN], key_again[NODE_KEY_LEN];

	if (social_anchor_query_parse(data, len, key) < 0)
		return;
	social_anchor_query_write(&w, key);
	if (w.bad || writer_len(&w) > ANCHOR_QUERY_LEN_MAX ||
	    social_anchor_query_parse(out, writer_len(&w), key_again) < 0 ||
	    memcmp(key, key_again, sizeof(key)) != 0)
		abort();
}

static void answer_check(const uint8_t *data, size_t len)
{
	struct writer w = writer_of(out, sizeof(out)), w2 = writer_of(again, sizeof(again));
	struct anchor_answer first, second;

	if (social_anchor_answer_parse(data, len, &first) < 0)
		return;
	if (first.record_len > SOCIAL_ADDRESS_LEN_MAX)
		abort();
	social_anchor_answer_write(&w, &first);
	if (writer_len(&w) > ANCHOR_ANSWER_LEN_MAX ||
	    social_anchor_answer_parse(out, writer_len(&w), &second) < 0)
		abort();
	social_anchor_answer_write(&w2, &second);
	check_same(&w, &w2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_in_check(data, len);
	keeping_check(data, len);
	query_check(data, len);
	answer_check(data, len);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "offers/message/stock_message.h"

#include <stdlib.h>
#include <string.h>

#include "support/check.h"

static uint8_t bytes[STOCK_LEN_MAX + 64];
static struct stock_entry entries[STOCK_MAX + 1], heard[STOCK_MAX];

static size_t kept_written(unsigned cnt)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	for (unsigned i = 0; i < STOCK_MAX; i++) {
		memset(entries[i].ref, (int)i, STOCK_REF_LEN);
		entries[i].sequence = UINT64_MAX - i;
		entries[i].hop_cnt = (uint8_t)i;
	}
	offers_stock_write(&w, entries, cnt);
	return w.bad ? 0 : writer_len(&w);
}

static size_t lacked_written(unsigned cnt, unsigned looked_cnt)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct stock_lacks lacked = {.cnt = cnt, .looked_cnt = looked_cnt};

	for (unsigned i = 0; i < cnt; i++)
		memset(lacked.refs[i], (int)i, STOCK_REF_LEN);
	offers_lacks_write(&w, &lacked);
	return w.bad ? 0 : writer_len(&w);
}

static void test_what_was_written_is_read(void)
{
	static const unsigned cnts[] = {1, 2, 15, 16, STOCK_MAX};
	struct stock_lacks lacked;

	for (unsigned i = 0; i < sizeof(cnts) / sizeof(cnts[0]); i++) {
		size_t len = kept_written(cnts[i]);

		CHECK(len > 0 && len <= STOCK_LEN_MAX);
		CHECK_EQ(offers_stock_parse(bytes, len, heard), cnts[i]);
		for (unsigned k = 0; k < cnts[i]; k++) {
			CHECK_MEM(heard[k].ref, entries[k].ref, STOCK_REF_LEN);
			CHECK_EQ(heard[k].sequence, entries[k].sequence);
			CHECK_EQ(heard[k].hop_cnt, entries[k].hop_cnt);
		}
	}
	for (unsigned cnt = 0; cnt <= STOCK_LACKS_MAX; cnt += 32) {
		size_t len = lacked_written(cnt, STOCK_MAX);

		CHECK(len > 0 && len <= STOCK_LACKS_LEN_MAX);
		CHECK_EQ(offers_lacks_parse(bytes, len, &lacked), 0);
		CHECK_EQ(lacked.cnt, cnt);
		CHECK_EQ(lacked.looked_cnt, STOCK_MAX);
		if (cnt)
			CHECK_EQ(lacked.refs[cnt - 1][STOCK_REF_LEN - 1], cnt - 1);
	}
}

static void test_no_entry_and_one_too_many_are_refused(void)
{
	static const uint8_t none[] = {0xa1, 0, 0x40};
	static uint8_t many[5 + (STOCK_MAX + 1) * STOCK_ENTRY_LEN] = {0xa1, 0, 0x59};

	many[3] = ((STOCK_MAX + 1) * STOCK_ENTRY_LEN) >> 8;
	many[4] = ((STOCK_MAX + 1) * STOCK_ENTRY_LEN) & 0xff;
	CHECK_EQ(offers_stock_parse(none, sizeof(none), heard), WEFT_EMALFORMED);
	CHECK_EQ(offers_stock_parse(many, sizeof(many), heard), WEFT_EMALFORMED);
	many[3] = (STOCK_MAX * STOCK_ENTRY_LEN) >> 8;
	many[4] = (STOCK_MAX * STOCK_ENTRY_LEN) & 0xff;
	CHECK_EQ(offers_stock_parse(many, sizeof(many) - STOCK_ENTRY_LEN, heard), STOCK_MAX);
}

static void test_refs_beyond_their_number_are_refused(void)
{
	struct stock_lacks lacked;
	size_t len = lacked_written(8, 8);

	CHECK_EQ(offers_lacks_parse(bytes, len, &lacked), 0);
	/* More than entries that were looked at. */
	len = lacked_written(8, 7);
	CHECK_EQ(offers_lacks_parse(bytes, len, &lacked), WEFT_EMALFORMED);
	len = lacked_written(STOCK_LACKS_MAX, STOCK_MAX);
	bytes[len - 1]++; /* 257 */
	CHECK_EQ(offers_lacks_parse(bytes, len, &lacked), WEFT_EMALFORMED);
}

static void test_each_cut_and_each_byte_more_is_refused(void)
{
	struct stock_lacks lacked;
	size_t len = kept_written(5);

	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);

		memcpy(exact, bytes, cut);
		CHECK_EQ(offers_stock_parse(exact, cut, heard), WEFT_EMALFORMED);
		free(exact);
	}
	CHECK_EQ(offers_stock_parse(bytes, len + 1, heard), WEFT_EMALFORMED);
	len = lacked_written(5, 9);
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);

		memcpy(exact, bytes, cut);
		CHECK_EQ(offers_lacks_parse(exact, cut, &lacked), WEFT_EMALFORMED);
		free(exact);
	}
	CHECK_EQ(offers_lacks_parse(bytes, len + 1, &lacked), WEFT_EMALFORMED);
}

static void test_part_of_an_entry_and_another_field_are_refused(void)
{
	static const uint8_t half[3 + STOCK_ENTRY_LEN + 2] = {0xa1, 0, 0x52};
	static const uint8_t more[] = {0xa3, 0, 0x40, 1, 0, 2, 0};
	struct stock_lacks lacked;

	CHECK_EQ(offers_stock_parse(half, 3 + STOCK_ENTRY_LEN + 1, heard), WEFT_EMALFORMED);
	CHECK_EQ(offers_lacks_parse(more, sizeof(more), &lacked), WEFT_EMALFORMED);
}

int main(void)
{
	RUN(test_what_was_written_is_read);
	RUN(test_no_entry_and_one_too_many_are_refused);
	RUN(test_refs_beyond_their_number_are_refused);
	RUN(test_each_cut_and_each_byte_more_is_refused);
	RUN(test_part_of_an_entry_and_another_field_are_refused);
	return check_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cbor_sample.h"

static void numbers_read(struct cbor_reader *r, void *record)
{
	struct cbor_sample *sample = record;

	sample->number_cnt = 0;
	if (cbor_enter_array(r) > 3)
		cbor_fail(r);
	while (cbor_next(r))
		sample->numbers[sample->number_cnt++] = (unsigned)cbor_read_uint_max(r, 99);
}

static void numbers_write(struct writer *w, const void *record)
{
	const struct cbor_sample *sample = record;

	cbor_write_array(w, sample->number_cnt);
	for (unsigned i = 0; i < sample->number_cnt; i++)
		cbor_write_uint(w, sample->numbers[i]);
}

static void pair_read(struct cbor_reader *r, void *member)
{
	struct cbor_sample_pair *pair = member;

	if (cbor_enter_array(r) != 2)
		cbor_fail(r);
	pair->first = (uint8_t)cbor_read_uint_max(r, UINT8_MAX);
	pair->second = (uint8_t)cbor_read_uint_max(r, UINT8_MAX);
	if (cbor_next(r))
		cbor_fail(r);
}

static void pair_write(struct writer *w, const void *member)
{
	const struct cbor_sample_pair *pair = member;

	cbor_write_array(w, 2);
	cbor_write_uint(w, pair->first);
	cbor_write_uint(w, pair->second);
}

#define AT(member)  CBOR_AT(struct cbor_sample, member)
#define LEN(member) CBOR_LEN(struct cbor_sample, member)

static const struct cbor_field item_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct cbor_sample_row, id)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct cbor_sample_row, number)},
};
static const struct cbor_table item_table = {CBOR_FIELDS(item_fields)};

static const struct cbor_field fields[] = {
	{SAMPLE_VERSION, CBOR_FIELD_CONSTANT, CBOR_NEEDED, .max = 3},
	{SAMPLE_SMALL, CBOR_FIELD_UINT, CBOR_NEEDED, AT(small)},
	{SAMPLE_LIMITED, CBOR_FIELD_UINT, CBOR_USUAL, AT(limited), .max = 1000},
	{SAMPLE_LARGE, CBOR_FIELD_UINT, CBOR_OPTIONAL, AT(large)},
	{SAMPLE_DIFFERENCE, CBOR_FIELD_INT, CBOR_OPTIONAL, AT(difference)},
	{SAMPLE_ON, CBOR_FIELD_BOOL, CBOR_USUAL, AT(is_on)},
	{SAMPLE_FLAG, CBOR_FIELD_FLAG, CBOR_OPTIONAL, AT(is_flag)},
	{SAMPLE_ID, CBOR_FIELD_FIXED, CBOR_NEEDED, AT(id)},
	{SAMPLE_KEY, CBOR_FIELD_EXACT, CBOR_OPTIONAL, AT(key), .max = 4},
	{SAMPLE_BYTES, CBOR_FIELD_BYTES, CBOR_OPTIONAL, AT(bytes), LEN(bytes_len), .min = 2,
	 .max = 5},
	{SAMPLE_WORDS, CBOR_FIELD_SPAN, CBOR_OPTIONAL, AT(words), LEN(words_len), .max = 40},
	{SAMPLE_TEXT, CBOR_FIELD_TEXT, CBOR_OPTIONAL, AT(text)},
	{SAMPLE_PATH, CBOR_FIELD_PATH, CBOR_OPTIONAL, AT(path)},
	{SAMPLE_HOUR, CBOR_FIELD_UINT, CBOR_HAS(struct cbor_sample, has_hour), AT(hour)},
	{SAMPLE_NUMBERS, CBOR_FIELD_CODED, CBOR_WHEN(struct cbor_sample, number_cnt),
	 .read = numbers_read, .write = numbers_write},
	{SAMPLE_PAIR, CBOR_FIELD_CODED, CBOR_WHEN(struct cbor_sample, pair.first), AT(pair),
	 .read = pair_read, .write = pair_write},
	{SAMPLE_ADDR, CBOR_FIELD_ADDR, CBOR_OPTIONAL, AT(addr)},
	{SAMPLE_ADDRS, CBOR_FIELD_ADDRS, CBOR_WHEN(struct cbor_sample, addr_cnt), AT(addrs),
	 LEN(addr_cnt)},
	{SAMPLE_ROWS, CBOR_FIELD_ROWS, CBOR_WHEN(struct cbor_sample, row_cnt),
	 CBOR_ROWS(struct cbor_sample, rows, item_table), LEN(row_cnt)},
	{SAMPLE_IDS, CBOR_FIELD_IDS, CBOR_WHEN(struct cbor_sample, id_cnt),
	 CBOR_IDS(struct cbor_sample, ids), LEN(id_cnt)},
	{SAMPLE_FORMER, CBOR_FIELD_UINT, CBOR_FORMER, AT(former)},
};

static const struct cbor_field row_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, AT(id)},
	{1, CBOR_FIELD_CODED, CBOR_NEEDED, .read = numbers_read, .write = numbers_write},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, AT(limited), .max = 1000},
};

const struct cbor_table cbor_sample_table = {CBOR_FIELDS(fields)};
const struct cbor_table cbor_sample_closed_table = {CBOR_FIELDS(fields), .is_closed = true};
const struct cbor_table cbor_sample_row_table = {CBOR_FIELDS(row_fields)};

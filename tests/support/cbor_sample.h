/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_CBOR_SAMPLE_H
#define WEFT_TESTS_CBOR_SAMPLE_H

#include "base/addr.h"
#include "codec/cbor_fields.h"

/* A struct with a member of every kind of field, and the table of its map. */
struct cbor_sample {
	uint8_t small;
	uint32_t limited; /* at most 1000 */
	uint64_t large;
	int64_t difference;
	bool is_on;
	bool is_flag;
	uint8_t id[4];
	const uint8_t *key; /* 4 bytes, or NULL */
	const uint8_t *bytes;
	size_t bytes_len; /* 2 to 5 */
	const char *words;
	uint16_t words_len;
	char text[6];
	char path[6];
	bool has_hour;
	uint16_t hour;
	unsigned numbers[3], number_cnt;
	struct cbor_sample_pair {
		uint8_t first, second;
	} pair; /* there when first is not zero */
	struct addr addr, addrs[2];
	uint8_t addr_cnt;
	struct cbor_sample_row {
		uint8_t id[2];
		uint16_t number;
	} rows[2];
	uint32_t row_cnt;
	uint8_t ids[2][3];
	size_t id_cnt;
	uint8_t former;
};

enum {
	SAMPLE_VERSION,
	SAMPLE_SMALL,
	SAMPLE_LIMITED,
	SAMPLE_LARGE,
	SAMPLE_DIFFERENCE,
	SAMPLE_ON,
	SAMPLE_FLAG,
	SAMPLE_ID,
	SAMPLE_KEY,
	SAMPLE_BYTES = 10, /* 9 is unknown */
	SAMPLE_WORDS,
	SAMPLE_TEXT,
	SAMPLE_PATH,
	SAMPLE_HOUR = 24,
	SAMPLE_NUMBERS,
	SAMPLE_PAIR,
	SAMPLE_ADDR,
	SAMPLE_ADDRS,
	SAMPLE_ROWS,
	SAMPLE_IDS,
	SAMPLE_FORMER,
};

extern const struct cbor_table cbor_sample_table, cbor_sample_closed_table, cbor_sample_row_table;

#endif

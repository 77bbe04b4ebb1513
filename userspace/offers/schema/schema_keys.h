/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_SCHEMA_KEYS_H
#define WEFT_OFFERS_SCHEMA_KEYS_H

#include "offers/schema/schema.h"

/*
 * What an index of offers needs. A schema has a column for each field that a filter names. A row
 * has keys in it, one for each member of a list, none where the field is missing. Keys order as
 * the values do, so a filter becomes ranges of keys. A number is biased to be unsigned. A text is
 * its first 8 bytes, big endian.
 */
#define SCHEMA_KEYS_MAX	  SCHEMA_ITEMS_MAX
#define SCHEMA_RANGES_MAX SCHEMA_MEMBERS

struct schema_range {
	uint64_t first, last; /* inclusive */
};

struct schema_condition {
	uint8_t column;
	uint8_t range_cnt; /* 0: no row can fit */
	bool is_exact; /* a key in a range fits for certain; else offers_schema_match looks again */
	struct schema_range ranges[SCHEMA_RANGES_MAX]; /* ascending, apart */
};

/*
 * offers_schema_keys gives a row's keys of a column, ascending and different. Returns their
 * number.
 */
unsigned offers_schema_keys(const struct schema *schema, unsigned column,
			    const struct schema_record *record,
			    uint64_t out[static SCHEMA_KEYS_MAX]);

/*
 * offers_schema_conditions gives what the query asks of columns. A row fits if it has a key in a
 * range of each condition and offers_schema_match agrees, which it does where all are exact. Two
 * filters of a field that is no list become one condition. Returns their number.
 */
unsigned offers_schema_conditions(const struct schema *schema, const struct schema_query *query,
				  struct schema_condition out[static SCHEMA_FILTERS_MAX]);

#endif

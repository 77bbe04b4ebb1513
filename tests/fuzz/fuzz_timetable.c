/* SPDX-License-Identifier: Apache-2.0 */
/* A timetable of rates: what is accepted is in range, what is refused is named within the text. */
#include <string.h>

#include "base/assert.h"
#include "blobs/rates/timetable.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static unsigned utc_of(void *ctx, uint64_t wall_s)
{
	(void)ctx;
	return (unsigned)(wall_s / 60 % TIMETABLE_WEEK_MIN);
}

static void check_table(const struct timetable *table)
{
	weft_assert(table->cnt <= TIMETABLE_ENTRIES_MAX);
	for (unsigned i = 0; i < table->cnt; i++) {
		weft_assert(table->entries[i].per_s <= TIMETABLE_RATE_MAX);
		weft_assert(table->entries[i].days && table->entries[i].days < 0x80);
		weft_assert(table->entries[i].begin_min < TIMETABLE_DAY_MIN);
		weft_assert(table->entries[i].len_min &&
			    table->entries[i].len_min <= TIMETABLE_DAY_MIN);
	}
}

/* At the next change another entry is in force, and a minute before it is still the same. */
static void check_next(const struct timetable *table, uint64_t wall_s)
{
	uint64_t next_s = blobs_timetable_next(table, wall_s, utc_of, NULL);
	int now = blobs_timetable_at(table, utc_of(NULL, wall_s));

	if (!next_s)
		return;
	weft_assert(next_s > wall_s);
	weft_assert(blobs_timetable_at(table, utc_of(NULL, next_s)) != now);
	weft_assert(blobs_timetable_at(table, utc_of(NULL, next_s - 1)) == now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char text[TIMETABLE_TEXT_CAP + 8];
	struct timetable_fault fault;
	struct timetable table;
	uint64_t wall_s = 1700000000;

	if (len >= sizeof(text))
		return 0;
	memcpy(text, data, len);
	text[len] = '\0';
	if (blobs_timetable_parse(text, &table, &fault) < 0) {
		weft_assert(fault.at >= text && fault.at + fault.len <= text + strlen(text));
		weft_assert(fault.why[0]);
		return 0;
	}
	check_table(&table);
	for (size_t i = 0; i < len; i++)
		wall_s += data[i] * 61u;
	check_next(&table, wall_s);
	return 0;
}

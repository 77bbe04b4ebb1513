/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_RATES_TIMETABLE_H
#define WEFT_BLOBS_RATES_TIMETABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * Rates by day of the week and time of day, as a text of entries apart by semicolons: "mon-fri
 * 08:00-18:00 2MB/s; sat,sun 22:00-06:00 none". An entry is [DAYS] BEGIN-END RATE. Without DAYS
 * it holds every day; an END that is not later than BEGIN is on the day after. RATE is a number
 * with B, kB, MB, GB (of 1000, "/s" may follow), kbit, mbit or gbit, or none. The first of
 * several entries that hold a minute counts.
 *
 * Times are local. The caller says what the local time is, so this is pure:
 * no clock, no time zone, no I/O.
 */
#define TIMETABLE_ENTRIES_MAX 16u
#define TIMETABLE_TEXT_CAP    512u
#define TIMETABLE_RATE_MAX    125000000000ull /* bytes per second; BYTE_BUCKET_MAX */
#define TIMETABLE_DAY_MIN     1440u
#define TIMETABLE_NONE	      (-1)

struct timetable_entry {
	uint8_t days;	    /* on which it begins; bit 0: Monday */
	uint16_t begin_min; /* of the day, in [0, 1440) */
	uint16_t len_min;   /* in [1, 1440] */
	uint64_t per_s;	    /* bytes; 0: no limit */
	uint16_t text_off, text_len;
};

struct timetable {
	unsigned cnt;
	struct timetable_entry entries[TIMETABLE_ENTRIES_MAX];
};

/* The fault of a text: the entry, in the text, and a sentence about it. */
struct timetable_fault {
	const char *at;
	size_t len;
	const char *why;
};

/*
 * blobs_timetable_parse reads text; an empty one has no entries. 0, or with *out_fault:
 * WEFT_EMALFORMED, WEFT_EFULL (too many entries), WEFT_ETOOLARGE (the rate, or
 * the whole text).
 */
WEFT_MUST_CHECK
int blobs_timetable_parse(const char *text, struct timetable *out_table,
			  struct timetable_fault *out_fault);

/* A local time: the minute of the week that begins on Monday, in [0, 10080). */
#define TIMETABLE_WEEK_MIN (7 * TIMETABLE_DAY_MIN)

/* blobs_timetable_at: index of the entry in force at minute of the week, or TIMETABLE_NONE. */
int blobs_timetable_at(const struct timetable *table, unsigned minute);

/*
 * blobs_timetable_next returns when another entry than at wall_s comes into force, in seconds
 * since 1970. 0: none within eight days. local_of gives the minute of the week of a time. Clocks
 * that are put forward or back by the zone's rules count, as those happen at quarters of an hour
 * of UTC.
 */
typedef unsigned (*timetable_local_fn)(void *ctx, uint64_t wall_s);
uint64_t blobs_timetable_next(const struct timetable *table, uint64_t wall_s,
			      timetable_local_fn local_of, void *ctx);

#endif

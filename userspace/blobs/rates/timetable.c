/* SPDX-License-Identifier: Apache-2.0 */
#include "timetable.h"

#include <string.h>
#include <strings.h>

#define BLANKS	   " \t"
#define MIN_S	   60u
#define QUARTER_S  (15 * MIN_S)
#define LOOK_DAYS  8u
#define EVERY_DAY  0x7fu
#define DAYS_WEEK  7u
#define DIGITS_MAX 12u /* more than any rate has */
#define FIELDS_MAX 3u

/* A piece of the text; nothing here reads past its end. */
struct span {
	const char *at;
	size_t len;
};

static bool span_is(struct span span, const char *text)
{
	return span.len == strlen(text) && strncasecmp(span.at, text, span.len) == 0;
}

/* Splits at the first of separator; false: there is none. */
static bool span_cut(struct span span, char separator, struct span *out_before,
		     struct span *out_after)
{
	const char *at = memchr(span.at, separator, span.len);

	if (!at)
		return false;
	*out_before = (struct span){span.at, (size_t)(at - span.at)};
	*out_after = (struct span){at + 1, span.len - out_before->len - 1};
	return true;
}

static bool day_read(struct span span, unsigned *out_day)
{
	static const char *const names[DAYS_WEEK] = {"mon", "tue", "wed", "thu",
						     "fri", "sat", "sun"};

	for (unsigned i = 0; i < DAYS_WEEK; i++) {
		if (span_is(span, names[i])) {
			*out_day = i;
			return true;
		}
	}
	return false;
}

/* mon, or mon-fri, or fri-mon over the end of the week. */
static bool day_range_read(struct span span, uint8_t *days)
{
	struct span before, after;
	unsigned first, last;

	if (!span_cut(span, '-', &before, &after))
		before = after = span;
	if (!day_read(before, &first) || !day_read(after, &last))
		return false;
	for (unsigned day = first;; day = (day + 1) % DAYS_WEEK) {
		*days |= (uint8_t)(1u << day);
		if (day == last)
			return true;
	}
}

static bool days_read(struct span span, uint8_t *out_days)
{
	struct span one, rest = span;
	uint8_t days = 0;

	while (span_cut(rest, ',', &one, &rest))
		if (!day_range_read(one, &days))
			return false;
	if (!day_range_read(rest, &days))
		return false;
	*out_days = days;
	return true;
}

/* Two digits, at most max. */
static bool two_digits_read(struct span span, unsigned max, unsigned *out_number)
{
	if (span.len != 2)
		return false;
	for (unsigned i = 0; i < 2; i++)
		if (span.at[i] < '0' || span.at[i] > '9')
			return false;
	*out_number = (unsigned)(span.at[0] - '0') * 10 + (unsigned)(span.at[1] - '0');
	return *out_number <= max;
}

/* 08:00, up to 24:00. */
static bool time_read(struct span span, unsigned *out_min)
{
	struct span hours, minutes;
	unsigned hour, minute;

	if (!span_cut(span, ':', &hours, &minutes) || !two_digits_read(hours, 24, &hour) ||
	    !two_digits_read(minutes, 59, &minute))
		return false;
	*out_min = hour * 60 + minute;
	return *out_min <= TIMETABLE_DAY_MIN;
}

static bool range_read(struct span span, struct timetable_entry *entry)
{
	struct span before, after;
	unsigned begin, end;

	if (!span_cut(span, '-', &before, &after) || !time_read(before, &begin) ||
	    !time_read(after, &end) || begin == TIMETABLE_DAY_MIN || begin == end)
		return false;
	entry->begin_min = (uint16_t)begin;
	entry->len_min = (uint16_t)(end > begin ? end - begin : end + TIMETABLE_DAY_MIN - begin);
	return true;
}

static int rate_read(struct span span, uint64_t *out_per_s)
{
	/* Eighths of a byte in one of each, so that a kbit is a whole number. */
	static const struct {
		const char *name;
		uint64_t bits;
	} units[] = {
		{"B", 8},	{"kB", 8000},	   {"MB", 8000000},	 {"GB", 8000000000},
		{"kbit", 1000}, {"mbit", 1000000}, {"gbit", 1000000000},
	};
	struct span unit = span;
	uint64_t number = 0;

	*out_per_s = 0;
	if (span_is(span, "none"))
		return 0;
	while (unit.len && *unit.at >= '0' && *unit.at <= '9') {
		number = number * 10 + (uint64_t)(*unit.at++ - '0');
		unit.len--;
		if (span.len - unit.len > DIGITS_MAX)
			return WEFT_ETOOLARGE;
	}
	if (unit.len > 2 && strncasecmp(unit.at + unit.len - 2, "/s", 2) == 0)
		unit.len -= 2;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (!span_is(unit, units[i].name) || number == 0)
			continue;
		if (number > TIMETABLE_RATE_MAX * 8 / units[i].bits)
			return WEFT_ETOOLARGE;
		*out_per_s = number * units[i].bits / 8;
		return *out_per_s ? 0 : WEFT_EMALFORMED;
	}
	return WEFT_EMALFORMED;
}

/* Parts of an entry, apart by blanks; FIELDS_MAX + 1: there are more. */
static unsigned fields_split(struct span span, struct span fields[static FIELDS_MAX])
{
	unsigned cnt = 0;
	size_t at = 0;

	while (at < span.len) {
		size_t begin = at;

		while (at < span.len && !strchr(BLANKS, span.at[at]))
			at++;
		if (at > begin && cnt == FIELDS_MAX)
			return FIELDS_MAX + 1;
		if (at > begin)
			fields[cnt++] = (struct span){span.at + begin, at - begin};
		at++;
	}
	return cnt;
}

static int entry_parse(struct span span, struct timetable_entry *out_entry, const char **out_why)
{
	struct timetable_entry entry = {.days = EVERY_DAY};
	struct span fields[FIELDS_MAX], *field = fields;
	unsigned cnt = fields_split(span, fields);
	int err;

	*out_why = "an entry is [DAYS] BEGIN-END RATE, as mon-fri 08:00-18:00 2MB/s";
	if (cnt < FIELDS_MAX - 1 || cnt > FIELDS_MAX)
		return WEFT_EMALFORMED;
	*out_why = "days are mon tue wed thu fri sat sun, as mon-fri or sat,sun";
	if (cnt == FIELDS_MAX && !days_read(*field++, &entry.days))
		return WEFT_EMALFORMED;
	*out_why = "times are as 08:00-18:00, from 00:00 to 24:00, and not equal";
	if (!range_read(*field++, &entry))
		return WEFT_EMALFORMED;
	err = rate_read(*field, &entry.per_s);
	*out_why = err == WEFT_ETOOLARGE ? "the rate is more than 125 GB/s"
					 : "a rate is as 2MB/s, 500kB/s, 16mbit or none";
	if (err < 0)
		return err;
	*out_entry = entry;
	return 0;
}

static struct span span_trim(struct span span)
{
	while (span.len && strchr(BLANKS, *span.at)) {
		span.at++;
		span.len--;
	}
	while (span.len && strchr(BLANKS, span.at[span.len - 1]))
		span.len--;
	return span;
}

int blobs_timetable_parse(const char *text, struct timetable *out_table,
			  struct timetable_fault *out_fault)
{
	struct timetable table = {.cnt = 0};
	struct span rest = {text, strnlen(text, TIMETABLE_TEXT_CAP)};
	bool has_more = true;
	int err = 0;

	if (rest.len == TIMETABLE_TEXT_CAP) {
		*out_fault =
			(struct timetable_fault){text, 40, "a timetable has at most 511 bytes"};
		return WEFT_ETOOLARGE;
	}
	while (has_more) {
		struct span span = rest;
		struct timetable_entry entry;

		has_more = span_cut(rest, ';', &span, &rest);
		span = span_trim(span);
		if (!span.len)
			continue;
		out_fault->why = "a timetable has at most 16 entries";
		err = table.cnt == TIMETABLE_ENTRIES_MAX
			      ? WEFT_EFULL
			      : entry_parse(span, &entry, &out_fault->why);
		if (err < 0) {
			out_fault->at = span.at;
			out_fault->len = span.len;
			return err;
		}
		entry.text_off = (uint16_t)(span.at - text);
		entry.text_len = (uint16_t)span.len;
		table.entries[table.cnt++] = entry;
	}
	*out_table = table;
	return 0;
}

static bool entry_holds(const struct timetable_entry *entry, unsigned minute)
{
	unsigned day = minute / TIMETABLE_DAY_MIN, of_day = minute % TIMETABLE_DAY_MIN;
	unsigned before = (day + DAYS_WEEK - 1) % DAYS_WEEK;

	if (entry->days & 1u << day && of_day >= entry->begin_min &&
	    of_day - entry->begin_min < entry->len_min)
		return true;
	/* An entry that began the day before, over midnight. */
	return entry->days & 1u << before &&
	       of_day + TIMETABLE_DAY_MIN - entry->begin_min < entry->len_min;
}

int blobs_timetable_at(const struct timetable *table, unsigned minute)
{
	for (unsigned i = 0; i < table->cnt; i++)
		if (entry_holds(&table->entries[i], minute))
			return (int)i;
	return TIMETABLE_NONE;
}

/* Minutes until some entry begins or ends, in [1, 1440]: of any day, which is soon enough. */
static unsigned boundary_in(const struct timetable *table, unsigned minute)
{
	unsigned of_day = minute % TIMETABLE_DAY_MIN, best = TIMETABLE_DAY_MIN;

	for (unsigned i = 0; i < table->cnt; i++) {
		const struct timetable_entry *entry = &table->entries[i];
		const unsigned at[2] = {entry->begin_min,
					(entry->begin_min + entry->len_min) % TIMETABLE_DAY_MIN};

		for (unsigned k = 0; k < 2; k++) {
			unsigned in = (at[k] + TIMETABLE_DAY_MIN - of_day) % TIMETABLE_DAY_MIN;

			in += in == 0 ? TIMETABLE_DAY_MIN : 0;
			best = in < best ? in : best;
		}
	}
	return best;
}

uint64_t blobs_timetable_next(const struct timetable *table, uint64_t wall_s,
			      timetable_local_fn local_of, void *ctx)
{
	uint64_t until_s = wall_s + LOOK_DAYS * TIMETABLE_DAY_MIN * MIN_S;
	int now = blobs_timetable_at(table, local_of(ctx, wall_s));
	uint64_t at_s = wall_s - wall_s % MIN_S;

	if (!table->cnt)
		return 0;
	while (at_s < until_s) {
		uint64_t step_s = (uint64_t)boundary_in(table, local_of(ctx, at_s)) * MIN_S;
		uint64_t quarter_s = QUARTER_S - at_s % QUARTER_S;

		at_s += step_s < quarter_s ? step_s : quarter_s;
		if (blobs_timetable_at(table, local_of(ctx, at_s)) != now)
			return at_s;
	}
	return 0;
}

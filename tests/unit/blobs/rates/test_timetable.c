/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/rates/timetable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"

#define MON	 (0 * TIMETABLE_DAY_MIN)
#define FRI	 (4 * TIMETABLE_DAY_MIN)
#define SAT	 (5 * TIMETABLE_DAY_MIN)
#define SUN	 (6 * TIMETABLE_DAY_MIN)
#define AT(h, m) ((h) * 60 + (m))
#define DAY_S	 86400ull

static struct timetable table;
static struct timetable_fault fault;

static int parse(const char *text)
{
	return blobs_timetable_parse(text, &table, &fault);
}

static void test_entries_hold_their_days_and_times(void)
{
	static const struct {
		unsigned minute;
		int want;
		const char *why;
	} rows[] = {
		{MON + AT(7, 59), TIMETABLE_NONE, "a minute before"},
		{MON + AT(8, 0), 0, "the first minute"},
		{MON + AT(17, 59), 0, "the last minute"},
		{MON + AT(18, 0), TIMETABLE_NONE, "the end is not in it"},
		{FRI + AT(12, 0), 0, "the last day of the range"},
		{SAT + AT(12, 0), TIMETABLE_NONE, "not on Saturday"},
		{SAT + AT(22, 0), 1, "over midnight: the evening"},
		{SUN + AT(5, 59), 1, "over midnight: the morning after"},
		{SUN + AT(23, 0), 1, "the evening of Sunday"},
		{MON + AT(3, 0), 1, "the morning after Sunday, of the next week"},
		{SAT + AT(3, 0), TIMETABLE_NONE, "Friday has no evening"},
	};

	CHECK_EQ(parse("mon-fri 08:00-18:00 2MB/s; sat,sun 22:00-06:00 none"), 0);
	CHECK_EQ(table.cnt, 2);
	CHECK_EQ(table.entries[0].per_s, 2000000);
	CHECK_EQ(table.entries[1].per_s, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (blobs_timetable_at(&table, rows[i].minute) != rows[i].want)
			printf("# %s\n", rows[i].why);
		CHECK_EQ(blobs_timetable_at(&table, rows[i].minute), rows[i].want);
	}
}

static void test_the_first_entry_that_holds_counts(void)
{
	CHECK_EQ(parse("fri-mon 10:00-11:00 1mbit;00:00-24:00 500kB/s;"), 0);
	CHECK_EQ(table.entries[0].per_s, 125000);
	CHECK_EQ(blobs_timetable_at(&table, SUN + AT(10, 30)), 0);
	CHECK_EQ(blobs_timetable_at(&table, MON + AT(10, 30)), 0);
	CHECK_EQ(blobs_timetable_at(&table, TIMETABLE_DAY_MIN + AT(10, 30)), 1);
	CHECK_EQ(blobs_timetable_at(&table, SUN + AT(23, 59)), 1);
}

static void test_what_is_wrong_is_named(void)
{
	static const struct {
		const char *text, *at, *why;
		int want;
	} rows[] = {
		{"mon 08:00-18:00 2MB/s; wonday 08:00-09:00 none", "wonday", "days",
		 WEFT_EMALFORMED},
		{"mon- 08:00-18:00 2MB/s", "mon-", "days", WEFT_EMALFORMED},
		{"08:00 2MB/s", "08:00", "times", WEFT_EMALFORMED},
		{"08:00-08:00 none", "08:00", "times", WEFT_EMALFORMED},
		{"08:00-24:01 none", "08:00", "times", WEFT_EMALFORMED},
		{"24:00-01:00 none", "24:00", "times", WEFT_EMALFORMED},
		{"8:00-18:00 none", "8:00", "times", WEFT_EMALFORMED},
		{"08:60-18:00 none", "08:60", "times", WEFT_EMALFORMED},
		{"08:00-18:00 fast", "08:00", "rate", WEFT_EMALFORMED},
		{"08:00-18:00 0MB/s", "08:00", "rate", WEFT_EMALFORMED},
		{"08:00-18:00 2MB/m", "08:00", "rate", WEFT_EMALFORMED},
		{"08:00-18:00 126GB/s", "08:00", "125 GB/s", WEFT_ETOOLARGE},
		{"08:00-18:00 99999999999999999999B", "08:00", "125 GB/s", WEFT_ETOOLARGE},
		{"08:00-18:00", "08:00", "entry", WEFT_EMALFORMED},
		{"mon 08:00-18:00 2MB/s daily", "mon", "entry", WEFT_EMALFORMED},
	};

	CHECK_EQ(parse("08:00-18:00 125GB/s"), 0);
	CHECK_EQ(table.entries[0].per_s, TIMETABLE_RATE_MAX);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int err = parse(rows[i].text);

		if (err != rows[i].want || strncmp(fault.at, rows[i].at, strlen(rows[i].at)) != 0 ||
		    !strstr(fault.why, rows[i].why))
			printf("# %s: %d, %.*s: %s\n", rows[i].text, err, (int)fault.len, fault.at,
			       fault.why);
		CHECK_EQ(err, rows[i].want);
		CHECK(strncmp(fault.at, rows[i].at, strlen(rows[i].at)) == 0);
		CHECK(strstr(fault.why, rows[i].why));
	}
	CHECK_EQ(table.cnt, 1); /* the last that was right stays */
}

static void test_one_entry_more_than_there_may_be_is_refused(void)
{
	char text[TIMETABLE_TEXT_CAP + 8] = "";

	for (unsigned i = 0; i < TIMETABLE_ENTRIES_MAX; i++)
		strcat(text, "01:00-02:00 1B;");
	CHECK_EQ(parse(text), 0);
	CHECK_EQ(table.cnt, TIMETABLE_ENTRIES_MAX);
	strcat(text, "01:00-02:00 1B");
	CHECK_EQ(parse(text), WEFT_EFULL);
	memset(text, ' ', sizeof(text));
	text[TIMETABLE_TEXT_CAP - 1] = '\0';
	CHECK_EQ(parse(text), 0);
	text[TIMETABLE_TEXT_CAP - 1] = ' ';
	text[TIMETABLE_TEXT_CAP] = '\0';
	CHECK_EQ(parse(text), WEFT_ETOOLARGE);
}

/* Each prefix of an entry is refused or a shorter one; nothing is read past its end. */
static void test_truncated_texts_are_read_no_further(void)
{
	static const char whole[] = "mon-fri 08:00-18:00 2MB/s; sat,sun 22:00-06:00 16mbit";

	for (size_t len = 0; len < sizeof(whole); len++) {
		char *text = malloc(len + 1);

		memcpy(text, whole, len);
		text[len] = '\0';
		if (parse(text) == 0)
			CHECK(table.cnt <= 2);
		else
			CHECK(fault.at >= text && fault.at + fault.len <= text + len);
		free(text);
	}
}

/* --- the next change; the first Monday of 1970 was the fifth of January --- */

#define FIRST_MONDAY_S (4 * DAY_S)

struct place {
	uint64_t shift_at_s;
	int before_s, after_s;
};

static unsigned local_of(void *ctx, uint64_t wall_s)
{
	const struct place *place = ctx;
	int off_s = wall_s < place->shift_at_s ? place->before_s : place->after_s;

	return (unsigned)((wall_s + (uint64_t)(int64_t)off_s - FIRST_MONDAY_S) / 60 %
			  TIMETABLE_WEEK_MIN);
}

static void test_next_change_is_found(void)
{
	struct place utc = {0};
	const uint64_t monday_s = FIRST_MONDAY_S + 52 * 7 * DAY_S;

	CHECK_EQ(parse("mon-fri 08:00-18:00 2MB/s"), 0);
	CHECK_EQ(blobs_timetable_next(&table, monday_s + 7 * 3600 + 59, local_of, &utc),
		 monday_s + 8 * 3600);
	CHECK_EQ(blobs_timetable_next(&table, monday_s + 8 * 3600, local_of, &utc),
		 monday_s + 18 * 3600);
	/* Friday's evening: on Monday. */
	CHECK_EQ(blobs_timetable_next(&table, monday_s + 4 * DAY_S + 18 * 3600, local_of, &utc),
		 monday_s + 7 * DAY_S + 8 * 3600);
	CHECK_EQ(parse("00:00-24:00 1MB/s"), 0);
	CHECK_EQ(blobs_timetable_next(&table, monday_s, local_of, &utc), 0);
	CHECK_EQ(parse(""), 0);
	CHECK_EQ(blobs_timetable_next(&table, monday_s, local_of, &utc), 0);
}

static void test_next_change_counts_clocks_put_forward_and_back(void)
{
	const uint64_t sunday_s = FIRST_MONDAY_S + 52 * 7 * DAY_S - DAY_S;
	/* At 02:00 of +1 h clocks show 03:00 of +2 h; at 03:00 of +2 h they show 02:00 of +1 h. */
	struct place forward = {sunday_s + 3600, 3600, 7200};
	struct place back = {sunday_s + 3600, 7200, 3600};

	/* 02:30 does not come that day: at 02:00 it is 03:00, in the entry. */
	CHECK_EQ(parse("sun 02:30-04:00 1MB/s"), 0);
	CHECK_EQ(blobs_timetable_next(&table, sunday_s, local_of, &forward), sunday_s + 3600);
	CHECK_EQ(blobs_timetable_next(&table, sunday_s + 3600, local_of, &forward),
		 sunday_s + 7200);
	/* 02:15 comes twice: in, out at 03:00, which is 02:00 again, and in. */
	CHECK_EQ(parse("sun 02:15-04:00 1MB/s"), 0);
	CHECK_EQ(blobs_timetable_next(&table, sunday_s, local_of, &back), sunday_s + 900);
	CHECK_EQ(blobs_timetable_next(&table, sunday_s + 900, local_of, &back), sunday_s + 3600);
	CHECK_EQ(blobs_timetable_next(&table, sunday_s + 3600, local_of, &back), sunday_s + 4500);
}

int main(void)
{
	RUN(test_entries_hold_their_days_and_times);
	RUN(test_the_first_entry_that_holds_counts);
	RUN(test_what_is_wrong_is_named);
	RUN(test_one_entry_more_than_there_may_be_is_refused);
	RUN(test_truncated_texts_are_read_no_further);
	RUN(test_next_change_is_found);
	RUN(test_next_change_counts_clocks_put_forward_and_back);
	return check_done();
}

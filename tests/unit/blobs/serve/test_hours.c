/* SPDX-License-Identifier: Apache-2.0 */
/* Timetables: the entry in force limits what is sent, by the node's own clock. */
#include <errno.h>

#include "blobs/blobs_state.h"
#include "serve_rig.h"

#define MONDAY_S (1704067200ull) /* 2024-01-01 00:00 UTC */
#define RATE	 (4 * BLAKE3_CHUNK_LEN)
#define TEXT	 "mon-fri 08:00-18:00 1048576B/s; sat,sun 00:00-24:00 none"

static int kept_err;

static void on_kept(void *arg, int err)
{
	(void)arg;
	kept_err = err;
}

static struct blobs *seeder(void)
{
	return duo.nodes[DUO_A].content;
}

static void clock_set(uint64_t wall_s)
{
	duo.nodes[DUO_A].wall_s = wall_s;
}

/* More than a second passes: the clock is looked at. */
static void second_pass(void)
{
	uint64_t until_ns = duo.now_ns + 2 * NS_PER_S;

	while (duo.now_ns < until_ns) {
		(void)duo_turn(&duo);
		duo.now_ns += 50 * NS_PER_MS;
	}
}

static int timetable_set(const char *text)
{
	int err = blobs_timetable_set(seeder(), BLOBS_UPLOADS, text, on_kept, NULL);

	kept_err = -EINPROGRESS;
	for (unsigned i = 0; i < 50 && err == 0 && kept_err == -EINPROGRESS; i++)
		(void)duo_turn(&duo);
	return err ? err : kept_err;
}

/* Twenty chunks, two at a time, take so long. */
static void chunks_take(uint64_t least_ns, uint64_t most_ns)
{
	static struct question many[2];
	uint64_t began_ns = duo.now_ns;

	for (unsigned i = 0; i < 20; i += 2) {
		ask(&many[0], MESH_GET_CHUNK, big_id, 0, 0);
		ask(&many[1], MESH_GET_CHUNK, big_id, 1, 0);
		CHECK(answered(&many[0]) && answered(&many[1]));
		CHECK(many[0].err == 0 && many[1].err == 0);
	}
	CHECK(duo.now_ns - began_ns >= least_ns);
	CHECK(duo.now_ns - began_ns <= most_ns);
}

static uint64_t in_force(void)
{
	struct blobs_limit_view view;

	blobs_limit_show(seeder(), BLOBS_LIMIT_UPLOAD, &view);
	return view.in_force;
}

static void test_entry_in_force_limits_what_is_sent(void)
{
	struct blobs_timetable_view view;

	CHECK(duo_begin());
	clock_set(MONDAY_S + 8 * 3600);
	CHECK_EQ(timetable_set(TEXT), 0);
	CHECK_EQ(in_force(), RATE);
	chunks_take(45 * NS_PER_S / 10, 55 * NS_PER_S / 10);
	blobs_timetable_show(seeder(), BLOBS_UPLOADS, &view);
	CHECK(view.is_kept && view.configured[0] == '\0');
	CHECK_EQ(view.per_s, RATE);
	CHECK_EQ(view.next_s, MONDAY_S + 18 * 3600);
	CHECK_EQ(view.entry_len, strlen("mon-fri 08:00-18:00 1048576B/s"));
	clock_set(MONDAY_S + 18 * 3600);
	second_pass();
	CHECK_EQ(in_force(), 0);
	chunks_take(0, NS_PER_S);
	blobs_timetable_show(seeder(), BLOBS_UPLOADS, &view);
	CHECK(!view.entry);
	CHECK_EQ(view.next_s, MONDAY_S + 86400 + 8 * 3600);
	duo_fini(&duo);
}

/* Also backwards, and over months: within a second what the clock says now holds. */
static void test_clock_that_jumps_is_followed_within_a_second(void)
{
	static const struct {
		uint64_t wall_s, want;
	} rows[] = {
		{MONDAY_S + 12 * 3600, RATE},
		{MONDAY_S + 100 * 86400 + 3600, 0},
		{MONDAY_S + 7 * 86400 + 9 * 3600, RATE},
		{MONDAY_S + 5 * 86400 + 9 * 3600, 0},
		{MONDAY_S - 3 * 86400 + 17 * 3600, RATE},
		{0, 0},
	};

	CHECK(duo_begin());
	CHECK_EQ(timetable_set(TEXT), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		clock_set(rows[i].wall_s);
		second_pass();
		CHECK_EQ(in_force(), rows[i].want);
	}
	duo_fini(&duo);
}

/* On Sunday clocks go from 02:00 of +1 h to 03:00 of +2 h, and in another year back. */
#define SUNDAY_S (MONDAY_S + 6 * 86400)
#define SHIFT_S	 (SUNDAY_S + 3600)
static int64_t forward_s(void *ctx, uint64_t wall_s)
{
	(void)ctx;
	return wall_s < SHIFT_S ? 3600 : 7200;
}

static int64_t back_s(void *ctx, uint64_t wall_s)
{
	(void)ctx;
	return wall_s < SHIFT_S ? 7200 : 3600;
}

static void test_entries_hold_by_local_time_when_clocks_change(void)
{
	static const struct {
		int64_t (*utc_offset_s)(void *ctx, uint64_t wall_s);
		uint64_t wall_s;
		bool is_in_force;
	} rows[] = {
		{forward_s, SHIFT_S - 1, false},   /* 01:59 */
		{forward_s, SHIFT_S, true},	   /* 03:00: 02:30 did not come */
		{forward_s, SHIFT_S + 3599, true}, /* 03:59 */
		{forward_s, SHIFT_S + 3600, false},
		{back_s, SHIFT_S - 1801, false},     /* 02:29 */
		{back_s, SHIFT_S - 1800, true},	     /* 02:30 */
		{back_s, SHIFT_S, false},	     /* 02:00 again */
		{back_s, SHIFT_S + 1800, true},	     /* 02:30 again */
		{back_s, SHIFT_S + 2 * 3600, false}, /* 04:00 */
	};
	struct blobs_timetable_view view;

	CHECK(duo_begin());
	CHECK_EQ(timetable_set("sun 02:30-04:00 1048576B/s"), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		seeder()->params.utc_offset_s = rows[i].utc_offset_s;
		clock_set(rows[i].wall_s);
		second_pass();
		CHECK_EQ(in_force(), rows[i].is_in_force ? RATE : 0);
		blobs_timetable_show(seeder(), BLOBS_UPLOADS, &view);
		CHECK_EQ(view.utc_offset_s, rows[i].utc_offset_s(NULL, rows[i].wall_s));
	}
	duo_fini(&duo);
}

static void test_least_of_limit_and_entry_holds(void)
{
	CHECK(duo_begin());
	clock_set(MONDAY_S + 8 * 3600);
	CHECK_EQ(timetable_set(TEXT), 0);
	CHECK_EQ(blobs_limit_set(seeder(), BLOBS_LIMIT_UPLOAD, 2 * RATE, on_kept, NULL), 0);
	second_pass();
	CHECK_EQ(in_force(), RATE);
	CHECK_EQ(blobs_limit_set(seeder(), BLOBS_LIMIT_UPLOAD, RATE / 2, on_kept, NULL), 0);
	second_pass();
	CHECK_EQ(in_force(), RATE / 2);
	CHECK_EQ(timetable_set(NULL), 0);
	CHECK_EQ(in_force(), RATE / 2);
	duo_fini(&duo);
}

static void test_timetable_is_kept_beside_limits_and_reset(void)
{
	struct blobs_timetable_view view;

	CHECK(duo_begin());
	clock_set(MONDAY_S + 8 * 3600);
	CHECK_EQ(blobs_limit_set(seeder(), BLOBS_LIMIT_UPLOAD_PEER, 9 * RATE, on_kept, NULL), 0);
	CHECK_EQ(timetable_set(TEXT), 0);
	CHECK_EQ(timetable_set("mon 00:00-24:00 fast"), WEFT_EMALFORMED);
	duo_node_close(&duo, DUO_A);
	duo_node_open(&duo, DUO_A);
	blobs_timetable_show(seeder(), BLOBS_UPLOADS, &view);
	CHECK(view.is_kept && strcmp(view.text, TEXT) == 0);
	CHECK_EQ(blobs_limit(seeder(), BLOBS_LIMIT_UPLOAD_PEER), 9 * RATE);
	CHECK_EQ(in_force(), RATE);
	CHECK_EQ(timetable_set(NULL), 0);
	CHECK_EQ(in_force(), 0);
	duo_node_close(&duo, DUO_A);
	duo_node_open(&duo, DUO_A);
	blobs_timetable_show(seeder(), BLOBS_UPLOADS, &view);
	CHECK(!view.is_kept && view.text[0] == '\0');
	CHECK_EQ(blobs_limit(seeder(), BLOBS_LIMIT_UPLOAD_PEER), 9 * RATE);
	duo_fini(&duo);
}

/* The longest text there can be beside every limit fits the record. */
static void test_longest_timetables_are_kept(void)
{
	struct blobs_timetable_view view;
	char text[TIMETABLE_TEXT_CAP];

	memset(text, ' ', sizeof(text));
	memcpy(text, "08:00-18:00 1MB/s;", 18);
	text[sizeof(text) - 1] = '\0';
	CHECK(duo_begin());
	for (unsigned i = 0; i < BLOBS_LIMIT_CNT; i++)
		CHECK_EQ(blobs_limit_set(seeder(), (enum blobs_limit)i,
					 blobs_limit_max((enum blobs_limit)i), NULL, NULL),
			 0);
	CHECK_EQ(blobs_timetable_set(seeder(), BLOBS_DOWNLOADS, text, NULL, NULL), 0);
	CHECK_EQ(timetable_set(text), 0);
	duo_node_close(&duo, DUO_A);
	duo_node_open(&duo, DUO_A);
	for (unsigned i = 0; i < BLOBS_DIRECTION_CNT; i++) {
		blobs_timetable_show(seeder(), (enum blobs_direction)i, &view);
		CHECK(view.is_kept && strcmp(view.text, text) == 0);
	}
	duo_fini(&duo);
}

int main(void)
{
	RUN(test_entry_in_force_limits_what_is_sent);
	RUN(test_clock_that_jumps_is_followed_within_a_second);
	RUN(test_entries_hold_by_local_time_when_clocks_change);
	RUN(test_least_of_limit_and_entry_holds);
	RUN(test_timetable_is_kept_beside_limits_and_reset);
	RUN(test_longest_timetables_are_kept);
	return check_done();
}

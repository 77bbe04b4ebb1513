/* SPDX-License-Identifier: Apache-2.0 */
/* The table of contacts that did not answer, under a clock of the test. */
#include "base/memory/arena.h"
#include "overlay/silent.h"
#include "support/check.h"

#define S   1000000000ull
#define MIN (60 * S)
#define MS  (S / 1000)

static struct arena arena;
static struct overlay_silent silent;

static bool table_open(void)
{
	static const struct fair_paths paths = {.secret = {1, 2}};

	return arena_open(&arena, ARENA_GROWS) == 0 &&
	       overlay_silent_init(&silent, &arena, &paths) == 0;
}

static struct kad_contact contact(unsigned number, uint8_t host)
{
	return (struct kad_contact){
		.id.bytes = {(uint8_t)(number >> 8), (uint8_t)number},
		.addr = {.family = ADDR_IPV4, .ip = {10, 0, 0, host}, .port = 7000}};
}

static bool has(unsigned number, uint8_t host, uint64_t now_ns)
{
	struct kad_contact at = contact(number, host);

	return overlay_silent_has(&silent, &at, now_ns);
}

/* A node in 192.0.<network>/24 that listed the contact. */
static void note_told(unsigned number, uint8_t network, uint64_t now_ns)
{
	struct addr teller = {.family = ADDR_IPV4, .ip = {192, 0, network, 1}, .port = 7000};
	struct kad_contact at = contact(number, 1);

	overlay_silent_note(&silent, &at, &teller, now_ns);
}

/* The contact was in the node's own table. */
static void note(unsigned number, uint8_t host, uint64_t now_ns)
{
	struct kad_contact at = contact(number, host);
	struct addr none = {.family = ADDR_NONE};

	overlay_silent_note(&silent, &at, &none, now_ns);
}

static void test_a_silent_contact_rests_and_longer_each_time(void)
{
	static const uint64_t pauses_min[] = {2, 4, 8, 16, 32, 60, 60};
	uint64_t now_ns = S;

	CHECK(table_open());
	for (unsigned i = 0; i < 7; i++) {
		CHECK(!has(1, 1, now_ns));
		note(1, 1, now_ns);
		note(1, 1, now_ns + S); /* the same silence */
		now_ns += pauses_min[i] * MIN;
		CHECK(has(1, 1, now_ns - 1));
		CHECK(!has(1, 1, now_ns));
	}
	CHECK_EQ(silent.pool.used_cnt, 1);
	arena_close(&arena);
}

static void test_an_answer_forgets_the_contact_and_its_pauses(void)
{
	struct kad_contact at = contact(1, 1);

	CHECK(table_open());
	note(1, 1, S);
	note(1, 1, S + 2 * MIN);
	overlay_silent_forget(&silent, &at, S + 2 * MIN);
	CHECK(!has(1, 1, S + 2 * MIN));
	note(1, 1, 10 * MIN);
	CHECK(!has(1, 1, 12 * MIN)); /* two minutes, as the first time */
	arena_close(&arena);
}

static void test_a_false_address_hides_no_living_node(void)
{
	struct kad_contact at = contact(1, 1);

	CHECK(table_open());
	note(1, 1, S);
	note(1, 2, S);
	note(2, 2, S);
	CHECK(!has(1, 3, S));
	overlay_silent_forget_id(&silent, &at.id, S);
	CHECK(!has(1, 1, S) && !has(1, 2, S));
	CHECK(has(2, 2, S));
	arena_close(&arena);
}

static void test_of_a_full_table_the_oldest_silence_makes_room(void)
{
	CHECK(table_open());
	for (unsigned i = 0; i < OVERLAY_SILENT_MAX; i++)
		note(i, 1, S + i);
	CHECK(has(0, 1, 2 * S));
	note(OVERLAY_SILENT_MAX, 1, 2 * S);
	CHECK_EQ(silent.pool.used_cnt, OVERLAY_SILENT_MAX);
	CHECK(!has(0, 1, 2 * S));
	CHECK(has(1, 1, 2 * S));
	CHECK(has(OVERLAY_SILENT_MAX, 1, 2 * S));
	arena_close(&arena);
}

static void test_a_teller_of_many_silent_contacts_displaces_its_own_alone(void)
{
	const unsigned flood_cnt = 4 * OVERLAY_SILENT_MAX;

	CHECK(table_open());
	for (unsigned i = 0; i < 100; i++)
		note(i, 1, S);
	for (unsigned i = 0; i < 20; i++)
		note_told(100 + i, (uint8_t)i, S);
	for (unsigned i = 0; i < flood_cnt; i++)
		note_told(1000 + i, 200, S + i * 10 * MS);
	CHECK_EQ(silent.pool.used_cnt, OVERLAY_SILENT_MAX);
	for (unsigned i = 0; i < 120; i++)
		CHECK(has(i, 1, 30 * S));
	CHECK(!has(1000, 1, 30 * S));
	CHECK(has(1000 + flood_cnt - 1, 1, 30 * S));
	arena_close(&arena);
}

static void test_the_own_table_has_half_of_the_places_against_many_tellers(void)
{
	CHECK(table_open());
	for (unsigned i = 0; i < OVERLAY_SILENT_MAX / 2; i++)
		note(i, 1, S);
	for (unsigned i = 0; i < 2 * OVERLAY_SILENT_MAX; i++)
		note_told(1000 + i, (uint8_t)i, S + 1);
	for (unsigned i = 0; i < OVERLAY_SILENT_MAX / 2; i++)
		CHECK(has(i, 1, 2 * S));
	CHECK_EQ(silent.pool.used_cnt, OVERLAY_SILENT_MAX);
	arena_close(&arena);
}

int main(void)
{
	RUN(test_a_silent_contact_rests_and_longer_each_time);
	RUN(test_an_answer_forgets_the_contact_and_its_pauses);
	RUN(test_a_false_address_hides_no_living_node);
	RUN(test_of_a_full_table_the_oldest_silence_makes_room);
	RUN(test_a_teller_of_many_silent_contacts_displaces_its_own_alone);
	RUN(test_the_own_table_has_half_of_the_places_against_many_tellers);
	return check_done();
}

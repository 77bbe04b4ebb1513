/* SPDX-License-Identifier: Apache-2.0 */
#include "social/holders/post_holders.h"

#include "store/store.h"
#include "support/check.h"
#include "support/scratch.h"
#include "support/scratch_store.h"

#define DAY_MS (24ull * 3600 * 1000)

static char dir[SCRATCH_CAP];
static struct social_ground ground;
static struct post_holders *holders;
static uint64_t wall_ms;
static unsigned done_cnt;
static int done_err;

static uint64_t wall(void *ctx)
{
	(void)ctx;
	return wall_ms;
}

static void setup(void)
{
	wall_ms = 1800000000000;
	done_cnt = 0;
	done_err = 1;
	ground = (struct social_ground){.store = scratch_store(scratch_make(dir), true),
					.wall_ms = wall};
	if (social_holders_open(&ground, &holders) < 0)
		abort();
}

static void teardown(void)
{
	social_holders_close(holders);
	store_close(ground.store);
	scratch_remove(dir);
}

static void on_done(void *arg, int err)
{
	(void)arg;
	done_cnt++;
	done_err = err;
}

static const uint8_t *named(uint8_t kind, unsigned number)
{
	static uint8_t names[8][32];
	static unsigned next;
	uint8_t *name = names[next++ % 8];

	memset(name, 0, 32);
	name[0] = kind;
	name[1] = (uint8_t)number;
	name[2] = (uint8_t)(number >> 8);
	return name;
}

static int give(unsigned first, unsigned cnt, unsigned who)
{
	static uint8_t posts[HOLDERS_GIVEN_MAX + 1][POST_ID_LEN];

	for (unsigned i = 0; i < cnt; i++)
		memcpy(posts[i], named('p', first + i), POST_ID_LEN);
	return social_holders_give(holders, &(struct holders_give){.person = named('x', who),
								   .posts = posts,
								   .post_cnt = cnt,
								   .done = on_done});
}

static int said(unsigned post, unsigned who, bool has, bool is_chosen)
{
	struct holder_said one = {.post = named('p', post),
				  .person = named('x', who),
				  .has = has,
				  .noted_ms = wall_ms,
				  .is_chosen = is_chosen,
				  .note = (const uint8_t *)"note",
				  .note_len = 4};
	int cnt = social_holders_note(holders, &one, 1);

	store_flush(ground.store);
	return cnt;
}

static void test_a_post_is_given_behind_its_durable_mark(void)
{
	struct post_holder holder;

	setup();
	CHECK_EQ(social_holders_find(holders, named('p', 1), named('x', 1), &holder), WEFT_EABSENT);
	CHECK_EQ(give(1, 2, 1), 0);
	CHECK_EQ(done_cnt, 0);
	store_flush(ground.store);
	CHECK_EQ(done_cnt, 1);
	CHECK_EQ(done_err, 0);
	CHECK_EQ(social_holders_find(holders, named('p', 2), named('x', 1), &holder), 0);
	CHECK(holder.flags & HOLDER_GIVEN);
	CHECK_EQ(holder.given_ms, wall_ms);
	/* The second time there is nothing to write, and the first time stands. */
	wall_ms += 5;
	CHECK_EQ(give(1, 2, 1), 0);
	CHECK_EQ(done_cnt, 2);
	CHECK_EQ(social_holders_find(holders, named('p', 1), named('x', 1), &holder), 0);
	CHECK_EQ(holder.given_ms, wall_ms - 5);
	CHECK_EQ(social_holders_find(holders, named('p', 1), named('x', 2), &holder), WEFT_EABSENT);
	teardown();
}

static void test_a_mark_survives_a_crash_once_its_post_may_go(void)
{
	struct post_holder holder;

	setup();
	CHECK_EQ(give(1, 1, 1), 0);
	store_flush(ground.store);
	CHECK_EQ(done_cnt, 1);
	CHECK_EQ(give(2, 1, 1), 0);
	store_freeze(ground.store);
	social_holders_close(holders);
	CHECK_EQ(done_cnt, 1);
	store_crash(ground.store);
	ground.store = scratch_store(dir, true);
	CHECK_EQ(social_holders_open(&ground, &holders), 0);
	CHECK_EQ(social_holders_find(holders, named('p', 1), named('x', 1), &holder), 0);
	CHECK_EQ(social_holders_find(holders, named('p', 2), named('x', 1), &holder), WEFT_EABSENT);
	teardown();
}

static void test_more_marks_than_a_call_takes_are_refused(void)
{
	setup();
	CHECK_EQ(give(0, HOLDERS_GIVEN_MAX + 1, 1), WEFT_EFULL);
	CHECK_EQ(done_cnt, 0);
	CHECK_EQ(give(0, HOLDERS_GIVEN_MAX, 1), 0);
	store_flush(ground.store);
	CHECK_EQ(done_cnt, 1);
	teardown();
}

static void test_a_holder_that_is_silent_for_seven_days_does_not_count(void)
{
	setup();
	CHECK_EQ(said(1, 1, true, false), 1);
	CHECK_EQ(said(1, 2, true, false), 1);
	CHECK_EQ(social_holders_cnt(holders, named('p', 1)), 2);
	wall_ms += 7 * DAY_MS - 1;
	CHECK_EQ(said(1, 2, true, false), 1);
	CHECK_EQ(social_holders_cnt(holders, named('p', 1)), 2);
	wall_ms += 1;
	CHECK_EQ(social_holders_cnt(holders, named('p', 1)), 1);
	CHECK_EQ(said(1, 2, false, false), 1);
	CHECK_EQ(social_holders_cnt(holders, named('p', 1)), 0);
	teardown();
}

static void test_an_older_note_that_is_sent_again_changes_nothing(void)
{
	struct holder_said old = {.post = named('p', 1), .person = named('x', 1), .has = true};

	setup();
	old.noted_ms = wall_ms;
	wall_ms++;
	CHECK_EQ(said(1, 1, true, false), 1);
	CHECK_EQ(said(1, 1, false, false), 1);
	CHECK_EQ(social_holders_cnt(holders, named('p', 1)), 0);
	wall_ms++;
	CHECK_EQ(said(1, 1, true, false), 1);
	old.has = false;
	CHECK_EQ(social_holders_note(holders, &old, 1), 0);
	CHECK_EQ(social_holders_cnt(holders, named('p', 1)), 1);
	teardown();
}

static void test_a_full_map_has_room_for_chosen_holders_and_in_place_of_silent_ones(void)
{
	setup();
	for (unsigned i = 0; i < HOLDERS_PER_POST; i++)
		CHECK_EQ(said(1, i, true, false), 1);
	CHECK_EQ(said(1, HOLDERS_PER_POST, true, false), 0);
	CHECK_EQ(social_holders_cnt(holders, named('p', 1)), HOLDERS_PER_POST);
	for (unsigned i = 0; i < HOLDERS_PER_POST; i++)
		CHECK_EQ(said(1, 100 + i, true, true), 1);
	CHECK_EQ(said(1, 200, true, true), 0);
	CHECK_EQ(social_holders_cnt(holders, named('p', 1)), HOLDERS_PER_POST);
	CHECK_EQ(said(2, 200, true, false), 1);
	wall_ms += 7 * DAY_MS;
	CHECK_EQ(said(1, 201, true, false), 1);
	CHECK_EQ(social_holders_cnt(holders, named('p', 1)), 1);
	teardown();
}

static void test_what_holders_say_leaves_the_mark_of_what_was_given(void)
{
	struct post_holder holder;

	setup();
	CHECK_EQ(give(1, 1, 1), 0);
	store_flush(ground.store);
	CHECK_EQ(said(1, 1, true, false), 1);
	CHECK_EQ(said(1, 1, false, false), 1);
	CHECK_EQ(social_holders_find(holders, named('p', 1), named('x', 1), &holder), 0);
	CHECK_EQ(holder.flags, HOLDER_GIVEN);
	teardown();
}

static bool note_seen(void *arg, const struct post_holder *holder)
{
	unsigned *cnt = arg;

	*cnt += holder->note_len == 4 && memcmp(holder->note, "note", 4) == 0;
	return true;
}

static void test_a_post_that_is_forgotten_leaves_the_readers_taken_off(void)
{
	struct holder_revoked revoked = {.post = named('p', 1),
					 .person = named('x', 9),
					 .replaced_by = named('p', 2),
					 .done = on_done};
	struct post_holder holder;
	unsigned cnt = 0;

	setup();
	CHECK_EQ(said(1, 1, true, false), 1);
	CHECK_EQ(said(2, 1, true, false), 1);
	CHECK_EQ(social_holders_revoked(holders, &revoked), 0);
	store_flush(ground.store);
	CHECK_EQ(done_cnt, 1);
	CHECK_EQ(social_holders_each(holders, named('p', 1), note_seen, &cnt), 0);
	CHECK_EQ(cnt, 1);
	social_holders_forget(holders, named('p', 1));
	store_flush(ground.store);
	CHECK_EQ(social_holders_cnt(holders, named('p', 1)), 0);
	CHECK_EQ(social_holders_cnt(holders, named('p', 2)), 1);
	CHECK_EQ(social_holders_find(holders, named('p', 1), named('x', 9), &holder), 0);
	CHECK_EQ(holder.flags, HOLDER_REVOKED);
	CHECK_EQ(holder.revoked_ms, wall_ms);
	teardown();
}

int main(void)
{
	RUN(test_a_post_is_given_behind_its_durable_mark);
	RUN(test_a_mark_survives_a_crash_once_its_post_may_go);
	RUN(test_more_marks_than_a_call_takes_are_refused);
	RUN(test_a_holder_that_is_silent_for_seven_days_does_not_count);
	RUN(test_an_older_note_that_is_sent_again_changes_nothing);
	RUN(test_a_full_map_has_room_for_chosen_holders_and_in_place_of_silent_ones);
	RUN(test_what_holders_say_leaves_the_mark_of_what_was_given);
	RUN(test_a_post_that_is_forgotten_leaves_the_readers_taken_off);
	return check_done();
}

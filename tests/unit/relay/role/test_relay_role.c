/* SPDX-License-Identifier: Apache-2.0 */
/* When a node takes and leaves the role of a relay, hour by hour. */
#include "relay/role/relay_role.h"

#include "base/monotonic.h"
#include "support/check.h"

#define START_S	 1700000000ull
#define HOUR_MIN 60u
/* What is left after a minute: 0.95^(1/60). */
#define MINUTE_LEFT 0.9991454770730508
#define LOG_HOUR    0.0512932943875505 /* -log(0.95) */

static struct relay_role role;
static uint64_t now_ns, wall_s;
static unsigned change_cnt;
static bool can_be_dialled, is_judged = true;

static void begin(enum relay_role_rule rule)
{
	now_ns = NS_PER_S;
	wall_s = START_S;
	change_cnt = 0;
	can_be_dialled = true;
	relay_role_init(&role, rule, now_ns);
}

/* Minutes after which so much of a number is left. */
static unsigned minutes_until(double left)
{
	unsigned minutes = 0;

	for (double now = 1; now > left; now *= MINUTE_LEFT)
		minutes++;
	return minutes;
}

/* One judgement after a minute in which so many requests were answered. */
static bool minute(unsigned served_cnt)
{
	const struct relay_role_work work = {
		.served_cnt = served_cnt, .can_be_dialled = can_be_dialled, .is_judged = is_judged};
	bool has_changed;

	now_ns += RELAY_ROLE_EVERY_NS;
	wall_s += 60;
	has_changed = relay_role_judge(&role, &work, wall_s, now_ns);
	change_cnt += has_changed;
	return has_changed;
}

static uint32_t score(void)
{
	return contribution_score(&role.own);
}

/* Until the next change, and for so long at most; minutes that it took. */
static unsigned minutes_until_change(unsigned served_cnt, unsigned max)
{
	for (unsigned i = 1; i <= max; i++)
		if (minute(served_cnt))
			return i;
	return 0;
}

/* Five points of success and half a point an hour, of which a twentieth goes each hour. */
static void test_uptime_with_answers_takes_the_role_after_the_reckoned_hours(void)
{
	unsigned want = minutes_until(1 - 5 * LOG_HOUR / 0.5), minutes;

	begin(RELAY_ROLE_EARNED);
	minutes = minutes_until_change(20, 48 * HOUR_MIN);
	CHECK(role.is_relay);
	CHECK_EQ(role.why, RELAY_ROLE_ENOUGH);
	CHECK(score() >= RELAY_ROLE_TAKE);
	CHECK(minutes + 30 >= want && minutes <= want + 30);
	printf("# taken after %.1f h, reckoned %.1f h\n", minutes / 60.0, want / 60.0);
}

static void test_an_idle_relay_leaves_after_the_reckoned_hours(void)
{
	unsigned want, minutes;

	begin(RELAY_ROLE_EARNED);
	CHECK(minutes_until_change(20, 48 * HOUR_MIN));
	want = minutes_until(2000.0 / score());
	minutes = minutes_until_change(0, 100 * HOUR_MIN);
	CHECK(!role.is_relay);
	CHECK_EQ(role.why, RELAY_ROLE_IDLE);
	CHECK(score() < RELAY_ROLE_LEAVE);
	CHECK(minutes + 2 >= want && minutes <= want + 2);
	printf("# left after %.2f h, reckoned %.2f h\n", minutes / 60.0, want / 60.0);
	/* It stays idle until it has ten points again. */
	(void)minute(0);
	CHECK_EQ(role.why, RELAY_ROLE_IDLE);
}

/* The score goes up and down between 2 and 10 for a week: nothing changes on either side. */
static void test_between_two_and_ten_nothing_changes(void)
{
	for (unsigned is_relay = 0; is_relay < 2; is_relay++) {
		uint32_t low = UINT32_MAX, high = 0;

		begin(RELAY_ROLE_EARNED);
		if (is_relay)
			CHECK(minutes_until_change(20, 48 * HOUR_MIN));
		while (score() > 6000)
			(void)minute(0);
		change_cnt = 0;
		for (unsigned i = 0; i < 7 * 24 * HOUR_MIN; i++) {
			(void)minute(score() < 3000 || (i % 700 < 200 && score() < 9000) ? 5 : 0);
			low = score() < low && i > 1000 ? score() : low;
			high = score() > high ? score() : high;
		}
		CHECK(low >= RELAY_ROLE_LEAVE && high < RELAY_ROLE_TAKE && high > low + 2000);
		CHECK_EQ(change_cnt, 0);
		CHECK_EQ(role.is_relay, is_relay);
	}
}

static void test_the_bounds_are_ten_and_two(void)
{
	begin(RELAY_ROLE_EARNED);
	(void)minute(0);
	/* 9.992 points, and 8 thousandths of a minute with work. */
	contribution_relayed(&role.own, 9, 0, wall_s);
	role.own.success = 198200;
	CHECK_EQ(score(), RELAY_ROLE_TAKE - 1);
	role.next_ns = now_ns;
	CHECK(!relay_role_judge(&role, &(struct relay_role_work){.can_be_dialled = true}, wall_s,
				now_ns));
	role.own.success += 200;
	CHECK_EQ(score(), RELAY_ROLE_TAKE);
	CHECK(relay_role_judge(&role, &(struct relay_role_work){.can_be_dialled = true}, wall_s,
			       now_ns));
	role.own = (struct contribution){.aged_s = wall_s, .relays = 2000000};
	CHECK(!relay_role_judge(&role, &(struct relay_role_work){.can_be_dialled = true}, wall_s,
				now_ns));
	role.own.relays -= 1000;
	CHECK(relay_role_judge(&role, &(struct relay_role_work){.can_be_dialled = true}, wall_s,
			       now_ns));
	CHECK(!role.is_relay);
}

static void test_a_choice_stands_above_the_rule_until_it_is_taken_back(void)
{
	for (unsigned rule = RELAY_ROLE_NEVER; rule <= RELAY_ROLE_EARNED; rule++) {
		bool was_relay = rule == RELAY_ROLE_ALWAYS;
		struct relay_role_stats stats;

		begin((enum relay_role_rule)rule);
		CHECK_EQ(relay_role_choose(&role, RELAY_ROLE_CHOSEN_ON, now_ns), !was_relay);
		CHECK(role.is_relay && role.why == RELAY_ROLE_BY_ON);
		CHECK(!relay_role_choose(&role, RELAY_ROLE_CHOSEN_ON, now_ns));
		(void)minute(0);
		CHECK(role.is_relay);
		CHECK(relay_role_choose(&role, RELAY_ROLE_CHOSEN_OFF, now_ns));
		CHECK(!role.is_relay && role.why == RELAY_ROLE_BY_OFF);
		CHECK_EQ(role.since_ns, now_ns);
		(void)minute(0);
		CHECK(!role.is_relay);
		CHECK_EQ(relay_role_choose(&role, RELAY_ROLE_AS_CONFIGURED, now_ns), was_relay);
		CHECK_EQ(role.is_relay, was_relay);
		CHECK_EQ(role.rule, rule);
		CHECK_EQ(role.next_ns, now_ns);
		relay_role_stats(&role, &stats);
		CHECK_EQ(stats.taken_cnt, 1);
		CHECK_EQ(stats.left_cnt, 1);
	}
}

static void test_a_choice_taken_back_leaves_an_earned_role_to_the_next_judgement(void)
{
	begin(RELAY_ROLE_EARNED);
	CHECK(relay_role_choose(&role, RELAY_ROLE_CHOSEN_ON, now_ns));
	CHECK(!relay_role_choose(&role, RELAY_ROLE_AS_CONFIGURED, now_ns));
	CHECK(role.is_relay);
	CHECK(relay_role_judge(&role, &(struct relay_role_work){.can_be_dialled = true}, wall_s,
			       now_ns));
	CHECK(!role.is_relay);
}

static void test_a_node_that_others_cannot_dial_is_no_relay(void)
{
	struct relay_role_stats stats;

	begin(RELAY_ROLE_EARNED);
	can_be_dialled = false;
	CHECK_EQ(minutes_until_change(20, 48 * HOUR_MIN), 0);
	CHECK_EQ(role.why, RELAY_ROLE_HIDDEN);
	CHECK(score() > RELAY_ROLE_TAKE);
	can_be_dialled = true;
	CHECK(minute(20));
	can_be_dialled = false;
	CHECK(minute(20));
	CHECK(!role.is_relay);
	relay_role_stats(&role, &stats);
	CHECK_EQ(stats.taken_cnt, 1);
	CHECK_EQ(stats.left_cnt, 1);
	CHECK_EQ(stats.is_now, 0);
	CHECK_EQ(stats.score_now, score());
}

static void test_what_the_configuration_says_is_not_judged(void)
{
	begin(RELAY_ROLE_ALWAYS);
	CHECK(role.is_relay);
	can_be_dialled = false;
	CHECK_EQ(minutes_until_change(0, 48 * HOUR_MIN), 0);
	CHECK(role.is_relay);
	CHECK_EQ(role.why, RELAY_ROLE_IS_ON);
	begin(RELAY_ROLE_NEVER);
	CHECK_EQ(minutes_until_change(20, 48 * HOUR_MIN), 0);
	CHECK(!role.is_relay);
	CHECK_EQ(role.why, RELAY_ROLE_IS_OFF);
	CHECK(score() > RELAY_ROLE_TAKE); /* it is kept all the same */
	for (unsigned i = 0; i < RELAY_ROLE_WHY_CNT; i++)
		CHECK(relay_role_word(i)[0]);
}

/* --- after a restart --- */

/* A relay with so many points stops and starts again. */
static void resume(unsigned hours, bool is_judged_first)
{
	struct contribution own;

	begin(RELAY_ROLE_EARNED);
	for (unsigned i = 0; i < hours * HOUR_MIN; i++)
		(void)minute(20);
	own = role.own;
	relay_role_init(&role, RELAY_ROLE_EARNED, now_ns);
	role.own = own;
	relay_role_resume(&role, wall_s, now_ns);
	can_be_dialled = is_judged_first;
	is_judged = is_judged_first;
	change_cnt = 0;
}

static void test_a_relay_is_one_again_from_its_start_on(void)
{
	resume(16, false);
	CHECK(role.is_relay);
	CHECK_EQ(role.why, RELAY_ROLE_RESUMED);
	/* Others find out that they can dial it. */
	for (unsigned i = 0; i < 5; i++)
		CHECK(!minute(20));
	can_be_dialled = is_judged = true;
	CHECK(!minute(20));
	CHECK(role.is_relay);
	CHECK_EQ(role.why, RELAY_ROLE_ENOUGH);
	is_judged = true;
}

static void test_a_relay_that_is_behind_a_nat_now_leaves_at_once(void)
{
	resume(16, false);
	is_judged = true;
	CHECK(minute(20));
	CHECK(!role.is_relay);
	CHECK_EQ(role.why, RELAY_ROLE_HIDDEN);
	/* What is not known any more later on is not resumed again. */
	is_judged = false;
	CHECK_EQ(minutes_until_change(20, HOUR_MIN), 0);
	is_judged = true;
}

static void test_a_relay_of_which_nothing_is_found_out_leaves_after_ten_minutes(void)
{
	resume(16, false);
	CHECK_EQ(minutes_until_change(20, HOUR_MIN), 10);
	CHECK_EQ(role.why, RELAY_ROLE_HIDDEN);
	is_judged = true;
}

static void test_below_two_points_nothing_is_resumed(void)
{
	struct contribution own;

	resume(16, true);
	own = role.own;
	/* It was off for two days. */
	relay_role_init(&role, RELAY_ROLE_EARNED, now_ns);
	role.own = own;
	relay_role_resume(&role, wall_s + 48 * 3600, now_ns);
	CHECK(!role.is_relay);
	/* Neither is it where the configuration says something else. */
	relay_role_init(&role, RELAY_ROLE_NEVER, now_ns);
	role.own = own;
	relay_role_resume(&role, wall_s, now_ns);
	CHECK(!role.is_relay);
}

int main(void)
{
	RUN(test_a_relay_is_one_again_from_its_start_on);
	RUN(test_a_relay_that_is_behind_a_nat_now_leaves_at_once);
	RUN(test_a_relay_of_which_nothing_is_found_out_leaves_after_ten_minutes);
	RUN(test_below_two_points_nothing_is_resumed);
	RUN(test_uptime_with_answers_takes_the_role_after_the_reckoned_hours);
	RUN(test_an_idle_relay_leaves_after_the_reckoned_hours);
	RUN(test_between_two_and_ten_nothing_changes);
	RUN(test_the_bounds_are_ten_and_two);
	RUN(test_a_choice_stands_above_the_rule_until_it_is_taken_back);
	RUN(test_a_choice_taken_back_leaves_an_earned_role_to_the_next_judgement);
	RUN(test_a_node_that_others_cannot_dial_is_no_relay);
	RUN(test_what_the_configuration_says_is_not_judged);
	return check_done();
}

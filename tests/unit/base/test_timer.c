/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"
#include "base/timer.h"
#include "support/check.h"

#define TIMER_CNT 300
#define TICK_NS	  65536ull

struct probe {
	struct timer timer;
	uint64_t due_ns; /* 0: not set */
	uint64_t fired_ns;
};

static void probe_fire(struct timer *timer, uint64_t now_ns)
{
	((struct probe *)timer)->fired_ns = now_ns;
}

static uint64_t random_delay(struct random *random)
{
	return random_below(random, 1ull << (10 + random_below(random, 36)));
}

/* The model: at each step exactly the probes whose time has come fire. */
static void test_random_timers_fire_when_due_and_never_early(void)
{
	static struct probe probes[TIMER_CNT];
	struct timer_wheel wheel;
	struct random random;
	uint64_t now_ns = 12345678;

	random_init_seeded(&random, 7);
	timer_wheel_init(&wheel, now_ns);
	for (int i = 0; i < TIMER_CNT; i++)
		timer_init(&probes[i].timer, probe_fire);
	for (int step = 0; step < 20000; step++) {
		struct probe *probe = &probes[random_below(&random, TIMER_CNT)];
		uint64_t next_ns, earliest = TIMER_NEVER;

		if (random_below(&random, 4) == 0) {
			timer_cancel(&wheel, &probe->timer);
			probe->due_ns = 0;
		} else {
			probe->due_ns = now_ns + random_delay(&random);
			timer_set(&wheel, &probe->timer, probe->due_ns);
		}
		for (int i = 0; i < TIMER_CNT; i++)
			if (probes[i].due_ns && probes[i].due_ns < earliest)
				earliest = probes[i].due_ns;
		next_ns = timer_wheel_next_ns(&wheel);
		CHECK(next_ns <= earliest);
		CHECK(earliest == TIMER_NEVER || next_ns != TIMER_NEVER);
		now_ns = random_below(&random, 2) && next_ns != TIMER_NEVER && next_ns > now_ns
				 ? next_ns
				 : now_ns + random_delay(&random) / 64;
		timer_wheel_expire(&wheel, now_ns);
		for (int i = 0; i < TIMER_CNT; i++) {
			bool is_due = probes[i].due_ns && probes[i].due_ns <= now_ns;

			CHECK_EQ(probes[i].fired_ns == now_ns && is_due, is_due);
			CHECK_EQ(timer_is_set(&probes[i].timer), probes[i].due_ns > now_ns);
			if (is_due)
				probes[i].due_ns = probes[i].fired_ns = 0;
		}
	}
}

static void test_a_deadline_within_a_tick_is_kept_exactly(void)
{
	struct probe probe = { .due_ns = 0 };
	struct timer_wheel wheel;

	timer_wheel_init(&wheel, 10 * TICK_NS);
	timer_init(&probe.timer, probe_fire);
	timer_set(&wheel, &probe.timer, 10 * TICK_NS + 50);
	CHECK_EQ(timer_wheel_next_ns(&wheel), 10 * TICK_NS + 50);
	timer_wheel_expire(&wheel, 10 * TICK_NS + 49);
	CHECK_EQ(probe.fired_ns, 0);
	timer_wheel_expire(&wheel, 10 * TICK_NS + 50);
	CHECK_EQ(probe.fired_ns, 10 * TICK_NS + 50);
	CHECK_EQ(timer_wheel_next_ns(&wheel), TIMER_NEVER);
}

static struct timer_wheel again_wheel;
static unsigned again_cnt;

static void again_fire(struct timer *timer, uint64_t now_ns)
{
	again_cnt++;
	timer_set(&again_wheel, timer, now_ns);
}

static void test_a_timer_that_sets_itself_does_not_hold_expire(void)
{
	struct timer timer;

	again_cnt = 0;
	timer_wheel_init(&again_wheel, 0);
	timer_init(&timer, again_fire);
	timer_set(&again_wheel, &timer, 1);
	timer_wheel_expire(&again_wheel, 100);
	CHECK_EQ(again_cnt, 1);
	CHECK(timer_wheel_next_ns(&again_wheel) <= 100);
	timer_wheel_expire(&again_wheel, 100);
	CHECK_EQ(again_cnt, 2);
	timer_wheel_expire(&again_wheel, 1000000000);
	CHECK(again_cnt <= 4);
}

int main(void)
{
	RUN(test_random_timers_fire_when_due_and_never_early);
	RUN(test_a_deadline_within_a_tick_is_kept_exactly);
	RUN(test_a_timer_that_sets_itself_does_not_hold_expire);
	return check_done();
}

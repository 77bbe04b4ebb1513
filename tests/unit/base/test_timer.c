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
	struct probe probe = {.due_ns = 0};
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

static struct timer_wheel late_wheel;
static struct probe late_probe;

static void set_late_probe(struct timer *timer, uint64_t now_ns)
{
	(void)timer;
	(void)now_ns;
	timer_set(&late_wheel, &late_probe.timer, 1);
}

/* A worker that comes late is behind by many ticks when fire sets a time long past. */
static void test_a_time_in_the_past_fires_in_the_next_expire(void)
{
	struct timer timer;

	for (uint64_t late_tick = 0; late_tick < 5000; late_tick += 1 + late_tick / 8) {
		uint64_t now_ns = (70 + late_tick) * TICK_NS;

		timer_wheel_init(&late_wheel, 5 * TICK_NS);
		timer_init(&timer, set_late_probe);
		timer_init(&late_probe.timer, probe_fire);
		late_probe.fired_ns = 0;
		timer_set(&late_wheel, &timer, 70 * TICK_NS);
		timer_wheel_expire(&late_wheel, now_ns);
		CHECK_EQ(late_probe.fired_ns, 0);
		CHECK(timer_wheel_next_ns(&late_wheel) <= now_ns);
		timer_wheel_expire(&late_wheel, now_ns);
		CHECK_EQ(late_probe.fired_ns, now_ns);
	}
}

#define RING_CNT 8
static struct probe ring_probes[RING_CNT];

static void cancel_next(struct timer *timer, uint64_t now_ns)
{
	struct probe *probe = (struct probe *)timer;
	struct probe *next = &ring_probes[(probe - ring_probes + 1) % RING_CNT];

	probe->fired_ns = now_ns;
	timer_cancel(&late_wheel, &next->timer);
	/* A timer that was taken off may go at once: its memory is scribbled over. */
	if (!next->fired_ns)
		memset(&next->timer, 0xee, sizeof(next->timer));
}

static void test_fire_may_cancel_what_is_due_with_it(void)
{
	unsigned fired_cnt = 0;

	timer_wheel_init(&late_wheel, 0);
	for (unsigned i = 0; i < RING_CNT; i++) {
		ring_probes[i].fired_ns = 0;
		timer_init(&ring_probes[i].timer, cancel_next);
		timer_set(&late_wheel, &ring_probes[i].timer, 1000);
	}
	timer_wheel_expire(&late_wheel, 2000);
	for (unsigned i = 0; i < RING_CNT; i++)
		fired_cnt += ring_probes[i].fired_ns == 2000;
	CHECK(fired_cnt >= 1 && fired_cnt < RING_CNT);
	CHECK_EQ(timer_wheel_next_ns(&late_wheel), TIMER_NEVER);
}

/* Also the farthest time there is, which is not TIMER_NEVER. */
static void test_far_times_are_kept(void)
{
	struct probe probe = {.due_ns = 0};
	struct timer_wheel wheel;
	uint64_t turn_cnt = 0;

	timer_wheel_init(&wheel, 1);
	timer_init(&probe.timer, probe_fire);
	timer_set(&wheel, &probe.timer, TIMER_NEVER - 1);
	while (timer_is_set(&probe.timer)) {
		uint64_t next_ns = timer_wheel_next_ns(&wheel);

		CHECK(++turn_cnt <= 2 * TIMER_LEVELS);
		timer_wheel_expire(&wheel, next_ns - 1);
		CHECK_EQ(probe.fired_ns, 0);
		timer_wheel_expire(&wheel, next_ns);
	}
	CHECK(probe.fired_ns == TIMER_NEVER - 1);
	timer_set(&wheel, &probe.timer, TIMER_NEVER);
	CHECK(!timer_is_set(&probe.timer));
}

int main(void)
{
	RUN(test_a_time_in_the_past_fires_in_the_next_expire);
	RUN(test_fire_may_cancel_what_is_due_with_it);
	RUN(test_far_times_are_kept);
	RUN(test_random_timers_fire_when_due_and_never_early);
	RUN(test_a_deadline_within_a_tick_is_kept_exactly);
	RUN(test_a_timer_that_sets_itself_does_not_hold_expire);
	return check_done();
}

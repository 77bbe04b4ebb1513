/* SPDX-License-Identifier: Apache-2.0 */
#include "base/monotonic.h"
#include "firewall/pressure.h"
#include "support/check.h"

static const struct pressure_config config = {.pressured_from = 100, .flood_above = 1000};

static void test_modes_rise_at_once_and_fall_a_step_at_a_time_when_calm(void)
{
	static const struct {
		unsigned at_s;
		uint32_t handshake_cnt;
		uint64_t unvalidated_cnt;
		enum weft_mode want;
		const char *why;
	} steps[] = {
		{1, 99, 0, WEFT_MODE_NORMAL, "one below the threshold"},
		{2, 100, 0, WEFT_MODE_PRESSURED, "at it, where the engine stops"},
		{3, 50, 0, WEFT_MODE_PRESSURED, "half of it is not calm"},
		{4, 49, 0, WEFT_MODE_PRESSURED, "calm begins"},
		{13, 49, 0, WEFT_MODE_PRESSURED, "nine seconds of it"},
		{14, 49, 0, WEFT_MODE_NORMAL, "ten"},
		{15, 0, 1001, WEFT_MODE_FLOOD, "unvalidated sources alone"},
		{16, 0, 2000, WEFT_MODE_FLOOD, "999 a second"},
		{17, 0, 2500, WEFT_MODE_FLOOD, "500: calm begins"},
		{26, 0, 2500, WEFT_MODE_FLOOD, "nine seconds"},
		{27, 0, 2500, WEFT_MODE_PRESSURED, "one step"},
		{36, 0, 2500, WEFT_MODE_PRESSURED, "nine seconds since"},
		{37, 0, 2500, WEFT_MODE_NORMAL, "the other step"},
	};
	struct pressure pressure;

	firewall_pressure_init(&pressure, &config);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		const struct pressure_load load = {.handshake_cnt = steps[i].handshake_cnt,
						   .unvalidated_cnt = steps[i].unvalidated_cnt};

		if (firewall_pressure_measure(&pressure, &load, steps[i].at_s * NS_PER_S) !=
		    steps[i].want)
			printf("# step %zu: %s\n", i, steps[i].why);
		CHECK_EQ(pressure.mode, steps[i].want);
	}
}

/* Junk and the program's Retries leave no handshake under way: Initials are the load then. */
static void test_initials_enter_and_hold_the_mode_as_handshakes_do(void)
{
	struct pressure_load load = {.initial_cnt = 7};
	struct pressure pressure;

	firewall_pressure_init(&pressure, &config);
	(void)firewall_pressure_measure(&pressure, &load, NS_PER_S);
	load.handshake_cnt = 40;
	load.initial_cnt += 59;
	CHECK_EQ(firewall_pressure_measure(&pressure, &load, 2 * NS_PER_S), WEFT_MODE_NORMAL);
	load.initial_cnt += 60;
	CHECK_EQ(firewall_pressure_measure(&pressure, &load, 3 * NS_PER_S), WEFT_MODE_PRESSURED);
	load.handshake_cnt = 0;
	for (unsigned i = 4; i < 60; i++) {
		load.initial_cnt += 20000;
		CHECK_EQ(firewall_pressure_measure(&pressure, &load, i * NS_PER_S),
			 WEFT_MODE_PRESSURED);
	}
	for (unsigned i = 60; i < 71; i++)
		(void)firewall_pressure_measure(&pressure, &load, i * NS_PER_S);
	CHECK_EQ(pressure.mode, WEFT_MODE_NORMAL);
}

static void test_a_forced_mode_holds_until_released(void)
{
	const struct pressure_load heavy = {.handshake_cnt = 1000}, none = {.handshake_cnt = 0};
	struct pressure pressure;

	firewall_pressure_init(&pressure, &config);
	firewall_pressure_force(&pressure, WEFT_MODE_NORMAL);
	CHECK_EQ(firewall_pressure_measure(&pressure, &heavy, NS_PER_S), WEFT_MODE_NORMAL);
	firewall_pressure_force(&pressure, WEFT_MODE_FLOOD);
	for (unsigned i = 2; i < 100; i++)
		CHECK_EQ(firewall_pressure_measure(&pressure, &none, i * NS_PER_S),
			 WEFT_MODE_FLOOD);
	firewall_pressure_release(&pressure);
	for (unsigned i = 100; i < 125; i++)
		(void)firewall_pressure_measure(&pressure, &none, i * NS_PER_S);
	CHECK_EQ(pressure.mode, WEFT_MODE_NORMAL);
}

static void test_a_counter_that_begins_again_is_no_flood(void)
{
	struct pressure pressure;

	firewall_pressure_init(&pressure, &config);
	(void)firewall_pressure_measure(
		&pressure, &(struct pressure_load){.unvalidated_cnt = 1000000}, NS_PER_S);
	CHECK_EQ(firewall_pressure_measure(&pressure, &(struct pressure_load){.unvalidated_cnt = 5},
					   2 * NS_PER_S),
		 WEFT_MODE_NORMAL);
}

int main(void)
{
	RUN(test_modes_rise_at_once_and_fall_a_step_at_a_time_when_calm);
	RUN(test_initials_enter_and_hold_the_mode_as_handshakes_do);
	RUN(test_a_forced_mode_holds_until_released);
	RUN(test_a_counter_that_begins_again_is_no_flood);
	return check_done();
}

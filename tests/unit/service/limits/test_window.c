/* SPDX-License-Identifier: Apache-2.0 */
#include "service/limits/circuit.h"
#include "service/limits/service_limits.h"
#include "service/limits/window.h"
#include "support/check.h"

#define S   1000000000ull
#define MIN (60 * S)

static bool take(struct service_window *window, uint64_t cap, uint64_t now_ns, uint64_t *wait_ns)
{
	if (!service_window_has_room(window, cap, 1, now_ns, wait_ns))
		return false;
	service_window_take(window, 1, now_ns);
	return true;
}

static void test_a_fresh_window_admits_exactly_its_cap(void)
{
	struct service_window window = {.cnt = 0};
	uint64_t wait_ns;

	for (unsigned i = 0; i < 100; i++)
		CHECK(take(&window, 100, 5 * S + i * S / 10, &wait_ns));
	for (unsigned i = 0; i < 30; i++)
		CHECK(!take(&window, 100, 15 * S, &wait_ns));
	CHECK_EQ(service_window_used(&window, 15 * S), 100); /* refusals are not counted */
}

static void test_the_edge_of_a_minute_admits_no_second_burst(void)
{
	struct service_window window = {.cnt = 0};
	uint64_t wait_ns, at_ns = 1000 * S;
	unsigned cnt = 0;

	CHECK(take(&window, 100, at_ns, &wait_ns));
	for (unsigned i = 1; i < 100; i++)
		CHECK(take(&window, 100, at_ns + MIN - 1, &wait_ns));
	while (take(&window, 100, at_ns + MIN + MIN / 10, &wait_ns))
		cnt++;
	CHECK_EQ(cnt, 10); /* a tenth of the hundred before has passed */
}

static void test_a_caller_is_admitted_after_its_wait_and_not_before(void)
{
	static const struct {
		uint64_t cap, before, now_cnt, elapsed_ns;
	} rows[] = {
		{100, 0, 100, 3 * S}, {100, 100, 0, 0},	 {100, 100, 50, 10 * S}, {1, 1, 0, 59 * S},
		{1, 0, 1, 59 * S},    {7, 7, 3, 20 * S}, {500, 499, 250, S / 3}, {3, 3, 3, MIN - 1},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct service_window window = {
			.start_ns = 9 * S, .cnt = rows[i].now_cnt, .before_cnt = rows[i].before};
		struct service_window early;
		uint64_t now_ns = 9 * S + rows[i].elapsed_ns, wait_ns = 0, again_ns;

		CHECK(!service_window_has_room(&window, rows[i].cap, 1, now_ns, &wait_ns));
		early = window;
		CHECK(wait_ns > 0);
		CHECK(!service_window_has_room(&early, rows[i].cap, 1, now_ns + wait_ns - 1,
					       &again_ns));
		CHECK(service_window_has_room(&window, rows[i].cap, 1, now_ns + wait_ns,
					      &again_ns));
	}
}

static void test_a_window_that_was_idle_is_fresh(void)
{
	struct service_window window = {.cnt = 0};
	uint64_t wait_ns;

	for (unsigned i = 0; i < 10; i++)
		CHECK(take(&window, 10, S, &wait_ns));
	CHECK_EQ(service_window_used(&window, S + 2 * MIN), 0);
	for (unsigned i = 0; i < 10; i++)
		CHECK(take(&window, 10, S + 2 * MIN, &wait_ns));
	CHECK(!take(&window, 10, S + 2 * MIN, &wait_ns));
}

static struct service_limits defaults(void)
{
	struct service_limits limits;

	service_limits_defaults(&limits);
	return limits;
}

/* note of a call that began and ended at now_ns. */
static bool note(struct service_circuit *circuit, const struct service_limits *limits,
		 bool is_probe, bool is_failure, uint64_t now_ns)
{
	const struct service_circuit_end end = {is_probe, is_failure, now_ns};

	return service_circuit_note(circuit, limits, &end, now_ns);
}

static void test_calls_that_fail_together_are_one_failure(void)
{
	struct service_limits limits = defaults();
	struct service_circuit circuit = {.failure_cnt = 0};
	uint64_t wait_ns;

	/* Six in hand when their program dies, five times: the fifth opens it. */
	for (unsigned crash = 1; crash <= 5; crash++) {
		CHECK(service_circuit_admits(&circuit, &limits, crash * S, &wait_ns));
		for (unsigned i = 0; i < 6; i++) {
			const struct service_circuit_end end = {false, true, crash * S + i};

			CHECK_EQ(service_circuit_note(&circuit, &limits, &end,
						      crash * S + S / 2 + i),
				 crash == 5 && i == 0);
		}
		CHECK_EQ(circuit.failure_cnt, crash);
	}
	CHECK(!service_circuit_admits(&circuit, &limits, 6 * S, &wait_ns));
	service_circuit_close(&circuit);
	CHECK(service_circuit_admits(&circuit, &limits, 6 * S, &wait_ns));
	CHECK(!note(&circuit, &limits, false, true, 6 * S));
}

static void test_a_circuit_opens_at_the_fifth_failure_in_a_row(void)
{
	struct service_limits limits = defaults();
	struct service_circuit circuit = {.failure_cnt = 0};
	uint64_t wait_ns;

	for (unsigned i = 0; i < 4; i++)
		CHECK(!note(&circuit, &limits, false, true, S));
	CHECK(!note(&circuit, &limits, false, false, S)); /* a success between */
	for (unsigned i = 0; i < 4; i++)
		CHECK(!note(&circuit, &limits, false, true, S));
	CHECK(service_circuit_admits(&circuit, &limits, S, &wait_ns));
	CHECK(note(&circuit, &limits, false, true, S));
	CHECK(!service_circuit_admits(&circuit, &limits, S, &wait_ns));
	CHECK_EQ(wait_ns, 300 * S);
	CHECK(!note(&circuit, &limits, false, true, 2 * S)); /* a late one */
	CHECK(!service_circuit_admits(&circuit, &limits, S + 300 * S - 1, &wait_ns));
	CHECK(service_circuit_admits(&circuit, &limits, S + 300 * S, &wait_ns));
}

static void test_one_probe_decides_what_becomes_of_an_open_circuit(void)
{
	struct service_limits limits = defaults();
	struct service_circuit circuit = {.failure_cnt = 5, .rests_until_ns = S};
	uint64_t wait_ns;

	CHECK(service_circuit_admits(&circuit, &limits, S, &wait_ns));
	CHECK(service_circuit_pass(&circuit, &limits));
	CHECK(!service_circuit_admits(&circuit, &limits, S, &wait_ns)); /* one only */
	service_circuit_forget(&circuit, false); /* an older call is not the probe */
	CHECK(!service_circuit_admits(&circuit, &limits, S, &wait_ns));
	CHECK(note(&circuit, &limits, true, true, S));
	CHECK(!service_circuit_admits(&circuit, &limits, 300 * S, &wait_ns));
	CHECK(service_circuit_admits(&circuit, &limits, 301 * S, &wait_ns));
	CHECK(service_circuit_pass(&circuit, &limits));
	service_circuit_forget(&circuit, true); /* its outcome says nothing: the next probes */
	CHECK(service_circuit_admits(&circuit, &limits, 301 * S, &wait_ns));
	CHECK(service_circuit_pass(&circuit, &limits));
	CHECK(!note(&circuit, &limits, true, false, 301 * S));
	CHECK(service_circuit_admits(&circuit, &limits, 301 * S, &wait_ns));
	CHECK(!service_circuit_pass(&circuit, &limits));
}

int main(void)
{
	RUN(test_a_fresh_window_admits_exactly_its_cap);
	RUN(test_the_edge_of_a_minute_admits_no_second_burst);
	RUN(test_a_caller_is_admitted_after_its_wait_and_not_before);
	RUN(test_a_window_that_was_idle_is_fresh);
	RUN(test_calls_that_fail_together_are_one_failure);
	RUN(test_a_circuit_opens_at_the_fifth_failure_in_a_row);
	RUN(test_one_probe_decides_what_becomes_of_an_open_circuit);
	return check_done();
}

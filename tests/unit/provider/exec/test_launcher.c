/* SPDX-License-Identifier: Apache-2.0 */
/* The launcher has a slot for each program that may run, and no more. */
#include "provider/exec/launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "base/thread/poller.h"
#include "provider/exec/launch_message.h"
#include "support/check.h"

#define SLOT_CNT     3
#define SLOT_CNT_MAX 8192 /* as many processes and offers as may be configured */

static struct poller *poller;
static struct launcher *launcher;
static struct launch_end ends[16];
static unsigned end_cnt;

static void on_ended(void *ctx, const struct launch_end *end, uint64_t now_ns)
{
	(void)ctx, (void)now_ns;
	if (end_cnt < 16)
		ends[end_cnt++] = *end;
}

static void on_nothing(void *ctx, uint64_t now_ns)
{
	(void)ctx, (void)now_ns;
}

static const struct launcher_events events = {
	.ended = on_ended,
	.writable = on_nothing,
	.died = on_nothing,
};

static bool open_all(uint32_t slot_cnt)
{
	const struct launch_setup setup = {.program_cap = slot_cnt};

	end_cnt = 0;
	return provider_launcher_open(&launcher) == 0 && poller_new(16, &poller) == 0 &&
	       provider_launcher_attach(launcher, &setup, poller, &events, NULL) == 0;
}

static void close_all(void)
{
	provider_launcher_detach(launcher);
	provider_launcher_close(launcher);
	poller_free(poller);
}

/* A program that stays until it is killed. */
static int start(uint64_t id)
{
	const struct launch_start program = {
		.id = id,
		.flags = LAUNCH_UNCONFINED,
		.uid = LAUNCH_USER_SAME,
		.gid = LAUNCH_USER_SAME,
		.memory_len_max = 1ull << 30,
		.cpu_s_max = 10,
		.life_ms = 60000,
		.argv_cnt = 2,
		.argv = {"/bin/sleep", "60"},
	};
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	int files[LAUNCH_FD_CNT] = {nothing, nothing, nothing}, err;

	err = provider_launcher_start(launcher, &program, files);
	close(nothing);
	return err;
}

/* Waits for the next program to end, 10 s at most. */
static bool ended_is(uint64_t id)
{
	uint64_t deadline_ns = clock_monotonic_ns() + 10 * NS_PER_S;
	unsigned before_cnt = end_cnt;

	while (end_cnt == before_cnt)
		if (!provider_launcher_wait(launcher, deadline_ns))
			return false;
	return ends[before_cnt].id == id;
}

static void test_one_program_more_than_there_are_slots_is_refused(void)
{
	struct launcher_usage usage;

	CHECK(open_all(SLOT_CNT));
	for (uint64_t id = 1; id <= SLOT_CNT + 1; id++)
		CHECK_EQ(start(id), 0);
	/* Only the last comes to its end, and says why. */
	CHECK(ended_is(SLOT_CNT + 1));
	CHECK_EQ(ends[0].err, EAGAIN);
	CHECK_EQ(ends[0].step, LAUNCH_STEP_FORK);
	provider_launcher_usage(launcher, &usage);
	CHECK_EQ(usage.slot_cnt, SLOT_CNT);
	CHECK_EQ(usage.slot_cap, SLOT_CNT);
	CHECK_EQ(usage.refused_cnt, 1);
	/* A slot is free when its program and all that it started are gone. */
	CHECK(provider_launcher_kill(launcher, 2));
	CHECK(ended_is(2));
	CHECK_EQ(ends[1].err, 0);
	CHECK_EQ(start(9), 0);
	CHECK_EQ(start(10), 0);
	CHECK(ended_is(10));
	CHECK_EQ(ends[2].err, EAGAIN);
	close_all();
}

static void test_a_setup_beyond_the_launchers_own_limit_ends_it(void)
{
	CHECK(open_all(SLOT_CNT_MAX));
	close_all();
	CHECK(!open_all(SLOT_CNT_MAX + 1));
	CHECK(!provider_launcher_ready(launcher));
	provider_launcher_close(launcher);
	poller_free(poller);
}

int main(void)
{
	RUN(test_one_program_more_than_there_are_slots_is_refused);
	RUN(test_a_setup_beyond_the_launchers_own_limit_ends_it);
	return check_done();
}

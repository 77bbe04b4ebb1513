/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relay that forwards as fast as it can is killed by SIGKILL at any
 * moment, again and again. Its ledger is then compared with the forwarded
 * bytes, which it counts in shared memory.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/store.h"
#include "support/check.h"
#include "support/relay_rig.h"
#include "support/scratch.h"
#include "support/scratch_store.h"

#define LIFE_CNT 12
#define RATE	 50000000 /* a lease of this many bytes */
#define LEN	 1200
#define OUT_LEN	 (LEN + 16 + 8 + 20)

static char dir[SCRATCH_CAP];

/* What the child writes and the parent reads. */
static struct shared {
	uint64_t sent_len; /* of this life */
	uint64_t base_len; /* used, as the ledger had it when this life began */
	bool is_begun;
	uint32_t opened_cnt; /* of all lives */
	bool is_spent;
} *shared;

static uint64_t used_of(struct relay_rig *rig, unsigned row)
{
	uint64_t used = 0;

	return relay_grant_used(rig->relay, row, &used) == 0 ? used : ~0ull;
}

static void live(bool is_clean)
{
	struct relay_rig rig;
	struct store *store = scratch_store(dir, false);
	struct relay_flow_id id;
	unsigned row;

	relay_rig_begin(&rig, store, 0);
	row = relay_rig_grant(&rig, 1, RATE, 0);
	shared->base_len = used_of(&rig, row);
	id = relay_rig_open_whole(&rig, 1, row);
	for (unsigned turn = 0; !is_clean || turn < 400; turn++) {
		const struct timespec pause = {.tv_nsec = 200000};

		relay_rig_pass(&rig, RELAY_TURN_NS);
		for (unsigned i = 0; i < 1000; i++)
			if (relay_rig_send_own(&rig, id, i % 2, LEN) == WEFT_REASON_RELAYED)
				shared->sent_len += OUT_LEN;
		shared->is_begun |= shared->sent_len > 0;
		nanosleep(&pause, NULL);
	}
	relay_rig_end(&rig);
	store_close(store);
}

/* Runs one life in a child; killed after some time, or until it ends by itself. */
static void life_run(unsigned number, bool is_clean)
{
	const struct timespec pause = {.tv_nsec = 7000000L * (1 + number * 5 % 13)};
	pid_t child;
	int status;

	shared->sent_len = 0;
	shared->is_begun = false;
	child = fork();
	if (child == 0) {
		live(is_clean);
		_exit(0);
	}
	while (!is_clean && !*(volatile bool *)&shared->is_begun)
		nanosleep(&pause, NULL);
	nanosleep(&pause, NULL);
	if (!is_clean && kill(child, SIGKILL) < 0)
		abort();
	if (waitpid(child, &status, 0) != child)
		abort();
	CHECK_EQ(is_clean ? WIFEXITED(status) : WIFSIGNALED(status), 1);
}

static uint64_t ledger_read(void)
{
	struct relay_rig rig;
	struct store *store = scratch_store(dir, false);
	uint64_t used;

	relay_rig_begin(&rig, store, 0);
	used = used_of(&rig, relay_rig_grant(&rig, 1, RATE, 0));
	relay_rig_end(&rig);
	store_close(store);
	return used;
}

static void test_kill_9_loses_no_byte_and_invents_at_most_a_lease(void)
{
	scratch_make(dir);
	for (unsigned i = 0; i < LIFE_CNT; i++) {
		uint64_t used;

		life_run(i, false);
		used = ledger_read();
		CHECK(shared->sent_len > 0);
		CHECK(used >= shared->base_len + shared->sent_len);
		/* And what was let through and not counted when the signal came. */
		CHECK(used <= shared->base_len + shared->sent_len + RATE + OUT_LEN);
	}
	scratch_remove(dir);
}

static void test_a_clean_run_is_exact(void)
{
	scratch_make(dir);
	life_run(0, true);
	CHECK(shared->sent_len > 3ull * RATE);
	CHECK_EQ(ledger_read(), shared->sent_len);
	scratch_remove(dir);
}

/* --- days without a grant --- */

#define OPENS 1024u
/* What may be lost, or counted without having been, by a kill. */
#define OPENS_LEASE 98u

static void day_live(void)
{
	struct relay_rig rig;
	struct store *store = scratch_store(dir, false);
	struct relay_flow_id id;

	relay_rig_begin(&rig, store, 0);
	for (;;) {
		const struct timespec pause = {.tv_nsec = 1000000};

		/* Ten turns are the second in which a batch goes. */
		if (relay_rig_open(&rig, 1, RELAY_NO_GRANT, &id) == 0) {
			shared->opened_cnt++;
			relay_flow_close(rig.relay, id);
		} else {
			shared->is_spent = true;
		}
		relay_rig_pass(&rig, 10 * RELAY_TURN_NS);
		shared->is_begun = true;
		nanosleep(&pause, NULL);
	}
}

static void day_life_run(unsigned number)
{
	const struct timespec pause = {.tv_nsec = 11000000L * (1 + number * 5 % 13)};
	pid_t child;
	int status;

	shared->is_begun = false;
	child = fork();
	if (child == 0)
		day_live();
	while (!*(volatile bool *)&shared->is_begun)
		nanosleep(&pause, NULL);
	nanosleep(&pause, NULL);
	if (kill(child, SIGKILL) < 0 || waitpid(child, &status, 0) != child)
		abort();
	CHECK(WIFSIGNALED(status));
}

static void test_kill_9_gives_no_second_day(void)
{
	unsigned lives = 0;

	scratch_make(dir);
	shared->opened_cnt = 0;
	shared->is_spent = false;
	for (; !shared->is_spent && lives < 200; lives++)
		day_life_run(lives);
	CHECK(lives > 3);
	CHECK(shared->is_spent);
	CHECK(shared->opened_cnt <= OPENS + lives * OPENS_LEASE / 2);
	CHECK(shared->opened_cnt + lives * OPENS_LEASE >= OPENS);
	/* It is spent in each life from now on. */
	for (unsigned i = 0; i < 3; i++) {
		uint32_t before = shared->opened_cnt;

		day_life_run(i);
		CHECK_EQ(shared->opened_cnt, before);
	}
	scratch_remove(dir);
}

int main(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return 1;
	RUN(test_kill_9_loses_no_byte_and_invents_at_most_a_lease);
	RUN(test_a_clean_run_is_exact);
	RUN(test_kill_9_gives_no_second_day);
	return check_done();
}

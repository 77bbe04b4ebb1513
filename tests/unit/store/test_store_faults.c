/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of work is repeated with its n-th system call failing, or with
 * the process killed there, n = 1, 2, 3, ... until a run meets no fault.
 * After each the store is opened again: what was acknowledged is there,
 * what was refused is not, and nothing is there by half.
 */
#include "store/store.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/check.h"
#include "support/fail_nth.h"
#include "support/scratch.h"

#define STEP_CNT 12
#define BLOB_LEN 900

/* Shared with the child that is killed. */
struct ledger {
	int outcome[STEP_CNT]; /* of put i: 1 unknown, 0 acknowledged, < 0 refused */
	int dropped[STEP_CNT]; /* of delete i, likewise */
	bool was_whole;	       /* the run came to its end */
};

enum { OUTCOME_UNKNOWN = 1 };

static void id_of(unsigned i, uint8_t id[static 32])
{
	memset(id, (int)i + 1, 32);
}

static void blob_of(unsigned i, uint8_t blob[static BLOB_LEN])
{
	for (unsigned k = 0; k < BLOB_LEN; k++)
		blob[k] = (uint8_t)(i * 31 + k);
}

static void note(void *arg, int err)
{
	*(int *)arg = err;
}

static int store_make(const char *dir, bool is_inline, struct store **out_store)
{
	struct store_config config;

	store_config_defaults(&config);
	config.dir = dir;
	config.is_inline = is_inline;
	config.segment_len_max = 3000;
	config.map_len_max = 1ull << 30;
	return store_open(&config, out_store);
}

static void submit(struct store *store, struct store_batch *batch, int *outcome)
{
	int err = store_submit(store, batch, note, outcome);

	if (err < 0) {
		*outcome = err;
		store_batch_free(batch);
	}
}

/* Puts STEP_CNT pairs of record and blob, drops every second one, compacts. */
static void work(const char *dir, bool is_inline, struct ledger *ledger)
{
	uint8_t id[32], blob[BLOB_LEN];
	struct store *store;

	for (unsigned i = 0; i < STEP_CNT; i++)
		ledger->outcome[i] = ledger->dropped[i] = OUTCOME_UNKNOWN;
	if (store_make(dir, is_inline, &store) < 0)
		return;
	for (unsigned i = 0; i < STEP_CNT; i++) {
		struct store_batch *batch = store_batch_new(store);

		id_of(i, id);
		blob_of(i, blob);
		store_batch_put(batch, STORE_PEERS, store_key(id, 32), blob, 100);
		store_batch_put_blob(batch, id, blob, BLOB_LEN);
		store_batch_put(batch, STORE_OUTBOARDS, store_key(id, 32), blob, 50);
		submit(store, batch, &ledger->outcome[i]);
		if (i % 3 == 0)
			store_flush(store);
	}
	store_flush(store);
	for (unsigned i = 0; i < STEP_CNT; i += 2) {
		struct store_batch *batch = store_batch_new(store);

		id_of(i, id);
		store_batch_delete(batch, STORE_PEERS, store_key(id, 32));
		store_batch_delete_blob(batch, id);
		store_batch_delete(batch, STORE_OUTBOARDS, store_key(id, 32));
		submit(store, batch, &ledger->dropped[i]);
	}
	store_flush(store);
	ledger->was_whole = store_compact(store) >= 0;
	store_close(store);
}

/* How many of the three parts of step i are there and right; -1: there and wrong. */
static int parts_of(struct store *store, struct store_snapshot *snapshot, unsigned i)
{
	uint8_t id[32], blob[BLOB_LEN], back[BLOB_LEN];
	const void *value;
	size_t len;
	int cnt = 0, err;

	id_of(i, id);
	blob_of(i, blob);
	if (store_get(snapshot, STORE_PEERS, store_key(id, 32), &value, &len) == 0)
		cnt += len == 100 && memcmp(value, blob, 100) == 0 ? 1 : -10;
	if (store_get(snapshot, STORE_OUTBOARDS, store_key(id, 32), &value, &len) == 0)
		cnt += len == 50 && memcmp(value, blob, 50) == 0 ? 1 : -10;
	err = store_blob_read(store, id, 0, back, BLOB_LEN);
	if (err != WEFT_EABSENT)
		cnt += err == 0 && memcmp(back, blob, BLOB_LEN) == 0 ? 1 : -10;
	return cnt;
}

static bool ledger_holds(const char *dir, const struct ledger *ledger, unsigned n)
{
	struct store_check_result result = {0};
	struct store_snapshot *snapshot;
	struct store *store;
	bool holds = true;
	int err = store_make(dir, true, &store);

	if (err < 0) {
		printf("# n %u: cannot reopen: %d\n", n, err);
		return false;
	}
	if (store_snapshot_open(store, &snapshot) < 0)
		return false;
	for (unsigned i = 0; i < STEP_CNT; i++) {
		int cnt = parts_of(store, snapshot, i);
		bool may_be_there = ledger->outcome[i] >= 0 && ledger->dropped[i] != 0;
		bool may_be_gone =
			ledger->outcome[i] != 0 || (i % 2 == 0 && ledger->dropped[i] >= 0);

		if ((cnt == 3 && may_be_there) || (cnt == 0 && may_be_gone))
			continue;
		printf("# n %u, step %u: %d of 3 parts; put %d, drop %d\n", n, i, cnt,
		       ledger->outcome[i], ledger->dropped[i]);
		holds = false;
	}
	store_snapshot_close(snapshot);
	err = store_check(store, false, NULL, NULL, &result);
	if (err < 0 || result.item_bad_cnt || result.blob_bad_cnt) {
		printf("# n %u: check says %d, %llu bad\n", n, err,
		       (unsigned long long)result.item_bad_cnt);
		holds = false;
	}
	store_close(store);
	return holds;
}

/* gives whether a fault was met */
static bool run_failing(unsigned n, int error, bool stays, bool is_inline, bool *out_holds)
{
	struct ledger ledger = {0};
	char dir[SCRATCH_CAP];
	bool fired;

	scratch_make(dir);
	if (stays)
		fail_nth_arm_all(n, error);
	else
		fail_nth_arm(n, error);
	work(dir, is_inline, &ledger);
	fired = fail_nth_disarm();
	*out_holds = ledger_holds(dir, &ledger, n) && (fired || ledger.was_whole);
	scratch_remove(dir);
	return fired;
}

static void failing_runs(int error, bool stays, bool is_inline, unsigned step)
{
	unsigned n = 1;
	bool holds;

	while (run_failing(n, error, stays, is_inline, &holds)) {
		CHECK(holds);
		n += step;
	}
	CHECK(holds);
	CHECK(n > 60);
}

static void test_one_failing_call_loses_nothing(void)
{
	failing_runs(EIO, false, true, 1);
}

static void test_a_disk_that_stays_full_loses_nothing(void)
{
	failing_runs(ENOSPC, true, true, 1);
}

static void test_a_failing_call_in_the_store_thread_loses_nothing(void)
{
	failing_runs(EIO, false, false, 5);
}

static void killed_runs(bool is_inline, unsigned step)
{
	struct ledger *ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned n = 1;
	int status = 0;

	CHECK(ledger != MAP_FAILED);
	do {
		char dir[SCRATCH_CAP];
		bool holds;
		pid_t child;

		memset(ledger, 0, sizeof(*ledger));
		for (unsigned i = 0; i < STEP_CNT; i++)
			ledger->outcome[i] = ledger->dropped[i] = OUTCOME_UNKNOWN;
		scratch_make(dir);
		fflush(stdout);
		child = fork();
		if (child == 0) {
			fail_nth_arm(n, FAIL_NTH_KILL);
			work(dir, is_inline, ledger);
			_exit(0);
		}
		CHECK(child > 0);
		CHECK_EQ(waitpid(child, &status, 0), child);
		holds = ledger_holds(dir, ledger, n);
		scratch_remove(dir);
		CHECK(holds);
		n += step;
	} while (WIFSIGNALED(status));
	CHECK(ledger->was_whole);
	CHECK(n > 60);
	munmap(ledger, sizeof(*ledger));
}

static void test_a_kill_at_any_call_loses_nothing(void)
{
	killed_runs(true, 1);
}

static void test_a_kill_of_the_store_thread_loses_nothing(void)
{
	killed_runs(false, 7);
}

/* Blobs of which step i is left after a run of work without faults. */
static unsigned blobs_sound(struct store *store)
{
	uint8_t id[32], blob[BLOB_LEN], back[BLOB_LEN];
	unsigned cnt = 0;

	for (unsigned i = 1; i < STEP_CNT; i += 2) {
		id_of(i, id);
		blob_of(i, blob);
		cnt += store_blob_read(store, id, 0, back, BLOB_LEN) == 0 &&
		       memcmp(back, blob, BLOB_LEN) == 0;
	}
	return cnt;
}

/*
 * The databases were moved away: whenever the open that makes new ones is
 * killed, the segments are there for the repair.
 */
static void test_a_kill_while_databases_are_made_anew_keeps_the_segments(void)
{
	int status = 0;
	unsigned n = 0;

	do {
		char dir[SCRATCH_CAP], db[SCRATCH_CAP + 16], aside[SCRATCH_CAP + 16];
		struct store_check_result result;
		struct ledger ledger;
		struct store *store;
		pid_t child;

		work(scratch_make(dir), true, &ledger);
		CHECK(ledger.was_whole);
		CHECK_EQ(rename(scratch_path(db, sizeof(db), dir, "db"),
				scratch_path(aside, sizeof(aside), dir, "db.damaged")),
			 0);
		fflush(stdout);
		child = fork();
		if (child == 0) {
			fail_nth_arm(++n, FAIL_NTH_KILL);
			if (store_make(dir, true, &store) == 0)
				store_close(store);
			_exit(0);
		}
		n++;
		CHECK_EQ(waitpid(child, &status, 0), child);
		for (int i = 0; i < 2; i++) {
			CHECK_EQ(store_make(dir, true, &store), 0);
			if (i == 1)
				CHECK_EQ(store_check(store, true, NULL, NULL, &result), 0);
			CHECK_EQ(blobs_sound(store), i * STEP_CNT / 2);
			store_close(store);
		}
		scratch_remove(dir);
	} while (WIFSIGNALED(status));
	CHECK(n > 15);
}

int main(void)
{
	RUN(test_a_kill_while_databases_are_made_anew_keeps_the_segments);
	RUN(test_one_failing_call_loses_nothing);
	RUN(test_a_disk_that_stays_full_loses_nothing);
	RUN(test_a_failing_call_in_the_store_thread_loses_nothing);
	RUN(test_a_kill_at_any_call_loses_nothing);
	RUN(test_a_kill_of_the_store_thread_loses_nothing);
	return check_done();
}

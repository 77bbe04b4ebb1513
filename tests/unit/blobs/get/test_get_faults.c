/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A collection is fetched with the n-th system call failing, or the process
 * killed there, n = 1, 2, 3, ... A fault stops the get with a reason or is
 * survived; afterwards it goes on, and what arrives is right to the byte.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/fail_nth.h"
#include "get_rig.h"

/* Each call is made to fail once: as few as have more than a chunk. */
#define LONG_LEN (2u * BLAKE3_CHUNK_LEN + 12345)
#define N_MAX	 2000u

static struct link shared;

static bool duo_begin(void)
{
	duo_init(&duo);
	file_make("in/big", LONG_LEN, 1);
	file_make("in/d/small", 3000, 2);
	file_make("in/d/twin", 3000, 2);
	file_make("in/empty", 0, 3);
	mkdir(duo_path(&duo, "in/hollow"), 0755);
	return duo_share(&duo, duo_path(&duo, "in"), &shared);
}

static const struct blobs_get *get_again(uint64_t id)
{
	const struct blobs_get *get = id ? blobs_get_lookup(duo.nodes[DUO_B].content, id) : NULL;

	if (!get)
		id = duo_get_start(&duo, &shared, "out");
	else if (get->state == BLOBS_GET_STOPPED)
		(void)!blobs_get_resume(duo.nodes[DUO_B].content, id, duo.now_ns);
	return id ? duo_run(&duo, id, TURN_MAX) : NULL;
}

/*
 * The fault is over: whatever state it left, the get comes to its end. A
 * store whose commit failed stays shut until it is opened anew.
 */
static void check_recovery(uint64_t id)
{
	const struct blobs_get *get = get_again(id);

	if (!get || get->state != BLOBS_GET_FINISHED) {
		duo_node_close(&duo, DUO_B);
		duo_node_open(&duo, DUO_B);
		get = get_again(id);
	}
	CHECK(get);
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK_EQ(get->byte_done_cnt, get->byte_cnt);
	CHECK(duo_trees_equal(&duo, "in", "out"));
}

static bool was_fired;

static void check_fault(unsigned n, int error, bool stays)
{
	const struct blobs_get *get;
	uint64_t id;

	CHECK(duo_begin());
	if (stays)
		fail_nth_arm_all(n, error);
	else
		fail_nth_arm(n, error);
	id = duo_get_start(&duo, &shared, "out");
	get = id ? duo_run(&duo, id, TURN_MAX) : NULL;
	was_fired = fail_nth_disarm();
	if (get && get->state == BLOBS_GET_STOPPED) {
		CHECK(get->err != 0);
		CHECK(get->detail[0] != '\0');
	} else if (get) {
		CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	}
	check_recovery(id);
	duo_fini(&duo);
}

static void each_fault(int error, bool stays)
{
	unsigned n = 0;

	do
		check_fault(++n, error, stays);
	while (was_fired && n < N_MAX && !check_failed);
	printf("# %u calls\n", n - 1);
	if (check_failed)
		printf("# at call %u\n", n);
	CHECK(n < N_MAX && n > 20);
}

static void test_each_call_may_fail_once(void)
{
	each_fault(EIO, false);
}

/* What a filesystem without some of the calls says: there is another way, or a reason. */
static void test_each_call_may_be_unknown_to_the_filesystem(void)
{
	each_fault(EOPNOTSUPP, false);
	each_fault(EINVAL, false);
}

static void test_disk_may_be_full_from_any_call_on(void)
{
	each_fault(ENOSPC, true);
}

/* What a killed process leaves for the next. */
struct legacy {
	char dir[SCRATCH_CAP];
	struct link shared;
	bool was_fired;
};

static void get_and_die(unsigned n, struct legacy *legacy)
{
	uint64_t id;

	if (!duo_begin())
		_exit(1);
	memcpy(legacy->dir, duo.dir, sizeof(legacy->dir));
	legacy->shared = shared;
	legacy->was_fired = true;
	fail_nth_arm(n, FAIL_NTH_KILL);
	id = duo_get_start(&duo, &shared, "out");
	if (id)
		(void)duo_run(&duo, id, TURN_MAX);
	legacy->was_fired = fail_nth_disarm();
	_exit(0);
}

static void check_kill(unsigned n, struct legacy *legacy)
{
	const struct blobs_get *get;
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0)
		get_and_die(n, legacy);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(legacy->was_fired ? WIFSIGNALED(status) : WIFEXITED(status));
	duo_open(&duo, legacy->dir);
	shared = legacy->shared;
	get = blobs_get_lookup(duo.nodes[DUO_B].content, 1);
	check_recovery(get ? 1 : 0);
	duo_fini(&duo);
}

static void test_process_may_be_killed_at_any_call(void)
{
	struct legacy *legacy = mmap(NULL, sizeof(*legacy), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned n = 0;

	CHECK(legacy != MAP_FAILED);
	do
		check_kill(++n, legacy);
	while (legacy->was_fired && n < N_MAX && !check_failed);
	printf("# %u calls\n", n - 1);
	CHECK(n < N_MAX && n > 20);
	munmap(legacy, sizeof(*legacy));
}

int main(void)
{
	RUN(test_each_call_may_fail_once);
	RUN(test_each_call_may_be_unknown_to_the_filesystem);
	RUN(test_disk_may_be_full_from_any_call_on);
	RUN(test_process_may_be_killed_at_any_call);
	return check_done();
}

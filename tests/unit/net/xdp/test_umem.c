/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/xdp/umem.h"
#include "support/check.h"

static uint32_t owned_sum(const struct umem *umem)
{
	uint32_t sum = 0;

	for (int i = 0; i < UMEM_OWNER_CNT; i++)
		sum += umem->owned_cnt[i];
	return sum;
}

static void test_sizes_are_checked(void)
{
	static const struct {
		uint32_t cnt, len;
		int want;
	} rows[] = {
		{1, 2048, 0},	    {UMEM_FRAME_CNT_MAX, 2048, 0},
		{8, 4096, 0},	    {0, 2048, -EINVAL},
		{8, 2047, -EINVAL}, {UMEM_FRAME_CNT_MAX + 1, 2048, -EINVAL},
		{8, 0, -EINVAL},    {8, 8192, -EINVAL},
		{8, 3072, -EINVAL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct umem umem;

		CHECK_EQ(net_umem_init(&umem, rows[i].cnt, rows[i].len), rows[i].want);
		CHECK(rows[i].want < 0 || umem.len <= net_umem_footprint(rows[i].cnt, rows[i].len));
		net_umem_fini(&umem);
		net_umem_fini(&umem);
	}
}

static void test_every_frame_is_acquired_once_and_then_none(void)
{
	uint64_t addrs[9];
	struct umem umem;
	bool seen[8] = {false};

	CHECK_EQ(net_umem_init(&umem, 8, 2048), 0);
	CHECK_EQ(net_umem_acquire(&umem, addrs, 9, UMEM_FILLING), 8);
	for (int i = 0; i < 8; i++) {
		CHECK_EQ(addrs[i] % 2048, 0);
		CHECK(!seen[addrs[i] / 2048]);
		seen[addrs[i] / 2048] = true;
		umem_data(&umem, addrs[i])[2047] = 1;
	}
	CHECK_EQ(net_umem_acquire(&umem, addrs, 1, UMEM_WRITING), 0);
	net_umem_fini(&umem);
}

static void test_a_frame_goes_round_by_any_address_in_it(void)
{
	struct umem umem;
	uint64_t addr, again;

	CHECK_EQ(net_umem_init(&umem, 4, 4096), 0);
	CHECK_EQ(net_umem_acquire(&umem, &addr, 1, UMEM_FILLING), 1);
	addr += 256; /* the kernel's headroom */
	net_umem_pass(&umem, &addr, 1, UMEM_FILLING, UMEM_LENT);
	net_umem_pass(&umem, &addr, 1, UMEM_LENT, UMEM_FILLING);
	CHECK_EQ(net_umem_acquire(&umem, &again, 1, UMEM_WRITING), 1);
	CHECK(again / 4096 != addr / 4096);
	net_umem_pass(&umem, &again, 1, UMEM_WRITING, UMEM_SENDING);
	again += 100;
	net_umem_release(&umem, &again, 1, UMEM_SENDING);
	CHECK_EQ(umem.owned_cnt[UMEM_FREE], 3);
	CHECK_EQ(umem.owned_cnt[UMEM_FILLING], 1);
	CHECK_EQ(owned_sum(&umem), 4);
	CHECK_EQ(net_umem_acquire(&umem, &again, 1, UMEM_WRITING), 1);
	CHECK_EQ(again % 4096, 0);
	net_umem_fini(&umem);
}

static void test_only_what_lies_in_one_frame_is_held(void)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
		bool want;
	} rows[] = {
		{0, 2048, true},	{0, 2049, false},     {256, 1792, true},
		{256, 1793, false},	{2047, 1, true},      {2047, 2, false},
		{7 * 2048, 2048, true}, {8 * 2048, 1, false}, {UINT64_MAX, 1, false},
		{0, UINT32_MAX, false},
	};
	struct umem umem;

	CHECK_EQ(net_umem_init(&umem, 8, 2048), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(net_umem_holds(&umem, rows[i].addr, rows[i].len), rows[i].want);
	net_umem_fini(&umem);
}

/* Whether a process that lets a frame go from one owner to the other lives. */
static bool survives(enum umem_owner from, enum umem_owner to)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		const struct rlimit no_core = {0};
		uint64_t addr = 0;
		struct umem umem;

		if (!freopen("/dev/null", "w", stderr) || setrlimit(RLIMIT_CORE, &no_core) < 0 ||
		    net_umem_init(&umem, 1, 2048) < 0)
			_exit(2);
		if (from == UMEM_FREE) {
			(void)net_umem_acquire(&umem, &addr, 1, to);
			_exit(0);
		}
		(void)net_umem_acquire(&umem, &addr, 1,
				       from >= UMEM_WRITING ? UMEM_WRITING : UMEM_FILLING);
		if (from == UMEM_LENT)
			net_umem_pass(&umem, &addr, 1, UMEM_FILLING, UMEM_LENT);
		if (from == UMEM_SENDING)
			net_umem_pass(&umem, &addr, 1, UMEM_WRITING, UMEM_SENDING);
		if (to == UMEM_FREE)
			net_umem_release(&umem, &addr, 1, from);
		else
			net_umem_pass(&umem, &addr, 1, from, to);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		abort();
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void test_frames_change_owner_only_along_the_drawing(void)
{
	/* Rows: from; columns: to FREE, FILLING, LENT, WRITING, SENDING. */
	static const char *const allowed[UMEM_OWNER_CNT] = {
		[UMEM_FREE] = ".y.y.",	  [UMEM_FILLING] = "..y..", [UMEM_LENT] = ".y...",
		[UMEM_WRITING] = "y...y", [UMEM_SENDING] = "y....",
	};

	for (unsigned from = 0; from < UMEM_OWNER_CNT; from++)
		for (unsigned to = 0; to < UMEM_OWNER_CNT; to++)
			CHECK_EQ(survives(from, to), allowed[from][to] == 'y');
}

int main(void)
{
	RUN(test_sizes_are_checked);
	RUN(test_every_frame_is_acquired_once_and_then_none);
	RUN(test_a_frame_goes_round_by_any_address_in_it);
	RUN(test_only_what_lies_in_one_frame_is_held);
	RUN(test_frames_change_owner_only_along_the_drawing);
	return check_done();
}

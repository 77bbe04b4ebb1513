/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What loading takes: three capabilities, and nothing else.
 */
#include <errno.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/support/program.h"
#include "support/check.h"

#define CAP(cap) (1ull << (cap))
#define ENOUGH	 (CAP(CAP_BPF) | CAP(CAP_NET_ADMIN) | CAP(CAP_NET_RAW))

static bool keep_only(uint64_t caps)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{.effective = (uint32_t)caps, .permitted = (uint32_t)caps},
		{.effective = (uint32_t)(caps >> 32), .permitted = (uint32_t)(caps >> 32)},
	};

	return syscall(SYS_capset, &header, data) == 0;
}

/* Exit code of a child that loads the program with these capabilities: 0 loaded. */
static int load_with(uint64_t caps)
{
	struct program program;
	int status;
	pid_t child = fork();

	if (child == 0) {
		/* What libbpf says of the refusal that is wanted is no news. */
		if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr) ||
		    !keep_only(caps))
			_exit(2);
		_exit(program_open(&program, 16) != NULL);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_three_capabilities_are_enough(void)
{
	CHECK_EQ(load_with(ENOUGH), 0);
}

static void test_without_cap_bpf_it_is_refused(void)
{
	CHECK_EQ(load_with(ENOUGH & ~CAP(CAP_BPF)), 1);
}

static void test_frame_for_no_socket_goes_to_the_kernel(void)
{
	struct program program;
	struct program_result result;
	uint8_t frame[64] = {[12] = 8, [13] = 6};

	CHECK(!program_open(&program, 16));
	program_run(&program, frame, sizeof(frame), &result);
	CHECK_EQ(result.action, 2);
	CHECK_EQ(program_count(&program, WEFT_REASON_NOT_IP), 1);
	program_close(&program);
}

int main(void)
{
	struct program program;
	const char *reason = program_open(&program, 16);

	if (reason)
		SKIP_ALL(reason);
	program_close(&program);
	RUN(test_three_capabilities_are_enough);
	RUN(test_without_cap_bpf_it_is_refused);
	RUN(test_frame_for_no_socket_goes_to_the_kernel);
	return check_done();
}

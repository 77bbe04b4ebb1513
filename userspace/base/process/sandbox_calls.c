/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which system calls each kind of thread makes. A BPF program on raw_syscalls:sys_enter measured
 * them while the system tests ran on Linux 6.18, 2026-11. They are rounded up to families: a thread
 * that may fsync may fdatasync. The measurement missed calls that no test made then. Calls were
 * added since where a daemon of a test met a refusal, which fails the test. The fallbacks of glibc
 * 2.41 stand beside the calls that it tries first.
 */
#include "sandbox_calls.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#define ARCH 0
#endif

/* Families of calls, by bit. */
enum {
	EVERY = 1 << 0,	  /* memory, locks, time, signals, waiting, ending */
	NET = 1 << 1,	  /* sockets that exist or are made; the receive ring */
	READS = 1 << 2,	  /* files are opened and read */
	WRITES = 1 << 3,  /* and made, written, renamed, removed */
	RINGS = 1 << 4,	  /* a ring is made */
	THREADS = 1 << 5, /* threads are made and confined */
	DEVICES = 1 << 6, /* BPF, device questions */
	HOME = 1 << 7,	  /* what main and the control socket take beside */
};

static const unsigned families_of[SANDBOX_ROLE_CNT] = {
	[SANDBOX_HOME] = EVERY | NET | READS | WRITES | RINGS | THREADS | DEVICES | HOME,
	[SANDBOX_WORKER] = EVERY | NET,
	[SANDBOX_STORE] = EVERY | READS | WRITES,
	[SANDBOX_JOBS] = EVERY | NET | READS | WRITES | RINGS,
	[SANDBOX_IMPORT] = EVERY | READS | RINGS,
	[SANDBOX_LOOKUP] = EVERY | NET | READS,
	[SANDBOX_ATTACH] = EVERY | NET | READS | DEVICES,
};

struct call {
	uint16_t number;
	uint16_t families;
};

/* clang-format off */
static const struct call calls[] = {
	/* The hot ones first: kernels before 5.11 go through the list. */
	{SYS_futex, EVERY}, {SYS_read, EVERY}, {SYS_write, EVERY}, {SYS_sendmmsg, NET},
	{SYS_recvmmsg, NET}, {SYS_io_uring_enter, NET | RINGS}, {SYS_epoll_pwait2, EVERY},
	{SYS_recvfrom, NET}, {SYS_sendto, NET}, {SYS_recvmsg, NET}, {SYS_sendmsg, NET},
	{SYS_pread64, EVERY}, {SYS_preadv2, EVERY},

	{SYS_brk, EVERY}, {SYS_capget, EVERY}, {SYS_capset, EVERY}, {SYS_clock_gettime, EVERY},
	{SYS_clock_nanosleep, EVERY}, {SYS_close, EVERY}, {SYS_close_range, EVERY},
	{SYS_epoll_create1, EVERY}, {SYS_epoll_ctl, EVERY}, {SYS_epoll_pwait, EVERY},
	{SYS_eventfd2, EVERY}, {SYS_exit, EVERY}, {SYS_exit_group, EVERY}, {SYS_fcntl, EVERY},
	{SYS_fadvise64, EVERY},
	{SYS_fstat, EVERY}, {SYS_newfstatat, EVERY}, {SYS_getcpu, EVERY}, {SYS_getegid, EVERY},
	{SYS_geteuid, EVERY}, {SYS_getgid, EVERY}, {SYS_getpid, EVERY}, {SYS_getppid, EVERY},
	{SYS_getrandom, EVERY}, {SYS_getrusage, EVERY}, {SYS_gettid, EVERY},
	{SYS_gettimeofday, EVERY}, {SYS_getuid, EVERY}, {SYS_lseek, EVERY}, {SYS_madvise, EVERY},
	{SYS_membarrier, EVERY}, {SYS_mlock, EVERY}, {SYS_mlock2, EVERY}, {SYS_mremap, EVERY},
	{SYS_msync, EVERY}, {SYS_munlock, EVERY}, {SYS_munmap, EVERY}, {SYS_nanosleep, EVERY},
	{SYS_ppoll, EVERY}, {SYS_prctl, EVERY}, {SYS_preadv, EVERY}, {SYS_readv, EVERY},
	{SYS_restart_syscall, EVERY}, {SYS_rseq, EVERY}, {SYS_rt_sigaction, EVERY},
	{SYS_rt_sigprocmask, EVERY}, {SYS_rt_sigreturn, EVERY}, {SYS_sched_getaffinity, EVERY},
	{SYS_sched_yield, EVERY}, {SYS_set_robust_list, EVERY}, {SYS_sigaltstack, EVERY},
	{SYS_sysinfo, EVERY}, {SYS_tgkill, EVERY}, {SYS_uname, EVERY}, {SYS_writev, EVERY},
#if defined(__x86_64__)
	{SYS_epoll_wait, EVERY}, {SYS_pause, EVERY}, {SYS_poll, EVERY}, {SYS_time, EVERY},
	{SYS_access, READS}, {SYS_open, READS}, {SYS_readlink, READS}, {SYS_stat, READS},
	{SYS_chmod, WRITES}, {SYS_link, WRITES}, {SYS_mkdir, WRITES}, {SYS_rename, WRITES},
	{SYS_rmdir, WRITES}, {SYS_unlink, WRITES},
#endif

	{SYS_accept4, NET}, {SYS_bind, NET}, {SYS_connect, NET}, {SYS_getpeername, NET},
	{SYS_getsockname, NET}, {SYS_getsockopt, NET}, {SYS_io_uring_register, NET | RINGS},
	{SYS_listen, NET}, {SYS_setsockopt, NET}, {SYS_shutdown, NET}, {SYS_socket, NET},
	{SYS_socketpair, NET}, {SYS_ioctl, NET},

	{SYS_dup, READS}, {SYS_dup3, READS | DEVICES}, {SYS_faccessat, READS},
	{SYS_faccessat2, READS}, {SYS_flock, READS}, {SYS_fstatfs, READS},
	{SYS_getdents64, READS}, {SYS_openat, READS}, {SYS_openat2, READS}, {SYS_readahead, READS},
	{SYS_readlinkat, READS}, {SYS_statfs, READS}, {SYS_statx, READS},

	{SYS_copy_file_range, WRITES}, {SYS_fallocate, WRITES}, {SYS_fchmod, WRITES},
	{SYS_fchmodat, WRITES}, {SYS_fdatasync, WRITES}, {SYS_fsync, WRITES},
	{SYS_ftruncate, WRITES}, {SYS_linkat, WRITES}, {SYS_mkdirat, WRITES},
	{SYS_pwrite64, WRITES}, {SYS_pwritev, WRITES}, {SYS_pwritev2, WRITES},
	{SYS_renameat, WRITES}, {SYS_renameat2, WRITES}, {SYS_sendfile, WRITES},
	{SYS_symlinkat, WRITES},
	{SYS_sync_file_range, WRITES}, {SYS_syncfs, WRITES}, {SYS_unlinkat, WRITES},
	{SYS_utimensat, WRITES}, {SYS_umask, WRITES},

	/* Folders of shares are watched (shares/publish/share_watch_tree.c). */
	{SYS_inotify_init1, WRITES}, {SYS_inotify_add_watch, WRITES},

	{SYS_io_uring_setup, RINGS},

	{SYS_landlock_add_rule, THREADS}, {SYS_landlock_create_ruleset, THREADS},
	{SYS_landlock_restrict_self, THREADS}, {SYS_seccomp, THREADS},
	{SYS_set_tid_address, THREADS}, {SYS_sched_setaffinity, THREADS},

	{SYS_bpf, DEVICES}, {SYS_memfd_create, DEVICES}, {SYS_perf_event_open, DEVICES},

	{SYS_prlimit64, HOME}, {SYS_signalfd4, HOME}, {SYS_pidfd_open, HOME},
	/* The launcher is handed pipes and waited for at the end (provider/). */
	{SYS_pipe2, HOME}, {SYS_wait4, HOME}, {SYS_kill, HOME},
};
/* clang-format on */
#define CLONE_NAMESPACES                                                                           \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
	 CLONE_NEWPID | CLONE_NEWNET)
#define CALL_CNT (sizeof(calls) / sizeof(calls[0]))

/* Each call takes two instructions; the rest is below 32. */
#define CODE_CAP (2 * CALL_CNT + 32)

#define LOAD(field)                                                                                \
	(struct sock_filter)                                                                       \
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(action) (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, action)
/* The next instruction runs when the loaded word is, or has, what is asked; else the skipped. */
#define IF_IS(word) (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, word, 0, 1)
#define SKIP_UNLESS(word, cnt)                                                                     \
	(struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, word, 0, cnt)
#define IF_HAS(bits) (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1)

/* Little-endian in both architectures: the low half of an argument comes first. */
static unsigned code_of(unsigned families, struct sock_filter *code)
{
	unsigned len = 0;

	code[len++] = LOAD(arch);
	code[len++] = SKIP_UNLESS(ARCH, 1);
	code[len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0);
	code[len++] = RETURN(SECCOMP_RET_TRAP);
	code[len++] = LOAD(nr);
	for (size_t i = 0; i < CALL_CNT; i++) {
		if (!(calls[i].families & families))
			continue;
		code[len++] = IF_IS(calls[i].number);
		code[len++] = RETURN(SECCOMP_RET_ALLOW);
	}
	/* No code is made at run time. */
	for (unsigned i = 0; i < 2; i++) {
		code[len++] = SKIP_UNLESS(i ? SYS_mprotect : SYS_mmap, 4);
		code[len++] = LOAD(args[2]);
		code[len++] = IF_HAS(PROT_EXEC);
		code[len++] = RETURN(SECCOMP_RET_TRAP);
		code[len++] = RETURN(SECCOMP_RET_ALLOW);
	}
	/*
	 * Home makes threads, no thread a process or a namespace. The arguments of clone3 lie in
	 * memory, out of sight; without it libc takes clone. No signal for these: libc blocks them
	 * all meanwhile, and a blocked one kills.
	 */
	code[len++] = SKIP_UNLESS(SYS_clone, 6);
	code[len++] = LOAD(args[0]);
	code[len++] = IF_HAS(CLONE_NAMESPACES);
	code[len++] = RETURN(SECCOMP_RET_ERRNO | EPERM);
	code[len++] = IF_HAS(CLONE_THREAD);
	code[len++] = RETURN(families & THREADS ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | EPERM);
	code[len++] = RETURN(SECCOMP_RET_ERRNO | EPERM);
	/* A worker tries whether a file opens without waiting; refused, a job opens it. */
	if (!(families & READS)) {
		code[len++] = IF_IS(SYS_openat2);
		code[len++] = RETURN(SECCOMP_RET_ERRNO | ENOSYS);
	}
	code[len++] = IF_IS(SYS_clone3);
	code[len++] = RETURN(SECCOMP_RET_ERRNO | ENOSYS);
	code[len++] = RETURN(SECCOMP_RET_TRAP);
	return len;
}

bool sandbox_calls_are_known(void)
{
	return ARCH != 0;
}

bool sandbox_calls_can_filter(void)
{
	const uint32_t action = SECCOMP_RET_TRAP;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

/*
 * The kernel looks up calls that the number alone decides in a bitmap, without the filter (5.11).
 * All calls of a get are such. The slower way into a call stays, some 50 to 100 ns (2026-11),
 * which any filter costs. SPEC_ALLOW: kernels before 5.16 else slow a filtered thread's memory down
 * against speculation, as if it ran foreign code.
 */
int sandbox_calls_enter(enum sandbox_role role)
{
	struct sock_filter code[CODE_CAP];
	struct sock_fprog program = {
		.len = (unsigned short)code_of(families_of[role], code),
		.filter = code,
	};

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
		       &program) < 0
		       ? -errno
		       : 0;
}

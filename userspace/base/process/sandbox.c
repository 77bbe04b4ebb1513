/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entering. The lists of calls are in sandbox_calls.c. The armed state is global: threads start in
 * folders that know nothing of each other, and a signal has no argument.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "sandbox_calls.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

/* Landlock 2 (Linux 5.19) may allow renames between folders; before it forbids them all. */
#define LANDLOCK_ABI_MIN 2
#define CALL_NUMBER_MAX	 1024

static struct {
	struct sandbox_config config;
	bool has_calls, has_files;
	int landlock_abi;
	char calls[SANDBOX_TEXT_CAP], files[SANDBOX_TEXT_CAP];
	uint64_t refused_cnt;
	int refused_last;
	uint8_t is_told[CALL_NUMBER_MAX];
} sandbox = {.calls = "off: this program does not arm it",
	     .files = "off: this program does not arm it"};

/* ------------------------------------------------------------------- system calls */

static const char *const role_names[SANDBOX_ROLE_CNT] = {
	"home", "worker", "store", "jobs", "import", "lookup", "attach",
};
static _Thread_local enum sandbox_role own_role;

static void tell_refusal(int number)
{
	char line[96], digits[12];
	size_t len = 0, at = sizeof(digits);
	const char *parts[] = {"weftd: system call ", NULL, " refused to a thread of ",
			       role_names[own_role], "\n"};

	digits[--at] = '\0';
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	parts[1] = &digits[at];
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		for (const char *c = parts[i]; *c && len < sizeof(line); c++)
			line[len++] = *c;
	(void)!write(STDERR_FILENO, line, len);
}

/* Runs in the thread that called: what is interrupted is the call itself. */
static void on_refused(int signal_number, siginfo_t *info, void *context)
{
	ucontext_t *interrupted = context;
	int number = info->si_syscall;

	(void)signal_number;
#if defined(__x86_64__)
	interrupted->uc_mcontext.gregs[REG_RAX] = -ENOSYS;
#elif defined(__aarch64__)
	interrupted->uc_mcontext.regs[0] = (uint64_t)-ENOSYS;
#else
	(void)interrupted;
#endif
	__atomic_add_fetch(&sandbox.refused_cnt, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&sandbox.refused_last, number, __ATOMIC_RELAXED);
	if (number >= 0 && number < CALL_NUMBER_MAX &&
	    !__atomic_exchange_n(&sandbox.is_told[number], 1, __ATOMIC_RELAXED))
		tell_refusal(number);
}

static void calls_arm(void)
{
	struct sigaction action = {.sa_sigaction = on_refused, .sa_flags = SA_SIGINFO};

	if (!sandbox_calls_are_known()) {
		snprintf(sandbox.calls, sizeof(sandbox.calls),
			 "off: no list of calls for this architecture");
	} else if (!sandbox_calls_can_filter()) {
		snprintf(sandbox.calls, sizeof(sandbox.calls),
			 "off: this kernel has no seccomp filters");
	} else if (sigaction(SIGSYS, &action, NULL) == 0) {
		sandbox.has_calls = true;
		snprintf(sandbox.calls, sizeof(sandbox.calls), "on");
	}
}

static void calls_enter(enum sandbox_role role)
{
	sigset_t refused;
	int err;

	own_role = role;
	/* A forced signal that is blocked kills. */
	sigemptyset(&refused);
	sigaddset(&refused, SIGSYS);
	(void)pthread_sigmask(SIG_UNBLOCK, &refused, NULL);
	err = sandbox_calls_enter(role);
	if (err < 0)
		snprintf(sandbox.calls, sizeof(sandbox.calls), "off for %s: %s", role_names[role],
			 strerror(-err));
}

/* -------------------------------------------------------------------------- files */

#define ACCESS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ACCESS_MAKE                                                                                \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                           \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |                            \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER | LANDLOCK_ACCESS_FS_TRUNCATE)
/* The calls that weftd never makes. */
#define ACCESS_NEVER                                                                               \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |                               \
	 LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO)
#define ACCESS_FILE                                                                                \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |                            \
	 LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_EXECUTE)

/* handled: what is forbidden but where a rule allows it; never what this kernel does not know. */
static int ruleset_open(uint64_t handled)
{
	struct landlock_ruleset_attr attr = {.handled_access_fs = handled};

	if (sandbox.landlock_abi < 3)
		attr.handled_access_fs &= ~(uint64_t)LANDLOCK_ACCESS_FS_TRUNCATE;
	return (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
}

/* A path that is not there needs no rule. */
static void ruleset_allow(int ruleset, const char *path, uint64_t allowed)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = allowed};
	struct stat st;

	if (!path || !*path)
		return;
	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return;
	if (sandbox.landlock_abi < 3)
		rule.allowed_access &= ~(uint64_t)LANDLOCK_ACCESS_FS_TRUNCATE;
	if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed_access &= ACCESS_FILE;
	(void)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	close(rule.parent_fd);
}

static int ruleset_of(enum sandbox_role role)
{
	static const char *const lookup[] = {"/etc", "/usr", "/run", "/nix",
					     "/var/lib/ca-certificates"};
	const uint64_t all = ACCESS_READ | ACCESS_MAKE | ACCESS_NEVER |
			     LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_MAKE_SOCK;
	/* Renames are forbidden by any ruleset that does not allow them somewhere. */
	bool writes = role == SANDBOX_HOME || role == SANDBOX_JOBS || role == SANDBOX_ATTACH;
	int ruleset = ruleset_open(writes ? ACCESS_NEVER | LANDLOCK_ACCESS_FS_REFER : all);

	if (ruleset < 0)
		return ruleset;
	switch (role) {
	case SANDBOX_STORE:
		ruleset_allow(ruleset, sandbox.config.state_dir, ACCESS_READ | ACCESS_MAKE);
		ruleset_allow(ruleset, "/proc", LANDLOCK_ACCESS_FS_READ_FILE);
		break;
	case SANDBOX_IMPORT:
		ruleset_allow(ruleset, "/", ACCESS_READ);
		break;
	case SANDBOX_LOOKUP:
		for (size_t i = 0; i < sizeof(lookup) / sizeof(lookup[0]); i++)
			ruleset_allow(ruleset, lookup[i], ACCESS_READ);
		for (size_t i = 0; i < SANDBOX_READABLE_MAX; i++)
			ruleset_allow(ruleset, sandbox.config.readable[i], ACCESS_READ);
		break;
	case SANDBOX_WORKER:
		break;
	default:
		ruleset_allow(ruleset, "/", LANDLOCK_ACCESS_FS_REFER);
	}
	return ruleset;
}

static void files_enter(enum sandbox_role role)
{
	int ruleset = ruleset_of(role);

	if (ruleset < 0 || syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		snprintf(sandbox.files, sizeof(sandbox.files), "off for %s: %s", role_names[role],
			 strerror(errno));
	if (ruleset >= 0)
		close(ruleset);
}

static void files_arm(void)
{
	sandbox.landlock_abi =
		(int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	sandbox.has_files = sandbox.landlock_abi >= LANDLOCK_ABI_MIN;
	if (sandbox.has_files)
		snprintf(sandbox.files, sizeof(sandbox.files), "on, Landlock %d",
			 sandbox.landlock_abi);
	else if (sandbox.landlock_abi < 0)
		snprintf(sandbox.files, sizeof(sandbox.files), "off: this kernel has no Landlock");
	else
		snprintf(sandbox.files, sizeof(sandbox.files),
			 "off: this kernel's Landlock forbids renames between folders");
}

/* ------------------------------------------------------------------------- public */

void sandbox_arm(const struct sandbox_config *config)
{
	const char *why = IS_SANITIZED ? "off: a sanitizer build" : "off: node.sandbox = no";

	sandbox.config = *config;
	if (IS_SANITIZED || !config->is_on) {
		snprintf(sandbox.calls, sizeof(sandbox.calls), "%s", why);
		snprintf(sandbox.files, sizeof(sandbox.files), "%s", why);
		return;
	}
	/* Without it neither filter can be set by a thread that has no privilege. */
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	files_arm();
	calls_arm();
}

void sandbox_enter(enum sandbox_role role)
{
	/* Without a filter a worker would take Landlock's answer for a file that changed. */
	if (sandbox.has_files && (sandbox.has_calls || role != SANDBOX_WORKER))
		files_enter(role);
	if (sandbox.has_calls)
		calls_enter(role);
}

void sandbox_read_report(struct sandbox_report *out_report)
{
	memcpy(out_report->calls, sandbox.calls, sizeof(out_report->calls));
	memcpy(out_report->files, sandbox.files, sizeof(out_report->files));
	out_report->refused_cnt = __atomic_load_n(&sandbox.refused_cnt, __ATOMIC_RELAXED);
	out_report->refused_last = __atomic_load_n(&sandbox.refused_last, __ATOMIC_RELAXED);
}

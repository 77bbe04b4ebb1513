/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each role in a child that arms the sandbox as main does, for what is
 * entered cannot be left.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/process/sandbox.h"
#include "support/check.h"

static char dir[] = "/tmp/weft-sandbox-XXXXXX";
static char inside[64], outside[64];
static bool has_calls, has_files;

/* in_role: what check says in a child confined so; 100 when it was killed. */
static int in_role(enum sandbox_role role, int (*check)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		(void)dup2(null, STDERR_FILENO);
		sandbox_enter(role);
		_exit(check());
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 100;
}

static int opens(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	return fd < 0 ? errno : (close(fd), 0);
}

static int write_inside(void)
{
	return opens(inside, O_WRONLY | O_CREAT);
}

static int write_outside(void)
{
	return opens(outside, O_WRONLY | O_CREAT);
}

static int read_outside(void)
{
	return opens("/bin/sh", O_RDONLY);
}

static int read_state(void)
{
	return opens(inside, O_RDONLY);
}

static int read_etc(void)
{
	return opens("/etc/passwd", O_RDONLY);
}

static int rename_between_folders(void)
{
	char to[80];

	snprintf(to, sizeof(to), "%s/sub/moved", dir);
	return rename(inside, to) < 0 || rename(to, inside) < 0 ? errno : 0;
}

static int run_program(void)
{
	execl("/bin/true", "true", NULL);
	return errno;
}

static int open_socket(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? errno : (close(fd), 0);
}

static int make_code(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(page, 4096, PROT_READ | PROT_EXEC) < 0 ? errno : 0;
}

static int load_program(void)
{
	char attr[128] = {0};

	return syscall(SYS_bpf, 0, attr, sizeof(attr)) < 0 ? errno : 0;
}

static int make_process(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : 0;
}

static int make_namespace(void)
{
	return syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL) < 0 ? errno : 0;
}

static void *idle(void *arg)
{
	return arg;
}

static int make_thread(void)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, idle, NULL);

	return err ? err : pthread_join(thread, NULL);
}

static int trace_itself(void)
{
	return syscall(SYS_ptrace, 0, 0, 0, 0) < 0 ? errno : 0;
}

static int count_refusals(void)
{
	struct sandbox_report report;

	(void)trace_itself();
	(void)trace_itself();
	sandbox_read_report(&report);
	return report.refused_last == SYS_ptrace ? (int)report.refused_cnt : -1;
}

/* What each role gets: 0 or an errno. */
static const struct {
	const char *what;
	int (*check)(void);
	enum sandbox_role role;
	int want;
	bool is_of_files; /* Landlock's answer, not the filter's */
} rows[] = {
	{"a worker opens nothing", read_state, SANDBOX_WORKER, ENOSYS, false},
	{"a worker has sockets", open_socket, SANDBOX_WORKER, 0, false},
	{"a worker loads no program", load_program, SANDBOX_WORKER, ENOSYS, false},
	{"a worker makes no process", make_process, SANDBOX_WORKER, EPERM, false},
	{"the store writes its folder", write_inside, SANDBOX_STORE, 0, true},
	{"and renames in it", rename_between_folders, SANDBOX_STORE, 0, true},
	{"and writes nowhere else", write_outside, SANDBOX_STORE, EACCES, true},
	{"and reads nowhere else", read_outside, SANDBOX_STORE, EACCES, true},
	{"and has no sockets", open_socket, SANDBOX_STORE, ENOSYS, false},
	{"import reads all", read_outside, SANDBOX_IMPORT, 0, true},
	{"import writes nothing", write_inside, SANDBOX_IMPORT, EACCES, true},
	{"import has no sockets", open_socket, SANDBOX_IMPORT, ENOSYS, false},
	{"a look-up reads /etc", read_etc, SANDBOX_LOOKUP, 0, true},
	{"and not the state", read_state, SANDBOX_LOOKUP, EACCES, true},
	{"and writes nothing", write_outside, SANDBOX_LOOKUP, EACCES, true},
	{"a job writes anywhere", write_outside, SANDBOX_JOBS, 0, true},
	{"and renames anywhere", rename_between_folders, SANDBOX_JOBS, 0, true},
	{"and loads no program", load_program, SANDBOX_JOBS, ENOSYS, false},
	{"and makes no process", make_process, SANDBOX_JOBS, EPERM, false},
	{"and makes no thread", make_thread, SANDBOX_JOBS, EPERM, false},
	{"home runs no program", run_program, SANDBOX_HOME, ENOSYS, false},
	{"home makes threads", make_thread, SANDBOX_HOME, 0, false},
	{"and no process", make_process, SANDBOX_HOME, EPERM, false},
	{"nor a namespace", make_namespace, SANDBOX_HOME, EPERM, false},
	{"nobody makes code", make_code, SANDBOX_HOME, ENOSYS, false},
	{"nobody traces", trace_itself, SANDBOX_HOME, ENOSYS, false},
	{"refusals are counted", count_refusals, SANDBOX_HOME, 2, false},
};

static void test_each_role_gets_what_it_takes_and_no_more(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int got;

		if (rows[i].is_of_files ? !has_files : !has_calls)
			continue;
		got = in_role(rows[i].role, rows[i].check);
		if (got != rows[i].want)
			printf("# %s: %d (%s)\n", rows[i].what, got, strerror(got));
		CHECK_EQ(got, rows[i].want);
	}
}

int main(void)
{
	struct sandbox_config config = {.is_on = true, .state_dir = dir};
	struct sandbox_report report;
	char sub[64];

	if (!mkdtemp(dir))
		SKIP_ALL("no folder can be made");
	snprintf(inside, sizeof(inside), "%s/file", dir);
	snprintf(outside, sizeof(outside), "%s.out", dir);
	snprintf(sub, sizeof(sub), "%s/sub", dir);
	(void)mkdir(sub, 0700);
	(void)opens(inside, O_WRONLY | O_CREAT);
	sandbox_arm(&config);
	sandbox_read_report(&report);
	has_calls = strcmp(report.calls, "on") == 0;
	has_files = strncmp(report.files, "on", 2) == 0;
	printf("# system calls: %s; files: %s\n", report.calls, report.files);
	RUN(test_each_role_gets_what_it_takes_and_no_more);
	unlink(inside);
	unlink(outside);
	rmdir(sub);
	rmdir(dir);
	return check_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_PROCESS_SANDBOX_H
#define WEFT_BASE_PROCESS_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The rights of each kind of thread towards the kernel: a filter of system
 * calls (seccomp) and a view of the file system (Landlock). Threads share
 * their memory, so this stops mistakes and makes an attack dearer; it is
 * no wall between them. Until sandbox_arm nothing is confined: tests, the
 * simulator and tools never are.
 *
 * A call that the filter does not list fails with ENOSYS, is counted and
 * is written to standard error once per call. It does not kill. A libc
 * that starts to use a newer call falls back on ENOSYS, and a path that no
 * measurement took must not end the node.
 */
enum sandbox_role {
	SANDBOX_HOME,	/* all that the others may, for it starts them */
	SANDBOX_WORKER, /* packets: no file is opened */
	SANDBOX_STORE,	/* the state folder alone */
	SANDBOX_JOBS,	/* disks and names of hosts */
	SANDBOX_IMPORT, /* reads any file, writes none */
	SANDBOX_LOOKUP, /* HTTPS to relays: reads what TLS and names take */
	SANDBOX_ATTACH, /* devices: loads and attaches BPF programs */
	SANDBOX_ROLE_CNT,
};

#define SANDBOX_READABLE_MAX 5
#define SANDBOX_TEXT_CAP     128

struct sandbox_config {
	bool is_on;
	const char *state_dir;			    /* borrowed for the process's life */
	const char *readable[SANDBOX_READABLE_MAX]; /* files of LOOKUP's, NULL or ""; borrowed */
};

struct sandbox_report {
	char calls[SANDBOX_TEXT_CAP]; /* "on", or why not */
	char files[SANDBOX_TEXT_CAP];
	uint64_t refused_cnt; /* calls that the filters refused */
	int refused_last;     /* number of the last of them */
};

/* sandbox_arm: main thread, once, after privileges are as they stay and before other threads. */
void sandbox_arm(const struct sandbox_config *config);
/*
 * sandbox_enter confines the calling thread for good, and what it starts. Parts that the kernel
 * cannot do are left out; sandbox_read_report says so.
 */
void sandbox_enter(enum sandbox_role role);
void sandbox_read_report(struct sandbox_report *out_report);

#endif

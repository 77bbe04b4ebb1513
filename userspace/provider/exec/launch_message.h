/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_EXEC_LAUNCH_MESSAGE_H
#define WEFT_PROVIDER_EXEC_LAUNCH_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * Private to provider/: the messages between weftd and its launcher, one per datagram of a
 * SOCK_SEQPACKET pair:
 *
 *	SETUP	to the launcher, once, first: the paths that programs may not see
 *	READY	its answer: how it can confine programs here
 *	START	a program, with its three standard files as SCM_RIGHTS
 *	KILL	ends a started program and all its processes
 *	FAILED	a START did not reach the program; why
 *	ENDED	a program and all its processes are gone; its exit code
 *
 * A START is followed by exactly one FAILED or ENDED of its id. Numbers are big-endian, texts end
 * with NUL and are preceded by their length with it.
 */
#define LAUNCH_MESSAGE_LEN_MAX 16384 /* of SETUP: LAUNCH_HIDDEN_MAX paths of 1 KiB */
#define LAUNCH_ARGS_MAX	       24    /* of argv and of envp, each */
#define LAUNCH_HIDDEN_MAX      8
#define LAUNCH_FD_CNT	       3

enum launch_kind {
	LAUNCH_SETUP = 1,
	LAUNCH_READY,
	LAUNCH_START,
	LAUNCH_KILL,
	LAUNCH_FAILED,
	LAUNCH_ENDED,
};

struct launch_setup {
	uint32_t program_cap;
	unsigned hidden_cnt;
	const char *hidden[LAUNCH_HIDDEN_MAX]; /* folders and files, as weftd names them */
};

/* The launcher's abilities on this system. */
struct launch_ready {
	bool can_change_user;
	bool can_hide;	   /* private mount and process namespaces */
	bool has_cgroup;   /* a delegated one: killed as a whole */
	uint32_t hide_err; /* errno that explains can_hide == false */
};

#define LAUNCH_UNCONFINED 1u /* the daemon's own user and its view of the files */
#define LAUNCH_CHECK	  2u /* asks whether the program can be run, and does not run it */
#define LAUNCH_FLAGS	  (LAUNCH_UNCONFINED | LAUNCH_CHECK)
#define LAUNCH_USER_SAME  UINT32_MAX

struct launch_start {
	uint64_t id;
	uint32_t flags;
	uint32_t uid, gid; /* LAUNCH_USER_SAME: both stay the daemon's */
	uint64_t memory_len_max;
	uint32_t cpu_s_max;
	uint32_t life_ms; /* killed after it in any case */
	unsigned argv_cnt, envp_cnt;
	const char *argv[LAUNCH_ARGS_MAX + 1]; /* the first is the program's path; ends with NULL */
	const char *envp[LAUNCH_ARGS_MAX + 1];
};

/* The launcher's last step with a program. */
enum launch_step {
	LAUNCH_STEP_FORK,
	LAUNCH_STEP_HIDE,
	LAUNCH_STEP_FILES,
	LAUNCH_STEP_LIMITS,
	LAUNCH_STEP_USER,
	LAUNCH_STEP_PRIVILEGES,
	LAUNCH_STEP_EXEC,
	LAUNCH_STEP_CNT,
};

struct launch_end {
	uint64_t id;
	enum launch_step step; /* FAILED */
	uint32_t err;	       /* FAILED: errno, not 0 */
	uint32_t code;	       /* ENDED: [0, 255], or 256 and the signal that killed it */
};

struct launch_message {
	enum launch_kind kind;
	union {
		struct launch_setup setup;
		struct launch_ready ready;
		struct launch_start start;
		struct launch_end end; /* KILL has its id alone */
	};
};

/*
 * provider_launch_write: the length, or WEFT_ETOOLARGE. Texts of message are written as they are.
 */
WEFT_MUST_CHECK
int provider_launch_write(const struct launch_message *message,
			  uint8_t data[static LAUNCH_MESSAGE_LEN_MAX]);
/* provider_launch_parse: 0 or WEFT_EMALFORMED. Texts of out_message lie in data. */
WEFT_MUST_CHECK
int provider_launch_parse(const uint8_t *data, size_t len, struct launch_message *out_message);

#endif

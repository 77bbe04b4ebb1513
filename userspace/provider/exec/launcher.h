/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_EXEC_LAUNCHER_H
#define WEFT_PROVIDER_EXEC_LAUNCHER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "weft/err.h"

struct launch_end;
struct launch_ready;
struct launch_setup;
struct launch_start;
struct poller;

/*
 * The launcher as weftd sees it: the process that starts programs, so that weftd never does. It is
 * forked before there is a secret or a thread, keeps the privileges for a start, and ends with
 * weftd, as do all programs. When it ends first no program is started any more until weftd is
 * restarted. Home worker.
 */
struct launcher;

/*
 * provider_launcher_open forks it; the calling process gives up, unless it is root, the
 * capabilities that only the launcher is to have. 0 or -errno. Context: the first
 * thing that main does; no thread, no secret yet.
 */
WEFT_MUST_CHECK
int provider_launcher_open(struct launcher **out_launcher);
/* provider_launcher_close ends it with all programs, and waits for that. Takes NULL. */
void provider_launcher_close(struct launcher *launcher);
/*
 * provider_launcher_ancestor: the process that all programs descend from; 0 while none was
 * ever started.
 */
pid_t provider_launcher_ancestor(const struct launcher *launcher);

/* The rest is private to provider/. */

/* Its slots: running programs and checks, and starts refused because all were taken. */
struct launcher_usage {
	uint32_t slot_cnt, slot_cap;
	uint64_t refused_cnt;
};
/* provider_launcher_usage: takes NULL. */
void provider_launcher_usage(const struct launcher *launcher, struct launcher_usage *out_usage);

struct launcher_events {
	/* A start came to its end: LAUNCH_FAILED when end->err is not 0. */
	void (*ended)(void *ctx, const struct launch_end *end, uint64_t now_ns);
	/* Refused kills may be tried again. */
	void (*writable)(void *ctx, uint64_t now_ns);
	/* The launcher is dead: no callback comes for any start. */
	void (*died)(void *ctx, uint64_t now_ns);
};

/*
 * provider_launcher_attach sets it up, waits for its answer and watches it with poller from
 * then on. 0, WEFT_ECLOSED (it is dead), WEFT_EFULL or -errno of the poller. Once.
 */
WEFT_MUST_CHECK
int provider_launcher_attach(struct launcher *launcher, const struct launch_setup *setup,
			     struct poller *poller, const struct launcher_events *events,
			     void *ctx);
/*
 * provider_launcher_detach: no event comes any more; programs are left to provider_launcher_close.
 */
void provider_launcher_detach(struct launcher *launcher);
/* provider_launcher_ready: its abilities; NULL: it is dead. */
const struct launch_ready *provider_launcher_ready(const struct launcher *launcher);
/*
 * provider_launcher_start asks for a program; files are borrowed. 0: ended will be called. Else
 * WEFT_ECLOSED, WEFT_EBUSY (it does not keep up), WEFT_ETOOLARGE, -errno.
 */
WEFT_MUST_CHECK
int provider_launcher_start(struct launcher *launcher, const struct launch_start *start,
			    const int *files);
/* provider_launcher_check is provider_launcher_start with empty files. */
WEFT_MUST_CHECK
int provider_launcher_check(struct launcher *launcher, const struct launch_start *start);
/* provider_launcher_kill: false: try again when writable is called. */
WEFT_MUST_CHECK
bool provider_launcher_kill(struct launcher *launcher, uint64_t id);
/*
 * provider_launcher_wait handles messages until deadline_ns, at most one batch. False: none came.
 */
bool provider_launcher_wait(struct launcher *launcher, uint64_t deadline_ns);

#endif

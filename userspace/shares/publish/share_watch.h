/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_PUBLISH_SHARE_WATCH_H
#define WEFT_SHARES_PUBLISH_SHARE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "shares/head.h"
#include "weft/err.h"

struct jobs;
struct publisher;
struct store;
struct timer_wheel;

/*
 * Published shares whose files are watched. When something changed and then nothing for a while,
 * a revision is made (shares_publisher_revise, which makes none when all is as it was). Without
 * enough inotify watches the share is published every rescan_ns instead. It is also published
 * once after a start and after the kernel's queue ran over.
 *
 * STORE_META "watch:" share id -> quiet seconds u32be.
 *
 * Home worker; directories are read in jobs.
 */
struct watches;

#define WATCH_QUIET_S	  5u
#define WATCH_QUIET_S_MAX 86400u
/* Files that never rest are published after so many times the quiet time. */
#define WATCH_PATIENCE 12u

struct watches_config {
	uint32_t watch_cap; /* shares watched */
	uint32_t dir_cap;   /* directories of each */
	uint64_t rescan_ns; /* between two looks where inotify does not do */
};
void shares_watches_config_defaults(struct watches_config *config);

enum watch_event_kind { WATCH_FAILED, WATCH_RESCANS, WATCH_OVERFLOW };

struct watches_params {
	struct watches_config config;
	struct publisher *publisher;
	struct store *store;
	struct jobs *jobs;
	struct timer_wheel *timers;
	uint64_t now_ns;
	/* err: why a revision could not be made, or there are no watches. May be NULL. */
	void (*event)(void *ctx, enum watch_event_kind kind,
		      const uint8_t share_id[static SHARE_ID_LEN], int err);
	void *ctx;
};
/* shares_watches_new begins with what was watched before: 0 or -errno. shares_watches_stop waits for its jobs; NULL is taken. */
WEFT_MUST_CHECK
int shares_watches_new(const struct watches_params *params, struct watches **out_watches);
void shares_watches_stop(struct watches *watches);
/* shares_watches_free when the publisher makes no callbacks any more. */
void shares_watches_free(struct watches *watches);
void shares_watches_configure(struct watches *watches, const struct watches_config *config);

/*
 * shares_watch_set watches a share from now on, quiet_s in [1, WATCH_QUIET_S_MAX]; 0: no more. done when
 * it is durable. 0, WEFT_EFULL (watch_cap), WEFT_EMALFORMED or as store_submit.
 */
WEFT_MUST_CHECK
int shares_watch_set(struct watches *watches, const uint8_t share_id[static SHARE_ID_LEN],
		     uint32_t quiet_s, void (*done)(void *arg, int err), void *arg);

struct watch_view {
	uint32_t quiet_s;
	bool is_rescanned; /* not by inotify */
	uint32_t dir_cnt;
	int err; /* of the last look or revision */
};
/* shares_watch_lookup: false: it is not watched. */
bool shares_watch_lookup(const struct watches *watches, const uint8_t share_id[static SHARE_ID_LEN],
			 struct watch_view *out_view);
uint32_t shares_watches_cnt(const struct watches *watches);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_COMMUNITY_ROSTER_COMMUNITY_INTAKE_H
#define WEFT_COMMUNITY_ROSTER_COMMUNITY_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/thread/jobs.h"
#include "community/community_reason.h"
#include "roster.h"

/*
 * The one way of records into rosters, in lots, one after the other:
 *
 *	judged by what is known (home) -> signatures verified (job) -> stored (batch)
 *	-> counted, events (home)
 *
 * As nothing else writes rows, what was judged still holds when it is stored. A
 * sweep of a roster is a lot, too.
 *
 * Home worker. A lot and the bytes it points to are its owner's again when done is called,
 * which is never inside community_intake_submit.
 */
struct intake;
struct store;

struct intake_item {
	enum roster_kind kind;
	const uint8_t *bytes;
	size_t len;
	enum community_reason verdict; /* COMMUNITY_TAKEN: so far nothing speaks against it */
	uint8_t key[ROSTER_KEY_LEN];
	uint8_t announcer[COMMUNITY_KEY_LEN]; /* of a share */
	uint64_t until_s;
	bool is_live, was_live, was_there;
};

struct intake_lot {
	struct intake_lot *next;
	struct roster *roster;
	bool is_own;   /* signed here just now */
	bool is_quiet; /* changes raise no event: these are the first records at all */
	bool is_sweep; /* no items: drops what is over at sweep_s */
	uint64_t sweep_s;
	struct intake_item items[COMMUNITY_PAGE_MAX];
	unsigned cnt;
	void (*done)(void *arg, struct intake_lot *lot, uint64_t now_ns);
	void *arg;
	bool is_waiting;    /* submitted, done was not called yet */
	int err;	    /* of the store */
	unsigned taken_cnt; /* items stored */
	bool is_swept;	    /* the sweep came to the end of the roster */
};

struct intake_params {
	const uint8_t *own_key;
	struct store *store;
	struct jobs *jobs;
	uint64_t (*wall_s)(void *ctx);
	/* A row changed; comes before the lot's done. */
	void (*changed)(void *ctx, struct roster *roster, const struct intake_item *item,
			uint64_t now_ns);
	/* Another node knows an own record under seq, which is newer than the one that is here. */
	void (*own_is_newer)(void *ctx, struct roster *roster, uint64_t seq, uint64_t now_ns);
	void *ctx;
	uint64_t *counts; /* by reason, COMMUNITY_REASON_CNT of them */
};

/* community_intake_new: 0 or -ENOMEM. community_intake_free: when no job and no batch is under way. Takes NULL. */
WEFT_MUST_CHECK
int community_intake_new(const struct intake_params *params, struct intake **out_intake);
void community_intake_free(struct intake *intake);

/* community_intake_lot_add: false when the lot is full. */
bool community_intake_lot_add(struct intake_lot *lot, enum roster_kind kind, const uint8_t *bytes,
			      size_t len);
/* community_intake_submit: lot must not be waiting. community_intake_work goes on with the first lot, if it can. */
void community_intake_submit(struct intake *intake, struct intake_lot *lot);
void community_intake_work(struct intake *intake, uint64_t now_ns);
/* community_intake_is_due: community_intake_work has something to do now. */
bool community_intake_is_due(const struct intake *intake);
/* community_intake_has: some lot of roster waits or is at work. */
bool community_intake_has(const struct intake *intake, const struct roster *roster);
/*
 * community_intake_stop: no events any more; store_flush and jobs may still end what is under way.
 */
void community_intake_stop(struct intake *intake);

#endif

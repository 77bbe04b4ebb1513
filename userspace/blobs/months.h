/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_MONTHS_H
#define WEFT_BLOBS_MONTHS_H

#include "base/timer.h"
#include "blobs/rates/rates.h"
#include "blobs/rates/month_quota.h"

struct store_snapshot;

/*
 * The bytes that a worker may send and ask for since its start: taken never exceeds granted
 * while it is capped. Home has its own, and grants the uploads of others
 * (blobs/serve/servers.h).
 */
struct blobs_credit {
	bool is_capped, is_reached;
	uint64_t granted, taken;
	uint64_t per_s; /* the glide's rate; 0: it does not hold */
};

/*
 * The caps of a month (blobs_month_* in blobs.h) and their ledger, one record in STORE_META: of
 * each direction and zone the bytes that are leased. The bytes that this worker sends and asks
 * for are taken of its credits, which are granted out of durable leases several times a second.
 * Home; the node grants the credits of other workers.
 */
enum month_state { MONTH_FREE, MONTH_GLIDING, MONTH_REACHED };

struct months {
	struct timer timer;
	struct quota quotas[BLOBS_DIRECTION_CNT][BLOBS_ZONE_CNT];
	enum month_state told[BLOBS_DIRECTION_CNT][BLOBS_ZONE_CNT];
	uint64_t spent_before[BLOBS_DIRECTION_CNT][BLOBS_ZONE_CNT]; /* at looked_ns */
	uint64_t per_s[BLOBS_DIRECTION_CNT][BLOBS_ZONE_CNT];	    /* granted lately */
	/* Likewise of what this worker took: what it is granted ahead follows that, not what was granted. */
	uint64_t taken_before[BLOBS_DIRECTION_CNT][BLOBS_ZONE_CNT];
	uint64_t own_per_s[BLOBS_DIRECTION_CNT][BLOBS_ZONE_CNT];
	uint64_t looked_ns;
	bool is_storing, is_stopped;
};

/* blobs_months_load reads the ledger: what was leased counts as used. 0 or -errno. */
WEFT_MUST_CHECK
int blobs_months_load(struct months *months, struct store_snapshot *snapshot);
void blobs_months_init(struct blobs *content, uint64_t now_ns);
void blobs_months_fini(struct blobs *content);
/* blobs_months_apply: limits are others. */
void blobs_months_apply(struct blobs *content, uint64_t now_ns);

/* blobs_credit_has: len bytes may go. blobs_credit_take, blobs_credit_give_back: they do, or did not. */
bool blobs_credit_has(const struct blobs_credit *credit, uint64_t len);
void blobs_credit_take(struct blobs_credit *credit, uint64_t len);
void blobs_credit_give_back(struct blobs_credit *credit, uint64_t len);
/* blobs_credit_wait_ns: about as long as it takes until len bytes may go. */
uint64_t blobs_credit_wait_ns(const struct blobs_credit *credit, uint64_t len);
/*
 * blobs_credits_get: of uploads, what is capped, on home. blobs_credit_lack: the bytes that a
 * credit lacks, of which rate went in the last second. blobs_month_grant: how many of them the
 * month has. blobs_credits_take puts them in force.
 */
void blobs_credits_get(const struct blobs *content,
		       struct blobs_credit out_credits[static BLOBS_ZONE_CNT]);
void blobs_credits_take(struct blobs *content,
			const struct blobs_credit credits[static BLOBS_ZONE_CNT]);
uint64_t blobs_month_grant(struct blobs *content, enum blobs_direction direction,
			   enum blobs_zone zone, uint64_t lack, uint64_t now_ns);
uint64_t blobs_credit_lack(const struct blobs_credit *credit, uint64_t rate);

#endif

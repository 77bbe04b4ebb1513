/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_RATES_MONTHS_H
#define WEFT_BLOBS_RATES_MONTHS_H

#include "base/timer.h"
#include "blobs/blobs.h"
#include "month_quota.h"

struct store_snapshot;

/*
 * The caps of a month (blobs_month_* in blobs.h) and their ledger, one record in
 * STORE_META: of each direction and zone the bytes that are leased. What this worker
 * sends and asks for takes of its credits, which are granted out of durable leases several
 * times a second. Home; other workers are granted theirs by the node.
 */
enum month_told { MONTH_FREE, MONTH_GLIDING, MONTH_REACHED };

struct months {
	struct timer timer;
	struct quota quotas[BLOBS_DIRECTION_CNT][BLOBS_ZONE_CNT];
	enum month_told told[BLOBS_DIRECTION_CNT][BLOBS_ZONE_CNT];
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

#endif

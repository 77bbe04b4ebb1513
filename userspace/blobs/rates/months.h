/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_RATES_MONTHS_H
#define WEFT_BLOBS_RATES_MONTHS_H

#include "base/timer.h"
#include "blobs/blobs.h"
#include "month_quota.h"

struct store_snapshot;

/*
 * The caps of a month (content_month_* in blobs.h) and their ledger, one record in
 * STORE_META: of each direction and zone the bytes that are leased. What this worker
 * sends and asks for takes of its credits, which are granted out of durable leases several
 * times a second. Home; other workers are granted theirs by the node.
 */
enum month_told { MONTH_FREE, MONTH_GLIDING, MONTH_REACHED };

struct months {
	struct timer timer;
	struct quota quotas[CONTENT_DIRECTION_CNT][CONTENT_ZONE_CNT];
	enum month_told told[CONTENT_DIRECTION_CNT][CONTENT_ZONE_CNT];
	uint64_t spent_before[CONTENT_DIRECTION_CNT][CONTENT_ZONE_CNT]; /* at looked_ns */
	uint64_t per_s[CONTENT_DIRECTION_CNT][CONTENT_ZONE_CNT];	/* granted lately */
	/* Likewise of what this worker took: what it is granted ahead follows that, not what was granted. */
	uint64_t taken_before[CONTENT_DIRECTION_CNT][CONTENT_ZONE_CNT];
	uint64_t own_per_s[CONTENT_DIRECTION_CNT][CONTENT_ZONE_CNT];
	uint64_t looked_ns;
	bool is_storing, is_stopped;
};

/* months_load reads the ledger: what was leased counts as used. 0 or -errno. */
WEFT_MUST_CHECK
int months_load(struct months *months, struct store_snapshot *snapshot);
void months_init(struct content *content, uint64_t now_ns);
void months_fini(struct content *content);
/* months_apply: limits are others. */
void months_apply(struct content *content, uint64_t now_ns);

/* credit_has: len bytes may go. credit_take, credit_give_back: they do, or did not. */
bool credit_has(const struct content_credit *credit, uint64_t len);
void credit_take(struct content_credit *credit, uint64_t len);
void credit_give_back(struct content_credit *credit, uint64_t len);
/* credit_wait_ns: about as long as it takes until len bytes may go. */
uint64_t credit_wait_ns(const struct content_credit *credit, uint64_t len);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_RATES_TRAFFIC_LIMITS_H
#define WEFT_BLOBS_RATES_TRAFFIC_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "blobs/blobs.h"
#include "byte_bucket.h"

struct limit_change;
struct store_batch;
struct store_snapshot;

/*
 * The limits that can be set while the node runs (blobs_limit_* in
 * blobs.h): what the configuration says, or what was set and kept over
 * restarts, one record in STORE_META. Home has them; a server is told what
 * is in force.
 */
struct blobs_limits {
	uint64_t configured[BLOBS_LIMIT_CNT];
	uint64_t kept[BLOBS_LIMIT_CNT];
	bool is_kept[BLOBS_LIMIT_CNT];
	struct limit_change *changes; /* the first is with the store */
	bool is_stopped;	      /* the owner is not told any more */
	struct byte_bucket download;
	struct byte_meter download_meter;
};

/* blobs_limits_load reads what was kept; what is damaged or unknown counts as not kept. 0 or -errno. */
WEFT_MUST_CHECK
int blobs_limits_load(struct blobs *content, struct store_snapshot *snapshot);

#endif

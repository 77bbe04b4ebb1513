/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_TRAFFIC_LIMITS_H
#define WEFT_BLOBS_TRAFFIC_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "blobs/rates/rates.h"
#include "blobs/rates/byte_bucket.h"

struct limit_change;
struct store_batch;
struct store_snapshot;

/*
 * The limits that can be set while the node runs (blobs_limit_* in blobs.h). Each is what the
 * configuration says, or what was set and kept over restarts, one record in STORE_META. Home has
 * them, and passes to a server what is in force.
 */
struct blobs_limits {
	uint64_t configured[BLOBS_LIMIT_CNT];
	uint64_t kept[BLOBS_LIMIT_CNT];
	bool is_kept[BLOBS_LIMIT_CNT];
	struct limit_change *changes; /* the first is with the store */
	bool is_stopped;	      /* no more calls to the owner */
	struct byte_bucket download;
	struct byte_meter download_meter;
};

/* blobs_limits_load reads what was kept; what is damaged or unknown counts as not kept. 0 or -errno. */
WEFT_MUST_CHECK
int blobs_limits_load(struct blobs *content, struct store_snapshot *snapshot);
/*
 * blobs_limits_get: what is in force, on home. blobs_limits_take: on each worker, home as well,
 * upload_part of the upload of all being its own.
 */
void blobs_limits_get(const struct blobs *content, uint64_t out_values[static BLOBS_LIMIT_CNT]);
void blobs_limits_take(struct blobs *content, const uint64_t values[static BLOBS_LIMIT_CNT],
		       uint64_t upload_part, uint64_t now_ns);

#endif

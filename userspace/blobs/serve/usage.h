/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_SERVE_USAGE_H
#define WEFT_BLOBS_SERVE_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory/arena.h"
#include "base/map.h"
#include "base/memory/pool.h"
#include "blobs/blobs.h"
#include "blobs/rates/byte_bucket.h"

/*
 * How many bytes went by a key: to a peer, or of a content. A fixed number of keys is counted;
 * when one more comes, that of which least went lately gives way, so those that matter stay. The
 * sums of these are exact since they were last taken in.
 */
#define USAGE_CAP     BLOBS_USAGE_MAX
#define USAGE_KEY_LEN 32u

struct usage_entry {
	uint8_t key[USAGE_KEY_LEN];
	uint64_t len, cnt; /* bytes and answers */
	uint64_t told_len, told_cnt;
	struct byte_meter meter;
};

struct usage {
	struct pool entries;
	struct map by_key;
};

WEFT_MUST_CHECK
int blobs_usage_init(struct usage *usage, struct arena *arena, const uint64_t secret[2]);
void blobs_usage_note(struct usage *usage, const uint8_t key[static USAGE_KEY_LEN], uint64_t len,
		      uint64_t cnt, uint64_t now_ns);
/* blobs_usage_next walks them in no order; start with NULL, ends with NULL. */
const struct usage_entry *blobs_usage_next(const struct usage *usage,
					   const struct usage_entry *entry);
/*
 * A usage_change_iter walks the entries whose counts changed since they were last given, with the
 * difference; false: behind the last. A given one counts as told.
 */
struct usage_change_iter {
	struct usage *usage;
	struct usage_entry *entry; /* the one at hand; NULL: before the first */
	uint64_t len, cnt;	   /* by so much */
};
bool blobs_usage_change_next(struct usage_change_iter *iter);

#endif

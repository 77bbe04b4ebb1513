/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONTENT_ANNOUNCE_TOLD_H
#define WEFT_CONTENT_ANNOUNCE_TOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "weft/err.h"

struct store_batch;
struct store_item;
struct store_snapshot;

/*
 * What the overlay was told, and when, in seconds of the wall clock: rows of STORE_ANNOUNCED. A
 * u8 kind, then
 *	0			-> since when addresses are what they are, their hash 32
 *	1 manifest id 32	-> when
 *	2 content id 32		-> when
 *	3 depth u8, region u32be	-> when, u64be print of the set
 * with times as u64be.
 */
enum told_kind { TOLD_ADDRS = 0, TOLD_MANIFEST = 1, TOLD_CONTENT = 2, TOLD_REGION = 3 };

#define TOLD_KEY_CAP  33
#define TOLD_HASH_LEN 32

struct told_row {
	enum told_kind kind;
	uint8_t id[32]; /* manifest, content, or the hash of the addresses */
	unsigned depth;
	uint32_t region;
	uint64_t time_s;
	uint64_t print;
};

/* told_key writes the key of row, which the kind and what it is of make; returns its length. */
size_t told_key(const struct told_row *row, uint8_t key[static TOLD_KEY_CAP]);
void told_put(struct store_batch *batch, const struct told_row *row);
void told_delete(struct store_batch *batch, const struct told_row *row);
/* told_parse: 0 or WEFT_EDAMAGED; who reads a damaged row tells again. */
WEFT_MUST_CHECK
int told_parse(const struct store_item *item, struct told_row *out_row);
/* told_time_s: when row was last told, 0: never, as far as is known. */
uint64_t told_time_s(struct store_snapshot *snapshot, const struct told_row *row);
void told_hash_addrs(const struct addr *addrs, unsigned cnt, uint8_t hash[static TOLD_HASH_LEN]);

#endif

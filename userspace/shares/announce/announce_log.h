/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_ANNOUNCE_ANNOUNCE_LOG_H
#define WEFT_SHARES_ANNOUNCE_ANNOUNCE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/peer_addr.h"
#include "weft/err.h"

struct store_batch;
struct store_item;
struct store_snapshot;

/*
 * The announcements to the overlay, and their times in seconds of the wall clock: rows of
 * STORE_ANNOUNCED. A u8 kind, then
 *	0			-> since when addresses are what they are, their hash 32
 *	1 manifest id 32	-> when
 *	2 content id 32		-> when
 *	3 depth u8, region u32be	-> when, u64be print of the set
 * with times as u64be.
 */
enum announce_log_kind {
	ANNOUNCE_LOG_ADDRS = 0,
	ANNOUNCE_LOG_MANIFEST = 1,
	ANNOUNCE_LOG_CONTENT = 2,
	ANNOUNCE_LOG_REGION = 3
};

#define ANNOUNCE_LOG_KEY_CAP  33
#define ANNOUNCE_LOG_HASH_LEN 32

struct announce_log_row {
	enum announce_log_kind kind;
	uint8_t id[32]; /* manifest, content, or the hash of the addresses */
	unsigned depth;
	uint32_t region;
	uint64_t time_s;
	uint64_t print;
};

/* shares_announce_log_key writes the key of row, which the kind and what it is of make; returns its length. */
size_t shares_announce_log_key(const struct announce_log_row *row,
			       uint8_t key[static ANNOUNCE_LOG_KEY_CAP]);
void shares_announce_log_put(struct store_batch *batch, const struct announce_log_row *row);
void shares_announce_log_delete(struct store_batch *batch, const struct announce_log_row *row);
/* shares_announce_log_parse: 0 or WEFT_EDAMAGED; a damaged row is announced again. */
WEFT_MUST_CHECK
int shares_announce_log_parse(const struct store_item *item, struct announce_log_row *out_row);
/* shares_announce_log_time_s: when row was last announced, 0: never, as far as is known. */
uint64_t shares_announce_log_time_s(struct store_snapshot *snapshot,
				    const struct announce_log_row *row);
/* shares_announce_log_hash: of the addresses and relays alone that places has. */
void shares_announce_log_hash(const struct peer_places *places,
			      uint8_t hash[static ANNOUNCE_LOG_HASH_LEN]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_KAD_STORAGE_STATE_H
#define WEFT_KAD_STORAGE_STATE_H

#include "base/map.h"
#include "base/memory/pool.h"
#include "kad/storage.h"

struct arena;

/* The index's objects, private to storage.c and storage_share.c. */

struct storage_key {
	struct storage_record *first, *last;
	unsigned cnt;
};

struct storage_subnet {
	struct addr prefix;
	unsigned cnt;
};

struct storage_record {
	struct kad_value value; /* first, so that a borrowed value leads back here */
	struct storage_record *next, *prev;
	struct storage_subnet *subnet;
	struct fair_item slot;
	struct addr payer; /* put it, or put it again: the slot is of its account */
	enum fair_class class;
	uint64_t network, address; /* of the payer: ids of its path */
	uint64_t counted_at_ns;	   /* the latest refresh that counts, or the first put */
	unsigned refresh_cnt;
	unsigned heap_idx;
};

/* How many values under one key a network, or an address, has. */
struct storage_tally {
	uint64_t id;
	unsigned cnt;
};

struct kad_storage {
	struct kad_storage_config config;
	struct kad_id own_id;
	struct random *random;
	kad_dropped_fn dropped;
	void *arg;
	struct pool records, keys, subnets;
	struct map by_key;    /* kad_id to storage_key */
	struct map by_subnet; /* struct addr to storage_subnet */
	struct storage_record **heap;
	struct fair fair;
	struct fair_paths paths;
	struct storage_tally *tallies; /* of the key that is put to now */
	unsigned tally_cap;	       /* a power of two */
	struct kad_storage_counts counts;
};

/* --- storage_share.c: which account pays for a value --- */

/* kad_storage_share_init: 0, or as fair_init. */
WEFT_MUST_CHECK
int kad_storage_share_init(struct kad_storage *storage, struct arena *arena,
			   const uint64_t secret[2]);

/* kad_storage_share_take gives record, whose value is set, its slot; one is free. */
void kad_storage_share_take(struct kad_storage *storage, struct storage_record *record,
			    uint64_t now_ns);
/* kad_storage_share_refresh: record was put again from source. */
void kad_storage_share_refresh(struct kad_storage *storage, struct storage_record *record,
			       const struct addr *source, uint64_t now_ns);
/* kad_storage_share_payer: the record of a full index that gives way to value, or NULL. */
struct storage_record *kad_storage_share_payer(struct kad_storage *storage,
					       const struct kad_value *value, uint64_t now_ns);
/* kad_storage_share_refuse counts that value finds no slot in a full index. */
void kad_storage_share_refuse(struct kad_storage *storage, const struct kad_value *value,
			      uint64_t now_ns);

/*
 * kad_storage_key_payer: the record of key that gives way to value, which key has not yet;
 * NULL: none needs to.
 */
struct storage_record *kad_storage_key_payer(struct kad_storage *storage,
					     const struct storage_key *key,
					     const struct kad_value *value);

#endif

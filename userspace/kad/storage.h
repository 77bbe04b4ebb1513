/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_KAD_STORAGE_H
#define WEFT_KAD_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kad/contact.h"
#include "weft/err.h"

struct arena;
struct random;

/*
 * Which values a node keeps for others: an index over values that the
 * plane holds elsewhere and names by a handle. Mainline items (one value
 * per key), swarms (many peers per key) and overlay sets are three of these.
 *
 * A value is (key, owner): a second one of the same owner replaces the first if
 * it is not older by seq. Caps: values per key, per source subnet
 * (kad_subnet), in all. A key that is full drops its value that was refreshed
 * longest ago. A full index drops, of KAD_STORAGE_DRAWS values drawn at random, the one
 * whose key is farthest from our id, if that is farther than the new key:
 * a node is to hold what is near it. Else, and for a subnet that has its
 * share, the new value is refused. A lookup is O(1), a put O(values of the key).
 *
 * Times are ns of one monotonic clock. Owned by one worker. All memory is
 * taken from the arena by kad_storage_new.
 */
struct kad_storage;

#define KAD_STORAGE_DRAWS 16

struct kad_value {
	struct kad_id key;
	struct kad_id owner; /* zero where a key has one value */
	struct addr source;  /* who put it, for the subnet cap */
	uint64_t seq;	     /* the freshest wins */
	uint64_t expires_ns;
	uint64_t handle; /* the plane's value */
};

struct kad_storage_config {
	unsigned value_cap;  /* in all, >= 1 */
	unsigned key_max;    /* values per key, >= 1 */
	unsigned subnet_max; /* values put from one subnet, >= 1 */
};

/*
 * dropped: the index forgot the value, so its handle is the plane's to
 * free. Called inside put (for the replaced or evicted value), drop and
 * expire; it must not call the index.
 */
typedef void (*kad_dropped_fn)(void *arg, const struct kad_value *value);

size_t kad_storage_footprint(const struct kad_storage_config *config);
/* kad_storage_new: 0, or WEFT_EFULL when the arena is too small. random is used while it lives. */
WEFT_MUST_CHECK
int kad_storage_new(struct arena *arena, const struct kad_storage_config *config,
		    const struct kad_id *own_id, struct random *random, kad_dropped_fn dropped,
		    void *arg, struct kad_storage **out_storage);
void kad_storage_set_own_id(struct kad_storage *storage, const struct kad_id *own_id);

enum kad_put {
	KAD_PUT_ADDED,
	KAD_PUT_REPLACED,    /* the old value was dropped */
	KAD_PUT_OLDER,	     /* a higher seq of this owner is there: refused */
	KAD_PUT_SUBNET_FULL, /* the source's subnet has its share: refused */
	KAD_PUT_FARTHER,     /* full, and what was drawn is nearer: refused */
	KAD_PUT_CNT
};

/*
 * kad_storage_put takes value's handle when it returns ADDED or REPLACED;
 * otherwise nothing changes and the handle stays the caller's.
 */
enum kad_put kad_storage_put(struct kad_storage *storage, const struct kad_value *value);
/*
 * kad_storage_has_room_for: put would not refuse value for its source's subnet. For a plane
 * that has to make room before it can put.
 */
bool kad_storage_has_room_for(const struct kad_storage *storage, const struct kad_value *value);
/*
 * kad_storage_refresh moves the expiry of a value that is there; source
 * does not change, so that a refresh by others does not cost them. False: absent.
 */
bool kad_storage_refresh(struct kad_storage *storage, const struct kad_id *key,
			 const struct kad_id *owner, uint64_t expires_ns);
void kad_storage_drop(struct kad_storage *storage, const struct kad_id *key,
		      const struct kad_id *owner);
/*
 * kad_storage_evict drops a value for one under key, as a put into a full index does:
 * for a plane whose values are bounded by their bytes as well. False: what was drawn is nearer.
 */
bool kad_storage_evict(struct kad_storage *storage, const struct kad_id *key);

/*
 * kad_storage_first and kad_storage_next walk the values of a key, the
 * most recently put or refreshed first; NULL at the end. Borrowed until the index changes.
 */
const struct kad_value *kad_storage_first(const struct kad_storage *storage,
					  const struct kad_id *key);
const struct kad_value *kad_storage_next(const struct kad_value *value);
/* kad_storage_key_cnt: values of a key. */
unsigned kad_storage_key_cnt(const struct kad_storage *storage, const struct kad_id *key);
/* kad_storage_find: the value of this owner, or NULL. */
const struct kad_value *kad_storage_find(const struct kad_storage *storage,
					 const struct kad_id *key, const struct kad_id *owner);

/* kad_storage_expire drops what has expired; kad_storage_next_ns: when the next one does. */
void kad_storage_expire(struct kad_storage *storage, uint64_t now_ns);
uint64_t kad_storage_next_ns(const struct kad_storage *storage);

struct kad_storage_counts {
	unsigned values, keys, subnets;
	uint64_t put[KAD_PUT_CNT];
	uint64_t evicted;   /* for a nearer key */
	uint64_t displaced; /* by a fresher value of the same key */
	uint64_t expired;
};

void kad_storage_count(const struct kad_storage *storage, struct kad_storage_counts *out_counts);

#endif

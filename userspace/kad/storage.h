/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_KAD_STORAGE_H
#define WEFT_KAD_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fair/fair.h"
#include "base/fair/fair_path.h"
#include "kad/kad_contact.h"
#include "weft/err.h"

struct arena;
struct random;

/*
 * Which values a node keeps for others: an index over values that the
 * plane holds elsewhere and names by a handle. Mainline items (one value
 * per key), swarms (many peers per key) and overlay sets are three of these.
 *
 * A value is (key, owner): a second one of the same owner replaces the first if
 * it is not older by seq. Caps: values per key, per address under a key, per
 * source subnet (kad_subnet), in all. Any source with a proven address can
 * fill the index while it is idle. A full one is shared fairly (base/fair/fair.h),
 * by the network and address that put a value:
 *
 * - in all, the youngest unknown value of the network with most values gives way, where that
 *   holds two more than the asker's. Between equals, KAD_STORAGE_DRAWS values are drawn at
 *   random. The one farthest from this node's id gives way to a nearer one: a node is to hold
 *   values near its id. Else the new value is refused.
 *   - under one key the same, except that between equals the value refreshed longest ago
 *     gives way, so that a full key never refuses.
 *   - of one address under one key, its own value refreshed longest ago.
 *
 * A value that was refreshed KAD_KNOWN_REFRESHES times, KAD_REFRESH_GAP_NS apart, is known, and no
 * longer unknown. A value is charged to the emptier of the networks that put it:
 * to put another's value again never makes it easier to evict.
 *
 * Times are ns of one monotonic clock. Owned by one worker. All memory is
 * taken from the arena by kad_storage_new. A lookup is O(1), a put O(values of the key).
 */
struct kad_storage;

#define KAD_STORAGE_DRAWS   16
#define KAD_STORAGE_CAP_MIN 16 /* fewer cannot be divided among the classes */
/* Three times in an hour or more: BitTorrent clients announce each 30 minutes, BEP 44 says hourly. */
#define KAD_KNOWN_REFRESHES 3
#define KAD_REFRESH_GAP_NS  (20 * 60 * 1000000000ull)

struct kad_value {
	struct kad_id key;
	struct kad_id owner; /* zero where a key has one value */
	struct addr source;  /* of the put; ADDR_NONE: this node itself */
	uint64_t seq;	     /* the freshest wins */
	uint64_t expires_ns;
	uint64_t handle;	      /* the plane's value */
	enum fair_class source_class; /* as the plane knows its source */
	unsigned key_max;	      /* values under this key; 0: as the index says */
};

struct kad_storage_config {
	const char *name;	 /* of the pool, static */
	unsigned value_cap;	 /* in all, >= KAD_STORAGE_CAP_MIN */
	unsigned key_max;	 /* values per key, >= 1 */
	unsigned key_addr_max;	 /* of them put from one /32 or /64; 0: any number */
	unsigned subnet_max;	 /* values put from one subnet, >= 1 */
	enum addr_family family; /* of all sources; ADDR_NONE: of any */
	struct fair_site site;
};

/*
 * dropped: the index forgot the value, so its handle is the plane's to
 * free. Called inside put (for the replaced or evicted value), drop and
 * expire; it must not call the index.
 */
typedef void (*kad_dropped_fn)(void *arg, const struct kad_value *value);

struct kad_storage_params {
	const struct kad_storage_config *config;
	const struct kad_id *own_id;
	struct random *random; /* used while the index lives */
	kad_dropped_fn dropped;
	void *arg;
};

/* kad_storage_new: 0, or WEFT_EFULL when the arena is too small. */
WEFT_MUST_CHECK
int kad_storage_new(struct arena *arena, const struct kad_storage_params *params,
		    struct kad_storage **out_storage);
void kad_storage_set_own_id(struct kad_storage *storage, const struct kad_id *own_id);

enum kad_put {
	KAD_PUT_ADDED,
	KAD_PUT_REPLACED,    /* the old value was dropped */
	KAD_PUT_OLDER,	     /* a higher seq of this owner is there: refused */
	KAD_PUT_SUBNET_FULL, /* the source's subnet has its share: refused */
	KAD_PUT_FARTHER,     /* full, no network holds more, what was drawn is nearer: refused */
	KAD_PUT_CNT
};

/*
 * kad_storage_put takes value's handle when it returns ADDED or REPLACED;
 * otherwise nothing changes and the handle stays the caller's.
 */
enum kad_put kad_storage_put(struct kad_storage *storage, const struct kad_value *value,
			     uint64_t now_ns);
/* kad_storage_not_before_ms: when the source of value, refused as FARTHER just now, may put again. */
uint32_t kad_storage_not_before_ms(struct kad_storage *storage, const struct kad_value *value,
				   uint64_t now_ns);
/*
 * kad_storage_has_room_for: put would not refuse value for its source's subnet. For a plane
 * that has to make room before it can put.
 */
bool kad_storage_has_room_for(const struct kad_storage *storage, const struct kad_value *value);
/*
 * kad_storage_refresh moves the expiry of a value that is there, put again
 * from source as it is. False: absent.
 */
bool kad_storage_refresh(struct kad_storage *storage, const struct kad_value *value,
			 uint64_t now_ns);
void kad_storage_drop(struct kad_storage *storage, const struct kad_id *key,
		      const struct kad_id *owner);
/*
 * kad_storage_evict drops a value for this one, as a put into a full index does. It is for a
 * plane whose values are bounded by their bytes as well. Returns false when none gives way.
 */
bool kad_storage_evict(struct kad_storage *storage, const struct kad_value *value, uint64_t now_ns);

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
	uint64_t evicted;   /* from a full index */
	uint64_t displaced; /* by a fresher value of the same key */
	uint64_t expired;
};

void kad_storage_count(const struct kad_storage *storage, struct kad_storage_counts *out_counts);
void kad_storage_view(const struct kad_storage *storage, struct fair_view *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_DIRECTORY_CACHE_H
#define WEFT_SERVICE_DIRECTORY_CACHE_H

#include "base/list.h"
#include "base/map.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "descriptor.h"
#include "codec/text/semver.h"

struct arena;
struct heap;
struct store;
struct store_batch;

/*
 * Verified descriptors, one per service id and major version, found by name and by id. A full
 * cache evicts the descriptor that was received longest ago. One name has at most
 * SERVICE_CACHE_PER_NAME_MAX entries, and one id is limited too, so that neither crowds out the
 * others.
 *
 * The store keeps them (STORE_DIRECTORY), seconds later: a lost descriptor is found again.
 */
#define SERVICE_CACHE_PER_NAME_MAX 64u
#define SERVICE_CACHE_PER_ID_MAX   8u

struct service_cache_name {
	char text[SERVICE_NAME_LEN_MAX]; /* filled up with NULs: the key of by_name */
	struct list_node entries;
	unsigned entry_cnt;
	uint64_t
		asked_ns; /* when the overlay was last asked for all of it, and answered; 0: never */
};

struct service_cache_entry {
	struct list_node of_name, by_age; /* by_age: received longest ago comes first */
	struct service_cache_name *name;
	struct service_cache_entry *next_of_id; /* another major version */
	struct service_descriptor descriptor;	/* borrows bytes */
	struct semver version;			/* borrows descriptor */
	uint64_t lot;				/* of chance, for each node another */
	uint8_t *bytes;
	size_t len;
	uint64_t heard_s;  /* wall clock */
	uint64_t stored_s; /* heard_s in the store; 0: not there */
	uint64_t asked_ns; /* when the overlay last answered for its id; 0: never */
};

struct service_cache {
	struct pool entries, names;
	struct map by_name, by_id;
	struct list_node by_age;
	uint64_t secret[2]; /* of the lots */
	struct heap *heap;
	struct store *store;
	struct store_batch *batch; /* NULL: nothing is to be written */
	unsigned batch_cnt;
	struct timer_wheel *timers;
	struct timer flush_timer;
	/* The higher, the better, of descriptors of one name. */
	unsigned (*rank)(void *ctx, const struct service_descriptor *descriptor);
	void *ctx;
};

/*
 * service_cache_init: store (may be NULL), timers, rank and ctx were set. 0, WEFT_EFULL or -errno.
 * fini takes a zeroed one; it submits the changes.
 */
WEFT_MUST_CHECK
int service_cache_init(struct service_cache *cache, struct arena *arena, uint32_t entry_cap,
		       size_t memory_len, const uint64_t secret[2]);
void service_cache_fini(struct service_cache *cache);
/*
 * service_cache_load reads the store's descriptors that verify and have not expired at wall_s. 0 or
 * -errno.
 */
WEFT_MUST_CHECK
int service_cache_load(struct service_cache *cache, uint64_t wall_s, uint64_t now_ns);

/*
 * service_cache_put keeps a verified descriptor, heard at wall_s: SERVICE_FINE, _REPLAYED when a
 * later one, or another of the same sequence number, is there, _CROWDED_OUT.
 */
enum service_fault service_cache_put(struct service_cache *cache, const uint8_t *bytes, size_t len,
				     uint64_t wall_s, uint64_t now_ns);
/*
 * service_cache_lookup_{name,id}: NULL when there is none; the result lives until the next put or
 * expire.
 */
struct service_cache_name *service_cache_lookup_name(const struct service_cache *cache,
						     const char *name);
struct service_cache_entry *service_cache_lookup_id(const struct service_cache *cache,
						    const uint8_t *id);
/* service_cache_expire forgets expired descriptors. */
void service_cache_expire(struct service_cache *cache, uint64_t wall_s, uint64_t now_ns);

#endif

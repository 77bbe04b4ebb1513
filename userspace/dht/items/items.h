/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_ITEMS_ITEMS_H
#define WEFT_DHT_ITEMS_ITEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "item.h"
#include "dht/dht_reason.h"
#include "kad/storage.h"
#include "weft/err.h"

/*
 * BEP-44 items kept for others, in one of the two networks. An item is kept for two hours from
 * the last put. The slots are of one size, as many as the configuration says and no more.
 * kad/storage.h says which items give way when all slots are taken.
 */
struct dht_items;

#define DHT_ITEM_LIFE_NS (2 * 3600 * 1000000000ull) /* BEP-44 */

struct dht_items_config {
	uint32_t item_cap;
	uint32_t subnet_max;	 /* items put from one kad_subnet */
	enum addr_family family; /* of all that put */
	struct fair_site site;
};

WEFT_MUST_CHECK
int dht_items_new(struct arena *arena, const struct dht_items_config *config,
		  const struct kad_id *own_id, struct random *random, struct dht_items **out_items);
void dht_items_set_own_id(struct dht_items *items, const struct kad_id *own_id);

/* A put whose token was good. */
struct dht_items_put {
	const struct dht_item *item;
	const struct addr *source;
	bool has_cas;
	int64_t cas;
};

/*
 * dht_items_put stores what may be stored. The signature is verified last,
 * and not again for the very bytes that are there.
 *
 * Returns: DHT_STORED, or DHT_EQUAL_SEQ with the old value kept; DHT_LONG_VALUE,
 *          LONG_SALT, NO_SEQ, BAD_SIGNATURE, CAS_MISMATCH, OLD_SEQ, SUBNET_FULL, STORE_FULL.
 *          *out_target is where the item lies, set unless a limit of lengths was exceeded.
 */
enum dht_reason dht_items_put(struct dht_items *items, const struct dht_items_put *put,
			      uint64_t now_ns, struct kad_id *out_target);
/* dht_items_get: false: nothing there. *out_item is borrowed until items changes. */
bool dht_items_get(const struct dht_items *items, const struct kad_id *target,
		   struct dht_item *out_item);
void dht_items_expire(struct dht_items *items, uint64_t now_ns);
uint64_t dht_items_next_ns(const struct dht_items *items);
uint32_t dht_items_cnt(const struct dht_items *items);
/* dht_items_not_before_ms: when source, refused as STORE_FULL just now, may find a place. */
uint32_t dht_items_not_before_ms(struct dht_items *items, const struct addr *source,
				 uint64_t now_ns);
void dht_items_view(const struct dht_items *items, struct fair_view *out);

#endif

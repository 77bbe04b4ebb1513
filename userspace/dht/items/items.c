/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index is kad/storage.h; here are the bytes, and BEP-44's rules of which item replaces which.
 */
#include "items.h"

#include <string.h>

#include "base/memory/arena.h"
#include "base/assert.h"
#include "base/memory/pool.h"

static const struct kad_id no_owner; /* a key has one item */

struct slot {
	int64_t seq;
	uint16_t value_len;
	uint8_t salt_len;
	bool is_mutable;
	uint8_t key[NODE_KEY_LEN];
	uint8_t sig[NODE_KEY_SIG_LEN];
	uint8_t salt[DHT_SALT_LEN_MAX];
	uint8_t value[DHT_VALUE_LEN_MAX];
};

struct dht_items {
	struct kad_storage *index;
	struct pool slots;
};

static struct kad_storage_config index_config(const struct dht_items_config *config)
{
	return (struct kad_storage_config){
		.name = "dht.item_cap",
		.value_cap = config->item_cap,
		.key_max = 1,
		.subnet_max = config->subnet_max,
		.family = config->family,
		.site = config->site,
	};
}

/* One more than there are items: the new one is there before an old one has to go. */
static uint32_t slot_cap(const struct dht_items_config *config)
{
	return config->item_cap + 1;
}

static void slot_dropped(void *arg, const struct kad_value *value)
{
	struct dht_items *items = arg;

	pool_release(&items->slots, pool_lookup(&items->slots, value->handle));
}

int dht_items_new(struct arena *arena, const struct dht_items_config *config,
		  const struct kad_id *own_id, struct random *random, struct dht_items **out_items)
{
	struct kad_storage_config index = index_config(config);
	struct dht_items *items = arena_alloc(arena, sizeof(*items));
	int err;

	if (!items)
		return WEFT_EFULL;
	err = pool_init(&items->slots, arena, sizeof(struct slot), slot_cap(config));
	if (err < 0)
		return err;
	err = kad_storage_new(arena,
			      &(struct kad_storage_params){.config = &index,
							   .own_id = own_id,
							   .random = random,
							   .dropped = slot_dropped,
							   .arg = items},
			      &items->index);
	if (err < 0)
		return err;
	*out_items = items;
	return 0;
}

void dht_items_set_own_id(struct dht_items *items, const struct kad_id *own_id)
{
	kad_storage_set_own_id(items->index, own_id);
}

static struct slot *slot_find(const struct dht_items *items, const struct kad_id *target)
{
	const struct kad_value *value = kad_storage_find(items->index, target, &no_owner);

	return value ? pool_lookup(&items->slots, value->handle) : NULL;
}

static void slot_fill(struct slot *slot, const struct dht_item *item)
{
	slot->value_len = (uint16_t)item->value_len;
	memcpy(slot->value, item->value, item->value_len);
	slot->is_mutable = item->key != NULL;
	if (!slot->is_mutable)
		return;
	slot->seq = item->seq;
	slot->salt_len = (uint8_t)item->salt_len;
	memcpy(slot->key, item->key, NODE_KEY_LEN);
	memcpy(slot->sig, item->sig, NODE_KEY_SIG_LEN);
	if (item->salt_len)
		memcpy(slot->salt, item->salt, item->salt_len);
}

static bool slot_has_value(const struct slot *slot, const struct dht_item *item)
{
	return slot->value_len == item->value_len &&
	       memcmp(slot->value, item->value, item->value_len) == 0;
}

/* The very bytes that are there; both have the same target. */
static bool slot_is(const struct slot *slot, const struct dht_item *item)
{
	if (!slot_has_value(slot, item))
		return false;
	return !slot->is_mutable ||
	       (slot->seq == item->seq && memcmp(slot->sig, item->sig, NODE_KEY_SIG_LEN) == 0);
}

/* The checks that cost nothing. */
static enum dht_reason limits_judge(const struct dht_item *item)
{
	if (item->value_len > DHT_VALUE_LEN_MAX)
		return DHT_LONG_VALUE;
	if (item->key && item->salt_len > DHT_SALT_LEN_MAX)
		return DHT_LONG_SALT;
	return item->key && item->seq < 0 ? DHT_NO_SEQ : DHT_STORED;
}

/* Judges a put over the stored item, which has the same key and salt. */
static enum dht_reason successor_judge(const struct slot *slot, const struct dht_items_put *put)
{
	if (put->has_cas && put->cas != slot->seq)
		return DHT_CAS_MISMATCH;
	if (put->item->seq < slot->seq)
		return DHT_OLD_SEQ;
	if (put->item->seq == slot->seq && !slot_has_value(slot, put->item))
		return DHT_EQUAL_SEQ;
	return DHT_STORED;
}

static enum dht_reason item_add(struct dht_items *items, const struct dht_items_put *put,
				const struct kad_id *target, uint64_t now_ns)
{
	struct slot *slot = pool_acquire(&items->slots);
	struct kad_value value = {
		.key = *target,
		.source = *put->source,
		.expires_ns = now_ns + DHT_ITEM_LIFE_NS,
	};
	enum kad_put done;

	weft_assert(slot);
	slot_fill(slot, put->item);
	value.seq = (uint64_t)slot->seq;
	value.handle = pool_handle_of(&items->slots, slot);
	done = kad_storage_put(items->index, &value, now_ns);
	if (done == KAD_PUT_ADDED || done == KAD_PUT_REPLACED)
		return DHT_STORED;
	pool_release(&items->slots, slot);
	return done == KAD_PUT_SUBNET_FULL ? DHT_SUBNET_FULL : DHT_STORE_FULL;
}

enum dht_reason dht_items_put(struct dht_items *items, const struct dht_items_put *put,
			      uint64_t now_ns, struct kad_id *out_target)
{
	const struct dht_item *item = put->item;
	enum dht_reason reason = limits_judge(item);
	const struct slot *slot;

	if (reason != DHT_STORED)
		return reason;
	dht_item_target(item, out_target);
	slot = slot_find(items, out_target);
	if (slot && slot->is_mutable)
		reason = successor_judge(slot, put);
	if (reason != DHT_STORED)
		return reason;
	if (slot && slot_is(slot, item)) {
		const struct kad_value again = {.key = *out_target,
						.source = *put->source,
						.expires_ns = now_ns + DHT_ITEM_LIFE_NS};

		(void)kad_storage_refresh(items->index, &again, now_ns);
		return DHT_STORED;
	}
	if (dht_item_verify(item) < 0)
		return DHT_BAD_SIGNATURE;
	return item_add(items, put, out_target, now_ns);
}

bool dht_items_get(const struct dht_items *items, const struct kad_id *target,
		   struct dht_item *out_item)
{
	const struct slot *slot = slot_find(items, target);

	if (!slot)
		return false;
	*out_item = (struct dht_item){.value = slot->value, .value_len = slot->value_len};
	if (slot->is_mutable) {
		out_item->key = slot->key;
		out_item->sig = slot->sig;
		out_item->salt = slot->salt;
		out_item->salt_len = slot->salt_len;
		out_item->seq = slot->seq;
	}
	return true;
}

void dht_items_expire(struct dht_items *items, uint64_t now_ns)
{
	kad_storage_expire(items->index, now_ns);
}

uint64_t dht_items_next_ns(const struct dht_items *items)
{
	return kad_storage_next_ns(items->index);
}

uint32_t dht_items_not_before_ms(struct dht_items *items, const struct addr *source,
				 uint64_t now_ns)
{
	const struct kad_value value = {.source = *source};

	return kad_storage_not_before_ms(items->index, &value, now_ns);
}

void dht_items_view(const struct dht_items *items, struct fair_view *out)
{
	kad_storage_view(items->index, out);
}

uint32_t dht_items_cnt(const struct dht_items *items)
{
	return items->slots.used_cnt;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records lie in a pool. Each key has a list of its records, and each subnet a count. One binary
 * heap holds all records by expiry. The heap is also the array from which random draws are made.
 * The choice of the value that gives way is in storage_share.c.
 */
#include "kad/storage.h"

#include <string.h>

#include "base/memory/arena.h"
#include "base/assert.h"
#include "base/random.h"
#include "kad/storage_state.h"

int kad_storage_new(struct arena *arena, const struct kad_storage_params *params,
		    struct kad_storage **out_storage)
{
	const struct kad_storage_config *config = params->config;
	struct kad_storage *storage = arena_alloc(arena, sizeof(*storage));
	unsigned cap = config->value_cap;
	uint64_t secret[2];
	int err;

	weft_assert(cap >= KAD_STORAGE_CAP_MIN);
	weft_assert(config->key_max >= 1 && config->subnet_max >= 1);
	if (!storage)
		return WEFT_EFULL;
	random_fill(params->random, secret, sizeof(secret));
	*storage = (struct kad_storage){.config = *config,
					.own_id = *params->own_id,
					.random = params->random,
					.dropped = params->dropped,
					.arg = params->arg};
	if ((err = pool_init(&storage->records, arena, sizeof(struct storage_record), cap)) < 0 ||
	    (err = pool_init(&storage->keys, arena, sizeof(struct storage_key), cap)) < 0 ||
	    (err = pool_init(&storage->subnets, arena, sizeof(struct storage_subnet), cap)) < 0 ||
	    (err = map_init(&storage->by_key, arena, KAD_ID_LEN, cap, secret)) < 0 ||
	    (err = map_init(&storage->by_subnet, arena, sizeof(struct addr), cap, secret)) < 0)
		return err;
	storage->heap = arena_alloc(arena, cap * sizeof(struct storage_record *));
	if (!storage->heap)
		return WEFT_EFULL;
	if ((err = kad_storage_share_init(storage, arena, secret)) < 0)
		return err;
	*out_storage = storage;
	return 0;
}

void kad_storage_set_own_id(struct kad_storage *storage, const struct kad_id *own_id)
{
	storage->own_id = *own_id;
}

/* --- the heap --- */

static void heap_place(struct kad_storage *storage, struct storage_record *record, unsigned idx)
{
	storage->heap[idx] = record;
	record->heap_idx = idx;
}

/* Moves the record at its place up or down to where its expiry belongs. */
static void heap_settle(struct kad_storage *storage, struct storage_record *record)
{
	unsigned idx = record->heap_idx, cnt = storage->records.used_cnt;

	while (idx > 0 &&
	       storage->heap[(idx - 1) / 2]->value.expires_ns > record->value.expires_ns) {
		heap_place(storage, storage->heap[(idx - 1) / 2], idx);
		idx = (idx - 1) / 2;
	}
	for (;;) {
		unsigned child = 2 * idx + 1;

		if (child + 1 < cnt && storage->heap[child + 1]->value.expires_ns <
					       storage->heap[child]->value.expires_ns)
			child++;
		if (child >= cnt ||
		    storage->heap[child]->value.expires_ns >= record->value.expires_ns)
			break;
		heap_place(storage, storage->heap[child], idx);
		idx = child;
	}
	heap_place(storage, record, idx);
}

/* --- lists of a key, counts of a subnet --- */

static void key_link_first(struct storage_key *key, struct storage_record *record)
{
	record->prev = NULL;
	record->next = key->first;
	if (key->first)
		key->first->prev = record;
	else
		key->last = record;
	key->first = record;
	key->cnt++;
}

static void key_unlink(struct storage_key *key, struct storage_record *record)
{
	if (record->prev)
		record->prev->next = record->next;
	else
		key->first = record->next;
	if (record->next)
		record->next->prev = record->prev;
	else
		key->last = record->prev;
	key->cnt--;
}

static struct storage_record *key_find(const struct storage_key *key, const struct kad_id *owner)
{
	struct storage_record *record = key ? key->first : NULL;

	while (record && !kad_id_equal(&record->value.owner, owner))
		record = record->next;
	return record;
}

static struct storage_subnet *subnet_of(const struct kad_storage *storage,
					const struct addr *source)
{
	struct addr prefix = kad_subnet(source);

	return map_lookup(&storage->by_subnet, &prefix);
}

/* Maps and pools have room for as many keys and subnets as there are records. */
static struct storage_subnet *subnet_join(struct kad_storage *storage, const struct addr *source)
{
	struct storage_subnet *subnet = subnet_of(storage, source);
	int err;

	if (!subnet) {
		subnet = pool_acquire(&storage->subnets);
		weft_assert(subnet != NULL);
		subnet->prefix = kad_subnet(source);
		err = map_put(&storage->by_subnet, &subnet->prefix, subnet);
		weft_assert(err == 0);
	}
	subnet->cnt++;
	return subnet;
}

static void subnet_leave(struct kad_storage *storage, struct storage_subnet *subnet)
{
	if (--subnet->cnt)
		return;
	map_delete(&storage->by_subnet, &subnet->prefix);
	pool_release(&storage->subnets, subnet);
}

/* --- in and out --- */

static void record_drop(struct kad_storage *storage, struct storage_record *record)
{
	struct storage_key *key = map_lookup(&storage->by_key, &record->value.key);
	struct storage_record *moved = storage->heap[storage->records.used_cnt - 1];
	struct kad_value value = record->value;
	unsigned idx = record->heap_idx;

	key_unlink(key, record);
	if (!key->cnt) {
		map_delete(&storage->by_key, &value.key);
		pool_release(&storage->keys, key);
	}
	subnet_leave(storage, record->subnet);
	fair_release(&storage->fair, &record->slot, storage->fair.now_ns);
	pool_release(&storage->records, record);
	if (moved != record) {
		heap_place(storage, moved, idx);
		heap_settle(storage, moved);
	}
	storage->dropped(storage->arg, &value);
}

static void record_add(struct kad_storage *storage, const struct kad_value *value, uint64_t now_ns)
{
	struct storage_key *key = map_lookup(&storage->by_key, &value->key);
	struct storage_record *record = pool_acquire(&storage->records);
	int err;

	weft_assert(record != NULL);
	if (!key) {
		key = pool_acquire(&storage->keys);
		weft_assert(key != NULL);
		err = map_put(&storage->by_key, &value->key, key);
		weft_assert(err == 0);
	}
	record->value = *value;
	record->subnet = subnet_join(storage, &value->source);
	kad_storage_share_take(storage, record, now_ns);
	key_link_first(key, record);
	heap_place(storage, record, storage->records.used_cnt - 1);
	heap_settle(storage, record);
}

/* The owner's newer value takes the place of its former one, which keeps its standing. */
static void record_replace(struct kad_storage *storage, struct storage_record *record,
			   const struct kad_value *value, uint64_t now_ns)
{
	struct storage_key *key = map_lookup(&storage->by_key, &value->key);
	struct storage_subnet *subnet = record->subnet;
	struct kad_value former = record->value;

	record->subnet = subnet_join(storage, &value->source);
	subnet_leave(storage, subnet);
	record->value = *value;
	heap_settle(storage, record);
	key_unlink(key, record);
	key_link_first(key, record);
	kad_storage_share_refresh(storage, record, &value->source, now_ns);
	storage->dropped(storage->arg, &former);
}

static enum kad_put put_counted(struct kad_storage *storage, enum kad_put put)
{
	storage->counts.put[put]++;
	return put;
}

/* A source that had its place in the subnet's share keeps it. */
static bool subnet_has_room(const struct kad_storage *storage, const struct addr *source,
			    const struct storage_record *former)
{
	const struct storage_subnet *subnet = subnet_of(storage, source);

	return !subnet || subnet->cnt < storage->config.subnet_max ||
	       (former && former->subnet == subnet);
}

bool kad_storage_has_room_for(const struct kad_storage *storage, const struct kad_value *value)
{
	return subnet_has_room(storage, &value->source,
			       key_find(map_lookup(&storage->by_key, &value->key), &value->owner));
}

enum kad_put kad_storage_put(struct kad_storage *storage, const struct kad_value *value,
			     uint64_t now_ns)
{
	struct storage_key *key = map_lookup(&storage->by_key, &value->key);
	struct storage_record *former = key_find(key, &value->owner), *payer = NULL;

	if (former && value->seq < former->value.seq)
		return put_counted(storage, KAD_PUT_OLDER);
	if (!subnet_has_room(storage, &value->source, former))
		return put_counted(storage, KAD_PUT_SUBNET_FULL);
	if (former) {
		record_replace(storage, former, value, now_ns);
		return put_counted(storage, KAD_PUT_REPLACED);
	}
	if (key)
		payer = kad_storage_key_payer(storage, key, value);
	if (payer) {
		storage->counts.displaced++;
		record_drop(storage, payer);
	} else if (storage->records.used_cnt == storage->config.value_cap &&
		   !kad_storage_evict(storage, value, now_ns)) {
		kad_storage_share_refuse(storage, value, now_ns);
		return put_counted(storage, KAD_PUT_FARTHER);
	}
	record_add(storage, value, now_ns);
	return put_counted(storage, KAD_PUT_ADDED);
}

bool kad_storage_refresh(struct kad_storage *storage, const struct kad_value *value,
			 uint64_t now_ns)
{
	struct storage_key *key = map_lookup(&storage->by_key, &value->key);
	struct storage_record *record = key_find(key, &value->owner);

	if (!record)
		return false;
	record->value.expires_ns = value->expires_ns;
	heap_settle(storage, record);
	key_unlink(key, record);
	key_link_first(key, record);
	kad_storage_share_refresh(storage, record, &value->source, now_ns);
	return true;
}

void kad_storage_drop(struct kad_storage *storage, const struct kad_id *key,
		      const struct kad_id *owner)
{
	struct storage_record *record = key_find(map_lookup(&storage->by_key, key), owner);

	if (record)
		record_drop(storage, record);
}

bool kad_storage_evict(struct kad_storage *storage, const struct kad_value *value, uint64_t now_ns)
{
	struct storage_record *payer = kad_storage_share_payer(storage, value, now_ns);

	if (!payer)
		return false;
	storage->counts.evicted++;
	fair_evict(&storage->fair, &payer->slot, now_ns);
	record_drop(storage, payer);
	return true;
}

const struct kad_value *kad_storage_first(const struct kad_storage *storage,
					  const struct kad_id *key_id)
{
	const struct storage_key *key = map_lookup(&storage->by_key, key_id);

	return key ? &key->first->value : NULL;
}

const struct kad_value *kad_storage_next(const struct kad_value *value)
{
	const struct storage_record *next = ((const struct storage_record *)value)->next;

	return next ? &next->value : NULL;
}

unsigned kad_storage_key_cnt(const struct kad_storage *storage, const struct kad_id *key_id)
{
	const struct storage_key *key = map_lookup(&storage->by_key, key_id);

	return key ? key->cnt : 0;
}

const struct kad_value *kad_storage_find(const struct kad_storage *storage,
					 const struct kad_id *key, const struct kad_id *owner)
{
	const struct storage_record *record = key_find(map_lookup(&storage->by_key, key), owner);

	return record ? &record->value : NULL;
}

void kad_storage_expire(struct kad_storage *storage, uint64_t now_ns)
{
	while (storage->records.used_cnt && storage->heap[0]->value.expires_ns <= now_ns) {
		record_drop(storage, storage->heap[0]);
		storage->counts.expired++;
	}
}

uint64_t kad_storage_next_ns(const struct kad_storage *storage)
{
	return storage->records.used_cnt ? storage->heap[0]->value.expires_ns : UINT64_MAX;
}

void kad_storage_count(const struct kad_storage *storage, struct kad_storage_counts *out_counts)
{
	*out_counts = storage->counts;
	out_counts->values = storage->records.used_cnt;
	out_counts->keys = storage->keys.used_cnt;
	out_counts->subnets = storage->subnets.used_cnt;
}

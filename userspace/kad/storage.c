/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records lie in a pool; each key has a list of its records, each subnet a
 * count, and one binary heap holds all records by expiry. The heap is also
 * the array that random draws are made from.
 */
#include "kad/storage.h"

#include <string.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/map.h"
#include "base/pool.h"
#include "base/random.h"

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
	unsigned heap_idx;
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
	struct kad_storage_counts counts;
};

static size_t aligned(size_t len)
{
	return (len + 63) & ~(size_t)63;
}

size_t kad_storage_footprint(const struct kad_storage_config *config)
{
	unsigned cap = config->value_cap;

	return aligned(sizeof(struct kad_storage)) +
	       pool_footprint(sizeof(struct storage_record), cap) +
	       pool_footprint(sizeof(struct storage_key), cap) +
	       pool_footprint(sizeof(struct storage_subnet), cap) + map_footprint(KAD_ID_LEN, cap) +
	       map_footprint(sizeof(struct addr), cap) +
	       aligned(cap * sizeof(struct storage_record *));
}

int kad_storage_new(struct arena *arena, const struct kad_storage_config *config,
		    const struct kad_id *own_id, struct random *random, kad_dropped_fn dropped,
		    void *arg, struct kad_storage **out_storage)
{
	struct kad_storage *storage = arena_alloc(arena, sizeof(*storage));
	unsigned cap = config->value_cap;
	uint64_t secret[2];
	int err;

	weft_assert(cap >= 1 && config->key_max >= 1 && config->subnet_max >= 1);
	if (!storage)
		return WEFT_EFULL;
	random_fill(random, secret, sizeof(secret));
	*storage = (struct kad_storage){.config = *config,
					.own_id = *own_id,
					.random = random,
					.dropped = dropped,
					.arg = arg};
	if ((err = pool_init(&storage->records, arena, sizeof(struct storage_record), cap)) < 0 ||
	    (err = pool_init(&storage->keys, arena, sizeof(struct storage_key), cap)) < 0 ||
	    (err = pool_init(&storage->subnets, arena, sizeof(struct storage_subnet), cap)) < 0 ||
	    (err = map_init(&storage->by_key, arena, KAD_ID_LEN, cap, secret)) < 0 ||
	    (err = map_init(&storage->by_subnet, arena, sizeof(struct addr), cap, secret)) < 0)
		return err;
	storage->heap = arena_alloc(arena, cap * sizeof(struct storage_record *));
	if (!storage->heap)
		return WEFT_EFULL;
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
	pool_release(&storage->records, record);
	if (moved != record) {
		heap_place(storage, moved, idx);
		heap_settle(storage, moved);
	}
	storage->dropped(storage->arg, &value);
}

static void record_add(struct kad_storage *storage, const struct kad_value *value)
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
	key_link_first(key, record);
	heap_place(storage, record, storage->records.used_cnt - 1);
	heap_settle(storage, record);
}

/* Of a few drawn at random the one farthest from us, or NULL if none is farther than key. */
static struct storage_record *draw_farther(struct kad_storage *storage, const struct kad_id *key)
{
	struct storage_record *farthest = NULL;

	for (unsigned i = 0; i < KAD_STORAGE_DRAWS; i++) {
		uint64_t idx = random_below(storage->random, storage->records.used_cnt);
		struct storage_record *drawn = storage->heap[idx];
		const struct kad_id *nearer = farthest ? &farthest->value.key : key;

		if (kad_id_is_nearer(&storage->own_id, nearer, &drawn->value.key))
			farthest = drawn;
	}
	return farthest;
}

static enum kad_put put_counted(struct kad_storage *storage, enum kad_put put)
{
	storage->counts.put[put]++;
	return put;
}

/* Who had its place in the subnet's share keeps it. */
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

enum kad_put kad_storage_put(struct kad_storage *storage, const struct kad_value *value)
{
	struct storage_key *key = map_lookup(&storage->by_key, &value->key);
	struct storage_record *former = key_find(key, &value->owner), *victim = NULL;
	bool is_displacing = !former && key && key->cnt >= storage->config.key_max;

	if (former && value->seq < former->value.seq)
		return put_counted(storage, KAD_PUT_OLDER);
	if (!subnet_has_room(storage, &value->source, former))
		return put_counted(storage, KAD_PUT_SUBNET_FULL);
	if (former)
		victim = former;
	else if (is_displacing)
		victim = key->last;
	else if (storage->records.used_cnt == storage->config.value_cap) {
		victim = draw_farther(storage, &value->key);
		if (!victim)
			return put_counted(storage, KAD_PUT_FARTHER);
		storage->counts.evicted++;
	}
	storage->counts.displaced += is_displacing;
	if (victim)
		record_drop(storage, victim);
	record_add(storage, value);
	return put_counted(storage, former ? KAD_PUT_REPLACED : KAD_PUT_ADDED);
}

bool kad_storage_refresh(struct kad_storage *storage, const struct kad_id *key_id,
			 const struct kad_id *owner, uint64_t expires_ns)
{
	struct storage_key *key = map_lookup(&storage->by_key, key_id);
	struct storage_record *record = key_find(key, owner);

	if (!record)
		return false;
	record->value.expires_ns = expires_ns;
	heap_settle(storage, record);
	key_unlink(key, record);
	key_link_first(key, record);
	return true;
}

void kad_storage_drop(struct kad_storage *storage, const struct kad_id *key,
		      const struct kad_id *owner)
{
	struct storage_record *record = key_find(map_lookup(&storage->by_key, key), owner);

	if (record)
		record_drop(storage, record);
}

bool kad_storage_evict(struct kad_storage *storage, const struct kad_id *key)
{
	struct storage_record *victim =
		storage->records.used_cnt ? draw_farther(storage, key) : NULL;

	if (!victim)
		return false;
	storage->counts.evicted++;
	record_drop(storage, victim);
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"

#include <string.h>

#include "base/memory/arena.h"
#include "base/assert.h"
#include "base/monotonic.h"
#include "base/memory/heap.h"
#include "base/siphash_bytes.h"
#include "codec/cbor_fields.h"
#include "store/store.h"

#define RECORD_LAYOUT  1
#define RECORD_LEN_MAX (SERVICE_DESCRIPTOR_LEN_MAX + 32)
#define RECORD_KEY_LEN (SERVICE_ID_LEN + 4)

/* Late enough that a lookup's descriptors are one commit. */
#define FLUSH_DELAY_NS (5 * NS_PER_S)
#define BATCH_CNT_MAX  256u
/* The time a descriptor was received is written as often as its age has to be true. */
#define HEARD_STEP_S 600u

/* --- the store --- */

static void record_key(const struct service_descriptor *descriptor,
		       uint8_t key[static RECORD_KEY_LEN])
{
	struct writer w = writer_of(key, RECORD_KEY_LEN);

	writer_bytes(&w, descriptor->id, SERVICE_ID_LEN);
	writer_be32(&w, descriptor->major);
}

static void cache_flush(struct service_cache *cache)
{
	if (!cache->batch)
		return;
	/* A descriptor that the store has no room for is found again after the next start. */
	if (store_submit(cache->store, cache->batch, NULL, NULL) < 0)
		store_batch_free(cache->batch);
	cache->batch = NULL;
	cache->batch_cnt = 0;
}

static void flush_expire(struct timer *timer, uint64_t now_ns)
{
	(void)now_ns;
	cache_flush(container_of(timer, struct service_cache, flush_timer));
}

/* The batch to add one change to; NULL: nothing is kept. */
static struct store_batch *batch_next(struct service_cache *cache, uint64_t now_ns)
{
	if (!cache->store)
		return NULL;
	if (cache->batch_cnt == BATCH_CNT_MAX)
		cache_flush(cache);
	if (!cache->batch) {
		cache->batch = store_batch_new(cache->store);
		timer_set(cache->timers, &cache->flush_timer, now_ns + FLUSH_DELAY_NS);
	}
	cache->batch_cnt += cache->batch != NULL;
	return cache->batch;
}

/* An entry as it is kept. */
struct record {
	uint64_t heard_s;
	const uint8_t *bytes; /* of the descriptor */
	size_t len;
};

static const struct cbor_field record_fields[] = {
	{0, CBOR_FIELD_CONSTANT, CBOR_USUAL, .max = RECORD_LAYOUT},
	{1, CBOR_FIELD_UINT, CBOR_USUAL, CBOR_AT(struct record, heard_s)},
	{2, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct record, bytes),
	 CBOR_LEN(struct record, len)},
};
static const struct cbor_table record_table = {CBOR_FIELDS(record_fields)};

static void entry_save(struct service_cache *cache, struct service_cache_entry *entry,
		       uint64_t now_ns)
{
	struct store_batch *batch = batch_next(cache, now_ns);
	uint8_t key[RECORD_KEY_LEN], record[RECORD_LEN_MAX];
	struct writer w = writer_of(record, sizeof(record));

	if (!batch)
		return;
	record_key(&entry->descriptor, key);
	cbor_fields_write(&w, &record_table,
			  &(struct record){entry->heard_s, entry->bytes, entry->len});
	store_batch_put(batch, STORE_DIRECTORY, store_key(key, sizeof(key)), record,
			writer_len(&w));
	entry->stored_s = entry->heard_s;
}

static void entry_unsave(struct service_cache *cache, const struct service_cache_entry *entry,
			 uint64_t now_ns)
{
	struct store_batch *batch = entry->stored_s ? batch_next(cache, now_ns) : NULL;
	uint8_t key[RECORD_KEY_LEN];

	if (!batch)
		return;
	record_key(&entry->descriptor, key);
	store_batch_delete(batch, STORE_DIRECTORY, store_key(key, sizeof(key)));
}

/* --- the tables --- */

int service_cache_init(struct service_cache *cache, struct arena *arena, uint32_t entry_cap,
		       size_t memory_len, const uint64_t secret[2])
{
	int err;

	list_init(&cache->by_age);
	cache->secret[0] = secret[0];
	cache->secret[1] = secret[1];
	timer_init(&cache->flush_timer, flush_expire);
	if ((err = pool_init(&cache->entries, arena, sizeof(struct service_cache_entry),
			     entry_cap)) < 0 ||
	    (err = pool_init(&cache->names, arena, sizeof(struct service_cache_name), entry_cap)) <
		    0 ||
	    (err = map_init(&cache->by_name, arena, SERVICE_NAME_LEN_MAX, entry_cap, secret)) < 0 ||
	    (err = map_init(&cache->by_id, arena, SERVICE_ID_LEN, entry_cap, secret)) < 0)
		return err;
	return heap_new(memory_len, &cache->heap);
}

void service_cache_fini(struct service_cache *cache)
{
	cache_flush(cache);
	if (cache->timers)
		timer_cancel(cache->timers, &cache->flush_timer);
	heap_free(cache->heap);
	cache->heap = NULL;
}

/* The key of a name in by_name; name has at most SERVICE_NAME_LEN_MAX bytes. */
static void name_key(const char *name, char key[static SERVICE_NAME_LEN_MAX])
{
	size_t len = strlen(name);

	memcpy(key, name, len);
	memset(key + len, 0, SERVICE_NAME_LEN_MAX - len);
}

struct service_cache_name *service_cache_lookup_name(const struct service_cache *cache,
						     const char *name)
{
	char key[SERVICE_NAME_LEN_MAX];

	name_key(name, key);
	return map_lookup(&cache->by_name, key);
}

struct service_cache_entry *service_cache_lookup_id(const struct service_cache *cache,
						    const uint8_t *id)
{
	return map_lookup(&cache->by_id, id);
}

static struct service_cache_entry *cache_find(const struct service_cache *cache,
					      const struct service_descriptor *descriptor)
{
	struct service_cache_entry *entry = service_cache_lookup_id(cache, descriptor->id);

	while (entry && entry->descriptor.major != descriptor->major)
		entry = entry->next_of_id;
	return entry;
}

static void entry_unlink_id(struct service_cache *cache, struct service_cache_entry *entry)
{
	struct service_cache_entry *at = service_cache_lookup_id(cache, entry->descriptor.id);

	if (at != entry) {
		while (at->next_of_id != entry)
			at = at->next_of_id;
		at->next_of_id = entry->next_of_id;
	} else if (entry->next_of_id) {
		weft_assert(map_put(&cache->by_id, entry->descriptor.id, entry->next_of_id) == 0);
	} else {
		map_delete(&cache->by_id, entry->descriptor.id);
	}
}

static void entry_release(struct service_cache *cache, struct service_cache_entry *entry)
{
	struct service_cache_name *name = entry->name;

	entry_unlink_id(cache, entry);
	list_unlink(&entry->of_name);
	list_unlink(&entry->by_age);
	heap_release(cache->heap, entry->bytes);
	pool_release(&cache->entries, entry);
	if (--name->entry_cnt == 0) {
		map_delete(&cache->by_name, name->text);
		pool_release(&cache->names, name);
	}
}

static void entry_forget(struct service_cache *cache, struct service_cache_entry *entry,
			 uint64_t now_ns)
{
	entry_unsave(cache, entry, now_ns);
	entry_release(cache, entry);
}

/* --- making room --- */

static struct service_cache_entry *name_worst(const struct service_cache *cache,
					      const struct service_cache_name *name,
					      unsigned *out_rank)
{
	struct service_cache_entry *worst = NULL;
	unsigned worst_rank = UINT32_MAX;

	for (struct list_node *at = name->entries.next; at != &name->entries; at = at->next) {
		struct service_cache_entry *entry =
			container_of(at, struct service_cache_entry, of_name);
		unsigned rank = cache->rank(cache->ctx, &entry->descriptor);

		if (!worst || rank < worst_rank) {
			worst = entry;
			worst_rank = rank;
		}
	}
	*out_rank = worst_rank;
	return worst;
}

static unsigned id_cnt(const struct service_cache *cache, const uint8_t *id)
{
	unsigned cnt = 0;

	for (const struct service_cache_entry *entry = service_cache_lookup_id(cache, id); entry;
	     entry = entry->next_of_id)
		cnt++;
	return cnt;
}

/* A name with too many entries gives one up only for a better one. */
static bool name_make_room(struct service_cache *cache, const struct service_descriptor *descriptor,
			   uint64_t now_ns)
{
	struct service_cache_name *name = service_cache_lookup_name(cache, descriptor->name);
	struct service_cache_entry *worst;
	unsigned worst_rank;

	if (id_cnt(cache, descriptor->id) >= SERVICE_CACHE_PER_ID_MAX)
		return false;
	if (!name || name->entry_cnt < SERVICE_CACHE_PER_NAME_MAX)
		return true;
	worst = name_worst(cache, name, &worst_rank);
	if (cache->rank(cache->ctx, descriptor) <= worst_rank)
		return false;
	entry_forget(cache, worst, now_ns);
	return true;
}

static bool cache_forget_oldest(struct service_cache *cache, uint64_t now_ns)
{
	if (list_is_empty(&cache->by_age))
		return false;
	entry_forget(cache, container_of(cache->by_age.next, struct service_cache_entry, by_age),
		     now_ns);
	return true;
}

static uint8_t *bytes_copy(struct service_cache *cache, const uint8_t *bytes, size_t len,
			   uint64_t now_ns)
{
	uint8_t *copy;

	while (!(copy = heap_alloc(cache->heap, len)))
		if (!cache_forget_oldest(cache, now_ns))
			return NULL;
	memcpy(copy, bytes, len);
	return copy;
}

/* --- putting --- */

static struct service_cache_name *name_acquire(struct service_cache *cache, const char *text)
{
	struct service_cache_name *name = service_cache_lookup_name(cache, text);

	if (name)
		return name;
	/* There are as many names as entries, and each has one at least. */
	name = pool_acquire(&cache->names);
	weft_assert(name);
	name_key(text, name->text);
	list_init(&name->entries);
	weft_assert(map_put(&cache->by_name, name->text, name) == 0);
	return name;
}

static struct service_cache_entry *entry_add(struct service_cache *cache,
					     const struct service_descriptor *descriptor)
{
	struct service_cache_entry *entry = pool_acquire(&cache->entries);

	weft_assert(entry);
	entry->name = name_acquire(cache, descriptor->name);
	entry->name->entry_cnt++;
	list_push_back(&entry->name->entries, &entry->of_name);
	list_init(&entry->by_age);
	entry->next_of_id = service_cache_lookup_id(cache, descriptor->id);
	entry->lot = siphash(cache->secret, descriptor->id, sizeof(descriptor->id));
	weft_assert(map_put(&cache->by_id, descriptor->id, entry) == 0);
	return entry;
}

static void entry_hear(struct service_cache *cache, struct service_cache_entry *entry,
		       uint64_t wall_s, uint64_t now_ns)
{
	entry->heard_s = wall_s;
	list_unlink(&entry->by_age);
	list_push_back(&cache->by_age, &entry->by_age);
	if (wall_s - entry->stored_s >= HEARD_STEP_S)
		entry_save(cache, entry, now_ns);
}

static bool entry_is(const struct service_cache_entry *entry, const uint8_t *bytes, size_t len)
{
	return entry->len == len && memcmp(entry->bytes, bytes, len) == 0;
}

/* bytes were parsed before, elsewhere: they are fine. */
static void entry_parse(struct service_cache_entry *entry)
{
	const char *version = entry->descriptor.version;

	weft_assert(service_descriptor_parse(entry->bytes, entry->len, &entry->descriptor) ==
		    SERVICE_FINE);
	weft_assert(semver_parse(version, strlen(version), &entry->version) == 0);
}

/* entry_make: NULL: there is no room. */
static struct service_cache_entry *entry_make(struct service_cache *cache,
					      const struct service_descriptor *descriptor,
					      const uint8_t *bytes, size_t len, uint64_t now_ns)
{
	struct service_cache_entry *entry;
	uint8_t *copy;

	if (!cache_find(cache, descriptor)) {
		if (!name_make_room(cache, descriptor, now_ns))
			return NULL;
		if (cache->entries.used_cnt == cache->entries.cap_cnt)
			(void)cache_forget_oldest(cache, now_ns);
	}
	if (!(copy = bytes_copy(cache, bytes, len, now_ns)))
		return NULL;
	/* Making room for the bytes may have taken the entry itself. */
	entry = cache_find(cache, descriptor);
	if (!entry)
		entry = entry_add(cache, descriptor);
	heap_release(cache->heap, entry->bytes);
	entry->bytes = copy;
	entry->len = len;
	entry_parse(entry);
	return entry;
}

enum service_fault service_cache_put(struct service_cache *cache, const uint8_t *bytes, size_t len,
				     uint64_t wall_s, uint64_t now_ns)
{
	struct service_descriptor descriptor;
	struct service_cache_entry *entry;
	enum service_fault fault = service_descriptor_parse(bytes, len, &descriptor);

	if (fault)
		return fault;
	entry = cache_find(cache, &descriptor);
	if (entry && entry_is(entry, bytes, len)) {
		entry_hear(cache, entry, wall_s, now_ns);
		return SERVICE_FINE;
	}
	if (entry && entry->descriptor.seq >= descriptor.seq)
		return SERVICE_REPLAYED;
	if (!(entry = entry_make(cache, &descriptor, bytes, len, now_ns)))
		return SERVICE_CROWDED_OUT;
	entry->stored_s = 0;
	entry_hear(cache, entry, wall_s, now_ns);
	return SERVICE_FINE;
}

void service_cache_expire(struct service_cache *cache, uint64_t wall_s, uint64_t now_ns)
{
	struct service_cache_entry *entry = NULL;

	while ((entry = pool_next(&cache->entries, entry)))
		if (service_descriptor_check_times(&entry->descriptor, wall_s) == SERVICE_EXPIRED)
			entry_forget(cache, entry, now_ns);
}

/* --- loading --- */

static bool record_parse(const struct store_item *item, struct record *record)
{
	struct cbor_reader r;

	if (cbor_enter_record(&r, item->value, item->value_len, RECORD_LAYOUT) < 0)
		return false;
	cbor_fields_read_on(&r, &record_table, record);
	return cbor_reader_finish(&r) == 0;
}

/* Records come in the order of their ids. */
static void cache_order(struct service_cache *cache, struct service_cache_entry *entry)
{
	struct list_node *at;

	list_unlink(&entry->by_age);
	for (at = cache->by_age.next; at != &cache->by_age; at = at->next)
		if (container_of(at, struct service_cache_entry, by_age)->heard_s > entry->heard_s)
			break;
	list_push_back(at, &entry->by_age);
}

/* Deletes a record that is unreadable, unverified or expired. */
static void record_load(struct service_cache *cache, const struct store_item *item, uint64_t wall_s,
			uint64_t now_ns)
{
	struct service_descriptor descriptor;
	struct service_cache_entry *entry;
	struct store_batch *batch;
	struct record record = {.heard_s = 0};

	if (record_parse(item, &record) &&
	    service_descriptor_verify(record.bytes, record.len, wall_s, &descriptor) ==
		    SERVICE_FINE &&
	    (entry = entry_make(cache, &descriptor, record.bytes, record.len, now_ns))) {
		entry->heard_s = entry->stored_s = record.heard_s;
		cache_order(cache, entry);
	} else if ((batch = batch_next(cache, now_ns))) {
		store_batch_delete(batch, STORE_DIRECTORY, store_key(item->key, item->key_len));
	}
}

int service_cache_load(struct service_cache *cache, uint64_t wall_s, uint64_t now_ns)
{
	struct store_iter iter = store_iter_fresh(cache->store, STORE_DIRECTORY, STORE_ALL);
	struct store_item item;

	if (!cache->store)
		return 0;
	while (store_iter_next(&iter, &item))
		record_load(cache, &item, wall_s, now_ns);
	return store_iter_end(&iter);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "values.h"

#include <string.h>

#include "base/memory/arena.h"
#include "base/memory/heap.h"
#include "crypto/sha256.h"

/* More are not evicted for one value: the heap is cut up, then, or the value too large for it. */
#define EVICT_MAX 8

struct overlay_values {
	struct kad_storage *index;
	struct heap *heap;
	void (*forgot)(void *ctx, const struct overlay_stored *kept);
	void *ctx;
	const struct overlay_stored *successor; /* of the one that is dropped now; NULL: none */
};

static struct kad_storage_config index_config(const struct overlay_values_config *config)
{
	return (struct kad_storage_config){
		.name = "overlay.value_cap",
		.value_cap = config->value_cap,
		.key_max = OVERLAY_KEY_MAX,
		.subnet_max = config->subnet_max,
		.site = config->site,
	};
}

static struct overlay_stored *kept_of(const struct kad_value *value)
{
	return (struct overlay_stored *)(uintptr_t)value->handle;
}

static void stored_dropped(void *arg, const struct kad_value *value)
{
	struct overlay_values *values = arg;
	struct overlay_stored *kept = kept_of(value);

	if (!values->successor && values->forgot)
		values->forgot(values->ctx, kept);
	heap_release(values->heap, kept);
}

int overlay_values_new(struct arena *arena, const struct overlay_values_config *config,
		       struct overlay_values **out_values)
{
	struct kad_storage_config index = index_config(config);
	struct overlay_values *values = arena_alloc(arena, sizeof(*values));
	struct kad_storage_params params = {.config = &index,
					    .own_id = config->own_id,
					    .random = config->random,
					    .dropped = stored_dropped,
					    .arg = values};
	int err;

	if (!values)
		return WEFT_EFULL;
	values->forgot = config->forgot;
	values->ctx = config->ctx;
	err = kad_storage_new(arena, &params, &values->index);
	if (err < 0 || (err = heap_new(config->memory_len, &values->heap)) < 0)
		return err;
	*out_values = values;
	return 0;
}

void overlay_values_free(struct overlay_values *values)
{
	if (values)
		heap_free(values->heap);
}

static struct kad_id place_of(const uint8_t *key)
{
	struct kad_id place;

	memcpy(place.bytes, key, sizeof(place.bytes));
	return place;
}

static struct kad_id owner_of(const uint8_t *writer)
{
	uint8_t hash[SHA256_HASH_LEN];

	sha256(writer, OVERLAY_WRITER_LEN, hash);
	return place_of(hash);
}

/* The value of another key at the same place is no accident; it is not shown. */
static bool stored_is_under(const struct overlay_stored *kept, const uint8_t *key)
{
	return memcmp(kept->key, key, OVERLAY_KEY_LEN) == 0;
}

static bool stored_has(const struct overlay_stored *kept, const uint8_t *value, size_t len)
{
	return kept->value_len == len && memcmp(overlay_stored_value(kept), value, len) == 0;
}

/* --- caps of a key --- */

static struct addr source_prefix(const struct addr *source)
{
	return addr_prefix_key(source, source->family == ADDR_IPV4 ? 24 : 56);
}

static bool prefix_is_full(const struct overlay_values *values, const struct kad_id *place,
			   const struct overlay_put *put, const struct kad_value *former)
{
	struct addr prefix = source_prefix(&put->source);
	unsigned cnt = 0;

	if (!put->rule->prefix_max || !kad_subnet_is_capped(&put->source))
		return false;
	for (const struct kad_value *at = kad_storage_first(values->index, place); at;
	     at = kad_storage_next(at)) {
		struct addr other = source_prefix(&at->source);

		cnt += at != former && addr_equal(&other, &prefix);
	}
	return cnt >= put->rule->prefix_max;
}

/* --- in --- */

static struct kad_value value_of(const struct overlay_put *put, const struct kad_id *place,
				 const struct kad_id *owner)
{
	return (struct kad_value){
		.key = *place,
		.owner = *owner,
		.source = put->source,
		.seq = put->claim->seq,
		.expires_ns = put->until_ns,
		.source_class = put->source_class,
		.key_max = put->rule->key_max,
	};
}

static struct overlay_stored *kept_make(struct overlay_values *values,
					const struct kad_value *value,
					const struct overlay_put *put)
{
	size_t len = sizeof(struct overlay_stored) + put->name_len + put->value_len;
	struct overlay_stored *kept = heap_alloc(values->heap, len);

	for (unsigned i = 0; !kept && i < EVICT_MAX; i++) {
		if (!kad_storage_evict(values->index, value, put->now_ns))
			return NULL;
		kept = heap_alloc(values->heap, len);
	}
	if (!kept)
		return NULL;
	*kept = (struct overlay_stored){
		.rule = put->rule,
		.claim = *put->claim,
		.source = put->source,
		.until_ns = put->until_ns,
		.is_checked = put->is_checked,
		.name_len = (uint16_t)put->name_len,
		.value_len = (uint32_t)put->value_len,
	};
	memcpy(kept->key, put->key, sizeof(kept->key));
	memcpy(kept->bytes, put->name, put->name_len);
	memcpy(kept->bytes + put->name_len, put->value, put->value_len);
	return kept;
}

/* Nothing gives way for a value that is refused in the end. */
static enum overlay_reason value_add(struct overlay_values *values, const struct kad_id *place,
				     const struct kad_id *owner, const struct overlay_put *put,
				     const struct overlay_stored **out_kept)
{
	struct overlay_stored *kept;
	struct kad_value value = value_of(put, place, owner);
	enum kad_put done;

	if (!kad_storage_has_room_for(values->index, &value))
		return OVERLAY_SUBNET_FULL;
	kept = kept_make(values, &value, put);
	if (!kept)
		return OVERLAY_STORE_FULL;
	value.handle = (uintptr_t)kept;
	/* The value evicted to make room may have been the former one: then none is replaced. */
	values->successor = kad_storage_find(values->index, place, owner) ? kept : NULL;
	done = kad_storage_put(values->index, &value, put->now_ns);
	values->successor = NULL;
	if (done != KAD_PUT_ADDED && done != KAD_PUT_REPLACED) {
		heap_release(values->heap, kept);
		return OVERLAY_STORE_FULL;
	}
	*out_kept = kept;
	return OVERLAY_STORED;
}

/* A value of the same writer and number, with other bytes. */
static bool put_is_newer(const struct overlay_put *put, const struct overlay_stored *kept)
{
	const struct overlay_value value = {put->name, put->name_len, put->value, put->value_len};
	const struct overlay_value former = {kept->bytes, kept->name_len,
					     overlay_stored_value(kept), kept->value_len};

	return put->rule->is_newer && put->rule->is_newer(put->rule->ctx, &value, &former);
}

enum overlay_reason overlay_values_put(struct overlay_values *values, const struct overlay_put *put,
				       const struct overlay_stored **out_kept)
{
	struct kad_id place = place_of(put->key), owner = owner_of(put->claim->writer);
	const struct kad_value *former = kad_storage_find(values->index, &place, &owner);
	struct overlay_stored *kept = former ? kept_of(former) : NULL;
	struct kad_value value;

	if (kept && !stored_is_under(kept, put->key))
		return OVERLAY_STORE_FULL;
	if (kept && put->claim->seq < kept->claim.seq)
		return OVERLAY_OLD_SEQ;
	if (kept && put->claim->seq == kept->claim.seq &&
	    stored_has(kept, put->value, put->value_len)) {
		kept->until_ns = put->until_ns;
		value = value_of(put, &place, &owner);
		(void)kad_storage_refresh(values->index, &value, put->now_ns);
		*out_kept = kept;
		return OVERLAY_REFRESHED;
	}
	if (kept && put->claim->seq == kept->claim.seq && !put_is_newer(put, kept))
		return OVERLAY_EQUAL_SEQ;
	if (prefix_is_full(values, &place, put, former))
		return OVERLAY_PREFIX_FULL;
	return value_add(values, &place, &owner, put, out_kept);
}

/* --- out --- */

const struct overlay_stored *overlay_values_has(const struct overlay_values *values,
						const uint8_t *key, const uint8_t *value,
						size_t len)
{
	struct kad_id place = place_of(key);

	for (const struct kad_value *at = kad_storage_first(values->index, &place); at;
	     at = kad_storage_next(at))
		if (stored_is_under(kept_of(at), key) && stored_has(kept_of(at), value, len))
			return kept_of(at);
	return NULL;
}

static int writer_compare(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, OVERLAY_WRITER_LEN);
}

unsigned overlay_values_list(const struct overlay_values *values, const uint8_t *key,
			     const uint8_t *after, struct overlay_stored **out)
{
	struct kad_id place = place_of(key);
	unsigned cnt = 0, at;

	for (const struct kad_value *value = kad_storage_first(values->index, &place); value;
	     value = kad_storage_next(value)) {
		struct overlay_stored *kept = kept_of(value);

		if (!stored_is_under(kept, key) ||
		    (after && writer_compare(kept->claim.writer, after) <= 0))
			continue;
		for (at = cnt++;
		     at > 0 && writer_compare(kept->claim.writer, out[at - 1]->claim.writer) < 0;
		     at--)
			out[at] = out[at - 1];
		out[at] = kept;
	}
	return cnt;
}

void overlay_values_drop(struct overlay_values *values, const struct overlay_stored *kept)
{
	struct kad_id place = place_of(kept->key), owner = owner_of(kept->claim.writer);

	kad_storage_drop(values->index, &place, &owner);
}

uint32_t overlay_values_not_before_ms(struct overlay_values *values, const struct overlay_put *put)
{
	struct kad_id place = place_of(put->key), owner = owner_of(put->claim->writer);
	struct kad_value value = value_of(put, &place, &owner);

	return kad_storage_not_before_ms(values->index, &value, put->now_ns);
}

void overlay_values_view(const struct overlay_values *values, struct fair_view *out)
{
	kad_storage_view(values->index, out);
}

void overlay_values_expire(struct overlay_values *values, uint64_t now_ns)
{
	kad_storage_expire(values->index, now_ns);
}

uint64_t overlay_values_next_ns(const struct overlay_values *values)
{
	return kad_storage_next_ns(values->index);
}

void overlay_values_count(const struct overlay_values *values,
			  struct overlay_values_counts *out_counts)
{
	struct kad_storage_counts index;
	struct heap_usage usage;

	kad_storage_count(values->index, &index);
	heap_usage(values->heap, &usage);
	*out_counts = (struct overlay_values_counts){
		.values = index.values,
		.keys = index.keys,
		.len = usage.used_len,
		.evicted = index.evicted,
		.displaced = index.displaced,
	};
}

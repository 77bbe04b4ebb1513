/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records are read here. The newest offers are asked for most, since every find begins with them.
 * So records that were read lately stay in memory, checked as they were, each in the one place that
 * its order leads to.
 */
#include <stdlib.h>
#include <string.h>

#include "base/byte_cursor.h"
#include "offer_store_state.h"

#define CACHE_CNT     4096u /* a power of two */
#define CACHE_LEN_MAX 2048u /* of a record: 8 MiB in all */

int offers_cache_init(struct offer_store *store)
{
	store->cache = arena_alloc(&store->arena, CACHE_CNT * sizeof(struct offer_cached));
	return store->cache ? 0 : WEFT_EFULL;
}

void offers_cache_fini(struct offer_store *store)
{
	for (unsigned i = 0; store->cache && i < CACHE_CNT; i++)
		free(store->cache[i].bytes);
}

static struct offer_cached *cache_place(const struct offer_store *store, uint64_t order)
{
	return &store->cache[order & (CACHE_CNT - 1)];
}

void offers_cache_forget(struct offer_store *store, const struct offer_row *row)
{
	struct offer_cached *cached = cache_place(store, row->order);

	if (cached->order == row->order)
		cached->order = 0;
}

/* Without memory it is read again. */
static void cache_put(struct offer_store *store, uint64_t order, const void *bytes, size_t len)
{
	struct offer_cached *cached = cache_place(store, order);

	if (len > CACHE_LEN_MAX)
		return;
	cached->order = 0;
	if (cached->cap < len) {
		uint8_t *grown = realloc(cached->bytes, len);

		if (!grown)
			return;
		store->cache_len += len - cached->cap;
		cached->bytes = grown;
		cached->cap = (uint32_t)len;
	}
	memcpy(cached->bytes, bytes, len);
	cached->len = (uint32_t)len;
	cached->order = order;
}

static int record_get(struct offer_store *store, struct store_snapshot *snapshot, uint64_t order,
		      struct offer_record *out_record)
{
	uint8_t key[OFFER_RECORD_KEY_LEN];
	struct writer w = writer_of(key, sizeof(key));
	const void *bytes;
	size_t len;
	int err;

	writer_be64(&w, order);
	err = store_get(snapshot, STORE_SERVICE_OFFERS, store_key(key, sizeof(key)), &bytes, &len);
	if (err == 0)
		err = offers_record_parse(bytes, len, out_record);
	if (err == 0)
		cache_put(store, order, bytes, len);
	store->counts.damaged_cnt += err < 0;
	return err;
}

int offers_row_record(struct offer_store *store, struct store_snapshot **io_snapshot,
		      const struct offer_row *row, struct offer_record *out_record)
{
	const struct offer_cached *cached = cache_place(store, row->order);
	int err = 0;

	if (row->pending)
		return offers_record_parse(row->pending->bytes, row->pending->len, out_record);
	if (cached->order == row->order)
		return offers_record_parse(cached->bytes, cached->len, out_record);
	if (!*io_snapshot)
		err = store_snapshot_open(store->store, io_snapshot);
	return err < 0 ? err : record_get(store, *io_snapshot, row->order, out_record);
}

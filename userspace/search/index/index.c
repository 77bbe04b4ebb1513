/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the index (index.h). Jobs only, but for search_indexed_free. */
#include "index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "index_shard.h"
#include "store/derived.h"

void search_index_key(const uint8_t share_id[static 32], const uint8_t shard_hash[static 32],
		      uint8_t key[static INDEX_KEY_LEN])
{
	memcpy(key, share_id, 32);
	memcpy(key + 32, shard_hash, 32);
}

static int row_get(struct derived_view *view, const uint8_t share_id[static 32],
		   const uint8_t shard_hash[static 32], const void **out_bytes, size_t *out_len)
{
	uint8_t key[INDEX_KEY_LEN];

	search_index_key(share_id, shard_hash, key);
	return store_derived_view_get(view, key, sizeof(key), out_bytes, out_len);
}

int search_index_shard(struct derived_view *view, const uint8_t share_id[static 32],
		       const uint8_t shard_hash[static 32], struct shard *out_shard)
{
	const void *bytes;
	size_t len;
	int err = row_get(view, share_id, shard_hash, &bytes, &len);

	return err < 0 ? err : search_shard_open(bytes, len, out_shard);
}

bool search_index_has(struct derived *derived, const uint8_t share_id[static 32],
		      const uint8_t shard_hash[static 32])
{
	struct derived_view *view;
	const void *bytes;
	size_t len;
	bool has;

	if (store_derived_view_open(derived, &view) < 0)
		return false;
	has = row_get(view, share_id, shard_hash, &bytes, &len) == 0 &&
	      search_shard_verify(bytes, len) == 0;
	store_derived_view_close(view);
	return has;
}

int search_index_put(struct derived *derived, const uint8_t share_id[static 32],
		     const uint8_t shard_hash[static 32], const void *bytes, size_t len)
{
	uint8_t key[INDEX_KEY_LEN];
	struct derived_write *write;
	int err = store_derived_write_open(derived, &write);

	if (err < 0)
		return err;
	search_index_key(share_id, shard_hash, key);
	store_derived_write_put(write, key, sizeof(key), bytes, len);
	return store_derived_write_commit(write);
}

void search_indexed_free(struct indexed *indexed)
{
	if (!indexed)
		return;
	free(indexed->title);
	free(indexed->description);
	free(indexed->title_folded);
	free(indexed->description_folded);
	free(indexed->shards);
	free(indexed);
}

/* --- sweeping --- */

struct sweep {
	const struct index_live *kept;
	uint8_t (*keys)[INDEX_KEY_LEN]; /* to be removed */
	size_t key_cnt, key_cap;
	int err;
};

static int key_compare(const void *a, const void *b)
{
	return memcmp(a, b, INDEX_KEY_LEN);
}

static int id_compare(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

static bool key_is_kept(const struct index_live *kept, const uint8_t *key)
{
	return (kept->key_cnt &&
		bsearch(key, kept->keys, kept->key_cnt, INDEX_KEY_LEN, key_compare)) ||
	       (kept->share_cnt && bsearch(key, kept->share_ids, kept->share_cnt, 32, id_compare));
}

static bool row_judge(void *arg, const uint8_t *key, size_t key_len, const void *value,
		      size_t value_len)
{
	struct sweep *sweep = arg;

	(void)value, (void)value_len;
	if (key_len != INDEX_KEY_LEN || key_is_kept(sweep->kept, key))
		return true;
	if (sweep->key_cnt == sweep->key_cap) {
		size_t cap = sweep->key_cap ? 2 * sweep->key_cap : 16;
		void *grown = realloc(sweep->keys, cap * INDEX_KEY_LEN);

		if (!grown) {
			sweep->err = -ENOMEM;
			return false;
		}
		sweep->keys = grown;
		sweep->key_cap = cap;
	}
	memcpy(sweep->keys[sweep->key_cnt++], key, INDEX_KEY_LEN);
	return true;
}

static int keys_delete(struct derived *derived, const struct sweep *sweep)
{
	struct derived_write *write;
	int err;

	if (sweep->key_cnt == 0)
		return 0;
	err = store_derived_write_open(derived, &write);
	if (err < 0)
		return err;
	for (size_t i = 0; i < sweep->key_cnt; i++)
		store_derived_write_delete(write, sweep->keys[i], INDEX_KEY_LEN);
	return store_derived_write_commit(write);
}

int search_index_sweep(struct derived *derived, const struct index_live *kept)
{
	struct sweep sweep = {.kept = kept};
	struct derived_view *view;
	int err = store_derived_view_open(derived, &view);

	if (err < 0)
		return err;
	err = store_derived_view_each(view, NULL, 0, row_judge, &sweep);
	store_derived_view_close(view);
	if (err == 0)
		err = sweep.err;
	if (err == 0)
		err = keys_delete(derived, &sweep);
	free(sweep.keys);
	return err;
}

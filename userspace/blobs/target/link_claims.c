/* SPDX-License-Identifier: Apache-2.0 */
#include "link_claims.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/byte_cursor.h"
#include "blobs/manifest/manifest.h"
#include "crypto/blake3/blake3.h"
#include "store/store.h"

#define KEY_PREFIX     "links:"
#define KEY_PREFIX_LEN 6u
#define KEY_GET_LEN    (KEY_PREFIX_LEN + 8u) /* of all that one get claimed */
#define KEY_LEN	       (KEY_GET_LEN + OBJECT_ID_LEN)
#define HALF_LEN       (LINK_CLAIM_LEN / 2)

static void key_write(uint64_t id, const uint8_t *manifest_id, uint8_t key[static KEY_LEN])
{
	struct writer w = writer_of(key, KEY_LEN);

	writer_bytes(&w, KEY_PREFIX, KEY_PREFIX_LEN);
	writer_be64(&w, id);
	if (manifest_id)
		writer_bytes(&w, manifest_id, OBJECT_ID_LEN);
}

static void half_write(const char *text, size_t len, uint8_t half[static HALF_LEN])
{
	uint8_t hash[32];

	blake3_hash(text, len, hash);
	memcpy(half, hash, HALF_LEN);
}

static void entry_write(const struct manifest_link *link, uint8_t entry[static LINK_CLAIM_LEN])
{
	half_write(link->path, link->path_len, entry);
	half_write(link->text, link->text_len, entry + HALF_LEN);
}

static int entry_compare(const void *a, const void *b)
{
	return memcmp(a, b, LINK_CLAIM_LEN);
}

static int entries_append(struct link_claims *claims, const void *entries, size_t cnt)
{
	uint8_t *grown;

	if (cnt == 0 || claims->cnt + cnt > LINK_CLAIMS_MAX)
		return 0;
	grown = realloc(claims->entries, (claims->cnt + cnt) * LINK_CLAIM_LEN);
	if (!grown)
		return -ENOMEM;
	claims->entries = grown;
	memcpy(grown + (size_t)claims->cnt * LINK_CLAIM_LEN, entries, cnt * LINK_CLAIM_LEN);
	claims->cnt += (uint32_t)cnt;
	return 0;
}

static void entries_sort(struct link_claims *claims)
{
	if (claims->cnt)
		qsort(claims->entries, claims->cnt, LINK_CLAIM_LEN, entry_compare);
}

void blobs_link_claims_fini(struct link_claims *claims)
{
	free(claims->entries);
	*claims = (struct link_claims){.cnt = 0};
}

int blobs_link_claims_load(struct link_claims *claims, struct store_snapshot *snapshot, uint64_t id,
			   const uint8_t *manifest_id)
{
	uint8_t key[KEY_LEN];
	size_t key_len = manifest_id ? KEY_LEN : KEY_GET_LEN;
	struct store_iter iter = store_iter(snapshot, STORE_META, store_key(key, key_len));
	struct store_item item;
	int err;

	key_write(id, manifest_id, key);
	while (store_iter_next(&iter, &item) && item.key_len == KEY_LEN &&
	       memcmp(item.key, key, key_len) == 0)
		iter.err = entries_append(claims, item.value, item.value_len / LINK_CLAIM_LEN);
	err = store_iter_end(&iter);
	entries_sort(claims);
	return err;
}

int blobs_link_claims_add(struct link_claims *claims, const struct manifest_link *link)
{
	uint8_t entry[LINK_CLAIM_LEN];

	entry_write(link, entry);
	return entries_append(claims, entry, 1);
}

int blobs_link_claims_merge(struct link_claims *claims, const struct link_claims *other)
{
	int err = entries_append(claims, other->entries, other->cnt);

	entries_sort(claims);
	return err;
}

bool blobs_link_claims_have(const struct link_claims *claims, const struct manifest_link *link)
{
	uint8_t entry[LINK_CLAIM_LEN];

	if (!claims->cnt)
		return false;
	entry_write(link, entry);
	return bsearch(entry, claims->entries, claims->cnt, LINK_CLAIM_LEN, entry_compare);
}

void blobs_link_claims_put(const struct link_claims *claims, struct store_batch *batch, uint64_t id,
			   const uint8_t manifest_id[static OBJECT_ID_LEN])
{
	uint8_t key[KEY_LEN];

	if (!claims->cnt) {
		blobs_link_claims_forget(batch, id, manifest_id);
		return;
	}
	key_write(id, manifest_id, key);
	store_batch_put(batch, STORE_META, store_key(key, sizeof(key)), claims->entries,
			(size_t)claims->cnt * LINK_CLAIM_LEN);
}

void blobs_link_claims_forget(struct store_batch *batch, uint64_t id,
			      const uint8_t manifest_id[static OBJECT_ID_LEN])
{
	uint8_t key[KEY_LEN];

	key_write(id, manifest_id, key);
	store_batch_delete(batch, STORE_META, store_key(key, sizeof(key)));
}

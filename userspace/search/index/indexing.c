/* SPDX-License-Identifier: Apache-2.0 */
/* From manifests in the store to shards in the index (indexing.h). */
#include "indexing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/text/casefold.h"
#include "blobs/manifest/manifest.h"
#include "index_shard.h"
#include "index_shard_builder.h"
#include "crypto/blake3/blake3.h"
#include "store/store.h"

/* Manifests [first, end) of the root, or the whole one. */
struct span {
	uint32_t first, end;
	uint8_t hash[32];
};

int search_indexing_new(const struct indexing_ask *ask, struct indexing **out_indexing)
{
	struct indexing *indexing = calloc(1, sizeof(*indexing));

	if (!indexing)
		return -ENOMEM;
	indexing->ask = *ask;
	*out_indexing = indexing;
	return 0;
}

void search_indexing_free(struct indexing *indexing)
{
	if (!indexing)
		return;
	blobs_manifest_free(indexing->root);
	free(indexing->root_bytes);
	search_indexed_free(indexing->made);
	free(indexing);
}

/* The manifest with that id, which verifies; the caller frees it. */
static int blob_load(struct store *store, const uint8_t id[static 32], uint8_t **out_bytes,
		     size_t *out_len)
{
	uint8_t hash[BLAKE3_HASH_LEN];
	uint8_t *bytes;
	size_t len;
	int err = store_blob_load(store, id, MANIFEST_LEN_MAX, &bytes, &len);

	if (err < 0)
		return err;
	blake3_hash(bytes, len, hash);
	if (memcmp(hash, id, sizeof(hash)) != 0) {
		free(bytes);
		return WEFT_EDAMAGED;
	}
	*out_bytes = bytes;
	*out_len = len;
	return 0;
}

/* --- the first step --- */

static char *text_copy(const char *text, size_t len)
{
	char *copy = malloc(len + 1);

	if (copy) {
		if (len)
			memcpy(copy, text, len);
		copy[len] = '\0';
	}
	return copy;
}

static int text_folded(const char *text, char **out_folded)
{
	size_t len = strlen(text), cap = len * FOLD_GROWTH_MAX + 1;
	char *folded = malloc(cap);
	int folded_len;

	if (!folded)
		return -ENOMEM;
	folded_len = fold_text(text, len, folded, cap - 1);
	if (folded_len < 0) {
		free(folded);
		return folded_len;
	}
	folded[folded_len] = '\0';
	*out_folded = folded;
	return 0;
}

static int texts_take(struct indexed *made, const struct manifest *root)
{
	int err;

	made->title = text_copy(root->title, strlen(root->title));
	made->description = text_copy(root->description, root->description_len);
	if (!made->title || !made->description)
		return -ENOMEM;
	err = text_folded(made->title, &made->title_folded);
	return err < 0 ? err : text_folded(made->description, &made->description_folded);
}

static int root_load(struct indexing *indexing)
{
	struct indexed *made = calloc(1, sizeof(*made));
	struct manifest *root;
	int err;

	if (!made)
		return -ENOMEM;
	indexing->made = made;
	memcpy(made->share_id, indexing->ask.share_id, sizeof(made->share_id));
	memcpy(made->manifest_id, indexing->ask.manifest_id, sizeof(made->manifest_id));
	err = blob_load(indexing->ask.store, made->manifest_id, &indexing->root_bytes,
			&indexing->root_len);
	if (err == 0)
		err = blobs_manifest_parse(indexing->root_bytes, indexing->root_len, &root);
	if (err < 0)
		return err;
	indexing->root = root;
	if (root->shape == MANIFEST_PART)
		return WEFT_EMALFORMED;
	indexing->all_cnt = root->all_item_cnt;
	/* At most as many as manifests. */
	made->shards = calloc(root->part_cnt + 1, sizeof(*made->shards));
	return made->shards ? texts_take(made, root) : -ENOMEM;
}

/* --- a shard --- */

static bool part_ends_span(const struct manifest_part *part)
{
	return part->manifest_id[0] % INDEXING_PARTS_MEAN == 0;
}

static void span_next(const struct indexing *indexing, struct span *out_span)
{
	const struct manifest *root = indexing->root;
	uint64_t document_cnt = 0, len = 0;
	struct blake3 hash;
	uint32_t i = indexing->next_part;

	out_span->first = i;
	blake3_init(&hash);
	if (root->shape == MANIFEST_WHOLE) {
		blake3_update(&hash, indexing->ask.manifest_id, 32);
		i++;
	}
	while (i < root->part_cnt) {
		const struct manifest_part *part = &root->parts[i];

		document_cnt += part->item_cnt;
		len += part->len;
		if (i > out_span->first &&
		    (document_cnt > SHARD_DOCUMENTS_MAX || len > SHARD_PARTS_LEN_MAX))
			break;
		blake3_update(&hash, part->manifest_id, 32);
		i++;
		if (part_ends_span(part))
			break;
	}
	out_span->end = i;
	blake3_final(&hash, out_span->hash, sizeof(out_span->hash));
}

static int manifest_add(struct shard_builder *builder, const uint8_t id[static 32],
			const struct manifest *manifest, const uint8_t *bytes, size_t len)
{
	int err = search_shard_builder_add_part(builder, id, (uint32_t)len);

	for (uint32_t i = 0; i < manifest->item_cnt && err == 0; i++) {
		const struct manifest_item *item = &manifest->items[i];

		err = search_shard_builder_add_item(builder, item,
						    (uint32_t)(item->encoding - bytes));
	}
	return err;
}

static int part_add(struct shard_builder *builder, const struct indexing *indexing,
		    const struct manifest_part *part)
{
	struct manifest *manifest = NULL;
	uint8_t *bytes;
	size_t len;
	int err = blob_load(indexing->ask.store, part->manifest_id, &bytes, &len);

	if (err < 0)
		return err;
	err = blobs_manifest_parse(bytes, len, &manifest);
	if (err == 0 && (manifest->shape != MANIFEST_PART || manifest->item_cnt != part->item_cnt))
		err = WEFT_EMALFORMED;
	if (err == 0)
		err = manifest_add(builder, part->manifest_id, manifest, bytes, len);
	blobs_manifest_free(manifest);
	free(bytes);
	return err;
}

static int span_build(struct indexing *indexing, const struct span *span)
{
	const struct manifest *root = indexing->root;
	struct shard_builder *builder;
	uint8_t *bytes = NULL;
	size_t len = 0;
	int err = search_shard_builder_new(indexing->ask.secret, &builder);

	if (err < 0)
		return err;
	if (root->shape == MANIFEST_WHOLE)
		err = manifest_add(builder, indexing->ask.manifest_id, root, indexing->root_bytes,
				   indexing->root_len);
	for (uint32_t i = span->first; i < span->end && i < root->part_cnt && err == 0; i++)
		err = part_add(builder, indexing, &root->parts[i]);
	if (err == 0)
		err = search_shard_builder_finish(builder, &bytes, &len);
	indexing->cut_cnt += search_shard_builder_is_cut(builder);
	search_shard_builder_free(builder);
	if (err == 0)
		err = search_index_put(indexing->ask.derived, indexing->ask.share_id, span->hash,
				       bytes, len);
	free(bytes);
	return err;
}

static int shard_make(struct indexing *indexing)
{
	const struct manifest *root = indexing->root;
	struct indexed *made = indexing->made;
	struct span span;
	int err = 0;

	span_next(indexing, &span);
	if (search_index_has(indexing->ask.derived, made->share_id, span.hash)) {
		indexing->reused_cnt++;
	} else {
		err = span_build(indexing, &span);
		indexing->built_cnt++;
	}
	if (err < 0)
		return err;
	memcpy(made->shards[made->shard_cnt++], span.hash, sizeof(span.hash));
	for (uint32_t i = span.first; i < span.end && i < root->part_cnt; i++)
		indexing->done_cnt += root->parts[i].item_cnt;
	indexing->done_cnt += root->item_cnt;
	made->item_cnt = indexing->done_cnt;
	indexing->next_part = span.end;
	return 0;
}

bool search_indexing_step(struct indexing *indexing)
{
	if (!indexing->root)
		indexing->err = root_load(indexing);
	if (indexing->err == 0)
		indexing->err = shard_make(indexing);
	return indexing->err == 0 && indexing->next_part < indexing->root->part_cnt;
}

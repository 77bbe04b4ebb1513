/* SPDX-License-Identifier: Apache-2.0 */
/* The view of a document: its item, read out of the manifest in the store. */
#include "hit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blobs/manifest/manifest.h"
#include "search/index/index.h"
#include "search/search.h"
#include "search/index/index_shard.h"
#include "store/store.h"

/* An item with all fields that there are, as long as they may be, and some to come. */
#define ITEM_LEN_MAX 8192u

/* Path, mime, tags; each with its NUL, and one more. */
static char *texts_copy(const struct manifest_item *item, struct search_hit *hit)
{
	size_t len = item->path_len + 1 + item->mime_len + 1 + 1;
	char *text, *at;

	for (uint32_t i = 0; i < item->tag_cnt; i++)
		len += item->tags[i].len + 1;
	text = calloc(1, len);
	if (!text)
		return NULL;
	memcpy(text, item->path, item->path_len);
	at = text + item->path_len + 1;
	hit->mime = at;
	if (item->mime_len)
		memcpy(at, item->mime, item->mime_len);
	at += item->mime_len + 1;
	hit->tags = at;
	for (uint32_t i = 0; i < item->tag_cnt; i++) {
		memcpy(at, item->tags[i].text, item->tags[i].len);
		at += item->tags[i].len + 1;
	}
	return text;
}

/* At least of the item: of the last one of a manifest the end is not known. */
static size_t item_len(const struct shard *shard, uint32_t document, const struct shard_part *part)
{
	uint32_t off = shard_document(shard, document).off, end = part->len;

	if (document + 1 < shard->head.document_cnt &&
	    search_shard_part_of(shard, document + 1).first_document == part->first_document)
		end = shard_document(shard, document + 1).off;
	return end - off < ITEM_LEN_MAX ? end - off : ITEM_LEN_MAX;
}

int search_hit_read(struct store *store, const struct hit_place *place, const struct query *query,
		    struct search_hit *out_hit)
{
	const struct indexed *indexed = place->indexed;
	struct shard_document d = shard_document(place->shard, place->document);
	struct shard_part part = search_shard_part_of(place->shard, place->document);
	struct search_hit hit = {.share_title = indexed->title};
	const struct manifest_item *item;
	uint8_t bytes[ITEM_LEN_MAX];
	struct manifest *manifest;
	size_t len;
	int err;

	if (d.off >= part.len)
		return WEFT_EDAMAGED;
	len = item_len(place->shard, place->document, &part);
	err = store_blob_read(store, part.manifest_id, d.off, bytes, len);
	if (err == 0)
		err = blobs_manifest_parse_item(bytes, len, &manifest);
	if (err < 0)
		return err;
	item = manifest->items;
	memcpy(hit.share_id, indexed->share_id, sizeof(hit.share_id));
	memcpy(hit.manifest_id, indexed->manifest_id, sizeof(hit.manifest_id));
	memcpy(hit.content_id, item->content_id, sizeof(hit.content_id));
	hit.size = item->size;
	search_snippet_make(item->path, item->path_len, query, &hit.path_snippet);
	search_snippet_make(indexed->description, strlen(indexed->description), query, &hit.about);
	if (hit.about.mark_cnt == 0)
		hit.about = (struct snippet){0};
	hit.path = texts_copy(item, &hit);
	blobs_manifest_free(manifest);
	if (!hit.path)
		return -ENOMEM;
	*out_hit = hit;
	return 0;
}

void search_hit_free(struct search_hit *hit)
{
	free((void *)(uintptr_t)hit->path);
}

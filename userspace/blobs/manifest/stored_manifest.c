/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests that are here: their bytes, their parts, and their items by number across the parts. */
#include "manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blobs/blobs_state.h"
#include "store/store.h"

int blobs_stored_manifest_load(struct store *store, const uint8_t id[static 32],
			       struct stored_manifest *out_stored)
{
	struct stored_manifest stored = {0};
	int err = store_blob_load(store, id, MANIFEST_LEN_MAX, &stored.bytes, &stored.len);

	if (err == 0)
		err = blobs_manifest_parse(stored.bytes, stored.len, &stored.manifest);
	if (err < 0) {
		blobs_stored_manifest_fini(&stored);
		return err;
	}
	memcpy(stored.id, id, sizeof(stored.id));
	*out_stored = stored;
	return 0;
}

void blobs_stored_manifest_fini(struct stored_manifest *stored)
{
	blobs_manifest_free(stored->manifest);
	free(stored->bytes);
	*stored = (struct stored_manifest){0};
}

int blobs_manifest_part_ids(const struct manifest *manifest, uint8_t **out_ids)
{
	uint8_t *ids = NULL;

	if (manifest->part_cnt && !(ids = malloc((size_t)manifest->part_cnt * 32)))
		return -ENOMEM;
	for (uint32_t i = 0; i < manifest->part_cnt; i++)
		memcpy(ids + (size_t)i * 32, manifest->parts[i].manifest_id, 32);
	*out_ids = ids;
	return 0;
}

/* --- items --- */

static void item_tell(const struct manifest_item *item, struct blobs_items *items)
{
	struct blobs_item told = {.content_id = item->content_id, .size = item->size};
	char path[MANIFEST_PATH_LEN_MAX + 1];

	memcpy(path, item->path, item->path_len);
	path[item->path_len] = '\0';
	told.path = path;
	items->fn(items->arg, &told);
	items->told_cnt++;
}

/* at: the number of the manifest's first item. */
static void items_tell(const struct manifest *manifest, uint64_t at, struct blobs_items *items)
{
	for (uint32_t i = 0; i < manifest->item_cnt && items->told_cnt < items->cnt_max; i++)
		if (at + i >= items->first)
			item_tell(&manifest->items[i], items);
}

static int part_tell(struct blobs *content, const uint8_t *id, uint64_t at,
		     struct blobs_items *items)
{
	struct stored_manifest part;
	int err = blobs_stored_manifest_load(content->params.store, id, &part);

	if (err)
		return err;
	items_tell(part.manifest, at, items);
	blobs_stored_manifest_fini(&part);
	return 0;
}

int blobs_items_each(struct blobs *content, const uint8_t manifest_id[static 32],
		     struct blobs_items *items)
{
	const struct manifest *manifest;
	struct stored_manifest root;
	uint64_t at = 0;
	int err = blobs_stored_manifest_load(content->params.store, manifest_id, &root);

	if (err)
		return err;
	manifest = root.manifest;
	items->told_cnt = 0;
	items->total_cnt = manifest->all_item_cnt;
	items_tell(manifest, 0, items);
	for (uint32_t i = 0; i < manifest->part_cnt && !err; i++) {
		uint64_t end = at + manifest->parts[i].item_cnt;

		if (end > items->first && items->told_cnt < items->cnt_max)
			err = part_tell(content, manifest->parts[i].manifest_id, at, items);
		at = end;
	}
	blobs_stored_manifest_fini(&root);
	return err;
}

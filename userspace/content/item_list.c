/* SPDX-License-Identifier: Apache-2.0 */
/* The items of a manifest that is here, by number across its parts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "content/content_state.h"
#include "content/manifest.h"
#include "content/object.h"
#include "store/store.h"

static int manifest_load(struct store *store, const uint8_t *id, uint8_t **out_bytes,
			 struct manifest **out_manifest)
{
	struct store_snapshot *snapshot;
	uint8_t *bytes;
	int64_t len;
	int err = store_snapshot_open(store, &snapshot);

	if (err)
		return err;
	len = store_blob_len(snapshot, id);
	store_snapshot_close(snapshot);
	if (len < 0 || len > (int64_t)MANIFEST_LEN_MAX)
		return len < 0 ? (int)len : WEFT_EDAMAGED;
	bytes = malloc((size_t)len + 1);
	if (!bytes)
		return -ENOMEM;
	err = store_blob_read(store, id, 0, bytes, (size_t)len);
	if (!err)
		err = manifest_parse(bytes, (size_t)len, out_manifest);
	if (err)
		free(bytes);
	else
		*out_bytes = bytes;
	return err;
}

static void item_tell(const struct manifest_item *item, struct content_items *items)
{
	struct content_item told = {.content_id = item->content_id, .size = item->size};
	char path[MANIFEST_PATH_LEN_MAX + 1];

	memcpy(path, item->path, item->path_len);
	path[item->path_len] = '\0';
	told.path = path;
	items->fn(items->arg, &told);
	items->told_cnt++;
}

/* at: the number of the manifest's first item. */
static void items_tell(const struct manifest *manifest, uint64_t at, struct content_items *items)
{
	for (uint32_t i = 0; i < manifest->item_cnt && items->told_cnt < items->cnt_max; i++)
		if (at + i >= items->first)
			item_tell(&manifest->items[i], items);
}

static int part_tell(struct content *content, const uint8_t *id, uint64_t at,
		     struct content_items *items)
{
	struct manifest *manifest = NULL;
	uint8_t *bytes = NULL;
	int err = manifest_load(content->params.store, id, &bytes, &manifest);

	if (err)
		return err;
	items_tell(manifest, at, items);
	manifest_free(manifest);
	free(bytes);
	return 0;
}

int content_items_each(struct content *content, const uint8_t manifest_id[static 32],
		       struct content_items *items)
{
	struct manifest *manifest = NULL;
	uint8_t *bytes = NULL;
	uint64_t at = 0;
	int err = manifest_load(content->params.store, manifest_id, &bytes, &manifest);

	if (err)
		return err;
	items->told_cnt = 0;
	items->total_cnt = manifest->all_item_cnt;
	items_tell(manifest, 0, items);
	for (uint32_t i = 0; i < manifest->part_cnt && !err; i++) {
		uint64_t end = at + manifest->parts[i].item_cnt;

		if (end > items->first && items->told_cnt < items->cnt_max)
			err = part_tell(content, manifest->parts[i].manifest_id, at, items);
		at = end;
	}
	manifest_free(manifest);
	free(bytes);
	return err;
}

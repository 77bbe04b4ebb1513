/* SPDX-License-Identifier: Apache-2.0 */
/* The items of a manifest that is here, by number across its parts. */
#include <string.h>

#include "blobs/blobs_state.h"
#include "manifest.h"
#include "blobs/stored_manifest.h"

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

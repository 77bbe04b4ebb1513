/* SPDX-License-Identifier: Apache-2.0 */
/*
 * STORE_OBJECTS is in the order of content ids, so a region is one walk over it. The served
 * index says whether a file is served, and as part of which collection.
 */
#include "held_manifests.h"

#include <stdlib.h>
#include <string.h>

#include "blobs_state.h"
#include "blobs/manifest/manifest.h"
#include "object.h"
#include "scope.h"
#include "blobs/serve/served_index.h"
#include "store/store.h"

/* --- manifests --- */

struct telling {
	bool (*fn)(void *arg, const uint8_t id[static 32]);
	void *arg;
	bool is_over;
};

static bool holder_tell(void *arg, const uint8_t manifest_id[static 32], const uint8_t *part_ids,
			size_t part_cnt)
{
	struct telling *telling = arg;

	(void)part_ids, (void)part_cnt;
	telling->is_over = !telling->fn(telling->arg, manifest_id);
	return !telling->is_over;
}

/* A get that waits or has failed may have nothing. */
static bool get_is_held(const struct blobs_get *get)
{
	return blobs_get_is_seeded(get) &&
	       (get->state == BLOBS_GET_RECEIVING || get->state == BLOBS_GET_FINISHED);
}

static void manifests_each(void *ctx, bool (*fn)(void *arg, const uint8_t id[static 32]), void *arg)
{
	struct telling telling = {.fn = fn, .arg = arg};
	struct blobs_share_iter shares = {.content = ctx};
	struct blobs_get_iter gets = {.content = ctx};
	const struct blobs *content = ctx;
	const struct blobs_get *get;
	struct blobs_share share;

	while (!telling.is_over && blobs_shares_next(&shares, &share))
		telling.is_over = !fn(arg, share.manifest_id);
	while (!telling.is_over && (get = blobs_gets_next(&gets)))
		if (get_is_held(get))
			telling.is_over = !fn(arg, get->manifest_id);
	for (unsigned i = 0; !telling.is_over && i < content->holder_cnt; i++)
		(void)content->holders[i].manifests_each(content->holders[i].ctx, holder_tell,
							 &telling);
}

static void regions_mark(const struct manifest *manifest, struct held_manifest *out)
{
	/* The parts of a root would have to be read: so many items are everywhere. */
	out->has_regions = manifest->part_cnt == 0;
	for (uint32_t i = 0; i < manifest->item_cnt; i++) {
		const uint8_t *id = manifest->items[i].content_id;
		unsigned region = (unsigned)id[0] << 4 | id[1] >> 4;

		out->regions[region / 8] |= (uint8_t)(1u << region % 8);
	}
}

static int look(void *ctx, const uint8_t id[static 32], struct held_manifest *out_manifest)
{
	const struct blobs *content = ctx;
	struct scope scope;
	struct held_manifest held = {0};
	const struct manifest *manifest;
	struct stored_manifest stored;
	int err = blobs_stored_manifest_load(content->params.store, id, &stored);

	if (err < 0)
		return err;
	manifest = stored.manifest;
	held.is_signed = manifest->is_signed;
	held.is_public = manifest->is_public;
	blobs_scope_of_manifest(manifest, &scope);
	held.is_hidden = blobs_scope_hides(content, &scope);
	held.item_cnt = manifest->all_item_cnt;
	regions_mark(manifest, &held);
	blobs_stored_manifest_fini(&stored);
	*out_manifest = held;
	return 0;
}

/* --- files --- */

struct view {
	struct store *store;
	struct served_index *served_index;
	struct object_file file; /* scratch */
};

static void *open(void *ctx, bool (*is_wanted)(void *arg, const uint8_t id[static 32]), void *arg)
{
	struct blobs *content = ctx;
	struct view *view = calloc(1, sizeof(*view));

	if (!view)
		return NULL;
	view->store = content->params.store;
	view->served_index =
		blobs_served_index_copy_some(blobs_served_index(content), is_wanted, arg);
	if (view->served_index)
		return view;
	free(view);
	return NULL;
}

static void close(void *arg)
{
	struct view *view = arg;

	blobs_served_index_free(view->served_index);
	free(view);
}

static bool is_held(struct view *view, struct store_snapshot *snapshot, const uint8_t *key)
{
	return blobs_object_file_at(snapshot, key + OBJECT_ID_LEN, &view->file) == 0 &&
	       memcmp(view->file.content_id, key, OBJECT_ID_LEN) == 0 &&
	       blobs_served_index_has_file(view->served_index, &view->file);
}

static int each(void *arg, const uint8_t from[static 32],
		bool (*fn)(void *arg, const uint8_t id[static 32]), void *fn_arg)
{
	struct view *view = arg;
	struct store_snapshot *snapshot;
	struct store_iter iter;
	struct store_item item;
	uint8_t last[OBJECT_ID_LEN];
	bool has_last = false;
	int err = store_snapshot_open(view->store, &snapshot);

	if (err < 0)
		return err;
	iter = store_iter(snapshot, STORE_OBJECTS, store_key(from, OBJECT_ID_LEN));
	while (store_iter_next(&iter, &item)) {
		if ((has_last && memcmp(last, item.key, OBJECT_ID_LEN) == 0) ||
		    !is_held(view, snapshot, item.key))
			continue;
		has_last = true;
		memcpy(last, item.key, OBJECT_ID_LEN);
		if (!fn(fn_arg, item.key))
			break;
	}
	err = store_iter_end(&iter);
	store_snapshot_close(snapshot);
	return err;
}

static const struct blobs_held_ops ops = {
	.manifests_each = manifests_each,
	.look = look,
	.open = open,
	.each = each,
	.close = close,
};

struct blobs_held blobs_held_of(struct blobs *content)
{
	return (struct blobs_held){&ops, content};
}

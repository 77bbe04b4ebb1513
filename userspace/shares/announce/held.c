/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What blobs/ has, as held.h wants it. STORE_OBJECTS is in the order of content ids, so a
 * region is one walk over it; whether a file is served, and as part of what, is what reach says.
 */
#include "held.h"

#include <stdlib.h>
#include <string.h>

#include "blobs/blobs.h"
#include "blobs/blobs_parts.h"
#include "blobs/retainer.h"
#include "blobs/share_table.h"
#include "blobs/manifest/manifest.h"
#include "blobs/object.h"
#include "blobs/scope.h"
#include "blobs/serve/served_index.h"
#include "blobs/stored_manifest.h"
#include "store/store.h"

/* --- manifests --- */

struct telling {
	bool (*fn)(void *arg, const uint8_t id[static 32]);
	void *arg;
	bool is_over;
};

static bool share_tell(void *arg, const struct blobs_share *share)
{
	struct telling *telling = arg;

	telling->is_over = !telling->fn(telling->arg, share->manifest_id);
	return !telling->is_over;
}

/* One that waits or has failed may have nothing. */
static bool get_tell_held(void *arg, const struct blobs_get *get)
{
	struct telling *telling = arg;

	if (blobs_get_is_seeded(get) &&
	    (get->state == BLOBS_GET_FETCHING || get->state == BLOBS_GET_FINISHED))
		telling->is_over = !telling->fn(telling->arg, get->manifest_id);
	return !telling->is_over;
}

static bool holder_tell(void *arg, const uint8_t manifest_id[static 32], const uint8_t *part_ids,
			size_t part_cnt)
{
	struct telling *telling = arg;

	(void)part_ids, (void)part_cnt;
	telling->is_over = !telling->fn(telling->arg, manifest_id);
	return !telling->is_over;
}

static void manifests_each(void *ctx, bool (*fn)(void *arg, const uint8_t id[static 32]), void *arg)
{
	struct telling telling = {.fn = fn, .arg = arg};
	const struct blobs_retainer *holder;

	blobs_shares_each(ctx, share_tell, &telling);
	if (!telling.is_over)
		blobs_gets_each(ctx, get_tell_held, &telling);
	for (unsigned i = 0; !telling.is_over && (holder = blobs_holder_at(ctx, i)); i++)
		(void)holder->manifests_each(holder->ctx, holder_tell, &telling);
}

static void regions_mark(const struct manifest *manifest, struct held_manifest *out)
{
	/* Of a root the parts would have to be read: so many items are everywhere. */
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
	struct store *store = blobs_store_of(content);
	struct scope scope;
	struct held_manifest held = {0};
	const struct manifest *manifest;
	struct stored_manifest stored;
	int err = blobs_stored_manifest_load(store, id, &stored);

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
	/* of a walk */
	struct store_snapshot *snapshot;
	bool (*fn)(void *arg, const uint8_t id[static 32]);
	void *arg;
	bool has_last;
	uint8_t last[OBJECT_ID_LEN]; /* told */
	struct object_file file;     /* scratch */
};

static void *open(void *ctx, bool (*is_wanted)(void *arg, const uint8_t id[static 32]), void *arg)
{
	struct blobs *content = ctx;
	struct view *view = calloc(1, sizeof(*view));

	if (!view)
		return NULL;
	view->store = blobs_store_of(content);
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

static bool object_tell(void *arg, const struct store_item *item)
{
	struct view *view = arg;

	if ((view->has_last && memcmp(view->last, item->key, OBJECT_ID_LEN) == 0) ||
	    blobs_object_file_at(view->snapshot, item->key + OBJECT_ID_LEN, &view->file) < 0 ||
	    memcmp(view->file.content_id, item->key, OBJECT_ID_LEN) != 0 ||
	    !blobs_served_index_has_file(view->served_index, &view->file))
		return true;
	view->has_last = true;
	memcpy(view->last, item->key, OBJECT_ID_LEN);
	return view->fn(view->arg, item->key);
}

static int each(void *arg, const uint8_t from[static 32],
		bool (*fn)(void *arg, const uint8_t id[static 32]), void *fn_arg)
{
	struct view *view = arg;
	int err = store_snapshot_open(view->store, &view->snapshot);

	if (err < 0)
		return err;
	view->fn = fn;
	view->arg = fn_arg;
	view->has_last = false;
	err = store_each(view->snapshot, STORE_OBJECTS, from, OBJECT_ID_LEN, object_tell, view);
	store_snapshot_close(view->snapshot);
	return err;
}

static const struct announce_held_ops ops = {
	.manifests_each = manifests_each,
	.look = look,
	.open = open,
	.each = each,
	.close = close,
};

struct announce_held shares_announce_held_of(struct blobs *content)
{
	return (struct announce_held){&ops, content};
}

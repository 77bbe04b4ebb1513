/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifests of a revision: the one that the head names, then the parts of that,
 * some at a time. Each was found to be what its id says; here it is looked at
 * whether they are a revision of this share.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "follow_sync.h"
#include "blobs/scope.h"

static void next(struct sync *sync, uint64_t now_ns);

/* A file at the top, of the name that is looked for. */
static void blocklist_look_for(struct sync *sync, const struct manifest *manifest,
			       const uint8_t manifest_id[static 32])
{
	for (uint32_t i = 0; i < manifest->item_cnt; i++) {
		const struct manifest_item *item = &manifest->items[i];

		if (item->path_len != strlen(BLOCKLIST_NAME) ||
		    memcmp(item->path, BLOCKLIST_NAME, item->path_len) != 0)
			continue;
		sync->has_blocklist = true;
		sync->blocklist_len = item->size;
		sync->blocklist_item = i;
		memcpy(sync->blocklist_id, item->content_id, 32);
		memcpy(sync->blocklist_stored, manifest_id, 32);
	}
}

/* --- the root, or the whole --- */

static int root_check(const struct sync *sync, const struct manifest *manifest)
{
	const struct share_head *head = &sync->followed->view.head;

	if (!manifest->is_signed || manifest->shape == MANIFEST_PART ||
	    memcmp(manifest->share_id, head->share_id, SHARE_ID_LEN) != 0 ||
	    manifest->seq != head->seq)
		return WEFT_EMALFORMED;
	return 0;
}

static int root_keep(struct sync *sync, const struct sync_ask *ask)
{
	struct manifest *manifest;
	int err;

	sync->root_bytes = malloc(ask->len ? ask->len : 1);
	if (!sync->root_bytes)
		return -ENOMEM;
	memcpy(sync->root_bytes, ask->bytes, ask->len);
	err = blobs_manifest_parse(sync->root_bytes, ask->len, &manifest);
	if (err < 0)
		return err;
	sync->root = manifest;
	err = root_check(sync, manifest);
	if (err < 0)
		return err;
	sync->part_cnt = manifest->part_cnt;
	sync->part_ids = malloc((size_t)sync->part_cnt * 32 + 1);
	if (!sync->part_ids)
		return -ENOMEM;
	for (uint32_t i = 0; i < sync->part_cnt; i++)
		memcpy(sync->part_ids + (size_t)i * 32, manifest->parts[i].manifest_id, 32);
	return 0;
}

/* Every node would give the same: not again before another head names another. */
static void revision_refuse(struct sync *sync, int err)
{
	struct followed *followed = sync->followed;

	if (err == -ENOMEM) {
		shares_sync_fail(sync, err, "no memory for a manifest");
		return;
	}
	memcpy(followed->bad_manifest_id, followed->view.head.manifest_id, 32);
	shares_followed_tell(followed, FOLLOW_BAD_REVISION, followed->view.head.seq, NULL, err);
	shares_sync_fail(sync, err, "what its head names is no revision of the share");
}

static void root_got(struct sync_ask *ask, uint64_t now_ns)
{
	struct sync *sync = ask->sync;
	int err;

	if (ask->err < 0) {
		shares_sync_fail(sync, ask->err,
				 "nobody gives the manifest of its newest revision");
	} else if ((err = root_keep(sync, ask)) < 0) {
		revision_refuse(sync, err);
	} else {
		if (!ask->is_stored)
			blobs_scope_put(shares_sync_batch(sync), ask->id, ask->bytes, ask->len);
		shares_sync_save(sync, ask);
		blocklist_look_for(sync, sync->root, ask->id);
		blobs_holder_changed(sync->follows->params.content);
	}
	next(sync, now_ns);
}

/* --- its parts --- */

static int part_check(struct sync *sync, const struct sync_ask *ask)
{
	const struct manifest_part *part = &sync->root->parts[ask->index];
	struct manifest *manifest;
	int err = blobs_manifest_parse(ask->bytes, ask->len, &manifest);

	if (err < 0)
		return err;
	if (manifest->shape != MANIFEST_PART || manifest->all_item_cnt != part->item_cnt ||
	    manifest->all_byte_cnt != part->byte_cnt)
		err = WEFT_EMALFORMED;
	else
		blocklist_look_for(sync, manifest, ask->id);
	blobs_manifest_free(manifest);
	return err;
}

static void part_got(struct sync_ask *ask, uint64_t now_ns)
{
	struct sync *sync = ask->sync;
	int err;

	if (ask->err < 0) {
		shares_sync_fail(sync, ask->err, "nobody gives a part of the manifest");
	} else if ((err = part_check(sync, ask)) < 0) {
		revision_refuse(sync, err);
	} else {
		shares_sync_save(sync, ask);
		sync->part_done_cnt++;
	}
	next(sync, now_ns);
}

/* --- one after the other --- */

static bool is_busy(const struct sync *sync)
{
	for (unsigned i = 0; i < SYNC_ASKS_MAX; i++)
		if (sync->asks[i].is_busy)
			return true;
	return false;
}

static struct sync_ask *ask_free(struct sync *sync)
{
	for (unsigned i = 0; i < SYNC_ASKS_MAX; i++)
		if (!sync->asks[i].is_busy)
			return &sync->asks[i];
	return NULL;
}

static void next(struct sync *sync, uint64_t now_ns)
{
	struct sync_ask *ask;
	int err;

	while (!sync->err && sync->part_next < sync->part_cnt && (ask = ask_free(sync))) {
		ask->sync = sync;
		ask->index = sync->part_next++;
		memcpy(ask->id, sync->part_ids + (size_t)ask->index * 32, 32);
		err = shares_sync_ask_start(ask, MESH_GET_MANIFEST, part_got, now_ns);
		if (err < 0)
			shares_sync_fail(sync, err, "a part of the manifest cannot be asked for");
	}
	if (is_busy(sync) && !sync->err)
		return;
	if (sync->err || sync->part_done_cnt == sync->part_cnt)
		shares_sync_step_done(sync, now_ns);
}

void shares_sync_manifests_begin(struct sync *sync, uint64_t now_ns)
{
	struct sync_ask *ask = &sync->asks[0];
	int err;

	sync->step = SYNC_MANIFESTS;
	ask->sync = sync;
	ask->index = SYNC_ROOT;
	memcpy(ask->id, sync->followed->view.head.manifest_id, 32);
	err = shares_sync_ask_start(ask, MESH_GET_MANIFEST, root_got, now_ns);
	if (err < 0) {
		shares_sync_fail(sync, err, "its manifest cannot be asked for");
		shares_sync_step_done(sync, now_ns);
	}
}

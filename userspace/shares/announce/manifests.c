/* SPDX-License-Identifier: Apache-2.0 */
/* The manifests that are held: what each says of its files, and when it was announced. */
#include <string.h>

#include "announce_state.h"
#include "store/store.h"

static uint32_t manifest_seed(const struct announce_manifest *manifest)
{
	return shares_golomb_set_region_of(manifest->id, 32);
}

bool shares_announce_manifest_is_due(const struct announce *announce,
				     const struct announce_manifest *manifest)
{
	return !manifest->is_out && manifest->is_looked && !manifest->is_hidden &&
	       shares_announce_is_due(manifest->announced_s, announce->changed_s,
				      manifest_seed(manifest), shares_announce_wall_s(announce));
}

/* Files of a collection are announced only on request: it says nothing of its visibility. */
bool shares_announce_manifest_is_wanted(const struct announce *announce,
					const struct announce_manifest *manifest)
{
	return manifest->is_looked && !manifest->is_hidden &&
	       (manifest->is_public ||
		(announce->params.config.scope == ANNOUNCE_ALL && !manifest->is_signed));
}

bool shares_announce_id_is_wanted(void *arg, const uint8_t id[static 32])
{
	const struct announce *announce = arg;
	const struct announce_manifest *manifest = map_lookup(&announce->by_id, id);

	return manifest && shares_announce_manifest_is_wanted(announce, manifest);
}

struct walk {
	struct announce *announce;
	struct store_snapshot *snapshot;
};

static struct announce_manifest *manifest_add(const struct walk *walk, const uint8_t *id)
{
	struct announce *announce = walk->announce;
	struct announce_manifest *manifest = pool_acquire(&announce->manifests);
	struct announce_log_row row = {.kind = ANNOUNCE_LOG_MANIFEST};

	if (!manifest)
		return NULL;
	memcpy(manifest->id, id, sizeof(manifest->id));
	memcpy(row.id, id, sizeof(row.id));
	manifest->announced_s = shares_announce_log_time_s(walk->snapshot, &row);
	if (map_put(&announce->by_id, manifest->id, manifest) == 0)
		return manifest;
	pool_release(&announce->manifests, manifest);
	return NULL;
}

static bool manifest_see(void *arg, const uint8_t id[static 32])
{
	const struct walk *walk = arg;
	struct announce *announce = walk->announce;
	struct announce_manifest *manifest = map_lookup(&announce->by_id, id);

	if (!manifest)
		manifest = manifest_add(walk, id);
	if (manifest)
		manifest->is_held = true;
	else
		announce->manifest_left_out_cnt++;
	return true;
}

static void manifests_sweep(struct announce *announce)
{
	struct store_batch *batch = store_batch_new(announce->params.store);
	struct announce_manifest *manifest = NULL;

	while ((manifest = pool_next(&announce->manifests, manifest))) {
		struct announce_log_row row = {.kind = ANNOUNCE_LOG_MANIFEST};

		if (manifest->is_held || manifest->is_out)
			continue;
		memcpy(row.id, manifest->id, sizeof(row.id));
		shares_announce_log_delete(batch, &row);
		(void)map_delete(&announce->by_id, manifest->id);
		pool_release(&announce->manifests, manifest);
	}
	shares_announce_submit(announce, batch);
}

void shares_announce_manifests_walk(struct announce *announce)
{
	const struct blobs_held *held = announce->params.held;
	struct announce_manifest *manifest = NULL;
	struct walk walk = {.announce = announce};

	/* Else in the next turn. */
	if (store_snapshot_open(announce->params.store, &walk.snapshot) < 0)
		return;
	announce->wants_walk = false;
	announce->manifest_left_out_cnt = 0;
	while ((manifest = pool_next(&announce->manifests, manifest)))
		manifest->is_held = false;
	held->ops->manifests_each(held->ctx, manifest_see, &walk);
	store_snapshot_close(walk.snapshot);
	manifests_sweep(announce);
}

struct announce_manifest *shares_announce_manifest_to_look_at(const struct announce *announce)
{
	struct announce_manifest *manifest = NULL;

	while ((manifest = pool_next(&announce->manifests, manifest)))
		if (!manifest->is_looked)
			return manifest;
	return NULL;
}

void shares_announce_manifest_looked(struct announce *announce)
{
	const struct announce_job *job = &announce->job;
	struct announce_manifest *manifest = map_lookup(&announce->by_id, job->id);

	if (!manifest)
		return;
	/* One that cannot be read has no files that could be announced. */
	manifest->is_looked = true;
	manifest->is_signed = job->manifest.is_signed;
	manifest->is_public = job->manifest.is_public;
	manifest->is_hidden = job->manifest.is_hidden;
	manifest->item_cnt = job->manifest.item_cnt;
	if (shares_announce_manifest_is_wanted(announce, manifest))
		shares_announce_regions_touch(announce, &job->manifest);
}

void shares_announce_manifest_logged(struct announce *announce, const struct announce_log_row *row,
				     int err)
{
	struct announce_manifest *manifest = map_lookup(&announce->by_id, row->id);

	if (!manifest)
		return;
	manifest->is_out = false;
	announce->wants_walk |= !manifest->is_held;
	if (err == 0)
		manifest->announced_s = row->time_s;
}

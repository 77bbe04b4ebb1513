/* SPDX-License-Identifier: Apache-2.0 */
#include "removal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blobs/scan.h"
#include "blobs/manifest/manifest.h"
#include "crypto/blake3/blake3.h"
#include "store/store.h"

/* A run's share: long enough to be worth a job, short enough to wait for at shut-down. */
#define RUN_ITEMS 1000u
#define RUN_LEN	  (64ull << 20)

struct removal *blobs_removal_new(struct store *store, const char *path,
				  const uint8_t got_id[static OBJECT_ID_LEN],
				  const uint8_t *part_ids, uint32_t part_cnt)
{
	struct removal *removal = calloc(1, sizeof(*removal));

	if (!removal)
		return NULL;
	removal->store = store;
	blobs_target_init(&removal->target);
	removal->versions_fd = -1;
	blobs_target_dir_init(&removal->dir, &removal->target);
	snprintf(removal->path, sizeof(removal->path), "%s", path);
	memcpy(removal->got_id, got_id, OBJECT_ID_LEN);
	removal->ids = malloc(((size_t)part_cnt + 1) * OBJECT_ID_LEN);
	if (!removal->ids) {
		blobs_removal_free(removal);
		return NULL;
	}
	memcpy(removal->ids, got_id, OBJECT_ID_LEN);
	if (part_cnt)
		memcpy(removal->ids + OBJECT_ID_LEN, part_ids, (size_t)part_cnt * OBJECT_ID_LEN);
	removal->id_cnt = part_cnt + 1;
	return removal;
}

void blobs_removal_free(struct removal *removal)
{
	if (!removal)
		return;
	blobs_stored_manifest_fini(&removal->stored);
	blobs_target_dir_fini(&removal->dir);
	blobs_target_close(&removal->target);
	if (removal->versions_fd >= 0)
		close(removal->versions_fd);
	blobs_link_claims_fini(&removal->newer_links);
	free(removal->ids);
	free(removal);
}

/* The bytes decide where the stamp does not: a change of mode or of a name changes that, too. */
static bool bytes_match(const struct object_file *file, int fd)
{
	uint8_t *buffer = malloc(BLAKE3_CHUNK_LEN);
	struct scan scan = {0};
	bool is_same = false;
	int err = buffer ? blobs_scan_init(&scan, fd, file->stamp.size) : -ENOMEM;

	if (!err) {
		while ((err = blobs_scan_run(&scan, UINT64_MAX, buffer)) > 0)
			continue;
		is_same = !err && memcmp(scan.id, file->content_id, sizeof(scan.id)) == 0;
		blobs_scan_fini(&scan);
	}
	free(buffer);
	return is_same;
}

bool blobs_placed_is_unchanged(const struct object_file *file, int fd)
{
	struct object_stamp stamp;
	struct stat st;

	if (!file->is_got || !file->is_placed || fstat(fd, &st) < 0)
		return false;
	blobs_object_stamp_of(&st, &stamp);
	if (stamp.size != file->stamp.size)
		return false;
	return (!file->is_racy && blobs_object_stamp_equal(&stamp, &file->stamp)) ||
	       bytes_match(file, fd);
}

static void item_keep(struct removal *removal, const struct manifest_item *item)
{
	if (removal->kept_cnt++ == 0)
		snprintf(removal->first_kept, sizeof(removal->first_kept), "%.*s",
			 (int)item->path_len, item->path);
	removal->kept_len += item->size;
}

enum item_owner { OWNER_OTHER, OWNER_THIS, OWNER_NEWER };

/* The owner of the file at an item's place, by its record. */
static enum item_owner item_owner_of(const struct removal *removal, struct store_snapshot *snapshot,
				     const struct manifest_item *item, struct object_file *file)
{
	if (blobs_target_join(&removal->target, item->path, item->path_len, file->path) < 0 ||
	    blobs_object_file_get(snapshot, file->path, file) < 0 || !file->is_got)
		return OWNER_OTHER;
	if (removal->has_newer && memcmp(file->got_id, removal->newer_id, OBJECT_ID_LEN) == 0)
		return OWNER_NEWER;
	return memcmp(file->got_id, removal->got_id, OBJECT_ID_LEN) == 0 &&
			       memcmp(file->content_id, item->content_id, OBJECT_ID_LEN) == 0
		       ? OWNER_THIS
		       : OWNER_OTHER;
}

static int claims_load(struct removal *removal, uint64_t get_id, const uint8_t *manifest_id,
		       struct link_claims *claims)
{
	struct store_snapshot *snapshot;
	int err = store_snapshot_open(removal->store, &snapshot);

	if (err)
		return err;
	err = blobs_link_claims_load(claims, snapshot, get_id, manifest_id);
	store_snapshot_close(snapshot);
	return err;
}

/* A link of the newer revision took the place of an item. */
static bool newer_link_stands(struct removal *removal, const struct manifest_item *item)
{
	char text[MANIFEST_LINK_LEN_MAX + 1];
	struct manifest_link link = {.path = item->path, .path_len = item->path_len, .text = text};
	int len = removal->newer_links.cnt
			  ? blobs_target_look_link(&removal->dir, item->path, item->path_len, text)
			  : WEFT_EABSENT;

	link.text_len = len < 0 ? 0 : (size_t)len;
	return len >= 0 && blobs_link_claims_have(&removal->newer_links, &link);
}

/* Returns the bytes that were looked at. */
static uint64_t item_remove(struct removal *removal, struct store_snapshot *snapshot,
			    const struct manifest_item *item)
{
	struct object_file file;
	struct object_stamp stamp;
	struct stat st;
	enum item_owner owner = item_owner_of(removal, snapshot, item, &file);
	int err, fd;

	/* In a followed folder, a file that is not weft's was reported when it was met. */
	if (owner == OWNER_NEWER || (owner == OWNER_OTHER && removal->has_newer))
		return 0;
	fd = blobs_target_lookup(&removal->dir, item->path, item->path_len);

	if (fd == WEFT_EABSENT || (fd < 0 && newer_link_stands(removal, item)))
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0 || owner != OWNER_THIS ||
	    !blobs_placed_is_unchanged(&file, fd)) {
		if (fd >= 0)
			close(fd);
		item_keep(removal, item);
		return item->size;
	}
	close(fd);
	blobs_object_stamp_of(&st, &stamp);
	err = removal->versions_fd >= 0
		      ? blobs_target_move(&removal->dir, item->path, item->path_len, &stamp,
					  removal->versions_fd)
		      : blobs_target_remove(&removal->dir, item->path, item->path_len, &stamp);
	if (err < 0)
		item_keep(removal, item);
	else
		removal->removed_cnt++;
	return item->size;
}

/* Those of the part at hand that the get made, and that no newer one has, too. */
static void links_remove(struct removal *removal)
{
	const struct manifest *manifest = removal->stored.manifest;
	struct link_claims own = {.cnt = 0};

	if (manifest->link_cnt)
		removal->err =
			claims_load(removal, removal->get_id,
				    removal->ids + (size_t)removal->id_at * OBJECT_ID_LEN, &own);
	for (uint32_t i = 0; i < manifest->link_cnt && !removal->err; i++) {
		const struct manifest_link *link = &manifest->links[i];

		if (blobs_link_claims_have(&own, link) &&
		    !blobs_link_claims_have(&removal->newer_links, link))
			removal->removed_cnt += blobs_target_remove_link(&removal->dir, link) > 0;
	}
	blobs_link_claims_fini(&own);
}

static void dirs_remove(struct removal *removal)
{
	const struct manifest *manifest = removal->stored.manifest;

	for (uint32_t i = manifest->dir_cnt; i-- > 0;)
		blobs_target_remove_dirs(&removal->dir, manifest->dirs[i].path,
					 manifest->dirs[i].path_len);
}

/* Some items of the part at hand; false: they are done. */
static bool items_run(struct removal *removal, uint64_t *looked_len)
{
	const struct manifest *manifest = removal->stored.manifest;
	struct store_snapshot *snapshot;
	unsigned cnt = 0;

	removal->err = store_snapshot_open(removal->store, &snapshot);
	if (removal->err)
		return true;
	while (removal->item_at < manifest->item_cnt && cnt++ < RUN_ITEMS && *looked_len < RUN_LEN)
		*looked_len += item_remove(removal, snapshot, &manifest->items[removal->item_at++]);
	store_snapshot_close(snapshot);
	if (removal->item_at < manifest->item_cnt)
		return true;
	links_remove(removal);
	dirs_remove(removal);
	return removal->err;
}

/* A list that is not here was never read by the get: it brought nothing of it. */
static int stored_next(struct removal *removal)
{
	int err = 0;

	while (!removal->stored.manifest && removal->id_at < removal->id_cnt) {
		err = blobs_stored_manifest_load(
			removal->store, removal->ids + (size_t)removal->id_at * OBJECT_ID_LEN,
			&removal->stored);
		removal->item_at = 0;
		if (err == 0 || err == -ENOMEM)
			return err;
		removal->id_at++;
	}
	return 0;
}

void blobs_removal_run(struct job *job)
{
	struct removal *removal = (struct removal *)job;
	uint64_t looked_len = 0;

	if (removal->target.fd < 0)
		removal->err = blobs_target_open_there(&removal->target, removal->path);
	if (!removal->err && removal->has_newer && !removal->newer_links.cnt)
		removal->err =
			claims_load(removal, removal->newer_get_id, NULL, &removal->newer_links);
	/* The folder is gone, and all that was in it. */
	if (removal->err == -ENOENT || removal->err == -ENOTDIR) {
		removal->err = 0;
		removal->is_over = true;
	}
	while (!removal->err && !removal->is_over && looked_len < RUN_LEN) {
		removal->err = stored_next(removal);
		removal->is_over = !removal->err && !removal->stored.manifest;
		if (removal->err || removal->is_over)
			return;
		if (items_run(removal, &looked_len))
			return;
		blobs_stored_manifest_fini(&removal->stored);
		removal->id_at++;
	}
}

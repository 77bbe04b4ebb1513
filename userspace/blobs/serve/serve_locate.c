/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the bytes of a content. It looks in the whole files that a share or a get makes
 * reachable, else in one that a get is fetching.
 */
#include <string.h>

#include "blobs/blobs_state.h"
#include "blobs/manifest/manifest.h"
#include "served_index.h"
#include "serve_state.h"
#include "store/store.h"

/* Locations of one content that are tried, and looked at, before it counts as absent. */
#define LOCATION_TRIES_MAX 16u
#define LOCATIONS_MAX	   256u

/* By the one that asks. */
static bool file_is_reachable(const struct serve_call *call, const struct object_file *file)
{
	struct served_reader reader =
		blobs_serve_reader(call->serve, call->peer_key, &call->asked_by);

	return blobs_served_index_gives_file(blobs_served_index(call->serve->content), file,
					     &reader);
}

/*
 * Goes on behind what the call has seen, to the first file worth trying. By
 * key, not by number: what was forgotten meanwhile is in the list no more.
 */
static int location_next(struct serve_call *call, struct store_snapshot *snapshot,
			 struct object_file *out_file)
{
	const struct object_file *file;
	struct object_locations locations;
	bool is_found = false;
	int err;

	blobs_object_locations_begin(&locations, snapshot, call->request.id);
	while (!is_found && (file = blobs_object_locations_next(&locations))) {
		uint8_t key[OBJECT_ID_LEN];

		blobs_object_path_key(file->path, key);
		if (call->seen_cnt && memcmp(key, call->seen_key, sizeof(key)) <= 0)
			continue;
		if (call->seen_cnt == LOCATIONS_MAX)
			break;
		call->seen_cnt++;
		memcpy(call->seen_key, key, sizeof(key));
		if (!file_is_reachable(call, file))
			continue;
		is_found = !blobs_serve_files_has_changed(&call->serve->files, file);
		call->was_changed |= !is_found;
		*out_file = *file;
	}
	err = blobs_object_locations_end(&locations);
	return err || is_found ? err : WEFT_EABSENT;
}

static bool changed_is_reachable(const struct serve_call *call)
{
	const struct serve_files *files = &call->serve->files;
	const struct object_file *file;
	size_t at = 0;

	while ((file = blobs_serve_files_changed_next(files, call->request.id, &at)))
		if (file_is_reachable(call, file))
			return true;
	return false;
}

static int file_locate(struct serve_call *call)
{
	struct serve *serve = call->serve;
	struct store_snapshot *snapshot;
	struct object_file object;
	int err = store_snapshot_open(call->store, &snapshot);

	if (err)
		return err;
	err = call->try_cnt++ < LOCATION_TRIES_MAX ? location_next(call, snapshot, &object)
						   : WEFT_EABSENT;
	store_snapshot_close(snapshot);
	/* Its record is gone since it was found changed; the answer still states the reason. */
	if (err == WEFT_EABSENT)
		call->was_changed |= changed_is_reachable(call);
	if (err)
		return err;
	call->file = blobs_serve_files_add(&serve->files, &object);
	call->fd = -1;
	return call->file ? 0 : WEFT_EFULL;
}

static int whole_locate(struct serve_call *call)
{
	struct serve_file *file = blobs_serve_files_lookup(&call->serve->files, call->request.id);

	if (file && file_is_reachable(call, &file->object)) {
		call->file = file;
		call->fd = file->fd;
		return 0;
	}
	if (file) {
		/* One that others may read stays open for them. */
		if (!blobs_served_index_has_file(blobs_served_index(call->serve->content),
						 &file->object))
			blobs_serve_file_drop(file);
		blobs_serve_file_release(file);
	}
	return file_locate(call);
}

static bool in_progress_file_serves(const struct serve_call *call,
				    const struct in_progress_file *partial)
{
	return (call->type == MESH_GET_CHUNK &&
		blobs_in_progress_file_has(partial, call->request.first)) ||
	       (call->type == MESH_GET_CHUNK_HASHES && partial->hashes);
}

/* A file that is being fetched is not in the store's list of locations: it has no place yet. */
int blobs_serve_locate(struct serve_call *call)
{
	struct served_reader reader =
		blobs_serve_reader(call->serve, call->peer_key, &call->asked_by);
	struct in_progress_file *partial =
		blobs_serve_in_progress_find(call->serve, call->request.id, &reader);

	if (!partial || !in_progress_file_serves(call, partial))
		return whole_locate(call);
	blobs_in_progress_file_use(partial);
	call->partial = partial;
	return 0;
}

void blobs_serve_leave_place(struct serve_call *call)
{
	if (call->partial)
		blobs_in_progress_file_release(call->partial);
	if (call->file)
		blobs_serve_file_release(call->file);
	call->partial = NULL;
	call->file = NULL;
}

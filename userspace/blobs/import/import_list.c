/* SPDX-License-Identifier: Apache-2.0 */
/* The walk of an import, some entries at a time, on a pool thread. */
#include "import_list.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "walk.h"
#include "store/store.h"

void blobs_import_file_free(struct import_file *file)
{
	if (!file)
		return;
	free(file->page_ids);
	free(file);
}

static struct import_file *file_make(const struct walk_entry *entry)
{
	struct import_file *file = calloc(1, sizeof(*file) + entry->path_len + entry->link_len + 2);

	if (!file)
		return NULL;
	memcpy(file->path, entry->path, entry->path_len);
	file->link = file->path + entry->path_len + 1;
	file->link_len = entry->link_len;
	if (entry->link_len)
		memcpy(file->path + entry->path_len + 1, entry->link, entry->link_len);
	file->is_executable = entry->is_executable;
	file->kind = entry->kind;
	file->stamp = entry->stamp;
	file->err = entry->err;
	file->state = entry->kind == WALK_FILE ? IMPORT_FILE_WAITING : IMPORT_FILE_DONE;
	return file;
}

/* A file known by path and stamp, with its chunk list, need not be read again. */
static void file_recall(const struct import_list *list, struct store_snapshot *snapshot,
			struct object_file *known, struct import_file *file)
{
	const void *pages;
	size_t len;

	if (blobs_walk_file_path(list->walk, file->path, known->path, sizeof(known->path)) < 0) {
		file->kind = WALK_BAD_NAME;
		file->state = IMPORT_FILE_DONE;
		return;
	}
	if (blobs_object_file_get(snapshot, known->path, known) < 0)
		return;
	file->has_known = true;
	memcpy(file->known_id, known->content_id, OBJECT_ID_LEN);
	file->is_got = known->is_got;
	file->is_placed = known->is_placed;
	memcpy(file->got_id, known->got_id, OBJECT_ID_LEN);
	if (known->is_racy || !blobs_object_stamp_equal(&known->stamp, &file->stamp))
		return;
	if (file->stamp.size > BLAKE3_CHUNK_LEN &&
	    store_get(snapshot, STORE_OUTBOARDS, store_key(file->known_id, OBJECT_ID_LEN), &pages,
		      &len) < 0)
		return;
	memcpy(file->content_id, known->content_id, OBJECT_ID_LEN);
	file->is_reused = true;
	file->state = IMPORT_FILE_DONE;
}

static int list_fill(struct import_list *list)
{
	struct object_file *known = malloc(sizeof(*known));
	struct import_file **link = &list->first;
	struct store_snapshot *snapshot;
	struct walk_entry entry;
	int got = known ? store_snapshot_open(list->store, &snapshot) : -ENOMEM;

	if (got < 0) {
		free(known);
		return got;
	}
	got = 1;
	while (list->cnt < IMPORT_LIST_CNT && (got = blobs_walk_next(list->walk, &entry)) == 1) {
		struct import_file *file = file_make(&entry);

		if (!file) {
			got = -ENOMEM;
			break;
		}
		if (file->kind == WALK_FILE)
			file_recall(list, snapshot, known, file);
		*link = file;
		link = &file->next;
		list->cnt++;
	}
	store_snapshot_close(snapshot);
	free(known);
	return got;
}

static int list_count(struct import_list *list)
{
	struct walk_entry entry;
	int got = 1;

	for (unsigned i = 0; i < IMPORT_COUNT_CNT && got == 1; i++) {
		got = blobs_walk_next(list->walk, &entry);
		if (got == 1 && entry.kind == WALK_FILE) {
			list->file_cnt++;
			list->byte_cnt += entry.stamp.size;
		}
	}
	return got;
}

void blobs_import_list_run(struct job *job)
{
	struct import_list *list = container_of(job, struct import_list, job);
	int got = 1;

	list->file_cnt = list->byte_cnt = 0;
	list->first = NULL;
	list->cnt = 0;
	/* A file is served under its own name only, never through a link that may change. */
	if (!list->walk && list->counts_only && !(list->resolved = realpath(list->root, NULL)))
		got = errno == ENOMEM ? -ENOMEM : 1; /* blobs_walk_new returns any other error */
	if (!list->walk && got >= 0)
		got = blobs_walk_new(list->resolved ? list->resolved : list->root, &list->walk);
	if (list->walk)
		blobs_walk_limit(list->walk, list->only);
	list->special = got == WEFT_EUNSAFE ? blobs_walk_special_kind(list->root) : NULL;
	if (got >= 0)
		got = list->counts_only ? list_count(list) : list_fill(list);
	list->err = got < 0 ? got : 0;
	list->has_ended = got == 0;
	if (list->has_ended && list->counts_only) {
		blobs_walk_free(list->walk);
		list->walk = NULL;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes sent to each peer and of each share: the usage functions of blobs.h. */
#include <string.h>

#include "blobs/blobs_state.h"
#include "blobs/object.h"
#include "serve_state.h"
#include "blobs/serve/servers.h"
#include "store/store.h"

_Static_assert(BLOBS_PATH_CAP == OBJECT_PATH_LEN_MAX, "room for any path");

static struct usage *usage_of(struct serve *serve, enum blobs_usage_kind kind)
{
	return kind == BLOBS_USAGE_PEER ? &serve->peer_usage : &serve->content_usage;
}

void blobs_usage_each(const struct blobs *content, enum blobs_usage_kind kind, uint64_t now_ns,
		      blobs_usage_fn fn, void *arg)
{
	const struct usage *usage = usage_of(content->serve, kind);
	const struct usage_entry *entry = NULL;

	while ((entry = blobs_usage_next(usage, entry))) {
		struct blobs_usage told = {.kind = kind,
					   .byte_cnt = entry->len,
					   .chunk_cnt = entry->cnt,
					   .per_s = blobs_byte_meter_per_s(&entry->meter, now_ns)};

		memcpy(told.key, entry->key, sizeof(told.key));
		fn(arg, &told);
	}
}

struct changes {
	enum blobs_usage_kind kind;
	blobs_usage_fn fn;
	void *arg;
};

static void change_tell(void *arg, const uint8_t key[static USAGE_KEY_LEN], uint64_t len,
			uint64_t cnt)
{
	const struct changes *changes = arg;
	struct blobs_usage told = {.kind = changes->kind, .byte_cnt = len, .chunk_cnt = cnt};

	memcpy(told.key, key, sizeof(told.key));
	changes->fn(changes->arg, &told);
}

void blobs_usage_changes_each(struct blobs *content, blobs_usage_fn fn, void *arg)
{
	struct changes changes = {BLOBS_USAGE_PEER, fn, arg};

	blobs_usage_change_each(&content->serve->peer_usage, change_tell, &changes);
	changes.kind = BLOBS_USAGE_CONTENT;
	blobs_usage_change_each(&content->serve->content_usage, change_tell, &changes);
}

void blobs_note_usage(struct blobs *content, const struct blobs_usage *usage, uint64_t now_ns)
{
	blobs_usage_note(usage_of(content->serve, usage->kind), usage->key, usage->byte_cnt,
			 usage->chunk_cnt, now_ns);
}

bool blobs_path_of(const struct blobs *content, const uint8_t content_id[static 32],
		   char path[static BLOBS_PATH_CAP])
{
	struct store_snapshot *snapshot;
	struct object_locations locations;
	const struct object_file *file;
	int err = store_snapshot_open(content->params.store, &snapshot);

	path[0] = '\0';
	if (err)
		return false;
	blobs_object_locations_begin(&locations, snapshot, content_id);
	if ((file = blobs_object_locations_next(&locations)))
		memcpy(path, file->path, strlen(file->path) + 1);
	err = blobs_object_locations_end(&locations);
	store_snapshot_close(snapshot);
	return !err && path[0];
}

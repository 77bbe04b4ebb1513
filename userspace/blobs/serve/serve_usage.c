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

bool blobs_usages_next(struct blobs_usage_iter *iter, struct blobs_usage *out_usage)
{
	const struct usage *usage = usage_of(iter->content->serve, iter->kind);
	const struct usage_entry *entry = blobs_usage_next(usage, iter->entry);

	iter->entry = entry;
	if (!entry)
		return false;
	*out_usage = (struct blobs_usage){
		.kind = iter->kind,
		.byte_cnt = entry->len,
		.chunk_cnt = entry->cnt,
		.per_s = blobs_byte_meter_per_s(&entry->meter, iter->now_ns),
	};
	memcpy(out_usage->key, entry->key, sizeof(out_usage->key));
	return true;
}

unsigned blobs_read_usage_changes(struct blobs *server,
				  struct blobs_usage out_usages[static 2 * BLOBS_USAGE_MAX])
{
	static const enum blobs_usage_kind kinds[] = {BLOBS_USAGE_PEER, BLOBS_USAGE_CONTENT};
	unsigned cnt = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct usage_change_iter iter = {.usage = usage_of(server->serve, kinds[i])};

		while (blobs_usage_change_next(&iter)) {
			struct blobs_usage *usage = &out_usages[cnt++];

			*usage = (struct blobs_usage){
				.kind = kinds[i], .byte_cnt = iter.len, .chunk_cnt = iter.cnt};
			memcpy(usage->key, iter.entry->key, sizeof(usage->key));
		}
	}
	return cnt;
}

void blobs_note_usage(struct blobs *content, const struct blobs_usage *usage, uint64_t now_ns)
{
	blobs_usage_note(usage_of(content->serve, usage->kind), usage->key, usage->byte_cnt,
			 usage->chunk_cnt, now_ns);
	if (usage->kind == BLOBS_USAGE_PEER)
		blobs_tell_sent(content, usage->key, usage->byte_cnt);
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

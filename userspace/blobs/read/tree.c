/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cursor goes over the paths of a collection, files and empty directories in their one order,
 * and can be set to a path. Parts are found by bisection, because they follow each other in that
 * order.
 */
#include "read.h"

#include <errno.h>
#include <string.h>

#include "blobs/manifest/manifest.h"

struct tree_cursor {
	struct store *store;
	struct stored_manifest root; /* itself the only part, if it names none */
	struct stored_manifest part;
	struct stored_manifest *stored;
	uint32_t part_idx;
	uint32_t item, dir; /* the next of each in stored */
};

/* The place of the cursor. */
struct tree_path {
	const char *path;
	size_t len;
	const struct manifest_item *item; /* NULL: an empty directory */
};

/* A part that is missing or wrong is damage: its root is held only with all of them. */
static int part_load(struct tree_cursor *cursor, uint32_t idx)
{
	int err;

	blobs_stored_manifest_fini(&cursor->part);
	err = blobs_stored_manifest_load(
		cursor->store, cursor->root.manifest->parts[idx].manifest_id, &cursor->part);
	if (err)
		return err == -ENOMEM ? err : WEFT_EDAMAGED;
	cursor->part_idx = idx;
	cursor->item = cursor->dir = 0;
	return 0;
}

static int cursor_open(struct tree_cursor *cursor, struct store *store,
		       const uint8_t manifest_id[static 32])
{
	int err;

	*cursor = (struct tree_cursor){.store = store};
	err = blobs_stored_manifest_load(store, manifest_id, &cursor->root);
	if (err)
		return err == WEFT_EABSENT ? WEFT_EUNKNOWN : err;
	if (cursor->root.manifest->shape != MANIFEST_ROOT) {
		cursor->stored = &cursor->root;
		return 0;
	}
	cursor->stored = &cursor->part;
	return part_load(cursor, 0);
}

static void cursor_close(struct tree_cursor *cursor)
{
	blobs_stored_manifest_fini(&cursor->part);
	blobs_stored_manifest_fini(&cursor->root);
}

static bool manifest_at(const struct tree_cursor *cursor, struct tree_path *out_path)
{
	const struct manifest *manifest = cursor->stored->manifest;
	const struct manifest_item *item =
		cursor->item < manifest->item_cnt ? &manifest->items[cursor->item] : NULL;
	const struct manifest_dir *dir =
		cursor->dir < manifest->dir_cnt ? &manifest->dirs[cursor->dir] : NULL;

	if (!item && !dir)
		return false;
	if (item && (!dir || blobs_manifest_path_compare(item->path, item->path_len, dir->path,
							 dir->path_len) < 0))
		*out_path = (struct tree_path){item->path, item->path_len, item};
	else
		*out_path = (struct tree_path){dir->path, dir->path_len, NULL};
	return true;
}

/* cursor_at: 1 with where it stands, going on to the next part if need be; 0 at the end. */
static int cursor_at(struct tree_cursor *cursor, struct tree_path *out_path)
{
	while (!manifest_at(cursor, out_path)) {
		int err;

		if (cursor->stored == &cursor->root ||
		    cursor->part_idx + 1 >= cursor->root.manifest->part_cnt)
			return 0;
		err = part_load(cursor, cursor->part_idx + 1);
		if (err)
			return err;
	}
	return 1;
}

static void manifest_seek(struct tree_cursor *cursor, const char *path, size_t len)
{
	const struct manifest *manifest = cursor->stored->manifest;
	uint32_t low = 0, high = manifest->item_cnt;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		const struct manifest_item *item = &manifest->items[mid];

		if (blobs_manifest_path_compare(item->path, item->path_len, path, len) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	cursor->item = low;
	for (low = 0, high = manifest->dir_cnt; low < high;) {
		uint32_t mid = low + (high - low) / 2;
		const struct manifest_dir *dir = &manifest->dirs[mid];

		if (blobs_manifest_path_compare(dir->path, dir->path_len, path, len) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	cursor->dir = low;
}

/* manifest_begins_beyond: all of its paths come after path. */
static bool manifest_begins_beyond(struct tree_cursor *cursor, const char *path, size_t len)
{
	struct tree_path at;

	return manifest_at(cursor, &at) &&
	       blobs_manifest_path_compare(at.path, at.len, path, len) > 0;
}

/* cursor_seek_from stands at the first path from part low on that does not come before path. */
static int cursor_seek_from(struct tree_cursor *cursor, uint32_t low, const char *path, size_t len)
{
	uint32_t high;
	int err;

	if (cursor->stored == &cursor->root) {
		manifest_seek(cursor, path, len);
		return 0;
	}
	/* The last part that does not begin beyond path; what it lacks the next one has. */
	for (high = cursor->root.manifest->part_cnt; high - low > 1;) {
		uint32_t mid = low + (high - low) / 2;

		err = part_load(cursor, mid);
		if (err)
			return err;
		if (manifest_begins_beyond(cursor, path, len))
			high = mid;
		else
			low = mid;
	}
	if (cursor->part_idx != low) {
		err = part_load(cursor, low);
		if (err)
			return err;
	}
	manifest_seek(cursor, path, len);
	return 0;
}

static int cursor_seek(struct tree_cursor *cursor, const char *path, size_t len)
{
	return cursor_seek_from(cursor, 0, path, len);
}

static bool is_below(const struct tree_path *at, const char *path, size_t len)
{
	return len == 0 ||
	       (at->len > len && memcmp(at->path, path, len) == 0 && at->path[len] == '/');
}

static void place_file(const struct tree_cursor *cursor, const struct manifest_item *item,
		       struct tree_place *out_place)
{
	size_t mime_len = item->mime && item->mime_len < TREE_MIME_CAP ? item->mime_len : 0;

	*out_place = (struct tree_place){
		.kind = TREE_FILE,
		.size = item->size,
		.item = (uint32_t)(item - cursor->stored->manifest->items),
	};
	memcpy(out_place->content_id, item->content_id, sizeof(out_place->content_id));
	memcpy(out_place->part_id, cursor->stored->id, sizeof(out_place->part_id));
	if (mime_len)
		memcpy(out_place->mime, item->mime, mime_len);
}

static int cursor_find(struct tree_cursor *cursor, const char *path, size_t len,
		       struct tree_place *out_place)
{
	struct tree_path at;
	int err = cursor_seek(cursor, path, len);

	if (err)
		return err;
	err = cursor_at(cursor, &at);
	if (err < 0)
		return err;
	if (len > 0 && err == 0)
		return WEFT_EABSENT;
	if (err == 1 && at.item && at.len == len && memcmp(at.path, path, len) == 0) {
		place_file(cursor, at.item, out_place);
		return 0;
	}
	if (len > 0 && !is_below(&at, path, len) &&
	    !(at.len == len && memcmp(at.path, path, len) == 0))
		return WEFT_EABSENT;
	*out_place = (struct tree_place){.kind = TREE_DIR};
	return 0;
}

int blobs_tree_find(struct store *store, const struct tree_ask *ask, struct tree_place *out_place)
{
	struct tree_cursor cursor;
	int err;

	if (ask->len > MANIFEST_PATH_LEN_MAX)
		return WEFT_EABSENT;
	err = cursor_open(&cursor, store, ask->manifest_id);
	if (!err)
		err = cursor_find(&cursor, ask->path, ask->len, out_place);
	cursor_close(&cursor);
	return err;
}

/*
 * Leaves the directory path, which the cursor stands in, behind. Never back to
 * an earlier part: nothing proves that parts follow each other in order.
 */
static int cursor_skip(struct tree_cursor *cursor, const char *path, size_t len)
{
	char beyond[MANIFEST_PATH_LEN_MAX + 2];

	memcpy(beyond, path, len);
	beyond[len] = '/';
	beyond[len + 1] = '\xff'; /* is in no path: they are UTF-8 */
	return cursor_seek_from(cursor, cursor->part_idx, beyond, len + 2);
}

static void cursor_next(struct tree_cursor *cursor, const struct tree_path *at)
{
	if (at->item)
		cursor->item++;
	else
		cursor->dir++;
}

/* cursor_entry makes an entry of where it stands, below path, and goes on: 0 or an error. */
static int cursor_entry(struct tree_cursor *cursor, const struct tree_path *at, size_t path_len,
			struct tree_entry *out_entry, char name[static MANIFEST_PATH_LEN_MAX])
{
	size_t begin = path_len ? path_len + 1 : 0;
	const char *slash = memchr(at->path + begin, '/', at->len - begin);
	size_t end = slash ? (size_t)(slash - at->path) : at->len;

	/* Skipping may unload what at borrows. */
	memcpy(name, at->path, end);
	*out_entry = (struct tree_entry){
		.kind = slash || !at->item ? TREE_DIR : TREE_FILE,
		.name = name + begin,
		.name_len = end - begin,
		.size = !slash && at->item ? at->item->size : 0,
	};
	if (slash)
		return cursor_skip(cursor, name, end);
	cursor_next(cursor, at);
	return 0;
}

static int cursor_list(struct tree_cursor *cursor, const char *path, size_t len,
		       bool (*fn)(void *arg, const struct tree_entry *entry), void *arg)
{
	char name[MANIFEST_PATH_LEN_MAX];
	struct tree_place place;
	struct tree_path at;
	int err = cursor_find(cursor, path, len, &place);

	if (!err && place.kind != TREE_DIR)
		err = WEFT_EABSENT;
	while (!err && (err = cursor_at(cursor, &at)) == 1) {
		struct tree_entry entry;

		if (at.len == len && memcmp(at.path, path, len) == 0) {
			cursor_next(cursor, &at); /* the directory itself, which is empty */
			err = 0;
			continue;
		}
		if (!is_below(&at, path, len))
			return 0;
		err = cursor_entry(cursor, &at, len, &entry, name);
		if (!err && !fn(arg, &entry))
			return 0;
	}
	return err;
}

int blobs_tree_list(struct store *store, const struct tree_ask *ask,
		    bool (*fn)(void *arg, const struct tree_entry *entry), void *arg)
{
	struct tree_cursor cursor;
	int err;

	if (ask->len > MANIFEST_PATH_LEN_MAX)
		return WEFT_EABSENT;
	err = cursor_open(&cursor, store, ask->manifest_id);
	if (!err)
		err = cursor_list(&cursor, ask->path, ask->len, fn, arg);
	cursor_close(&cursor);
	return err;
}

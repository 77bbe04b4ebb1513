/* SPDX-License-Identifier: Apache-2.0 */
/* The end of an import's line: files in order, into the manifest and the store. */
#include "import_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "walk.h"
#include "store/store.h"

/* Bytes waiting to be stored beyond which nothing more is taken. */
#define TAKE_LEN_MAX (24u << 20)
/*
 * What one file's records take while they are committed: two leaves, for
 * both tables are ordered by hashes and hardly any two files share one.
 */
#define TAKE_FILE_LEN (2 * 4096)

/* skip_list adds what is still within the bounds of the list. */
static void skip_list(struct blobs_import *told, const char *path, const char *why)
{
	size_t room = sizeof(told->skipped) - told->skipped_len;
	int len = snprintf(NULL, 0, "%s: %s", path, why);

	if (told->skipped_told_cnt == BLOBS_SKIPPED_MAX || (size_t)len >= room)
		return;
	snprintf(told->skipped + told->skipped_len, room, "%s: %s", path, why);
	told->skipped_len += (uint32_t)len + 1;
	told->skipped_told_cnt++;
}

static void skip_note(struct import *import, uint64_t *io_cnt, const struct import_file *file,
		      const char *why)
{
	char *text = import->told.first_skipped;

	++*io_cnt;
	skip_list(&import->told, file->path, why);
	if (text[0] == '\0')
		snprintf(text, sizeof(import->told.first_skipped), "%s: %s", file->path, why);
}

static void file_skip(struct import *import, const struct import_file *file)
{
	struct blobs_import *told = &import->told;

	switch (file->kind) {
	case WALK_FAR_LINK:
		skip_note(import, &told->skipped_symlink_cnt, file,
			  "a symbolic link that leads out of the folder");
		break;
	case WALK_SPECIAL:
		skip_note(import, &told->skipped_special_cnt, file,
			  "neither a file nor a directory");
		break;
	case WALK_BAD_NAME:
		skip_note(import, &told->skipped_name_cnt, file, "a name that cannot be shared");
		break;
	case WALK_UNREADABLE:
	case WALK_FILE:
	case WALK_SYMLINK:
	case WALK_EMPTY_DIR:
		if (file->err == WEFT_ECHANGED)
			skip_note(import, &told->skipped_changed_cnt, file,
				  "changed while it was read");
		else
			skip_note(import, &told->skipped_unreadable_cnt, file,
				  file->err > -1000 ? strerror(-file->err) : "cannot be read");
		break;
	}
}

static int object_store(struct import *import, const struct import_file *file)
{
	struct object_file *records = calloc(2, sizeof(*records));
	struct object_file *record = records, *known = records + 1;
	int err;

	if (!records)
		return -ENOMEM;
	err = blobs_walk_file_path(import->list.walk, file->path, record->path,
				   sizeof(record->path));
	if (err == 0) {
		record->stamp = file->stamp;
		record->is_racy = file->is_racy;
		memcpy(record->content_id, file->content_id, OBJECT_ID_LEN);
		/* Other bytes are no part of what was got. */
		record->is_got = file->is_got &&
				 memcmp(file->known_id, file->content_id, OBJECT_ID_LEN) == 0;
		record->is_placed = record->is_got && file->is_placed;
		memcpy(record->got_id, file->got_id, OBJECT_ID_LEN);
		memcpy(known->content_id, file->known_id, OBJECT_ID_LEN);
		memcpy(known->path, record->path, sizeof(known->path));
		blobs_object_file_put(import->batch, record, file->has_known ? known : NULL);
		if (file->page_cnt)
			blobs_object_pages_put(import->batch, file->content_id, file->page_ids,
					       file->page_cnt);
		import->batch_len += TAKE_FILE_LEN + strlen(record->path);
	}
	free(records);
	return err;
}

/* Descriptors and memory run out for all programs: no reason to leave a file out. */
static bool is_scarcity(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM;
}

static int link_take(struct import *import, const struct import_file *file)
{
	const struct manifest_link link = {.path = file->path,
					   .path_len = strlen(file->path),
					   .text = file->link,
					   .text_len = file->link_len};

	return blobs_import_collect_add_link(import->collect, &link, import->batch,
					     &import->batch_len);
}

static int file_take(struct import *import, const struct import_file *file)
{
	struct manifest_item item = {
		.content_id = file->content_id,
		.size = file->stamp.size,
		.path = file->path,
		.path_len = strlen(file->path),
		.mtime_ns = file->stamp.mtime_ns > 0 ? (uint64_t)file->stamp.mtime_ns : 0,
		.is_executable = file->is_executable,
	};
	int err;

	if (file->kind == WALK_EMPTY_DIR)
		return blobs_import_collect_add_dir(import->collect, item.path, item.path_len,
						    import->batch, &import->batch_len);
	if (file->kind == WALK_SYMLINK)
		return link_take(import, file);
	if (is_scarcity(file->err))
		return file->err;
	if (file->kind != WALK_FILE || file->err < 0) {
		file_skip(import, file);
		return 0;
	}
	if (import->seal.label)
		import->seal.label(import->seal.ctx, &item);
	err = blobs_import_collect_add_item(import->collect, &item, import->batch,
					    &import->batch_len);
	if (err == 0 && !file->is_reused)
		err = object_store(import, file);
	if (err < 0)
		return err;
	import->told.file_done_cnt++;
	import->told.reused_cnt += file->is_reused;
	return 0;
}

void blobs_import_take(struct import *import)
{
	struct import_file *file;

	while ((file = import->first) && file->state == IMPORT_FILE_DONE && import->err == 0 &&
	       import->batch_len < TAKE_LEN_MAX) {
		int err = file_take(import, file);

		if (err < 0)
			blobs_import_fail(import, err, "cannot share %s: %s", file->path,
					  weft_err_text(err));
		import->first = file->next;
		if (!import->first)
			import->last = &import->first;
		if (import->cursor == file)
			import->cursor = file->next;
		import->window_cnt--;
		blobs_import_file_free(file);
	}
}

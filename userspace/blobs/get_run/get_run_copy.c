/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy of an item from elsewhere on this disk, within the job of get_run_check.c. Its source
 * is a duplicate in the collection, else one of the files that peers may read anyway.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blobs/serve/served_index.h"
#include "get_run.h"
#include "store/store.h"

#define SOURCES_MAX   4u
#define COPY_STEP_LEN (8u << 20)

uint32_t blobs_get_run_check_item(const struct get_run_check *check)
{
	return check->items[check->at];
}

const struct manifest_item *blobs_get_run_check_entry(const struct get_run_check *check)
{
	return blobs_get_run_manifest_item(check->get_run, blobs_get_run_check_item(check));
}

void blobs_get_run_copy_name(const struct get_run *get_run, uint32_t item,
			     char name[PLACING_NAME_CAP])
{
	blobs_get_run_name(get_run, item, name);
	strcat(name, ".copy");
}

/* The file after skip_cnt others that peers may read. A descriptor, WEFT_EABSENT or -errno. */
static int known_open(const struct get_run_check *check, struct store_snapshot *snapshot,
		      unsigned skip_cnt)
{
	struct object_locations locations;
	const struct object_file *file;
	int fd = WEFT_EABSENT;

	blobs_object_locations_begin(&locations, snapshot,
				     blobs_get_run_check_entry(check)->content_id);
	while (check->served_index && (file = blobs_object_locations_next(&locations))) {
		if (!blobs_served_index_has_file(check->served_index, file) || skip_cnt-- > 0)
			continue;
		fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
		fd = fd < 0 ? -errno : fd;
		break;
	}
	(void)!blobs_object_locations_end(&locations);
	return fd;
}

/* A duplicate that is whole: staged, or in its place a moment later. */
static int twin_open(struct get_run_check *check, uint32_t twin)
{
	const struct target *target = &check->get_run->target;
	const struct manifest_item *entry = blobs_get_run_manifest_item(check->get_run, twin);
	char name[PLACING_NAME_CAP];
	int fd;

	blobs_get_run_name(check->get_run, twin, name);
	fd = blobs_target_stage_lookup(target, name);
	if (fd == -ENOENT) {
		blobs_get_run_copy_name(check->get_run, twin, name);
		fd = blobs_target_stage_lookup(target, name);
	}
	return fd == -ENOENT ? blobs_target_lookup(&check->dir, entry->path, entry->path_len) : fd;
}

/* The duplicate that is here already, then files the store knows. A descriptor or WEFT_EABSENT. */
static int source_open(struct get_run_check *check, struct store_snapshot *snapshot)
{
	const struct get_run *get_run = check->get_run;
	uint32_t twin = get_run->items.all[blobs_get_run_check_item(check)].twin_of;

	if (twin != GET_RUN_NONE && check->source_cnt == 0)
		return twin_open(check, twin);
	return known_open(check, snapshot, check->source_cnt - (twin != GET_RUN_NONE));
}

static bool source_fits(const struct get_run_check *check)
{
	struct stat st;

	return fstat(check->fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       (uint64_t)st.st_size == blobs_get_run_check_entry(check)->size;
}

/* A second name for the same extents takes no room. The source may have grown meanwhile. */
static bool copy_clone(const struct get_run_check *check)
{
	struct stat st;

	return ioctl(check->staged_fd, FICLONE, check->fd) == 0 &&
	       fstat(check->staged_fd, &st) == 0 &&
	       (uint64_t)st.st_size == blobs_get_run_check_entry(check)->size;
}

/* Begins a copy: done at once, or with room for all of it and for what is to be fetched. */
static int copy_begin(struct get_run_check *check)
{
	uint64_t size = blobs_get_run_check_entry(check)->size,
		 free_len = blobs_target_free_len(&check->get_run->target);

	check->copied_len = 0;
	check->phase = CHECK_COPY;
	if (copy_clone(check)) {
		check->copied_len = size;
		return 0;
	}
	if (ftruncate(check->staged_fd, 0) < 0)
		return -errno;
	check->lacking_len = size + check->needed_len > free_len ? size + check->needed_len : 0;
	return check->lacking_len ? -ENOSPC : 0;
}

static int copy_open(struct get_run_check *check)
{
	char name[PLACING_NAME_CAP];
	bool is_new;

	blobs_get_run_copy_name(check->get_run, blobs_get_run_check_item(check), name);
	check->staged_fd = blobs_target_stage_open(&check->get_run->target, name, &is_new);
	if (check->staged_fd < 0)
		return check->staged_fd;
	return copy_begin(check);
}

/* The rest of a copy that cannot go on would only fill the disk. */
void blobs_get_run_copy_drop(const struct get_run_check *check)
{
	char name[PLACING_NAME_CAP];

	if (check->staged_fd < 0)
		return;
	blobs_get_run_copy_name(check->get_run, blobs_get_run_check_item(check), name);
	blobs_target_stage_remove(&check->get_run->target, name);
}

/* Steps to the next source that can be opened: CHECK_COPY begun and wanting more, or absent. */
int blobs_get_run_copy_next(struct get_run_check *check, struct store_snapshot *snapshot)
{
	int err;

	while (blobs_get_run_check_entry(check)->size > 0 && check->source_cnt < SOURCES_MAX) {
		blobs_get_run_fd_close(&check->fd);
		check->fd = source_open(check, snapshot);
		check->source_cnt++;
		if (check->fd == WEFT_EABSENT && check->source_cnt > 1)
			break;
		if (check->fd < 0 || !source_fits(check))
			continue;
		err = copy_open(check);
		return err ? err : ITEM_WANTS_MORE;
	}
	return ITEM_IS_ABSENT;
}

/* The source is no longer what its record says, or cannot be read to its end. */
int blobs_get_run_copy_give_up(struct get_run_check *check, struct store_snapshot *snapshot)
{
	blobs_get_run_copy_drop(check);
	blobs_get_run_fd_close(&check->staged_fd);
	blobs_scan_fini(&check->scan);
	return blobs_get_run_copy_next(check, snapshot);
}

/*
 * Copies within the kernel where it can; else by read and write. These also tell whose fault an
 * error is. Returns 0 when the source gives nothing more, an error when the copy takes nothing.
 */
static ssize_t copy_step(struct get_run_check *check, size_t len)
{
	off_t from = (off_t)check->copied_len, to = from;
	ssize_t got = copy_file_range(check->fd, &from, check->staged_fd, &to, len, 0);
	int err;

	if (got > 0)
		return got;
	len = len < BLAKE3_CHUNK_LEN ? len : BLAKE3_CHUNK_LEN;
	if (blobs_scan_read(check->fd, check->copied_len, check->buffer, len) < 0)
		return 0;
	err = blobs_get_run_write_at(check->staged_fd, check->copied_len, check->buffer, len);
	return err ? err : (ssize_t)len;
}

int blobs_get_run_copy_run(struct get_run_check *check, struct store_snapshot *snapshot,
			   uint64_t budget)
{
	uint64_t size = blobs_get_run_check_entry(check)->size, spent = 0;
	int err;

	while (check->copied_len < size) {
		uint64_t left = size - check->copied_len;
		ssize_t got;

		if (spent >= budget)
			return ITEM_WANTS_MORE;
		got = copy_step(check, left < COPY_STEP_LEN ? (size_t)left : COPY_STEP_LEN);
		if (got < 0)
			return (int)got;
		if (got == 0)
			return blobs_get_run_copy_give_up(check, snapshot);
		check->copied_len += (uint64_t)got;
		spent += (uint64_t)got;
	}
	check->phase = CHECK_SCAN_COPY;
	err = blobs_scan_init(&check->scan, check->staged_fd, size);
	return err ? err : ITEM_WANTS_MORE;
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_LYING_IMAGE_H
#define WEFT_TESTS_LYING_IMAGE_H

#include "lying_disk.h"

/* What a lying_disk may hold after a power cut. */

struct disk_bytes {
	uint8_t *data;
	uint64_t len, cap;
};

static void disk_bytes_grow(struct disk_bytes *bytes, uint64_t len)
{
	if (len > bytes->cap) {
		bytes->cap = len * 2;
		bytes->data = realloc(bytes->data, bytes->cap);
		if (!bytes->data)
			abort();
	}
	if (len > bytes->len) {
		memset(bytes->data + bytes->len, 0, len - bytes->len);
		bytes->len = len;
	}
}

static void disk_bytes_put(struct disk_bytes *bytes, uint64_t off, const void *data, uint64_t len)
{
	disk_bytes_grow(bytes, off + len);
	if (len)
		memcpy(bytes->data + off, data, len);
}

/* Sector by sector, by chance; tears: one may end anywhere. */
static void disk_write_in_part(struct disk_bytes *bytes, const struct disk_op *op, bool tears)
{
	unsigned chance = disk_pick(3) * 500;

	for (uint64_t at = 0, len; at < op->len; at += len) {
		len = DISK_SECTOR - (op->off + at) % DISK_SECTOR;
		if (len > op->len - at)
			len = op->len - at;
		if (!disk_chance(chance))
			continue;
		if (tears && disk_chance(100))
			disk_bytes_put(bytes, op->off + at, op->data + at, disk_random() % len);
		else
			disk_bytes_put(bytes, op->off + at, op->data + at, len);
	}
}

static void disk_contents(unsigned file, unsigned end, bool tears, struct disk_bytes *bytes)
{
	unsigned synced = disk_synced(file, end, DISK_SYNC);

	disk_bytes_put(bytes, 0, disk.files[file].base, disk.files[file].base_len);
	for (unsigned i = 0; i < end; i++) {
		const struct disk_op *op = &disk.ops[i];
		bool is_whole = op->is_through || (i < synced && !op->is_lost);

		if (op->file != file || op->kind > DISK_CUT)
			continue;
		if (op->kind == DISK_WRITE && is_whole)
			disk_bytes_put(bytes, op->off, op->data, op->len);
		else if (op->kind == DISK_WRITE)
			disk_write_in_part(bytes, op, tears);
		else if (is_whole || disk_chance(500)) {
			disk_bytes_grow(bytes, op->len);
			bytes->len = op->len;
		}
	}
}

/* Which names there are: those of before cut, the first that was not followed by a sync of its folder. */
static const char *disk_named(unsigned file, unsigned end, unsigned cut)
{
	const struct disk_file *f = &disk.files[file];
	const char *name = f->is_of_base ? f->name : NULL;

	for (unsigned i = 0; i < end; i++) {
		const struct disk_op *op = &disk.ops[i];
		bool is_durable = i < cut || i < disk_synced(file, end, DISK_SYNC_DIR);

		if (op->file == file && is_durable && op->kind == DISK_MAKE)
			name = f->former[0] ? f->former : f->name;
		if (op->file == file && is_durable && op->kind == DISK_MOVE)
			name = f->name;
		if (op->file == file && is_durable && op->kind == DISK_UNLINK)
			name = NULL;
	}
	return name;
}

static void disk_file_write(const char *dir, const char *name, const struct disk_bytes *bytes)
{
	char path[PATH_MAX + DISK_NAME_CAP];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			  0600);
	if (fd < 0 || syscall(SYS_pwrite64, fd, bytes->data, bytes->len, 0) != (long)bytes->len)
		abort();
	close(fd);
}

/*
 * disk_image makes the folder dir as a power cut after the first end calls
 * may leave it. dir exists with its folders and no files; the names of its
 * files are in out_names. Returns the number of files.
 */
static unsigned disk_image(const char *dir, unsigned end, bool tears,
			   char (*out_names)[DISK_NAME_CAP])
{
	unsigned cut = disk_pick(end + 1), cnt = 0;

	for (unsigned i = 0; i < disk.file_cnt; i++) {
		const char *name = disk_named(i, end, cut);
		struct disk_bytes bytes = {0};

		/* What was begun below and not moved is begun anew. */
		if (!name || strchr(strchr(name, '/') + 1, '/'))
			continue;
		disk_contents(i, end, tears, &bytes);
		disk_file_write(dir, name, &bytes);
		free(bytes.data);
		strcpy(out_names[cnt++], name);
	}
	return cnt;
}

/* disk_copy copies these files from one such folder to another. */
static void disk_copy(const char *from, const char *to, const char (*copied)[DISK_NAME_CAP],
		      unsigned cnt)
{
	snprintf(disk.dir, sizeof(disk.dir), "%s", from);
	for (unsigned i = 0; i < cnt; i++) {
		struct disk_file *file = disk_add(copied[i]);
		struct disk_bytes bytes;

		disk_base_load(file);
		bytes = (struct disk_bytes){file->base, file->base_len, file->base_len};
		disk_file_write(to, copied[i], &bytes);
	}
}

#endif

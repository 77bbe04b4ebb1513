/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blobs in append-only files. The databases say which bytes of a segment
 * count; this file only writes, syncs, cuts and checks them. It never
 * decides what is alive.
 */
#include "store/segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/byte_cursor.h"
#include "base/siphash_bytes.h"

#define SEGMENT_VERSION	  1
#define SEGMENT_NAME_CAP  16
#define SEGMENT_CHECK_OFF 56
#define SEGMENT_BLOCK_LEN (64u * 1024) /* of the chained check */

static const uint8_t segment_magic[4] = {'W', 'S', 'E', 'G'};
/* Not a secret: the check finds damage, not forgery. */
static const uint64_t segment_check_key[2] = {0x7765667473746f72ull, 0x656767656d656e74ull};

static void segment_name(uint32_t number, char name[static SEGMENT_NAME_CAP])
{
	snprintf(name, SEGMENT_NAME_CAP, "%08x.seg", number);
}

static uint64_t check_step(uint64_t check, const void *data, size_t len)
{
	uint64_t key[2] = {segment_check_key[0] ^ check, segment_check_key[1]};

	return siphash(key, data, len);
}

static uint64_t check_bytes(uint64_t check, const uint8_t *data, size_t len)
{
	while (len) {
		size_t step = len < SEGMENT_BLOCK_LEN ? len : SEGMENT_BLOCK_LEN;

		check = check_step(check, data, step);
		data += step;
		len -= step;
	}
	return check;
}

static void header_write(uint8_t header[static SEGMENT_HEADER_LEN], const uint8_t *id,
			 const void *data, size_t len)
{
	struct writer w = writer_of(header, SEGMENT_HEADER_LEN);

	memset(header, 0, SEGMENT_HEADER_LEN);
	writer_bytes(&w, segment_magic, sizeof(segment_magic));
	writer_u8(&w, SEGMENT_VERSION);
	w.pos += 3;
	writer_be64(&w, len);
	writer_bytes(&w, id, 32);
	w.pos = header + SEGMENT_CHECK_OFF;
	writer_be64(&w, check_bytes(check_step(0, header, SEGMENT_CHECK_OFF), data, len));
}

/* header_parse gives the blob's length and id; false: these bytes begin no record. */
static bool header_parse(const uint8_t header[static SEGMENT_HEADER_LEN], uint64_t *out_len,
			 const uint8_t **out_id)
{
	struct cursor c = cursor_of(header, SEGMENT_HEADER_LEN);

	if (memcmp(cursor_bytes(&c, 4), segment_magic, 4) != 0 || cursor_u8(&c) != SEGMENT_VERSION)
		return false;
	(void)cursor_bytes(&c, 3);
	*out_len = cursor_be64(&c);
	*out_id = cursor_bytes(&c, 32);
	return *out_len <= INT64_MAX;
}

int store_file_read(int fd, void *dst, size_t len, uint64_t off)
{
	uint8_t *at = dst;

	while (len) {
		ssize_t n = pread(fd, at, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return WEFT_EDAMAGED;
		at += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_full(int fd, struct iovec *iov, int iov_cnt, uint64_t off)
{
	while (iov_cnt) {
		ssize_t n = pwritev(fd, iov, iov_cnt, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		off += (uint64_t)n;
		while (iov_cnt && (size_t)n >= iov->iov_len) {
			n -= (ssize_t)iov->iov_len;
			iov++;
			iov_cnt--;
		}
		if (iov_cnt) {
			iov->iov_base = (uint8_t *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

static int segment_open(int dir_fd, uint32_t number, int flags)
{
	char name[SEGMENT_NAME_CAP];
	int fd;

	segment_name(number, name);
	fd = openat(dir_fd, name, flags | O_CLOEXEC, 0600);
	return fd < 0 ? (errno == ENOENT ? WEFT_EABSENT : -errno) : fd;
}

int store_segment_file_len(int dir_fd, uint32_t number, uint64_t *out_len)
{
	char name[SEGMENT_NAME_CAP];
	struct stat st;

	segment_name(number, name);
	if (fstatat(dir_fd, name, &st, 0) < 0)
		return errno == ENOENT ? WEFT_EABSENT : -errno;
	*out_len = (uint64_t)st.st_size;
	return 0;
}

static int segment_cut(int dir_fd, uint32_t number, uint64_t len)
{
	int fd = segment_open(dir_fd, number, O_RDWR);
	int err = 0;

	if (fd < 0)
		return fd;
	if (ftruncate(fd, (off_t)len) < 0 || fdatasync(fd) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int segment_unlink(int dir_fd, uint32_t number)
{
	char name[SEGMENT_NAME_CAP];

	segment_name(number, name);
	return unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int store_segments_open(struct segments *s, int state_fd, uint64_t len_max, uint32_t durable,
			uint64_t durable_len)
{
	uint64_t file_len;
	int err;

	*s = (struct segments){.dir_fd = -1,
			       .head_fd = -1,
			       .head = durable,
			       .head_len = durable_len,
			       .durable = durable,
			       .durable_len = durable_len,
			       .len_max = len_max};
	if (mkdirat(state_fd, "segments", 0700) < 0 && errno != EEXIST)
		return -errno;
	s->dir_fd = openat(state_fd, "segments", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0)
		return -errno;
	if (durable == 0)
		return 0;
	err = store_segment_file_len(s->dir_fd, durable, &file_len);
	if (err == 0 && file_len > durable_len)
		err = segment_cut(s->dir_fd, durable, durable_len);
	else if (err == WEFT_EABSENT || (err == 0 && file_len < durable_len)) {
		store_segments_seal(s);
		err = 0;
	}
	if (err < 0)
		store_segments_close(s);
	return err;
}

void store_segments_close(struct segments *s)
{
	if (s->head_fd >= 0)
		close(s->head_fd);
	if (s->dir_fd >= 0)
		close(s->dir_fd);
	s->head_fd = -1;
	s->dir_fd = -1;
}

void store_segments_seal(struct segments *s)
{
	if (s->head_len < s->len_max)
		s->head_len = s->len_max;
}

/*
 * head_ready opens the segment that grows, a new one when the last is
 * full. A left-over file of that number holds nothing that a commit named.
 */
static int head_ready(struct segments *s)
{
	if (s->head == 0 || s->head_len >= s->len_max) {
		int fd;

		if (s->head_fd >= 0 && fdatasync(s->head_fd) < 0)
			return -errno;
		fd = segment_open(s->dir_fd, s->head + 1, O_RDWR | O_CREAT | O_TRUNC);
		if (fd < 0)
			return fd;
		if (s->head_fd >= 0)
			close(s->head_fd);
		s->head_fd = fd;
		s->head++;
		s->head_len = 0;
		s->is_dir_dirty = true;
	} else if (s->head_fd < 0) {
		int fd = segment_open(s->dir_fd, s->head, O_RDWR);

		if (fd < 0)
			return fd;
		s->head_fd = fd;
	}
	return 0;
}

int store_segments_append(struct segments *s, const uint8_t id[static 32], const void *data,
			  size_t len, struct segment_place *out_place)
{
	static const uint8_t pad[SEGMENT_RECORD_ALIGN];
	uint8_t header[SEGMENT_HEADER_LEN];
	uint64_t record_len = segment_record_len(len);
	struct iovec iov[3] = {
		{header, sizeof(header)},
		{(void *)(uintptr_t)data, len},
		{(void *)(uintptr_t)pad, (size_t)(record_len - SEGMENT_HEADER_LEN - len)},
	};
	int err;

	err = head_ready(s);
	if (err < 0)
		return err;
	header_write(header, id, data, len);
	err = write_full(s->head_fd, iov, 3, s->head_len);
	if (err < 0)
		return err;
	*out_place = (struct segment_place){id, s->head, s->head_len, len};
	s->head_len += record_len;
	return 0;
}

int store_segments_sync(struct segments *s)
{
	if (s->head == s->durable && s->head_len == s->durable_len)
		return 0;
	if (s->head_fd >= 0 && fdatasync(s->head_fd) < 0)
		return -errno;
	if (s->is_dir_dirty && fsync(s->dir_fd) < 0)
		return -errno;
	s->is_dir_dirty = false;
	return 0;
}

void store_segments_keep(struct segments *s)
{
	s->durable = s->head;
	s->durable_len = s->head_len;
}

void store_segments_undo(struct segments *s)
{
	if (s->head_fd >= 0 && s->head != s->durable) {
		close(s->head_fd);
		s->head_fd = -1;
	}
	s->head = s->durable;
	s->head_len = s->durable_len;
}

/* Failing is harmless: the next append overwrites what is left over. */
void store_segments_trim(struct segments *s)
{
	if (s->head && s->head_len < s->len_max)
		segment_cut(s->dir_fd, s->head, s->head_len);
	segment_unlink(s->dir_fd, s->head + 1);
}

int store_segments_remove(struct segments *s, uint32_t number)
{
	return segment_unlink(s->dir_fd, number);
}

int store_segments_each(int dir_fd, void (*fn)(void *arg, uint32_t number), void *arg)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		int err = -errno;

		if (fd >= 0)
			close(fd);
		return err;
	}
	while ((entry = readdir(dir))) {
		char name[SEGMENT_NAME_CAP];
		unsigned long number = strtoul(entry->d_name, NULL, 16);

		if (number == 0 || number > UINT32_MAX)
			continue;
		segment_name((uint32_t)number, name);
		if (strcmp(name, entry->d_name) == 0)
			fn(arg, (uint32_t)number);
	}
	closedir(dir);
	return 0;
}

static int record_open(int dir_fd, const struct segment_place *place,
		       uint8_t header[static SEGMENT_HEADER_LEN])
{
	const uint8_t *found_id = NULL;
	uint64_t found_len = 0;
	int fd = segment_open(dir_fd, place->segment, O_RDONLY);
	int err;

	if (fd < 0)
		return fd;
	err = store_file_read(fd, header, SEGMENT_HEADER_LEN, place->off);
	if (err == 0 && (!header_parse(header, &found_len, &found_id) || found_len != place->len ||
			 memcmp(found_id, place->id, 32) != 0))
		err = WEFT_EDAMAGED;
	if (err < 0) {
		close(fd);
		return err;
	}
	return fd;
}

static bool header_check_is(const uint8_t header[static SEGMENT_HEADER_LEN], uint64_t check)
{
	struct cursor c = cursor_of(header + SEGMENT_CHECK_OFF, 8);

	return cursor_be64(&c) == check;
}

int store_segment_read(int dir_fd, const struct segment_place *place, uint64_t off, void *dst,
		       size_t len)
{
	uint8_t header[SEGMENT_HEADER_LEN];
	int err, fd;

	if (off > place->len || len > place->len - off)
		return WEFT_EDAMAGED;
	fd = record_open(dir_fd, place, header);
	if (fd < 0)
		return fd;
	err = len < place->len ? store_segment_verify(dir_fd, place) : 0;
	if (err == 0)
		err = store_file_read(fd, dst, len, place->off + SEGMENT_HEADER_LEN + off);
	if (err == 0 && len == place->len &&
	    !header_check_is(header,
			     check_bytes(check_step(0, header, SEGMENT_CHECK_OFF), dst, len)))
		err = WEFT_EDAMAGED;
	close(fd);
	return err;
}

int store_segment_verify(int dir_fd, const struct segment_place *place)
{
	/* On the stack: a peer that asks for a part of a chunk list makes us read this. */
	uint8_t header[SEGMENT_HEADER_LEN], block[SEGMENT_BLOCK_LEN];
	uint64_t check, off = 0;
	int err = 0, fd = record_open(dir_fd, place, header);

	if (fd < 0)
		return fd;
	check = check_step(0, header, SEGMENT_CHECK_OFF);
	while (err == 0 && off < place->len) {
		uint64_t left = place->len - off;
		size_t step = left < SEGMENT_BLOCK_LEN ? (size_t)left : SEGMENT_BLOCK_LEN;

		err = store_file_read(fd, block, step, place->off + SEGMENT_HEADER_LEN + off);
		if (err == 0)
			check = check_step(check, block, step);
		off += step;
	}
	if (err == 0 && !header_check_is(header, check))
		err = WEFT_EDAMAGED;
	close(fd);
	return err;
}

/* A window over the file: records are small or large, and damage leaves long stretches of neither. */
#define SCAN_WINDOW_LEN (64u * 1024)
struct scan {
	int fd;
	const struct store_stop *stop;
	uint64_t file_len;
	uint64_t off; /* of the window */
	size_t len;
	uint8_t *window;
};

/* The bytes of a header at off, which lies SEGMENT_HEADER_LEN or more before the end. */
static int scan_header(struct scan *scan, uint64_t off, const uint8_t **out_header)
{
	uint64_t left = scan->file_len - off;
	int err = 0;

	if (off < scan->off || off + SEGMENT_HEADER_LEN > scan->off + scan->len) {
		size_t len = left < SCAN_WINDOW_LEN ? (size_t)left : SCAN_WINDOW_LEN;

		if (stop_is_due(scan->stop, len))
			return WEFT_ECANCELLED;
		err = store_file_read(scan->fd, scan->window, len, off);
		scan->off = off;
		scan->len = err < 0 ? 0 : len;
	}
	*out_header = scan->window + (off - scan->off);
	return err;
}

static int scan_run(struct scan *scan, uint32_t number,
		    int (*fn)(void *arg, const struct segment_place *place), void *arg)
{
	uint64_t off = 0;
	int err = 0;

	while (err == 0 && scan->file_len - off >= SEGMENT_HEADER_LEN) {
		struct segment_place place = {.segment = number, .off = off};
		const uint8_t *header;

		err = scan_header(scan, off, &header);
		if (err < 0)
			break;
		if (!header_parse(header, &place.len, &place.id) ||
		    place.len > scan->file_len - off - SEGMENT_HEADER_LEN ||
		    segment_record_len(place.len) > scan->file_len - off) {
			off += SEGMENT_RECORD_ALIGN;
			continue;
		}
		err = fn(arg, &place);
		off += segment_record_len(place.len);
	}
	return err;
}

int store_segment_scan(int dir_fd, uint32_t number, const struct store_stop *stop,
		       int (*fn)(void *arg, const struct segment_place *place), void *arg)
{
	struct scan scan = {.stop = stop};
	int err = store_segment_file_len(dir_fd, number, &scan.file_len);

	if (err < 0)
		return err == WEFT_EABSENT ? 0 : err;
	scan.fd = segment_open(dir_fd, number, O_RDONLY);
	if (scan.fd < 0)
		return scan.fd;
	scan.window = malloc(SCAN_WINDOW_LEN);
	err = scan.window ? scan_run(&scan, number, fn, arg) : -ENOMEM;
	free(scan.window);
	close(scan.fd);
	return err;
}

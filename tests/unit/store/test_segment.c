/* SPDX-License-Identifier: Apache-2.0 */
#include "store/segment.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/check.h"
#include "support/scratch.h"

static uint64_t file_len(int dir_fd, const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, 0) < 0 ? UINT64_MAX : (uint64_t)st.st_size;
}

static void test_a_torn_tail_is_cut_at_open(void)
{
	static const uint8_t id[32] = {1}, data[300] = {2};
	struct segment_place first, second;
	struct segments s;
	char dir[SCRATCH_CAP];
	uint8_t back[300];
	int fd = open(scratch_make(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK_EQ(store_segments_open(&s, fd, 1 << 20, 0, 0), 0);
	CHECK_EQ(store_segments_append(&s, id, data, sizeof(data), &first), 0);
	CHECK_EQ(store_segments_sync(&s), 0);
	store_segments_keep(&s);
	CHECK_EQ(store_segments_append(&s, id, data, sizeof(data), &second), 0);
	store_segments_close(&s);
	CHECK_EQ(file_len(fd, "segments/00000001.seg"), 768);
	CHECK_EQ(store_segments_open(&s, fd, 1 << 20, 1, 384), 0);
	CHECK_EQ(file_len(fd, "segments/00000001.seg"), 384);
	CHECK_EQ(store_segment_read(s.dir_fd, &first, 0, back, 300), 0);
	CHECK_EQ(store_segment_read(s.dir_fd, &second, 0, back, 300), WEFT_EDAMAGED);
	store_segments_close(&s);
	close(fd);
	scratch_remove(dir);
}

static void test_a_shortened_segment_is_sealed(void)
{
	static const uint8_t id[32] = {1}, data[300] = {2};
	struct segment_place place;
	struct segments s;
	char dir[SCRATCH_CAP];
	int fd = open(scratch_make(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK_EQ(store_segments_open(&s, fd, 1 << 20, 0, 0), 0);
	CHECK_EQ(store_segments_append(&s, id, data, sizeof(data), &place), 0);
	store_segments_close(&s);
	CHECK_EQ(store_segments_open(&s, fd, 1 << 20, 1, 768), 0);
	CHECK_EQ(store_segments_append(&s, id, data, sizeof(data), &place), 0);
	CHECK_EQ(place.segment, 2);
	CHECK_EQ(place.off, 0);
	store_segments_close(&s);
	close(fd);
	scratch_remove(dir);
}

static void test_a_full_segment_is_sealed(void)
{
	static const uint8_t id[32] = {1}, data[300] = {2};
	static const struct segment_place want[] = {{id, 1, 0, 300},
						    {id, 1, 384, 300},
						    {id, 2, 0, 300},
						    {id, 2, 384, 300},
						    {id, 3, 0, 300}};
	struct segments s;
	char dir[SCRATCH_CAP];
	int fd = open(scratch_make(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK_EQ(store_segments_open(&s, fd, 768, 0, 0), 0);
	for (int i = 0; i < 5; i++) {
		struct segment_place place;

		CHECK_EQ(store_segments_append(&s, id, data, sizeof(data), &place), 0);
		CHECK_EQ(place.segment, want[i].segment);
		CHECK_EQ(place.off, want[i].off);
		CHECK_EQ(store_segment_verify(s.dir_fd, &place), 0);
	}
	store_segments_undo(&s);
	store_segments_trim(&s);
	CHECK_EQ(s.head, 0);
	CHECK_EQ(file_len(fd, "segments/00000001.seg"), UINT64_MAX);
	store_segments_close(&s);
	close(fd);
	scratch_remove(dir);
}

static void test_every_flipped_bit_is_noticed(void)
{
	static const uint8_t id[32] = {1};
	uint8_t data[100] = {2}, back[100], byte;
	struct segment_place place;
	struct segments s;
	char dir[SCRATCH_CAP];
	int fd = open(scratch_make(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int file;

	CHECK_EQ(store_segments_open(&s, fd, 1 << 20, 0, 0), 0);
	CHECK_EQ(store_segments_append(&s, id, data, sizeof(data), &place), 0);
	file = openat(fd, "segments/00000001.seg", O_RDWR | O_CLOEXEC);
	for (unsigned bit = 0; bit < 8 * (SEGMENT_HEADER_LEN + 100); bit++) {
		CHECK_EQ(pread(file, &byte, 1, bit / 8), 1);
		byte ^= (uint8_t)(1 << bit % 8);
		CHECK_EQ(pwrite(file, &byte, 1, bit / 8), 1);
		CHECK_EQ(store_segment_read(s.dir_fd, &place, 0, back, 100), WEFT_EDAMAGED);
		CHECK_EQ(store_segment_verify(s.dir_fd, &place), WEFT_EDAMAGED);
		byte ^= (uint8_t)(1 << bit % 8);
		CHECK_EQ(pwrite(file, &byte, 1, bit / 8), 1);
	}
	CHECK_EQ(store_segment_verify(s.dir_fd, &place), 0);
	place.segment = 9;
	CHECK_EQ(store_segment_verify(s.dir_fd, &place), WEFT_EABSENT);
	close(file);
	store_segments_close(&s);
	close(fd);
	scratch_remove(dir);
}

static int count_sound(void *arg, const struct segment_place *place)
{
	struct {
		int dir_fd;
		unsigned cnt;
	} *count = arg;

	count->cnt += store_segment_verify(count->dir_fd, place) == 0;
	return 0;
}

static void test_scan_steps_over_a_damaged_record(void)
{
	uint8_t id[32] = {1}, data[500] = {2}, zero[64] = {0};
	struct {
		int dir_fd;
		unsigned cnt;
	} count = {0, 0};
	struct segment_place place;
	struct segments s;
	char dir[SCRATCH_CAP];
	int fd = open(scratch_make(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int file;

	CHECK_EQ(store_segments_open(&s, fd, 1 << 20, 0, 0), 0);
	for (uint8_t i = 0; i < 10; i++) {
		id[0] = i;
		CHECK_EQ(store_segments_append(&s, id, data, sizeof(data), &place), 0);
	}
	file = openat(fd, "segments/00000001.seg", O_RDWR | O_CLOEXEC);
	CHECK_EQ(pwrite(file, zero, 64, 3 * 576), 64);
	CHECK_EQ(pwrite(file, "x", 1, 6 * 576 + 100), 1);
	CHECK_EQ(ftruncate(file, 10 * 576 - 1), 0);
	count.dir_fd = s.dir_fd;
	CHECK_EQ(store_segment_scan(s.dir_fd, 1, NULL, count_sound, &count), 0);
	CHECK_EQ(count.cnt, 7);
	CHECK_EQ(store_segment_scan(s.dir_fd, 2, NULL, count_sound, &count), 0);
	CHECK_EQ(count.cnt, 7);
	close(file);
	store_segments_close(&s);
	close(fd);
	scratch_remove(dir);
}

int main(void)
{
	RUN(test_a_torn_tail_is_cut_at_open);
	RUN(test_a_shortened_segment_is_sealed);
	RUN(test_a_full_segment_is_sealed);
	RUN(test_every_flipped_bit_is_noticed);
	RUN(test_scan_steps_over_a_damaged_record);
	return check_done();
}

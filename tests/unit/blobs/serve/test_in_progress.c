/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/serve/in_progress.h"

#include <fcntl.h>
#include <unistd.h>

#include "crypto/blake3/blake3.h"
#include "support/check.h"

#define FILE_LEN (3u * BLAKE3_CHUNK_LEN + 100)

static struct in_progress in_progress;
static const uint8_t one[32] = {1}, two[32] = {2};
static int fd = -1;

static bool begin(void)
{
	char path[] = "/tmp/partial-XXXXXX";

	blobs_in_progress_init(&in_progress);
	fd = mkstemp(path);
	return fd >= 0 && unlink(path) == 0 && ftruncate(fd, FILE_LEN) == 0;
}

static void end(void)
{
	blobs_in_progress_fini(&in_progress);
	close(fd);
}

static bool lets_all(void *arg, const uint8_t manifest_id[static 32])
{
	(void)arg, (void)manifest_id;
	return true;
}

static struct in_progress_file *file_lookup(const struct in_progress *list, const uint8_t *id)
{
	return blobs_in_progress_find(list, id, lets_all, NULL);
}

static void test_noted_chunks_are_there(void)
{
	struct in_progress_file *file;

	CHECK(begin());
	file = blobs_in_progress_add(&in_progress, one, FILE_LEN, fd, NULL);
	CHECK(file && file->chunk_cnt == 4);
	blobs_in_progress_file_note(&in_progress, file, 3);
	blobs_in_progress_file_note(&in_progress, file, 3);
	CHECK_EQ(file->have_cnt, 1);
	CHECK(blobs_in_progress_file_has(file, 3) && !blobs_in_progress_file_has(file, 2));
	CHECK(!blobs_in_progress_file_has(file, 4) &&
	      !blobs_in_progress_file_has(file, UINT64_MAX));
	CHECK(file_lookup(&in_progress, one) == file);
	CHECK(!file_lookup(&in_progress, two));
	end();
}

/* The same content twice: the one with more serves an asker better. */
static void test_file_with_most_chunks_is_found(void)
{
	struct in_progress_file *few, *more;

	CHECK(begin());
	few = blobs_in_progress_add(&in_progress, one, FILE_LEN, fd, NULL);
	more = blobs_in_progress_add(&in_progress, one, FILE_LEN, fd, NULL);
	blobs_in_progress_file_note(&in_progress, few, 0);
	blobs_in_progress_file_note(&in_progress, more, 1);
	blobs_in_progress_file_note(&in_progress, more, 2);
	CHECK(file_lookup(&in_progress, one) == more);
	blobs_in_progress_drop(&in_progress, more);
	CHECK(file_lookup(&in_progress, one) == few);
	end();
}

/* A reader at the get's end reads on: the descriptor is the in-progress file's own. */
static void test_dropped_file_is_read_by_its_current_users(void)
{
	uint8_t byte = 7, got = 0;
	struct in_progress_file *file;

	CHECK(begin());
	CHECK_EQ(pwrite(fd, &byte, 1, BLAKE3_CHUNK_LEN), 1);
	file = blobs_in_progress_add(&in_progress, one, FILE_LEN, fd, NULL);
	blobs_in_progress_file_use(file);
	blobs_in_progress_drop(&in_progress, file);
	close(fd);
	CHECK(!file_lookup(&in_progress, one));
	CHECK_EQ(blobs_in_progress_file_read(file, BLAKE3_CHUNK_LEN, &got, 1, true), 0);
	CHECK_EQ(got, 7);
	blobs_in_progress_file_release(file);
	fd = -1;
	end();
}

static void test_file_that_was_cut_is_an_error(void)
{
	struct in_progress_file *file;
	uint8_t got[2];

	CHECK(begin());
	file = blobs_in_progress_add(&in_progress, one, FILE_LEN, fd, NULL);
	CHECK_EQ(ftruncate(fd, FILE_LEN - 1), 0);
	CHECK(blobs_in_progress_file_read(file, FILE_LEN - 2, got, 2, true) < 0);
	end();
}

static void test_one_more_than_there_is_room_for_is_not_served(void)
{
	uint8_t id[32] = {0};

	CHECK(begin());
	for (unsigned i = 0; i < IN_PROGRESS_MAX; i++) {
		id[0] = (uint8_t)i;
		CHECK(blobs_in_progress_add(&in_progress, id, FILE_LEN, fd, NULL) != NULL);
	}
	CHECK(!blobs_in_progress_add(&in_progress, id, FILE_LEN, fd, NULL));
	end();
}

/* One after the other they take the same memory, and know nothing of each other; large ones too. */
static void test_files_in_turn_take_no_memory_of_their_own(void)
{
	const uint64_t large = 5000ull * BLAKE3_CHUNK_LEN;
	struct in_progress_file *first, *next;

	CHECK(begin());
	first = blobs_in_progress_add(&in_progress, one, FILE_LEN, fd, NULL);
	blobs_in_progress_file_note(&in_progress, first, 1);
	blobs_in_progress_drop(&in_progress, first);
	next = blobs_in_progress_add(&in_progress, two, FILE_LEN, fd, NULL);
	CHECK(next == first);
	CHECK(!blobs_in_progress_file_has(next, 1) && next->have_cnt == 0 && !next->is_dropped);
	blobs_in_progress_drop(&in_progress, next);
	next = blobs_in_progress_add(&in_progress, two, large, fd, NULL);
	CHECK(next == first);
	blobs_in_progress_file_note(&in_progress, next, 4999);
	CHECK(blobs_in_progress_file_has(next, 4999) && !blobs_in_progress_file_has(next, 4998));
	blobs_in_progress_drop(&in_progress, next);
	CHECK(!blobs_in_progress_file_has(
		blobs_in_progress_add(&in_progress, one, FILE_LEN, fd, NULL), 3));
	end();
}

/* All that there is room for ends at once: what is kept for the next ones has a limit. */
static void test_files_that_end_together_leave_a_few_spare(void)
{
	struct in_progress_file *all[IN_PROGRESS_SPARE + 1];
	uint8_t id[32] = {0};

	CHECK(begin());
	for (unsigned i = 0; i < IN_PROGRESS_SPARE + 1; i++) {
		id[0] = (uint8_t)i;
		all[i] = blobs_in_progress_add(&in_progress, id, FILE_LEN, fd, NULL);
		CHECK(all[i]);
	}
	for (unsigned i = 0; i < IN_PROGRESS_SPARE; i++) {
		blobs_in_progress_drop(&in_progress, all[i]);
		CHECK_EQ(in_progress.spare_cnt, i + 1);
	}
	blobs_in_progress_drop(&in_progress, all[IN_PROGRESS_SPARE]);
	CHECK_EQ(in_progress.spare_cnt, IN_PROGRESS_SPARE);
	CHECK_EQ(in_progress.cnt, 0);
	end();
}

static void test_copy_says_the_same_and_is_its_own(void)
{
	struct in_progress copy;
	struct in_progress_file *file, *copied;

	CHECK(begin());
	blobs_in_progress_init(&copy);
	file = blobs_in_progress_add(&in_progress, one, FILE_LEN, fd, one);
	blobs_in_progress_file_note(&in_progress, file, 2);
	CHECK(in_progress.is_changed);
	CHECK_EQ(blobs_in_progress_copy_list(&in_progress, &copy), 0);
	CHECK(!in_progress.is_changed);
	blobs_in_progress_file_note(&in_progress, file, 1);
	blobs_in_progress_drop(&in_progress, file);
	CHECK(in_progress.is_changed);
	copied = file_lookup(&copy, one);
	CHECK(copied && blobs_in_progress_file_has(copied, 2) &&
	      !blobs_in_progress_file_has(copied, 1));
	CHECK_EQ(copied->have_cnt, 1);
	CHECK(!copied->hashes);
	blobs_in_progress_fini(&copy);
	end();
}

int main(void)
{
	RUN(test_noted_chunks_are_there);
	RUN(test_file_with_most_chunks_is_found);
	RUN(test_dropped_file_is_read_by_its_current_users);
	RUN(test_file_that_was_cut_is_an_error);
	RUN(test_one_more_than_there_is_room_for_is_not_served);
	RUN(test_files_in_turn_take_no_memory_of_their_own);
	RUN(test_files_that_end_together_leave_a_few_spare);
	RUN(test_copy_says_the_same_and_is_its_own);
	return check_done();
}

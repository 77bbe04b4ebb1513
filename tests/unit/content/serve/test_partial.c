/* SPDX-License-Identifier: Apache-2.0 */
#include "content/serve/partial.h"

#include <fcntl.h>
#include <unistd.h>

#include "crypto/blake3.h"
#include "support/check.h"

#define FILE_LEN (3u * BLAKE3_CHUNK_LEN + 100)

static struct partials partials;
static const uint8_t one[32] = {1}, two[32] = {2};
static int fd = -1;

static bool begin(void)
{
	char path[] = "/tmp/partial-XXXXXX";

	partials_init(&partials);
	fd = mkstemp(path);
	return fd >= 0 && unlink(path) == 0 && ftruncate(fd, FILE_LEN) == 0;
}

static void end(void)
{
	partials_fini(&partials);
	close(fd);
}

static void test_noted_chunks_are_there(void)
{
	struct partial *partial;

	CHECK(begin());
	partial = partials_add(&partials, one, FILE_LEN, fd, NULL);
	CHECK(partial && partial->chunk_cnt == 4);
	partial_note(&partials, partial, 3);
	partial_note(&partials, partial, 3);
	CHECK_EQ(partial->have_cnt, 1);
	CHECK(partial_has(partial, 3) && !partial_has(partial, 2));
	CHECK(!partial_has(partial, 4) && !partial_has(partial, UINT64_MAX));
	CHECK(partials_lookup(&partials, one) == partial);
	CHECK(!partials_lookup(&partials, two));
	end();
}

/* The same content twice: whoever asks is better served by the one with more. */
static void test_file_with_most_chunks_is_found(void)
{
	struct partial *few, *more;

	CHECK(begin());
	few = partials_add(&partials, one, FILE_LEN, fd, NULL);
	more = partials_add(&partials, one, FILE_LEN, fd, NULL);
	partial_note(&partials, few, 0);
	partial_note(&partials, more, 1);
	partial_note(&partials, more, 2);
	CHECK(partials_lookup(&partials, one) == more);
	partials_drop(&partials, more);
	CHECK(partials_lookup(&partials, one) == few);
	end();
}

/* Whoever reads when the get ends reads on: the descriptor is the partial's own. */
static void test_dropped_file_is_read_by_who_uses_it(void)
{
	uint8_t byte = 7, got = 0;
	struct partial *partial;

	CHECK(begin());
	CHECK_EQ(pwrite(fd, &byte, 1, BLAKE3_CHUNK_LEN), 1);
	partial = partials_add(&partials, one, FILE_LEN, fd, NULL);
	partial_use(partial);
	partials_drop(&partials, partial);
	close(fd);
	CHECK(!partials_lookup(&partials, one));
	CHECK_EQ(partial_read(partial, BLAKE3_CHUNK_LEN, &got, 1, true), 0);
	CHECK_EQ(got, 7);
	partial_release(partial);
	fd = -1;
	end();
}

static void test_file_that_was_cut_is_an_error(void)
{
	struct partial *partial;
	uint8_t got[2];

	CHECK(begin());
	partial = partials_add(&partials, one, FILE_LEN, fd, NULL);
	CHECK_EQ(ftruncate(fd, FILE_LEN - 1), 0);
	CHECK(partial_read(partial, FILE_LEN - 2, got, 2, true) < 0);
	end();
}

static void test_one_more_than_there_is_room_for_is_not_served(void)
{
	uint8_t id[32] = {0};

	CHECK(begin());
	for (unsigned i = 0; i < PARTIALS_MAX; i++) {
		id[0] = (uint8_t)i;
		CHECK(partials_add(&partials, id, FILE_LEN, fd, NULL) != NULL);
	}
	CHECK(!partials_add(&partials, id, FILE_LEN, fd, NULL));
	end();
}

/* One after the other they take the same memory, and know nothing of each other; large ones too. */
static void test_files_in_turn_take_no_memory_of_their_own(void)
{
	const uint64_t large = 5000ull * BLAKE3_CHUNK_LEN;
	struct partial *first, *next;

	CHECK(begin());
	first = partials_add(&partials, one, FILE_LEN, fd, NULL);
	partial_note(&partials, first, 1);
	partials_drop(&partials, first);
	next = partials_add(&partials, two, FILE_LEN, fd, NULL);
	CHECK(next == first);
	CHECK(!partial_has(next, 1) && next->have_cnt == 0 && !next->is_dropped);
	partials_drop(&partials, next);
	next = partials_add(&partials, two, large, fd, NULL);
	CHECK(next == first);
	partial_note(&partials, next, 4999);
	CHECK(partial_has(next, 4999) && !partial_has(next, 4998));
	partials_drop(&partials, next);
	CHECK(!partial_has(partials_add(&partials, one, FILE_LEN, fd, NULL), 3));
	end();
}

/* All that there is room for ends at once: what is kept for the next ones has a limit. */
static void test_files_that_end_together_leave_a_few_spare(void)
{
	struct partial *all[PARTIALS_SPARE + 1];
	uint8_t id[32] = {0};

	CHECK(begin());
	for (unsigned i = 0; i < PARTIALS_SPARE + 1; i++) {
		id[0] = (uint8_t)i;
		all[i] = partials_add(&partials, id, FILE_LEN, fd, NULL);
		CHECK(all[i]);
	}
	for (unsigned i = 0; i < PARTIALS_SPARE; i++) {
		partials_drop(&partials, all[i]);
		CHECK_EQ(partials.spare_cnt, i + 1);
	}
	partials_drop(&partials, all[PARTIALS_SPARE]);
	CHECK_EQ(partials.spare_cnt, PARTIALS_SPARE);
	CHECK_EQ(partials.cnt, 0);
	end();
}

static void test_copy_says_the_same_and_is_its_own(void)
{
	struct partials copy;
	struct partial *partial, *copied;

	CHECK(begin());
	partials_init(&copy);
	partial = partials_add(&partials, one, FILE_LEN, fd, one);
	partial_note(&partials, partial, 2);
	CHECK(partials.is_changed);
	CHECK_EQ(partials_copy(&partials, &copy), 0);
	CHECK(!partials.is_changed);
	partial_note(&partials, partial, 1);
	partials_drop(&partials, partial);
	CHECK(partials.is_changed);
	copied = partials_lookup(&copy, one);
	CHECK(copied && partial_has(copied, 2) && !partial_has(copied, 1));
	CHECK_EQ(copied->have_cnt, 1);
	CHECK(!copied->hashes);
	partials_fini(&copy);
	end();
}

int main(void)
{
	RUN(test_noted_chunks_are_there);
	RUN(test_file_with_most_chunks_is_found);
	RUN(test_dropped_file_is_read_by_who_uses_it);
	RUN(test_file_that_was_cut_is_an_error);
	RUN(test_one_more_than_there_is_room_for_is_not_served);
	RUN(test_files_in_turn_take_no_memory_of_their_own);
	RUN(test_files_that_end_together_leave_a_few_spare);
	RUN(test_copy_says_the_same_and_is_its_own);
	return check_done();
}

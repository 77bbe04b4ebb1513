/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of zeros: neither asked for, where the list of chunks tells, nor stored. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "blobs/get_run/zeros.h"
#include "get_rig.h"

#define CHUNKS 200u

static unsigned chunk_answers;

static void count_chunks(struct duo *d, struct duo_answer *answer)
{
	(void)d;
	chunk_answers += answer->type == MESH_CHUNK_DATA;
}

/* A file of CHUNKS chunks and a bit, a hole but for those that are named. */
static void sparse_make(const char *name, const unsigned *data, unsigned cnt)
{
	static uint8_t bytes[BLAKE3_CHUNK_LEN];
	int fd;

	file_make(name, 1, 1);
	fd = open(duo_path(&duo, name), O_WRONLY);
	CHECK_EQ(ftruncate(fd, CHUNKS * (off_t)BLAKE3_CHUNK_LEN + 100), 0);
	for (unsigned i = 0; i < cnt; i++) {
		memset(bytes, 0x40 + (int)i, sizeof(bytes));
		CHECK_EQ(pwrite(fd, bytes, sizeof(bytes), data[i] * (off_t)BLAKE3_CHUNK_LEN),
			 BLAKE3_CHUNK_LEN);
	}
	close(fd);
}

static uint64_t stored_len(const char *name)
{
	struct stat st;

	return stat(duo_path(&duo, name), &st) < 0 ? UINT64_MAX : (uint64_t)st.st_blocks * 512;
}

static void test_zeros_are_neither_asked_for_nor_stored(void)
{
	static const unsigned data[] = {0, 70, 71, 150};
	const struct blobs_get *get;
	struct link link;

	duo_init(&duo);
	duo.on_answer = count_chunks;
	chunk_answers = 0;
	sparse_make("in/image", data, 4);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	get = get_run(&link, "out");
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	CHECK(chunk_answers >= 4 && chunk_answers <= 8);
	CHECK(get->reused_byte_cnt >= (CHUNKS - 8) * (uint64_t)BLAKE3_CHUNK_LEN);
	CHECK_EQ(get->byte_done_cnt, get->byte_cnt);
	CHECK(stored_len("out/image") < 8 * BLAKE3_CHUNK_LEN);
	duo_fini(&duo);
}

/* Too small to be sampled: an arrived chunk shows its neighbours, and no zeros are stored. */
static void test_zeros_of_a_small_file_are_not_stored(void)
{
	const struct blobs_get *get;
	struct link link;
	int fd;

	duo_init(&duo);
	file_make("in/some", 1, 1);
	fd = open(duo_path(&duo, "in/some"), O_WRONLY);
	CHECK_EQ(ftruncate(fd, 12 * (off_t)BLAKE3_CHUNK_LEN), 0);
	close(fd);
	file_make("in/tiny", 1, 1);
	fd = open(duo_path(&duo, "in/tiny"), O_WRONLY | O_TRUNC);
	CHECK_EQ(ftruncate(fd, 100000), 0);
	close(fd);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	get = get_run(&link, "out");
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	CHECK(stored_len("out/some") <= BLAKE3_CHUNK_LEN);
	CHECK_EQ(stored_len("out/tiny"), 0);
	duo_fini(&duo);
}

static void only_three_chunks(struct duo *d, struct duo_answer *answer)
{
	if (answer->type == MESH_CHUNK_DATA && ++d->hook_cnt > 3)
		answer->delay_ns = 3600 * NS_PER_S;
}

/* What a run that was cut left in the place of zeros is no part of the file. */
static void test_rubbish_in_a_staged_hole_is_punched(void)
{
	static const unsigned data[] = {1, 40, 41, 42, 43, 44, 45, 120};
	const struct blobs_get *get;
	char path[SCRATCH_CAP + 200], command[2 * SCRATCH_CAP + 400];
	struct link link;
	uint64_t id;
	FILE *found;
	int fd;

	duo_init(&duo);
	sparse_make("in/image", data, 8);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	duo.on_answer = only_three_chunks;
	id = duo_get_start(&duo, &link, "out");
	CHECK(id);
	for (unsigned i = 0; i < 5000; i++) {
		get = blobs_get_lookup(duo.nodes[DUO_B].content, id);
		if (get->byte_done_cnt > 100 * (uint64_t)BLAKE3_CHUNK_LEN)
			break;
		turns(1);
	}
	CHECK_EQ(blobs_get_pause(duo.nodes[DUO_B].content, id, duo.now_ns), 0);
	turns(100);
	snprintf(command, sizeof(command), "ls -d %s/.weft-partial-*/0-0", duo_path(&duo, "out"));
	found = popen(command, "r");
	CHECK(found && fgets(path, sizeof(path), found));
	pclose(found);
	path[strcspn(path, "\n")] = '\0';
	fd = open(path, O_WRONLY);
	CHECK(fd >= 0);
	CHECK_EQ(pwrite(fd, "rubbish", 7, 60 * (off_t)BLAKE3_CHUNK_LEN + 9), 7);
	CHECK_EQ(pwrite(fd, "rubbish", 7, 199 * (off_t)BLAKE3_CHUNK_LEN + 9), 7);
	close(fd);
	duo.on_answer = NULL;
	CHECK_EQ(blobs_get_resume(duo.nodes[DUO_B].content, id, duo.now_ns), 0);
	get = duo_run(&duo, id, TURN_MAX);
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	duo_fini(&duo);
}

/* --- the arithmetic --- */

static void test_samples_lie_in_the_file(void)
{
	for (uint64_t cnt = 0; cnt < 5000; cnt++) {
		unsigned samples = blobs_zeros_sample_cnt(cnt);

		CHECK(samples <= ZEROS_SAMPLES_MAX);
		for (unsigned i = 0; i < samples; i++) {
			CHECK(blobs_zeros_sample(cnt, i) < cnt);
			CHECK(i == 0 ||
			      blobs_zeros_sample(cnt, i) > blobs_zeros_sample(cnt, i - 1));
		}
	}
	CHECK_EQ(blobs_zeros_sample_cnt(ZEROS_CHUNKS_MIN - 1), 0);
	CHECK_EQ(blobs_zeros_sample_cnt(1ull << 22), ZEROS_SAMPLES_MAX);
}

static void test_runs_end_at_data_and_at_their_span(void)
{
	static const struct {
		uint64_t idx, before, behind, begin, end;
	} rows[] = {
		{5, 99, 99, 3, 10}, {5, 0, 99, 5, 10},	{5, 99, 0, 3, 6}, {5, 1, 2, 4, 8},
		{9, 99, 99, 3, 10}, {3, 99, 99, 3, 10}, {0, 9, 9, 0, 1},
	};
	/* Chunks 0 and 3 to 9 of 10 are zeros, the last one short. */
	const uint64_t size = 9 * (uint64_t)BLAKE3_CHUNK_LEN + 77;
	uint8_t hashes[10 * BLAKE3_HASH_LEN] = {0};
	uint8_t *nothing = calloc(1, BLAKE3_CHUNK_LEN);
	const struct zeros zeros = {hashes, size, 10, nothing};

	CHECK(nothing && blobs_zeros_only(nothing, BLAKE3_CHUNK_LEN));
	for (unsigned i = 0; i < 10; i++)
		if (i == 0 || i >= 3)
			blake3_subtree(nothing, i == 9 ? 77 : BLAKE3_CHUNK_LEN,
				       i * (BLAKE3_CHUNK_LEN / BLAKE3_LEAF_LEN), false,
				       hashes + i * BLAKE3_HASH_LEN);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct zeros_span span = {rows[i].before, rows[i].behind};
		uint64_t begin, end;

		blobs_zeros_run(&zeros, rows[i].idx, &span, &begin, &end);
		CHECK_EQ(begin, rows[i].begin);
		CHECK_EQ(end, rows[i].end);
	}
	nothing[1000] = 1;
	CHECK(!blobs_zeros_only(nothing, BLAKE3_CHUNK_LEN));
	CHECK(blobs_zeros_only(nothing, 1000));
	CHECK(blobs_zeros_only(nothing, 0));
	free(nothing);
}

int main(void)
{
	RUN(test_zeros_are_neither_asked_for_nor_stored);
	RUN(test_zeros_of_a_small_file_are_not_stored);
	RUN(test_rubbish_in_a_staged_hole_is_punched);
	RUN(test_samples_lie_in_the_file);
	RUN(test_runs_end_at_data_and_at_their_span);
	return check_done();
}

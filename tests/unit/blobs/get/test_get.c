/* SPDX-License-Identifier: Apache-2.0 */
/* What is shared arrives, also after a run that was cut short. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "support/fail_nth.h"
#include "get_rig.h"

static void test_shared_folder_arrives_as_it_is(void)
{
	const struct blobs_get *get;
	struct link link;

	duo_init(&duo);
	folder_make();
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	get = get_run(&link, "out/of/nothing");
	CHECK(get);
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "out/of/nothing"));
	CHECK_EQ(get->item_cnt, 9);
	CHECK_EQ(get->item_done_cnt, 9);
	CHECK_EQ(get->byte_done_cnt, get->byte_cnt);
	CHECK_EQ(get->bad_chunk_cnt, 0);
	/* The twins were copied, not fetched. */
	CHECK_EQ(get->reused_byte_cnt, 5000 + BIG_LEN);
	CHECK(get->received_byte_cnt < get->byte_cnt);
	CHECK_EQ(duo.nodes[DUO_B].event_cnt[BLOBS_GET_DONE], 1);
	CHECK_EQ(duo.lent_cnt, 0);
	duo_fini(&duo);
}

static uint64_t stored_path_cnt(void)
{
	struct store_stats stats;

	store_stats(duo.nodes[DUO_B].store, &stats);
	return stats.item_cnt[STORE_PATHS];
}

/* Whether a command is content with what is in the target. */
static bool target_says(const char *command_text)
{
	char command[SCRATCH_CAP + 400];

	snprintf(command, sizeof(command), "cd %s && %s", duo_path(&duo, "out"), command_text);
	return system(command) == 0;
}

/* The kernel tells it once and shows the bytes all the same: nothing staged may be believed. */
static void test_what_is_not_synced_has_no_name_and_no_record(void)
{
	const struct blobs_get *get;
	struct link link;
	uint64_t id;

	duo_init(&duo);
	folder_make();
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	fail_nth_arm_sync(EIO);
	id = duo_get_start(&duo, &link, "out");
	get = duo_run(&duo, id, TURN_MAX);
	CHECK(fail_nth_disarm());
	CHECK_EQ(get->state, BLOBS_GET_STOPPED);
	CHECK_EQ(get->err, -EIO);
	CHECK(target_says("test -z \"$(find . -type f)\""));
	CHECK_EQ(stored_path_cnt(), 0);
	CHECK_EQ(blobs_get_resume(duo.nodes[DUO_B].content, id, duo.now_ns), 0);
	get = duo_run(&duo, id, TURN_MAX);
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK_EQ(stored_path_cnt(), 9);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	duo_fini(&duo);
}

static bool stage_as_cut_off(const struct link *link)
{
	char command[4 * SCRATCH_CAP + 400], stage[64] = ".weft-partial-";

	for (unsigned i = 0; i < 8; i++)
		sprintf(stage + strlen(stage), "%02x", link->manifest_id[i]);
	snprintf(command, sizeof(command),
		 "cd %s && mkdir -p out2/%s && mv out/a out2/%s/0-0 && : >out2/%s/0-1 && rm -r out",
		 duo.dir, stage, stage, stage);
	return system(command) == 0;
}

/* A file that was staged when a run was cut off is not asked for again. */
static void test_what_is_staged_whole_is_placed_by_the_next_run(void)
{
	const struct blobs_get *get;
	struct link link;

	duo_init(&duo);
	file_make("in/a", 3000, 1);
	file_make("in/b", 4000, 2);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	CHECK_EQ(get_run(&link, "out")->state, BLOBS_GET_FINISHED);
	/* As a power cut leaves it: one staged, one torn, no records of either. */
	CHECK(stage_as_cut_off(&link));
	duo.asked_cnt = 0;
	get = get_run(&link, "out2");
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK_EQ(get->reused_byte_cnt, 3000);
	CHECK(duo_trees_equal(&duo, "in", "out2"));
	duo_fini(&duo);
}

/* Longer than what one job copies, and hardly more than holes: a byte in each chunk. */
#define LONG_LEN (66ull << 20)

static void long_make(const char *name)
{
	int fd = open(duo_path(&duo, name), O_WRONLY | O_CREAT, 0644);

	CHECK(fd >= 0 && ftruncate(fd, (off_t)LONG_LEN) == 0);
	for (off_t at = 0; at < (off_t)LONG_LEN; at += BLAKE3_CHUNK_LEN)
		CHECK_EQ(pwrite(fd, "x", 1, at), 1);
	close(fd);
}

static bool copy_has_begun(void)
{
	return target_says("ls .weft-partial-*/*.copy >/dev/null 2>&1");
}

/* Another program cuts the first of two equal files while the second is copied from it. */
static void test_source_that_shrinks_is_left_for_the_peer(void)
{
	const struct blobs_get *get;
	struct link link;
	uint64_t id;
	bool has_cut = false;

	duo_init(&duo);
	CHECK_EQ(mkdir(duo_path(&duo, "in"), 0755), 0);
	long_make("in/1");
	long_make("in/2");
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	id = duo_get_start(&duo, &link, "out");
	get = blobs_get_lookup(duo.nodes[DUO_B].content, id);
	for (unsigned i = 0; i < TURN_MAX && get->ended_ns == 0; i++) {
		(void)duo_turn(&duo);
		if (has_cut || !copy_has_begun())
			continue;
		has_cut = true;
		CHECK(target_says("truncate -s 1000 .weft-partial-*/0-0"));
	}
	CHECK(has_cut);
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK_EQ(get->reused_byte_cnt, 0);
	CHECK(target_says("cmp -s 2 ../in/2"));
	duo_fini(&duo);
}

static void test_verified_bytes_are_counted_for_the_peer_that_sent_them(void)
{
	struct link link;

	duo_init(&duo);
	file_make("in/one.bin", BIG_LEN, 9);
	file_make("in/small", 10, 8);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	CHECK_EQ(get_run(&link, "out")->state, BLOBS_GET_FINISHED);
	CHECK_EQ(duo.nodes[1].verified_len, BIG_LEN + 10);
	CHECK_MEM(duo.nodes[1].verified_key, duo.nodes[0].key, MESH_KEY_LEN);
	CHECK_EQ(duo.nodes[0].verified_len, 0);
	/* The other side counts as many. */
	CHECK_EQ(duo.nodes[0].sent_len, BIG_LEN + 10);
	CHECK_MEM(duo.nodes[0].sent_key, duo.nodes[1].key, MESH_KEY_LEN);
	CHECK_EQ(duo.nodes[1].sent_len, 0);
	duo_fini(&duo);
}

static void test_single_file_arrives(void)
{
	const struct blobs_get *get;
	struct link link;

	duo_init(&duo);
	file_make("in/one.bin", BIG_LEN, 9);
	CHECK(duo_share(&duo, duo_path(&duo, "in/one.bin"), &link));
	get = get_run(&link, "out");
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	duo_fini(&duo);
}

/* Also when the link leads elsewhere later: the file was shared, not the link. */
static void test_file_and_folder_shared_through_links_arrive(void)
{
	struct link link;

	duo_init(&duo);
	file_make("in/one.bin", BIG_LEN, 9);
	CHECK_EQ(symlink("in/one.bin", duo_path(&duo, "latest")), 0);
	CHECK_EQ(symlink("in", duo_path(&duo, "folder")), 0);
	CHECK(duo_share(&duo, duo_path(&duo, "latest"), &link));
	CHECK_EQ(unlink(duo_path(&duo, "latest")), 0);
	CHECK_EQ(get_run(&link, "out")->state, BLOBS_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	CHECK(duo_share(&duo, duo_path(&duo, "folder"), &link));
	CHECK_EQ(get_run(&link, "out2")->state, BLOBS_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "out2"));
	duo_fini(&duo);
}

/* More files than a manifest holds, so it comes in parts. */
static void test_many_small_files_arrive(void)
{
	const struct blobs_get *get;
	struct link link;
	char name[32];

	duo_init(&duo);
	for (unsigned i = 0; i < 3500; i++) {
		snprintf(name, sizeof(name), "in/%u/%u", i / 100, i);
		file_make(name, 50, i + 1000);
	}
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	get = get_run(&link, "out");
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	CHECK_EQ(get->item_done_cnt, 3500);
	CHECK_EQ(get->byte_done_cnt, 3500 * 50);
	/* One request for each file, for a root and three parts, for other holders, and no more. */
	CHECK_EQ(duo.asked_cnt, 3500 + 4 + 1);
	duo_fini(&duo);
}

static void test_requests_in_flight_are_bounded(void)
{
	struct link link;

	duo_init(&duo);
	file_make("in/one.bin", BIG_LEN, 9);
	file_make("in/two.bin", BIG_LEN, 10);
	duo_node_close(&duo, DUO_B);
	duo.nodes[DUO_B].config.chunks_in_flight = 2;
	duo_node_open(&duo, DUO_B);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	CHECK_EQ(get_run(&link, "out")->state, BLOBS_GET_FINISHED);
	/* Two of the get's, and the swarm's own for other holders. */
	CHECK_EQ(duo.asked_peak_cnt, 2 + 1);
	duo_fini(&duo);
}

/* --- a run that is cut short --- */

static void test_killed_get_goes_on_where_it_was(void)
{
	const struct blobs_get *get;
	struct link link;
	uint64_t id;
	bool was_cut = false;

	/* Ended after 3, 7, 11 ... turns: every phase is cut once. */
	for (unsigned cut = 3; cut < 120; cut += 4) {
		duo_init(&duo);
		folder_make();
		CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
		id = duo_get_start(&duo, &link, "out");
		turns(cut);
		duo_node_close(&duo, DUO_B);
		duo_node_open(&duo, DUO_B);
		get = blobs_get_lookup(duo.nodes[DUO_B].content, id);
		/* A get that was not durable yet may be gone; then it is asked for again. */
		if (!get)
			id = duo_get_start(&duo, &link, "out");
		else
			was_cut |= get->state != BLOBS_GET_FINISHED;
		get = duo_run(&duo, id, TURN_MAX);
		CHECK_EQ(get->state, BLOBS_GET_FINISHED);
		CHECK_EQ(get->byte_done_cnt, get->byte_cnt);
		CHECK(duo_trees_equal(&duo, "in", "out"));
		duo_fini(&duo);
	}
	CHECK(was_cut);
}

/* Turns until the get has two chunks, which is all it will have for an hour. */
static bool turns_to_two_chunks(uint64_t id)
{
	const struct blobs_get *get = blobs_get_lookup(duo.nodes[DUO_B].content, id);

	for (unsigned i = 0; i < 1000 && get->byte_done_cnt < 2 * BLAKE3_CHUNK_LEN; i++)
		(void)duo_turn(&duo);
	return get->byte_done_cnt == 2 * BLAKE3_CHUNK_LEN;
}

static void test_verified_chunks_are_not_fetched_again(void)
{
	const struct blobs_get *get;
	struct link link;
	uint64_t id;

	duo_init(&duo);
	file_make("in/one.bin", BIG_LEN, 9);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	duo.on_answer = only_first_chunks;
	id = duo_get_start(&duo, &link, "out");
	CHECK(turns_to_two_chunks(id));
	duo_node_close(&duo, DUO_B);
	duo.on_answer = NULL;
	duo_node_open(&duo, DUO_B);
	get = duo_run(&duo, id, TURN_MAX);
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK_EQ(get->reused_byte_cnt, 2 * BLAKE3_CHUNK_LEN);
	CHECK(get->received_byte_cnt < BIG_LEN - 2 * BLAKE3_CHUNK_LEN + 1024);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	duo_fini(&duo);
}

static void test_damaged_staged_bytes_are_fetched_again(void)
{
	char command[SCRATCH_CAP + 200];
	const struct blobs_get *get;
	struct link link;
	uint64_t id;

	duo_init(&duo);
	file_make("in/one.bin", BIG_LEN, 9);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	duo.on_answer = only_first_chunks;
	id = duo_get_start(&duo, &link, "out");
	CHECK(turns_to_two_chunks(id));
	duo_node_close(&duo, DUO_B);
	duo.on_answer = NULL;
	snprintf(command, sizeof(command),
		 "for f in %s/.weft-*/*; do printf X | dd of=$f bs=1 seek=100 conv=notrunc "
		 "status=none; done",
		 duo_path(&duo, "out"));
	CHECK_EQ(system(command), 0);
	duo_node_open(&duo, DUO_B);
	get = duo_run(&duo, id, TURN_MAX);
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK_EQ(get->reused_byte_cnt, BLAKE3_CHUNK_LEN);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	duo_fini(&duo);
}

int main(void)
{
	RUN(test_shared_folder_arrives_as_it_is);
	RUN(test_what_is_not_synced_has_no_name_and_no_record);
	RUN(test_what_is_staged_whole_is_placed_by_the_next_run);
	RUN(test_source_that_shrinks_is_left_for_the_peer);
	RUN(test_verified_bytes_are_counted_for_the_peer_that_sent_them);
	RUN(test_single_file_arrives);
	RUN(test_file_and_folder_shared_through_links_arrive);
	RUN(test_many_small_files_arrive);
	RUN(test_requests_in_flight_are_bounded);
	RUN(test_killed_get_goes_on_where_it_was);
	RUN(test_verified_chunks_are_not_fetched_again);
	RUN(test_damaged_staged_bytes_are_fetched_again);
	return check_done();
}

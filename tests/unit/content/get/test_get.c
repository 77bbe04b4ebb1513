/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "crypto/blake3.h"
#include "support/check.h"
#include "support/content_duo.h"
#include "support/fail_nth.h"

#define BIG_LEN	 (3u * BLAKE3_CHUNK_LEN + 12345)
#define TURN_MAX 2000000u

static struct duo duo;
/* A range of BIG_LEN from byte 100, its first part, and what two of its parts have. */
#define RANGE_LEN	 700000u
#define RANGE_FIRST_LEN	 (BLAKE3_CHUNK_LEN / 2 - 100)
#define RANGE_CUT_LEN	 (RANGE_FIRST_LEN + BLAKE3_CHUNK_LEN / 2)
#define RANGE_PROOFS_LEN (RANGE_LEN / 32) /* what proofs add, at most */

static uint8_t bytes[BIG_LEN];

static void file_make(const char *name, size_t len, uint64_t seed)
{
	struct random random;
	char command[SCRATCH_CAP + 400];
	char *slash;

	random_init_seeded(&random, seed);
	random_fill(&random, bytes, len);
	snprintf(command, sizeof(command), "%s", duo_path(&duo, name));
	slash = strrchr(command, '/');
	*slash = '\0';
	for (char *at = strchr(command + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		mkdir(command, 0755);
		*at = '/';
	}
	mkdir(command, 0755);
	scratch_write(duo_path(&duo, name), bytes, len);
}

/* A small folder with every kind of item. */
static void folder_make(void)
{
	file_make("in/a/small.txt", 1000, 1);
	file_make("in/a/big.bin", BIG_LEN, 2);
	file_make("in/b/chunk.bin", BLAKE3_CHUNK_LEN, 3);
	file_make("in/b/over.bin", BLAKE3_CHUNK_LEN + 1, 4);
	file_make("in/empty", 0, 5);
	file_make("in/z/deep/er/x", 20, 6);
	file_make("in/twin1", 5000, 7);
	file_make("in/twin2", 5000, 7);
	file_make("in/twin3big", BIG_LEN, 2);
	mkdir(duo_path(&duo, "in/hollow"), 0755);
}

static const struct content_get *get_run(const struct link *link, const char *target)
{
	uint64_t id = duo_get_start(&duo, link, target);

	return id ? duo_run(&duo, id, TURN_MAX) : NULL;
}

static void test_shared_folder_arrives_as_it_is(void)
{
	const struct content_get *get;
	struct link link;

	duo_init(&duo);
	folder_make();
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	get = get_run(&link, "out/of/nothing");
	CHECK(get);
	CHECK_EQ(get->state, CONTENT_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "out/of/nothing"));
	CHECK_EQ(get->item_cnt, 9);
	CHECK_EQ(get->item_done_cnt, 9);
	CHECK_EQ(get->byte_done_cnt, get->byte_cnt);
	CHECK_EQ(get->bad_chunk_cnt, 0);
	/* The twins were copied, not fetched. */
	CHECK_EQ(get->reused_byte_cnt, 5000 + BIG_LEN);
	CHECK(get->received_byte_cnt < get->byte_cnt);
	CHECK_EQ(duo.nodes[DUO_B].event_cnt[CONTENT_GET_DONE], 1);
	CHECK_EQ(duo.lent_cnt, 0);
	duo_fini(&duo);
}

static uint64_t stored_path_cnt(void)
{
	struct store_stats stats;

	store_stats(duo.nodes[DUO_B].store, &stats);
	return stats.item_cnt[STORE_PATHS];
}

/* All files are in their places; that they are on the disk is not said. */
static void test_what_is_not_synced_is_not_recorded(void)
{
	const struct content_get *get;
	struct link link;
	uint64_t id;

	duo_init(&duo);
	folder_make();
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	fail_nth_arm_sync(EIO);
	id = duo_get_start(&duo, &link, "out");
	get = duo_run(&duo, id, TURN_MAX);
	CHECK(fail_nth_disarm());
	CHECK_EQ(get->state, CONTENT_GET_STOPPED);
	CHECK_EQ(get->err, -EIO);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	CHECK_EQ(stored_path_cnt(), 0);
	CHECK_EQ(content_get_resume(duo.nodes[DUO_B].content, id, duo.now_ns), 0);
	get = duo_run(&duo, id, TURN_MAX);
	CHECK_EQ(get->state, CONTENT_GET_FINISHED);
	CHECK_EQ(stored_path_cnt(), 9);
	duo_fini(&duo);
}

/* Longer than what one job copies, and all holes. */
#define LONG_LEN (66ull << 20)

static void long_make(const char *name)
{
	int fd = open(duo_path(&duo, name), O_WRONLY | O_CREAT, 0644);

	CHECK(fd >= 0 && ftruncate(fd, (off_t)LONG_LEN) == 0);
	close(fd);
}

static bool copy_has_begun(void)
{
	char command[SCRATCH_CAP + 400];

	snprintf(command, sizeof(command), "ls %s/.weft-partial-*/*.copy >%s 2>&1",
		 duo_path(&duo, "out"), duo_path(&duo, "ls"));
	return system(command) == 0;
}

/* Somebody cuts the first of two equal files while the second is copied from it. */
static void test_source_that_shrinks_is_left_for_the_peer(void)
{
	const struct content_get *get;
	struct link link;
	uint64_t id;
	bool has_cut = false;

	duo_init(&duo);
	CHECK_EQ(mkdir(duo_path(&duo, "in"), 0755), 0);
	long_make("in/1");
	long_make("in/2");
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	id = duo_get_start(&duo, &link, "out");
	get = content_get_lookup(duo.nodes[DUO_B].content, id);
	for (unsigned i = 0; i < TURN_MAX && get->ended_ns == 0; i++) {
		(void)duo_turn(&duo);
		if (has_cut || get->item_done_cnt != 1 || !copy_has_begun())
			continue;
		has_cut = true;
		CHECK_EQ(truncate(duo_path(&duo, "out/1"), 1000), 0);
	}
	CHECK(has_cut);
	CHECK_EQ(get->state, CONTENT_GET_FINISHED);
	CHECK_EQ(get->reused_byte_cnt, 0);
	CHECK_EQ(truncate(duo_path(&duo, "out/1"), (off_t)LONG_LEN), 0);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	duo_fini(&duo);
}

static void test_single_file_arrives(void)
{
	const struct content_get *get;
	struct link link;

	duo_init(&duo);
	file_make("in/one.bin", BIG_LEN, 9);
	CHECK(duo_share(&duo, duo_path(&duo, "in/one.bin"), &link));
	get = get_run(&link, "out");
	CHECK_EQ(get->state, CONTENT_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	duo_fini(&duo);
}

/* More files than a manifest holds, so it comes in parts. */
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
	CHECK_EQ(get_run(&link, "out")->state, CONTENT_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	CHECK(duo_share(&duo, duo_path(&duo, "folder"), &link));
	CHECK_EQ(get_run(&link, "out2")->state, CONTENT_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "out2"));
	duo_fini(&duo);
}

static void test_many_small_files_arrive(void)
{
	const struct content_get *get;
	struct link link;
	char name[32];

	duo_init(&duo);
	for (unsigned i = 0; i < 3500; i++) {
		snprintf(name, sizeof(name), "in/%u/%u", i / 100, i);
		file_make(name, 50, i + 1000);
	}
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	get = get_run(&link, "out");
	CHECK_EQ(get->state, CONTENT_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	CHECK_EQ(get->item_done_cnt, 3500);
	CHECK_EQ(get->byte_done_cnt, 3500 * 50);
	/* One request for each file, for a root and three parts, for who else has it, and no more. */
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
	CHECK_EQ(get_run(&link, "out")->state, CONTENT_GET_FINISHED);
	/* Two of the get's, and the swarm's own for who else has it. */
	CHECK_EQ(duo.asked_peak_cnt, 2 + 1);
	duo_fini(&duo);
}

/* --- a run that is cut short --- */

static void turns(unsigned cnt)
{
	while (cnt-- > 0)
		(void)duo_turn(&duo);
}

static void test_killed_get_goes_on_where_it_was(void)
{
	const struct content_get *get;
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
		get = content_get_lookup(duo.nodes[DUO_B].content, id);
		/* A get that was not durable yet may be gone; then it is asked for again. */
		if (!get)
			id = duo_get_start(&duo, &link, "out");
		else
			was_cut |= get->state != CONTENT_GET_FINISHED;
		get = duo_run(&duo, id, TURN_MAX);
		CHECK_EQ(get->state, CONTENT_GET_FINISHED);
		CHECK_EQ(get->byte_done_cnt, get->byte_cnt);
		CHECK(duo_trees_equal(&duo, "in", "out"));
		duo_fini(&duo);
	}
	CHECK(was_cut);
}

static void only_first_chunks(struct duo *d, struct duo_answer *answer)
{
	if (answer->type == MESH_CHUNK_DATA && ++d->hook_cnt > 2)
		answer->delay_ns = 3600 * NS_PER_S;
}

/* Turns until the get has two chunks, which is all it will have for an hour. */
static bool turns_to_two_chunks(uint64_t id)
{
	const struct content_get *get = content_get_lookup(duo.nodes[DUO_B].content, id);

	for (unsigned i = 0; i < 1000 && get->byte_done_cnt < 2 * BLAKE3_CHUNK_LEN; i++)
		(void)duo_turn(&duo);
	return get->byte_done_cnt == 2 * BLAKE3_CHUNK_LEN;
}

static void test_verified_chunks_are_not_fetched_again(void)
{
	const struct content_get *get;
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
	CHECK_EQ(get->state, CONTENT_GET_FINISHED);
	CHECK_EQ(get->reused_byte_cnt, 2 * BLAKE3_CHUNK_LEN);
	CHECK(get->received_byte_cnt < BIG_LEN - 2 * BLAKE3_CHUNK_LEN + 1024);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	duo_fini(&duo);
}

static void test_damaged_staged_bytes_are_fetched_again(void)
{
	char command[SCRATCH_CAP + 200];
	const struct content_get *get;
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
	CHECK_EQ(get->state, CONTENT_GET_FINISHED);
	CHECK_EQ(get->reused_byte_cnt, BLAKE3_CHUNK_LEN);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	duo_fini(&duo);
}

/* --- what is there already --- */

static void test_finished_files_are_not_fetched_again(void)
{
	const struct content_get *get;
	struct link link;

	duo_init(&duo);
	folder_make();
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	CHECK_EQ(get_run(&link, "out")->state, CONTENT_GET_FINISHED);
	duo.asked_cnt = 0;
	get = get_run(&link, "out");
	CHECK_EQ(get->state, CONTENT_GET_FINISHED);
	CHECK_EQ(get->reused_byte_cnt, get->byte_cnt);
	CHECK_EQ(duo.asked_cnt, 0);
	/* And elsewhere they are copied. */
	get = get_run(&link, "out2");
	CHECK_EQ(get->state, CONTENT_GET_FINISHED);
	CHECK_EQ(get->reused_byte_cnt, get->byte_cnt);
	CHECK_EQ(duo.asked_cnt, 0);
	CHECK(duo_trees_equal(&duo, "in", "out2"));
	duo_fini(&duo);
}

static void on_share_removed(void *arg, int err)
{
	*(int *)arg = err;
}

/* Whoever makes a collection would learn what else lies here: nothing they could not be served. */
static void test_only_what_peers_may_read_is_copied(void)
{
	const struct content_get *get;
	struct link first, second, own;
	int removed = 1;

	duo_init(&duo);
	file_make("in1/x", 5000, 1);
	file_make("in2/x", 7000, 2);
	file_make("own/y", 5000, 1);
	file_make("own/z", 7000, 2);
	CHECK(duo_share(&duo, duo_path(&duo, "in1"), &first));
	CHECK(duo_share(&duo, duo_path(&duo, "in2"), &second));
	CHECK(duo_share_at(&duo, DUO_B, duo_path(&duo, "own"), &own));
	get = get_run(&first, "out1");
	CHECK_EQ(get->state, CONTENT_GET_FINISHED);
	CHECK_EQ(get->reused_byte_cnt, 5000);
	CHECK_EQ(content_share_remove(duo.nodes[DUO_B].content, own.manifest_id, on_share_removed,
				      &removed),
		 0);
	while (duo_turn(&duo))
		;
	CHECK_EQ(removed, 0);
	get = get_run(&second, "out2");
	CHECK_EQ(get->state, CONTENT_GET_FINISHED);
	CHECK_EQ(get->reused_byte_cnt, 0);
	CHECK(duo_trees_equal(&duo, "in2", "out2"));
	duo_fini(&duo);
}

static void test_equal_file_in_place_is_kept(void)
{
	const struct content_get *get;
	struct stat before, after;
	struct link link;

	duo_init(&duo);
	folder_make();
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	file_make("out/a/big.bin", BIG_LEN, 2);
	CHECK_EQ(stat(duo_path(&duo, "out/a/big.bin"), &before), 0);
	get = get_run(&link, "out");
	CHECK_EQ(get->state, CONTENT_GET_FINISHED);
	CHECK_EQ(stat(duo_path(&duo, "out/a/big.bin"), &after), 0);
	CHECK_EQ(after.st_ino, before.st_ino);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	duo_fini(&duo);
}

static void test_different_file_in_place_stops_the_get(void)
{
	const struct content_get *get;
	uint8_t kept[2000];
	struct link link;
	FILE *file;

	duo_init(&duo);
	folder_make();
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	for (unsigned same_len = 0; same_len < 2; same_len++) {
		file_make("out/a/small.txt", same_len ? 1000 : 999, 77);
		get = get_run(&link, "out");
		CHECK_EQ(get->state, CONTENT_GET_STOPPED);
		CHECK_EQ(get->err, WEFT_EEXISTS);
		CHECK(strstr(get->detail, "a/small.txt"));
		file = fopen(duo_path(&duo, "out/a/small.txt"), "r");
		CHECK_EQ(fread(kept, 1, sizeof(kept), file), same_len ? 1000 : 999);
		fclose(file);
		CHECK_MEM(kept, bytes, 999);
	}
	duo_fini(&duo);
}

static void test_different_file_is_replaced_on_demand(void)
{
	struct content_get_ask ask = {.is_replacing = true};
	const struct content_get *get;
	struct link link;
	uint64_t id;

	duo_init(&duo);
	folder_make();
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	file_make("out/a/small.txt", 999, 77);
	file_make("out/a/big.bin", BIG_LEN, 78);
	file_make("out/twin2", 5000, 79);
	ask.link = &link;
	ask.target = duo_path(&duo, "out");
	CHECK_EQ(content_get_start(duo.nodes[DUO_B].content, &ask, duo.now_ns, &id), 0);
	get = duo_run(&duo, id, TURN_MAX);
	CHECK_EQ(get->state, CONTENT_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	duo_fini(&duo);
}

/* A get into a target prepared by command; what it says, and nothing outside is written. */
static void check_obstacle(const char *prepare, int err)
{
	char command[4 * SCRATCH_CAP];
	const struct content_get *get;
	struct link link;

	duo_init(&duo);
	folder_make();
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	snprintf(command, sizeof(command), "cd %s && mkdir outside && %s", duo.dir, prepare);
	CHECK_EQ(system(command), 0);
	get = get_run(&link, "out");
	CHECK_EQ(get->state, CONTENT_GET_STOPPED);
	CHECK_EQ(get->err, err);
	snprintf(command, sizeof(command), "test -z \"$(ls -A %s/outside)\"", duo.dir);
	CHECK_EQ(system(command), 0);
	duo_fini(&duo);
}

static void test_obstacles_in_the_target_stop_the_get(void)
{
	static const struct {
		const char *prepare;
		int err;
	} rows[] = {
		{"mkdir out && ln -s ../outside out/a", WEFT_EUNSAFE},
		{"mkdir -p out/z && ln -s ../../outside out/z/deep", WEFT_EUNSAFE},
		{"mkdir out && ln -s ../outside/file out/empty", WEFT_EUNSAFE},
		{"mkdir out && ln -s ../outside out/hollow", WEFT_EUNSAFE},
		{"mkdir out && echo x > out/a", WEFT_EEXISTS},
		{"mkdir -p out/empty", WEFT_EEXISTS},
		{"mkdir out && mkfifo out/empty", WEFT_EEXISTS},
		{"echo x > out", -ENOTDIR},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && !check_failed; i++) {
		check_obstacle(rows[i].prepare, rows[i].err);
		if (check_failed)
			printf("# after %s\n", rows[i].prepare);
	}
}

static void test_link_in_place_of_the_staging_folder_is_refused(void)
{
	char prepare[SCRATCH_CAP + 200], hex[17];
	struct link link;

	duo_init(&duo);
	folder_make();
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	for (unsigned i = 0; i < 8; i++)
		snprintf(hex + 2 * i, 3, "%02x", link.manifest_id[i]);
	snprintf(prepare, sizeof(prepare),
		 "cd %s && mkdir out outside && ln -s ../outside out/.weft-partial-%s", duo.dir,
		 hex);
	CHECK_EQ(system(prepare), 0);
	CHECK_EQ(get_run(&link, "out")->err, WEFT_EUNSAFE);
	duo_fini(&duo);
}

/* --- ranges --- */

static void check_range(const struct link *link, uint64_t off, uint64_t len, uint64_t want_len)
{
	const struct content_range range = {off, len};
	struct content_get_ask ask = {
		.link = link, .ranges = &range, .range_cnt = 1, .is_replacing = true};
	const struct content_get *get;
	static uint8_t got[BIG_LEN + 1];
	char name[80];
	uint64_t id;
	FILE *file;

	ask.target = duo_path(&duo, "out");
	CHECK_EQ(content_get_start(duo.nodes[DUO_B].content, &ask, duo.now_ns, &id), 0);
	get = duo_run(&duo, id, TURN_MAX);
	if (get->state != CONTENT_GET_FINISHED)
		printf("# %s\n", get->detail);
	CHECK_EQ(get->state, CONTENT_GET_FINISHED);
	CHECK_EQ(get->byte_done_cnt, want_len);
	snprintf(name, sizeof(name), "out/one.bin.%" PRIu64 "-%" PRIu64, off, want_len);
	file = fopen(duo_path(&duo, name), "r");
	CHECK(file);
	CHECK_EQ(fread(got, 1, sizeof(got), file), want_len);
	fclose(file);
	CHECK_MEM(got, bytes + off, want_len);
}

static void test_ranges_arrive(void)
{
	struct content_range range = {BIG_LEN, 1};
	struct content_get_ask ask = {.ranges = &range, .range_cnt = 1};
	struct link link;
	uint64_t id;

	duo_init(&duo);
	file_make("in/one.bin", BIG_LEN, 9);
	CHECK(duo_share(&duo, duo_path(&duo, "in/one.bin"), &link));
	check_range(&link, 0, 1, 1);
	check_range(&link, 5, 20000, 20000);
	check_range(&link, BLAKE3_CHUNK_LEN - 1, 2, 2);
	check_range(&link, 0, BIG_LEN, BIG_LEN);
	check_range(&link, 1, BIG_LEN, BIG_LEN - 1);
	check_range(&link, BIG_LEN - 1, 100, 1);
	check_range(&link, 100000, 400000, 400000);
	CHECK(!check_failed);
	ask.link = &link;
	ask.target = duo_path(&duo, "out");
	CHECK_EQ(content_get_start(duo.nodes[DUO_B].content, &ask, duo.now_ns, &id), 0);
	CHECK_EQ(duo_run(&duo, id, TURN_MAX)->err, WEFT_ETOOLARGE);
	range.len = 0;
	CHECK_EQ(content_get_start(duo.nodes[DUO_B].content, &ask, duo.now_ns, &id),
		 WEFT_EMALFORMED);
	duo_fini(&duo);
}

static void only_two_proofs(struct duo *d, struct duo_answer *answer)
{
	if (answer->request_type == MESH_RANGE_PROOF && ++d->hook_cnt > 2)
		answer->delay_ns = 3600 * NS_PER_S;
}

/* Most of a file, of which two parts are there when its node ends. */
static void range_cut_short(struct link *link, uint64_t *out_id)
{
	static const struct content_range range = {100, RANGE_LEN};
	struct content_get_ask ask = {.link = link, .ranges = &range, .range_cnt = 1};
	const struct content_get *get;

	duo_init(&duo);
	file_make("in/one.bin", BIG_LEN, 9);
	CHECK(duo_share(&duo, duo_path(&duo, "in/one.bin"), link));
	ask.target = duo_path(&duo, "out");
	duo.on_answer = only_two_proofs;
	CHECK_EQ(content_get_start(duo.nodes[DUO_B].content, &ask, duo.now_ns, out_id), 0);
	get = content_get_lookup(duo.nodes[DUO_B].content, *out_id);
	for (unsigned i = 0; i < 1000 && get->byte_done_cnt < RANGE_CUT_LEN; i++)
		(void)duo_turn(&duo);
	CHECK_EQ(get->byte_done_cnt, RANGE_CUT_LEN);
	duo_node_close(&duo, DUO_B);
	duo.on_answer = NULL;
}

static void check_range_resumed(uint64_t id, uint64_t reused_len)
{
	const struct content_get *get;
	static uint8_t got[BIG_LEN];
	char name[80];
	FILE *file;

	duo_node_open(&duo, DUO_B);
	get = duo_run(&duo, id, TURN_MAX);
	CHECK_EQ(get->state, CONTENT_GET_FINISHED);
	CHECK_EQ(get->byte_done_cnt, RANGE_LEN);
	CHECK_EQ(get->reused_byte_cnt, reused_len);
	CHECK(get->received_byte_cnt < RANGE_LEN - reused_len + RANGE_PROOFS_LEN);
	snprintf(name, sizeof(name), "out/one.bin.100-%u", RANGE_LEN);
	file = fopen(duo_path(&duo, name), "r");
	CHECK(file);
	CHECK_EQ(fread(got, 1, sizeof(got), file), RANGE_LEN);
	fclose(file);
	CHECK_MEM(got, bytes + 100, RANGE_LEN);
	CHECK_EQ(access(duo_path(&duo, "out/one.bin"), F_OK), -1);
}

static void test_a_range_goes_on_where_it_was(void)
{
	struct link link;
	uint64_t id;

	range_cut_short(&link, &id);
	check_range_resumed(id, RANGE_CUT_LEN);
	duo_fini(&duo);
}

static void test_damaged_parts_of_a_range_are_fetched_again(void)
{
	static const struct {
		const char *what, *command;
		unsigned reused_len;
	} rows[] = {
		{"a byte of the first part", "printf X | dd of=$f bs=1 seek=7 conv=notrunc",
		 RANGE_CUT_LEN - RANGE_FIRST_LEN},
		{"a hash of the second", "printf X | dd of=$f.sums bs=1 seek=40 conv=notrunc",
		 RANGE_FIRST_LEN},
		{"all hashes lost", "rm $f.sums", 0},
		{"all bytes lost", "rm $f", 0},
		{"hashes cut short", "truncate -s 40 $f.sums", RANGE_FIRST_LEN},
	};
	char command[SCRATCH_CAP + 200];
	struct link link;
	uint64_t id;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && !check_failed; i++) {
		range_cut_short(&link, &id);
		snprintf(command, sizeof(command),
			 "exec 2>/dev/null; for f in %s/.weft-*/range-*0; do %s; done",
			 duo_path(&duo, "out"), rows[i].command);
		CHECK_EQ(system(command), 0);
		check_range_resumed(id, rows[i].reused_len);
		if (check_failed)
			printf("# row \"%s\"\n", rows[i].what);
		duo_fini(&duo);
	}
}

static void test_range_of_a_folder_is_refused(void)
{
	const struct content_range range = {0, 10};
	struct content_get_ask ask = {.ranges = &range, .range_cnt = 1};
	struct link link;
	uint64_t id;

	duo_init(&duo);
	folder_make();
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	ask.link = &link;
	ask.target = duo_path(&duo, "out");
	CHECK_EQ(content_get_start(duo.nodes[DUO_B].content, &ask, duo.now_ns, &id), 0);
	CHECK_EQ(duo_run(&duo, id, TURN_MAX)->err, WEFT_EREFUSED);
	duo_fini(&duo);
}

/* --- taking back --- */

static void test_cancelled_get_leaves_nothing_staged(void)
{
	char command[SCRATCH_CAP + 100];
	struct link link;
	uint64_t id;

	for (unsigned cut = 1; cut < 200; cut += 9) {
		duo_init(&duo);
		folder_make();
		CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
		duo.on_answer = only_first_chunks;
		id = duo_get_start(&duo, &link, "out");
		turns(cut);
		CHECK_EQ(content_get_cancel(duo.nodes[DUO_B].content, id, duo.now_ns), 0);
		CHECK_EQ(duo_run(&duo, id, TURN_MAX)->state, CONTENT_GET_TAKEN_BACK);
		snprintf(command, sizeof(command), "test -z \"$(ls -d %s/.weft* 2>/dev/null)\"",
			 duo_path(&duo, "out"));
		CHECK_EQ(system(command), 0);
		CHECK_EQ(duo.nodes[DUO_B].event_cnt[CONTENT_GET_CANCELLED], 1);
		duo.on_answer = NULL;
		CHECK_EQ(content_get_resume(duo.nodes[DUO_B].content, id, duo.now_ns), 0);
		CHECK_EQ(duo_run(&duo, id, TURN_MAX)->state, CONTENT_GET_FINISHED);
		CHECK(duo_trees_equal(&duo, "in", "out"));
		duo_fini(&duo);
	}
}

static bool is_staging_in(const char *target)
{
	char command[SCRATCH_CAP + 100];

	snprintf(command, sizeof(command), "ls -d %s/.weft* >/dev/null 2>&1",
		 duo_path(&duo, target));
	return system(command) == 0;
}

static void test_failed_get_leaves_only_what_it_can_go_on_with(void)
{
	const struct content_get *get;
	struct link link;

	/* Something is in the way of the only file: nothing is staged. */
	duo_init(&duo);
	file_make("in/one.bin", BIG_LEN, 9);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	file_make("out/one.bin", 10, 3);
	get = get_run(&link, "out");
	CHECK_EQ(get->state, CONTENT_GET_STOPPED);
	CHECK_EQ(get->err, WEFT_EEXISTS);
	CHECK(!is_staging_in("out"));
	CHECK_EQ(access(duo_path(&duo, "out/one.bin"), F_OK), 0);
	duo_fini(&duo);
}

static void gone_after_two(struct duo *d, struct duo_answer *answer)
{
	if (answer->type == MESH_CHUNK_DATA && ++d->hook_cnt > 2)
		answer->err = WEFT_EABSENT;
}

/* A get with two chunks staged that stopped. */
static void get_stop_half_way(struct link *link, const char *target, uint64_t *out_id)
{
	duo.hook_cnt = 0;
	duo.on_answer = gone_after_two;
	*out_id = duo_get_start(&duo, link, target);
	CHECK_EQ(duo_run(&duo, *out_id, TURN_MAX)->state, CONTENT_GET_STOPPED);
	duo.on_answer = NULL;
	CHECK(is_staging_in(target));
}

static void test_stopped_get_with_staged_bytes_is_not_forgotten(void)
{
	struct link link;
	uint64_t half, other, id;

	duo_init(&duo);
	duo_node_close(&duo, DUO_B);
	duo.nodes[DUO_B].config.get_cap = 2;
	duo_node_open(&duo, DUO_B);
	file_make("in/one.bin", BIG_LEN, 9);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	get_stop_half_way(&link, "half", &half);
	other = duo_get_start(&duo, &link, "other");
	CHECK_EQ(duo_run(&duo, other, TURN_MAX)->state, CONTENT_GET_FINISHED);
	/* The younger one that finished goes, also after a restart. */
	duo_node_close(&duo, DUO_B);
	duo_node_open(&duo, DUO_B);
	id = duo_get_start(&duo, &link, "third");
	CHECK_EQ(duo_run(&duo, id, TURN_MAX)->state, CONTENT_GET_FINISHED);
	CHECK(!content_get_lookup(duo.nodes[DUO_B].content, other));
	CHECK(content_get_lookup(duo.nodes[DUO_B].content, half));
	/* One that was taken back may go, for its staging went before. */
	CHECK_EQ(content_get_cancel(duo.nodes[DUO_B].content, half, duo.now_ns), 0);
	CHECK_EQ(duo_run(&duo, half, TURN_MAX)->state, CONTENT_GET_TAKEN_BACK);
	CHECK(!is_staging_in("half"));
	duo_fini(&duo);
}

/* The restart comes before the cancelled get has had its turn. */
static void test_cancel_of_a_stopped_get_outlives_a_restart(void)
{
	struct link link;
	uint64_t id;

	duo_init(&duo);
	file_make("in/one.bin", BIG_LEN, 9);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	get_stop_half_way(&link, "half", &id);
	duo_node_close(&duo, DUO_B);
	duo.nodes[DUO_B].config.get_active_cap = 0;
	duo_node_open(&duo, DUO_B);
	CHECK_EQ(content_get_cancel(duo.nodes[DUO_B].content, id, duo.now_ns), 0);
	turns(10);
	CHECK(is_staging_in("half"));
	duo_node_close(&duo, DUO_B);
	duo.nodes[DUO_B].config.get_active_cap = 4;
	duo_node_open(&duo, DUO_B);
	CHECK_EQ(duo_run(&duo, id, TURN_MAX)->state, CONTENT_GET_TAKEN_BACK);
	CHECK(!is_staging_in("half"));
	duo_fini(&duo);
}

static void test_table_of_gets_with_staged_bytes_is_full(void)
{
	struct content_get_ask ask = {0};
	struct link links[3];
	uint64_t ids[3];

	duo_init(&duo);
	duo_node_close(&duo, DUO_B);
	duo.nodes[DUO_B].config.get_cap = 2;
	duo_node_open(&duo, DUO_B);
	for (unsigned i = 0; i < 3; i++) {
		char name[16];

		snprintf(name, sizeof(name), "in/%u.bin", i);
		file_make(name, BIG_LEN, i);
		CHECK(duo_share(&duo, duo_path(&duo, name), &links[i]));
	}
	get_stop_half_way(&links[0], "half", &ids[0]);
	get_stop_half_way(&links[1], "half2", &ids[1]);
	ask.link = &links[2];
	ask.target = duo_path(&duo, "third");
	CHECK_EQ(content_get_start(duo.nodes[DUO_B].content, &ask, duo.now_ns, &ids[2]),
		 WEFT_EFULL);
	CHECK_EQ(content_get_cancel(duo.nodes[DUO_B].content, ids[1], duo.now_ns), 0);
	CHECK_EQ(duo_run(&duo, ids[1], TURN_MAX)->state, CONTENT_GET_TAKEN_BACK);
	turns(10);
	ids[2] = duo_get_start(&duo, &links[2], "third");
	CHECK_EQ(duo_run(&duo, ids[2], TURN_MAX)->state, CONTENT_GET_FINISHED);
	CHECK(is_staging_in("half"));
	duo_fini(&duo);
}

static void test_cancel_of_a_get_whose_target_is_gone_makes_nothing(void)
{
	char command[SCRATCH_CAP + 100];
	struct link link;
	uint64_t id;

	duo_init(&duo);
	file_make("in/one.bin", BIG_LEN, 9);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	get_stop_half_way(&link, "half", &id);
	snprintf(command, sizeof(command), "rm -r %s", duo_path(&duo, "half"));
	CHECK_EQ(system(command), 0);
	CHECK_EQ(content_get_cancel(duo.nodes[DUO_B].content, id, duo.now_ns), 0);
	CHECK_EQ(duo_run(&duo, id, TURN_MAX)->state, CONTENT_GET_TAKEN_BACK);
	CHECK_EQ(access(duo_path(&duo, "half"), F_OK), -1);
	duo_fini(&duo);
}

static void test_asking_the_impossible_is_refused(void)
{
	struct content *content;
	struct content_get_ask ask = {.target = "relative"};
	const struct content_range range = {0, 1};
	char long_path[5000];
	struct link link;
	uint64_t id, other;

	duo_init(&duo);
	content = duo.nodes[DUO_B].content;
	folder_make();
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	ask.link = &link;
	CHECK_EQ(content_get_start(content, &ask, duo.now_ns, &id), WEFT_EUNSAFE);
	memset(long_path, 'x', sizeof(long_path));
	long_path[0] = '/';
	long_path[sizeof(long_path) - 1] = '\0';
	ask.target = long_path;
	CHECK_EQ(content_get_start(content, &ask, duo.now_ns, &id), WEFT_ETOOLARGE);
	id = duo_get_start(&duo, &link, "out");
	ask.target = duo_path(&duo, "out/");
	CHECK_EQ(content_get_start(content, &ask, duo.now_ns, &other), 1);
	CHECK_EQ(other, id);
	ask.is_replacing = true;
	CHECK_EQ(content_get_start(content, &ask, duo.now_ns, &other), WEFT_EEXISTS);
	ask.is_replacing = false;
	ask.ranges = &range;
	ask.range_cnt = 1;
	CHECK_EQ(content_get_start(content, &ask, duo.now_ns, &other), WEFT_EEXISTS);
	ask.range_cnt = 0;
	ask.only = "a";
	ask.only_len = 2;
	CHECK_EQ(content_get_start(content, &ask, duo.now_ns, &other), WEFT_EEXISTS);
	ask.only = NULL;
	CHECK_EQ(content_get_resume(content, id, duo.now_ns), WEFT_EBUSY);
	CHECK_EQ(content_get_cancel(content, id, duo.now_ns), 0);
	CHECK_EQ(content_get_start(content, &ask, duo.now_ns, &other), WEFT_EEXISTS);
	CHECK_EQ(content_get_resume(content, 999, duo.now_ns), WEFT_EABSENT);
	CHECK_EQ(content_get_cancel(content, 999, duo.now_ns), WEFT_EABSENT);
	duo_fini(&duo);
}

static void test_full_table_forgets_the_oldest_that_ended(void)
{
	struct link link;
	const struct content_get_ask bad = {.link = &link, .target = "relative"};
	uint64_t first, id;

	duo_init(&duo);
	duo_node_close(&duo, DUO_B);
	duo.nodes[DUO_B].config.get_cap = 2;
	duo_node_open(&duo, DUO_B);
	file_make("in/x", 10, 1);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	first = duo_get_start(&duo, &link, "out1");
	duo_run(&duo, first, TURN_MAX);
	id = duo_get_start(&duo, &link, "out2");
	duo_run(&duo, id, TURN_MAX);
	/* An ask that is refused costs nobody his place. */
	CHECK_EQ(content_get_start(duo.nodes[DUO_B].content, &bad, duo.now_ns, &id), WEFT_EUNSAFE);
	CHECK(content_get_lookup(duo.nodes[DUO_B].content, first));
	id = duo_get_start(&duo, &link, "out3");
	CHECK(id);
	CHECK(!content_get_lookup(duo.nodes[DUO_B].content, first));
	CHECK_EQ(duo_run(&duo, id, TURN_MAX)->state, CONTENT_GET_FINISHED);
	duo_fini(&duo);
}

/* The table was made smaller: what it has no room for keeps its record and its number. */
static void test_get_without_a_place_keeps_its_number(void)
{
	struct link link;
	uint64_t first, second;

	duo_init(&duo);
	file_make("in/x", 10, 1);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	first = duo_get_start(&duo, &link, "out1");
	duo_run(&duo, first, TURN_MAX);
	second = duo_get_start(&duo, &link, "out2");
	duo_run(&duo, second, TURN_MAX);
	duo_node_close(&duo, DUO_B);
	duo.nodes[DUO_B].config.get_cap = 1;
	duo_node_open(&duo, DUO_B);
	CHECK(duo_get_start(&duo, &link, "out3") > second);
	duo_node_close(&duo, DUO_B);
	duo.nodes[DUO_B].config.get_cap = 2;
	duo_node_open(&duo, DUO_B);
	CHECK(content_get_lookup(duo.nodes[DUO_B].content, second));
	duo_fini(&duo);
}

int main(void)
{
	RUN(test_shared_folder_arrives_as_it_is);
	RUN(test_what_is_not_synced_is_not_recorded);
	RUN(test_source_that_shrinks_is_left_for_the_peer);
	RUN(test_single_file_arrives);
	RUN(test_file_and_folder_shared_through_links_arrive);
	RUN(test_many_small_files_arrive);
	RUN(test_requests_in_flight_are_bounded);
	RUN(test_killed_get_goes_on_where_it_was);
	RUN(test_verified_chunks_are_not_fetched_again);
	RUN(test_damaged_staged_bytes_are_fetched_again);
	RUN(test_finished_files_are_not_fetched_again);
	RUN(test_only_what_peers_may_read_is_copied);
	RUN(test_equal_file_in_place_is_kept);
	RUN(test_different_file_in_place_stops_the_get);
	RUN(test_different_file_is_replaced_on_demand);
	RUN(test_obstacles_in_the_target_stop_the_get);
	RUN(test_link_in_place_of_the_staging_folder_is_refused);
	RUN(test_ranges_arrive);
	RUN(test_a_range_goes_on_where_it_was);
	RUN(test_damaged_parts_of_a_range_are_fetched_again);
	RUN(test_range_of_a_folder_is_refused);
	RUN(test_cancelled_get_leaves_nothing_staged);
	RUN(test_failed_get_leaves_only_what_it_can_go_on_with);
	RUN(test_stopped_get_with_staged_bytes_is_not_forgotten);
	RUN(test_cancel_of_a_stopped_get_outlives_a_restart);
	RUN(test_table_of_gets_with_staged_bytes_is_full);
	RUN(test_cancel_of_a_get_whose_target_is_gone_makes_nothing);
	RUN(test_asking_the_impossible_is_refused);
	RUN(test_full_table_forgets_the_oldest_that_ended);
	RUN(test_get_without_a_place_keeps_its_number);
	return check_done();
}

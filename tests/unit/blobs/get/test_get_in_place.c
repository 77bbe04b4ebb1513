/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in the target already: kept, copied, replaced, or in the way. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "get_rig.h"

static void test_finished_files_are_not_fetched_again(void)
{
	const struct blobs_get *get;
	struct link link;

	duo_init(&duo);
	folder_make();
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	CHECK_EQ(get_run(&link, "out")->state, BLOBS_GET_FINISHED);
	duo.asked_cnt = 0;
	get = get_run(&link, "out");
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK_EQ(get->reused_byte_cnt, get->byte_cnt);
	CHECK_EQ(duo.asked_cnt, 0);
	/* And elsewhere they are copied. */
	get = get_run(&link, "out2");
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK_EQ(get->reused_byte_cnt, get->byte_cnt);
	CHECK_EQ(duo.asked_cnt, 0);
	CHECK(duo_trees_equal(&duo, "in", "out2"));
	duo_fini(&duo);
}

static void on_share_removed(void *arg, int err)
{
	*(int *)arg = err;
}

/*
 * The author of a collection would learn what else lies here: nothing that it could not be served.
 */
static void test_only_what_peers_may_read_is_copied(void)
{
	const struct blobs_get *get;
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
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK_EQ(get->reused_byte_cnt, 5000);
	CHECK_EQ(blobs_share_remove(duo.nodes[DUO_B].content, own.manifest_id, on_share_removed,
				    &removed),
		 0);
	while (removed == 1)
		CHECK(duo_turn(&duo));
	CHECK_EQ(removed, 0);
	get = get_run(&second, "out2");
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK_EQ(get->reused_byte_cnt, 0);
	CHECK(duo_trees_equal(&duo, "in2", "out2"));
	duo_fini(&duo);
}

static void test_equal_file_in_place_is_kept(void)
{
	const struct blobs_get *get;
	struct stat before, after;
	struct link link;

	duo_init(&duo);
	folder_make();
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	file_make("out/a/big.bin", BIG_LEN, 2);
	CHECK_EQ(stat(duo_path(&duo, "out/a/big.bin"), &before), 0);
	get = get_run(&link, "out");
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK_EQ(stat(duo_path(&duo, "out/a/big.bin"), &after), 0);
	CHECK_EQ(after.st_ino, before.st_ino);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	duo_fini(&duo);
}

static void test_different_file_in_place_stops_the_get(void)
{
	const struct blobs_get *get;
	uint8_t kept[2000];
	struct link link;
	FILE *file;

	duo_init(&duo);
	folder_make();
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	for (unsigned same_len = 0; same_len < 2; same_len++) {
		file_make("out/a/small.txt", same_len ? 1000 : 999, 77);
		get = get_run(&link, "out");
		CHECK_EQ(get->state, BLOBS_GET_STOPPED);
		CHECK_EQ(get->err, WEFT_EEXISTS);
		CHECK(strstr(get->detail, "a/small.txt"));
		file = fopen(duo_path(&duo, "out/a/small.txt"), "r");
		CHECK_EQ(fread(kept, 1, sizeof(kept), file), same_len ? 1000 : 999);
		fclose(file);
		CHECK_MEM(kept, file_bytes, 999);
	}
	duo_fini(&duo);
}

static void test_different_file_is_replaced_on_demand(void)
{
	struct blobs_get_ask ask = {.is_replacing = true};
	const struct blobs_get *get;
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
	CHECK_EQ(blobs_get_start(duo.nodes[DUO_B].content, &ask, duo.now_ns, &id), 0);
	get = duo_run(&duo, id, TURN_MAX);
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	duo_fini(&duo);
}

/* What a lying disk or a torn write leaves: other bytes, and the time that was recorded. */
static bool damage(const char *name, size_t len)
{
	struct timespec times[2];
	struct stat st;
	int fd = open(duo_path(&duo, name), O_WRONLY);
	bool is_done = fd >= 0 && fstat(fd, &st) == 0 && ftruncate(fd, (off_t)len) == 0 &&
		       (len == 0 || pwrite(fd, "damaged", 7, 100) == 7);

	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	is_done = is_done && futimens(fd, times) == 0;
	close(fd);
	return is_done;
}

static void test_own_file_that_became_wrong_is_fetched_again(void)
{
	const struct blobs_get *get;
	struct link link;

	duo_init(&duo);
	folder_make();
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	CHECK_EQ(get_run(&link, "out")->state, BLOBS_GET_FINISHED);
	CHECK(damage("out/a/small.txt", 1000));
	CHECK(damage("out/a/big.bin", BIG_LEN));
	CHECK(damage("out/b/chunk.bin", 0));
	get = get_run(&link, "out");
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	/* Its time says that another program wrote it: it is the user's. */
	file_make("out/a/small.txt", 1000, 77);
	CHECK_EQ(get_run(&link, "out")->err, WEFT_EEXISTS);
	duo_fini(&duo);
}

/* A get into a target prepared by command; what it says, and nothing outside is written. */
static void check_obstacle(const char *prepare, int err)
{
	char command[4 * SCRATCH_CAP];
	const struct blobs_get *get;
	struct link link;

	duo_init(&duo);
	folder_make();
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	snprintf(command, sizeof(command), "cd %s && mkdir outside && %s", duo.dir, prepare);
	CHECK_EQ(system(command), 0);
	get = get_run(&link, "out");
	CHECK_EQ(get->state, BLOBS_GET_STOPPED);
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

int main(void)
{
	RUN(test_finished_files_are_not_fetched_again);
	RUN(test_only_what_peers_may_read_is_copied);
	RUN(test_equal_file_in_place_is_kept);
	RUN(test_different_file_in_place_stops_the_get);
	RUN(test_different_file_is_replaced_on_demand);
	RUN(test_own_file_that_became_wrong_is_fetched_again);
	RUN(test_obstacles_in_the_target_stop_the_get);
	RUN(test_link_in_place_of_the_staging_folder_is_refused);
	return check_done();
}

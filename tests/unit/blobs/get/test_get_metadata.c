/* SPDX-License-Identifier: Apache-2.0 */
/* Times, modes and symbolic links of what was got. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "blobs/object.h"
#include "store/store.h"
#include "get_rig.h"

#define OLD_S	 1600000000
#define OLD_NS	 123456789
#define FUTURE_S 4000000000

static void age(const char *name, time_t s)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {s, OLD_NS}};

	CHECK_EQ(utimensat(AT_FDCWD, duo_path(&duo, name), times, 0), 0);
}

static struct stat stat_of(const char *name)
{
	struct stat st = {.st_mode = 0};

	if (lstat(duo_path(&duo, name), &st) < 0)
		st = (struct stat){.st_mode = 0};
	return st;
}

static bool link_says(const char *name, const char *text)
{
	char found[256] = "";
	ssize_t len = readlink(duo_path(&duo, name), found, sizeof(found) - 1);

	return len == (ssize_t)strlen(text) && memcmp(found, text, (size_t)len) == 0;
}

static const char *const kinds[] = {"a/small.txt", "a/big.bin", "empty",
				    "twin1",	   "twin2",	"twin3big"};

static void test_times_are_those_of_the_publisher(void)
{
	struct link link;
	char name[64];

	duo_init(&duo);
	folder_make();
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		snprintf(name, sizeof(name), "in/%s", kinds[i]);
		age(name, OLD_S + i);
	}
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	CHECK_EQ(get_run(&link, "out")->state, BLOBS_GET_FINISHED);
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct stat st;

		snprintf(name, sizeof(name), "out/%s", kinds[i]);
		st = stat_of(name);
		CHECK_EQ(st.st_mtim.tv_sec, OLD_S + i);
		CHECK_EQ(st.st_mtim.tv_nsec, OLD_NS);
	}
	CHECK(duo_trees_equal(&duo, "in", "out"));
	/* The record is right: nothing is read from the network, or doubted, again. */
	duo.asked_cnt = 0;
	CHECK_EQ(get_run(&link, "out")->state, BLOBS_GET_FINISHED);
	CHECK_EQ(duo.asked_cnt, 0);
	duo_fini(&duo);
}

/* The stamp of a file with such a time may be that of a later write, too: it is not trusted. */
static void test_a_time_to_come_is_restored_and_not_trusted(void)
{
	struct store_snapshot *snapshot;
	struct object_file file;
	struct link link;

	duo_init(&duo);
	file_make("in/x", 1000, 1);
	file_make("in/y", 1000, 2);
	age("in/x", FUTURE_S);
	age("in/y", OLD_S);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	CHECK_EQ(get_run(&link, "out")->state, BLOBS_GET_FINISHED);
	CHECK_EQ(stat_of("out/x").st_mtim.tv_sec, FUTURE_S);
	CHECK_EQ(store_snapshot_open(duo.nodes[DUO_B].store, &snapshot), 0);
	CHECK_EQ(blobs_object_file_get(snapshot, duo_path(&duo, "out/x"), &file), 0);
	CHECK(file.is_racy);
	CHECK_EQ(blobs_object_file_get(snapshot, duo_path(&duo, "out/y"), &file), 0);
	CHECK(!file.is_racy);
	store_snapshot_close(snapshot);
	duo_fini(&duo);
}

static void test_programs_are_executable_and_never_more(void)
{
	mode_t mask = umask(027);
	struct link link;

	duo_init(&duo);
	file_make("in/run", 1000, 1);
	file_make("in/big", BIG_LEN, 2);
	file_make("in/text", 1000, 3);
	CHECK_EQ(chmod(duo_path(&duo, "in/run"), 06755), 0);
	CHECK_EQ(chmod(duo_path(&duo, "in/big"), 04711), 0);
	CHECK_EQ(chmod(duo_path(&duo, "in/text"), 0666), 0);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	CHECK_EQ(get_run(&link, "out")->state, BLOBS_GET_FINISHED);
	CHECK_EQ(stat_of("out/run").st_mode & 07777, 0750);
	CHECK_EQ(stat_of("out/big").st_mode & 07777, 0750);
	CHECK_EQ(stat_of("out/text").st_mode & 07777, 0640);
	(void)umask(mask);
	duo_fini(&duo);
}

/* What a get placed follows a later collection; what the user put there does not. */
static void test_a_later_collection_changes_times_and_modes_of_its_own(void)
{
	const struct blobs_get *get;
	struct link first, second;

	duo_init(&duo);
	file_make("in/mine", 1000, 1);
	file_make("in/theirs", 2000, 2);
	age("in/mine", OLD_S);
	age("in/theirs", OLD_S);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &first));
	file_make("out/theirs", 2000, 2);
	age("out/theirs", OLD_S - 7);
	CHECK_EQ(get_run(&first, "out")->state, BLOBS_GET_FINISHED);
	CHECK_EQ(stat_of("out/mine").st_mtim.tv_sec, OLD_S);
	CHECK_EQ(stat_of("out/theirs").st_mtim.tv_sec, OLD_S - 7);
	age("in/mine", OLD_S + 5);
	CHECK_EQ(chmod(duo_path(&duo, "in/mine"), 0755), 0);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &second));
	get = get_run(&second, "out");
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK_EQ(get->reused_byte_cnt, get->byte_cnt);
	CHECK_EQ(stat_of("out/mine").st_mtim.tv_sec, OLD_S + 5);
	CHECK(stat_of("out/mine").st_mode & S_IXUSR);
	duo_fini(&duo);
}

static void test_links_arrive_after_the_files(void)
{
	const struct blobs_get *get;
	struct link link;

	duo_init(&duo);
	folder_make();
	CHECK_EQ(symlink("a/big.bin", duo_path(&duo, "in/latest")), 0);
	CHECK_EQ(symlink("../a", duo_path(&duo, "in/b/sibling")), 0);
	CHECK_EQ(symlink("../../nothing", duo_path(&duo, "in/z/deep/dangling")), 0);
	CHECK_EQ(symlink("/etc/passwd", duo_path(&duo, "in/out")), 0);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	CHECK_EQ(get_run(&link, "out")->state, BLOBS_GET_FINISHED);
	CHECK(link_says("out/latest", "a/big.bin"));
	CHECK(link_says("out/b/sibling", "../a"));
	CHECK(link_says("out/z/deep/dangling", "../../nothing"));
	CHECK(access(duo_path(&duo, "out/out"), F_OK) < 0);
	/* Again: what stands there is what is wanted. */
	get = get_run(&link, "out");
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	/* And where something else stands, it stays. */
	CHECK_EQ(unlink(duo_path(&duo, "out/latest")), 0);
	scratch_write(duo_path(&duo, "out/latest"), "mine", 4);
	get = get_run(&link, "out");
	CHECK_EQ(get->state, BLOBS_GET_STOPPED);
	CHECK_EQ(get->err, WEFT_EEXISTS);
	CHECK(strstr(get->detail, "latest"));
	CHECK(S_ISREG(stat_of("out/latest").st_mode));
	duo_fini(&duo);
}

static void test_another_link_is_replaced_on_demand_only(void)
{
	struct blobs_get_ask ask = {.is_replacing = true};
	struct link link;
	uint64_t id;

	duo_init(&duo);
	file_make("in/x", 1000, 1);
	CHECK_EQ(symlink("x", duo_path(&duo, "in/l")), 0);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	CHECK_EQ(mkdir(duo_path(&duo, "out"), 0755), 0);
	CHECK_EQ(symlink("/elsewhere", duo_path(&duo, "out/l")), 0);
	CHECK_EQ(get_run(&link, "out")->err, WEFT_EEXISTS);
	CHECK(link_says("out/l", "/elsewhere"));
	ask.link = &link;
	ask.target = duo_path(&duo, "out");
	CHECK_EQ(blobs_get_start(duo.nodes[DUO_B].content, &ask, duo.now_ns, &id), 0);
	CHECK_EQ(duo_run(&duo, id, TURN_MAX)->state, BLOBS_GET_FINISHED);
	CHECK(link_says("out/l", "x"));
	duo_fini(&duo);
}

/* A folder of nothing but links is a collection, too. */
static void test_only_links_arrive(void)
{
	struct link link;

	duo_init(&duo);
	CHECK_EQ(mkdir(duo_path(&duo, "in"), 0755), 0);
	CHECK_EQ(mkdir(duo_path(&duo, "in/d"), 0755), 0);
	CHECK_EQ(symlink("../x", duo_path(&duo, "in/d/l")), 0);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	CHECK_EQ(get_run(&link, "out")->state, BLOBS_GET_FINISHED);
	CHECK(link_says("out/d/l", "../x"));
	duo_fini(&duo);
}

int main(void)
{
	RUN(test_times_are_those_of_the_publisher);
	RUN(test_a_time_to_come_is_restored_and_not_trusted);
	RUN(test_programs_are_executable_and_never_more);
	RUN(test_a_later_collection_changes_times_and_modes_of_its_own);
	RUN(test_links_arrive_after_the_files);
	RUN(test_another_link_is_replaced_on_demand_only);
	RUN(test_only_links_arrive);
	return check_done();
}

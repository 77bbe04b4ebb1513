/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that a disk changed behind their records: found, told, and fetched again. */
#include <fcntl.h>
#include <unistd.h>

#include "blobs/blobs_state.h"
#include "blobs/object.h"
#include "blobs/scrub.h"
#include "store/store.h"
#include "unit/blobs/get/get_rig.h"

static struct duo_node *b(void)
{
	return &duo.nodes[DUO_B];
}

static struct duo_node *a(void)
{
	return &duo.nodes[DUO_A];
}

static const struct blobs_stats *figures(void)
{
	static struct blobs_stats stats;

	blobs_stats(b()->content, &stats);
	return &stats;
}

static bool begin(uint64_t rate)
{
	struct link link;

	duo_init(&duo);
	folder_make();
	if (!duo_share(&duo, duo_path(&duo, "in"), &link))
		return false;
	if (get_run(&link, "out")->state != BLOBS_GET_FINISHED)
		return false;
	duo_node_close(&duo, DUO_B);
	b()->config.scrub_rate = rate;
	duo_node_open(&duo, DUO_B);
	return true;
}

/* Other bytes below the record of a file, with a stamp that says it is as it was. */
static bool rot_at(struct duo_node *node, const char *name)
{
	static struct object_file file;
	struct store_snapshot *snapshot;
	struct store_batch *batch;
	struct stat st;
	int fd = open(duo_path(&duo, name), O_WRONLY);
	bool is_done = fd >= 0 && pwrite(fd, "rotten", 6, 100) == 6 && fstat(fd, &st) == 0;

	close(fd);
	if (!is_done || store_snapshot_open(node->store, &snapshot) < 0)
		return false;
	is_done = blobs_object_file_get(snapshot, duo_path(&duo, name), &file) == 0;
	store_snapshot_close(snapshot);
	blobs_object_stamp_of(&st, &file.stamp);
	file.is_racy = false;
	batch = store_batch_new(node->store);
	blobs_object_file_put(batch, &file, NULL);
	is_done = is_done && store_submit(node->store, batch, NULL, NULL) == 0;
	store_flush(node->store);
	return is_done;
}

static bool rot(const char *name)
{
	return rot_at(b(), name);
}

/* Until a round through all files is over. */
static void round_run(void)
{
	uint64_t cnt = figures()->scrub_round_cnt;

	for (unsigned i = 0; i < TURN_MAX && figures()->scrub_round_cnt == cnt; i++)
		(void)duo_turn(&duo);
}

static void get_end(void)
{
	for (unsigned i = 0; i < TURN_MAX; i++)
		if (blobs_get_lookup(b()->content, 1)->state == BLOBS_GET_FINISHED)
			return;
		else
			(void)duo_turn(&duo);
}

static void test_right_files_are_verified_and_left_alone(void)
{
	CHECK(begin(1ull << 30));
	round_run();
	CHECK_EQ(figures()->scrub_round_cnt, 1);
	CHECK_EQ(figures()->scrub_file_cnt, 9);
	CHECK_EQ(figures()->scrub_bad_cnt, 0);
	CHECK_EQ(b()->event_cnt[BLOBS_FILE_BAD], 0);
	duo_fini(&duo);
}

static void test_rotten_file_of_a_get_is_reported_and_fetched_again(void)
{
	CHECK(begin(1ull << 30));
	CHECK(rot("out/a/big.bin"));
	CHECK(rot("out/a/small.txt"));
	round_run();
	CHECK_EQ(b()->event_cnt[BLOBS_FILE_BAD], 2);
	get_end();
	CHECK_EQ(blobs_get_lookup(b()->content, 1)->state, BLOBS_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	duo_fini(&duo);
}

static void test_file_that_was_modified_is_skipped(void)
{
	CHECK(begin(1ull << 30));
	file_make("out/a/small.txt", 1000, 77);
	round_run();
	CHECK_EQ(figures()->scrub_passed_cnt, 1);
	CHECK_EQ(b()->event_cnt[BLOBS_FILE_BAD], 0);
	duo_fini(&duo);
}

static void test_rate_of_zero_reads_nothing(void)
{
	CHECK(begin(0));
	turns(5000);
	CHECK_EQ(figures()->scrub_byte_cnt, 0);
	duo_fini(&duo);
}

struct seen {
	unsigned found_cnt, bad_cnt, done_cnt;
	int err;
	struct blobs_files files;
};

static void check_found(void *arg, const struct blobs_file_finding *finding)
{
	struct seen *seen = arg;

	seen->found_cnt++;
	seen->bad_cnt += finding->is_bad;
}

static void check_progress(void *arg, const struct blobs_files *files)
{
	(void)arg, (void)files;
}

static void check_done_told(void *arg, int err, const struct blobs_files *files)
{
	struct seen *seen = arg;

	seen->done_cnt++;
	seen->err = err;
	seen->files = *files;
}

static bool check_begin_at(struct duo_node *node, struct seen *seen)
{
	const struct blobs_files_ask ask = {check_found, check_progress, check_done_told, seen};

	memset(seen, 0, sizeof(*seen));
	return blobs_check_files(node->content, &ask, duo.now_ns) == 0;
}

static bool check_begin(struct seen *seen)
{
	return check_begin_at(b(), seen);
}

/* How many are bad, by a check of all files; UINT64_MAX: it failed. */
static uint64_t bad_by_check(struct duo_node *node)
{
	struct seen seen;

	if (!check_begin_at(node, &seen))
		return UINT64_MAX;
	for (unsigned i = 0; i < TURN_MAX && !seen.done_cnt; i++)
		(void)duo_turn(&duo);
	store_flush(node->store);
	return seen.done_cnt && seen.err == 0 ? seen.files.bad_cnt : UINT64_MAX;
}

static struct blobs_share share_of(struct duo_node *node)
{
	struct blobs_share_iter iter = {.content = node->content};
	struct blobs_share share = {0};

	(void)blobs_shares_next(&iter, &share);
	return share;
}

static unsigned bad_known(struct duo_node *node)
{
	char path[256];

	return blobs_bad_files(node->content, path, sizeof(path));
}

/* Bytes 100 to 106 as they were, with the stamp of a file that was written. */
static bool mend(const char *name, const char was[static 6])
{
	int fd = open(duo_path(&duo, name), O_WRONLY);
	bool is_done = fd >= 0 && pwrite(fd, was, 6, 100) == 6;

	close(fd);
	return is_done;
}

static bool bytes_of(const char *name, char bytes[static 6])
{
	int fd = open(duo_path(&duo, name), O_RDONLY);
	bool is_done = fd >= 0 && pread(fd, bytes, 6, 100) == 6;

	close(fd);
	return is_done;
}

static void test_bad_file_of_a_share_stays_named_until_it_is_mended(void)
{
	char was[6];

	CHECK(begin(0));
	CHECK(bytes_of("in/a/big.bin", was));
	CHECK_EQ(bad_by_check(a()), 0);
	CHECK(rot_at(a(), "in/a/big.bin"));
	CHECK_EQ(bad_by_check(a()), 1);
	CHECK_EQ(bad_by_check(a()), 1);
	CHECK_EQ(a()->event_cnt[BLOBS_FILE_BAD], 1);
	CHECK_EQ(share_of(a()).bad_cnt, 1);
	duo_node_close(&duo, DUO_A);
	duo_node_open(&duo, DUO_A);
	CHECK_EQ(share_of(a()).bad_cnt, 1);
	CHECK_EQ(share_of(a()).changed_cnt, 1);
	CHECK_EQ(bad_known(a()), 1);
	CHECK_EQ(bad_by_check(a()), 1);
	CHECK(mend("in/a/big.bin", was));
	CHECK_EQ(bad_by_check(a()), 0);
	CHECK_EQ(share_of(a()).bad_cnt, 0);
	CHECK_EQ(share_of(a()).changed_cnt, 0);
	CHECK_EQ(bad_known(a()), 0);
	CHECK_EQ(bad_by_check(a()), 0);
	duo_fini(&duo);
}

static void test_bad_file_of_a_share_is_bad_no_more_when_the_share_is_made_anew(void)
{
	struct link link;

	CHECK(begin(0));
	CHECK(rot_at(a(), "in/a/small.txt"));
	CHECK_EQ(bad_by_check(a()), 1);
	CHECK_EQ(unlink(duo_path(&duo, "in/a/small.txt")), 0);
	CHECK_EQ(bad_by_check(a()), 1);
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	CHECK_EQ(bad_known(a()), 0);
	CHECK_EQ(bad_by_check(a()), 0);
	duo_fini(&duo);
}

static void test_more_bad_files_than_are_named_are_not_marked(void)
{
	static struct object_file file;

	CHECK(begin(0));
	for (unsigned i = 0; i <= OBJECT_BAD_MAX; i++) {
		struct store_batch *batch = store_batch_new(a()->store);

		snprintf(file.path, sizeof(file.path), "%s/%u", duo_path(&duo, "in"), i);
		CHECK_EQ(blobs_object_bad_put(a()->store, batch, &file),
			 i < OBJECT_BAD_MAX ? 0 : WEFT_EFULL);
		CHECK_EQ(store_submit(a()->store, batch, NULL, NULL), 0);
		store_flush(a()->store);
	}
	CHECK_EQ(bad_known(a()), OBJECT_BAD_MAX);
	duo_fini(&duo);
}

static void test_bad_file_of_a_get_stays_named_until_it_is_fetched_again(void)
{
	CHECK(begin(0));
	CHECK(rot("out/a/big.bin"));
	CHECK_EQ(bad_by_check(b()), 1);
	CHECK_EQ(bad_known(b()), 1);
	get_end();
	CHECK_EQ(bad_known(b()), 0);
	CHECK_EQ(bad_by_check(b()), 0);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	duo_fini(&duo);
}

static void test_check_reads_all_files_at_once_though_the_rate_is_zero(void)
{
	struct seen seen;

	CHECK(begin(0));
	CHECK(rot("out/a/big.bin"));
	file_make("out/a/small.txt", 1000, 77);
	CHECK(check_begin(&seen));
	CHECK_EQ(seen.done_cnt, 0);
	CHECK(!check_begin(&(struct seen){0})); /* one at a time */
	for (unsigned i = 0; i < TURN_MAX && !seen.done_cnt; i++)
		(void)duo_turn(&duo);
	CHECK_EQ(seen.done_cnt, 1);
	CHECK_EQ(seen.err, 0);
	CHECK_EQ(seen.files.file_cnt, 9);
	CHECK_EQ(seen.files.total_cnt, 9);
	CHECK_EQ(seen.files.bad_cnt, 1);
	CHECK_EQ(seen.files.passed_cnt, 1);
	CHECK_EQ(seen.bad_cnt, 1);
	CHECK_EQ(b()->event_cnt[BLOBS_FILE_BAD], 1);
	duo_fini(&duo);
}

static void test_cancelled_check_reports_nothing_and_lets_the_slow_round_go_on(void)
{
	struct seen seen;

	CHECK(begin(1 << 16));
	turns(50);
	CHECK(check_begin(&seen));
	turns(2);
	blobs_check_files_cancel(b()->content);
	round_run();
	CHECK_EQ(seen.done_cnt, 0);
	CHECK(figures()->scrub_file_cnt >= 9);
	CHECK(check_begin(&seen));
	for (unsigned i = 0; i < TURN_MAX && !seen.done_cnt; i++)
		(void)duo_turn(&duo);
	CHECK_EQ(seen.files.file_cnt, 9);
	duo_fini(&duo);
}

int main(void)
{
	RUN(test_right_files_are_verified_and_left_alone);
	RUN(test_rotten_file_of_a_get_is_reported_and_fetched_again);
	RUN(test_file_that_was_modified_is_skipped);
	RUN(test_rate_of_zero_reads_nothing);
	RUN(test_check_reads_all_files_at_once_though_the_rate_is_zero);
	RUN(test_bad_file_of_a_share_stays_named_until_it_is_mended);
	RUN(test_bad_file_of_a_share_is_bad_no_more_when_the_share_is_made_anew);
	RUN(test_more_bad_files_than_are_named_are_not_marked);
	RUN(test_bad_file_of_a_get_stays_named_until_it_is_fetched_again);
	RUN(test_cancelled_check_reports_nothing_and_lets_the_slow_round_go_on);
	return check_done();
}

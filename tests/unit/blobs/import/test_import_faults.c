/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The n-th system call or allocation of adding a share fails, or the process is
 * killed there, n = 1, 2, 3, ... An acknowledged share is listed after the next
 * start with a manifest and chunk lists that prove themselves. Any other is listed
 * whole or not at all. Sharing again always works.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "support/fail_alloc.h"
#include "support/fail_nth.h"
#include "unit/blobs/content_rig.h"

#define CHUNK	 BLAKE3_CHUNK_LEN
#define FILE_CNT 5

static const struct {
	const char *name;
	size_t len;
} files[FILE_CNT] = {
	{"t/a", 0}, {"t/b", 3 * CHUNK + 1}, {"t/d/c", 70 * CHUNK}, {"t/d/e", 17}, {"t/f", CHUNK},
};

static struct blobs_rig rig; /* its tree is made once, its state anew for each run */

static void tree_make(void)
{
	scratch_make(rig.dir);
	rig_mkdir(&rig, "t");
	rig_mkdir(&rig, "t/d");
	for (unsigned i = 0; i < FILE_CNT; i++)
		rig_file(&rig, files[i].name, files[i].len, i);
}

static void state_remove(void)
{
	char path[SCRATCH_CAP + 16];

	scratch_remove(scratch_path(path, sizeof(path), rig.dir, "state"));
	rig.wall_s = 5000;
}

/* Content ids of the files as they are on disk, computed once. */
static void want_id(unsigned i, uint8_t id[static 32])
{
	static uint8_t ids[FILE_CNT][32];
	static bool is_made;

	for (unsigned k = 0; !is_made && k < FILE_CNT; k++) {
		uint8_t *data = malloc(files[k].len + 1);

		rig_pattern(data, files[k].len, k);
		blake3_hash(data, files[k].len, ids[k]);
		free(data);
	}
	is_made = true;
	memcpy(id, ids[i], 32);
}

static bool item_is_right(const struct manifest_item *item)
{
	uint64_t chunk_cnt = blobs_manifest_chunk_cnt(item->size);
	static uint8_t hashes[70 * 32];
	struct blake3_chunk_tree tree;
	uint8_t id[32], root[32];
	unsigned i = 0;

	while (i < FILE_CNT && (strlen(files[i].name) - 2 != item->path_len ||
				memcmp(files[i].name + 2, item->path, item->path_len) != 0))
		i++;
	if (i == FILE_CNT || files[i].len != item->size)
		return false;
	want_id(i, id);
	if (memcmp(id, item->content_id, 32) != 0)
		return false;
	if (chunk_cnt == 0)
		return true;
	if (blobs_object_hashes_read(rig.store,
				     &(struct object_hashes){.content_id = id,
							     .size = item->size,
							     .cnt = (size_t)chunk_cnt},
				     hashes) < 0)
		return false;
	blake3_chunk_tree_init(&tree);
	for (uint64_t k = 0; k < chunk_cnt; k++)
		blake3_chunk_tree_push(&tree, hashes + 32 * k);
	blake3_chunk_tree_finish(&tree, root);
	return memcmp(root, id, 32) == 0;
}

static bool share_is_right(const uint8_t *manifest_id, uint64_t item_cnt)
{
	uint8_t *bytes;
	struct manifest *m = rig_manifest(&rig, manifest_id, &bytes);
	bool is_right = m && (item_cnt == UINT64_MAX || m->item_cnt == item_cnt);

	for (uint32_t i = 0; is_right && i < m->item_cnt; i++)
		is_right = item_is_right(&m->items[i]);
	blobs_manifest_free(m);
	free(bytes);
	return is_right;
}

/* What a start after the fault finds; acknowledged: the share was told done. */
static bool aftermath_is_right(unsigned n, bool acknowledged)
{
	struct blobs_share_iter iter = {0};
	struct blobs_share share;
	unsigned share_cnt = 0;
	bool is_right = true;
	struct rig_import seen;
	int err = rig_open(&rig, 0);

	if (err < 0) {
		printf("# n %u: cannot start again: %d\n", n, err);
		return false;
	}
	iter.content = rig.content;
	while (blobs_shares_next(&iter, &share)) {
		share_cnt++;
		is_right &= share_is_right(share.manifest_id, share.item_cnt);
	}
	if (!is_right || (acknowledged && share_cnt != 1)) {
		printf("# n %u: %u shares, acknowledged %d\n", n, share_cnt, acknowledged);
		return false;
	}
	err = rig_share(&rig, "t", &seen);
	if (err < 0 || seen.told.file_done_cnt != FILE_CNT ||
	    !share_is_right(seen.told.manifest_id, FILE_CNT)) {
		printf("# n %u: sharing again: %d, %llu files\n", n, err,
		       (unsigned long long)seen.told.file_done_cnt);
		return false;
	}
	rig_close(&rig);
	return true;
}

static void close_half_open(void)
{
	blobs_free(rig.content);
	jobs_free(rig.jobs);
	store_close(rig.store);
}

static uint64_t skipped_cnt(const struct blobs_import *told)
{
	return told->skipped_unreadable_cnt + told->skipped_changed_cnt + told->skipped_name_cnt;
}

enum failing { ONE_CALL, ALL_CALLS, ONE_ALLOCATION, TEN_ALLOCATIONS };

static void fault_arm(enum failing failing, unsigned n, int error)
{
	if (failing == ONE_CALL)
		fail_nth_arm(n, error);
	else if (failing == ALL_CALLS)
		fail_nth_arm_all(n, error);
	else
		fail_alloc_arm(n, failing == ONE_ALLOCATION ? 1 : 10);
}

static void failing_runs(enum failing failing, int error)
{
	bool fired = true;
	unsigned n = 1;

	for (; fired; n++) {
		struct rig_import seen = {.err = 1};
		int err;

		state_remove();
		fault_arm(failing, n, error);
		err = rig_open(&rig, 0);
		if (err == 0)
			err = rig_share(&rig, "t", &seen);
		close_half_open();
		fired = fail_nth_disarm();
		fired |= fail_alloc_disarm();
		CHECK(err <= 0);
		/* An import that went through has all files or says which are not in it. */
		if (err == 0 && seen.told.skipped_unreadable_cnt == 0)
			CHECK_EQ(seen.told.file_done_cnt + skipped_cnt(&seen.told), FILE_CNT);
		CHECK(aftermath_is_right(n, err == 0));
	}
	CHECK(n > 40);
}

static void test_one_failing_call_is_reported_and_loses_nothing(void)
{
	failing_runs(ONE_CALL, EIO);
}

static void test_a_disk_that_stays_full_is_reported_and_loses_nothing(void)
{
	failing_runs(ALL_CALLS, ENOSPC);
}

static void test_one_failing_allocation_is_reported_and_loses_nothing(void)
{
	failing_runs(ONE_ALLOCATION, ENOMEM);
}

static void test_memory_that_is_short_for_a_while_is_reported_and_loses_nothing(void)
{
	failing_runs(TEN_ALLOCATIONS, ENOMEM);
}

/* An asker learns of it from the answer alone: the argument of done may be gone by then. */
static void test_done_of_an_import_never_comes_from_the_asking(void)
{
	unsigned refused_cnt = 0;

	for (unsigned n = 1;; n++) {
		struct rig_import seen;
		int err;

		state_remove();
		CHECK_EQ(rig_open(&rig, 0), 0);
		fail_alloc_arm(n, 1);
		err = rig_add(&rig, "t", &seen);
		if (!fail_alloc_disarm()) {
			rig_close(&rig);
			break;
		}
		refused_cnt += err == -ENOMEM;
		CHECK_EQ(seen.done_cnt, 0);
		if (err < 0)
			CHECK_EQ(rig_share(&rig, "t", &seen), 0);
		rig_close(&rig);
	}
	CHECK(refused_cnt > 2);
}

static void test_running_out_of_descriptors_leaves_no_file_out(void)
{
	bool fired = true;

	for (unsigned n = 1; fired; n++) {
		struct rig_import seen = {.err = 1};
		int err;

		state_remove();
		fail_nth_arm(n, EMFILE);
		err = rig_open(&rig, 0);
		if (err == 0)
			err = rig_share(&rig, "t", &seen);
		close_half_open();
		fired = fail_nth_disarm();
		if (err == 0)
			CHECK_EQ(seen.told.file_done_cnt, FILE_CNT);
	}
}

static void test_a_kill_at_any_call_loses_nothing(void)
{
	bool *acknowledged = mmap(NULL, sizeof(*acknowledged), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = 0;
	unsigned n = 0;

	CHECK(acknowledged != MAP_FAILED);
	do {
		pid_t child;

		n++;
		*acknowledged = false;
		state_remove();
		fflush(stdout);
		child = fork();
		if (child == 0) {
			struct rig_import seen;

			fail_nth_arm(n, FAIL_NTH_KILL);
			if (rig_open(&rig, 0) == 0 && rig_share(&rig, "t", &seen) == 0)
				*acknowledged = true;
			rig_close(&rig);
			_exit(0);
		}
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK(aftermath_is_right(n, *acknowledged));
	} while (WIFSIGNALED(status));
	CHECK(*acknowledged);
	CHECK(n > 40);
	munmap(acknowledged, sizeof(*acknowledged));
}

int main(void)
{
	tree_make();
	RUN(test_one_failing_call_is_reported_and_loses_nothing);
	RUN(test_a_disk_that_stays_full_is_reported_and_loses_nothing);
	RUN(test_one_failing_allocation_is_reported_and_loses_nothing);
	RUN(test_memory_that_is_short_for_a_while_is_reported_and_loses_nothing);
	RUN(test_done_of_an_import_never_comes_from_the_asking);
	RUN(test_running_out_of_descriptors_leaves_no_file_out);
	RUN(test_a_kill_at_any_call_loses_nothing);
	scratch_remove(rig.dir);
	return check_done();
}

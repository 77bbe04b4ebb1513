/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/import/import_collect.h"

#include <stdlib.h>
#include <string.h>

#include "store/store.h"
#include "support/check.h"
#include "support/scratch.h"
#include "support/scratch_store.h"

#define ITEM_CNT 100000u

struct parts {
	uint8_t (*ids)[32];
	size_t cnt;
};

/* One more file than the others, behind the n-th; UINT32_MAX: none. */
static int item_add(struct import_collect *c, uint32_t n, const char *more,
		    struct store_batch *batch)
{
	static const uint8_t id[32] = {1};
	uint64_t put_len = 0;
	char path[64];
	struct manifest_item item = {.content_id = id, .size = 10, .path = path};

	snprintf(path, sizeof(path), "folder-%02u/file-%06u%s", n / 1777, n, more);
	item.path_len = strlen(path);
	return blobs_import_collect_add_item(c, &item, batch, &put_len);
}

static int collect_run(struct store *store, uint32_t inserted, struct parts *out_parts)
{
	struct import_collect *c;
	struct store_batch *batch = store_batch_new(store);
	const uint8_t *ids;
	uint64_t put_len = 0;
	int err = blobs_import_collect_new(MANIFEST_ITEMS_MAX, &c);

	if (err < 0)
		return err;
	blobs_import_collect_expect(c, ITEM_CNT);
	for (uint32_t i = 0; i < ITEM_CNT && err == 0; i++) {
		err = item_add(c, i, "", batch);
		if (err == 0 && i == inserted)
			err = item_add(c, i, "-more", batch);
	}
	if (err == 0)
		err = blobs_import_collect_finish(c, batch, &put_len);
	ids = blobs_import_collect_part_ids(c, &out_parts->cnt);
	out_parts->ids = malloc(out_parts->cnt * 32);
	memcpy(out_parts->ids, ids, out_parts->cnt * 32);
	blobs_import_collect_free(c);
	store_batch_free(batch);
	return err;
}

static size_t parts_new(const struct parts *before, const struct parts *after)
{
	size_t cnt = 0;

	for (size_t i = 0; i < after->cnt; i++) {
		size_t k = 0;

		while (k < before->cnt && memcmp(before->ids[k], after->ids[i], 32) != 0)
			k++;
		cnt += k == before->cnt;
	}
	return cnt;
}

/* 40 places in 100,000 files: a file more changes a part, or two where it moves their border. */
static void test_a_file_more_changes_about_one_part(void)
{
	char dir[SCRATCH_CAP];
	struct parts before, after;
	struct store *store;
	size_t new_cnt = 0, new_max = 0;

	scratch_make(dir);
	store = scratch_store(dir, true);
	CHECK_EQ(collect_run(store, UINT32_MAX, &before), 0);
	CHECK(before.cnt > ITEM_CNT / 2000);
	CHECK(before.cnt < ITEM_CNT / 1200);
	for (uint32_t i = 0; i < 40; i++) {
		size_t cnt;

		CHECK_EQ(collect_run(store, (i * 2503 + 7) % ITEM_CNT, &after), 0);
		cnt = parts_new(&before, &after);
		CHECK(cnt >= 1);
		new_cnt += cnt;
		new_max = cnt > new_max ? cnt : new_max;
		free(after.ids);
	}
	printf("# 40 insertions into %zu parts: %zu new parts in all, %zu at most\n", before.cnt,
	       new_cnt, new_max);
	CHECK(new_cnt <= 50);
	CHECK(new_max <= 3);
	free(before.ids);
	store_close(store);
	scratch_remove(dir);
}

int main(void)
{
	RUN(test_a_file_more_changes_about_one_part);
	return check_done();
}

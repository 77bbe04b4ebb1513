/* SPDX-License-Identifier: Apache-2.0 */
/* Paths in a collection, whole and in parts. */
#include <stdio.h>
#include <stdlib.h>

#include "blobs/manifest/manifest.h"
#include "blobs/read/read.h"
#include "crypto/blake3/blake3.h"
#include "store/store.h"
#include "support/check.h"
#include "support/scratch.h"
#include "support/scratch_store.h"

static char dir[SCRATCH_CAP];
static struct store *store;
static uint8_t root_id[32];
static const uint8_t any_id[32] = {7};

static void blob_put(const void *data, size_t len, uint8_t id[static 32])
{
	struct store_batch *batch = store_batch_new(store);

	blake3_hash(data, len, id);
	store_batch_put_blob(batch, id, data, len);
	if (store_submit(store, batch, NULL, NULL) == 0)
		store_flush(store);
}

/* A line is a file of its number in bytes, or a directory when it ends in '/'. */
struct line {
	const char *path;
	bool ends_part;
};
static const struct line in_order[] = {
	{"a", false},	   {"b/1", false},     {"b/2/x", false}, {"b/2/y", true},
	{"b/2/z", false},  {"b/3/e/", true},   {"b/4", true},	 {"b-sides", false},
	{"c/d/e/f", true}, {"c/d/e/g", false}, {"e/", false},	 {"z", true},
};
#define LINE_CNT (sizeof(in_order) / sizeof(in_order[0]))

static void part_end(struct manifest_builder *part, struct manifest_builder *root)
{
	struct manifest_part row = {.item_cnt = blobs_manifest_builder_item_cnt(part),
				    .byte_cnt = blobs_manifest_builder_byte_cnt(part)};
	uint8_t id[32];
	size_t len;
	const uint8_t *encoded = blobs_manifest_builder_encode(part, MANIFEST_PART, 0, "", &len);

	blob_put(encoded, len, id);
	row.manifest_id = id;
	row.len = len;
	CHECK_EQ(blobs_manifest_builder_add_part(root, &row), 0);
	blobs_manifest_builder_reset(part);
}

static void world_of(const struct line *lines, size_t line_cnt, bool has_parts)
{
	struct manifest_builder *builder, *root;
	const uint8_t *encoded;
	size_t len;

	scratch_make(dir);
	store = scratch_store(dir, true);
	CHECK_EQ(blobs_manifest_builder_new(&builder), 0);
	CHECK_EQ(blobs_manifest_builder_new(&root), 0);
	for (size_t i = 0; i < line_cnt; i++) {
		size_t path_len = strlen(lines[i].path);
		struct manifest_item item = {.content_id = any_id,
					     .size = i,
					     .path = lines[i].path,
					     .path_len = path_len};

		if (lines[i].path[path_len - 1] == '/')
			CHECK_EQ(blobs_manifest_builder_add_dir(builder, lines[i].path,
								path_len - 1),
				 0);
		else
			CHECK_EQ(blobs_manifest_builder_add_item(builder, &item), 0);
		if (has_parts && lines[i].ends_part)
			part_end(builder, root);
	}
	encoded = has_parts ? blobs_manifest_builder_encode(root, MANIFEST_ROOT, 1, "", &len)
			    : blobs_manifest_builder_encode(builder, MANIFEST_WHOLE, 1, "", &len);
	blob_put(encoded, len, root_id);
	blobs_manifest_builder_free(builder);
	blobs_manifest_builder_free(root);
}

static void world_begin(bool has_parts)
{
	world_of(in_order, LINE_CNT, has_parts);
}

static void world_end(void)
{
	store_close(store);
	scratch_remove(dir);
}

static int find(const char *path, struct tree_place *place)
{
	return blobs_tree_find(store, &(struct tree_ask){root_id, path, strlen(path)}, place);
}

static void check_each_is_found(bool has_parts)
{
	static const char *const absent[] = {"0",   "aa",      "b/",	  "b/2/w",
					     "b/5", "b/2/y/z", "c/d/e/h", "zz"};
	static const char *const dirs[] = {"",	"b",   "b/2",	"b/3", "b/3/e",
					   "c", "c/d", "c/d/e", "e"};
	struct tree_place place;

	world_begin(has_parts);
	for (size_t i = 0; i < LINE_CNT; i++) {
		if (in_order[i].path[strlen(in_order[i].path) - 1] == '/')
			continue;
		CHECK_EQ(find(in_order[i].path, &place), 0);
		CHECK_EQ(place.kind, TREE_FILE);
		CHECK_EQ(place.size, i);
		CHECK_MEM(place.content_id, any_id, 32);
	}
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		CHECK_EQ(find(dirs[i], &place), 0);
		CHECK_EQ(place.kind, TREE_DIR);
	}
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		CHECK_EQ(find(absent[i], &place), WEFT_EABSENT);
	world_end();
}

static void test_each_path_is_found_and_no_other(void)
{
	check_each_is_found(false);
	check_each_is_found(true);
}

struct listing {
	char text[256];
	size_t len;
	unsigned stop_after;
};

static bool listing_add(void *arg, const struct tree_entry *entry)
{
	struct listing *listing = arg;

	listing->len += (size_t)snprintf(
		listing->text + listing->len, sizeof(listing->text) - listing->len, "%.*s%s ",
		(int)entry->name_len, entry->name, entry->kind == TREE_DIR ? "/" : "");
	return listing->stop_after == 0 || --listing->stop_after > 0;
}

static void check_list(const char *path, const char *want)
{
	struct listing listing = {.text = ""};

	CHECK_EQ(blobs_tree_list(store, &(struct tree_ask){root_id, path, strlen(path)},
				 listing_add, &listing),
		 0);
	CHECK_STR(listing.text, want);
}

static void check_directories(bool has_parts)
{
	struct listing listing = {.text = "", .stop_after = 2};

	world_begin(has_parts);
	check_list("", "a b/ b-sides c/ e/ z ");
	check_list("b", "1 2/ 3/ 4 ");
	check_list("b/2", "x y z ");
	check_list("b/3", "e/ ");
	check_list("b/3/e", "");
	check_list("c", "d/ ");
	check_list("c/d/e", "f g ");
	check_list("e", "");
	CHECK_EQ(blobs_tree_list(store, &(struct tree_ask){root_id, "", 0}, listing_add, &listing),
		 0);
	CHECK_STR(listing.text, "a b/ ");
	CHECK_EQ(blobs_tree_list(store, &(struct tree_ask){root_id, "a", 1}, listing_add, &listing),
		 WEFT_EABSENT);
	CHECK_EQ(blobs_tree_list(store, &(struct tree_ask){root_id, "nix", 3}, listing_add,
				 &listing),
		 WEFT_EABSENT);
	world_end();
}

static void test_directories_are_listed_across_parts(void)
{
	check_directories(false);
	check_directories(true);
}

/* The author of the collection may have put its parts in any order, and one name in two of them. */
static void test_a_list_ends_whatever_order_the_parts_have(void)
{
	static const struct line back[] = {{"a/x", true}, {"z", true}, {"b/x", true}};
	static const struct line twice[] = {{"a/", true}, {"a/x", true}, {"a", true}};

	world_of(back, 3, true);
	check_list("", "a/ z b/ ");
	world_end();
	world_of(twice, 3, true);
	check_list("a", "x ");
	world_end();
}

static void test_missing_content_is_reported(void)
{
	struct tree_place place;
	uint8_t id[32];

	world_begin(true);
	CHECK_EQ(blobs_tree_find(store, &(struct tree_ask){any_id, "a", 1}, &place), WEFT_EUNKNOWN);
	blob_put("no manifest", 11, id);
	CHECK(blobs_tree_find(store, &(struct tree_ask){id, "a", 1}, &place) < 0);
	world_end();
}

static void test_a_part_that_is_missing_is_damage(void)
{
	struct manifest_builder *root;
	struct manifest_part row = {.manifest_id = any_id, .item_cnt = 1, .len = 10};
	const uint8_t *encoded;
	struct tree_place place;
	size_t len;

	world_begin(false);
	CHECK_EQ(blobs_manifest_builder_new(&root), 0);
	CHECK_EQ(blobs_manifest_builder_add_part(root, &row), 0);
	encoded = blobs_manifest_builder_encode(root, MANIFEST_ROOT, 1, "", &len);
	blob_put(encoded, len, root_id);
	blobs_manifest_builder_free(root);
	CHECK_EQ(find("a", &place), WEFT_EDAMAGED);
	world_end();
}

static void test_the_longest_path_and_one_byte_more(void)
{
	static char path[MANIFEST_PATH_LEN_MAX + 2];
	struct tree_place place;

	world_begin(true);
	memset(path, 'x', sizeof(path) - 1);
	CHECK_EQ(blobs_tree_find(store, &(struct tree_ask){root_id, path, MANIFEST_PATH_LEN_MAX},
				 &place),
		 WEFT_EABSENT);
	CHECK_EQ(blobs_tree_find(store,
				 &(struct tree_ask){root_id, path, MANIFEST_PATH_LEN_MAX + 1},
				 &place),
		 WEFT_EABSENT);
	world_end();
}

int main(void)
{
	RUN(test_each_path_is_found_and_no_other);
	RUN(test_directories_are_listed_across_parts);
	RUN(test_a_list_ends_whatever_order_the_parts_have);
	RUN(test_missing_content_is_reported);
	RUN(test_a_part_that_is_missing_is_damage);
	RUN(test_the_longest_path_and_one_byte_more);
	return check_done();
}

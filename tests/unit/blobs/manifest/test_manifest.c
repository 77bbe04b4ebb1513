/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest_rig.h"

static struct manifest_builder *sample_builder(void)
{
	struct manifest_builder *b = NULL;

	if (blobs_manifest_builder_new(&b) < 0 || add(b, "a", 0) < 0 ||
	    add(b, "b/c/d.txt", 1) < 0 || add(b, "b/c.txt", 262144) < 0 ||
	    add(b, "b.txt", 262145) < 0 || add(b, "\xc3\xa9", 1ull << 40) < 0 ||
	    blobs_manifest_builder_add_dir(b, "b/empty", 7) < 0 ||
	    blobs_manifest_builder_add_dir(b, "empty", 5) < 0 ||
	    add_link(b, "b/c/up", "../../a") < 0 || add_link(b, "latest", "b") < 0)
		return NULL;
	return b;
}

static void test_what_was_built_is_read_back(void)
{
	static const struct {
		const char *path;
		uint64_t size;
	} want[] = {{"a", 0},
		    {"b/c/d.txt", 1},
		    {"b/c.txt", 262144},
		    {"b.txt", 262145},
		    {"\xc3\xa9", 1ull << 40}};
	struct manifest_builder *b = sample_builder();
	struct manifest *m;
	const uint8_t *bytes;
	size_t len;

	CHECK(b);
	bytes = blobs_manifest_builder_encode(b, MANIFEST_WHOLE, 1234567, "a title", &len);
	CHECK_EQ(blobs_manifest_parse(bytes, len, &m), 0);
	CHECK_EQ(m->shape, MANIFEST_WHOLE);
	CHECK_EQ(m->created_s, 1234567);
	CHECK_STR(m->title, "a title");
	CHECK_EQ(m->item_cnt, 5);
	CHECK_EQ(m->all_item_cnt, 5);
	CHECK_EQ(m->all_byte_cnt, 1 + 262144 + 262145 + (1ull << 40));
	for (int i = 0; i < 5; i++) {
		CHECK_EQ(m->items[i].path_len, strlen(want[i].path));
		CHECK_MEM(m->items[i].path, want[i].path, m->items[i].path_len);
		CHECK_EQ(m->items[i].size, want[i].size);
		CHECK_MEM(m->items[i].content_id, id, 32);
	}
	CHECK_EQ(m->dir_cnt, 2);
	CHECK_MEM(m->dirs[0].path, "b/empty", 7);
	CHECK_MEM(m->dirs[1].path, "empty", 5);
	blobs_manifest_free(m);
	blobs_manifest_builder_free(b);
}

static void test_every_prefix_is_refused(void)
{
	struct manifest_builder *b = sample_builder();
	struct manifest *m;
	const uint8_t *bytes;
	size_t len;

	CHECK(b);
	bytes = blobs_manifest_builder_encode(b, MANIFEST_WHOLE, 1, "t", &len);
	for (size_t i = 0; i < len; i++) {
		uint8_t *copy = malloc(i ? i : 1);

		memcpy(copy, bytes, i);
		CHECK(blobs_manifest_parse(copy, i, &m) < 0);
		free(copy);
	}
	blobs_manifest_builder_free(b);
}

static void test_a_byte_more_is_refused(void)
{
	struct manifest_builder *b = sample_builder();
	static uint8_t copy[4096];
	struct manifest *m;
	const uint8_t *bytes;
	size_t len;

	CHECK(b);
	bytes = blobs_manifest_builder_encode(b, MANIFEST_WHOLE, 1, "", &len);
	memcpy(copy, bytes, len);
	CHECK_EQ(blobs_manifest_parse(copy, len, &m), 0);
	blobs_manifest_free(m);
	CHECK_EQ(blobs_manifest_parse(copy, len + 1, &m), WEFT_EMALFORMED);
	blobs_manifest_builder_free(b);
}

static void test_parts_make_a_root(void)
{
	struct manifest_part part = {id, 3000, 1000, 77};
	struct manifest_builder *b;
	struct manifest *m;
	const uint8_t *bytes;
	size_t len;

	CHECK_EQ(blobs_manifest_builder_new(&b), 0);
	for (unsigned i = 0; i < MANIFEST_PARTS_MAX; i++)
		CHECK_EQ(blobs_manifest_builder_add_part(b, &part), 0);
	CHECK_EQ(blobs_manifest_builder_add_part(b, &part), WEFT_EFULL);
	bytes = blobs_manifest_builder_encode(b, MANIFEST_ROOT, 5, "big", &len);
	CHECK_EQ(blobs_manifest_parse(bytes, len, &m), 0);
	CHECK_EQ(m->shape, MANIFEST_ROOT);
	CHECK_EQ(m->part_cnt, MANIFEST_PARTS_MAX);
	CHECK_EQ(m->all_item_cnt, 3000ull * 3000);
	CHECK_EQ(m->all_byte_cnt, 3000ull * 1000);
	CHECK_EQ(m->parts[2999].len, 77);
	blobs_manifest_free(m);
	blobs_manifest_builder_reset(b);
	CHECK(blobs_manifest_builder_is_empty(b));
	CHECK_EQ(add(b, "x", 1), 0);
	bytes = blobs_manifest_builder_encode(b, MANIFEST_PART, 0, "", &len);
	CHECK_EQ(blobs_manifest_parse(bytes, len, &m), 0);
	CHECK_EQ(m->shape, MANIFEST_PART);
	blobs_manifest_free(m);
	blobs_manifest_builder_free(b);
}

static void test_an_empty_folder_is_a_collection(void)
{
	struct manifest_builder *b;
	struct manifest *m;
	const uint8_t *bytes;
	size_t len;

	CHECK_EQ(blobs_manifest_builder_new(&b), 0);
	bytes = blobs_manifest_builder_encode(b, MANIFEST_WHOLE, 5, "", &len);
	CHECK_EQ(blobs_manifest_parse(bytes, len, &m), 0);
	CHECK_EQ(m->item_cnt + m->dir_cnt, 0);
	CHECK_STR(m->title, "");
	blobs_manifest_free(m);
	blobs_manifest_builder_free(b);
}

static void test_the_builder_stops_at_3000_items(void)
{
	struct manifest_builder *b;
	char path[16];

	CHECK_EQ(blobs_manifest_builder_new(&b), 0);
	blobs_manifest_builder_limit(b, MANIFEST_ITEMS_MAX + 1);
	for (unsigned i = 0; i < MANIFEST_ITEMS_MAX; i++) {
		snprintf(path, sizeof(path), "%05u", i);
		CHECK_EQ(add(b, path, i), 0);
	}
	CHECK_EQ(add(b, "9", 1), WEFT_EFULL);
	CHECK_EQ(blobs_manifest_builder_item_cnt(b), MANIFEST_ITEMS_MAX);
	blobs_manifest_builder_free(b);
}

/* Paths of 4 KiB fill a manifest long before 3,000 items do. */
static void test_the_builder_stops_at_the_longest_manifest(void)
{
	char path[4097];
	struct manifest_builder *b;
	struct manifest *m;
	const uint8_t *bytes;
	unsigned cnt = 0;
	size_t len;
	int err;

	CHECK_EQ(blobs_manifest_builder_new(&b), 0);
	memset(path, 'p', sizeof(path));
	for (size_t i = 200; i < 4096; i += 200)
		path[i] = '/';
	path[4096] = '\0';
	do {
		snprintf(path, 11, "%010u", cnt);
		path[10] = 'p';
		err = add(b, path, 1);
	} while (err == 0 && cnt++ < 3000);
	CHECK_EQ(err, WEFT_EFULL);
	CHECK(cnt > 200);
	bytes = blobs_manifest_builder_encode(b, MANIFEST_WHOLE, UINT64_MAX, path + 3900, &len);
	CHECK(len <= MANIFEST_LEN_MAX);
	CHECK(len > MANIFEST_LEN_MAX - 20000);
	CHECK_EQ(blobs_manifest_parse(bytes, len, &m), 0);
	CHECK_EQ(m->item_cnt, cnt);
	blobs_manifest_free(m);
	blobs_manifest_builder_free(b);
}

static void test_unsafe_paths_are_known(void)
{
	static char name_255[256], name_256[257], path_4096[4097], path_4097[4098];
	static const struct {
		const char *path;
		bool safe;
	} rows[] = {
		{"a", true},
		{"a/b", true},
		{"a b", true},
		{"...", true},
		{"a/.hidden", true},
		{".weft", true},
		{"\xc3\xa9", true},
		{"a\\b", true},
		{"\xf4\x8f\xbf\xbf", true},
		{"c:", true},
		{"CON", true},
		{"\xc2\xa0", true},
		{"", false},
		{"/", false},
		{"/a", false},
		{"a/", false},
		{"a//b", false},
		{".", false},
		{"..", false},
		{"../a", false},
		{"a/..", false},
		{"a/../b", false},
		{"a/.", false},
		{"./a", false},
		{"a\nb", false},
		{"a\x7f", false},
		{"\x01", false},
		{"\xc2\x85", false},
		{"\xff", false},
		{"\xc3", false},
		{"\xed\xa0\x80", false},
		{"\xf4\x90\x80\x80", false},
		{"\xc0\xaf", false},
		{".weft-x", false},
		{"a/.weft-part", false},
		{".weft-", false},
		{name_255, true},
		{name_256, false},
		{path_4096, true},
		{path_4097, false},
	};

	memset(name_255, 'n', 255);
	memset(name_256, 'n', 256);
	memset(path_4097, 'p', 4097);
	for (size_t i = 100; i < 4096; i += 100)
		path_4097[i] = '/';
	memcpy(path_4096, path_4097, 4096);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool safe = blobs_manifest_path_is_safe(rows[i].path, strlen(rows[i].path));

		if (safe != rows[i].safe)
			printf("# path \"%s\"\n", rows[i].path);
		CHECK_EQ(safe, rows[i].safe);
	}
	CHECK(!blobs_manifest_path_is_safe("a\0b", 3));
}

static void test_paths_order_by_their_parts(void)
{
	static const char *const ordered[] = {"a",  "a/b", "a/b/c", "a/c", "a b",
					      "a-", "a.b", "aa",    "b",   "\xc3\xa9"};

	for (size_t i = 0; i < 10; i++)
		for (size_t k = 0; k < 10; k++) {
			int order = blobs_manifest_path_compare(ordered[i], strlen(ordered[i]),
								ordered[k], strlen(ordered[k]));

			CHECK_EQ((order > 0) - (order < 0), (i > k) - (i < k));
		}
}

static void test_the_builder_refuses_what_the_parser_would(void)
{
	struct manifest_builder *b;

	CHECK_EQ(blobs_manifest_builder_new(&b), 0);
	CHECK_EQ(add(b, "b", 1), 0);
	CHECK_EQ(add(b, "b", 1), WEFT_EMALFORMED);
	CHECK_EQ(add(b, "a", 1), WEFT_EMALFORMED);
	CHECK_EQ(add(b, "../c", 1), WEFT_EUNSAFE);
	CHECK_EQ(blobs_manifest_builder_add_dir(b, "..", 2), WEFT_EUNSAFE);
	CHECK_EQ(blobs_manifest_builder_add_dir(b, "d", 1), 0);
	CHECK_EQ(blobs_manifest_builder_add_dir(b, "d", 1), WEFT_EMALFORMED);
	blobs_manifest_builder_free(b);
}

/* --- hostile bytes, written by hand --- */

static int craft_one(const char *name, const char *path, uint64_t size, uint64_t chunk_cnt)
{
	craft_begin(3);
	craft_created();
	craft_list(10, 1);
	craft_item(name, path, size, chunk_cnt);
	return craft_parse();
}

static int craft_two(const char *first, const char *second)
{
	craft_begin(3);
	craft_created();
	craft_list(10, 2);
	craft_item(strrchr(first, '/') ? strrchr(first, '/') + 1 : first,
		   strrchr(first, '/') ? first : NULL, 1, 1);
	craft_item(strrchr(second, '/') ? strrchr(second, '/') + 1 : second,
		   strrchr(second, '/') ? second : NULL, 1, 1);
	return craft_parse();
}

static void test_hostile_items_are_refused(void)
{
	static const struct {
		const char *name, *path;
		uint64_t size, chunk_cnt;
		int want;
	} rows[] = {
		{"a", NULL, 1, 1, 0},
		{"a", "d/a", 1, 1, 0},
		{"a", NULL, 0, 0, 0},
		{"a", NULL, 0, 1, WEFT_EMALFORMED},
		{"a", NULL, 262145, 1, WEFT_EMALFORMED},
		{"a", NULL, 1ull << 62, 1ull << 44, 0},
		{"a", NULL, (1ull << 62) + 1, (1ull << 44) + 1, WEFT_ETOOLARGE},
		{"a", "a", 1, 1, WEFT_EMALFORMED},
		{"a", "d/b", 1, 1, WEFT_EMALFORMED},
		{"a", "xa", 1, 1, WEFT_EMALFORMED},
		{"", "d/", 1, 1, WEFT_EUNSAFE},
		{"..", NULL, 1, 1, WEFT_EUNSAFE},
		{"a", "../a", 1, 1, WEFT_EUNSAFE},
		{"a", "/a", 1, 1, WEFT_EUNSAFE},
		{"a/b", NULL, 1, 1, WEFT_EUNSAFE},
		{"a/b", "c/a/b", 1, 1, WEFT_EUNSAFE},
		{".weft-1", NULL, 1, 1, WEFT_EUNSAFE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(craft_one(rows[i].name, rows[i].path, rows[i].size, rows[i].chunk_cnt),
			 rows[i].want);
}

static void test_a_path_is_used_once(void)
{
	static const struct {
		const char *first, *second;
		int want;
	} rows[] = {
		{"a", "b", 0},
		{"a/b", "a.b", 0},
		{"a", "a", WEFT_EMALFORMED},
		{"b", "a", WEFT_EMALFORMED},
		{"a", "a/b", WEFT_EMALFORMED},
		{"a.b", "a/b", WEFT_EMALFORMED},
		{"x/a", "x/a/b/c", WEFT_EMALFORMED},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(craft_two(rows[i].first, rows[i].second), rows[i].want);
}

static int craft_with_dir(const char *item, const char *dir)
{
	craft_begin(4);
	craft_created();
	craft_list(10, 1);
	craft_item(item, NULL, 1, 1);
	craft_list(13, 1);
	cbor_write_text(&craft.w, dir, strlen(dir));
	return craft_parse();
}

static void test_a_file_is_no_directory(void)
{
	CHECK_EQ(craft_with_dir("a", "b"), 0);
	CHECK_EQ(craft_with_dir("b", "a"), 0);
	CHECK_EQ(craft_with_dir("a", "a"), WEFT_EUNSAFE);
	CHECK_EQ(craft_with_dir("a", "a/b"), WEFT_EUNSAFE);
	CHECK_EQ(craft_with_dir("a", "../b"), WEFT_EUNSAFE);
}

static void craft_many(uint64_t told_cnt, unsigned cnt)
{
	char name[8];

	craft_begin(3);
	craft_created();
	craft_list(10, told_cnt);
	for (unsigned i = 0; i < cnt; i++) {
		snprintf(name, sizeof(name), "%06u", i);
		craft_item(name, NULL, 1, 1);
	}
}

static void test_hostile_counts_are_refused_before_memory_is(void)
{
	static const uint8_t zeros[3001];

	craft_many(3000, 3000);
	CHECK_EQ(craft_parse(), 0);
	craft_many(3001, 3001);
	CHECK_EQ(craft_parse(), WEFT_ETOOLARGE);
	craft_many(1000000, 10);
	CHECK(craft_parse() < 0);
	craft_many(UINT64_MAX, 1);
	CHECK(craft_parse() < 0);
	craft_many(2999, 1);
	CHECK_EQ(craft_parse(), WEFT_EMALFORMED);
	craft_begin(3);
	craft_created();
	craft_list(12, 3001);
	writer_bytes(&craft.w, zeros, sizeof(zeros));
	CHECK_EQ(craft_parse(), WEFT_ETOOLARGE);
	craft_begin(4);
	craft_created();
	craft_list(10, 0);
	craft_list(13, 3001);
	writer_bytes(&craft.w, zeros, sizeof(zeros));
	CHECK_EQ(craft_parse(), WEFT_ETOOLARGE);
}

static void test_sizes_that_overflow_are_refused(void)
{
	craft_begin(3);
	craft_created();
	craft_list(10, 2);
	craft_item("a", NULL, 1ull << 62, 1ull << 44);
	craft_item("b", NULL, 1, 1);
	CHECK_EQ(craft_parse(), WEFT_ETOOLARGE);
	craft_begin(3);
	craft_created();
	craft_list(10, 1);
	craft_item("a", NULL, UINT64_MAX, 1ull << 46);
	CHECK_EQ(craft_parse(), WEFT_ETOOLARGE);
}

static void test_a_manifest_too_long_is_refused(void)
{
	static uint8_t pad[MANIFEST_LEN_MAX];

	/* An unknown field pads it to the limit and one beyond. */
	for (size_t more = 0; more < 2; more++) {
		craft_begin(4);
		craft_created();
		craft_list(10, 0);
		cbor_write_uint(&craft.w, 20);
		cbor_write_bytes(&craft.w, pad, MANIFEST_LEN_MAX - writer_len(&craft.w) - 5 + more);
		CHECK_EQ(writer_len(&craft.w), MANIFEST_LEN_MAX + more);
		CHECK_EQ(craft_parse(), more ? WEFT_ETOOLARGE : 0);
	}
}

static void test_shapes_are_distinguished(void)
{
	craft_begin(1);
	CHECK_EQ(craft_parse(), WEFT_EMALFORMED);
	craft_begin(2);
	craft_created();
	CHECK_EQ(craft_parse(), WEFT_EMALFORMED);
	/* Items and parts at once. */
	craft_begin(4);
	craft_created();
	craft_list(10, 0);
	craft_list(12, 0);
	CHECK_EQ(craft_parse(), WEFT_EMALFORMED);
	/* A root without parts, or without a time. */
	craft_begin(3);
	craft_created();
	craft_list(12, 0);
	CHECK_EQ(craft_parse(), WEFT_EMALFORMED);
	/* Another version. */
	craft.w = writer_of(craft.bytes, sizeof(craft.bytes));
	cbor_write_map(&craft.w, 2);
	cbor_write_uint(&craft.w, 0);
	cbor_write_uint(&craft.w, 2);
	craft_list(10, 0);
	CHECK_EQ(craft_parse(), WEFT_EUNKNOWN);
	/* A title is of the whole, not of a part. */
	craft_begin(3);
	cbor_write_uint(&craft.w, 6);
	cbor_write_text(&craft.w, "t", 1);
	craft_list(10, 0);
	CHECK_EQ(craft_parse(), WEFT_EMALFORMED);
	/* A title that would upset a terminal. */
	craft_begin(4);
	craft_created();
	cbor_write_uint(&craft.w, 6);
	cbor_write_text(&craft.w, "\x1b[2J", 4);
	craft_list(10, 0);
	CHECK_EQ(craft_parse(), WEFT_EUNSAFE);
}

int main(void)
{
	RUN(test_what_was_built_is_read_back);
	RUN(test_every_prefix_is_refused);
	RUN(test_a_byte_more_is_refused);
	RUN(test_parts_make_a_root);
	RUN(test_an_empty_folder_is_a_collection);
	RUN(test_the_builder_stops_at_3000_items);
	RUN(test_the_builder_stops_at_the_longest_manifest);
	RUN(test_unsafe_paths_are_known);
	RUN(test_paths_order_by_their_parts);
	RUN(test_the_builder_refuses_what_the_parser_would);
	RUN(test_hostile_items_are_refused);
	RUN(test_a_path_is_used_once);
	RUN(test_a_file_is_no_directory);
	RUN(test_hostile_counts_are_refused_before_memory_is);
	RUN(test_sizes_that_overflow_are_refused);
	RUN(test_a_manifest_too_long_is_refused);
	RUN(test_shapes_are_distinguished);
	return check_done();
}

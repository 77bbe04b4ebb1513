/* SPDX-License-Identifier: Apache-2.0 */
/* What an item says beside its path and content: types, tags, links, times and modes. */
#include "manifest_rig.h"

/* --- mime and tags --- */

static const char *const tag_texts[] = {"a", "ab", "b", "\xc3\xa9"};

static int add_labelled(struct manifest_builder *b, const char *path, const char *mime,
			uint32_t tag_cnt)
{
	struct manifest_tag tags[4];
	struct manifest_item item = {.content_id = id,
				     .path = path,
				     .path_len = strlen(path),
				     .mime = mime,
				     .mime_len = mime ? strlen(mime) : 0,
				     .tags = tags,
				     .tag_cnt = tag_cnt};

	for (uint32_t i = 0; i < tag_cnt && i < 4; i++)
		tags[i] = (struct manifest_tag){tag_texts[i], strlen(tag_texts[i])};
	return blobs_manifest_builder_add_item(b, &item);
}

static void test_mime_and_tags_are_read_back(void)
{
	struct manifest_builder *b;
	struct manifest *m;
	const uint8_t *bytes;
	size_t len;

	CHECK_EQ(blobs_manifest_builder_new(&b), 0);
	CHECK_EQ(add_labelled(b, "1", "text/plain", 2), 0);
	CHECK_EQ(add_labelled(b, "2", NULL, 0), 0);
	CHECK_EQ(add_labelled(b, "3", NULL, 4), 0);
	CHECK_EQ(add_labelled(b, "4", "a/b", 0), 0);
	bytes = blobs_manifest_builder_encode(b, MANIFEST_PART, 0, "", &len);
	CHECK_EQ(blobs_manifest_parse(bytes, len, &m), 0);
	CHECK_EQ(m->item_cnt, 4);
	CHECK_EQ(m->items[0].mime_len, 10);
	CHECK_MEM(m->items[0].mime, "text/plain", 10);
	CHECK_EQ(m->items[0].tag_cnt, 2);
	CHECK_MEM(m->items[0].tags[1].text, "ab", 2);
	CHECK_EQ(m->items[1].tag_cnt, 0);
	CHECK(!m->items[1].mime && !m->items[1].tags);
	CHECK_EQ(m->items[2].tag_cnt, 4);
	CHECK_MEM(m->items[2].tags[3].text, "\xc3\xa9", 2);
	CHECK_MEM(m->items[3].mime, "a/b", 3);
	CHECK_EQ(m->tag_cnt, 6);
	blobs_manifest_free(m);
	blobs_manifest_builder_free(b);
}

static void craft_labels(const char *mime, const char *const *tags, unsigned cnt)
{
	struct writer *w = &craft.w;

	craft_begin(3);
	craft_created();
	craft_list(10, 1);
	cbor_write_map(w, 4u + (mime != NULL) + (tags != NULL));
	cbor_write_uint(w, 0);
	cbor_write_bytes(w, id, 32);
	cbor_write_uint(w, 1);
	cbor_write_uint(w, 1);
	cbor_write_uint(w, 2);
	cbor_write_text(w, "n", 1);
	if (mime) {
		cbor_write_uint(w, 4);
		cbor_write_text(w, mime, strlen(mime));
	}
	if (tags)
		craft_list(5, cnt);
	for (unsigned i = 0; i < cnt; i++)
		cbor_write_text(w, tags[i], strlen(tags[i]));
	cbor_write_uint(w, 6);
	cbor_write_uint(w, 1);
}

static int craft_labels_parse(const char *mime, const char *const *tags, unsigned cnt)
{
	craft_labels(mime, tags, cnt);
	return craft_parse();
}

static void test_hostile_labels_are_refused(void)
{
	static const char *const many[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i",
					   "j", "k", "l", "m", "n", "o", "p", "q"};
	static const char *const twice[] = {"a", "a"}, *const falling[] = {"b", "a"},
				 *const empty[] = {""}, *const bell[] = {"\a"};
	static char mime_127[128] = "a/", mime_128[129] = "a/", tag_64[65], tag_65[66];
	const char *longest[] = {tag_64}, *too_long[] = {tag_65};

	memset(mime_127 + 2, 'x', 125);
	memset(mime_128 + 2, 'x', 126);
	memset(tag_64, 't', 64);
	memset(tag_65, 't', 65);
	CHECK_EQ(craft_labels_parse(NULL, many, 16), 0);
	CHECK_EQ(craft_labels_parse(NULL, many, 17), WEFT_ETOOLARGE);
	CHECK_EQ(craft_labels_parse(NULL, many, 0), WEFT_EMALFORMED);
	CHECK_EQ(craft_labels_parse(NULL, twice, 2), WEFT_EMALFORMED);
	CHECK_EQ(craft_labels_parse(NULL, falling, 2), WEFT_EMALFORMED);
	CHECK_EQ(craft_labels_parse(NULL, empty, 1), WEFT_EUNSAFE);
	CHECK_EQ(craft_labels_parse(NULL, bell, 1), WEFT_EUNSAFE);
	CHECK_EQ(craft_labels_parse(NULL, longest, 1), 0);
	CHECK_EQ(craft_labels_parse(NULL, too_long, 1), WEFT_EUNSAFE);
	CHECK_EQ(craft_labels_parse(mime_127, NULL, 0), 0);
	CHECK_EQ(craft_labels_parse(mime_128, NULL, 0), WEFT_EUNSAFE);
	CHECK_EQ(craft_labels_parse("text", NULL, 0), WEFT_EUNSAFE);
	CHECK_EQ(craft_labels_parse("/plain", NULL, 0), WEFT_EUNSAFE);
	CHECK_EQ(craft_labels_parse("text/", NULL, 0), WEFT_EUNSAFE);
	CHECK_EQ(craft_labels_parse("text/pl ain", NULL, 0), WEFT_EUNSAFE);
}

/* --- time, mode, links --- */

static void test_time_mode_and_links_are_read_back(void)
{
	struct manifest_item item = {.content_id = id, .size = 1, .path = "bin/run", .path_len = 7};
	struct manifest_builder *b = NULL;
	struct manifest *m;
	const uint8_t *bytes;
	size_t len;

	CHECK_EQ(blobs_manifest_builder_new(&b), 0);
	CHECK_EQ(add(b, "a", 1), 0);
	item.mtime_ns = 1700000000123456789ull;
	item.is_executable = true;
	CHECK_EQ(blobs_manifest_builder_add_item(b, &item), 0);
	item.path = "bin/sun";
	item.mtime_ns = (uint64_t)INT64_MAX + 1;
	CHECK_EQ(blobs_manifest_builder_add_item(b, &item), WEFT_EUNSAFE);
	CHECK_EQ(add_link(b, "bin/again", "run"), 0);
	CHECK_EQ(add_link(b, "latest", "bin/run"), 0);
	CHECK_EQ(add_link(b, "last", "bin/run"), WEFT_EMALFORMED);
	bytes = blobs_manifest_builder_encode(b, MANIFEST_PART, 0, "", &len);
	CHECK_EQ(blobs_manifest_parse(bytes, len, &m), 0);
	CHECK_EQ(m->items[0].mtime_ns, 0);
	CHECK(!m->items[0].is_executable);
	CHECK_EQ(m->items[1].mtime_ns, 1700000000123456789ull);
	CHECK(m->items[1].is_executable);
	CHECK_EQ(m->link_cnt, 2);
	CHECK_EQ(m->links[0].text_len, 3);
	CHECK_MEM(m->links[0].text, "run", 3);
	CHECK_EQ(m->links[1].path_len, 6);
	CHECK_MEM(m->links[1].path, "latest", 6);
	blobs_manifest_free(m);
	blobs_manifest_builder_reset(b);
	CHECK(blobs_manifest_builder_is_empty(b));
	for (unsigned i = 0; i < MANIFEST_LINKS_MAX; i++) {
		char path[8];

		snprintf(path, sizeof(path), "%04u", i);
		CHECK_EQ(add_link(b, path, "x"), 0);
	}
	CHECK_EQ(add_link(b, "9", "x"), WEFT_EFULL);
	blobs_manifest_builder_free(b);
}

static void test_links_stay_inside(void)
{
	static const struct {
		const char *path, *text;
		bool is_safe;
	} rows[] = {
		{"l", "a", true},
		{"l", "a/b", true},
		{"d/l", "..", true},
		{"d/l", "../a", true},
		{"d/e/l", "../../a", true},
		{"d/e/l", "../..", true},
		{"l", "..", false},
		{"l", "../a", false},
		{"d/l", "../../a", false},
		{"d/e/l", "../../..", false},
		{"l", "/etc/passwd", false},
		{"l", "", false},
		{"l", "a/..", false},
		{"d/l", "a/../../x", false},
		{"d/l", "../a/../b", false},
		{"l", "./a", false},
		{"l", "a//b", false},
		{"l", "a/", false},
		{"d/l", "../", false},
		{"d/l", "..//a", false},
		{"l", "a\nb", false},
		{"l", "\xff", false},
		{"l", ".weft-partial-1", false},
		{"l", "...", true},
		{"d/l", "../..a", true},
		{"l", ".", false},
	};
	char text[MANIFEST_LINK_LEN_MAX + 2];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(blobs_manifest_link_is_safe(rows[i].path, strlen(rows[i].path),
						     rows[i].text, strlen(rows[i].text)),
			 rows[i].is_safe);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 2 ? '/' : 'a';
	CHECK(blobs_manifest_link_is_safe("l", 1, text, MANIFEST_LINK_LEN_MAX));
	CHECK(!blobs_manifest_link_is_safe("l", 1, text, MANIFEST_LINK_LEN_MAX + 2));
}

static void test_a_link_is_normalised(void)
{
	static const struct {
		const char *from, *to;
	} rows[] = {
		{"a", "a"},	  {"./a", "a"},		{"a//b", "a/b"}, {"a/./b/", "a/b"},
		{"../a", "../a"}, {".././a/.", "../a"}, {".", ""},	 {"", ""},
		{"/etc", "/etc"}, {"a/../b", "a/../b"}, {"./", ""},	 {"..", ".."},
	};
	char text[16];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		strcpy(text, rows[i].from);
		CHECK_EQ(blobs_manifest_link_normalise(text, strlen(text)), strlen(rows[i].to));
		CHECK_MEM(text, rows[i].to, strlen(rows[i].to));
	}
}

static void craft_link(const char *path, const char *text)
{
	cbor_write_map(&craft.w, 2);
	cbor_write_uint(&craft.w, 0);
	cbor_write_text(&craft.w, path, strlen(path));
	cbor_write_uint(&craft.w, 1);
	cbor_write_text(&craft.w, text, strlen(text));
}

/* A file x/y, an empty directory v/w, and links. */
static int craft_links(const char *first, const char *second, const char *text)
{
	craft_begin(5);
	craft_created();
	craft_list(10, 1);
	craft_item("y", "x/y", 1, 1);
	craft_list(13, 1);
	cbor_write_text(&craft.w, "v/w", 3);
	craft_list(14, second ? 2 : 1);
	craft_link(first, text);
	if (second)
		craft_link(second, text);
	return craft_parse();
}

static void test_hostile_links_are_refused(void)
{
	CHECK_EQ(craft_links("l", "m", "x/y"), 0);
	CHECK_EQ(craft_links("l", NULL, "../x"), WEFT_EUNSAFE);
	CHECK_EQ(craft_links("l", NULL, "/x"), WEFT_EUNSAFE);
	CHECK_EQ(craft_links("../l", NULL, "x"), WEFT_EUNSAFE);
	CHECK_EQ(craft_links("m", "l", "x"), WEFT_EMALFORMED);
	CHECK_EQ(craft_links("l", "l", "x"), WEFT_EMALFORMED);
	CHECK_EQ(craft_links("l", "l/m", "x"), WEFT_EMALFORMED);
	/* In the way of a file or a directory, or below one. */
	CHECK_EQ(craft_links("x/y", NULL, "z"), WEFT_EUNSAFE);
	CHECK_EQ(craft_links("x", NULL, "z"), WEFT_EUNSAFE);
	CHECK_EQ(craft_links("x/y/z", NULL, "z"), WEFT_EUNSAFE);
	CHECK_EQ(craft_links("v", NULL, "z"), WEFT_EUNSAFE);
	CHECK_EQ(craft_links("v/w", NULL, "z"), WEFT_EUNSAFE);
	CHECK_EQ(craft_links("x/z", NULL, "y"), 0);
	craft_begin(4);
	craft_created();
	craft_list(10, 0);
	craft_list(14, MANIFEST_LINKS_MAX + 1);
	for (unsigned i = 0; i <= MANIFEST_LINKS_MAX; i++) {
		char path[8];

		snprintf(path, sizeof(path), "%04u", i);
		craft_link(path, "x");
	}
	CHECK_EQ(craft_parse(), WEFT_ETOOLARGE);
}

/* An item with one field more, of a version that tells more. */
static int craft_field(uint64_t key, bool is_bool, uint64_t value)
{
	craft_begin(3);
	craft_created();
	craft_list(10, 1);
	cbor_write_map(&craft.w, 5);
	cbor_field_bytes(&craft.w, 0, id, 32);
	cbor_field_uint(&craft.w, 1, 1);
	cbor_field_text(&craft.w, 2, "n", 1);
	cbor_field_uint(&craft.w, 6, 1);
	if (is_bool)
		cbor_field_bool(&craft.w, key, value);
	else
		cbor_field_uint(&craft.w, key, value);
	return craft_parse();
}

static void test_times_and_modes_have_one_form(void)
{
	CHECK_EQ(craft_field(7, false, 1), 0);
	CHECK_EQ(craft_field(7, false, INT64_MAX), 0);
	CHECK_EQ(craft_field(7, false, (uint64_t)INT64_MAX + 1), WEFT_EMALFORMED);
	CHECK_EQ(craft_field(7, true, 1), WEFT_EMALFORMED);
	CHECK_EQ(craft_field(8, true, true), 0);
	CHECK_EQ(craft_field(8, true, false), WEFT_EMALFORMED);
	CHECK_EQ(craft_field(8, false, 04755), WEFT_EMALFORMED);
	/* What is not known yet is stepped over. */
	CHECK_EQ(craft_field(9, false, 7), 0);
}

int main(void)
{
	RUN(test_time_mode_and_links_are_read_back);
	RUN(test_links_stay_inside);
	RUN(test_a_link_is_normalised);
	RUN(test_hostile_links_are_refused);
	RUN(test_times_and_modes_have_one_form);
	RUN(test_mime_and_tags_are_read_back);
	RUN(test_hostile_labels_are_refused);
	return check_done();
}

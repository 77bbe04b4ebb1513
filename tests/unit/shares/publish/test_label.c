/* SPDX-License-Identifier: Apache-2.0 */
#include "shares/publish/label.h"

#include <string.h>

#include "support/check.h"

static void test_types_are_known_by_the_end_of_the_name(void)
{
	static const struct {
		const char *name, *mime;
	} rows[] = {
		{"a.7z", "application/x-7z-compressed"},
		{"d/a.FLAC", "audio/flac"},
		{"a.tar.zst", "application/zstd"},
		{"a.jpg", "image/jpeg"},
		{"a.jpeg", "image/jpeg"},
		{"a.js", "text/javascript"},
		{"a.md", "text/markdown"},
		{"a.mp4", "video/mp4"},
		{"a.xz", "application/x-xz"},
		{"a.yml", "application/yaml"},
		{"README", NULL},
		{".gz", NULL},
		{"a.unknown", NULL},
		{"a.", NULL},
		{"a.gz/b", NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *mime = shares_label_mime(rows[i].name);

		CHECK(!mime == !rows[i].mime);
		if (mime)
			CHECK_STR(mime, rows[i].mime);
	}
}

static struct manifest_tag tags[MANIFEST_TAGS_MAX];

static struct manifest_item label(const char *rules, const char *path)
{
	struct manifest_item item = {.path = path, .path_len = strlen(path)};

	shares_label_item(rules, &item, tags);
	return item;
}

static void test_rules_say_which_tags(void)
{
	static const char rules[] = "music\n*.flac=lossless\nlive/*=live\nmusic\na=b=c";
	struct manifest_item item = label(rules, "live/x/one.flac");

	CHECK_EQ(item.tag_cnt, 3);
	CHECK_MEM(item.tags[0].text, "live", 4);
	CHECK_MEM(item.tags[1].text, "lossless", 8);
	CHECK_MEM(item.tags[2].text, "music", 5);
	CHECK_EQ(label(rules, "other.mp3").tag_cnt, 1);
	CHECK_EQ(label("", "other.mp3").tag_cnt, 0);
	CHECK(!label("", "other.mp3").tags);
	/* What is left of the last equals sign is the pattern. */
	CHECK_EQ(label(rules, "a=b").tag_cnt, 2);
}

static void test_more_tags_than_an_item_has_are_left_out(void)
{
	char rules[200] = "";

	for (unsigned i = 0; i < MANIFEST_TAGS_MAX + 1; i++)
		snprintf(rules + strlen(rules), 8, "t%02u\n", i);
	CHECK_EQ(label(rules, "a").tag_cnt, MANIFEST_TAGS_MAX);
}

static void test_rules_that_are_none_are_refused(void)
{
	static char longest[LABEL_RULES_CAP + 1];

	CHECK_EQ(shares_label_rules_check(""), 0);
	CHECK_EQ(shares_label_rules_check("a\nb=c\n"), 0);
	CHECK_EQ(shares_label_rules_check("a="), WEFT_EMALFORMED);
	CHECK_EQ(shares_label_rules_check("\na"), WEFT_EMALFORMED);
	CHECK_EQ(shares_label_rules_check("a=\x01"), WEFT_EMALFORMED);
	memset(longest, '?', LABEL_RULES_CAP - 1);
	memcpy(longest + LABEL_RULES_CAP - 3, "=t", 2);
	CHECK_EQ(shares_label_rules_check(longest), 0);
	longest[LABEL_RULES_CAP - 1] = 'x';
	CHECK_EQ(shares_label_rules_check(longest), WEFT_ETOOLARGE);
}

int main(void)
{
	RUN(test_types_are_known_by_the_end_of_the_name);
	RUN(test_rules_say_which_tags);
	RUN(test_more_tags_than_an_item_has_are_left_out);
	RUN(test_rules_that_are_none_are_refused);
	return check_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "social/object/attachment_head.h"

#include <string.h>

#include "social/seal/content_key.h"
#include "support/check.h"

static size_t head_of(const char *type, const char *name, uint64_t size,
		      uint8_t out[static ATTACHMENT_HEAD_MAX])
{
	struct writer w = writer_of(out, ATTACHMENT_HEAD_MAX);
	struct attachment_head head = {.size = size};

	social_attachment_head_set(&head, type, name);
	social_attachment_head_write(&w, &head);
	return w.bad ? 0 : writer_len(&w);
}

static void test_a_head_comes_back_and_each_prefix_of_it_is_refused(void)
{
	uint8_t bytes[ATTACHMENT_HEAD_MAX];
	size_t len = head_of("image/png", "boat.png", 700001, bytes), off;
	struct attachment_head head;

	CHECK_EQ(social_attachment_head_parse(bytes, len, &head, &off), 0);
	CHECK_EQ(off, len);
	CHECK_STR(head.type, "image/png");
	CHECK_STR(head.name, "boat.png");
	CHECK_EQ(head.size, 700001);
	for (size_t i = 0; i < len; i++)
		CHECK_EQ(social_attachment_head_parse(bytes, i, &head, &off), WEFT_EMALFORMED);
}

static void test_names_that_lead_elsewhere_and_types_that_are_none_are_left_out(void)
{
	static const struct {
		const char *name, *want;
	} names[] = {
		{"boat.png", "boat.png"},
		{"../boat.png", ""},
		{"a/b", ""},
		{".profile", ""},
		{"..", ""},
		{"a\\b", ""},
		{"a\"b", ""},
		{"a\nb", ""},
		{"\xe2\x80\xae"
		 "gnp.exe",
		 ""},
		{" ", ""},
		{"\xff", ""},
		{"b\xc3\xb6t", "b\xc3\xb6t"},
	};
	static const char *const types[] = {"text", "/", "a/", "/b", "a/b/c", "a/b c", "a/b\n", ""};
	struct attachment_head head;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		social_attachment_head_set(&head, "a/b", names[i].name);
		CHECK_STR(head.name, names[i].want);
	}
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		social_attachment_head_set(&head, types[i], NULL);
		CHECK_STR(head.type, "application/octet-stream");
	}
}

static void test_a_name_of_200_bytes_is_kept_and_one_of_201_is_not(void)
{
	char name[ATTACHMENT_NAME_MAX + 2];
	struct attachment_head head;

	memset(name, 'n', sizeof(name));
	name[ATTACHMENT_NAME_MAX + 1] = '\0';
	social_attachment_head_set(&head, "a/b", name);
	CHECK_STR(head.name, "");
	name[ATTACHMENT_NAME_MAX] = '\0';
	social_attachment_head_set(&head, "a/b", name);
	CHECK_STR(head.name, name);
}

static void test_a_public_type_has_the_name_as_far_as_there_is_room(void)
{
	char type[POST_TYPE_LEN_MAX + 1], name[ATTACHMENT_NAME_MAX];
	struct attachment_head head, read;

	social_attachment_head_set(&head, "image/png", "boat.png");
	social_attachment_type_write(&head, type);
	CHECK_STR(type, "image/png; name=\"boat.png\"");
	social_attachment_type_parse(type, strlen(type), &read);
	CHECK_STR(read.type, "image/png");
	CHECK_STR(read.name, "boat.png");
	memset(name, 'n', sizeof(name));
	name[POST_TYPE_LEN_MAX - strlen("image/png; name=\"\"")] = '\0';
	social_attachment_head_set(&head, "image/png", name);
	social_attachment_type_write(&head, type);
	CHECK_EQ(strlen(type), POST_TYPE_LEN_MAX);
	strcat(name, "n");
	social_attachment_head_set(&head, "image/png", name);
	social_attachment_type_write(&head, type);
	CHECK_STR(type, "image/png");
	social_attachment_type_parse("image/png; name=\"../x\"", 22, &read);
	CHECK_STR(read.name, "");
}

static void test_units_and_chunks_are_counted_to_the_byte(void)
{
	struct attachment_head head = {.size = CONTENT_UNIT_TEXT_MAX - 100};

	CHECK_EQ(social_attachment_unit_cnt(&head, 100), 1);
	CHECK_EQ(social_attachment_unit_cnt(&head, 101), 2);
	CHECK_EQ(social_attachment_chunk_cnt(0), 1);
	CHECK_EQ(social_attachment_chunk_cnt(262144), 1);
	CHECK_EQ(social_attachment_chunk_cnt(262145), 2);
}

int main(void)
{
	RUN(test_a_head_comes_back_and_each_prefix_of_it_is_refused);
	RUN(test_names_that_lead_elsewhere_and_types_that_are_none_are_left_out);
	RUN(test_a_name_of_200_bytes_is_kept_and_one_of_201_is_not);
	RUN(test_a_public_type_has_the_name_as_far_as_there_is_room);
	RUN(test_units_and_chunks_are_counted_to_the_byte);
	return check_done();
}

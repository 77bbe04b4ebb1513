/* SPDX-License-Identifier: Apache-2.0 */
#include "social/object/post.h"

#include "codec/text/hex.h"
#include "social/object/post_claim.h"
#include "social/object/visibility.h"
#include "support/check.h"

static struct node_key *author, *other;
static uint8_t bytes[POST_LEN_MAX + 4096];
static const uint8_t ids[POST_UNITS_MAX + 1][POST_ID_LEN];
static struct visibility visibility, heard_visibility;

static struct post hello(void)
{
	return (struct post){.author = node_key_public(author),
			     .time_ms = 1800000000000,
			     .content = "hello",
			     .content_len = 5};
}

/* 0: no reader takes it. */
static size_t written(const struct post *post)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	social_post_write(&w, post);
	return w.bad ? 0 : writer_len(&w);
}

/* The hash is that of b3sum, over what cbor2 writes. */
static void test_the_id_is_that_of_another_implementation(void)
{
	struct post post = hello();
	uint8_t id[POST_ID_LEN];
	char hex[2 * sizeof(id) + 1];

	social_post_id(bytes, written(&post), id);
	CHECK_EQ(strcmp(hex_write(id, sizeof(id), hex),
			"ec3884b34e17cf4b2d6fc172c65fd0d5a620e119916bb47896f5871d3a325677"),
		 0);
}

static struct post whole(void)
{
	struct post post = hello();

	post.attachments[0] = (struct post_attachment){ids[0], POST_ID_LEN, "image/png", 9, 77};
	post.attachments[1] = (struct post_attachment){.ids = ids[0], .ids_len = 3 * POST_ID_LEN};
	post.attachment_cnt = 2;
	post.parent = ids[0];
	memcpy(post.mentions[0], node_key_public(other), NODE_KEY_LEN);
	post.mention_cnt = 1;
	return post;
}

static void test_a_post_is_read_as_written_and_no_part_of_it_is_one(void)
{
	struct post post = whole(), heard;
	size_t len = written(&post);

	CHECK(len > 0);
	CHECK_EQ(social_post_parse(bytes, len, &heard), 0);
	CHECK_MEM(heard.author, post.author, NODE_KEY_LEN);
	CHECK_EQ(heard.time_ms, post.time_ms);
	CHECK_MEM(heard.content, "hello", 5);
	CHECK_EQ(heard.attachment_cnt, 2);
	CHECK_MEM(heard.attachments[0].type, "image/png", 9);
	CHECK_EQ(heard.attachments[0].size, 77);
	CHECK_EQ(heard.attachments[1].ids_len, 3 * POST_ID_LEN);
	CHECK_EQ(heard.attachments[1].type_len, 0);
	CHECK_MEM(heard.parent, ids[0], POST_ID_LEN);
	CHECK_EQ(heard.mention_cnt, 1);
	CHECK_MEM(heard.mentions[0], node_key_public(other), NODE_KEY_LEN);
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);

		memcpy(exact, bytes, cut);
		CHECK_EQ(social_post_parse(exact, cut, &heard), WEFT_EMALFORMED);
		free(exact);
	}
}

/* A content that fills what the other fields of a post of that length leave. */
static size_t content_len_of(size_t len)
{
	struct post post = hello();
	size_t empty;

	post.content_len = 0;
	empty = written(&post);
	return len - empty - 4; /* a head of five bytes, not of one */
}

static void test_each_bound_is_exceeded_by_one(void)
{
	static char content[POST_LEN_MAX];
	struct post post = hello(), heard;
	size_t len;

	memset(content, 'x', sizeof(content));
	post.content = content;
	post.content_len = content_len_of(POST_LEN_MAX);
	CHECK_EQ(len = written(&post), POST_LEN_MAX);
	CHECK_EQ(social_post_parse(bytes, len, &heard), 0);
	CHECK_EQ(social_post_parse(bytes, len + 1, &heard), WEFT_ETOOLARGE);
	post.content_len++;
	CHECK_EQ(written(&post), 0);

	post = whole();
	post.attachments[1].ids_len = POST_UNITS_MAX * POST_ID_LEN;
	CHECK(len = written(&post));
	CHECK_EQ(social_post_parse(bytes, len, &heard), 0);
	for (size_t more = 1; more <= POST_ID_LEN; more += POST_ID_LEN - 1) {
		post.attachments[1].ids_len = POST_UNITS_MAX * POST_ID_LEN + more;
		len = written(&post);
		CHECK(len == 0 || social_post_parse(bytes, len, &heard) == WEFT_EMALFORMED);
	}
	post.attachments[1].ids_len = POST_ID_LEN - 1;
	CHECK_EQ(written(&post), 0);
	post.attachments[1].ids_len = 0;
	CHECK_EQ(written(&post), 0);
}

static void test_a_field_of_a_later_version_is_not_skipped(void)
{
	struct post post = hello(), heard;
	size_t len = written(&post);

	bytes[0] = 0xa6;
	memcpy(bytes + len, "\x07\x00", 2);
	CHECK_EQ(social_post_parse(bytes, len + 2, &heard), WEFT_EMALFORMED);
}

static void test_a_claim_and_a_deletion_are_their_author_s_alone(void)
{
	static const uint8_t logical[POST_LOGICAL_ID_LEN] = {4};
	struct post_claim claim = {.post = ids[0], .logical_id = logical, .supersedes = ids[1]};
	struct post_deletion deletion = {.post = ids[0], .time_ms = 7};
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct post_claim heard;
	struct post_deletion heard_deletion;
	size_t len;

	social_claim_write(&w, &claim, author);
	len = writer_len(&w);
	CHECK_EQ(social_claim_read(bytes, len, &heard), 0);
	CHECK_MEM(heard.author, node_key_public(author), NODE_KEY_LEN);
	CHECK_MEM(heard.logical_id, logical, sizeof(logical));
	CHECK(heard.supersedes && !w.bad);
	/* Of another kind, though the fields would fit. */
	CHECK(social_deletion_read(bytes, len, &heard_deletion) < 0);
	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 1;
		CHECK(social_claim_read(bytes, len, &heard) < 0 ||
		      memcmp(heard.author, node_key_public(author), NODE_KEY_LEN) != 0);
		bytes[i] ^= 1;
	}
	w = writer_of(bytes, sizeof(bytes));
	social_deletion_write(&w, &deletion, author);
	CHECK_EQ(social_deletion_read(bytes, writer_len(&w), &heard_deletion), 0);
	CHECK_EQ(heard_deletion.time_ms, 7);
	CHECK(!heard_deletion.superseded_by);
}

static void recipients_fill(unsigned cnt)
{
	visibility = (struct visibility){
		.post = ids[0], .number = 1, .kind = VISIBILITY_RECIPIENTS, .recipient_cnt = cnt};
	for (unsigned i = 0; i < cnt && i < VISIBILITY_RECIPIENTS_MAX; i++) {
		visibility.recipients[i].reader[0] = (uint8_t)(i >> 8);
		visibility.recipients[i].reader[1] = (uint8_t)i;
	}
}

static int visibility_said_and_heard(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	social_visibility_write(&w, &visibility, author);
	return w.bad ? WEFT_ETOOSMALL
		     : social_visibility_read(bytes, writer_len(&w), &heard_visibility);
}

static void test_500_recipients_are_found_by_their_key(void)
{
	uint8_t reader[NODE_KEY_LEN] = {1, 0xf3}, none[NODE_KEY_LEN] = {1, 0xf4};

	recipients_fill(VISIBILITY_RECIPIENTS_MAX);
	CHECK_EQ(visibility_said_and_heard(), 0);
	CHECK(social_visibility_recipient(&heard_visibility, reader) ==
	      &heard_visibility.recipients[499]);
	CHECK(!social_visibility_recipient(&heard_visibility, none));
}

static void test_recipients_that_do_not_ascend_are_refused(void)
{
	recipients_fill(2);
	visibility.recipients[1].reader[1] = 0;
	CHECK_EQ(visibility_said_and_heard(), WEFT_ETOOSMALL);
}

static void test_each_kind_has_its_own_fields_alone(void)
{
	recipients_fill(0);
	CHECK_EQ(visibility_said_and_heard(), 0);
	visibility.kind = VISIBILITY_GROUP;
	visibility.group.epoch = 9;
	CHECK_EQ(visibility_said_and_heard(), 0);
	CHECK_EQ(heard_visibility.group.epoch, 9);
	visibility.holder_cnt = 1;
	CHECK_EQ(visibility_said_and_heard(), WEFT_ETOOSMALL);
	visibility.kind = VISIBILITY_PUBLIC;
	visibility.holder_cnt = VISIBILITY_HOLDERS_MAX;
	CHECK_EQ(visibility_said_and_heard(), 0);
	CHECK_EQ(heard_visibility.holder_cnt, VISIBILITY_HOLDERS_MAX);
}

int main(void)
{
	uint8_t seed[NODE_KEY_SEED_LEN] = {0};

	if (node_key_from_seed(seed, &author) < 0)
		return 1;
	seed[0] = 1;
	if (node_key_from_seed(seed, &other) < 0)
		return 1;
	RUN(test_the_id_is_that_of_another_implementation);
	RUN(test_a_post_is_read_as_written_and_no_part_of_it_is_one);
	RUN(test_each_bound_is_exceeded_by_one);
	RUN(test_a_field_of_a_later_version_is_not_skipped);
	RUN(test_a_claim_and_a_deletion_are_their_author_s_alone);
	RUN(test_500_recipients_are_found_by_their_key);
	RUN(test_recipients_that_do_not_ascend_are_refused);
	RUN(test_each_kind_has_its_own_fields_alone);
	node_key_free(author);
	node_key_free(other);
	return check_done();
}

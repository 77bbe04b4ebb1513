/* SPDX-License-Identifier: Apache-2.0 */
/* Posts as they are made, and opened by those that may read them alone. */
#include "base/random.h"
#include "social/read/post_open.h"
#include "social/seal/group_key.h"
#include "social/write/post_make.h"
#include "support/check.h"

#define READERS 3
static struct node_key *author, *readers[READERS], *stranger, *group_key;
static uint8_t reader_keys[READERS][NODE_KEY_LEN];
static const uint8_t group_id[GROUP_ID_LEN] = {9};
static struct random drawn;

/* --- who opens: the keys at hand --- */

struct ring {
	const struct node_key *own, *group;
};

static const struct node_key *ring_own(void *ctx, const uint8_t key[static NODE_KEY_LEN])
{
	const struct ring *ring = ctx;

	return ring->own && memcmp(node_key_public(ring->own), key, NODE_KEY_LEN) == 0 ? ring->own
										       : NULL;
}

static const struct node_key *ring_group(void *ctx, const struct visibility_group *group)
{
	return group->epoch == 4 && memcmp(group->group, group_id, GROUP_ID_LEN) == 0
		       ? ((const struct ring *)ctx)->group
		       : NULL;
}

/* The text as ring reads it, or the error. */
static int open_as(const struct made_post *made, struct ring ring, char *out_text)
{
	const struct post_keys keys = {ring_own, ring_group, &ring};
	struct visibility *visibility = calloc(1, sizeof(*visibility));
	uint8_t key[CONTENT_KEY_LEN] = {0};
	struct post *post = calloc(1, sizeof(*post));
	char *text = NULL;
	size_t len = 0;
	int err = social_post_parse(made->post, made->post_len, post);

	if (err == 0)
		err = social_visibility_read(made->visibility, made->visibility_len, visibility);
	if (err == 0 && visibility->kind != VISIBILITY_PUBLIC)
		err = social_content_key_find(post, visibility, &keys, key);
	if (err == 0)
		err = social_post_text(post, visibility->kind, key, &text, &len);
	if (err == 0)
		memcpy(out_text, text, len + 1);
	free(text);
	free(post);
	free(visibility);
	return err;
}

static struct post_making hello(enum visibility_kind kind)
{
	return (struct post_making){
		.author = author,
		.audience = {.kind = kind,
			     .readers = reader_keys,
			     .reader_cnt = READERS,
			     .group = group_id,
			     .epoch = 4,
			     .group_key = node_key_public(group_key)},
		.time_ms = 1800000000000,
		.text = "hello",
		.text_len = 5,
	};
}

/* The id of model 3.11, made with cbor2 and b3sum. */
static void test_a_public_post_has_the_published_id(void)
{
	static const uint8_t want[] = {0xec, 0x38, 0x84, 0xb3, 0x4e, 0x17, 0xcf, 0x4b};
	struct post_making making = hello(VISIBILITY_PUBLIC);
	struct made_post *made;
	struct post_claim claim;
	char text[16];

	CHECK_EQ(social_post_make(&making, &drawn, &made), 0);
	CHECK_MEM(made->id, want, sizeof(want));
	CHECK_EQ(made->wrap_cnt, 0);
	CHECK_EQ(social_claim_read(made->claim, made->claim_len, &claim), 0);
	CHECK_MEM(claim.post, made->id, POST_ID_LEN);
	CHECK_MEM(claim.author, node_key_public(author), NODE_KEY_LEN);
	CHECK_MEM(claim.logical_id, made->logical_id, POST_LOGICAL_ID_LEN);
	CHECK(claim.supersedes == NULL);
	CHECK_EQ(open_as(made, (struct ring){NULL, NULL}, text), 0);
	CHECK_STR(text, "hello");
	social_made_post_free(made);
}

static void test_each_reader_and_the_author_open_a_private_post_and_no_other(void)
{
	struct post_making making = hello(VISIBILITY_RECIPIENTS);
	struct made_post *made;
	char text[16];

	CHECK_EQ(social_post_make(&making, &drawn, &made), 0);
	CHECK_EQ(made->wrap_cnt, READERS);
	for (unsigned i = 0; i < READERS; i++) {
		memset(text, 0, sizeof(text));
		CHECK_EQ(open_as(made, (struct ring){readers[i], NULL}, text), 0);
		CHECK_STR(text, "hello");
	}
	memset(text, 0, sizeof(text));
	CHECK_EQ(open_as(made, (struct ring){author, NULL}, text), 0);
	CHECK_STR(text, "hello");
	CHECK_EQ(open_as(made, (struct ring){stranger, group_key}, text), WEFT_EREFUSED);
	CHECK(memmem(made->post, made->post_len, "hello", 5) == NULL);
	social_made_post_free(made);
}

static void test_a_group_post_has_one_wrap_and_opens_by_the_key_of_its_epoch(void)
{
	struct post_making making = hello(VISIBILITY_GROUP);
	struct made_post *made;
	char text[16];

	CHECK_EQ(social_post_make(&making, &drawn, &made), 0);
	CHECK_EQ(made->wrap_cnt, 1);
	CHECK_EQ(open_as(made, (struct ring){stranger, group_key}, text), 0);
	CHECK_EQ(open_as(made, (struct ring){author, NULL}, text), 0);
	CHECK_EQ(open_as(made, (struct ring){readers[0], NULL}, text), WEFT_EREFUSED);
	/* The key of another epoch does not open it. */
	CHECK_EQ(open_as(made, (struct ring){stranger, readers[0]}, text), WEFT_EDAMAGED);
	social_made_post_free(made);
	making.audience.epoch = 5;
	CHECK_EQ(social_post_make(&making, &drawn, &made), 0);
	CHECK_EQ(open_as(made, (struct ring){stranger, group_key}, text), WEFT_EREFUSED);
	social_made_post_free(made);
}

static void test_readers_named_twice_and_the_author_get_no_second_wrap(void)
{
	struct post_making making = hello(VISIBILITY_RECIPIENTS);
	uint8_t twice[4][NODE_KEY_LEN];
	struct made_post *made;

	memcpy(twice[0], reader_keys[1], NODE_KEY_LEN);
	memcpy(twice[1], node_key_public(author), NODE_KEY_LEN);
	memcpy(twice[2], reader_keys[1], NODE_KEY_LEN);
	memcpy(twice[3], reader_keys[0], NODE_KEY_LEN);
	making.audience.readers = (const uint8_t(*)[NODE_KEY_LEN])twice;
	making.audience.reader_cnt = 4;
	CHECK_EQ(social_post_make(&making, &drawn, &made), 0);
	CHECK_EQ(made->wrap_cnt, 2);
	social_made_post_free(made);
}

static void test_a_post_without_readers_is_its_authors_alone(void)
{
	struct post_making making = hello(VISIBILITY_RECIPIENTS);
	struct made_post *made;
	char text[16];

	making.audience.reader_cnt = 0;
	CHECK_EQ(social_post_make(&making, &drawn, &made), 0);
	CHECK_EQ(made->wrap_cnt, 1);
	CHECK_EQ(open_as(made, (struct ring){author, NULL}, text), 0);
	CHECK_STR(text, "hello");
	CHECK_EQ(open_as(made, (struct ring){readers[0], NULL}, text), WEFT_EREFUSED);
	social_made_post_free(made);
}

/* --- limits, and one more --- */

#define CROWD (VISIBILITY_RECIPIENTS_MAX + 1)

static void test_500_readers_fit_and_one_more_is_refused(void)
{
	struct post_making making = hello(VISIBILITY_RECIPIENTS);
	uint8_t(*crowd)[NODE_KEY_LEN] = calloc(CROWD, sizeof(*crowd));
	struct made_post *made;

	for (unsigned i = 0; i < CROWD; i++) {
		uint8_t seed[NODE_KEY_SEED_LEN] = {7, (uint8_t)i, (uint8_t)(i >> 8)};
		struct node_key *key;

		CHECK_EQ(node_key_from_seed(seed, &key), 0);
		memcpy(crowd[i], node_key_public(key), NODE_KEY_LEN);
		node_key_free(key);
	}
	making.audience.readers = (const uint8_t(*)[NODE_KEY_LEN])crowd;
	making.audience.reader_cnt = CROWD;
	CHECK_EQ(social_post_make(&making, &drawn, &made), WEFT_EFULL);
	making.audience.reader_cnt = CROWD - 1;
	CHECK_EQ(social_post_make(&making, &drawn, &made), 0);
	CHECK_EQ(made->wrap_cnt, VISIBILITY_RECIPIENTS_MAX);
	CHECK(made->visibility_len <= VISIBILITY_LEN_MAX);
	social_made_post_free(made);
	/* The author among them is none more. */
	memcpy(crowd[CROWD - 1], node_key_public(author), NODE_KEY_LEN);
	making.audience.reader_cnt = CROWD;
	CHECK_EQ(social_post_make(&making, &drawn, &made), 0);
	social_made_post_free(made);
	free(crowd);
}

/* The longest text of a post whose encoding is full; found by what is left over. */
static size_t text_len_max(enum visibility_kind kind, char *text)
{
	struct post_making making = hello(kind);
	size_t low = 0, high = POST_LEN_MAX;

	making.text = text;
	while (low < high) {
		struct made_post *made;

		making.text_len = (low + high + 1) / 2;
		if (social_post_make(&making, &drawn, &made) == 0) {
			social_made_post_free(made);
			low = making.text_len;
		} else {
			high = making.text_len - 1;
		}
	}
	return low;
}

static void test_a_post_of_256_kib_fits_and_a_byte_more_is_refused(void)
{
	struct post_making making = hello(VISIBILITY_PUBLIC);
	char *text = malloc(POST_LEN_MAX + 1);
	struct made_post *made;

	memset(text, 'a', POST_LEN_MAX + 1);
	making.text = text;
	making.text_len = text_len_max(VISIBILITY_PUBLIC, text);
	CHECK_EQ(social_post_make(&making, &drawn, &made), 0);
	CHECK_EQ(made->post_len, POST_LEN_MAX);
	social_made_post_free(made);
	making.text_len++;
	CHECK_EQ(social_post_make(&making, &drawn, &made), WEFT_ETOOLARGE);
	making.text_len = POST_LEN_MAX + 1;
	CHECK_EQ(social_post_make(&making, &drawn, &made), WEFT_ETOOLARGE);
	/* base64 and the seal cost a third. */
	making = hello(VISIBILITY_RECIPIENTS);
	making.text = text;
	making.text_len = text_len_max(VISIBILITY_RECIPIENTS, text);
	CHECK(making.text_len > 196000 && making.text_len < 196608);
	making.text_len++;
	CHECK_EQ(social_post_make(&making, &drawn, &made), WEFT_ETOOLARGE);
	free(text);
}

static void test_what_no_reader_takes_is_not_made(void)
{
	static const uint8_t small_order[2][NODE_KEY_LEN] = {{1}, {0}};
	uint8_t mentions[POST_MENTIONS_MAX + 1][NODE_KEY_LEN] = {{0}};
	struct post_making making = hello(VISIBILITY_RECIPIENTS);
	struct made_post *made;

	making.audience.readers = small_order;
	making.audience.reader_cnt = 1;
	CHECK_EQ(social_post_make(&making, &drawn, &made), WEFT_EMALFORMED);
	making = hello(VISIBILITY_PUBLIC);
	making.text = "\xff\xfe";
	making.text_len = 2;
	CHECK_EQ(social_post_make(&making, &drawn, &made), WEFT_EMALFORMED);
	making = hello(VISIBILITY_PUBLIC);
	making.mentions = (const uint8_t(*)[NODE_KEY_LEN])mentions;
	making.mention_cnt = POST_MENTIONS_MAX + 1;
	CHECK_EQ(social_post_make(&making, &drawn, &made), WEFT_EMALFORMED);
	making.mention_cnt = POST_MENTIONS_MAX;
	CHECK_EQ(social_post_make(&making, &drawn, &made), 0);
	social_made_post_free(made);
}

static void test_an_edition_keeps_its_logical_id_and_names_the_one_before(void)
{
	struct post_making making = hello(VISIBILITY_PUBLIC);
	struct made_post *first, *second;
	struct post_claim claim;

	CHECK_EQ(social_post_make(&making, &drawn, &first), 0);
	making.text = "hullo";
	making.logical_id = first->logical_id;
	making.supersedes = first->id;
	CHECK_EQ(social_post_make(&making, &drawn, &second), 0);
	CHECK_EQ(social_claim_read(second->claim, second->claim_len, &claim), 0);
	CHECK_MEM(claim.logical_id, first->logical_id, POST_LOGICAL_ID_LEN);
	CHECK_MEM(claim.supersedes, first->id, POST_ID_LEN);
	CHECK(memcmp(first->id, second->id, POST_ID_LEN) != 0);
	social_made_post_free(first);
	social_made_post_free(second);
}

/* An author that lies about the text of a private post: one that is not UTF-8 is shown to none. */
static void test_a_sealed_text_that_is_not_utf8_is_refused(void)
{
	static const uint8_t key[CONTENT_KEY_LEN] = {3}, nonce[CONTENT_NONCE_LEN] = {4};
	struct post post = {.author = node_key_public(author)};
	char content[64], *text;
	size_t len;

	CHECK_EQ(social_content_seal(key, nonce, "\xff\xfe", 2, content), 0);
	post.content = content;
	post.content_len = strlen(content);
	CHECK_EQ(social_post_text(&post, VISIBILITY_RECIPIENTS, key, &text, &len), WEFT_EMALFORMED);
	/* Nor does one open that is cut, whatever its length. */
	CHECK_EQ(social_content_seal(key, nonce, "hello", 5, content), 0);
	for (post.content_len = 0; post.content_len < strlen(content); post.content_len++)
		CHECK(social_post_text(&post, VISIBILITY_RECIPIENTS, key, &text, &len) < 0);
	CHECK_EQ(social_post_text(&post, VISIBILITY_RECIPIENTS, key, &text, &len), 0);
	CHECK_STR(text, "hello");
	free(text);
}

int main(void)
{
	uint8_t seed[NODE_KEY_SEED_LEN] = {0};

	random_init_seeded(&drawn, 1);
	if (node_key_from_seed(seed, &author) < 0)
		return 1;
	for (unsigned i = 0; i < READERS; i++) {
		seed[0]++;
		if (node_key_from_seed(seed, &readers[i]) < 0)
			return 1;
		memcpy(reader_keys[i], node_key_public(readers[i]), NODE_KEY_LEN);
	}
	seed[0]++;
	if (node_key_from_seed(seed, &stranger) < 0 || ++seed[0] == 0 ||
	    node_key_from_seed(seed, &group_key) < 0)
		return 1;
	RUN(test_a_public_post_has_the_published_id);
	RUN(test_each_reader_and_the_author_open_a_private_post_and_no_other);
	RUN(test_a_group_post_has_one_wrap_and_opens_by_the_key_of_its_epoch);
	RUN(test_readers_named_twice_and_the_author_get_no_second_wrap);
	RUN(test_a_post_without_readers_is_its_authors_alone);
	RUN(test_500_readers_fit_and_one_more_is_refused);
	RUN(test_a_post_of_256_kib_fits_and_a_byte_more_is_refused);
	RUN(test_what_no_reader_takes_is_not_made);
	RUN(test_an_edition_keeps_its_logical_id_and_names_the_one_before);
	RUN(test_a_sealed_text_that_is_not_utf8_is_refused);
	node_key_free(author);
	node_key_free(stranger);
	node_key_free(group_key);
	for (unsigned i = 0; i < READERS; i++)
		node_key_free(readers[i]);
	return check_done();
}

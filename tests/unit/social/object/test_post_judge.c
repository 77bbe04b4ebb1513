/* SPDX-License-Identifier: Apache-2.0 */
#include "social/object/post_judge.h"

#include "support/check.h"

#define POST_CAP (POST_LEN_MAX + 4096)

static struct node_key *author, *other;
static uint8_t post_bytes[2][POST_CAP], claim_bytes[POST_CLAIM_LEN_MAX], sight_bytes[4096];
static struct visibility visibility;

/* Which key signs, and of which of two posts it is. */
struct made {
	const struct node_key *claim_key, *sight_key;
	unsigned claim_of, sight_of;
	size_t content_len;
};

static struct made sound(void)
{
	return (struct made){.claim_key = author, .sight_key = author, .content_len = 10};
}

static struct post_parts make(const struct made *made)
{
	static char content[POST_CAP];
	struct writer posts[2], claim = writer_of(claim_bytes, sizeof(claim_bytes));
	struct writer sight = writer_of(sight_bytes, sizeof(sight_bytes));
	uint8_t ids[2][POST_ID_LEN];
	static const uint8_t logical_id[POST_LOGICAL_ID_LEN] = {1};

	memset(content, 'a', sizeof(content));
	for (unsigned i = 0; i < 2; i++) {
		struct post post = {.author = node_key_public(author),
				    .time_ms = 1800000000000 + i,
				    .content = content,
				    .content_len = made->content_len};

		posts[i] = writer_of(post_bytes[i], sizeof(post_bytes[i]));
		social_post_write(&posts[i], &post);
		social_post_id(post_bytes[i], writer_len(&posts[i]), ids[i]);
	}
	social_claim_write(&claim,
			   &(struct post_claim){ids[made->claim_of], logical_id, NULL, NULL},
			   made->claim_key);
	memset(&visibility, 0, sizeof(visibility));
	visibility.post = ids[made->sight_of];
	social_visibility_write(&sight, &visibility, made->sight_key);
	return (struct post_parts){post_bytes[0],	  claim_bytes,	      sight_bytes,
				   writer_len(&posts[0]), writer_len(&claim), writer_len(&sight)};
}

static int judge(const struct post_parts *parts)
{
	struct judged_post *judged = NULL;
	int err = social_post_judge(parts, &judged);

	if ((judged != NULL) != (err == 0))
		abort();
	social_judged_free(judged);
	return err;
}

static void test_three_parts_of_one_post_and_author_are_one(void)
{
	struct made made = sound();
	struct post_parts parts = make(&made);
	struct judged_post *judged;
	uint8_t id[POST_ID_LEN];

	CHECK_EQ(social_post_judge(&parts, &judged), 0);
	social_post_id(parts.post, parts.post_len, id);
	CHECK_MEM(judged->id, id, POST_ID_LEN);
	CHECK_MEM(judged->post.author, node_key_public(author), NODE_KEY_LEN);
	CHECK_EQ(judged->visibility.kind, VISIBILITY_PUBLIC);
	social_judged_free(judged);
}

static void test_parts_that_do_not_belong_together_are_refused(void)
{
	static const struct {
		bool other_claims, other_shows;
		unsigned claim_of, sight_of;
		int want;
	} rows[] = {
		{true, false, 0, 0, WEFT_EWRONGKEY},   {false, true, 0, 0, WEFT_EWRONGKEY},
		{false, false, 1, 0, WEFT_EMALFORMED}, {false, false, 0, 1, WEFT_EMALFORMED},
		{true, true, 0, 0, WEFT_EWRONGKEY},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct made made = sound();
		struct post_parts parts;

		made.claim_key = rows[i].other_claims ? other : author;
		made.sight_key = rows[i].other_shows ? other : author;
		made.claim_of = rows[i].claim_of;
		made.sight_of = rows[i].sight_of;
		parts = make(&made);
		CHECK_EQ(judge(&parts), rows[i].want);
	}
}

static void test_no_altered_byte_and_no_shorter_part_passes(void)
{
	struct made made = sound();
	struct post_parts parts = make(&made);
	uint8_t *bytes[] = {post_bytes[0], claim_bytes, sight_bytes};
	size_t lens[] = {parts.post_len, parts.claim_len, parts.visibility_len};

	for (unsigned part = 0; part < 3; part++)
		for (size_t i = 0; i < lens[part]; i++) {
			struct post_parts cut = parts;
			size_t *cut_len = part == 0   ? &cut.post_len
					  : part == 1 ? &cut.claim_len
						      : &cut.visibility_len;

			bytes[part][i] ^= 4;
			CHECK(judge(&parts) < 0);
			bytes[part][i] ^= 4;
			*cut_len = i;
			CHECK(judge(&cut) < 0);
		}
	CHECK_EQ(judge(&parts), 0);
}

static void test_a_post_of_262144_bytes_is_one_and_a_byte_more_is_none(void)
{
	struct made made = sound();
	struct post_parts parts = make(&made);
	size_t beside = parts.post_len - made.content_len;

	/* A longer text has a longer head: four bytes more than one of ten. */
	made.content_len = POST_LEN_MAX - beside - 4;
	parts = make(&made);
	CHECK_EQ(parts.post_len, POST_LEN_MAX);
	CHECK_EQ(judge(&parts), 0);
	parts.post_len++;
	CHECK_EQ(judge(&parts), WEFT_ETOOLARGE);
}

int main(void)
{
	static const uint8_t seeds[2][NODE_KEY_SEED_LEN] = {{1}, {2}};

	if (node_key_from_seed(seeds[0], &author) < 0 || node_key_from_seed(seeds[1], &other) < 0)
		return 1;
	RUN(test_three_parts_of_one_post_and_author_are_one);
	RUN(test_parts_that_do_not_belong_together_are_refused);
	RUN(test_no_altered_byte_and_no_shorter_part_passes);
	RUN(test_a_post_of_262144_bytes_is_one_and_a_byte_more_is_none);
	node_key_free(author);
	node_key_free(other);
	return check_done();
}

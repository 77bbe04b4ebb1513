/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a reader that was taken off can open: with every key that it ever held, of every header, those
 * before and those behind.
 */
#include "social/revoke/reader_removal.h"

#include "base/random.h"
#include "support/check.h"
#include "support/seed.h"

#define PEOPLE	   12u
#define READERS	   VISIBILITY_RECIPIENTS_MAX
#define ROUNDS	   40u
#define TEXT	   "what was said among us"
#define CONTENT_AT (4 * ((sizeof(TEXT) - 1 + CONTENT_OVERHEAD + 2) / 3))

static struct node_key *people[PEOPLE]; /* the first is the author */
static struct random dice;
static struct visibility visibility, heard;
static uint8_t post_bytes[POST_LEN_MAX], vis_bytes[VISIBILITY_LEN_MAX];
static uint8_t next_post[POST_LEN_MAX], next_vis[VISIBILITY_LEN_MAX];
static char content[CONTENT_AT + 1];
static uint8_t key[CONTENT_KEY_LEN];
static uint8_t strangers[READERS][NODE_KEY_LEN];

static const uint8_t *person(unsigned i)
{
	return node_key_public(people[i]);
}

static void key_wrap_for(struct visibility_recipient *recipient, const uint8_t *reader)
{
	uint8_t nonce[CONTENT_NONCE_LEN], post_nonce[CONTENT_NONCE_LEN];
	struct content_wrap wrap = {person(0), recipient->reader, post_nonce};

	memcpy(recipient->reader, reader, NODE_KEY_LEN);
	random_fill(&dice, nonce, sizeof(nonce));
	if (social_content_nonce(content, strlen(content), post_nonce) < 0 ||
	    social_key_wrap(&wrap, people[0], key, nonce, recipient->wrapped) < 0)
		abort();
}

static int recipient_compare(const void *a, const void *b)
{
	return memcmp(a, b, NODE_KEY_LEN);
}

/* A post of the author for people [1, 1 + cnt), parsed from bytes that live on. */
static struct post post_make(unsigned cnt, uint8_t id[static POST_ID_LEN])
{
	struct post post = {.author = person(0), .time_ms = 1800000000000};
	uint8_t nonce[CONTENT_NONCE_LEN];
	struct writer w = writer_of(post_bytes, sizeof(post_bytes));

	random_fill(&dice, key, sizeof(key));
	random_fill(&dice, nonce, sizeof(nonce));
	if (social_content_seal(key, nonce, TEXT, strlen(TEXT), content) < 0)
		abort();
	post.content = content;
	post.content_len = strlen(content);
	social_post_write(&w, &post);
	social_post_id(post_bytes, writer_len(&w), id);
	visibility = (struct visibility){.post = id, .number = 3, .kind = VISIBILITY_RECIPIENTS};
	for (unsigned i = 0; i < cnt; i++)
		key_wrap_for(&visibility.recipients[i], person(1 + i));
	visibility.recipient_cnt = cnt;
	qsort(visibility.recipients, cnt, sizeof(visibility.recipients[0]), recipient_compare);
	return post;
}

static struct reader_removal removal_of(const uint8_t *removed)
{
	return (struct reader_removal){&visibility, removed, people[0], &dice};
}

/* Whether reader gets the key of said, with its own key or by any wrap that was for others. */
static bool opens(const struct visibility *said, const struct post *post, unsigned reader,
		  uint8_t out_key[static CONTENT_KEY_LEN])
{
	uint8_t nonce[CONTENT_NONCE_LEN];

	if (social_content_nonce(post->content, post->content_len, nonce) < 0)
		return false;
	for (unsigned i = 0; i < said->recipient_cnt; i++) {
		struct content_wrap as_other = {post->author, said->recipients[i].reader, nonce};
		struct content_wrap as_self = {post->author, person(reader), nonce};

		if (social_key_unwrap(&as_other, people[reader], said->recipients[i].wrapped,
				      out_key) == 0 ||
		    social_key_unwrap(&as_self, people[reader], said->recipients[i].wrapped,
				      out_key) == 0)
			return true;
	}
	return false;
}

static void test_a_reader_taken_off_opens_no_later_header_and_the_others_do(void)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned cnt = 1 + (unsigned)random_below(&dice, PEOPLE - 1);
		unsigned removed = 1 + (unsigned)random_below(&dice, cnt);
		struct writer w = writer_of(vis_bytes, sizeof(vis_bytes));
		uint8_t id[POST_ID_LEN], got[CONTENT_KEY_LEN];
		struct post post = post_make(cnt, id);
		struct reader_removal removal = removal_of(person(removed));

		CHECK(opens(&visibility, &post, removed, got));
		CHECK_EQ(social_wrap_anew(&removal, &post, &w), (int)cnt - 1);
		CHECK_EQ(social_visibility_read(vis_bytes, writer_len(&w), &heard), 0);
		CHECK_EQ(heard.number, 4);
		CHECK_MEM(heard.post, id, POST_ID_LEN);
		CHECK_EQ(heard.recipient_cnt, cnt > 1 ? cnt - 1 : 1);
		CHECK(!opens(&heard, &post, removed, got));
		for (unsigned i = 1; i <= cnt; i++) {
			CHECK(i == removed || opens(&heard, &post, i, got));
			CHECK(i == removed || memcmp(got, key, sizeof(key)) == 0);
		}
	}
}

/* The old key, which it has, is no key of the new post either. */
static void test_a_reader_opens_nothing_of_a_post_encrypted_anew(void)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned cnt = 2 + (unsigned)random_below(&dice, PEOPLE - 2);
		unsigned removed = 1 + (unsigned)random_below(&dice, cnt);
		struct writer p = writer_of(next_post, sizeof(next_post)),
			      v = writer_of(next_vis, sizeof(next_vis));
		uint8_t id[POST_ID_LEN], fresh[CONTENT_KEY_LEN], got[CONTENT_KEY_LEN];
		struct post post = post_make(cnt, id), next;
		struct reader_removal removal = removal_of(person(removed));
		struct sealed_anew made = {.text = TEXT,
					   .text_len = strlen(TEXT),
					   .key = fresh,
					   .post = &p,
					   .visibility = &v};
		char text[64] = "";
		struct writer out = writer_of(text, sizeof(text));

		random_fill(&dice, fresh, sizeof(fresh));
		CHECK_EQ(social_seal_anew(&removal, &post, &made), (int)cnt - 1);
		CHECK_EQ(social_post_parse(next_post, writer_len(&p), &next), 0);
		CHECK_EQ(next.time_ms, post.time_ms);
		CHECK_EQ(social_visibility_read(next_vis, writer_len(&v), &heard), 0);
		CHECK(!opens(&heard, &next, removed, got));
		CHECK_EQ(social_content_open(key, next.content, next.content_len, &out),
			 WEFT_EDAMAGED);
		for (unsigned i = 1; i <= cnt; i++)
			CHECK(i == removed || opens(&heard, &next, i, got));
		out = writer_of(text, sizeof(text));
		CHECK_EQ(social_content_open(got, next.content, next.content_len, &out), 0);
		CHECK_MEM(text, TEXT, strlen(TEXT));
	}
}

static void test_nothing_is_written_for_a_person_that_is_no_reader(void)
{
	struct writer w = writer_of(vis_bytes, sizeof(vis_bytes));
	uint8_t id[POST_ID_LEN];
	struct post post = post_make(3, id);
	struct reader_removal removal = removal_of(person(4));

	CHECK_EQ(social_wrap_anew(&removal, &post, &w), WEFT_EABSENT);
	CHECK_EQ(writer_len(&w), 0);
	visibility.kind = VISIBILITY_PUBLIC;
	removal.removed = person(1);
	CHECK_EQ(social_wrap_anew(&removal, &post, &w), WEFT_EABSENT);
}

static void test_another_author_s_post_is_not_wrapped_again(void)
{
	struct writer w = writer_of(vis_bytes, sizeof(vis_bytes));
	uint8_t id[POST_ID_LEN];
	struct post post = post_make(3, id);
	struct reader_removal removal = removal_of(person(1));

	removal.author = people[PEOPLE - 1];
	CHECK_EQ(social_wrap_anew(&removal, &post, &w), WEFT_EDAMAGED);
	removal = removal_of(person(1));
	post.content = "not sealed";
	post.content_len = strlen(post.content);
	CHECK_EQ(social_wrap_anew(&removal, &post, &w), WEFT_EMALFORMED);
}

/* Of 500 readers, the most that there are. */
static void test_the_largest_audience_loses_one(void)
{
	struct writer w = writer_of(vis_bytes, sizeof(vis_bytes));
	uint8_t id[POST_ID_LEN], removed[NODE_KEY_LEN];
	struct post post = post_make(1, id);
	struct reader_removal removal;

	for (unsigned i = 0; i < READERS; i++) {
		struct node_key *stranger;

		if (node_key_generate(&stranger) < 0)
			abort();
		memcpy(strangers[i], node_key_public(stranger), NODE_KEY_LEN);
		node_key_free(stranger);
		key_wrap_for(&visibility.recipients[i], strangers[i]);
	}
	visibility.recipient_cnt = READERS;
	qsort(visibility.recipients, READERS, sizeof(visibility.recipients[0]), recipient_compare);
	memcpy(removed, strangers[READERS / 2], sizeof(removed));
	removal = removal_of(removed);
	CHECK_EQ(social_wrap_anew(&removal, &post, &w), READERS - 1);
	CHECK_EQ(social_visibility_read(vis_bytes, writer_len(&w), &heard), 0);
	CHECK(!social_visibility_recipient(&heard, removed));
	CHECK_EQ(heard.recipient_cnt, READERS - 1);
}

int main(void)
{
	random_init_seeded(&dice, seed_of_run(1));
	for (unsigned i = 0; i < PEOPLE; i++)
		if (node_key_generate(&people[i]) < 0)
			return 1;
	RUN(test_a_reader_taken_off_opens_no_later_header_and_the_others_do);
	RUN(test_a_reader_opens_nothing_of_a_post_encrypted_anew);
	RUN(test_nothing_is_written_for_a_person_that_is_no_reader);
	RUN(test_another_author_s_post_is_not_wrapped_again);
	RUN(test_the_largest_audience_loses_one);
	for (unsigned i = 0; i < PEOPLE; i++)
		node_key_free(people[i]);
	return check_done();
}

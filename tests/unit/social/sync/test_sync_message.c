/* SPDX-License-Identifier: Apache-2.0 */
/* Messages 600 to 606: read as written, no part of one is one, and each limit holds. */
#include "social/sync/sync_message.h"

#include <stdlib.h>
#include <string.h>

#include "codec/cbor.h"
#include "mesh/seam.h"
#include "support/check.h"

static uint8_t bytes[2u << 20], source[1u << 20];
static struct sync_answer answer;
static struct sync_page page;

/* Keys that ascend, or ids. */
static const uint8_t *keys_of(unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++) {
		memset(source + i * 32, 0, 32);
		source[i * 32] = (uint8_t)(i >> 8);
		source[i * 32 + 1] = (uint8_t)i;
	}
	return source;
}

/* Each cut of what was written is refused, read from memory of just its length. */
static void cuts_are_refused(size_t len, int (*parse)(const void *bytes, size_t len))
{
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);

		memcpy(exact, bytes, cut);
		CHECK_EQ(parse(exact, cut), WEFT_EMALFORMED);
		free(exact);
	}
}

static int hello_parse(const void *data, size_t len)
{
	struct sync_hello hello;

	return social_sync_hello_parse(data, len, &hello);
}

static int answer_parse(const void *data, size_t len)
{
	return social_sync_answer_parse(data, len, &answer);
}

static int get_parse(const void *data, size_t len)
{
	struct sync_get get;

	return social_sync_get_parse(data, len, &get);
}

static int page_parse(const void *data, size_t len)
{
	return social_sync_page_parse(data, len, &page);
}

static int object_parse(const void *data, size_t len)
{
	struct sync_bytes object;

	return social_sync_object_parse(data, len, &object);
}

/* --- HELLO --- */

static size_t hello_written(const struct sync_hello *hello)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	social_sync_hello_write(&w, hello);
	return w.bad ? 0 : writer_len(&w);
}

static void test_a_greeting_is_read_as_written(void)
{
	struct sync_hello hello = {.follows = keys_of(3),
				   .follows_len = 96,
				   .more = true,
				   .proofs = {{source, 70}, {source, SYNC_PROOF_LEN_MAX}},
				   .proof_cnt = 2},
			  got;
	size_t len = hello_written(&hello);

	CHECK_EQ(social_sync_hello_parse(bytes, len, &got), 0);
	CHECK_EQ(got.follows_len, 96);
	CHECK_MEM(got.follows, source, 96);
	CHECK(got.more);
	CHECK_EQ(got.proof_cnt, 2);
	CHECK_EQ(got.proofs[1].len, SYNC_PROOF_LEN_MAX);
	CHECK_EQ(got.question, SYNC_GREET);
	cuts_are_refused(len, hello_parse);
}

static void test_a_question_for_a_list_is_read_as_written(void)
{
	struct sync_hello hello = {.question = SYNC_LIST,
				   .author = keys_of(1),
				   .cursor = {true, 1800000000000, {9}}},
			  got;
	size_t len = hello_written(&hello);

	CHECK_EQ(social_sync_hello_parse(bytes, len, &got), 0);
	CHECK_EQ(got.question, SYNC_LIST);
	CHECK(!got.follows);
	CHECK_MEM(got.author, source, 32);
	CHECK(got.cursor.is_set);
	CHECK_EQ(got.cursor.time_ms, 1800000000000);
	CHECK_EQ(got.cursor.id[0], 9);
	cuts_are_refused(len, hello_parse);
}

/* None at all is something else than none said. */
static void test_an_empty_list_of_follows_is_said(void)
{
	struct sync_hello hello = {.follows = source}, got;

	CHECK_EQ(social_sync_hello_parse(bytes, hello_written(&hello), &got), 0);
	CHECK(got.follows != NULL);
	CHECK_EQ(got.follows_len, 0);
}

static void test_a_hello_has_at_most_1024_follows(void)
{
	struct sync_hello hello = {.follows = keys_of(SYNC_FOLLOWS_PER_HELLO + 1)};

	hello.follows_len = SYNC_FOLLOWS_PER_HELLO * NODE_KEY_LEN;
	CHECK_EQ(hello_parse(bytes, hello_written(&hello)), 0);
	hello.follows_len += NODE_KEY_LEN;
	CHECK_EQ(hello_parse(bytes, hello_written(&hello)), WEFT_EMALFORMED);
	hello.follows_len = NODE_KEY_LEN + 1;
	CHECK_EQ(hello_written(&hello), 0);
}

/* A million ids are more than a request may have. */
static void test_a_hello_fits_a_request_with_all_that_it_may_have(void)
{
	struct sync_hello hello = {.question = SYNC_RANGES,
				   .follows = keys_of(10),
				   .follows_len = 320,
				   .ranges = source,
				   .ranges_len = RANGE_MESSAGE_MAX};

	CHECK(hello_written(&hello) <= MESH_ASK_LEN_MAX);
	CHECK_EQ(hello_parse(bytes, hello_written(&hello)), 0);
	hello.ranges_len++;
	CHECK_EQ(hello_parse(bytes, hello_written(&hello)), WEFT_EMALFORMED);
	hello = (struct sync_hello){.follows = keys_of(SYNC_FOLLOWS_PER_HELLO),
				    .follows_len = SYNC_FOLLOWS_PER_HELLO * NODE_KEY_LEN,
				    .proof_cnt = SYNC_PROOFS_MAX};
	for (unsigned i = 0; i < SYNC_PROOFS_MAX; i++)
		hello.proofs[i] = (struct sync_bytes){source, SYNC_PROOF_LEN_MAX};
	CHECK(hello_written(&hello) > 0 && hello_written(&hello) <= MESH_ASK_LEN_MAX);
}

static void test_a_hello_that_breaks_a_rule_is_refused(void)
{
	static const struct {
		const char *hex, *why;
	} rows[] = {
		{"a0", "no question"},
		{"a10303", "a question that there is not"},
		{"a10302", "ranges without a message"},
		{"a203000741ff", "a message of ranges in a greeting"},
		{"a201f50300", "more, and no follows"},
		{"a201f40300", "a flag that is false"},
		{"a203010500", "a place without its id"},
		{"a20300044161", "an author that is no key"},
		{"a2004161"
		 "0300",
		 "follows that are no keys"},
		{"a202810"
		 "00300",
		 "no bytes"},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t data[16];
		size_t len = strlen(rows[i].hex) / 2;

		for (size_t j = 0; j < len; j++) {
			unsigned byte;

			sscanf(rows[i].hex + 2 * j, "%2x", &byte);
			data[j] = (uint8_t)byte;
		}
		if (hello_parse(data, len) != WEFT_EMALFORMED)
			printf("# %s\n", rows[i].why);
		CHECK_EQ(hello_parse(data, len), WEFT_EMALFORMED);
	}
}

static void test_follows_ascend_and_are_there_once(void)
{
	struct sync_hello hello = {.follows = keys_of(2), .follows_len = 64};

	CHECK(hello_written(&hello) > 0);
	memcpy(source + 32, source, 32);
	CHECK_EQ(hello_written(&hello), 0);
	(void)keys_of(2);
	source[1] = 2;
	CHECK_EQ(hello_written(&hello), 0);
}

static void test_a_hello_has_at_most_16_proofs(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	for (unsigned cnt = SYNC_PROOFS_MAX; cnt <= SYNC_PROOFS_MAX + 1; cnt++) {
		w = writer_of(bytes, sizeof(bytes));
		cbor_write_map(&w, 2);
		cbor_write_uint(&w, 2);
		cbor_write_array(&w, cnt);
		for (unsigned i = 0; i < cnt; i++)
			cbor_write_bytes(&w, source, 1);
		cbor_field_uint(&w, 3, SYNC_GREET);
		CHECK_EQ(hello_parse(bytes, writer_len(&w)),
			 cnt == SYNC_PROOFS_MAX ? 0 : WEFT_EMALFORMED);
	}
}

/* --- POSTS --- */

static size_t answer_written(const struct sync_answer *said)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	social_sync_answer_write(&w, said);
	return w.bad ? 0 : writer_len(&w);
}

static void test_an_answer_has_at_most_9_address_records_of_640_bytes(void)
{
	struct sync_answer said = {.record_cnt = SYNC_RECORDS_MAX};
	struct writer w;

	for (unsigned i = 0; i < SYNC_RECORDS_MAX; i++)
		said.records[i] = (struct sync_bytes){source, SYNC_RECORD_LEN_MAX};
	CHECK_EQ(answer_parse(bytes, answer_written(&said)), 0);
	said.records[3].len++;
	CHECK_EQ(answer_parse(bytes, answer_written(&said)), WEFT_EMALFORMED);
	w = writer_of(bytes, sizeof(bytes));
	cbor_write_map(&w, 1);
	cbor_write_uint(&w, 7);
	cbor_write_array(&w, SYNC_RECORDS_MAX + 1);
	for (unsigned i = 0; i <= SYNC_RECORDS_MAX; i++)
		cbor_write_bytes(&w, source, 1);
	CHECK_EQ(answer_parse(bytes, writer_len(&w)), WEFT_EMALFORMED);
}

static void test_an_answer_is_read_as_written(void)
{
	static struct sync_answer said;
	size_t len;

	said = (struct sync_answer){.follows = keys_of(2),
				    .follows_len = 64,
				    .profiles = {{source, 5}},
				    .profile_cnt = 1,
				    .deletions = {{source, 7}, {source, 8}},
				    .deletion_cnt = 2,
				    .rows = source,
				    .rows_len = 3 * SYNC_ROW_LEN,
				    .cursor = {true, 5, {6}},
				    .ranges = source,
				    .ranges_len = 11,
				    .records = {{source, 9}, {source, SYNC_RECORD_LEN_MAX}},
				    .record_cnt = 2};
	len = answer_written(&said);
	CHECK_EQ(social_sync_answer_parse(bytes, len, &answer), 0);
	CHECK_EQ(answer.record_cnt, 2);
	CHECK_EQ(answer.records[1].len, SYNC_RECORD_LEN_MAX);
	CHECK_EQ(answer.follows_len, 64);
	CHECK_EQ(answer.profile_cnt, 1);
	CHECK_EQ(answer.deletion_cnt, 2);
	CHECK_EQ(answer.deletions[1].len, 8);
	CHECK_EQ(answer.rows_len, 3 * SYNC_ROW_LEN);
	CHECK_EQ(answer.cursor.time_ms, 5);
	CHECK_EQ(answer.ranges_len, 11);
	cuts_are_refused(len, answer_parse);
	/* Nothing to say is one byte. */
	said = (struct sync_answer){.follows = NULL};
	CHECK_EQ(answer_written(&said), 1);
	CHECK_EQ(answer_parse(bytes, 1), 0);
}

static void test_an_answer_has_at_most_10000_rows_and_fits_its_class(void)
{
	static struct sync_answer said;

	said = (struct sync_answer){.follows = keys_of(SYNC_FOLLOWS_MAX),
				    .follows_len = SYNC_FOLLOWS_MAX * NODE_KEY_LEN,
				    .rows = source,
				    .rows_len = SYNC_ROWS_MAX * SYNC_ROW_LEN};
	CHECK(answer_written(&said) > 0 && answer_written(&said) <= 1u << 20);
	CHECK_EQ(answer_parse(bytes, answer_written(&said)), 0);
	said.rows_len += SYNC_ROW_LEN;
	CHECK_EQ(answer_parse(bytes, answer_written(&said)), WEFT_EMALFORMED);
	said.rows_len = SYNC_ROW_LEN + 1;
	CHECK_EQ(answer_parse(bytes, answer_written(&said)), WEFT_EMALFORMED);
	said.rows_len = SYNC_ROW_LEN;
	said.follows = keys_of(SYNC_FOLLOWS_MAX + 1);
	said.follows_len += NODE_KEY_LEN;
	CHECK_EQ(answer_parse(bytes, answer_written(&said)), WEFT_EMALFORMED);
}

static void test_an_answer_has_at_most_8_profiles_and_64_deletions(void)
{
	for (unsigned key = 1; key <= 2; key++) {
		unsigned max = key == 1 ? SYNC_PROFILES_MAX : SYNC_DELETIONS_MAX;
		size_t len_max = key == 1 ? SYNC_PROFILE_LEN_MAX : SYNC_DELETION_LEN_MAX;

		for (unsigned more = 0; more <= 2; more++) {
			struct writer w = writer_of(bytes, sizeof(bytes));

			cbor_write_map(&w, 1);
			cbor_write_uint(&w, key);
			cbor_write_array(&w, max + more % 2);
			for (unsigned i = 0; i < max + more % 2; i++)
				cbor_write_bytes(&w, source, len_max + more / 2);
			CHECK_EQ(answer_parse(bytes, writer_len(&w)), more ? WEFT_EMALFORMED : 0);
		}
	}
}

/* --- POST_GET, POST_DATA, objects --- */

static size_t get_written(const struct sync_get *get)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	social_sync_get_write(&w, get);
	return w.bad ? 0 : writer_len(&w);
}

static void test_a_question_for_posts_has_at_most_64_of_each_kind(void)
{
	struct sync_get get = {.posts = keys_of(SYNC_GET_MAX + 1), .author = source}, got;

	get.visibilities = get.posts;
	get.posts_len = get.visibilities_len = SYNC_GET_MAX * POST_ID_LEN;
	CHECK_EQ(social_sync_get_parse(bytes, get_written(&get), &got), 0);
	CHECK_EQ(got.posts_len, get.posts_len);
	CHECK_EQ(got.visibilities_len, get.posts_len);
	CHECK_MEM(got.author, source, 32);
	get.posts_len += POST_ID_LEN;
	CHECK_EQ(get_parse(bytes, get_written(&get)), WEFT_EMALFORMED);
	get.posts_len = POST_ID_LEN;
	get.visibilities_len += POST_ID_LEN;
	CHECK_EQ(get_parse(bytes, get_written(&get)), WEFT_EMALFORMED);
	get.visibilities_len = POST_ID_LEN + 1;
	CHECK_EQ(get_parse(bytes, get_written(&get)), WEFT_EMALFORMED);
	get.visibilities_len = POST_ID_LEN;
	cuts_are_refused(get_written(&get), get_parse);
}

static size_t page_written(const struct sync_page *said)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	social_sync_page_write(&w, said);
	return w.bad ? 0 : writer_len(&w);
}

static void test_a_page_is_read_as_written(void)
{
	static struct sync_page said;
	struct sync_post *post = said.posts;
	size_t len;

	said.post_cnt = 2;
	said.has_rest = true;
	post[0] = (struct sync_post){source, {source, 90}, {source, 80}, {source, 70}};
	post[1] = (struct sync_post){.id = source, .visibility = {source, 60}};
	len = page_written(&said);
	CHECK(len <= SYNC_PAGE_HEAD_LEN + 2 * SYNC_POST_HEAD_LEN + 90 + 80 + 70 + 60);
	CHECK_EQ(social_sync_page_parse(bytes, len, &page), 0);
	CHECK_EQ(page.post_cnt, 2);
	CHECK(page.has_rest);
	CHECK_EQ(page.posts[0].post.len, 90);
	CHECK_EQ(page.posts[0].claim.len, 80);
	CHECK_EQ(page.posts[1].post.len, 0);
	CHECK_EQ(page.posts[1].visibility.len, 60);
	cuts_are_refused(len, page_parse);
	/* A post without its claim, or a claim alone. */
	post[0].claim.len = 0;
	CHECK_EQ(page_parse(bytes, page_written(&said)), WEFT_EMALFORMED);
	post[0].claim.len = 80;
	post[0].post.len = 0;
	CHECK_EQ(page_parse(bytes, page_written(&said)), WEFT_EMALFORMED);
}

static void test_a_post_of_a_page_has_at_most_256_kib_and_so_has_its_visibility(void)
{
	static struct sync_page said;
	struct sync_post *post = said.posts;

	said.post_cnt = 1;
	post[0] = (struct sync_post){source,
				     {source, POST_LEN_MAX},
				     {source, SYNC_DELETION_LEN_MAX},
				     {source, POST_LEN_MAX}};
	CHECK_EQ(page_parse(bytes, page_written(&said)), 0);
	post[0].post.len++;
	CHECK_EQ(page_parse(bytes, page_written(&said)), WEFT_EMALFORMED);
	post[0].post.len--;
	post[0].visibility.len++;
	CHECK_EQ(page_parse(bytes, page_written(&said)), WEFT_EMALFORMED);
	post[0].visibility.len--;
	post[0].claim.len++;
	CHECK_EQ(page_parse(bytes, page_written(&said)), WEFT_EMALFORMED);
}

static void test_an_object_has_at_most_64_kib(void)
{
	for (size_t len = SYNC_OBJECT_LEN_MAX; len <= SYNC_OBJECT_LEN_MAX + 1; len++) {
		struct writer w = writer_of(bytes, sizeof(bytes));

		social_sync_object_write(&w, source, len);
		CHECK_EQ(object_parse(bytes, writer_len(&w)),
			 len == SYNC_OBJECT_LEN_MAX ? 0 : WEFT_EMALFORMED);
		CHECK(writer_len(&w) <= MESH_ASK_LEN_MAX);
	}
	cuts_are_refused(64, object_parse);
}

/* --- proofs --- */

static void test_a_proof_is_good_for_its_session_alone(void)
{
	static const uint8_t session[SYNC_SESSION_LEN] = {1}, other[SYNC_SESSION_LEN] = {2};
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {5};
	struct sync_proof proof = {.group = {7}, .epoch = 9}, got;
	struct node_key *key;

	CHECK_EQ(node_key_from_seed(seed, &key), 0);
	for (unsigned is_group = 0; is_group < 2; is_group++) {
		struct writer w = writer_of(bytes, sizeof(bytes));
		struct sync_bytes said;

		proof.is_group = is_group;
		social_sync_proof_write(&w, &proof, session, key);
		CHECK(!w.bad);
		CHECK(writer_len(&w) <= SYNC_PROOF_LEN_MAX);
		said = (struct sync_bytes){bytes, writer_len(&w)};
		CHECK_EQ(social_sync_proof_read(&said, session, &got), 0);
		CHECK_EQ(got.is_group, is_group);
		CHECK_MEM(got.key, node_key_public(key), NODE_KEY_LEN);
		CHECK_EQ(got.epoch, is_group ? 9 : 0);
		CHECK_EQ(got.group[0], is_group ? 7 : 0);
		CHECK_EQ(social_sync_proof_read(&said, other, &got), WEFT_EREFUSED);
		for (size_t cut = 0; cut < writer_len(&w); cut++) {
			said.len = cut;
			CHECK_EQ(social_sync_proof_read(&said, session, &got), WEFT_EMALFORMED);
		}
		said.len = writer_len(&w);
		bytes[said.len - 1] ^= 1;
		CHECK_EQ(social_sync_proof_read(&said, session, &got), WEFT_EDAMAGED);
	}
	node_key_free(key);
}

int main(void)
{
	RUN(test_a_greeting_is_read_as_written);
	RUN(test_a_question_for_a_list_is_read_as_written);
	RUN(test_an_empty_list_of_follows_is_said);
	RUN(test_a_hello_has_at_most_1024_follows);
	RUN(test_a_hello_fits_a_request_with_all_that_it_may_have);
	RUN(test_a_hello_that_breaks_a_rule_is_refused);
	RUN(test_follows_ascend_and_are_there_once);
	RUN(test_a_hello_has_at_most_16_proofs);
	RUN(test_an_answer_is_read_as_written);
	RUN(test_an_answer_has_at_most_9_address_records_of_640_bytes);
	RUN(test_an_answer_has_at_most_10000_rows_and_fits_its_class);
	RUN(test_an_answer_has_at_most_8_profiles_and_64_deletions);
	RUN(test_a_question_for_posts_has_at_most_64_of_each_kind);
	RUN(test_a_page_is_read_as_written);
	RUN(test_a_post_of_a_page_has_at_most_256_kib_and_so_has_its_visibility);
	RUN(test_an_object_has_at_most_64_kib);
	RUN(test_a_proof_is_good_for_its_session_alone);
	return check_done();
}

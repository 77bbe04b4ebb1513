/* SPDX-License-Identifier: Apache-2.0 */
/* Messages 630 to 636: what is written is read, each limit and one more, and cut ones. */
#include "social/slots/social_slot_message.h"

#include <stdlib.h>
#include <string.h>

#include "codec/cbor.h"
#include "support/check.h"

static uint8_t bytes[SLOT_DIFF_LEN_MAX + 64 * SLOT_KEY_LEN], digest[SLOT_DIGEST_LEN_MAX + 1];
static uint8_t record[SLOT_RECORD_LEN_MAX + 1];
static struct slot_share share, share_read;
static struct slot_diff diff, diff_read;

static void nodes_fill(uint8_t (*nodes)[SLOT_KEY_LEN], unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++) {
		memset(nodes[i], 7, SLOT_KEY_LEN);
		nodes[i][0] = (uint8_t)i;
		nodes[i][1] = (uint8_t)(i >> 8);
	}
}

/* Every shorter prefix of a message is refused. */
#define CHECK_CUT(parse, len, out)                                                                 \
	for (size_t cut = 0; cut < (len); cut += (len) > 2000 ? 97 : 1) {                          \
		uint8_t *copy = malloc(cut ? cut : 1);                                             \
                                                                                                   \
		memcpy(copy, bytes, cut);                                                          \
		CHECK(parse(copy, cut, out) < 0);                                                  \
		free(copy);                                                                        \
	}

static void test_a_hail_is_read_as_written(void)
{
	struct slot_hail hail = {.flags = SLOT_FLAG_PREFERRED | SLOT_FLAG_ANCHOR,
				 .room = SLOT_ROOM_MAX,
				 .record = record,
				 .record_len = SLOT_RECORD_LEN_MAX};
	struct writer w = writer_of(bytes, SLOT_HAIL_LEN_MAX);
	struct slot_hail again;

	social_slot_hail_write(&w, &hail);
	CHECK(!w.bad);
	CHECK_EQ(social_slot_hail_parse(bytes, writer_len(&w), &again), 0);
	CHECK_EQ(again.flags, hail.flags);
	CHECK_EQ(again.room, hail.room);
	CHECK_EQ(again.record_len, hail.record_len);
	CHECK_CUT(social_slot_hail_parse, writer_len(&w), &again);

	hail.record_len++;
	w = writer_of(bytes, sizeof(bytes));
	social_slot_hail_write(&w, &hail);
	CHECK(w.bad || social_slot_hail_parse(bytes, writer_len(&w), &again) < 0);
	hail.record_len = 0;
	hail.record = NULL;
	hail.room = SLOT_ROOM_MAX + 1;
	w = writer_of(bytes, sizeof(bytes));
	social_slot_hail_write(&w, &hail);
	CHECK(w.bad || social_slot_hail_parse(bytes, writer_len(&w), &again) < 0);
}

/* An array of cnt node keys under key, in a map of two with a first number. */
static size_t ids_written(unsigned cnt)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	uint8_t node[SLOT_KEY_LEN] = {1};

	cbor_write_map(&w, 1);
	cbor_write_uint(&w, 0);
	cbor_write_array(&w, cnt);
	for (unsigned i = 0; i < cnt; i++)
		cbor_write_bytes(&w, node, sizeof(node));
	return w.bad ? 0 : writer_len(&w);
}

static void test_a_redirect_names_four_nodes_and_no_fifth(void)
{
	struct slot_redirect redirect = {.cnt = SLOT_REDIRECTS_MAX}, again;
	struct writer w = writer_of(bytes, SLOT_REDIRECT_LEN_MAX);

	nodes_fill(redirect.nodes, redirect.cnt);
	social_slot_redirect_write(&w, &redirect);
	CHECK(!w.bad);
	CHECK_EQ(social_slot_redirect_parse(bytes, writer_len(&w), &again), 0);
	CHECK_EQ(again.cnt, SLOT_REDIRECTS_MAX);
	CHECK_MEM(again.nodes, redirect.nodes, sizeof(again.nodes));
	CHECK_CUT(social_slot_redirect_parse, writer_len(&w), &again);
	CHECK_EQ(social_slot_redirect_parse(bytes, ids_written(0), &again), 0);
	CHECK_EQ(again.cnt, 0);
	CHECK_EQ(social_slot_redirect_parse(bytes, ids_written(4), &again), 0);
	CHECK(social_slot_redirect_parse(bytes, ids_written(5), &again) < 0);
}

static size_t share_written(unsigned cnt, size_t digest_len, uint32_t digest_cnt)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	share = (struct slot_share){.version = 1ull << 50, .room = 3};
	nodes_fill(share.nodes, cnt);
	share.cnt = cnt;
	share.digest = (struct slot_digest){digest_len ? digest : NULL, digest_len, digest_cnt};
	social_slot_share_write(&w, &share);
	return w.bad ? 0 : writer_len(&w);
}

static void test_a_share_has_256_nodes_and_a_digest(void)
{
	size_t len = share_written(SLOT_IDS_MAX, SLOT_DIGEST_LEN_MAX, 25000);

	CHECK(len > 0 && len <= SLOT_SHARE_LEN_MAX);
	CHECK_EQ(social_slot_share_parse(bytes, len, &share_read), 0);
	CHECK_EQ(share_read.cnt, SLOT_IDS_MAX);
	CHECK_EQ(share_read.version, share.version);
	CHECK_MEM(share_read.nodes, share.nodes, sizeof(share.nodes));
	CHECK_EQ(share_read.digest.cnt, 25000);
	CHECK_CUT(social_slot_share_parse, len, &share_read);
	len = share_written(1, SLOT_DIGEST_LEN_MAX + 1, 25000);
	CHECK(len == 0 || social_slot_share_parse(bytes, len, &share_read) < 0);
	/* A digest of nothing, and one of more nodes than it has bits. */
	len = share_written(1, 2, 16);
	CHECK_EQ(social_slot_share_parse(bytes, len, &share_read), 0);
	len = share_written(1, 2, 17);
	CHECK(social_slot_share_parse(bytes, len, &share_read) < 0);
	len = share_written(1, 2, 0);
	CHECK(social_slot_share_parse(bytes, len, &share_read) < 0);
	len = share_written(1, 0, 5);
	CHECK(social_slot_share_parse(bytes, len, &share_read) < 0);
}

static void test_a_share_of_257_nodes_is_malformed(void)
{
	size_t len = share_written(SLOT_IDS_MAX, 0, 0);
	uint8_t *at = memchr(bytes, 0x99, 32); /* an array of two bytes' length */

	CHECK(len > 0 && at && at[1] == 1 && at[2] == 0);
	memmove(at + 3 + 34, at + 3, len - (size_t)(at + 3 - bytes));
	at[2] = 1;
	CHECK(social_slot_share_parse(bytes, len + 34, &share_read) < 0);
	/* The same for one that has room. */
	len = share_written(SLOT_IDS_MAX - 1, 0, 0);
	at = memchr(bytes, 0x98, 32);
	CHECK(len > 0 && at && at[1] == 255);
}

/* The keys that a message may have: no address, and nothing that says why a node is there. */
static void test_a_share_has_node_keys_alone(void)
{
	size_t len = share_written(9, 0, 0);
	struct cbor_reader r;
	uint64_t key;

	cbor_reader_init(&r, bytes, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		if (key != 1) {
			CHECK_EQ(cbor_peek(&r), CBOR_UINT);
			(void)cbor_read_uint(&r);
			continue;
		}
		CHECK_EQ(cbor_enter_array(&r), 9);
		while (cbor_next(&r))
			CHECK(cbor_read_exactly(&r, SLOT_KEY_LEN) != NULL);
	}
	CHECK_EQ(cbor_reader_finish(&r), 0);
}

static size_t diff_written(void)
{
	struct writer w = writer_of(bytes, SLOT_DIFF_LEN_MAX);

	social_slot_diff_write(&w, &diff);
	return w.bad ? 0 : writer_len(&w);
}

static void test_a_diff_is_read_as_written(void)
{
	size_t len;

	diff = (struct slot_diff){.from = UINT64_MAX - 1,
				  .to = UINT64_MAX,
				  .added_cnt = SLOT_IDS_MAX,
				  .removed_cnt = SLOT_IDS_MAX,
				  .held = UINT64_MAX,
				  .room = SLOT_ROOM_MAX,
				  .anchor_cnt = SLOT_ANCHORS_MAX,
				  .digest = {digest, SLOT_DIGEST_LEN_MAX, 9999}};
	nodes_fill(diff.added, SLOT_IDS_MAX);
	nodes_fill(diff.removed, SLOT_IDS_MAX);
	for (unsigned i = 0; i < SLOT_ANCHORS_MAX; i++)
		diff.anchors[i] = (struct slot_anchor){diff.added[i], record, SLOT_RECORD_LEN_MAX};
	len = diff_written();
	CHECK(len > 0);
	CHECK_EQ(social_slot_diff_parse(bytes, len, &diff_read), 0);
	CHECK_EQ(diff_read.added_cnt, SLOT_IDS_MAX);
	CHECK_EQ(diff_read.removed_cnt, SLOT_IDS_MAX);
	CHECK_EQ(diff_read.anchor_cnt, SLOT_ANCHORS_MAX);
	CHECK_MEM(diff_read.anchors[3].key, diff.added[3], SLOT_KEY_LEN);
	CHECK_CUT(social_slot_diff_parse, len, &diff_read);
	/* Back in time. */
	diff.from = UINT64_MAX;
	diff.to = 0;
	CHECK(social_slot_diff_parse(bytes, diff_written(), &diff_read) < 0);
	/* What two neighbours send each two minutes while nothing changes. */
	diff = (struct slot_diff){
		.from = 1800000000000, .to = 1800000000000, .held = 1800000000000};
	CHECK(diff_written() <= 40);
}

static void test_a_query_and_its_answer_are_read_as_written(void)
{
	struct worm_query query = {
		.token = {1}, .kind = WORM_POST, .id = {2}, .hops = 2, .budget = 101};
	struct worm_query asked;
	struct worm_answer answer = {.is_found = true,
				     .has_node = true,
				     .node = {3},
				     .hops = 3,
				     .record = record,
				     .record_len = SLOT_RECORD_LEN_MAX},
			   said;
	struct writer w = writer_of(bytes, WORM_QUERY_LEN_MAX);

	social_worm_query_write(&w, &query);
	CHECK(!w.bad);
	CHECK_EQ(social_worm_query_parse(bytes, writer_len(&w), &asked), 0);
	CHECK_EQ(asked.budget, 101);
	CHECK_CUT(social_worm_query_parse, writer_len(&w), &asked);
	w = writer_of(bytes, WORM_ANSWER_LEN_MAX);
	social_worm_answer_write(&w, &answer);
	CHECK(!w.bad);
	CHECK_EQ(social_worm_answer_parse(bytes, writer_len(&w), &said), 0);
	CHECK_EQ(said.hops, 3);
	CHECK_CUT(social_worm_answer_parse, writer_len(&w), &said);
}

static void test_a_query_beyond_its_limits_is_malformed(void)
{
	static const struct {
		unsigned kind, hops, budget;
		bool want;
	} rows[] = {
		{1, 2, 101, true},  {2, 2, 101, false}, {1, 3, 101, false},
		{1, 2, 102, false}, {0, 0, 0, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct writer w = writer_of(bytes, sizeof(bytes));
		struct worm_query query;
		uint8_t id[SLOT_KEY_LEN] = {1};

		cbor_write_map(&w, 5);
		cbor_write_uint(&w, 0);
		cbor_write_bytes(&w, id, SLOT_TOKEN_LEN);
		cbor_write_uint(&w, 1);
		cbor_write_uint(&w, rows[i].kind);
		cbor_write_uint(&w, 2);
		cbor_write_bytes(&w, id, sizeof(id));
		cbor_write_uint(&w, 3);
		cbor_write_uint(&w, rows[i].hops);
		cbor_write_uint(&w, 4);
		cbor_write_uint(&w, rows[i].budget);
		CHECK_EQ(social_worm_query_parse(bytes, writer_len(&w), &query) == 0, rows[i].want);
	}
}

static void test_an_answer_that_found_nothing_names_no_node(void)
{
	struct worm_answer answer = {.is_found = false, .has_node = true, .node = {1}}, said;
	struct writer w = writer_of(bytes, sizeof(bytes));

	social_worm_answer_write(&w, &answer);
	CHECK(social_worm_answer_parse(bytes, writer_len(&w), &said) < 0);
	answer = (struct worm_answer){.is_found = true};
	w = writer_of(bytes, sizeof(bytes));
	social_worm_answer_write(&w, &answer);
	CHECK(social_worm_answer_parse(bytes, writer_len(&w), &said) < 0);
}

static void test_a_digest_has_what_was_added_and_little_else(void)
{
	static uint8_t bits[SLOT_DIGEST_LEN_MAX];
	const unsigned cnt = 2000;
	size_t len = social_slot_digest_len(cnt);
	unsigned false_cnt = 0;
	uint8_t key[SLOT_KEY_LEN] = {0};

	CHECK_EQ(len, 2500);
	CHECK(!social_slot_digest_has(bits, 0, key));
	for (unsigned i = 0; i < 2 * cnt; i++) {
		memcpy(key, &i, sizeof(i));
		if (i < cnt)
			social_slot_digest_add(bits, len, key);
	}
	for (unsigned i = 0; i < 2 * cnt; i++) {
		memcpy(key, &i, sizeof(i));
		if (i < cnt)
			CHECK(social_slot_digest_has(bits, len, key));
		else
			false_cnt += social_slot_digest_has(bits, len, key);
	}
	CHECK(false_cnt < cnt * 2 / 100);
	CHECK_EQ(social_slot_digest_len(UINT32_MAX), SLOT_DIGEST_LEN_MAX);
}

int main(void)
{
	RUN(test_a_hail_is_read_as_written);
	RUN(test_a_redirect_names_four_nodes_and_no_fifth);
	RUN(test_a_share_has_256_nodes_and_a_digest);
	RUN(test_a_share_of_257_nodes_is_malformed);
	RUN(test_a_share_has_node_keys_alone);
	RUN(test_a_diff_is_read_as_written);
	RUN(test_a_query_and_its_answer_are_read_as_written);
	RUN(test_a_query_beyond_its_limits_is_malformed);
	RUN(test_an_answer_that_found_nothing_names_no_node);
	RUN(test_a_digest_has_what_was_added_and_little_else);
	return check_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thousands of made-up items in one shard and queries of all kinds. The hits and their
 * points are compared with the rules of docs/search.md applied to each item by itself.
 */
#include "search/query/match.h"

#include "base/random.h"
#include "blobs/manifest/manifest.h"
#include "search/query/top_hits.h"
#include "search/index/index_shard.h"
#include "search/index/index_shard_builder.h"
#include "support/check.h"

#define ITEM_CNT  3000u
#define QUERY_CNT 400u
#define TEXT_CAP  96u

struct item {
	char folder[TEXT_CAP], name[TEXT_CAP], tag[TEXT_CAP];
	uint8_t content_id[32];
};

static struct item items[ITEM_CNT];
static struct random dice;

static const char *any_word(void)
{
	/* Words within, at the beginning of, and equal to each other. */
	static const char *const words[] = {"a",
					    "ab",
					    "abc",
					    "abcd",
					    "xabc",
					    "xabcx",
					    "bc",
					    "b",
					    "12",
					    "123",
					    "01234",
					    "tree",
					    "trees",
					    "stree",
					    "\xc3\xa9t\xc3\xa9",
					    "\xe6\x97\xa5\xe6\x9c\xac"};

	return words[random_below(&dice, sizeof(words) / sizeof(words[0]))];
}

static void items_make(void)
{
	for (uint32_t i = 0; i < ITEM_CNT; i++) {
		struct item *item = &items[i];

		/* Folders of several items in a row. */
		if (i % 37 == 0)
			snprintf(item->folder, TEXT_CAP, "%s/%s", any_word(), any_word());
		else
			memcpy(item->folder, item[-1].folder, TEXT_CAP);
		snprintf(item->name, TEXT_CAP, "%s%s%s", any_word(),
			 random_below(&dice, 2) ? "-" : "",
			 random_below(&dice, 2) ? any_word() : "");
		snprintf(item->tag, TEXT_CAP, "%s", random_below(&dice, 3) ? "" : any_word());
		random_fill(&dice, item->content_id, sizeof(item->content_id));
	}
}

static uint8_t *shard_make(size_t *out_len)
{
	static const uint64_t secret[2] = {4, 5};
	static const uint8_t id[32] = {1};
	struct shard_builder *builder;
	uint8_t *bytes = NULL;

	if (search_shard_builder_new(secret, &builder) < 0 ||
	    search_shard_builder_add_part(builder, id, 1 << 20))
		return NULL;
	for (uint32_t i = 0; i < ITEM_CNT; i++) {
		char path[2 * TEXT_CAP];
		struct manifest_tag tag = {items[i].tag, strlen(items[i].tag)};
		struct manifest_item item = {.content_id = items[i].content_id, .path = path};

		item.path_len = (size_t)snprintf(path, sizeof(path), "%s/%s", items[i].folder,
						 items[i].name);
		item.tags = tag.len ? &tag : NULL;
		item.tag_cnt = tag.len != 0;
		if (search_shard_builder_add_item(builder, &item, i) < 0)
			return NULL;
	}
	if (search_shard_builder_finish(builder, &bytes, out_len) < 0)
		return NULL;
	search_shard_builder_free(builder);
	return bytes;
}

/* The best of what the words of text give for a term. */
static uint32_t place_points(const char *text, const struct query_term *term, uint32_t whole,
			     uint32_t prefix, uint32_t inside)
{
	size_t off = 0, len;
	uint32_t best = 0;
	const char *word;

	while (fold_word(text, strlen(text), &off, &word, &len)) {
		const char *at = memmem(word, len, term->text, term->len);
		uint32_t points = !at				      ? 0
				  : len == term->len		      ? whole
				  : at == word			      ? prefix
				  : term->len >= QUERY_INSIDE_LEN_MIN ? inside
								      : 0;

		best = points > best ? points : best;
	}
	return best;
}

static bool name_is_query(const struct item *item, const char *query)
{
	size_t a_off = 0, b_off = 0, a_len, b_len;
	const char *a, *b;

	for (;;) {
		bool has_a = fold_word(item->name, strlen(item->name), &a_off, &a, &a_len);
		bool has_b = fold_word(query, strlen(query), &b_off, &b, &b_len);

		if (!has_a || !has_b)
			return has_a == has_b;
		if (a_len != b_len || memcmp(a, b, a_len) != 0)
			return false;
	}
}

static uint32_t points_by_rules(const struct item *item, const struct match_ask *ask,
				const char *text)
{
	const struct query *query = ask->query;
	uint32_t sum = 0;

	for (unsigned i = 0; i < query->term_cnt; i++) {
		const struct query_term *term = &query->terms[i];
		uint32_t points =
			place_points(item->name, term, MATCH_NAME_WHOLE, MATCH_NAME_PREFIX,
				     MATCH_NAME_INSIDE) +
			place_points(item->tag, term, MATCH_TAG_WHOLE, MATCH_TAG_PREFIX, 0) +
			place_points(item->folder, term, MATCH_FOLDER, MATCH_FOLDER, MATCH_FOLDER) +
			ask->bonus[i];

		if (points == 0)
			return 0;
		sum += points;
	}
	if (name_is_query(item, text))
		sum += (MATCH_NAME_EXACT - MATCH_NAME_WHOLE) * query->term_cnt;
	return sum * ask->weight;
}

static void test_what_is_found_is_what_the_rules_say(void)
{
	static uint32_t want[ITEM_CNT];
	static struct query query;
	struct matcher *matcher;
	struct shard shard;
	uint64_t found_cnt = 0;
	uint8_t *bytes;
	size_t len;

	random_init_seeded(&dice, 11);
	items_make();
	bytes = shard_make(&len);
	CHECK(bytes && search_shard_verify(bytes, len) == 0 &&
	      search_shard_open(bytes, len, &shard) == 0);
	CHECK_EQ(search_matcher_new(&matcher), 0);
	for (unsigned q = 0; q < QUERY_CNT; q++) {
		struct match_ask ask = {.query = &query, .weight = 1 + q % 3};
		uint64_t want_cnt = 0;
		struct rank rank;
		char text[4 * TEXT_CAP];

		snprintf(text, sizeof(text), "%s%s%s %s", any_word(), q % 2 ? " " : "",
			 q % 2 ? any_word() : "", q % 5 == 0 ? any_word() : "");
		CHECK_EQ(search_query_parse(text, strlen(text), &query), 0);
		ask.bonus[q % query.term_cnt] = q % 7 == 0 ? MATCH_TITLE : 0;
		for (uint32_t i = 0; i < ITEM_CNT; i++) {
			want[i] = points_by_rules(&items[i], &ask, text);
			want_cnt += want[i] != 0;
		}
		CHECK_EQ(search_rank_init(&rank, ITEM_CNT), 0);
		CHECK_EQ(search_match_shard(matcher, &shard, &ask, &rank), want_cnt);
		search_rank_finish(&rank);
		CHECK_EQ(rank.cnt, want_cnt);
		for (uint32_t i = 0; i < rank.cnt; i++) {
			const struct ranked_document *r = &rank.documents[i];

			CHECK_EQ(rank_score(r), want[r->document]);
			/* Of equal ones the first comes first. */
			CHECK(i == 0 || rank_score(&r[-1]) > rank_score(r) ||
			      (rank_score(&r[-1]) == rank_score(r) &&
			       r[-1].document < r->document));
		}
		found_cnt += want_cnt;
		search_rank_fini(&rank);
	}
	CHECK(found_cnt > QUERY_CNT * 100); /* it was about something */
	search_matcher_free(matcher);
	free(bytes);
}

static void test_a_rank_keeps_the_best_however_many_come(void)
{
	struct rank rank;

	CHECK_EQ(search_rank_init(&rank, 10), 0);
	for (uint32_t i = 0; i < 1000; i++) {
		uint32_t score = 1 + i * 7919 % 500;

		if (score > rank.bar)
			search_rank_add(&rank, score, 0, 0, i);
	}
	search_rank_finish(&rank);
	CHECK_EQ(rank.cnt, 10);
	for (uint32_t i = 0; i < 10; i++) {
		CHECK_EQ(rank_score(&rank.documents[i]), 500 - i / 2);
		CHECK_EQ(1 + rank.documents[i].document * 7919 % 500, 500 - i / 2);
		/* Each score came twice: the earlier one is in front. */
		CHECK(i % 2 == 0 || rank.documents[i - 1].document < rank.documents[i].document);
	}
	search_rank_fini(&rank);
}

static void test_a_shard_cut_short_or_changed_does_not_verify(void)
{
	struct shard shard;
	uint8_t *bytes;
	size_t len;

	random_init_seeded(&dice, 12);
	items_make();
	bytes = shard_make(&len);
	CHECK(bytes != NULL);
	for (size_t cut = 0; cut < len; cut += cut < 200 ? 1 : 997)
		CHECK_EQ(search_shard_open(bytes, cut, &shard), WEFT_EDAMAGED);
	for (size_t at = 0; at < len; at += at < 200 ? 1 : 997) {
		bytes[at] ^= 1;
		CHECK_EQ(search_shard_verify(bytes, len), WEFT_EDAMAGED);
		bytes[at] ^= 1;
	}
	CHECK_EQ(search_shard_verify(bytes, len), 0);
	free(bytes);
}

int main(void)
{
	RUN(test_what_is_found_is_what_the_rules_say);
	RUN(test_a_rank_keeps_the_best_however_many_come);
	RUN(test_a_shard_cut_short_or_changed_does_not_verify);
	return check_done();
}

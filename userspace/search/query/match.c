/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The query is matched word by word. Every word of the shard that has the query's word marks its
 * documents with how, a bit for each place. Then marks become points. Documents are looked at in
 * groups of 64, and only in groups in which something is marked. So a rare word costs only what
 * its few documents cost.
 */
#include "match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "top_hits.h"
#include "search/index/index_shard.h"

#define GROUP_LEN 64u
#define GROUP_CNT (SHARD_DOCUMENTS_MAX / GROUP_LEN)

enum mark {
	MARK_NAME_INSIDE = 1,
	MARK_NAME_PREFIX = 2,
	MARK_NAME_WHOLE = 4,
	MARK_TAG_PREFIX = 8,
	MARK_TAG_WHOLE = 16,
	MARK_FOLDER = 32,
	MARK_CNT = 64
};
/* Between rounds marks are zero, and sums outside of the groups that are alive, too. */
struct matcher {
	uint8_t marks[SHARD_DOCUMENTS_MAX];
	uint16_t sums[SHARD_DOCUMENTS_MAX];
	uint64_t marked[GROUP_CNT / 64]; /* groups with marks */
	uint64_t alive[GROUP_CNT / 64];	 /* groups with sums */
	uint8_t points[MARK_CNT];
};

static uint8_t points_of(unsigned marks)
{
	unsigned points = marks & MARK_NAME_WHOLE    ? MATCH_NAME_WHOLE
			  : marks & MARK_NAME_PREFIX ? MATCH_NAME_PREFIX
			  : marks & MARK_NAME_INSIDE ? MATCH_NAME_INSIDE
						     : 0;

	points += marks & MARK_TAG_WHOLE    ? MATCH_TAG_WHOLE
		  : marks & MARK_TAG_PREFIX ? MATCH_TAG_PREFIX
					    : 0;
	return (uint8_t)(points + (marks & MARK_FOLDER ? MATCH_FOLDER : 0));
}

int search_matcher_new(struct matcher **out_matcher)
{
	struct matcher *matcher = calloc(1, sizeof(*matcher));

	if (!matcher)
		return -ENOMEM;
	for (unsigned marks = 0; marks < MARK_CNT; marks++)
		matcher->points[marks] = points_of(marks);
	*out_matcher = matcher;
	return 0;
}

void search_matcher_free(struct matcher *matcher)
{
	free(matcher);
}

/* --- marking --- */

static void groups_set(uint64_t *groups, uint32_t first, uint32_t last)
{
	for (uint32_t g = first; g <= last; g++)
		groups[g / 64] |= 1ull << g % 64;
}

static void list_mark(struct matcher *m, struct postings *list, uint32_t document_cnt, uint8_t mark)
{
	struct posting_run run;

	while (search_postings_next(list, &run)) {
		if (run.first >= document_cnt || run.cnt > document_cnt - run.first)
			return;
		for (uint32_t d = run.first; d < run.first + run.cnt; d++)
			m->marks[d] |= mark;
		groups_set(m->marked, run.first / GROUP_LEN, (run.first + run.cnt - 1) / GROUP_LEN);
	}
}

static void word_mark(struct matcher *m, const struct shard *shard, const uint8_t *at,
		      uint8_t name_mark, uint8_t tag_mark)
{
	const uint8_t *end = shard->postings + shard->head.postings_len;
	struct postings lists[POSTING_FIELD_CNT];

	if (!search_postings_open(&at, end, lists))
		return;
	list_mark(m, &lists[POSTING_NAME], shard->head.document_cnt, name_mark);
	list_mark(m, &lists[POSTING_FOLDER], shard->head.document_cnt, MARK_FOLDER);
	if (tag_mark)
		list_mark(m, &lists[POSTING_TAG], shard->head.document_cnt, tag_mark);
}

static void term_mark(struct matcher *m, const struct shard *shard, const struct query_term *term)
{
	struct shard_word word;
	size_t off = 0;
	bool has;

	for (has = search_shard_word_seek(shard, term->text, term->len, &word);
	     has && word.len >= term->len && memcmp(word.text, term->text, term->len) == 0;
	     has = search_shard_word_next(shard, &word)) {
		bool is_whole = word.len == term->len;

		word_mark(m, shard, word.postings, is_whole ? MARK_NAME_WHOLE : MARK_NAME_PREFIX,
			  is_whole ? MARK_TAG_WHOLE : MARK_TAG_PREFIX);
	}
	if (term->len < QUERY_INSIDE_LEN_MIN)
		return;
	while (search_shard_word_within(shard, term->text, term->len, &off, &word))
		if (memcmp(word.text, term->text, term->len) != 0)
			word_mark(m, shard, word.postings, MARK_NAME_INSIDE, 0);
}

/* --- points --- */

static bool has_any(const void *bytes)
{
	uint64_t all;

	memcpy(&all, bytes, sizeof(all));
	return all != 0;
}

/*
 * The sums of a group of cnt documents after a further word; false: none is left. The
 * first word begins them. Most groups have few documents that are marked, so eight are
 * passed over at once.
 */
static bool group_sum(struct matcher *m, uint32_t group, uint32_t cnt, uint32_t bonus,
		      bool is_first)
{
	uint8_t *marks = m->marks + (size_t)group * GROUP_LEN;
	uint16_t *sums = m->sums + (size_t)group * GROUP_LEN;
	unsigned any = 0;

	for (uint32_t i = 0; i < cnt; i += 8) {
		if (!bonus && !has_any(marks + i)) {
			memset(sums + i, 0, 8 * sizeof(*sums));
			continue;
		}
		for (uint32_t k = i; k < i + 8 && k < cnt; k++) {
			unsigned points = m->points[marks[k]] + bonus;

			sums[k] =
				(uint16_t)(points && (is_first || sums[k]) ? sums[k] + points : 0);
			any |= sums[k];
		}
	}
	memset(marks, 0, GROUP_LEN);
	return any != 0;
}

/* Whether any document is left. */
static bool term_sum(struct matcher *m, uint32_t document_cnt, uint32_t bonus, bool is_first)
{
	uint32_t group_cnt = (document_cnt + GROUP_LEN - 1) / GROUP_LEN;
	uint64_t left = 0;

	for (uint32_t word = 0; word * 64 < group_cnt; word++) {
		/* A bonus is for all of the share. */
		uint64_t todo = is_first ? (bonus ? UINT64_MAX : m->marked[word]) : m->alive[word];
		uint64_t marked = m->marked[word] & ~todo;

		for (; todo; todo &= todo - 1) {
			uint64_t bit = todo & -todo;
			uint32_t group = word * 64 + (uint32_t)__builtin_ctzll(todo);
			uint32_t cnt = document_cnt - group * GROUP_LEN;

			if (group >= group_cnt)
				break;
			if (group_sum(m, group, cnt < GROUP_LEN ? cnt : GROUP_LEN, bonus, is_first))
				m->alive[word] |= bit;
			else
				m->alive[word] &= ~bit;
		}
		/* Marks of documents that an earlier word ruled out. */
		for (; marked; marked &= marked - 1)
			memset(m->marks + (word * 64 + (size_t)__builtin_ctzll(marked)) * GROUP_LEN,
			       0, GROUP_LEN);
		m->marked[word] = 0;
		left |= m->alive[word];
	}
	return left != 0;
}

static bool is_blocked(const struct match_blocked *blocked, const uint8_t prefix[static 8])
{
	size_t low = 0, high = blocked->cnt;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = memcmp(blocked->prefixes[mid], prefix, 8);

		if (order == 0)
			return true;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

static uint64_t group_rank(struct matcher *m, uint32_t group, const struct shard *shard,
			   const struct match_ask *ask, struct rank *rank)
{
	const uint32_t exact = (MATCH_NAME_EXACT - MATCH_NAME_WHOLE) * ask->query->term_cnt;
	uint16_t *sums = m->sums + (size_t)group * GROUP_LEN;
	uint64_t found_cnt = 0;
	uint32_t score;

	for (uint32_t i = 0; i < GROUP_LEN; i++) {
		uint32_t document = group * GROUP_LEN + i;
		struct shard_document d;

		if (i % 4 == 0 && !has_any(sums + i))
			i += 3;
		if (!sums[i])
			continue;
		/* A document that cannot come in even by its name is not looked at. */
		if ((sums[i] + exact) * ask->weight <= rank->bar && !ask->blocked.cnt) {
			found_cnt++;
			continue;
		}
		d = shard_document(shard, document);
		if (is_blocked(&ask->blocked, d.content_prefix))
			continue;
		found_cnt++;
		score = (sums[i] + (d.name_hash == ask->query->name_hash ? exact : 0)) *
			ask->weight;
		if (score > rank->bar)
			search_rank_add(rank, score, ask->share, ask->shard_idx, document);
	}
	memset(sums, 0, GROUP_LEN * sizeof(*sums));
	return found_cnt;
}

uint64_t search_match_shard(struct matcher *m, const struct shard *shard,
			    const struct match_ask *ask, struct rank *rank)
{
	uint64_t found_cnt = 0;

	for (unsigned i = 0; i < ask->query->term_cnt; i++) {
		term_mark(m, shard, &ask->query->terms[i]);
		if (!term_sum(m, shard->head.document_cnt, ask->bonus[i], i == 0))
			return 0;
	}
	for (uint32_t word = 0; word < GROUP_CNT / 64; word++) {
		for (; m->alive[word]; m->alive[word] &= m->alive[word] - 1)
			found_cnt +=
				group_rank(m, word * 64 + (uint32_t)__builtin_ctzll(m->alive[word]),
					   shard, ask, rank);
	}
	return found_cnt;
}

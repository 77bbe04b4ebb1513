/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SEARCH_QUERY_MATCH_H
#define WEFT_SEARCH_QUERY_MATCH_H

#include <stddef.h>
#include <stdint.h>

#include "search_words.h"
#include "weft/err.h"

struct rank;
struct shard;

/*
 * Scores the documents of a shard against a query. Each word of the query gives the points of
 * its best place. The places are the name, the best of the tags, the folders, and the share's
 * title and description. A document without the word is out. The sum is multiplied by the weight
 * of the share.
 */
#define MATCH_NAME_EXACT  100u /* the name is the query, word for word: for each word */
#define MATCH_NAME_WHOLE  85u
#define MATCH_NAME_PREFIX 65u
#define MATCH_NAME_INSIDE 45u
#define MATCH_TAG_WHOLE	  30u
#define MATCH_TAG_PREFIX  20u
#define MATCH_TITLE	  12u
#define MATCH_FOLDER	  12u /* anywhere in the name of a folder that it is in */
#define MATCH_DESCRIPTION 8u

/* The hidden documents, by the first bytes of content ids, ascending. */
struct match_blocked {
	const uint8_t (*prefixes)[8];
	size_t cnt;
};

struct match_ask {
	const struct query *query;
	uint32_t weight;		 /* in percent */
	uint32_t bonus[QUERY_TERMS_MAX]; /* of each word, by title and description */
	struct match_blocked blocked;
	uint32_t share, shard_idx; /* for the rank */
};

/* Its memory, laid out for the largest shard and touched as documents match. One thread uses it. */
struct matcher;
#define MATCHER_LEN (4ull * (128u << 10)) /* bytes, about */
WEFT_MUST_CHECK
int search_matcher_new(struct matcher **out_matcher);
void search_matcher_free(struct matcher *matcher);
/* search_match_shard adds to rank what is found, and returns how many that are. */
uint64_t search_match_shard(struct matcher *matcher, const struct shard *shard,
			    const struct match_ask *ask, struct rank *rank);

#endif

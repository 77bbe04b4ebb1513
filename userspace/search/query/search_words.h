/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SEARCH_QUERY_SEARCH_WORDS_H
#define WEFT_SEARCH_QUERY_SEARCH_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/text/casefold.h"
#include "weft/err.h"

/*
 * A query: the words of a text, folded as those of the index are. There are no operators: an
 * item is found when it has all words. It has a word whole, at the beginning of one of its own
 * or, from QUERY_INSIDE_LEN_MIN bytes, within one.
 */
#define QUERY_TEXT_LEN_MAX   512u
#define QUERY_TERMS_MAX	     16u
#define QUERY_INSIDE_LEN_MIN 3u /* bytes: three letters of Latin, one of Chinese */
#define QUERY_FOLDED_CAP     (QUERY_TEXT_LEN_MAX * FOLD_GROWTH_MAX)

struct query_term {
	const char *text; /* in the query's folded text */
	size_t len;
};
/* Is not copied: terms point into it. */
struct query {
	struct query_term terms[QUERY_TERMS_MAX]; /* no two are the same */
	unsigned term_cnt;
	uint32_t name_hash; /* of an item whose name is just the text (index_shard.h) */
	char folded[QUERY_FOLDED_CAP];
};

/*
 * search_query_parse: 0, WEFT_ETOOLARGE (bytes or words), WEFT_EMALFORMED (not UTF-8),
 * WEFT_EABSENT (no word is in it) or -ENOMEM.
 */
WEFT_MUST_CHECK
int search_query_parse(const char *text, size_t len, struct query *out_query);

#endif

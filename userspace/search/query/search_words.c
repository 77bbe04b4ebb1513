/* SPDX-License-Identifier: Apache-2.0 */
/* The words of a query (search_words.h). */
#include "search_words.h"

#include <string.h>

#include "search/index/index_shard.h"

static bool query_has(const struct query *query, const char *text, size_t len)
{
	for (unsigned i = 0; i < query->term_cnt; i++)
		if (query->terms[i].len == len && memcmp(query->terms[i].text, text, len) == 0)
			return true;
	return false;
}

int search_query_parse(const char *text, size_t len, struct query *out_query)
{
	char words[2 * QUERY_FOLDED_CAP];
	size_t words_len = 0, off = 0, word_len;
	const char *word;
	int folded_len;

	if (len > QUERY_TEXT_LEN_MAX)
		return WEFT_ETOOLARGE;
	folded_len = fold_text(text, len, out_query->folded, sizeof(out_query->folded));
	if (folded_len < 0)
		return folded_len;
	out_query->term_cnt = 0;
	while (fold_word(out_query->folded, (size_t)folded_len, &off, &word, &word_len)) {
		word_len = search_shard_word_cut(word, word_len);
		memcpy(words + words_len, word, word_len);
		words[words_len + word_len] = ' ';
		words_len += word_len + 1;
		if (query_has(out_query, word, word_len))
			continue;
		if (out_query->term_cnt == QUERY_TERMS_MAX)
			return WEFT_ETOOLARGE;
		out_query->terms[out_query->term_cnt++] = (struct query_term){word, word_len};
	}
	out_query->name_hash = search_shard_name_hash(words, words_len);
	return out_query->term_cnt ? 0 : WEFT_EABSENT;
}

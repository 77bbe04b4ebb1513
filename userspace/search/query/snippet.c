/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of texts with what was looked for (snippet.h). */
#include "snippet.h"

#include <string.h>

#include "codec/text/casefold.h"
#include "search_words.h"
#include "search/index/index_shard.h"

#define BEFORE_LEN 40u /* bytes before the first marked word */

/* Words of more than this are not marked: no user reads them. */
#define WORD_LEN_MAX SHARD_WORD_LEN_MAX

static bool word_is_asked(const struct query *query, const char *word, size_t len)
{
	char folded[WORD_LEN_MAX * FOLD_GROWTH_MAX];
	int folded_len = len <= WORD_LEN_MAX ? fold_text(word, len, folded, sizeof(folded)) : -1;

	for (unsigned i = 0; i < query->term_cnt && folded_len > 0; i++) {
		const struct query_term *term = &query->terms[i];

		if (term->len < QUERY_INSIDE_LEN_MIN
			    ? (size_t)folded_len >= term->len &&
				      memcmp(folded, term->text, term->len) == 0
			    : memmem(folded, (size_t)folded_len, term->text, term->len) != NULL)
			return true;
	}
	return false;
}

static size_t char_begin(const char *text, size_t off)
{
	while (off > 0 && ((unsigned char)text[off] & 0xc0) == 0x80)
		off--;
	return off;
}

/* Where the part begins: at a word before the first marked one, or at 0. */
static size_t part_begin(const char *text, size_t len, const struct query *query)
{
	size_t off = 0, word_len, back;
	const char *word;

	while (fold_word(text, len, &off, &word, &word_len)) {
		size_t at = (size_t)(word - text);

		if (!word_is_asked(query, word, word_len))
			continue;
		if (at + word_len <= SNIPPET_LEN_MAX)
			return 0;
		back = char_begin(text, at > BEFORE_LEN ? at - BEFORE_LEN : 0);
		/* Not in the middle of a word, if one begins in there. */
		for (size_t i = back; i < at; i++)
			if (text[i] == ' ' || text[i] == '/' || text[i] == '\n')
				return i + 1;
		return back;
	}
	return 0;
}

void search_snippet_make(const char *text, size_t len, const struct query *query,
			 struct snippet *out_snippet)
{
	struct snippet *s = out_snippet;
	size_t begin = len > SNIPPET_LEN_MAX ? part_begin(text, len, query) : 0;
	size_t part_len = len - begin, off = 0, word_len;
	const char *word;

	if (part_len > SNIPPET_LEN_MAX)
		part_len = char_begin(text, begin + SNIPPET_LEN_MAX) - begin;
	*s = (struct snippet){.is_cut_before = begin > 0, .is_cut_behind = begin + part_len < len};
	memcpy(s->text, text + begin, part_len);
	while (s->mark_cnt < SNIPPET_MARKS_MAX &&
	       fold_word(s->text, part_len, &off, &word, &word_len))
		if (word_is_asked(query, word, word_len)) {
			s->marks[s->mark_cnt].off = (uint8_t)(word - s->text);
			s->marks[s->mark_cnt++].len = (uint8_t)word_len;
		}
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SEARCH_QUERY_SNIPPET_H
#define WEFT_SEARCH_QUERY_SNIPPET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct query;

/*
 * A part of a text, with the words that a query is about. The words are shown as they are
 * written, each as a whole, when a word of the query is in their folded form.
 */
#define SNIPPET_LEN_MAX	  160u
#define SNIPPET_MARKS_MAX 16u

struct snippet {
	char text[SNIPPET_LEN_MAX + 1];
	bool is_cut_before, is_cut_behind;
	uint8_t mark_cnt;
	struct {
		uint8_t off, len; /* bytes of text */
	} marks[SNIPPET_MARKS_MAX];
};

/*
 * search_snippet_make: of a text longer than a snippet, that which begins a few words before
 * the first marked one. A text without any marked word gives its beginning.
 */
void search_snippet_make(const char *text, size_t len, const struct query *query,
			 struct snippet *out_snippet);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "social/read/feed_filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/text/casefold.h"
#include "codec/text/utf8.h"

_Static_assert(FOLD_GROWTH_MAX == 11u, "as the texts of struct feed_filter have it");

/* From so many bytes on a word is found inside another one, as in search/. */
#define INSIDE_LEN_MIN 3u

static const struct {
	const char *word;
	unsigned trait;
} traits[] = {
	{"is:unread", FEED_UNREAD},   {"is:public", FEED_PUBLIC},
	{"is:private", FEED_PRIVATE}, {"is:reply", FEED_REPLY},
	{"is:mention", FEED_MENTION}, {"is:own", FEED_OWN},
	{"is:edited", FEED_EDITED},   {"has:attachment", FEED_ATTACHMENT},
};

/* --- parsing --- */

struct parsing {
	struct feed_filter *filter;
	char *end; /* of the texts in use */
};

static bool span_begins(const char *text, size_t len, const char *with)
{
	return len > strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

static int term_add(struct parsing *parsing, struct feed_term term, const char *text, size_t len)
{
	struct feed_filter *filter = parsing->filter;

	if (filter->term_cnt == FILTER_TERMS_MAX)
		return WEFT_ETOOLARGE;
	memcpy(parsing->end, text, len);
	parsing->end[len] = '\0';
	term.text = parsing->end;
	parsing->end += len + 1;
	filter->terms[filter->term_cnt++] = term;
	return 0;
}

/* The words of what was typed, which may be several: "to-do". */
static int words_add(struct parsing *parsing, bool is_negated, const char *text, size_t len)
{
	const struct feed_term term = {.kind = FEED_TERM_WORD, .is_negated = is_negated};
	char folded[FILTER_LEN_MAX * FOLD_GROWTH_MAX];
	int folded_len = fold_text(text, len, folded, sizeof(folded));
	size_t off = 0, word_len;
	const char *word;
	int err = folded_len < 0 ? folded_len : 0;

	while (err == 0 && fold_word(folded, (size_t)folded_len, &off, &word, &word_len))
		err = term_add(parsing, term, word, word_len);
	return err;
}

static int trait_add(struct parsing *parsing, bool is_negated, const char *text, size_t len)
{
	struct feed_term term = {.kind = FEED_TERM_TRAIT, .is_negated = is_negated};

	for (size_t i = 0; i < sizeof(traits) / sizeof(traits[0]); i++)
		if (strlen(traits[i].word) == len && memcmp(traits[i].word, text, len) == 0)
			term.trait = traits[i].trait;
	return term.trait ? term_add(parsing, term, text, len) : WEFT_EMALFORMED;
}

static int span_add(struct parsing *parsing, const char *text, size_t len)
{
	static const char from[] = "from:", circle[] = "circle:";
	struct feed_term term = {.is_negated = *text == '-' && len > 1};

	text += term.is_negated;
	len -= term.is_negated;
	if (span_begins(text, len, "is:") || span_begins(text, len, "has:"))
		return trait_add(parsing, term.is_negated, text, len);
	if (span_begins(text, len, from)) {
		term.kind = FEED_TERM_FROM;
		return term_add(parsing, term, text + strlen(from), len - strlen(from));
	}
	if (span_begins(text, len, circle)) {
		term.kind = FEED_TERM_CIRCLE;
		return term_add(parsing, term, text + strlen(circle), len - strlen(circle));
	}
	return words_add(parsing, term.is_negated, text, len);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

int social_filter_parse(const char *text, size_t len, struct feed_filter *out_filter,
			const char **out_bad)
{
	struct parsing parsing = {out_filter, out_filter->texts};
	const char *at = text, *end = text + len;
	int err = 0;

	*out_bad = NULL;
	if (len > FILTER_LEN_MAX)
		return WEFT_ETOOLARGE;
	if (!utf8_is_valid(text, len) || memchr(text, '\0', len))
		return WEFT_EMALFORMED;
	out_filter->term_cnt = 0;
	while (err == 0 && at < end) {
		const char *begin = at;

		while (at < end && !is_space(*at))
			at++;
		if (at > begin && (err = span_add(&parsing, begin, (size_t)(at - begin))) < 0)
			*out_bad = begin;
		while (at < end && is_space(*at))
			at++;
	}
	if (err < 0)
		return err;
	return out_filter->term_cnt ? 0 : WEFT_EABSENT;
}

/* --- looking at a post --- */

/* The text of a post, folded when a term needs it first. */
struct folded {
	char *text;
	size_t len;
	bool is_made;
};

static bool folded_make(struct folded *folded, const struct feed_subject *subject)
{
	size_t cap = subject->text_len * FOLD_GROWTH_MAX + 1;
	int len;

	if (folded->is_made)
		return folded->text != NULL;
	folded->is_made = true;
	/* As much as could be; what is not written to is not there. */
	if (!(folded->text = malloc(cap)))
		return false;
	len = fold_text(subject->text, subject->text_len, folded->text, cap);
	folded->len = len < 0 ? 0 : (size_t)len;
	return true;
}

static bool word_is_in(const struct folded *folded, const char *wanted)
{
	size_t wanted_len = strlen(wanted), off = 0, len;
	const char *word;

	while (fold_word(folded->text, folded->len, &off, &word, &len)) {
		if (len >= wanted_len && memcmp(word, wanted, wanted_len) == 0)
			return true;
		if (wanted_len >= INSIDE_LEN_MIN && memmem(word, len, wanted, wanted_len))
			return true;
	}
	return false;
}

static bool term_fits(const struct feed_term *term, const struct feed_subject *subject,
		      const struct feed_names *names, const struct folded *folded)
{
	switch (term->kind) {
	case FEED_TERM_FROM:
		return names->is_person(names->ctx, term->text, subject->author);
	case FEED_TERM_CIRCLE:
		return names->is_member(names->ctx, term->text, subject->author);
	case FEED_TERM_TRAIT:
		return (subject->traits & term->trait) != 0;
	default:
		return word_is_in(folded, term->text);
	}
}

bool social_filter_fits(const struct feed_filter *filter, const struct feed_subject *subject,
			const struct feed_names *names)
{
	struct folded folded = {NULL, 0, false};
	bool fits = true;

	for (unsigned i = 0; i < filter->term_cnt && fits; i++) {
		const struct feed_term *term = &filter->terms[i];

		fits = (term->kind != FEED_TERM_WORD || folded_make(&folded, subject)) &&
		       term_fits(term, subject, names, &folded) != term->is_negated;
	}
	free(folded.text);
	return fits;
}

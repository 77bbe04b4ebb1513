/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_READ_FEED_FILTER_H
#define WEFT_SOCIAL_READ_FEED_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/node_key.h"
#include "weft/err.h"

/*
 * Which posts a feed of its own has, and what a search asks for (docs/social.md):
 *
 *	word		a word of the text begins so, or has it inside from three bytes on; words are
 *			folded as those of shares are
 *	from:NAME	by that person		circle:NAME	by a member of that circle
 *	is:TRAIT	unread, public, private, reply, mention, own, edited
 *	has:attachment
 *	-TERM		and not that
 *
 * A post fits when all terms do. NAME is looked at when a post is. So a filter goes on to fit
 * when people join a circle.
 *
 * Pure, and thread-safe.
 */
#define FILTER_LEN_MAX	 512u
#define FILTER_TERMS_MAX 16u

enum feed_trait {
	FEED_UNREAD = 1,
	FEED_PUBLIC = 2,
	FEED_PRIVATE = 4,
	FEED_REPLY = 8,
	FEED_MENTION = 16,
	FEED_OWN = 32,
	FEED_EDITED = 64,
	FEED_ATTACHMENT = 128,
};

enum feed_term_kind { FEED_TERM_WORD, FEED_TERM_FROM, FEED_TERM_CIRCLE, FEED_TERM_TRAIT };
struct feed_term {
	enum feed_term_kind kind;
	bool is_negated;
	unsigned trait;
	const char *text; /* in the filter's texts, with a NUL */
};
/* 6 KiB. Is not copied: terms point into it. */
struct feed_filter {
	struct feed_term terms[FILTER_TERMS_MAX];
	unsigned term_cnt;
	char texts[FILTER_LEN_MAX * 11u + FILTER_TERMS_MAX];
};

/*
 * social_filter_parse: 0, or WEFT_EMALFORMED (not UTF-8, a trait that is none), WEFT_ETOOLARGE (bytes
 * or terms), WEFT_EABSENT (there is no term), -ENOMEM. *out_bad: the term that is wrong; borrowed of
 * text, and NULL where it is no single one.
 */
WEFT_MUST_CHECK
int social_filter_parse(const char *text, size_t len, struct feed_filter *out_filter,
			const char **out_bad);

/* What a filter sees of a post. */
struct feed_subject {
	const uint8_t *author; /* NODE_KEY_LEN */
	unsigned traits;       /* enum feed_trait */
	const char *text;
	size_t text_len;
};
struct feed_names {
	bool (*is_person)(void *ctx, const char *name, const uint8_t key[static NODE_KEY_LEN]);
	bool (*is_member)(void *ctx, const char *circle, const uint8_t key[static NODE_KEY_LEN]);
	void *ctx;
};
/* social_filter_fits: false also without memory to fold the text. */
bool social_filter_fits(const struct feed_filter *filter, const struct feed_subject *subject,
			const struct feed_names *names);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_ROUTES_ANCHOR_MESSAGE_H
#define WEFT_SOCIAL_ROUTES_ANCHOR_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "social/object/social_address.h"

/*
 * Messages 620, 621 and 625 (docs/wire/social.md):
 *
 *	CHECK_IN	0 address record of the asker
 *	answer		0 seconds for which it is kept | 1 address record of the anchor?
 *	ANCHOR_QUERY	0 key 32
 *	ANCHOR_ANSWER	0 address record? | 1 its age, in seconds
 *
 * Pointers borrow the bytes that were parsed. Pure, and thread-safe.
 */
#define ANCHOR_QUERY_LEN_MAX  64u
#define ANCHOR_ANSWER_LEN_MAX (SOCIAL_ADDRESS_LEN_MAX + 32u)
#define ANCHOR_KEEP_S_MAX     (7u * 24 * 3600)

struct check_in {
	const uint8_t *record;
	size_t record_len;
};
void social_check_in_write(struct writer *w, const struct check_in *check_in);
/* Each of these returns 0 or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int social_check_in_parse(const void *bytes, size_t len, struct check_in *out_check_in);
/* record NULL: the anchor does not say where it is. */
#define CHECK_IN_ANSWER_LEN_MAX (SOCIAL_ADDRESS_LEN_MAX + 32u)
struct check_in_answer {
	uint32_t keep_s;
	const uint8_t *record;
	size_t record_len;
};
void social_check_in_answer_write(struct writer *w, const struct check_in_answer *answer);
WEFT_MUST_CHECK
int social_check_in_answer_parse(const void *bytes, size_t len, struct check_in_answer *out_answer);

void social_anchor_query_write(struct writer *w, const uint8_t key[static NODE_KEY_LEN]);
WEFT_MUST_CHECK
int social_anchor_query_parse(const void *bytes, size_t len, uint8_t out_key[static NODE_KEY_LEN]);

/* record NULL: the key has not checked in lately. */
struct anchor_answer {
	const uint8_t *record;
	size_t record_len;
	uint64_t age_s;
};
void social_anchor_answer_write(struct writer *w, const struct anchor_answer *answer);
WEFT_MUST_CHECK
int social_anchor_answer_parse(const void *bytes, size_t len, struct anchor_answer *out_answer);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_COMMUNITY_COMMUNITY_REASON_H
#define WEFT_COMMUNITY_COMMUNITY_REASON_H

/* The rows of community_reasons.def as a list and as a table. Pure. */
enum community_reason {
#define COMMUNITY_REASON(symbol, word, text) COMMUNITY_##symbol,
#include "community_reasons.def"
#undef COMMUNITY_REASON
	COMMUNITY_REASON_CNT,
};

/* community_reason_word: for scripts; community_reason_text: what it means, for people. */
const char *community_reason_word(enum community_reason reason);
const char *community_reason_text(enum community_reason reason);

#endif

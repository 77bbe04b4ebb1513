/* SPDX-License-Identifier: Apache-2.0 */
#include "community_reason.h"

static const struct {
	const char *word, *text;
} reasons[COMMUNITY_REASON_CNT] = {
#define COMMUNITY_REASON(symbol, word, text) [COMMUNITY_##symbol] = {word, text},
#include "community_reasons.def"
#undef COMMUNITY_REASON
};

const char *community_reason_word(enum community_reason reason)
{
	return reasons[reason].word;
}

const char *community_reason_text(enum community_reason reason)
{
	return reasons[reason].text;
}

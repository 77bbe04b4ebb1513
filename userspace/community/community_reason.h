/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_COMMUNITY_COMMUNITY_REASON_H
#define WEFT_COMMUNITY_COMMUNITY_REASON_H

#include "weft/reason_table.h"

/* The outcome of a record or a request, and the index of a counter; no code. */
enum community_reason {
#define REASON WEFT_REASON_NAME
#include "community/community_reasons.def"
	COMMUNITY_REASON_CNT,
};
extern const struct weft_reason_row community_reasons[COMMUNITY_REASON_CNT];

#endif

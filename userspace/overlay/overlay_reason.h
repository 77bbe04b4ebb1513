/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OVERLAY_OVERLAY_REASON_H
#define WEFT_OVERLAY_OVERLAY_REASON_H

#include "weft/reason_table.h"

/*
 * The outcome of a request or a value, and the index of a counter. The code is an enum
 * mesh_code, or 0.
 */
enum overlay_reason {
#define REASON WEFT_REASON_NAME
#include "overlay/overlay_reasons.def"
	OVERLAY_REASON_CNT,
};
extern const struct weft_reason_row overlay_reasons[OVERLAY_REASON_CNT];

#endif

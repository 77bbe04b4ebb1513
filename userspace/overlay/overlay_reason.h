/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OVERLAY_OVERLAY_REASON_H
#define WEFT_OVERLAY_OVERLAY_REASON_H

/* What became of a request or a value, and the index of a counter (overlay_reasons.def). */
enum overlay_reason {
#define OVERLAY_REASON(name, word, code, text) OVERLAY_##name,
#include "overlay_reasons.def"
#undef OVERLAY_REASON
	OVERLAY_REASON_CNT,
};

/* overlay_reason_{word,text}: "key-mismatch" and what it means, for people. */
const char *overlay_reason_word(enum overlay_reason reason);
const char *overlay_reason_text(enum overlay_reason reason);
/* overlay_reason_code: the enum mesh_code that the asker is told, or 0. */
int overlay_reason_code(enum overlay_reason reason);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "overlay_reason.h"

#include "mesh/seam.h"

static const struct {
	const char *word, *text;
	int code;
} rows[OVERLAY_REASON_CNT] = {
#define MESH_CODE_0			       0
#define OVERLAY_REASON(name, word, code, text) {word, text, MESH_CODE_##code},
#include "overlay_reasons.def"
#undef OVERLAY_REASON
#undef MESH_CODE_0
};

const char *overlay_reason_word(enum overlay_reason reason)
{
	return rows[reason].word;
}

const char *overlay_reason_text(enum overlay_reason reason)
{
	return rows[reason].text;
}

int overlay_reason_code(enum overlay_reason reason)
{
	return rows[reason].code;
}

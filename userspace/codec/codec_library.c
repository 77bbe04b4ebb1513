/* SPDX-License-Identifier: Apache-2.0 */
/* The libraries that pure formats are linked with. */
#include "codec/codec_library.h"

#include <stdio.h>

#include <utf8proc.h>

void codec_libraries(struct library out[static CODEC_LIBRARY_CNT])
{
	out[0].name = "utf8proc";
	snprintf(out[0].version, sizeof(out[0].version), "%s", utf8proc_version());
}

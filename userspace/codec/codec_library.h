/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CODEC_CODEC_LIBRARY_H
#define WEFT_CODEC_CODEC_LIBRARY_H

#include "base/base_library.h"

/* codec_libraries gives those that pure formats take. Any thread. */
#define CODEC_LIBRARY_CNT 1
void codec_libraries(struct library out[static CODEC_LIBRARY_CNT]);

#endif

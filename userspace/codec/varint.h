/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CODEC_VARINT_H
#define WEFT_CODEC_VARINT_H

#include "base/cursor.h"

#define VARINT_MAX ((1ull << 62) - 1)

/* varint_{read,write}: QUIC variable-length integer (RFC 9000 16). Sticky as the cursor. */
uint64_t varint_read(struct cursor *c);
void varint_write(struct writer *w, uint64_t value);

#endif

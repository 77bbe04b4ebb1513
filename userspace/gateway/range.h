/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_GATEWAY_RANGE_H
#define WEFT_GATEWAY_RANGE_H

#include <stdint.h>

/*
 * The Range field of a request (RFC 9110, 14.2) for a body of size bytes.
 *
 * RANGE_NONE: there is no field, or one that is to be ignored: another unit,
 *     no range at all, or several ranges, which would cost a body in parts.
 * RANGE_PART: bytes [*out_off, *out_off + *out_len), at least one, inside the body.
 * RANGE_BEYOND: the answer is 416, for no byte of it lies in the body.
 */
enum range_kind { RANGE_NONE, RANGE_PART, RANGE_BEYOND };

/* gateway_range_parse: text may be NULL. */
enum range_kind gateway_range_parse(const char *text, uint64_t size, uint64_t *out_off,
				    uint64_t *out_len);

#endif

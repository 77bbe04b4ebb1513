/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONTROL_REDACT_H
#define WEFT_CONTROL_REDACT_H

#include <jansson.h>

/*
 * control_redact_capabilities copies a reply without what its reader could fetch,
 * follow or join by. In every text, links ("mesh:...") are left out. Ids and keys
 * of 32 bytes, in z-base-32 or as hexadecimal digits, keep their first 8 letters.
 * These name a thing to this node and to no other. Ids of nodes in fields that
 * say so stay whole: they are names.
 *
 * Additions of a later method are redacted without being named here. Returns NULL
 * without memory, and of NULL, an answer that found none.
 */
json_t *control_redact_capabilities(const json_t *value);

#endif

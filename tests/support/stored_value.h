/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_STORED_VALUE_H
#define WEFT_TESTS_STORED_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "overlay/overlay.h"

/*
 * Values that nodes of a test store with one another: each is a number under a name of its own. A
 * node that keeps them has an overlay without other members.
 */
#define STORED_VALUE_LEN_MAX 256 /* of what stored_value_{store,find} write */

/* stored_value_keeper opens an overlay of cap values on mesh; NULL: it cannot. */
struct overlay *stored_value_keeper(const struct overlay_params *params, uint32_t cap);

/* stored_value_{store,find} write the payload of STORE, or FIND_VALUE; return its length. */
size_t stored_value_store(uint64_t number, uint64_t ttl_s, uint8_t out[STORED_VALUE_LEN_MAX]);
size_t stored_value_find(uint64_t number, uint8_t out[STORED_VALUE_LEN_MAX]);
/* stored_value_is_in: the answer to FIND_VALUE has number's value. */
bool stored_value_is_in(uint64_t number, const uint8_t *payload, size_t len);

#endif

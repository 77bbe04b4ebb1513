/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_FIND_LIST_MESSAGE_H
#define WEFT_RELAY_FIND_LIST_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "weft/err.h"

/*
 * The payloads by which a relay tells of relays (docs/wire/relay_announcement.md): LIST_RELAYS (460)
 * {0: how many are wanted, 1 to 16} and its answer RELAYS (461) {0: [announcement]}. Pure.
 */
#define RELAY_LIST_MAX	       16u
#define RELAY_LIST_LEN_MAX     32768u
#define RELAY_LIST_ASK_LEN_MAX 8u

/* An announcement as it was signed, not verified. Borrowed. */
struct relay_listed {
	const uint8_t *bytes;
	size_t len;
};

void relay_list_ask_write(struct writer *w, unsigned wanted_cnt);
/* relay_list_ask_parse: 0 or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int relay_list_ask_parse(const uint8_t *payload, size_t len, unsigned *out_wanted_cnt);

void relay_list_write(struct writer *w, const struct relay_listed *listed, unsigned cnt);
/* relay_list_parse: how many, WEFT_EMALFORMED, or WEFT_ETOOLARGE (the payload). */
WEFT_MUST_CHECK
int relay_list_parse(const uint8_t *payload, size_t len,
		     struct relay_listed out_listed[static RELAY_LIST_MAX]);

#endif

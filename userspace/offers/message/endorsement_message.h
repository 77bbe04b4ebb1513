/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_MESSAGE_ENDORSEMENT_MESSAGE_H
#define WEFT_OFFERS_MESSAGE_ENDORSEMENT_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "offers/message/endorsement.h"
#include "weft/err.h"

/*
 * An endorsement as it goes from node to node, the payload of message 312: a map of
 *
 *	0 hop count, below ENDORSEMENT_HOPS_END | 1 the endorsement
 *
 * Each relay raises the hop count, so no signature covers it. It is one byte, and always the same
 * one, as that of a service message is. Pure, and thread-safe.
 */
#define ENDORSEMENT_HOPS_END	    24u
#define ENDORSEMENT_HOP_AT	    2u
#define ENDORSEMENT_MESSAGE_LEN_MAX (7u + ENDORSEMENT_LEN_MAX)

struct endorsement_message {
	uint8_t hop_cnt;
	const uint8_t *bytes; /* the endorsement; borrows what was parsed */
	size_t len;
};

/* offers_endorsement_message_parse does not look into the endorsement. 0 or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int offers_endorsement_message_parse(const void *data, size_t len,
				     struct endorsement_message *out_message);
void offers_endorsement_message_write(struct writer *w, const struct endorsement_message *message);

#endif

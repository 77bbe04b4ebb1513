/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_SLOTS_SLOT_MESSAGE_H
#define WEFT_RELAY_SLOTS_SLOT_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "mesh/seam.h"
#include "weft/err.h"

/*
 * The payloads of 450 to 452 (docs/wire/relay.md), and slots as people give them to each other.
 *
 * relay_message_{register,registered,connect}_{write,parse}: parsing gives 0 or WEFT_EMALFORMED.
 */
#define RELAY_SLOT_LIFE_S	   600u
#define RELAY_SLOT_MESSAGE_LEN_MAX 64u

struct relay_register_message {
	uint64_t nonce; /* another one gives another slot */
};
struct relay_registered_message {
	uint64_t slot;
	uint32_t life_s; /* until it expires, at most RELAY_SLOT_LIFE_S */
	bool has_key;	 /* of the node behind it: the answer to CONNECT */
	uint8_t key[MESH_KEY_LEN];
};
struct relay_connect_message {
	uint64_t slot;
};

void relay_message_register_write(struct writer *w, const struct relay_register_message *message);
WEFT_MUST_CHECK
int relay_message_register_parse(const uint8_t *data, size_t len,
				 struct relay_register_message *out_message);
void relay_message_registered_write(struct writer *w,
				    const struct relay_registered_message *message);
WEFT_MUST_CHECK
int relay_message_registered_parse(const uint8_t *data, size_t len,
				   struct relay_registered_message *out_message);
void relay_message_connect_write(struct writer *w, const struct relay_connect_message *message);
WEFT_MUST_CHECK
int relay_message_connect_parse(const uint8_t *data, size_t len,
				struct relay_connect_message *out_message);

/*
 * SLOT@RELAY: the slot's eight bytes, big-endian, and the relay's key, both in z-base-32.
 * relay_slot_text_write returns text. relay_slot_text_read: 0 or WEFT_EMALFORMED.
 */
#define RELAY_SLOT_TEXT_CAP 72u
char *relay_slot_text_write(uint64_t slot, const uint8_t relay[static MESH_KEY_LEN],
			    char text[static RELAY_SLOT_TEXT_CAP]);
WEFT_MUST_CHECK
int relay_slot_text_read(const char *text, uint64_t *out_slot, uint8_t relay[static MESH_KEY_LEN]);

#endif

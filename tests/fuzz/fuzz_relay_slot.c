/* SPDX-License-Identifier: Apache-2.0 */
/* Messages 450 to 452 and slots as text. What parses is written again to the same. */
#include <string.h>

#include "base/assert.h"
#include "relay/slots/slot_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_registered(const uint8_t *data, size_t len)
{
	uint8_t payload[RELAY_SLOT_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct relay_registered_message message, back;

	if (relay_message_registered_parse(data, len, &message) < 0)
		return;
	weft_assert(message.life_s <= RELAY_SLOT_LIFE_S);
	relay_message_registered_write(&w, &message);
	weft_assert(!w.bad && relay_message_registered_parse(payload, writer_len(&w), &back) == 0);
	weft_assert(back.slot == message.slot && back.life_s == message.life_s &&
		    back.has_key == message.has_key);
	weft_assert(!back.has_key || memcmp(back.key, message.key, sizeof(back.key)) == 0);
}

static void check_numbers(const uint8_t *data, size_t len)
{
	uint8_t payload[RELAY_SLOT_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct relay_register_message reg;
	struct relay_connect_message con;

	if (relay_message_register_parse(data, len, &reg) == 0) {
		relay_message_register_write(&w, &reg);
		weft_assert(relay_message_connect_parse(payload, writer_len(&w), &con) == 0);
		weft_assert(con.slot == reg.nonce);
	}
	if (relay_message_connect_parse(data, len, &con) == 0) {
		w = writer_of(payload, sizeof(payload));
		relay_message_connect_write(&w, &con);
		weft_assert(relay_message_register_parse(payload, writer_len(&w), &reg) == 0);
	}
}

static void check_text(const uint8_t *data, size_t len)
{
	char text[2 * RELAY_SLOT_TEXT_CAP], again[RELAY_SLOT_TEXT_CAP];
	uint8_t relay[MESH_KEY_LEN];
	uint64_t slot;

	if (len >= sizeof(text))
		return;
	memcpy(text, data, len);
	text[len] = '\0';
	if (relay_slot_text_read(text, &slot, relay) == 0)
		weft_assert(strcmp(relay_slot_text_write(slot, relay, again), text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_registered(data, len);
	check_numbers(data, len);
	check_text(data, len);
	return 0;
}

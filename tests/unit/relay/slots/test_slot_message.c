/* SPDX-License-Identifier: Apache-2.0 */
/* Messages about slots, and a slot as text. */
#include "relay/slots/slot_message.h"

#include <string.h>

#include "relay/slots/relay_slots.h"
#include "support/check.h"

static void test_truncated_messages_are_refused(void)
{
	const struct relay_registered_message full = {1234567, 600, true, {9}};
	struct relay_registered_message registered;
	struct relay_register_message reg;
	struct relay_connect_message con;
	uint8_t payload[RELAY_SLOT_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));

	relay_message_registered_write(&w, &full);
	CHECK(!w.bad);
	for (size_t len = 0; len < writer_len(&w); len++)
		CHECK(relay_message_registered_parse(payload, len, &registered) < 0);
	CHECK_EQ(relay_message_registered_parse(payload, writer_len(&w), &registered), 0);
	CHECK_EQ(registered.slot, 1234567);
	CHECK_EQ(registered.life_s, 600);
	CHECK(registered.has_key && registered.key[0] == 9);
	w = writer_of(payload, sizeof(payload));
	relay_message_registered_write(&w, &(struct relay_registered_message){.life_s = 601});
	CHECK(relay_message_registered_parse(payload, writer_len(&w), &registered) < 0);
	w = writer_of(payload, sizeof(payload));
	relay_message_register_write(&w, &(struct relay_register_message){UINT64_MAX});
	for (size_t len = 0; len < writer_len(&w); len++) {
		CHECK(relay_message_register_parse(payload, len, &reg) < 0);
		CHECK(relay_message_connect_parse(payload, len, &con) < 0);
	}
	CHECK_EQ(relay_message_register_parse(payload, writer_len(&w), &reg), 0);
	CHECK_EQ(reg.nonce, UINT64_MAX);
}

static void test_slots_are_written_and_read_as_text(void)
{
	const uint8_t relay[MESH_KEY_LEN] = {1, 2, 3};
	uint8_t key[MESH_KEY_LEN];
	char text[RELAY_SLOT_TEXT_CAP];
	uint64_t slot;

	relay_slot_text_write(0x0123456789abcdefull, relay, text);
	CHECK(strlen(text) < sizeof(text));
	CHECK_EQ(relay_slot_text_read(text, &slot, key), 0);
	CHECK_EQ(slot, 0x0123456789abcdefull);
	CHECK_MEM(key, relay, sizeof(key));
	for (size_t len = strlen(text); len-- > 0;) {
		text[len] = '\0';
		CHECK(relay_slot_text_read(text, &slot, key) < 0);
	}
	CHECK(relay_slot_text_read("@", &slot, key) < 0);
}

int main(void)
{
	RUN(test_truncated_messages_are_refused);
	RUN(test_slots_are_written_and_read_as_text);
	return check_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The message by which relays of one operator compare revocation lists, and the setting that names
 * them. What parses is written again to the same message.
 */
#include <string.h>

#include "base/assert.h"
#include "relay/pool/relay_pool.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_message(const uint8_t *data, size_t len)
{
	static uint8_t again[RELAY_POOL_MESSAGE_LEN_MAX];
	struct writer w = writer_of(again, sizeof(again));
	struct relay_pool_message message, back;

	if (relay_pool_message_parse(data, len, &message) < 0)
		return;
	weft_assert(message.list_len <= RELAY_REVOCATIONS_LEN_MAX);
	relay_pool_message_write(&w, &message);
	weft_assert(!w.bad && relay_pool_message_parse(again, writer_len(&w), &back) == 0);
	weft_assert(back.serial == message.serial && back.list_len == message.list_len);
	weft_assert(!back.list_len || memcmp(back.list, message.list, back.list_len) == 0);
}

static void check_text(const uint8_t *data, size_t len)
{
	static const uint8_t own_key[MESH_KEY_LEN] = {1};
	static char text[RELAY_POOL_TEXT_CAP];
	struct relay_pool_place places[RELAY_POOL_MAX];
	int cnt;

	if (len >= sizeof(text))
		return;
	memcpy(text, data, len);
	text[len] = '\0';
	cnt = relay_pool_parse(text, own_key, places);
	weft_assert(cnt <= (int)RELAY_POOL_MAX);
	for (int i = 0; i < cnt; i++)
		weft_assert(memcmp(places[i].key, own_key, MESH_KEY_LEN) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_message(data, len);
	check_text(data, len);
	return 0;
}

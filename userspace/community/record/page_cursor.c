/* SPDX-License-Identifier: Apache-2.0 */
#include "page_cursor.h"

#include <string.h>

#include "base/byte_cursor.h"
#include "crypto/blake3/blake3.h"

#define CURSOR_VERSION 1
#define MAC_LEN	       16u
#define HEAD_LEN       (COMMUNITY_CURSOR_LEN - MAC_LEN)

_Static_assert(HEAD_LEN == 2 + 8 + COMMUNITY_PLACE_LEN, "the fields under the MAC");
_Static_assert(COMMUNITY_CURSOR_KEY_LEN == BLAKE3_KEY_LEN, "a key of keyed BLAKE3");

static void mac_of(const struct community_cursor_scope *scope, const uint8_t *head,
		   uint8_t out[static MAC_LEN])
{
	struct blake3 hash;

	blake3_init_keyed(&hash, scope->key);
	blake3_update(&hash, head, HEAD_LEN);
	blake3_update(&hash, scope->id, COMMUNITY_ID_LEN);
	blake3_update(&hash, scope->asker, COMMUNITY_KEY_LEN);
	blake3_update(&hash, scope->question, scope->question_len);
	blake3_final(&hash, out, MAC_LEN);
}

void community_cursor_write(const struct community_cursor_scope *scope,
			    const struct community_cursor *cursor,
			    uint8_t out[static COMMUNITY_CURSOR_LEN])
{
	struct writer w = writer_of(out, COMMUNITY_CURSOR_LEN);
	uint8_t mac[MAC_LEN];

	writer_u8(&w, CURSOR_VERSION);
	writer_u8(&w, (uint8_t)scope->kind);
	writer_be64(&w, cursor->issued_s);
	writer_bytes(&w, cursor->place, sizeof(cursor->place));
	mac_of(scope, out, mac);
	writer_bytes(&w, mac, sizeof(mac));
}

int community_cursor_parse(const struct community_cursor_scope *scope, const uint8_t *bytes,
			   size_t len, uint64_t wall_s, struct community_cursor *out_cursor)
{
	uint64_t life_s = scope->kind == COMMUNITY_CURSOR_EVENTS ? COMMUNITY_EVENTS_LIFE_S
								 : COMMUNITY_PAGE_LIFE_S;
	struct community_cursor cursor = {0};
	struct cursor c = cursor_of(bytes, len);
	uint8_t mac[MAC_LEN], version, got;

	if (len != COMMUNITY_CURSOR_LEN)
		return WEFT_EMALFORMED;
	version = cursor_u8(&c);
	got = cursor_u8(&c);
	cursor.issued_s = cursor_be64(&c);
	cursor_copy(&c, cursor.place, sizeof(cursor.place));
	mac_of(scope, bytes, mac);
	if (!blake3_mac_is_equal(mac, c.pos, MAC_LEN))
		return WEFT_EDAMAGED;
	if (version != CURSOR_VERSION || got != (uint8_t)scope->kind)
		return WEFT_EMALFORMED;
	if (cursor.issued_s > wall_s + COMMUNITY_SKEW_S || wall_s >= cursor.issued_s + life_s)
		return WEFT_ESTALE;
	*out_cursor = cursor;
	return 0;
}

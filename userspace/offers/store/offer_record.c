/* SPDX-License-Identifier: Apache-2.0 */
#include "offer_record.h"

#include <string.h>

#include "offers/message/service_message.h"

#define RECORD_LAYOUT  2
#define FLAG_OWN       1u
#define FLAG_TOMBSTONE 2u

/* The hop count is in no signature. */
static void message_write(struct writer *w, const uint8_t *bytes, size_t len)
{
	uint8_t *at = writer_reserve(w, len);

	if (!at || len == 0)
		return;
	memcpy(at, bytes, len);
	if (len > SERVICE_MESSAGE_HOP_AT)
		at[SERVICE_MESSAGE_HOP_AT] = 0;
}

void offers_record_write(struct writer *w, const struct offer_record *record)
{
	writer_u8(w, RECORD_LAYOUT);
	writer_u8(w, record->hop_cnt);
	writer_u8(w, (uint8_t)((record->is_own ? FLAG_OWN : 0) |
			       (record->is_tombstone ? FLAG_TOMBSTONE : 0)));
	writer_u8(w, (uint8_t)record->class);
	writer_u8(w, record->source.family);
	writer_bytes(w, record->source.ip, sizeof(record->source.ip));
	writer_be64(w, record->expires_s);
	writer_be32(w, (uint32_t)record->announce_len);
	message_write(w, record->announce, record->announce_len);
	message_write(w, record->update, record->update_len);
}

int offers_record_parse(const void *data, size_t len, struct offer_record *out_record)
{
	struct offer_record record = {0};
	struct cursor c = cursor_of(data, len);
	uint8_t layout = cursor_u8(&c), hop_cnt = cursor_u8(&c), flags = cursor_u8(&c);
	uint8_t class = cursor_u8(&c);

	record.source.family = cursor_u8(&c);
	cursor_copy(&c, record.source.ip, sizeof(record.source.ip));
	record.expires_s = cursor_be64(&c);
	record.announce_len = cursor_be32(&c);
	record.announce = cursor_bytes(&c, record.announce_len);
	record.update_len = cursor_left(&c);
	if (record.update_len > 0)
		record.update = cursor_bytes(&c, record.update_len);
	record.is_own = flags & FLAG_OWN;
	record.is_tombstone = flags & FLAG_TOMBSTONE;
	record.class = class;
	record.hop_cnt = hop_cnt;
	if (c.bad || layout != RECORD_LAYOUT || flags > (FLAG_OWN | FLAG_TOMBSTONE) ||
	    class >= FAIR_CLASS_CNT || (record.is_tombstone && record.update) ||
	    (record.source.family != ADDR_NONE && record.source.family != ADDR_IPV4 &&
	     record.source.family != ADDR_IPV6))
		return WEFT_EMALFORMED;
	*out_record = record;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "deposit_record.h"

#define RECORD_LAYOUT 1
#define FLAG_OWN      1u
#define FLAG_RECEIPT  2u

void deposits_record_write(struct writer *w, const struct deposit_record *record)
{
	static const uint8_t no_receipt[DEPOSIT_RECEIPT_LEN];

	writer_u8(w, RECORD_LAYOUT);
	writer_u8(w, (uint8_t)record->kind);
	writer_u8(w, (uint8_t)((record->is_own ? FLAG_OWN : 0) |
			       (record->receipt ? FLAG_RECEIPT : 0)));
	writer_u8(w, record->part);
	writer_u8(w, (uint8_t)record->class);
	writer_u8(w, record->source.family);
	writer_bytes(w, record->source.ip, sizeof(record->source.ip));
	writer_be64(w, record->expires_s);
	writer_bytes(w, record->peer, DEPOSIT_KEY_LEN);
	writer_bytes(w, record->recipient, DEPOSIT_KEY_LEN);
	writer_bytes(w, record->id, DEPOSIT_ID_LEN);
	writer_bytes(w, record->receipt ? record->receipt : no_receipt, DEPOSIT_RECEIPT_LEN);
	writer_bytes(w, record->sealed, record->sealed_len);
}

static bool is_sound(const struct deposit_record *record)
{
	bool is_sealed = record->sealed_len >= DEPOSIT_SEALED_LEN_MIN &&
			 record->sealed_len <= DEPOSIT_SEALED_LEN_MAX;

	if (record->source.family != ADDR_NONE && record->source.family != ADDR_IPV4 &&
	    record->source.family != ADDR_IPV6)
		return false;
	switch (record->kind) {
	case DEPOSIT_RECORD_KEPT:
		return is_sealed && !record->is_own && !record->receipt;
	case DEPOSIT_RECORD_DELIVERED:
		return record->sealed_len == 0;
	case DEPOSIT_RECORD_OUT:
		return is_sealed && record->is_own && !record->receipt &&
		       record->part <= DEPOSIT_KIND_MAX;
	default:
		return false;
	}
}

int deposits_record_parse(const void *bytes, size_t len, struct deposit_record *out_record)
{
	struct deposit_record record = {0};
	struct cursor c = cursor_of(bytes, len);
	uint8_t layout = cursor_u8(&c), kind = cursor_u8(&c), flags = cursor_u8(&c), class;

	record.part = cursor_u8(&c);
	class = cursor_u8(&c);
	record.source.family = cursor_u8(&c);
	cursor_copy(&c, record.source.ip, sizeof(record.source.ip));
	record.expires_s = cursor_be64(&c);
	record.peer = cursor_bytes(&c, DEPOSIT_KEY_LEN);
	record.recipient = cursor_bytes(&c, DEPOSIT_KEY_LEN);
	record.id = cursor_bytes(&c, DEPOSIT_ID_LEN);
	record.receipt = cursor_bytes(&c, DEPOSIT_RECEIPT_LEN);
	record.sealed_len = cursor_left(&c);
	record.sealed = record.sealed_len ? cursor_bytes(&c, record.sealed_len) : NULL;
	if (!(flags & FLAG_RECEIPT))
		record.receipt = NULL;
	record.is_own = flags & FLAG_OWN;
	record.kind = kind;
	record.class = class;
	if (c.bad || layout != RECORD_LAYOUT || kind >= DEPOSIT_RECORD_KIND_CNT ||
	    flags > (FLAG_OWN | FLAG_RECEIPT) || class >= FAIR_CLASS_CNT || !is_sound(&record))
		return WEFT_EMALFORMED;
	*out_record = record;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "reservation_record.h"

#define RECORD_LAYOUT  1
#define MARK_LAYOUT    2
#define FLAG_MADE      1u
#define FLAG_SETTLED   2u
#define FLAG_CANCELLED 1u /* of a mark */

_Static_assert(sizeof(struct reservation_parties) == SERVICE_MESSAGE_ADDRESS_LEN + OFFER_ID_LEN +
							     RESERVATION_TOKEN_LEN +
							     4 * NODE_KEY_LEN + 2 * AGREED_KEY_LEN,
	       "nothing lies between the parties of a record");

static void part_write(struct writer *w, const void *bytes, size_t len)
{
	writer_be16(w, (uint16_t)len);
	writer_bytes(w, bytes, len);
}

void offers_reservation_record_write(struct writer *w, const struct reservation_record *record)
{
	writer_u8(w, RECORD_LAYOUT);
	writer_u8(w, (uint8_t)((record->is_made ? FLAG_MADE : 0) |
			       (record->is_settled ? FLAG_SETTLED : 0)));
	writer_u8(w, record->state);
	writer_u8(w, record->class);
	writer_u8(w, record->source.family);
	writer_bytes(w, record->source.ip, sizeof(record->source.ip));
	writer_u8(w, record->version);
	writer_be64(w, record->made_s);
	writer_be64(w, record->changed_s);
	writer_be64(w, record->expires_s);
	writer_be64(w, record->valid_s);
	writer_be64(w, record->slot_s);
	writer_be64(w, record->offer_expires_s);
	writer_be32(w, record->service);
	writer_be32(w, record->units);
	writer_bytes(w, &record->parties, sizeof(record->parties));
	part_write(w, record->text, record->text_len);
	part_write(w, record->answer, record->answer_len);
	part_write(w, record->message, record->message_len);
}

static const uint8_t *part_read(struct cursor *c, size_t len_max, size_t *out_len)
{
	size_t len = cursor_be16(c);

	if (len > len_max)
		c->bad = true;
	*out_len = len;
	return len && !c->bad ? cursor_bytes(c, len) : NULL;
}

static bool account_holds(uint8_t class, const struct addr *source)
{
	return class < FAIR_CLASS_CNT &&
	       (source->family == ADDR_NONE || source->family == ADDR_IPV4 ||
		source->family == ADDR_IPV6);
}

static bool record_holds(const struct reservation_record *record)
{
	return record->state >= RESERVATION_ASKED && record->state < RESERVATION_STATE_CNT &&
	       record->units > 0 && account_holds(record->class, &record->source);
}

int offers_reservation_record_parse(const void *data, size_t len,
				    struct reservation_record *out_record)
{
	struct reservation_record record = {0};
	struct cursor c = cursor_of(data, len);
	uint8_t layout = cursor_u8(&c), flags = cursor_u8(&c);

	record.is_made = flags & FLAG_MADE;
	record.is_settled = flags & FLAG_SETTLED;
	record.state = cursor_u8(&c);
	record.class = cursor_u8(&c);
	record.source.family = cursor_u8(&c);
	cursor_copy(&c, record.source.ip, sizeof(record.source.ip));
	record.version = cursor_u8(&c);
	record.made_s = cursor_be64(&c);
	record.changed_s = cursor_be64(&c);
	record.expires_s = cursor_be64(&c);
	record.valid_s = cursor_be64(&c);
	record.slot_s = cursor_be64(&c);
	record.offer_expires_s = cursor_be64(&c);
	record.service = cursor_be32(&c);
	record.units = cursor_be32(&c);
	cursor_copy(&c, &record.parties, sizeof(record.parties));
	record.text = (const char *)part_read(&c, RESERVATION_TEXT_LEN_MAX, &record.text_len);
	record.answer = (const char *)part_read(&c, RESERVATION_TEXT_LEN_MAX, &record.answer_len);
	record.message = part_read(&c, RESERVATION_MESSAGE_MAX, &record.message_len);
	if (c.bad || cursor_left(&c) != 0 || layout != RECORD_LAYOUT ||
	    flags > (FLAG_MADE | FLAG_SETTLED) || !record_holds(&record))
		return WEFT_EMALFORMED;
	*out_record = record;
	return 0;
}

/* --- marks --- */

void offers_reservation_mark_write(struct writer *w, const struct reservation_mark_record *mark)
{
	writer_u8(w, MARK_LAYOUT);
	writer_u8(w, mark->is_cancelled ? FLAG_CANCELLED : 0);
	writer_u8(w, mark->class);
	writer_u8(w, mark->source.family);
	writer_bytes(w, mark->source.ip, sizeof(mark->source.ip));
	writer_be64(w, mark->until_s);
	writer_bytes(w, mark->neighbour, sizeof(mark->neighbour));
	writer_bytes(w, mark->offer_id, sizeof(mark->offer_id));
}

int offers_reservation_mark_parse(const void *data, size_t len,
				  struct reservation_mark_record *out_mark)
{
	struct reservation_mark_record mark = {0};
	struct cursor c = cursor_of(data, len);
	uint8_t layout = cursor_u8(&c), flags = cursor_u8(&c);

	mark.is_cancelled = flags & FLAG_CANCELLED;
	mark.class = cursor_u8(&c);
	mark.source.family = cursor_u8(&c);
	cursor_copy(&c, mark.source.ip, sizeof(mark.source.ip));
	mark.until_s = cursor_be64(&c);
	cursor_copy(&c, mark.neighbour, sizeof(mark.neighbour));
	cursor_copy(&c, mark.offer_id, sizeof(mark.offer_id));
	if (c.bad || cursor_left(&c) != 0 || layout != MARK_LAYOUT || flags > FLAG_CANCELLED ||
	    !account_holds(mark.class, &mark.source))
		return WEFT_EMALFORMED;
	*out_mark = mark;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "room_record.h"

#include <string.h>

#include "codec/cbor.h"
#include "crypto/signed.h"

#define SEGMENT_TAG "roomsegment"
#define HEAD_TAG    "roomhead"

enum { SEGMENT_ROOM, SEGMENT_NUMBER, SEGMENT_PREVIOUS, SEGMENT_EVENTS, SEGMENT_FIELD_CNT };
enum {
	EVENT_SEQUENCE,
	EVENT_AT,
	EVENT_KIND,
	EVENT_SENDER,
	EVENT_ID,
	EVENT_CHANNEL,
	EVENT_BODY,
	EVENT_SIGNATURE,
	EVENT_FIELD_CNT,
};
enum {
	HEAD_ROOM,
	HEAD_NAME,
	HEAD_VISIBILITY,
	HEAD_DAYS,
	HEAD_MEMBERS,
	HEAD_SEALED,
	HEAD_LAST,
	HEAD_TAIL,
	HEAD_UPDATED,
	HEAD_FIELD_CNT,
};
#define ALL_OF(cnt) (CBOR_KEY(cnt) - 1)

const char *const builtin_room_event_kinds[ROOM_EVENT_KIND_CNT] = {
	[ROOM_TEXT] = "text",	  [ROOM_REACTION] = "reaction", [ROOM_EDIT] = "edit",
	[ROOM_DELETE] = "delete", [ROOM_SYSTEM] = "system",
};

static bool is_pod_id(const char *id)
{
	return strlen(id) == POD_ID_LEN && memcmp(id, "pod:", 4) == 0;
}

static void id_read(struct cbor_reader *r, char id[POD_ID_LEN + 1])
{
	cbor_read_text_copy(r, id, POD_ID_LEN + 1);
	if (!cbor_is_bad(r) && !is_pod_id(id))
		cbor_fail(r);
}

/* --- segments --- */

void builtin_room_segment_begin(struct writer *body, const struct room_segment *segment)
{
	cbor_write_map(body, SEGMENT_FIELD_CNT);
	cbor_field_text(body, SEGMENT_ROOM, segment->id, POD_ID_LEN);
	cbor_field_uint(body, SEGMENT_NUMBER, segment->number);
	cbor_field_bytes(body, SEGMENT_PREVIOUS, segment->previous, ROOM_HASH_LEN);
	cbor_write_uint(body, SEGMENT_EVENTS);
	cbor_write_array(body, segment->event_cnt);
}

void builtin_room_event_write(struct writer *body, const struct room_event *event)
{
	cbor_write_map(body, EVENT_FIELD_CNT - (event->signature == NULL));
	cbor_field_uint(body, EVENT_SEQUENCE, event->sequence);
	cbor_field_uint(body, EVENT_AT, event->at_ms);
	cbor_field_uint(body, EVENT_KIND, event->kind);
	cbor_field_bytes(body, EVENT_SENDER, event->sender, MESH_KEY_LEN);
	cbor_field_bytes(body, EVENT_ID, event->id, ROOM_EVENT_ID_LEN);
	cbor_field_text(body, EVENT_CHANNEL, event->channel, event->channel_len);
	cbor_field_text(body, EVENT_BODY, event->body, event->body_len);
	if (event->signature)
		cbor_field_bytes(body, EVENT_SIGNATURE, event->signature, POD_SIGNATURE_LEN);
}

void builtin_room_segment_sign(struct writer *w, const struct node_key *key,
			       const struct writer *body)
{
	size_t len = writer_len(body);

	if (body->bad)
		w->bad = true;
	else
		signed_write(w, key, SEGMENT_TAG, body->start, len);
}

static void event_text_read(struct cbor_reader *r, size_t len_max, const char **out_text,
			    size_t *out_len)
{
	*out_text = cbor_read_text(r, out_len);
	if (*out_len > len_max || (*out_text && memchr(*out_text, '\0', *out_len)))
		cbor_fail(r);
}

/* One level below the segment's map, so that it counts the keys itself. */
static void event_read(struct cbor_reader *r, struct room_event *event)
{
	uint64_t key, seen = 0;

	*event = (struct room_event){.sequence = 0};
	cbor_enter_map(r);
	while (cbor_next_key(r, &key)) {
		seen |= key < EVENT_FIELD_CNT ? CBOR_KEY(key) : 0;
		switch (key) {
		case EVENT_SEQUENCE:
			event->sequence = cbor_read_uint(r);
			break;
		case EVENT_AT:
			event->at_ms = cbor_read_uint(r);
			break;
		case EVENT_KIND:
			event->kind = (enum room_event_kind)cbor_read_uint_max(
				r, ROOM_EVENT_KIND_CNT - 1);
			break;
		case EVENT_SENDER:
			event->sender = cbor_read_exactly(r, MESH_KEY_LEN);
			break;
		case EVENT_ID:
			event->id = cbor_read_exactly(r, ROOM_EVENT_ID_LEN);
			break;
		case EVENT_CHANNEL:
			event_text_read(r, POD_CHANNEL_LEN_MAX, &event->channel,
					&event->channel_len);
			break;
		case EVENT_BODY:
			event_text_read(r, POD_BODY_LEN_MAX, &event->body, &event->body_len);
			break;
		case EVENT_SIGNATURE:
			event->signature = cbor_read_exactly(r, POD_SIGNATURE_LEN);
			break;
		default:
			cbor_skip(r);
		}
	}
	if ((seen & ALL_OF(EVENT_SIGNATURE)) != ALL_OF(EVENT_SIGNATURE))
		cbor_fail(r);
}

typedef bool (*event_fn)(void *arg, const struct room_event *event);

static void events_read(struct cbor_reader *r, struct room_segment *segment, event_fn fn, void *arg)
{
	uint64_t last = 0;

	if (cbor_enter_array(r) > ROOM_SEGMENT_EVENT_MAX)
		cbor_fail(r);
	while (cbor_next(r)) {
		struct room_event event;

		event_read(r, &event);
		if (event.sequence <= last)
			cbor_fail(r);
		if (cbor_is_bad(r))
			return;
		last = segment->last_sequence = event.sequence;
		if (segment->event_cnt++ == 0)
			segment->first_sequence = event.sequence;
		if (fn && !fn(arg, &event))
			fn = NULL;
	}
}

static int body_parse(const struct signed_object *object, struct room_segment *segment, event_fn fn,
		      void *arg)
{
	struct cbor_reader r;
	uint64_t key;

	*segment = (struct room_segment){.id = ""};
	cbor_reader_init(&r, object->body, object->body_len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		switch (key) {
		case SEGMENT_ROOM:
			id_read(&r, segment->id);
			break;
		case SEGMENT_NUMBER:
			segment->number = cbor_read_uint(&r);
			break;
		case SEGMENT_PREVIOUS:
			cbor_read_fixed(&r, segment->previous, ROOM_HASH_LEN);
			break;
		case SEGMENT_EVENTS:
			events_read(&r, segment, fn, arg);
			break;
		default:
			cbor_skip(&r);
		}
	}
	return cbor_reader_finish_with(&r, ALL_OF(SEGMENT_FIELD_CNT));
}

static int segment_open(const uint8_t *bytes, size_t len, struct signed_object *object)
{
	return len > ROOM_SEGMENT_LEN_MAX ? WEFT_ETOOLARGE : signed_parse(bytes, len, object);
}

int builtin_room_segment_parse(const uint8_t *bytes, size_t len, struct room_segment *out_segment)
{
	struct signed_object object;
	int err = segment_open(bytes, len, &object);

	return err < 0 ? err : body_parse(&object, out_segment, NULL, NULL);
}

void builtin_room_segment_each(const uint8_t *bytes, size_t len, event_fn fn, void *arg)
{
	struct signed_object object;
	struct room_segment segment;

	if (segment_open(bytes, len, &object) == 0)
		(void)!body_parse(&object, &segment, fn, arg);
}

int builtin_room_segment_check(const uint8_t *bytes, size_t len, const struct room_place *place,
			       struct room_segment *out_segment)
{
	struct signed_object object;
	int err = segment_open(bytes, len, &object);

	if (err < 0 || (err = body_parse(&object, out_segment, NULL, NULL)) < 0)
		return err;
	if (strcmp(out_segment->id, place->id) != 0 || out_segment->number != place->number ||
	    memcmp(object.signer, place->host, MESH_KEY_LEN) != 0 ||
	    (out_segment->event_cnt && out_segment->first_sequence <= place->after_sequence))
		return WEFT_EREFUSED;
	if (place->previous && memcmp(out_segment->previous, place->previous, ROOM_HASH_LEN) != 0)
		return WEFT_EDAMAGED;
	return signed_verify(&object, SEGMENT_TAG);
}

/* --- heads --- */

void builtin_room_head_write(struct writer *w, const struct node_key *key,
			     const struct room_head *head)
{
	uint8_t bytes[ROOM_HEAD_LEN_MAX];
	struct writer body = writer_of(bytes, sizeof(bytes));

	cbor_write_map(&body, HEAD_FIELD_CNT);
	cbor_field_text(&body, HEAD_ROOM, head->id, strlen(head->id));
	cbor_field_text(&body, HEAD_NAME, head->name, strlen(head->name));
	cbor_field_uint(&body, HEAD_VISIBILITY, head->visibility);
	cbor_field_uint(&body, HEAD_DAYS, head->days);
	cbor_write_uint(&body, HEAD_MEMBERS);
	cbor_write_array(&body, head->member_cnt);
	for (unsigned i = 0; i < head->member_cnt; i++)
		cbor_write_bytes(&body, head->members[i], MESH_KEY_LEN);
	cbor_field_uint(&body, HEAD_SEALED, head->sealed_cnt);
	cbor_field_bytes(&body, HEAD_LAST, head->last, ROOM_HASH_LEN);
	cbor_field_bytes(&body, HEAD_TAIL, head->tail, ROOM_HASH_LEN);
	cbor_field_uint(&body, HEAD_UPDATED, head->updated_ms);
	if (body.bad)
		w->bad = true;
	else
		signed_write(w, key, HEAD_TAG, bytes, writer_len(&body));
}

static void members_read(struct cbor_reader *r, struct room_head *head)
{
	cbor_enter_array(r);
	while (cbor_next(r)) {
		if (head->member_cnt == POD_MEMBER_MAX) {
			cbor_fail(r);
			return;
		}
		cbor_read_fixed(r, head->members[head->member_cnt++], MESH_KEY_LEN);
	}
}

static void head_field_read(struct cbor_reader *r, uint64_t key, struct room_head *head)
{
	switch (key) {
	case HEAD_ROOM:
		id_read(r, head->id);
		break;
	case HEAD_NAME:
		cbor_read_text_copy(r, head->name, sizeof(head->name));
		break;
	case HEAD_VISIBILITY:
		head->visibility = (uint8_t)cbor_read_uint_max(r, POD_VISIBILITY_CNT - 1);
		break;
	case HEAD_DAYS:
		head->days = (uint16_t)cbor_read_uint_max(r, POD_DAYS_MAX);
		break;
	case HEAD_MEMBERS:
		members_read(r, head);
		break;
	case HEAD_SEALED:
		head->sealed_cnt = cbor_read_uint(r);
		break;
	case HEAD_LAST:
		cbor_read_fixed(r, head->last, ROOM_HASH_LEN);
		break;
	case HEAD_TAIL:
		cbor_read_fixed(r, head->tail, ROOM_HASH_LEN);
		break;
	case HEAD_UPDATED:
		head->updated_ms = cbor_read_uint(r);
		break;
	default:
		cbor_skip(r);
	}
}

static int head_open(const uint8_t *bytes, size_t len, struct signed_object *object,
		     struct room_head *head)
{
	struct cbor_reader r;
	uint64_t key;
	int err = len > ROOM_HEAD_LEN_MAX ? WEFT_EMALFORMED : signed_parse(bytes, len, object);

	if (err < 0)
		return WEFT_EMALFORMED;
	*head = (struct room_head){.id = ""};
	cbor_reader_init(&r, object->body, object->body_len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key))
		head_field_read(&r, key, head);
	return cbor_reader_finish_with(&r, ALL_OF(HEAD_FIELD_CNT));
}

int builtin_room_head_parse(const uint8_t *bytes, size_t len, struct room_head *out_head)
{
	struct signed_object object;

	return head_open(bytes, len, &object, out_head);
}

int builtin_room_head_check(const uint8_t *bytes, size_t len, const char *id, const uint8_t *host,
			    struct room_head *out_head)
{
	struct signed_object object;
	int err = head_open(bytes, len, &object, out_head);

	if (err < 0)
		return err;
	if (strcmp(out_head->id, id) != 0 || memcmp(object.signer, host, MESH_KEY_LEN) != 0)
		return WEFT_EREFUSED;
	return signed_verify(&object, HEAD_TAG);
}

bool builtin_room_head_admits(const struct room_head *head, const uint8_t key[MESH_KEY_LEN])
{
	for (unsigned i = 0; i < head->member_cnt; i++)
		if (memcmp(head->members[i], key, MESH_KEY_LEN) == 0)
			return true;
	return head->visibility != POD_PRIVATE;
}

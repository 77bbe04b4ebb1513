/* SPDX-License-Identifier: Apache-2.0 */
#include "room_record.h"

#include <string.h>

#include "codec/cbor_fields.h"
#include "crypto/signed.h"

#define SEGMENT_TAG "roomsegment"
#define HEAD_TAG    "roomhead"

enum { SEGMENT_ROOM, SEGMENT_NUMBER, SEGMENT_PREVIOUS, SEGMENT_EVENTS, SEGMENT_FIELD_CNT };
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

static const struct cbor_field event_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct room_event, sequence)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct room_event, at_ms)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct room_event, kind),
	 .max = ROOM_EVENT_KIND_CNT - 1},
	{3, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct room_event, sender), .max = MESH_KEY_LEN},
	{4, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct room_event, id),
	 .max = ROOM_EVENT_ID_LEN},
	{5, CBOR_FIELD_SPAN, CBOR_NEEDED, CBOR_AT(struct room_event, channel),
	 CBOR_LEN(struct room_event, channel_len), .max = POD_CHANNEL_LEN_MAX},
	{6, CBOR_FIELD_SPAN, CBOR_NEEDED, CBOR_AT(struct room_event, body),
	 CBOR_LEN(struct room_event, body_len), .max = POD_BODY_LEN_MAX},
	{7, CBOR_FIELD_EXACT, CBOR_OPTIONAL, CBOR_AT(struct room_event, signature),
	 .max = POD_SIGNATURE_LEN},
};
static const struct cbor_table event_table = {CBOR_FIELDS(event_fields)};

static const struct cbor_field head_fields[] = {
	{0, CBOR_FIELD_TEXT, CBOR_NEEDED, CBOR_AT(struct room_head, id)},
	{1, CBOR_FIELD_TEXT, CBOR_NEEDED, CBOR_AT(struct room_head, name)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct room_head, visibility),
	 .max = POD_VISIBILITY_CNT - 1},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct room_head, days), .max = POD_DAYS_MAX},
	{4, CBOR_FIELD_IDS, CBOR_NEEDED, CBOR_IDS(struct room_head, members),
	 CBOR_LEN(struct room_head, member_cnt)},
	{5, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct room_head, sealed_cnt)},
	{6, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct room_head, last)},
	{7, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct room_head, tail)},
	{8, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct room_head, updated_ms)},
};
static const struct cbor_table head_table = {CBOR_FIELDS(head_fields)};

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
	cbor_fields_write(body, &event_table, event);
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

static void event_read(struct cbor_reader *r, struct room_event *event)
{
	*event = (struct room_event){.sequence = 0};
	cbor_fields_read(r, &event_table, event);
	if (!cbor_is_bad(r) && (memchr(event->channel, '\0', event->channel_len) ||
				memchr(event->body, '\0', event->body_len)))
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

	cbor_fields_write(&body, &head_table, head);
	if (body.bad)
		w->bad = true;
	else
		signed_write(w, key, HEAD_TAG, bytes, writer_len(&body));
}

static int head_open(const uint8_t *bytes, size_t len, struct signed_object *object,
		     struct room_head *head)
{
	int err = len > ROOM_HEAD_LEN_MAX ? WEFT_EMALFORMED : signed_parse(bytes, len, object);

	if (err < 0)
		return WEFT_EMALFORMED;
	*head = (struct room_head){.id = ""};
	err = cbor_fields_parse(object->body, object->body_len, &head_table, head);
	return err == 0 && !is_pod_id(head->id) ? WEFT_EMALFORMED : err;
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histories of rooms in the store: a record of each room, and a row of each segment that is held.
 */
#include <string.h>

#include "base/memory/heap.h"
#include "codec/cbor.h"
#include "crypto/node_key.h"
#include "rooms.h"

#define KEY_PREFIX     "r"
#define KEY_PREFIX_LEN 1
#define KEY_BASE_LEN   (KEY_PREFIX_LEN + POD_ID_LEN + MESH_KEY_LEN)
#define KEY_LEN_MAX    (KEY_BASE_LEN + 1 + 8)
#define DAY_MS	       (24 * 3600 * 1000ull)
#define LAYOUT	       1

enum {
	RECORD_LAYOUT,
	RECORD_OWN,
	RECORD_HEAD,
	RECORD_TAIL,
	RECORD_PARTS,
	RECORD_SEALED,
	RECORD_VIA
};

static void key_begin(const struct room *room, struct writer *key)
{
	writer_bytes(key, KEY_PREFIX, KEY_PREFIX_LEN);
	writer_bytes(key, room->id, POD_ID_LEN);
	writer_bytes(key, room->host, MESH_KEY_LEN);
}

static void room_part_key(const struct room *room, uint64_t number, struct writer *key)
{
	key_begin(room, key);
	writer_u8(key, 's');
	writer_be64(key, number);
}

static void record_key(const struct room *room, struct writer *key)
{
	key_begin(room, key);
	writer_u8(key, 'h');
}

void builtin_room_record_delete(const struct room *room, struct provider_write *write)
{
	uint8_t key[KEY_LEN_MAX];
	struct writer k = writer_of(key, sizeof(key));

	record_key(room, &k);
	provider_write_delete(write, key, writer_len(&k));
}

bool builtin_room_set_bytes(struct room *room, uint8_t **slot, size_t *slot_len,
			    const uint8_t *bytes, size_t len)
{
	if (*slot)
		heap_release(room->rooms->memory, *slot);
	*slot = len ? heap_alloc(room->rooms->memory, len) : NULL;
	*slot_len = *slot ? len : 0;
	if (*slot)
		memcpy(*slot, bytes, len);
	return *slot || !len;
}

static void part_write(struct writer *w, const struct room_part *part)
{
	cbor_write_array(w, 6);
	cbor_write_uint(w, part->number);
	cbor_write_uint(w, part->first_sequence);
	cbor_write_uint(w, part->last_sequence);
	cbor_write_uint(w, part->len);
	cbor_write_uint(w, part->event_cnt);
	cbor_write_bytes(w, part->hash, ROOM_HASH_LEN);
}

static void part_read(struct cbor_reader *r, struct room_part *part)
{
	if (cbor_enter_array(r) != 6)
		cbor_fail(r);
	part->number = cbor_read_uint(r);
	part->first_sequence = cbor_read_uint(r);
	part->last_sequence = cbor_read_uint(r);
	part->len = (uint32_t)cbor_read_uint_max(r, ROOM_SEGMENT_LEN_MAX);
	part->event_cnt = (uint32_t)cbor_read_uint_max(r, ROOM_SEGMENT_EVENT_MAX);
	cbor_read_fixed(r, part->hash, ROOM_HASH_LEN);
	if (cbor_next(r))
		cbor_fail(r);
}

void builtin_room_record_put(const struct room *room, struct provider_write *write)
{
	/* scratch is a segment's while one is made; its second half is free. */
	uint8_t *record = room->rooms->scratch + ROOM_RECORD_LEN_MAX;
	struct writer w = writer_of(record, ROOM_RECORD_LEN_MAX);
	uint8_t key[KEY_LEN_MAX];
	struct writer k = writer_of(key, sizeof(key));
	size_t tail_len = room->is_own ? 0 : room->tail_len;

	cbor_write_map(&w, 7);
	cbor_field_uint(&w, RECORD_LAYOUT, LAYOUT);
	cbor_field_bool(&w, RECORD_OWN, room->is_own);
	cbor_field_bytes(&w, RECORD_HEAD, room->head, room->head_len);
	cbor_field_bytes(&w, RECORD_TAIL, room->tail, tail_len);
	cbor_write_uint(&w, RECORD_PARTS);
	cbor_write_array(&w, room->part_cnt);
	for (unsigned i = 0; i < room->part_cnt; i++)
		part_write(&w, &room->parts[i]);
	cbor_write_uint(&w, RECORD_SEALED);
	cbor_write_array(&w, 3);
	cbor_write_uint(&w, room->sealed_cnt);
	cbor_write_uint(&w, room->sealed_sequence);
	cbor_write_bytes(&w, room->last, ROOM_HASH_LEN);
	cbor_write_uint(&w, RECORD_VIA);
	cbor_write_array(&w, room->via_cnt);
	for (unsigned i = 0; i < room->via_cnt; i++)
		cbor_write_bytes(&w, room->via[i], MESH_KEY_LEN);
	record_key(room, &k);
	provider_write_put(write, key, writer_len(&k), record, writer_len(&w));
}

static void record_field_read(struct room *room, struct cbor_reader *r, uint64_t key)
{
	const uint8_t *bytes;
	size_t len;

	switch (key) {
	case RECORD_OWN:
		(void)cbor_read_bool(r);
		break;
	case RECORD_HEAD:
		bytes = cbor_read_bytes(r, &len);
		(void)builtin_room_set_bytes(room, &room->head, &room->head_len, bytes, len);
		break;
	case RECORD_TAIL:
		bytes = cbor_read_bytes(r, &len);
		(void)builtin_room_set_bytes(room, &room->tail, &room->tail_len, bytes, len);
		break;
	case RECORD_PARTS:
		if (cbor_enter_array(r) > ROOM_SEGMENTS_MAX)
			cbor_fail(r);
		while (cbor_next(r))
			part_read(r, &room->parts[room->part_cnt++]);
		break;
	case RECORD_SEALED:
		cbor_enter_array(r);
		room->sealed_cnt = cbor_read_uint(r);
		room->sealed_sequence = cbor_read_uint(r);
		cbor_read_fixed(r, room->last, ROOM_HASH_LEN);
		if (cbor_next(r))
			cbor_fail(r);
		break;
	case RECORD_VIA:
		if (cbor_enter_array(r) > ROOM_VIA_MAX)
			cbor_fail(r);
		while (cbor_next(r))
			cbor_read_fixed(r, room->via[room->via_cnt++], MESH_KEY_LEN);
		break;
	default:
		cbor_skip(r);
	}
}

static int record_load(struct rooms *rooms, const struct provider_row *row)
{
	const uint8_t *host = row->key + KEY_PREFIX_LEN + POD_ID_LEN;
	char id[POD_ID_LEN + 1] = "";
	struct room_head head;
	struct room *room;
	struct cbor_reader r;
	uint64_t key;
	int err;

	memcpy(id, row->key + KEY_PREFIX_LEN, POD_ID_LEN);
	room = builtin_room_new(rooms, id, host,
				memcmp(host, node_key_public(rooms->key), MESH_KEY_LEN) == 0);
	if (!room)
		return 0; /* more rooms than there may be now: it stays on the disk */
	if ((err = cbor_enter_record(&r, row->value, row->value_len, LAYOUT)) < 0)
		return err;
	while (cbor_next_key(&r, &key))
		record_field_read(room, &r, key);
	if (cbor_reader_finish(&r) < 0)
		return WEFT_EDAMAGED;
	if (room->head && builtin_room_head_parse(room->head, room->head_len, &head) == 0)
		room->updated_ms = head.updated_ms;
	return 0;
}

int builtin_rooms_load(struct rooms *rooms)
{
	const struct provider_row_range range = {.prefix = KEY_PREFIX,
						 .prefix_len = KEY_PREFIX_LEN};
	struct provider_walk *walk = provider_walk_open(rooms->tenant, &range);
	struct provider_row row;
	int err = 0, walk_err;

	while (err == 0 && provider_walk_next(walk, &row))
		if (row.key_len == KEY_BASE_LEN + 1 && row.key[KEY_BASE_LEN] == 'h')
			err = record_load(rooms, &row);
	walk_err = provider_walk_close(walk);
	return err < 0 ? err : walk_err;
}

/* --- the parts of a room --- */

static void part_drop_oldest(struct room *room, struct provider_write *write)
{
	uint8_t key[KEY_LEN_MAX];
	struct writer k = writer_of(key, sizeof(key));

	room_part_key(room, room->parts[0].number, &k);
	if (write)
		provider_write_delete(write, key, writer_len(&k));
	room->part_cnt--;
	memmove(room->parts, room->parts + 1, room->part_cnt * sizeof(room->parts[0]));
}

void builtin_room_drop_parts(struct room *room, struct provider_write *write)
{
	while (room->part_cnt)
		part_drop_oldest(room, write);
}

static bool is_too_much(const struct room *room, unsigned days, uint64_t now_ms)
{
	uint64_t len = room->tail_len, event_cnt = 0;
	uint64_t age_ms = days && days * DAY_MS < ROOM_AGE_MS ? days * DAY_MS : ROOM_AGE_MS;

	for (unsigned i = 0; i < room->part_cnt; i++) {
		len += room->parts[i].len;
		event_cnt += room->parts[i].event_cnt;
	}
	return event_cnt > ROOM_EVENTS_MAX || len > ROOM_BYTES_MAX ||
	       room->parts[0].last_sequence + age_ms < now_ms;
}

void builtin_room_trim(struct room *room, unsigned days, uint64_t now_ms,
		       struct provider_write *write)
{
	while (room->part_cnt && is_too_much(room, days, now_ms))
		part_drop_oldest(room, write);
}

void builtin_room_take_part(struct room *room, const struct room_part *part, const uint8_t *bytes,
			    struct provider_write *write)
{
	uint8_t key[KEY_LEN_MAX];
	struct writer k = writer_of(key, sizeof(key));

	if (room->part_cnt == ROOM_SEGMENTS_MAX)
		part_drop_oldest(room, write);
	room->parts[room->part_cnt++] = *part;
	room->sealed_cnt = part->number + 1;
	room->sealed_sequence = part->last_sequence;
	memcpy(room->last, part->hash, ROOM_HASH_LEN);
	room_part_key(room, part->number, &k);
	provider_write_put(write, key, writer_len(&k), bytes, part->len);
}

static bool has_part(const struct room *room, uint64_t number)
{
	return room->part_cnt && number >= room->parts[0].number && number < room->sealed_cnt;
}

size_t builtin_room_part_bytes(const struct room *room, uint64_t number, uint8_t *dst)
{
	uint8_t key[KEY_LEN_MAX];
	struct writer k = writer_of(key, sizeof(key));
	int len;

	if (!has_part(room, number))
		return 0;
	room_part_key(room, number, &k);
	len = provider_row_read(room->rooms->tenant, key, writer_len(&k), dst,
				ROOM_SEGMENT_LEN_MAX);
	return len < 0 ? 0 : (size_t)len;
}

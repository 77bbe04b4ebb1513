/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histories of rooms in the store: a record of each room, and a row of each segment that is held.
 */
#include <string.h>

#include "base/memory/heap.h"
#include "codec/cbor_fields.h"
#include "crypto/node_key.h"
#include "rooms.h"

#define KEY_PREFIX     "r"
#define KEY_PREFIX_LEN 1
#define KEY_BASE_LEN   (KEY_PREFIX_LEN + POD_ID_LEN + MESH_KEY_LEN)
#define KEY_LEN_MAX    (KEY_BASE_LEN + 1 + 8)
#define DAY_MS	       (24 * 3600 * 1000ull)
#define LAYOUT	       1

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

/* --- a record --- */

/* Whether a room is an own one follows from its host. */
static void own_read(struct cbor_reader *r, void *of)
{
	(void)of;
	(void)cbor_read_bool(r);
}

static void own_write(struct writer *w, const void *of)
{
	const struct room *room = of;

	cbor_write_bool(w, room->is_own);
}

static void head_read(struct cbor_reader *r, void *of)
{
	struct room *room = of;
	size_t len;
	const uint8_t *bytes = cbor_read_bytes(r, &len);

	(void)builtin_room_set_bytes(room, &room->head, &room->head_len, bytes, len);
}

static void head_write(struct writer *w, const void *of)
{
	const struct room *room = of;

	cbor_write_bytes(w, room->head, room->head_len);
}

static void tail_read(struct cbor_reader *r, void *of)
{
	struct room *room = of;
	size_t len;
	const uint8_t *bytes = cbor_read_bytes(r, &len);

	(void)builtin_room_set_bytes(room, &room->tail, &room->tail_len, bytes, len);
}

/* The tail of an own room is made of its messages. */
static void tail_write(struct writer *w, const void *of)
{
	const struct room *room = of;

	cbor_write_bytes(w, room->tail, room->is_own ? 0 : room->tail_len);
}

static const struct cbor_field sealed_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct room, sealed_cnt)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct room, sealed_sequence)},
	{2, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct room, last)},
};
static const struct cbor_table sealed_table = {CBOR_FIELDS(sealed_fields)};

static void sealed_read(struct cbor_reader *r, void *of)
{
	cbor_row_read(r, &sealed_table, of);
}

static void sealed_write(struct writer *w, const void *of)
{
	cbor_row_write(w, &sealed_table, of);
}

static const struct cbor_field part_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct room_part, number)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct room_part, first_sequence)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct room_part, last_sequence)},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct room_part, len),
	 .max = ROOM_SEGMENT_LEN_MAX},
	{4, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct room_part, event_cnt),
	 .max = ROOM_SEGMENT_EVENT_MAX},
	{5, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct room_part, hash)},
};
static const struct cbor_table part_table = {CBOR_FIELDS(part_fields)};

static const struct cbor_field record_fields[] = {
	{0, CBOR_FIELD_CONSTANT, CBOR_USUAL, .max = LAYOUT},
	{1, CBOR_FIELD_CODED, CBOR_USUAL, .read = own_read, .write = own_write},
	{2, CBOR_FIELD_CODED, CBOR_USUAL, .read = head_read, .write = head_write},
	{3, CBOR_FIELD_CODED, CBOR_USUAL, .read = tail_read, .write = tail_write},
	{4, CBOR_FIELD_ROWS, CBOR_USUAL, CBOR_ROWS(struct room, parts, part_table),
	 CBOR_LEN(struct room, part_cnt)},
	{5, CBOR_FIELD_CODED, CBOR_USUAL, .read = sealed_read, .write = sealed_write},
	{6, CBOR_FIELD_IDS, CBOR_USUAL, CBOR_IDS(struct room, via), CBOR_LEN(struct room, via_cnt)},
};
static const struct cbor_table record_table = {CBOR_FIELDS(record_fields)};

void builtin_room_record_put(const struct room *room, struct provider_write *write)
{
	/* scratch is a segment's while one is made; its second half is free. */
	uint8_t *record = room->rooms->scratch + ROOM_RECORD_LEN_MAX;
	struct writer w = writer_of(record, ROOM_RECORD_LEN_MAX);
	uint8_t key[KEY_LEN_MAX];
	struct writer k = writer_of(key, sizeof(key));

	cbor_fields_write(&w, &record_table, room);
	record_key(room, &k);
	provider_write_put(write, key, writer_len(&k), record, writer_len(&w));
}

static int record_load(struct rooms *rooms, const struct provider_row *row)
{
	const uint8_t *host = row->key + KEY_PREFIX_LEN + POD_ID_LEN;
	char id[POD_ID_LEN + 1] = "";
	struct room_head head;
	struct room *room;
	struct cbor_reader r;
	int err;

	memcpy(id, row->key + KEY_PREFIX_LEN, POD_ID_LEN);
	room = builtin_room_new(rooms, id, host,
				memcmp(host, node_key_public(rooms->key), MESH_KEY_LEN) == 0);
	if (!room)
		return 0; /* more rooms than there may be now: it stays on the disk */
	if ((err = cbor_enter_record(&r, row->value, row->value_len, LAYOUT)) < 0)
		return err;
	cbor_fields_read_on(&r, &record_table, room);
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

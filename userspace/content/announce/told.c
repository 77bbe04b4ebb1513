/* SPDX-License-Identifier: Apache-2.0 */
#include "content/announce/told.h"

#include <string.h>

#include "base/cursor.h"
#include "codec/peer_addr.h"
#include "crypto/blake3.h"
#include "store/store.h"

#define ROW_CAP (8 + TOLD_HASH_LEN)

size_t told_key(const struct told_row *row, uint8_t key[static TOLD_KEY_CAP])
{
	struct writer w = writer_of(key, TOLD_KEY_CAP);

	writer_u8(&w, (uint8_t)row->kind);
	if (row->kind == TOLD_MANIFEST || row->kind == TOLD_CONTENT)
		writer_bytes(&w, row->id, sizeof(row->id));
	if (row->kind == TOLD_REGION) {
		writer_u8(&w, (uint8_t)row->depth);
		writer_be32(&w, row->region);
	}
	return writer_len(&w);
}

void told_put(struct store_batch *batch, const struct told_row *row)
{
	uint8_t key[TOLD_KEY_CAP], value[ROW_CAP];
	struct writer w = writer_of(value, sizeof(value));

	writer_be64(&w, row->time_s);
	if (row->kind == TOLD_REGION)
		writer_be64(&w, row->print);
	if (row->kind == TOLD_ADDRS)
		writer_bytes(&w, row->id, sizeof(row->id));
	store_batch_put(batch, STORE_ANNOUNCED, key, told_key(row, key), value, writer_len(&w));
}

void told_delete(struct store_batch *batch, const struct told_row *row)
{
	uint8_t key[TOLD_KEY_CAP];

	store_batch_delete(batch, STORE_ANNOUNCED, key, told_key(row, key));
}

int told_parse(const struct store_item *item, struct told_row *out_row)
{
	struct cursor key = cursor_of(item->key, item->key_len);
	struct cursor value = cursor_of(item->value, item->value_len);
	struct told_row row = {.kind = (enum told_kind)cursor_u8(&key)};

	if (row.kind == TOLD_MANIFEST || row.kind == TOLD_CONTENT)
		cursor_copy(&key, row.id, sizeof(row.id));
	row.time_s = cursor_be64(&value);
	if (row.kind == TOLD_REGION) {
		row.depth = cursor_u8(&key);
		row.region = cursor_be32(&key);
		row.print = cursor_be64(&value);
	}
	if (row.kind == TOLD_ADDRS)
		cursor_copy(&value, row.id, sizeof(row.id));
	if (key.bad || value.bad || cursor_left(&key) || cursor_left(&value) ||
	    row.kind > TOLD_REGION)
		return WEFT_EDAMAGED;
	*out_row = row;
	return 0;
}

uint64_t told_time_s(struct store_snapshot *snapshot, const struct told_row *row)
{
	struct told_row known;
	uint8_t key[TOLD_KEY_CAP];
	struct store_item item = {.key = key, .key_len = told_key(row, key)};
	const void *value;

	if (store_get(snapshot, STORE_ANNOUNCED, key, item.key_len, &value, &item.value_len) < 0)
		return 0;
	item.value = value;
	return told_parse(&item, &known) < 0 ? 0 : known.time_s;
}

void told_hash_addrs(const struct addr *addrs, unsigned cnt, uint8_t hash[static TOLD_HASH_LEN])
{
	uint8_t bytes[1024];
	struct writer w = writer_of(bytes, sizeof(bytes));

	_Static_assert(TOLD_HASH_LEN == BLAKE3_HASH_LEN, "the hash is BLAKE3");
	peer_addrs_write(&w, addrs, cnt);
	blake3_hash(bytes, writer_len(&w), hash);
}

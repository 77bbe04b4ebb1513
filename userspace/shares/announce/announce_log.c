/* SPDX-License-Identifier: Apache-2.0 */
#include "announce_log.h"

#include <string.h>

#include "base/byte_cursor.h"
#include "codec/peer_addr.h"
#include "crypto/blake3/blake3.h"
#include "store/store.h"

#define ROW_CAP (8 + ANNOUNCE_LOG_HASH_LEN)

size_t shares_announce_log_key(const struct announce_log_row *row,
			       uint8_t key[static ANNOUNCE_LOG_KEY_CAP])
{
	struct writer w = writer_of(key, ANNOUNCE_LOG_KEY_CAP);

	writer_u8(&w, (uint8_t)row->kind);
	if (row->kind == ANNOUNCE_LOG_MANIFEST || row->kind == ANNOUNCE_LOG_CONTENT)
		writer_bytes(&w, row->id, sizeof(row->id));
	if (row->kind == ANNOUNCE_LOG_REGION) {
		writer_u8(&w, (uint8_t)row->depth);
		writer_be32(&w, row->region);
	}
	return writer_len(&w);
}

void shares_announce_log_put(struct store_batch *batch, const struct announce_log_row *row)
{
	uint8_t key[ANNOUNCE_LOG_KEY_CAP], value[ROW_CAP];
	struct writer w = writer_of(value, sizeof(value));

	writer_be64(&w, row->time_s);
	if (row->kind == ANNOUNCE_LOG_REGION)
		writer_be64(&w, row->print);
	if (row->kind == ANNOUNCE_LOG_ADDRS)
		writer_bytes(&w, row->id, sizeof(row->id));
	store_batch_put(batch, STORE_ANNOUNCED, store_key(key, shares_announce_log_key(row, key)),
			value, writer_len(&w));
}

void shares_announce_log_delete(struct store_batch *batch, const struct announce_log_row *row)
{
	uint8_t key[ANNOUNCE_LOG_KEY_CAP];

	store_batch_delete(batch, STORE_ANNOUNCED,
			   store_key(key, shares_announce_log_key(row, key)));
}

int shares_announce_log_parse(const struct store_item *item, struct announce_log_row *out_row)
{
	struct cursor key = cursor_of(item->key, item->key_len);
	struct cursor value = cursor_of(item->value, item->value_len);
	struct announce_log_row row = {.kind = (enum announce_log_kind)cursor_u8(&key)};

	if (row.kind == ANNOUNCE_LOG_MANIFEST || row.kind == ANNOUNCE_LOG_CONTENT)
		cursor_copy(&key, row.id, sizeof(row.id));
	row.time_s = cursor_be64(&value);
	if (row.kind == ANNOUNCE_LOG_REGION) {
		row.depth = cursor_u8(&key);
		row.region = cursor_be32(&key);
		row.print = cursor_be64(&value);
	}
	if (row.kind == ANNOUNCE_LOG_ADDRS)
		cursor_copy(&value, row.id, sizeof(row.id));
	if (key.bad || value.bad || cursor_left(&key) || cursor_left(&value) ||
	    row.kind > ANNOUNCE_LOG_REGION)
		return WEFT_EDAMAGED;
	*out_row = row;
	return 0;
}

uint64_t shares_announce_log_time_s(struct store_snapshot *snapshot,
				    const struct announce_log_row *row)
{
	struct announce_log_row known;
	uint8_t key[ANNOUNCE_LOG_KEY_CAP];
	struct store_item item = {.key = key, .key_len = shares_announce_log_key(row, key)};
	const void *value;

	if (store_get(snapshot, STORE_ANNOUNCED, store_key(key, item.key_len), &value,
		      &item.value_len) < 0)
		return 0;
	item.value = value;
	return shares_announce_log_parse(&item, &known) < 0 ? 0 : known.time_s;
}

void shares_announce_log_hash(const struct peer_places *places,
			      uint8_t hash[static ANNOUNCE_LOG_HASH_LEN])
{
	uint8_t bytes[1024];
	struct writer w = writer_of(bytes, sizeof(bytes));

	_Static_assert(ANNOUNCE_LOG_HASH_LEN == BLAKE3_HASH_LEN, "the hash is BLAKE3");
	peer_places_write(&w, places);
	blake3_hash(bytes, writer_len(&w), hash);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps of CBOR by table. Keys ascend on the wire and in tables, so a read
 * walks both once; the reader refuses a key that is there twice.
 */
#include "codec/cbor_fields.h"

#include <string.h>

#include "base/assert.h"
#include "codec/peer_addr.h"

/* --- members --- */

static void *member_of(void *record, size_t off)
{
	return (uint8_t *)record + off;
}

static const void *const_member_of(const void *record, size_t off)
{
	return (const uint8_t *)record + off;
}

static void number_store(void *member, size_t size, uint64_t value)
{
	uint32_t u32 = (uint32_t)value;
	uint16_t u16 = (uint16_t)value;

	switch (size) {
	case 1:
		*(uint8_t *)member = (uint8_t)value;
		break;
	case 2:
		memcpy(member, &u16, sizeof(u16));
		break;
	case 4:
		memcpy(member, &u32, sizeof(u32));
		break;
	default:
		memcpy(member, &value, sizeof(value));
	}
}

static uint64_t number_load(const void *member, size_t size)
{
	uint64_t u64;
	uint32_t u32;
	uint16_t u16;

	switch (size) {
	case 0:
		return 0; /* a field without one */
	case 1:
		return *(const uint8_t *)member;
	case 2:
		memcpy(&u16, member, sizeof(u16));
		return u16;
	case 4:
		memcpy(&u32, member, sizeof(u32));
		return u32;
	default:
		memcpy(&u64, member, sizeof(u64));
		return u64;
	}
}

static uint64_t number_max(const struct cbor_field *field, size_t size)
{
	uint64_t width_max = size < 8 ? (1ull << 8 * size) - 1 : UINT64_MAX;

	return field->max ? field->max : width_max;
}

/* --- reading --- */

/* Borrowed bytes or text, with its length. */
static void span_read(struct cbor_reader *r, const struct cbor_field *field, void *record)
{
	size_t len;
	const void *data = field->kind == CBOR_FIELD_SPAN ? (const void *)cbor_read_text(r, &len)
							  : cbor_read_bytes(r, &len);

	if (len < field->min || len > number_max(field, field->len_size))
		cbor_fail(r);
	memcpy(member_of(record, field->off), &data, sizeof(data));
	number_store(member_of(record, field->len_off), field->len_size, len);
}

static void path_read(struct cbor_reader *r, char *dst, size_t cap)
{
	size_t len;
	const uint8_t *bytes = cbor_read_bytes(r, &len);

	if (!bytes || len >= cap || memchr(bytes, '\0', len)) {
		cbor_fail(r);
		return;
	}
	memcpy(dst, bytes, len);
	dst[len] = '\0';
}

static void addr_read(struct cbor_reader *r, struct addr *out_addr)
{
	struct peer_addr addr;

	peer_addr_read(r, &addr);
	if (!cbor_is_bad(r))
		*out_addr = addr.peer.addr;
}

static void addrs_read(struct cbor_reader *r, const struct cbor_field *field, void *record)
{
	struct addr addrs[PEER_ADDRS_MAX];
	unsigned cnt = peer_addrs_read(r, addrs), cap = (unsigned)(field->size / sizeof(addrs[0]));

	if (cnt > cap)
		cnt = cap;
	memcpy(member_of(record, field->off), addrs, cnt * sizeof(addrs[0]));
	number_store(member_of(record, field->len_off), field->len_size, cnt);
}

static void rows_read(struct cbor_reader *r, const struct cbor_field *field, void *record)
{
	size_t cnt = 0;

	if (cbor_enter_array(r) > field->size / field->row_size)
		cbor_fail(r);
	for (; cbor_next(r); cnt++) {
		void *row = member_of(record, field->off + cnt * field->row_size);

		if (field->kind == CBOR_FIELD_ROWS)
			cbor_row_read(r, field->rows, row);
		else
			cbor_read_fixed(r, row, field->row_size);
	}
	number_store(member_of(record, field->len_off), field->len_size, cnt);
}

static void value_read(struct cbor_reader *r, const struct cbor_field *field, void *record)
{
	void *member = member_of(record, field->off);
	const uint8_t *bytes;

	switch (field->kind) {
	case CBOR_FIELD_UINT:
		number_store(member, field->size,
			     cbor_read_uint_max(r, number_max(field, field->size)));
		break;
	case CBOR_FIELD_INT:
		*(int64_t *)member = cbor_read_int(r);
		break;
	case CBOR_FIELD_BOOL:
	case CBOR_FIELD_FLAG:
		*(bool *)member = cbor_read_bool(r);
		if (field->kind == CBOR_FIELD_FLAG && !*(bool *)member)
			cbor_fail(r);
		break;
	case CBOR_FIELD_CONSTANT:
		if (cbor_read_uint(r) != field->max)
			cbor_fail(r);
		break;
	case CBOR_FIELD_FIXED:
		cbor_read_fixed(r, member, field->size);
		break;
	case CBOR_FIELD_EXACT:
		bytes = cbor_read_exactly(r, field->max);
		memcpy(member, &bytes, sizeof(bytes));
		break;
	case CBOR_FIELD_BYTES:
	case CBOR_FIELD_SPAN:
		span_read(r, field, record);
		break;
	case CBOR_FIELD_TEXT:
		cbor_read_text_copy(r, member, field->size);
		break;
	case CBOR_FIELD_PATH:
		path_read(r, member, field->size);
		break;
	case CBOR_FIELD_ADDR:
		addr_read(r, member);
		break;
	case CBOR_FIELD_ADDRS:
		addrs_read(r, field, record);
		break;
	case CBOR_FIELD_PLACES:
		peer_places_read(r, member);
		break;
	case CBOR_FIELD_ROWS:
	case CBOR_FIELD_IDS:
		rows_read(r, field, record);
		break;
	case CBOR_FIELD_CODED:
		field->read(r, member);
	}
	if (field->need == CBOR_FLAGGED)
		*(bool *)member_of(record, field->has) = true;
}

void cbor_fields_read_on(struct cbor_reader *r, const struct cbor_table *table, void *record)
{
	uint64_t key, seen = 0;
	unsigned at = 0;

	weft_assert(!r->is_any_order);
	while (cbor_next_key(r, &key)) {
		while (at < table->cnt && table->fields[at].key < key)
			at++;
		if (at < table->cnt && table->fields[at].key == key) {
			value_read(r, &table->fields[at], record);
			seen |= CBOR_KEY(key);
		} else if (table->is_closed) {
			cbor_fail(r);
		} else {
			cbor_skip(r);
		}
	}
	for (at = 0; at < table->cnt; at++)
		if (table->fields[at].need == CBOR_NEEDED &&
		    !(seen & CBOR_KEY(table->fields[at].key)))
			cbor_fail(r);
}

void cbor_fields_read(struct cbor_reader *r, const struct cbor_table *table, void *record)
{
	(void)cbor_enter_map(r);
	cbor_fields_read_on(r, table, record);
}

int cbor_fields_parse(const void *data, size_t len, const struct cbor_table *table, void *record)
{
	struct cbor_reader r;

	cbor_reader_init(&r, data, len);
	cbor_fields_read(&r, table, record);
	return cbor_reader_finish(&r);
}

void cbor_row_read(struct cbor_reader *r, const struct cbor_table *table, void *record)
{
	if (cbor_enter_array(r) != table->cnt)
		cbor_fail(r);
	for (unsigned i = 0; i < table->cnt && !cbor_is_bad(r); i++)
		value_read(r, &table->fields[i], record);
	if (cbor_next(r))
		cbor_fail(r);
}

/* --- writing --- */

/* For text the first byte decides. */
static bool is_written(const struct cbor_field *field, const void *record)
{
	bool is_text = field->kind == CBOR_FIELD_TEXT || field->kind == CBOR_FIELD_PATH;
	const uint8_t *at = const_member_of(record, field->has_size ? field->has : field->off);
	size_t size = field->has_size ? field->has_size : is_text ? 1 : field->size;

	if (field->need != CBOR_OPTIONAL && field->need != CBOR_FLAGGED)
		return field->need != CBOR_FORMER;
	for (size_t i = 0; i < size; i++)
		if (at[i])
			return true;
	return false;
}

/* The length or count beside a field's member. */
static uint64_t count_of(const struct cbor_field *field, const void *record)
{
	return number_load(const_member_of(record, field->len_off), field->len_size);
}

static void addr_write(struct writer *w, const struct addr *direct)
{
	struct peer_addr addr = peer_addr_of(direct);

	peer_addr_write(w, &addr);
}

static void rows_write(struct writer *w, const struct cbor_field *field, const void *record)
{
	uint64_t cnt = count_of(field, record);

	cbor_write_array(w, cnt);
	for (uint64_t i = 0; i < cnt; i++) {
		const void *row = const_member_of(record, field->off + i * field->row_size);

		if (field->kind == CBOR_FIELD_ROWS)
			cbor_row_write(w, field->rows, row);
		else
			cbor_write_bytes(w, row, field->row_size);
	}
}

static void value_write(struct writer *w, const struct cbor_field *field, const void *record)
{
	const void *member = const_member_of(record, field->off);
	const void *data;
	uint64_t len;

	switch (field->kind) {
	case CBOR_FIELD_UINT:
		cbor_write_uint(w, number_load(member, field->size));
		break;
	case CBOR_FIELD_INT:
		cbor_write_int(w, *(const int64_t *)member);
		break;
	case CBOR_FIELD_BOOL:
	case CBOR_FIELD_FLAG:
		cbor_write_bool(w, *(const bool *)member);
		break;
	case CBOR_FIELD_CONSTANT:
		cbor_write_uint(w, field->max);
		break;
	case CBOR_FIELD_FIXED:
		cbor_write_bytes(w, member, field->size);
		break;
	case CBOR_FIELD_EXACT:
		memcpy(&data, member, sizeof(data));
		cbor_write_bytes(w, data, field->max);
		break;
	case CBOR_FIELD_BYTES:
	case CBOR_FIELD_SPAN:
		memcpy(&data, member, sizeof(data));
		len = count_of(field, record);
		if (field->kind == CBOR_FIELD_SPAN)
			cbor_write_text(w, data, len);
		else
			cbor_write_bytes(w, data, len);
		break;
	case CBOR_FIELD_TEXT:
		cbor_write_text(w, member, strlen(member));
		break;
	case CBOR_FIELD_PATH:
		cbor_write_bytes(w, member, strlen(member));
		break;
	case CBOR_FIELD_ADDR:
		addr_write(w, member);
		break;
	case CBOR_FIELD_ADDRS:
		peer_addrs_write(w, member, (unsigned)count_of(field, record));
		break;
	case CBOR_FIELD_PLACES:
		peer_places_write(w, member);
		break;
	case CBOR_FIELD_ROWS:
	case CBOR_FIELD_IDS:
		rows_write(w, field, record);
		break;
	case CBOR_FIELD_CODED:
		field->write(w, member);
	}
}

void cbor_fields_write(struct writer *w, const struct cbor_table *table, const void *record)
{
	uint64_t written = 0;

	for (unsigned i = 0; i < table->cnt; i++)
		written |= (uint64_t)is_written(&table->fields[i], record) << i;
	cbor_write_map(w, (unsigned)__builtin_popcountll(written));
	for (; written; written &= written - 1) {
		const struct cbor_field *field = &table->fields[__builtin_ctzll(written)];

		cbor_write_uint(w, field->key);
		value_write(w, field, record);
	}
}

void cbor_row_write(struct writer *w, const struct cbor_table *table, const void *record)
{
	cbor_write_array(w, table->cnt);
	for (unsigned i = 0; i < table->cnt; i++)
		value_write(w, &table->fields[i], record);
}

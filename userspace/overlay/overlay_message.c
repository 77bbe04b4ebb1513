/* SPDX-License-Identifier: Apache-2.0 */
#include "overlay_message.h"

#include "codec/cbor_fields.h"

static const struct cbor_field find_node_fields[] = {
	{0, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct overlay_find, target), .max = KAD_ID_LEN},
	{2, CBOR_FIELD_BOOL, CBOR_OPTIONAL, CBOR_AT(struct overlay_find, is_serving)},
};
static const struct cbor_field find_value_fields[] = {
	{0, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct overlay_find, target),
	 .max = OVERLAY_KEY_LEN},
	{1, CBOR_FIELD_EXACT, CBOR_OPTIONAL, CBOR_AT(struct overlay_find, after),
	 .max = OVERLAY_WRITER_LEN},
	{2, CBOR_FIELD_BOOL, CBOR_OPTIONAL, CBOR_AT(struct overlay_find, is_serving)},
};
static const struct cbor_table find_node_table = {CBOR_FIELDS(find_node_fields)};
static const struct cbor_table find_value_table = {CBOR_FIELDS(find_value_fields)};

static const struct cbor_table *find_table(size_t target_len)
{
	return target_len == OVERLAY_KEY_LEN ? &find_value_table : &find_node_table;
}

void overlay_find_write(struct writer *w, const struct overlay_find *find, size_t target_len)
{
	cbor_fields_write(w, find_table(target_len), find);
}

int overlay_find_parse(const uint8_t *data, size_t len, size_t target_len,
		       struct overlay_find *out_find)
{
	struct overlay_find find = {0};
	int err = cbor_fields_parse(data, len, find_table(target_len), &find);

	if (err < 0)
		return err;
	*out_find = find;
	return 0;
}

static const struct cbor_field store_fields[] = {
	{0, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct overlay_store, key),
	 .max = OVERLAY_KEY_LEN},
	{1, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct overlay_store, name),
	 CBOR_LEN(struct overlay_store, name_len), .min = 1, .max = OVERLAY_NAME_LEN_MAX},
	{2, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct overlay_store, value),
	 CBOR_LEN(struct overlay_store, value_len), .min = 1},
	{3, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct overlay_store, ttl_s)},
};
static const struct cbor_table store_table = {CBOR_FIELDS(store_fields)};

void overlay_store_write(struct writer *w, const struct overlay_store *store)
{
	cbor_fields_write(w, &store_table, store);
}

int overlay_store_parse(const uint8_t *data, size_t len, struct overlay_store *out_store)
{
	struct overlay_store store = {0};
	int err = cbor_fields_parse(data, len, &store_table, &store);

	if (err < 0)
		return err;
	if (store.value_len > OVERLAY_VALUE_LEN_MAX)
		return WEFT_ETOOLARGE;
	*out_store = store;
	return 0;
}

static const struct cbor_field stored_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, .size = sizeof(uint64_t)},
};
static const struct cbor_table stored_table = {CBOR_FIELDS(stored_fields)};

void overlay_stored_write(struct writer *w, uint64_t stored_s)
{
	cbor_fields_write(w, &stored_table, &stored_s);
}

int overlay_stored_parse(const uint8_t *data, size_t len, uint64_t *out_stored_s)
{
	uint64_t stored_s = 0;
	int err = cbor_fields_parse(data, len, &stored_table, &stored_s);

	if (err < 0)
		return err;
	*out_stored_s = stored_s;
	return 0;
}

static void values_write(struct writer *w, const void *of)
{
	const struct overlay_found *found = of;

	cbor_write_array(w, found->value_cnt);
	for (unsigned i = 0; i < found->value_cnt; i++)
		cbor_write_bytes(w, found->values[i].data, found->values[i].len);
}

static void values_read(struct cbor_reader *r, void *of)
{
	struct overlay_found *found = of;
	size_t page_len = 0;

	if (cbor_enter_array(r) > OVERLAY_KEY_MAX)
		cbor_fail(r);
	while (cbor_next(r)) {
		struct overlay_span *value = &found->values[found->value_cnt++];

		value->data = cbor_read_bytes(r, &value->len);
		page_len += value->len;
		if (!value->len || page_len > OVERLAY_PAGE_LEN_MAX)
			cbor_fail(r);
	}
}

static const struct cbor_field node_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct overlay_node, key)},
	{1, CBOR_FIELD_ADDRS, CBOR_NEEDED, CBOR_AT(struct overlay_node, addrs),
	 CBOR_LEN(struct overlay_node, addr_cnt)},
};
static const struct cbor_table node_table = {CBOR_FIELDS(node_fields)};

static const struct cbor_field found_fields[] = {
	{0, CBOR_FIELD_ROWS, CBOR_NEEDED, CBOR_ROWS(struct overlay_found, nodes, node_table),
	 CBOR_LEN(struct overlay_found, node_cnt)},
	{1, CBOR_FIELD_CODED, CBOR_USUAL, .read = values_read, .write = values_write},
	{2, CBOR_FIELD_EXACT, CBOR_OPTIONAL, CBOR_AT(struct overlay_found, next),
	 .max = OVERLAY_WRITER_LEN},
};
static const struct cbor_table found_table = {CBOR_FIELDS(found_fields)};
static const struct cbor_table found_nodes_table = {.fields = found_fields, .cnt = 1};

void overlay_found_write(struct writer *w, const struct overlay_found *found, bool has_values)
{
	cbor_fields_write(w, has_values ? &found_table : &found_nodes_table, found);
}

int overlay_found_parse(const uint8_t *data, size_t len, struct overlay_found *out_found)
{
	out_found->node_cnt = 0;
	out_found->value_cnt = 0;
	out_found->next = NULL;
	return cbor_fields_parse(data, len, &found_table, out_found);
}

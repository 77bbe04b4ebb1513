/* SPDX-License-Identifier: Apache-2.0 */
#include "overlay_message.h"

#include "codec/cbor.h"
#include "codec/peer_addr.h"

void overlay_find_write(struct writer *w, const struct overlay_find *find, size_t target_len)
{
	cbor_write_map(w, 1u + (find->after ? 1u : 0u) + find->is_serving);
	cbor_field_bytes(w, 0, find->target, target_len);
	if (find->after)
		cbor_field_bytes(w, 1, find->after, OVERLAY_WRITER_LEN);
	if (find->is_serving)
		cbor_field_bool(w, 2, true);
}

int overlay_find_parse(const uint8_t *data, size_t len, size_t target_len,
		       struct overlay_find *out_find)
{
	struct overlay_find find = {0};
	struct cbor_reader r;
	uint64_t key;
	int err;

	cbor_reader_init(&r, data, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		if (key == 0)
			find.target = cbor_read_exactly(&r, target_len);
		else if (key == 1 && target_len == OVERLAY_KEY_LEN)
			find.after = cbor_read_exactly(&r, OVERLAY_WRITER_LEN);
		else if (key == 2)
			find.is_serving = cbor_read_bool(&r);
		else
			cbor_skip(&r);
	}
	if ((err = cbor_reader_finish_with(&r, CBOR_KEY(0))) < 0)
		return err;
	*out_find = find;
	return 0;
}

void overlay_store_write(struct writer *w, const struct overlay_store *store)
{
	cbor_write_map(w, store->ttl_s ? 4 : 3);
	cbor_field_bytes(w, 0, store->key, OVERLAY_KEY_LEN);
	cbor_field_bytes(w, 1, store->name, store->name_len);
	cbor_field_bytes(w, 2, store->value, store->value_len);
	if (!store->ttl_s)
		return;
	cbor_field_uint(w, 3, store->ttl_s);
}

int overlay_store_parse(const uint8_t *data, size_t len, struct overlay_store *out_store)
{
	struct overlay_store store = {0};
	struct cbor_reader r;
	uint64_t key;
	int err;

	cbor_reader_init(&r, data, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		switch (key) {
		case 0:
			store.key = cbor_read_exactly(&r, OVERLAY_KEY_LEN);
			break;
		case 1:
			store.name = cbor_read_bytes(&r, &store.name_len);
			break;
		case 2:
			store.value = cbor_read_bytes(&r, &store.value_len);
			break;
		case 3:
			store.ttl_s = cbor_read_uint(&r);
			break;
		default:
			cbor_skip(&r);
		}
	}
	if ((err = cbor_reader_finish(&r)) < 0)
		return err;
	if (!store.key || !store.name_len || store.name_len > OVERLAY_NAME_LEN_MAX ||
	    !store.value_len)
		return WEFT_EMALFORMED;
	if (store.value_len > OVERLAY_VALUE_LEN_MAX)
		return WEFT_ETOOLARGE;
	*out_store = store;
	return 0;
}

void overlay_stored_write(struct writer *w, uint64_t stored_s)
{
	cbor_write_map(w, 1);
	cbor_field_uint(w, 0, stored_s);
}

int overlay_stored_parse(const uint8_t *data, size_t len, uint64_t *out_stored_s)
{
	uint64_t stored_s = 0, key;
	struct cbor_reader r;
	int err;

	cbor_reader_init(&r, data, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		if (key == 0)
			stored_s = cbor_read_uint(&r);
		else
			cbor_skip(&r);
	}
	if ((err = cbor_reader_finish_with(&r, CBOR_KEY(0))) < 0)
		return err;
	*out_stored_s = stored_s;
	return 0;
}

void overlay_found_write(struct writer *w, const struct overlay_found *found, bool has_values)
{
	cbor_write_map(w, 1u + has_values + (found->next ? 1u : 0u));
	cbor_write_uint(w, 0);
	cbor_write_array(w, found->node_cnt);
	for (unsigned i = 0; i < found->node_cnt; i++) {
		const struct overlay_node *node = &found->nodes[i];

		cbor_write_array(w, 2);
		cbor_write_bytes(w, node->key, sizeof(node->key));
		peer_addrs_write(w, node->addrs, node->addr_cnt);
	}
	if (!has_values)
		return;
	cbor_write_uint(w, 1);
	cbor_write_array(w, found->value_cnt);
	for (unsigned i = 0; i < found->value_cnt; i++)
		cbor_write_bytes(w, found->values[i].data, found->values[i].len);
	if (!found->next)
		return;
	cbor_field_bytes(w, 2, found->next, OVERLAY_WRITER_LEN);
}

static void node_read(struct cbor_reader *r, struct overlay_node *node)
{
	struct addr addrs[PEER_ADDRS_MAX];

	if (cbor_enter_array(r) != 2)
		cbor_fail(r);
	cbor_read_fixed(r, node->key, sizeof(node->key));
	node->addr_cnt = peer_addrs_read(r, addrs);
	if (node->addr_cnt > OVERLAY_NODE_ADDRS_MAX)
		node->addr_cnt = OVERLAY_NODE_ADDRS_MAX;
	memcpy(node->addrs, addrs, node->addr_cnt * sizeof(addrs[0]));
	if (cbor_next(r))
		cbor_fail(r);
}

static void nodes_read(struct cbor_reader *r, struct overlay_found *found)
{
	if (cbor_enter_array(r) > OVERLAY_NODES_MAX)
		cbor_fail(r);
	while (cbor_next(r))
		node_read(r, &found->nodes[found->node_cnt++]);
}

static void values_read(struct cbor_reader *r, struct overlay_found *found)
{
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

int overlay_found_parse(const uint8_t *data, size_t len, struct overlay_found *out_found)
{
	struct cbor_reader r;
	uint64_t key;

	out_found->node_cnt = 0;
	out_found->value_cnt = 0;
	out_found->next = NULL;
	cbor_reader_init(&r, data, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		switch (key) {
		case 0:
			nodes_read(&r, out_found);
			break;
		case 1:
			values_read(&r, out_found);
			break;
		case 2:
			out_found->next = cbor_read_exactly(&r, OVERLAY_WRITER_LEN);
			break;
		default:
			cbor_skip(&r);
		}
	}
	return cbor_reader_finish_with(&r, CBOR_KEY(0));
}

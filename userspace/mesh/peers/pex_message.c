/* SPDX-License-Identifier: Apache-2.0 */
/* The payloads of peer exchange. */
#include "codec/cbor_fields.h"
#include "codec/peer_addr.h"
#include "pex.h"

static const struct cbor_field request_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, .size = sizeof(unsigned), .max = MESH_PEX_OFFER_MAX},
};
static const struct cbor_table request_table = {CBOR_FIELDS(request_fields)};

void mesh_pex_request_write(struct writer *w, unsigned wanted_cnt)
{
	cbor_fields_write(w, &request_table, &wanted_cnt);
}

int mesh_pex_request_parse(const uint8_t *data, size_t len, unsigned *out_wanted_cnt)
{
	unsigned wanted_cnt = 0;

	if (cbor_fields_parse(data, len, &request_table, &wanted_cnt) < 0 || !wanted_cnt)
		return WEFT_EMALFORMED;
	*out_wanted_cnt = wanted_cnt;
	return 0;
}

static const struct cbor_field node_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct mesh_pex_node, key)},
	{1, CBOR_FIELD_ADDRS, CBOR_NEEDED, CBOR_AT(struct mesh_pex_node, addrs),
	 CBOR_LEN(struct mesh_pex_node, addr_cnt)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct mesh_pex_node, caps)},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct mesh_pex_node, age_s)},
};
static const struct cbor_table node_table = {CBOR_FIELDS(node_fields)};

void mesh_pex_offer_write(struct writer *w, const struct mesh_pex_node *nodes, unsigned cnt)
{
	cbor_write_map(w, 1);
	cbor_write_uint(w, 0);
	cbor_write_array(w, cnt);
	for (unsigned i = 0; i < cnt; i++)
		cbor_row_write(w, &node_table, &nodes[i]);
}

int mesh_pex_offer_parse(const uint8_t *data, size_t len,
			 struct mesh_pex_node out_nodes[static MESH_PEX_OFFER_MAX])
{
	struct cbor_reader r;
	uint64_t key;
	int cnt = 0, err;

	cbor_reader_init(&r, data, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		if (key != 0) {
			cbor_skip(&r);
			continue;
		}
		if (cbor_enter_array(&r) > MESH_PEX_OFFER_MAX)
			cbor_fail(&r);
		while (cbor_next(&r))
			cbor_row_read(&r, &node_table, &out_nodes[cnt++]);
	}
	err = cbor_reader_finish_with(&r, CBOR_KEY(0));
	return err < 0 ? err : cnt;
}

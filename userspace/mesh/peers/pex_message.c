/* SPDX-License-Identifier: Apache-2.0 */
/* The payloads of peer exchange. */
#include "codec/cbor.h"
#include "codec/peer_addr.h"
#include "pex.h"

void mesh_pex_request_write(struct writer *w, unsigned wanted_cnt)
{
	cbor_write_map(w, 1);
	cbor_field_uint(w, 0, wanted_cnt);
}

int mesh_pex_request_parse(const uint8_t *data, size_t len, unsigned *out_wanted_cnt)
{
	unsigned wanted_cnt = 0;
	struct cbor_reader r;
	uint64_t key;
	int err;

	cbor_reader_init(&r, data, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		if (key == 0)
			wanted_cnt = (unsigned)cbor_read_uint_max(&r, MESH_PEX_OFFER_MAX);
		else
			cbor_skip(&r);
	}
	if ((err = cbor_reader_finish(&r)) < 0)
		return err;
	if (!wanted_cnt)
		return WEFT_EMALFORMED;
	*out_wanted_cnt = wanted_cnt;
	return 0;
}

void mesh_pex_offer_write(struct writer *w, const struct mesh_pex_node *nodes, unsigned cnt)
{
	cbor_write_map(w, 1);
	cbor_write_uint(w, 0);
	cbor_write_array(w, cnt);
	for (unsigned i = 0; i < cnt; i++) {
		cbor_write_array(w, 4);
		cbor_write_bytes(w, nodes[i].key, sizeof(nodes[i].key));
		peer_addrs_write(w, nodes[i].addrs, nodes[i].addr_cnt);
		cbor_write_uint(w, nodes[i].caps);
		cbor_write_uint(w, nodes[i].age_s);
	}
}

static void node_read(struct cbor_reader *r, struct mesh_pex_node *node)
{
	struct addr addrs[PEER_ADDRS_MAX];

	if (cbor_enter_array(r) != 4)
		cbor_fail(r);
	cbor_read_fixed(r, node->key, sizeof(node->key));
	node->addr_cnt = peer_addrs_read(r, addrs);
	if (node->addr_cnt > MESH_PEX_ADDRS_MAX)
		node->addr_cnt = MESH_PEX_ADDRS_MAX;
	memcpy(node->addrs, addrs, node->addr_cnt * sizeof(addrs[0]));
	node->caps = (uint32_t)cbor_read_uint_max(r, UINT32_MAX);
	node->age_s = cbor_read_uint(r);
	if (cbor_next(r))
		cbor_fail(r);
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
			node_read(&r, &out_nodes[cnt++]);
	}
	err = cbor_reader_finish_with(&r, CBOR_KEY(0));
	return err < 0 ? err : cnt;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state that outlives the process, as one bencoded dictionary. For each network ("ipv4",
 * "ipv6") it has this node's id and the compact form of its nodes; "own" is what is kept
 * (dht_publish.c). A start with it sends no ping in vain: lookups may begin at the nodes, which are
 * no members before they answer.
 */
#include "dht/save.h"

#include <string.h>

#include "dht/dht.h"
#include "dht/dht_state.h"
#include "dht/dht_join.h"
#include "dht/krpc/krpc_message.h"
#include "dht/krpc/node_id.h"
#include "dht/lookup/dht_publish.h"

static const struct save_net {
	const char *name;
	enum addr_family family;
} save_nets[DHT_FAMILY_CNT] = {
	[DHT_NET_IPV4] = {"ipv4", ADDR_IPV4},
	[DHT_NET_IPV6] = {"ipv6", ADDR_IPV6},
};

void dht_save_note(struct dht *dht)
{
	dht->saving.wants_now = true;
}

void dht_save_expire(struct dht *dht, uint64_t now_ns)
{
	struct dht_saving *saving = &dht->saving;
	uint64_t generation = 0;

	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++)
		if (dht_side_is_on(&dht->sides[net]))
			generation += kad_table_generation(dht->sides[net].table);
	if (!saving->wants_now &&
	    (generation == saving->generation || now_ns < saving->asked_ns + DHT_SAVE_EVERY_NS))
		return;
	*saving = (struct dht_saving){.generation = generation, .asked_ns = now_ns};
	if (dht->params.events && dht->params.events->save)
		dht->params.events->save(dht->params.ctx);
}

/* Writes the nodes that are not bad, and returns how many; w NULL: it only counts them. */
static unsigned nodes_save(const struct kad_table *table, struct writer *w, uint64_t now_ns)
{
	struct kad_table_iter iter = {.table = table};
	const struct kad_node *node;
	unsigned cnt = 0;

	while (cnt < DHT_JOIN_KNOWN_MAX && (node = kad_table_next(&iter))) {
		if (kad_table_state(table, node, now_ns) == KAD_BAD)
			continue;
		cnt++;
		if (w)
			dht_krpc_node_write(w, &node->contact.id, &node->contact.addr);
	}
	return cnt;
}

static void side_save(const struct dht *dht, enum dht_net net, struct writer *w, uint64_t now_ns)
{
	const struct dht_side *side = &dht->sides[net];
	/* A bencoded string says its length first. */
	unsigned cnt = nodes_save(side->table, NULL, now_ns);

	bencode_write_text(w, save_nets[net].name);
	bencode_open_dict(w);
	bencode_write_text(w, "id");
	bencode_write_bytes(w, side->id.bytes, KAD_ID_LEN);
	bencode_write_text(w, "nodes");
	bencode_write_head(w, cnt * dht_krpc_node_len(save_nets[net].family));
	(void)nodes_save(side->table, w, now_ns);
	bencode_close(w);
}

int dht_save(const struct dht *dht, void *dst, size_t cap, uint64_t now_ns)
{
	struct writer w = writer_of(dst, cap);

	bencode_open_dict(&w);
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++)
		if (dht_side_is_on(&dht->sides[net]))
			side_save(dht, net, &w, now_ns);
	bencode_write_text(&w, "own");
	dht_owns_write(dht->owns, &w);
	bencode_close(&w);
	return w.bad ? WEFT_ETOOSMALL : (int)writer_len(&w);
}

static void nodes_load(struct dht *dht, enum dht_net net, const struct bencode_span *nodes)
{
	struct cursor c = cursor_of(nodes->data, nodes->len);
	struct kad_contact contact = {0};

	while (dht_krpc_node_read(&c, save_nets[net].family, &contact.id, &contact.addr)) {
		contact.is_proven = dht_node_id_fits(&contact.id, &contact.addr);
		dht_join_know(dht, &contact);
	}
}

/* With dht NULL it only judges. */
static int side_load(struct dht *dht, enum dht_net net, struct bencode_reader *r, uint64_t now_ns)
{
	struct bencode_span key, id = {0}, nodes = {0};
	struct kad_id own_id;

	bencode_enter_dict(r);
	while (bencode_next_key(r, &key)) {
		if (bencode_is(&key, "id"))
			id = bencode_read_bytes(r);
		else if (bencode_is(&key, "nodes"))
			nodes = bencode_read_bytes(r);
		else
			bencode_skip(r);
	}
	if (bencode_is_bad(r) || id.len != KAD_ID_LEN || !nodes.data ||
	    nodes.len % dht_krpc_node_len(save_nets[net].family))
		return WEFT_EMALFORMED;
	if (!dht || !dht_side_is_on(&dht->sides[net]))
		return 0;
	memcpy(own_id.bytes, id.data, KAD_ID_LEN);
	dht_set_own_id(dht, net, &own_id, now_ns);
	nodes_load(dht, net, &nodes);
	return 0;
}

static int all_load(struct dht *dht, const void *data, size_t len, uint64_t now_ns)
{
	struct bencode_reader r;
	struct bencode_span key;
	int err = 0;

	bencode_reader_init(&r, data, len);
	bencode_enter_dict(&r);
	while (err == 0 && bencode_next_key(&r, &key)) {
		if (bencode_is(&key, save_nets[DHT_NET_IPV4].name))
			err = side_load(dht, DHT_NET_IPV4, &r, now_ns);
		else if (bencode_is(&key, save_nets[DHT_NET_IPV6].name))
			err = side_load(dht, DHT_NET_IPV6, &r, now_ns);
		else if (bencode_is(&key, "own"))
			err = dht_owns_load(dht, &r, now_ns);
		else
			bencode_skip(&r);
	}
	return err < 0 ? err : bencode_reader_finish(&r);
}

int dht_load(struct dht *dht, const void *data, size_t len, uint64_t now_ns)
{
	int err = all_load(NULL, data, len, now_ns);

	return err < 0 ? err : all_load(dht, data, len, now_ns);
}

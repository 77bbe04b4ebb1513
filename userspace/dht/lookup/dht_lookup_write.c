/* SPDX-License-Identifier: Apache-2.0 */
/* The last part of a put or announce: writing with the nodes that were found. */
#include "dht/dht_state.h"
#include "dht/dht_join.h"
#include "dht_query.h"
#include "dht_lookup_state.h"

void dht_leg_write_begin(struct dht_lookup *dht_lookup, struct lookup_leg *leg)
{
	struct kad_closest closest[KAD_K_MAX];
	const struct dht_write *write = dht_lookup->params.write;
	unsigned cnt, holders = 0;

	leg->write_cnt = 0;
	/* A node has a newer item: this one would be refused, or worse, taken. */
	if (!write ||
	    (write->item && write->item->key && dht_lookup->outcome.seq_max > write->item->seq))
		return;
	cnt = kad_lookup_result(&leg->lookup, closest, KAD_K_MAX);
	for (unsigned i = 0; i < cnt && !write->is_refresh; i++)
		holders += leg->has_item[closest[i].answer_tag];
	dht_lookup->outcome.stored_cnt += holders;
	if (holders >= DHT_HOLDERS_ENOUGH)
		return;
	for (unsigned i = 0; i < cnt; i++) {
		uint16_t slot = (uint16_t)closest[i].answer_tag;

		if ((write->is_refresh || !leg->has_item[slot]) && leg->tokens[slot].len)
			leg->to_write[leg->write_cnt++] = slot;
	}
}

static void write_fill(const struct dht_write *write, struct krpc_query *query)
{
	const struct dht_item *item = write->item;

	if (!item) {
		query->method = KRPC_ANNOUNCE_PEER;
		query->port = write->port;
		query->is_port_implied = write->port == 0;
		return;
	}
	query->method = KRPC_PUT;
	query->value = (struct bencode_span){item->value, item->value_len};
	if (!item->key)
		return;
	query->key = (struct bencode_span){item->key, NODE_KEY_LEN};
	query->sig = (struct bencode_span){item->sig, NODE_KEY_SIG_LEN};
	if (item->salt_len)
		query->salt = (struct bencode_span){item->salt, item->salt_len};
	query->has_seq = true;
	query->seq = item->seq;
	query->has_cas = write->has_cas;
	query->cas = write->cas;
}

int dht_leg_write(struct dht_lookup *dht_lookup, enum dht_net net, uint64_t now_ns)
{
	struct dht *dht = dht_lookup->dht;
	struct lookup_leg *leg = &dht_lookup->legs[net];

	for (; leg->written_cnt < leg->write_cnt; leg->written_cnt++) {
		uint16_t slot = leg->to_write[leg->written_cnt];
		const struct kad_contact *contact = &leg->lookup.nodes[slot].contact;
		struct krpc_query query = {
			.target = dht_lookup->params.target,
			.token = {leg->tokens[slot].bytes, leg->tokens[slot].len},
		};
		struct dht_query_params params = {
			.query = &query,
			.remote = contact->addr,
			.id = contact->tag == DHT_ENTRY_WITHOUT_ID ? NULL : &contact->id,
			.urgency = dht_lookup->params.urgency,
			.replied = dht_lookup_hear,
			.owner = pool_handle_of(&dht->lookups->pool, dht_lookup),
			.slot = (uint16_t)(slot | net << LOOKUP_SLOT_NET_SHIFT | LOOKUP_SLOT_WRITE),
		};
		int err;

		write_fill(dht_lookup->params.write, &query);
		err = dht_query_send(dht, &params, now_ns);
		if (err < 0)
			return err;
		leg->write_out_cnt++;
	}
	return 0;
}

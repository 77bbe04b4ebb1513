/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the answers to a lookup, and judges what of them is believed. */
#include <string.h>

#include "base/siphash_bytes.h"
#include "dht/dht_state.h"
#include "dht/items/items.h"
#include "dht/krpc/node_id.h"
#include "dht_query.h"
#include "dht_lookup_state.h"
#include "dht/items/swarms.h"

/* More in one datagram do not fit (KRPC_NODE_LEN_IPV4, a datagram of 1,500 bytes). */
#define TOLD_MAX  56
#define PEERS_MAX 120

/* Is the item that was found where it was looked for, and signed by its key? */
static bool item_is_good(const struct dht_lookup *dht_lookup, const struct dht_item *item)
{
	struct kad_id target;

	if ((dht_lookup->params.key != NULL) != (item->key != NULL))
		return false;
	dht_item_target(item, &target);
	return kad_id_equal(&target, &dht_lookup->params.target) && dht_item_verify(item) == 0;
}

static bool item_equal(const struct dht_item *a, const struct dht_item *b)
{
	return a->value_len == b->value_len && memcmp(a->value, b->value, a->value_len) == 0 &&
	       (!a->key || (a->seq == b->seq && memcmp(a->sig, b->sig, NODE_KEY_SIG_LEN) == 0));
}

enum item_verdict { ITEM_TAKEN, ITEM_ROLLED_BACK, ITEM_FALSE };

/*
 * Takes the item of an answer, and passes it to the asker when it is new. The asker may cancel the
 * lookup in that call.
 */
static enum item_verdict item_tell(struct dht_lookup *dht_lookup, const struct dht_item *item)
{
	const struct dht_asker asker = dht_lookup->params.asker;

	/* A known item needs no check of its signature, the most costly step here. */
	if (dht_lookup->has_found && (!item->key || item->seq <= dht_lookup->outcome.seq_max))
		return ITEM_TAKEN;
	if (!item_is_good(dht_lookup, item))
		return ITEM_FALSE;
	if (item->key && item->seq < dht_lookup->params.known_seq)
		return ITEM_ROLLED_BACK;
	dht_lookup->has_found = true;
	dht_lookup->outcome.seq_max = item->key ? item->seq : -1;
	if (asker.item)
		asker.item(asker.ctx, item);
	return ITEM_TAKEN;
}

/* One item is all there is of an immutable one, and all that some want of a mutable one. */
static bool lookup_has_enough(const struct dht_lookup *dht_lookup)
{
	return dht_lookup->has_found && !dht_lookup->params.write &&
	       !dht_lookup->params.is_survey && dht_lookup->params.kind == DHT_FIND_ITEM &&
	       (dht_lookup->params.is_first_enough || !dht_lookup->params.key);
}

/* Many nodes name the same peers; the asker gets each peer once. */
static bool peer_is_news(struct dht_lookup *dht_lookup, const struct addr *peer)
{
	/* Two peers of one hash hide one of them from a lookup, and nothing worse: no secret. */
	static const uint64_t key[2] = {0};
	uint64_t hash = siphash(key, peer, sizeof(*peer)) | 1;
	unsigned at = (unsigned)(hash >> 1) % LOOKUP_PEERS_SLOTS;

	while (dht_lookup->peers[at] && dht_lookup->peers[at] != hash)
		at = (at + 1) % LOOKUP_PEERS_SLOTS;
	if (dht_lookup->peers[at] || dht_lookup->peer_cnt == DHT_PEERS_MAX)
		return false;
	dht_lookup->peers[at] = hash;
	dht_lookup->peer_cnt++;
	return true;
}

/* Leaves the news of peers in it. */
static void peers_tell(struct dht_lookup *dht_lookup, struct addr *peers, unsigned cnt)
{
	const struct dht_asker asker = dht_lookup->params.asker;
	unsigned news_cnt = 0;

	for (unsigned i = 0; i < cnt; i++)
		if (peer_is_news(dht_lookup, &peers[i]))
			peers[news_cnt++] = peers[i];
	dht_lookup->has_found |= news_cnt > 0;
	if (news_cnt && asker.peers)
		asker.peers(asker.ctx, peers, news_cnt);
}

/* Reads what the store of one network has. */
static void hear_side(struct dht_lookup *dht_lookup, const struct dht_side *side)
{
	const struct kad_id *target = &dht_lookup->params.target;
	struct addr peers[PEERS_MAX];
	struct dht_item item;

	if (dht_lookup->params.kind == DHT_FIND_PEERS)
		peers_tell(dht_lookup, peers,
			   dht_swarms_sample(side->swarms, target, peers, PEERS_MAX));
	else if (dht_items_get(side->items, target, &item))
		(void)item_tell(dht_lookup, &item);
}

bool dht_lookup_hear_own(struct dht_lookup *dht_lookup, uint64_t now_ns)
{
	struct dht *dht = dht_lookup->dht;
	const pool_handle handle = pool_handle_of(&dht->lookups->pool, dht_lookup);

	if (dht_lookup->params.kind == DHT_FIND_NODES || dht_lookup->params.write ||
	    dht_lookup->params.is_survey)
		return true;
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		if (!(dht_lookup->params.nets >> net & 1) || !dht_side_is_on(&dht->sides[net]))
			continue;
		hear_side(dht_lookup, &dht->sides[net]);
		if (pool_lookup(&dht->lookups->pool, handle) != dht_lookup)
			return false; /* the asker had enough */
	}
	if (!lookup_has_enough(dht_lookup))
		return true;
	dht_lookup_end(dht_lookup, 0, now_ns);
	return false;
}

static enum item_verdict item_hear(struct dht_lookup *dht_lookup, struct lookup_leg *leg,
				   uint16_t slot, const struct krpc_message *reply)
{
	const struct dht_write *write = dht_lookup->params.write;
	const struct dht_item item = {
		.key = reply->key.data,
		.sig = reply->sig.data,
		.salt = dht_lookup->params.salt,
		.salt_len = dht_lookup->params.salt_len,
		.value = reply->value.data,
		.value_len = reply->value.len,
		.seq = reply->seq,
	};

	if (item.key && (!reply->has_seq || !item.sig))
		return ITEM_FALSE;
	if (write && item_equal(&item, write->item)) {
		leg->has_item[slot] = true;
		return ITEM_TAKEN;
	}
	/* The item that this node is about to replace. */
	if (write && item.key && item.seq <= write->item->seq)
		return ITEM_TAKEN;
	return item_tell(dht_lookup, &item);
}

static void peers_hear(struct dht_lookup *dht_lookup, const struct krpc_message *reply,
		       const struct addr *teller)
{
	struct addr peers[PEERS_MAX];
	struct bencode_reader iter;
	unsigned cnt = 0;

	dht_krpc_peers_begin(reply, &iter);
	while (cnt < PEERS_MAX && dht_krpc_peers_next(&iter, &peers[cnt]))
		cnt += kad_addr_scope_is_credible(&peers[cnt], teller);
	peers_tell(dht_lookup, peers, cnt);
}

/*
 * The nodes that an answer names, in the family of the leg; not this node under an earlier id.
 */
static unsigned nodes_read(const struct dht *dht, const struct krpc_message *reply,
			   enum dht_net net, struct kad_contact out_told[static TOLD_MAX])
{
	enum addr_family family = net == DHT_NET_IPV4 ? ADDR_IPV4 : ADDR_IPV6;
	const struct bencode_span *span = net == DHT_NET_IPV4 ? &reply->nodes : &reply->nodes6;
	struct cursor c = cursor_of(span->data, span->len);
	struct addr external = {0};
	unsigned cnt = 0;

	(void)dht_external(dht, net, &external);
	while (cnt < TOLD_MAX) {
		struct kad_contact *contact = &out_told[cnt];

		*contact = (struct kad_contact){0};
		if (!dht_krpc_node_read(&c, family, &contact->id, &contact->addr))
			break;
		contact->is_proven = dht_node_id_fits(&contact->id, &contact->addr);
		cnt += !addr_equal(&contact->addr, &external);
	}
	return cnt;
}

static void token_keep(struct lookup_leg *leg, uint16_t slot, const struct krpc_message *reply)
{
	struct lookup_token *token = &leg->tokens[slot];

	if (!reply->token.data || reply->token.len > sizeof(token->bytes))
		return;
	token->len = (uint8_t)reply->token.len;
	memcpy(token->bytes, reply->token.data, reply->token.len);
}

/*
 * A false item is a lie, so its sender leaves the table. An old item may be the only one that the
 * sender got; such an answer is of no use either.
 */
static void item_refuse(struct dht_lookup *dht_lookup, enum dht_net net, uint16_t node,
			enum item_verdict verdict)
{
	const struct kad_contact *contact = &dht_lookup->legs[net].lookup.nodes[node].contact;
	struct dht *dht = dht_lookup->dht;

	if (verdict == ITEM_ROLLED_BACK) {
		dht->reasons[DHT_ROLLED_BACK]++;
		dht_lookup->outcome.rolled_back_cnt++;
		return;
	}
	dht->reasons[DHT_FALSE_ITEM]++;
	kad_table_drop(dht->sides[net].table, &contact->id, &contact->addr);
}

/* A node lied, or its query was lost: the lookup does without it. */
static void step_failed(struct dht_lookup *dht_lookup, struct lookup_leg *leg, uint16_t slot,
			uint64_t now_ns)
{
	kad_lookup_failed(&leg->lookup, slot, now_ns);
	dht_lookup_wake(dht_lookup);
}

static void written(struct dht_lookup *dht_lookup, struct lookup_leg *leg,
		    const struct krpc_message *reply)
{
	leg->write_out_cnt--;
	if (reply && reply->kind == KRPC_REPLY) {
		dht_lookup->outcome.stored_cnt++;
	} else if (reply && (reply->error_code == dht_reasons[DHT_OLD_SEQ].code ||
			     reply->error_code == dht_reasons[DHT_CAS_MISMATCH].code)) {
		dht_lookup->outcome.newer_cnt++;
	}
	dht_lookup_wake(dht_lookup);
}

void dht_lookup_hear(struct dht *dht, pool_handle handle, uint16_t slot,
		     const struct krpc_message *reply, uint64_t now_ns)
{
	struct dht_lookup *dht_lookup = pool_lookup(&dht->lookups->pool, handle);
	enum dht_net net = slot >> LOOKUP_SLOT_NET_SHIFT & 1;
	uint16_t node = slot & LOOKUP_SLOT_MASK;
	struct kad_contact told[TOLD_MAX];
	enum item_verdict verdict = ITEM_TAKEN;
	struct lookup_leg *leg;
	const struct addr *teller;

	if (!dht_lookup)
		return;
	leg = &dht_lookup->legs[net];
	leg->heard_cnt += reply != NULL;
	if (slot & LOOKUP_SLOT_WRITE) {
		written(dht_lookup, leg, reply);
		return;
	}
	if (leg->phase != LEG_ASKING)
		return;
	if (!reply || reply->kind != KRPC_REPLY) {
		step_failed(dht_lookup, leg, node, now_ns);
		return;
	}
	dht_lookup->outcome.answered_cnt++;
	teller = &leg->lookup.nodes[node].contact.addr;
	if (dht_lookup->params.kind == DHT_FIND_ITEM && reply->value.data) {
		verdict = item_hear(dht_lookup, leg, node, reply);
		/* item_hear may have ended the lookup. */
		if (verdict == ITEM_TAKEN && pool_lookup(&dht->lookups->pool, handle) == dht_lookup)
			dht_lookup->outcome.holder_cnt++;
	}
	if (verdict != ITEM_TAKEN) {
		item_refuse(dht_lookup, net, node, verdict);
		step_failed(dht_lookup, leg, node, now_ns);
		return;
	}
	if (dht_lookup->params.kind == DHT_FIND_PEERS)
		peers_hear(dht_lookup, reply, teller);
	if (pool_lookup(&dht->lookups->pool, handle) != dht_lookup)
		return; /* the asker had enough */
	token_keep(leg, node, reply);
	kad_lookup_answered(&leg->lookup, node,
			    &(struct kad_answer){.tag = node,
						 .contacts = told,
						 .cnt = nodes_read(dht, reply, net, told)},
			    now_ns);
	if (lookup_has_enough(dht_lookup)) {
		dht_lookup_end(dht_lookup, 0, now_ns);
		return;
	}
	dht_lookup_wake(dht_lookup);
}

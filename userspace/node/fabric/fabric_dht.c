/* SPDX-License-Identifier: Apache-2.0 */
/* The Mainline DHT as the built-in service dht is handed it. Home worker. */
#include <string.h>

#include "codec/bencode.h"
#include "dht/items/item.h"
#include "node/fabric/fabric_state.h"
#include "node/node_state.h"

static struct dht *dht_of(void *ctx)
{
	const struct fabric *fabric = ctx;

	return fabric->node->locate->dht;
}

static struct kad_id id_of(const uint8_t bytes[KAD_ID_LEN])
{
	struct kad_id id;

	memcpy(id.bytes, bytes, sizeof(id.bytes));
	return id;
}

static bool own_id(void *ctx, uint8_t out_id[BUILTIN_DHT_ID_LEN])
{
	const struct dht *dht = dht_of(ctx);
	enum dht_net net;

	if (!dht)
		return false;
	net = dht_takes_part(dht, DHT_NET_IPV4) ? DHT_NET_IPV4 : DHT_NET_IPV6;
	memcpy(out_id, dht_own_id(dht, net)->bytes, BUILTIN_DHT_ID_LEN);
	return true;
}

/* Neighbours in a private network are shown only where the DHT is a private one. */
static unsigned nearest_in(const struct fabric *fabric, enum dht_net net,
			   const struct kad_id *target, struct builtin_dht_node *out_nodes,
			   unsigned cap)
{
	const struct node *node = fabric->node;
	const struct kad_node *closest[KAD_CLOSEST_MAX];
	unsigned cnt = dht_closest(node->locate->dht, net, target, node->home->now_ns, closest);
	unsigned told_cnt = 0;

	for (unsigned i = 0; i < cnt && i < cap; i++) {
		const struct kad_contact *contact = &closest[i]->contact;

		if (!node->config->publish.policy.allows_private &&
		    kad_addr_scope_of(&contact->addr) != KAD_ADDR_SCOPE_GLOBAL)
			continue;
		memcpy(out_nodes[told_cnt].id, contact->id.bytes, BUILTIN_DHT_ID_LEN);
		(void)addr_format(&contact->addr, out_nodes[told_cnt].address);
		told_cnt++;
	}
	return told_cnt;
}

/* Half of the places are for IPv6; IPv4 has the rest. */
static unsigned nearest_find(void *ctx, const uint8_t target[BUILTIN_DHT_ID_LEN],
			     struct builtin_dht_node *out_nodes, unsigned cap)
{
	const struct kad_id id = id_of(target);
	const struct fabric *fabric = ctx;
	unsigned cnt;

	if (!dht_of(ctx))
		return 0;
	cnt = nearest_in(fabric, DHT_NET_IPV6, &id, out_nodes, cap / 2);
	return cnt + nearest_in(fabric, DHT_NET_IPV4, &id, out_nodes + cnt, cap - cnt);
}

/* --- searches --- */

static void on_item(void *ctx, const struct dht_item *item)
{
	struct builtin_dht_lookup *search = ctx;
	struct builtin_dht_item found = {.value = item->value,
					 .key = item->key,
					 .sig = item->sig,
					 .salt = item->salt,
					 .value_len = item->value_len,
					 .salt_len = item->salt_len,
					 .seq = item->seq};

	search->found(search, &found);
}

static void on_ended(void *ctx, const struct dht_outcome *outcome)
{
	struct builtin_dht_lookup *search = ctx;
	struct builtin_dht_outcome outcome_out = {.stored_cnt = outcome->stored_cnt,
						  .newer_cnt = outcome->newer_cnt,
						  .is_answered = outcome->answered_cnt > 0 ||
								 outcome->err == 0};
	const struct fabric *fabric = search->seam;

	dht_leave(fabric->node->locate->dht, search->handle);
	memcpy(outcome_out.target, search->target, sizeof(outcome_out.target));
	search->ended(search, &outcome_out, outcome->ended_ns);
}

static int search_begun(struct builtin_dht_lookup *search, dht_handle handle)
{
	search->handle = handle;
	return handle ? 0 : WEFT_EFULL;
}

static struct dht_asker asker_of(struct builtin_dht_lookup *search)
{
	return (struct dht_asker){.item = on_item, .ended = on_ended, .ctx = search};
}

static int item_get(void *ctx, const uint8_t target[BUILTIN_DHT_ID_LEN],
		    const struct builtin_dht_item *name, struct builtin_dht_lookup *search,
		    uint64_t budget_ns)
{
	const struct fabric *fabric = ctx;
	struct dht *dht = dht_of(ctx);
	struct dht_asker asker = asker_of(search);
	struct dht_get_params params = {.target = id_of(target),
					.key = name->key,
					.salt = name->salt,
					.salt_len = name->salt_len,
					.budget_ns = budget_ns};

	if (!dht)
		return WEFT_EFULL;
	search->seam = ctx;
	if (name->key)
		dht_item_target_of_key(name->key, name->salt, name->salt_len, &params.target);
	memcpy(search->target, params.target.bytes, sizeof(search->target));
	return search_begun(search, dht_get(dht, &params, &asker, fabric->node->home->now_ns));
}

static int item_put(void *ctx, const struct builtin_dht_item *builtin_item,
		    struct builtin_dht_lookup *search)
{
	const struct fabric *fabric = ctx;
	struct dht *dht = dht_of(ctx);
	struct dht_asker asker = asker_of(search);
	const struct dht_item item = {.key = builtin_item->key,
				      .sig = builtin_item->sig,
				      .salt = builtin_item->salt,
				      .salt_len = builtin_item->salt_len,
				      .value = builtin_item->value,
				      .value_len = builtin_item->value_len,
				      .seq = builtin_item->seq};
	const struct dht_put_params params = {.item = &item};
	struct kad_id target;

	if (!dht)
		return WEFT_EFULL;
	if (item.value_len > DHT_VALUE_LEN_MAX || dht_item_verify(&item) < 0 ||
	    bencode_check(item.value, item.value_len) < 0)
		return WEFT_EMALFORMED;
	search->seam = ctx;
	dht_item_target(&item, &target);
	memcpy(search->target, target.bytes, sizeof(search->target));
	return search_begun(search, dht_put(dht, &params, &asker, fabric->node->home->now_ns));
}

static void get_or_put_cancel(void *ctx, struct builtin_dht_lookup *search)
{
	struct dht *dht = dht_of(ctx);

	if (dht)
		dht_cancel(dht, search->handle);
}

struct builtin_dht node_fabric_builtin_dht(struct fabric *fabric)
{
	return (struct builtin_dht){.own_id = own_id,
				    .nearest = nearest_find,
				    .get = item_get,
				    .put = item_put,
				    .cancel = get_or_put_cancel,
				    .ctx = fabric};
}

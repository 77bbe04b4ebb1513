/* SPDX-License-Identifier: Apache-2.0 */
#include "support/spread_net.h"

#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "support/mesh_lab_wire.h"
#include "support/seed.h"
#include "weft/bytes.h"

static const struct mem_link link = {
	.delay_ns = 20 * NS_PER_MS, .jitter_ns = 80 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};

/* --- what is kept --- */

static uint64_t neighbour_bit(const struct spread_place *place, const uint8_t *key)
{
	for (unsigned i = 0; i < place->neighbour_cnt; i++)
		if (memcmp(spread_net_place(place->net, place->neighbours[i])->node.node->key, key,
			   MESH_KEY_LEN) == 0)
			return 1ull << i;
	return 0;
}

void spread_net_hold(struct spread_place *place, uint32_t number, uint8_t hops)
{
	struct spread_shelf *shelf = &place->shelf;

	if (shelf->change_cnt == sizeof(shelf->changes))
		mesh_lab_die("an offer came nearer too often");
	shelf->held[number] = true;
	shelf->hops[number] = hops;
	shelf->holders[number] = 0;
	shelf->changes[shelf->change_cnt++] = (uint8_t)number;
}

void spread_net_nearer(struct spread_place *place, uint32_t number, uint8_t hops,
		       const uint8_t *peer)
{
	if (hops >= place->shelf.hops[number])
		return;
	spread_net_hold(place, number, hops);
	place->shelf.holders[number] = neighbour_bit(place, peer);
}

static void entry_write(struct stock_entry *entry, uint32_t number, uint8_t hops)
{
	*entry = (struct stock_entry){.sequence = 1, .hop_cnt = hops};
	weft_store_be32(entry->ref, number);
}

static enum spread_listing on_next(void *ctx, const uint8_t *peer, struct spread_cursor *io_cursor,
				   struct stock_entry *out_entry)
{
	const struct spread_place *place = ctx;
	const struct spread_shelf *shelf = &place->shelf;

	if (shelf->is_lying) {
		if (io_cursor->change == place->net->offer_cnt)
			return SPREAD_LISTED_ALL;
		entry_write(out_entry, (uint32_t)io_cursor->change++, 0);
		return SPREAD_LISTED;
	}
	while (io_cursor->change < shelf->change_cnt) {
		uint32_t number = shelf->changes[io_cursor->change++];

		if (shelf->hops[number] >= SPREAD_NET_HOPS_MAX ||
		    shelf->holders[number] & neighbour_bit(place, peer))
			continue;
		entry_write(out_entry, number, shelf->hops[number]);
		return SPREAD_LISTED;
	}
	return SPREAD_LISTED_ALL;
}

static enum spread_verdict on_lacks(void *ctx, const uint8_t *peer, const struct stock_entry *entry)
{
	struct spread_place *place = ctx;
	uint32_t number = weft_load_be32(entry->ref);

	if (place->shelf.is_lying || number >= place->net->offer_cnt)
		return SPREAD_KNOWN;
	if (!place->shelf.held[number])
		return SPREAD_NEW;
	spread_net_nearer(place, number, (uint8_t)(entry->hop_cnt + 1), peer);
	return SPREAD_KNOWN;
}

static void on_give(void *ctx, const uint8_t *peer, const uint8_t ref[static STOCK_REF_LEN],
		    uint64_t now_ns)
{
	struct spread_place *place = ctx;

	(void)now_ns;
	place->net->give(place, peer, weft_load_be32(ref));
}

static bool on_ref(void *ctx, const struct service_message *message,
		   uint8_t out_ref[static STOCK_REF_LEN])
{
	(void)ctx;
	memset(out_ref, 0, STOCK_REF_LEN);
	memcpy(out_ref, message->payload, sizeof(uint32_t));
	return message->payload_len >= sizeof(uint32_t);
}

static void on_passed(void *ctx, const uint8_t *peer)
{
	struct spread_place *place = ctx;
	struct spread_shelf *shelf = &place->shelf;

	shelf->holders[shelf->changes[shelf->change_cnt - 1]] |= neighbour_bit(place, peer);
}

static const struct spread_stock stock = {
	.next = on_next, .lacks = on_lacks, .give = on_give, .ref = on_ref, .passed = on_passed};

/* --- the network --- */

static void place_add(struct spread_net *net)
{
	struct spread_place *place = spread_net_place(net, net->cnt++);
	struct spread_params params = {
		.config = net->config, .handler = net->handler, .random = &net->dice};

	params.handler.ctx = place;
	params.handler.stock = net->give ? &stock : NULL;
	place->net = net;
	spread_node_add(&net->lab, &params, &place->node);
}

/* Sessions are made and not dialled, which would take most of the time of a test. */
void spread_net_meet(struct spread_net *net, unsigned from, unsigned to)
{
	struct spread_place *a = spread_net_place(net, from), *b = spread_net_place(net, to);
	struct mesh *dialler = a->node.node, *dialled = b->node.node;

	for (unsigned i = 0; i < a->neighbour_cnt; i++)
		if (a->neighbours[i] == to)
			return;
	if (from == to || a->part != b->part || a->neighbour_cnt == SPREAD_NET_NEIGHBOURS_MAX ||
	    b->neighbour_cnt == SPREAD_NET_NEIGHBOURS_MAX)
		return;
	(void)mesh_lab_session_make(dialler, dialled->key, &dialled->addr, dialled->caps, true);
	(void)mesh_lab_session_make(dialled, dialler->key, &dialler->addr, dialler->caps, false);
	a->neighbours[a->neighbour_cnt++] = to;
	b->neighbours[b->neighbour_cnt++] = from;
}

unsigned spread_net_any(struct spread_net *net)
{
	return (unsigned)random_below(&net->lab.dice, net->cnt);
}

void spread_net_tell(struct spread_net *net, unsigned from, unsigned to)
{
	struct spread_place *a = spread_net_place(net, from), *b = spread_net_place(net, to);

	offers_spread_tell(a->node.spread, b->node.node->key, net->lab.now_ns);
	offers_spread_tell(b->node.spread, a->node.node->key, net->lab.now_ns);
	spread_net_wake(a);
	spread_net_wake(b);
}

static unsigned wanted_cnt(const struct spread_net_params *params)
{
	const char *cnt = getenv("SPREAD_NODES");
	unsigned wanted = cnt ? (unsigned)strtoul(cnt, NULL, 10) : SPREAD_NET_NODES_USUAL;

	if (params->node_cnt)
		return params->node_cnt;
	if (wanted < 10 || wanted > SPREAD_NET_NODES_MAX)
		mesh_lab_die("SPREAD_NODES is 10 to 2000");
	return wanted;
}

void spread_net_begin(struct spread_net *net, const struct spread_net_params *params)
{
	unsigned wanted = wanted_cnt(params), parts = params->parts ? params->parts : 1;

	random_init_seeded(&net->dice, seed_of_run(3));
	mesh_lab_init(&net->lab, seed_of_run(3), wanted, &link);
	net->lab.idle_ns = 1000000 * NS_PER_S;
	offers_spread_config_defaults(&net->config);
	net->config.announces_per_min = net->config.queries_per_min = 1000000;
	net->config.relayed_per_min = params->relayed_per_min ? params->relayed_per_min : 1000000;
	net->places = mesh_lab_take(wanted, net->place_len);
	for (net->cnt = 0; net->cnt < wanted;)
		place_add(net);
	for (unsigned i = 0; i < wanted; i++)
		spread_net_place(net, i)->part = (uint8_t)(i % parts);
	for (unsigned i = 0; i < wanted; i++)
		for (unsigned dial = 0; dial < params->dials; dial++)
			spread_net_meet(net, i, spread_net_any(net));
}

void spread_net_end(struct spread_net *net)
{
	for (unsigned i = 0; i < net->cnt; i++)
		spread_node_free(&spread_net_place(net, i)->node);
	mesh_lab_fini(&net->lab);
	free(net->places);
}

void spread_net_wake(struct spread_place *place)
{
	place->node.node->due_ns = 0;
}

void spread_net_hops(struct spread_net *net, unsigned from)
{
	static unsigned queue[SPREAD_NET_NODES_MAX];
	unsigned head = 0, tail = 0;

	for (unsigned i = 0; i < net->cnt; i++)
		spread_net_place(net, i)->hops = SPREAD_NET_FAR_AWAY;
	spread_net_place(net, from)->hops = 0;
	queue[tail++] = from;
	while (head < tail) {
		const struct spread_place *place = spread_net_place(net, queue[head++]);

		for (unsigned i = 0; i < place->neighbour_cnt; i++) {
			struct spread_place *next = spread_net_place(net, place->neighbours[i]);

			if (next->hops != SPREAD_NET_FAR_AWAY || !next->node.node->is_up)
				continue;
			next->hops = (uint8_t)(place->hops + 1);
			queue[tail++] = place->neighbours[i];
		}
	}
}

struct spread_traffic spread_net_traffic(const struct spread_net *net)
{
	struct spread_traffic traffic = {0};
	struct spread_stats stats;

	for (unsigned i = 0; i < net->cnt; i++) {
		offers_spread_stats(spread_net_place(net, i)->node.spread, &stats);
		traffic.cnt += stats.sent_cnt + stats.unsent_cnt;
		traffic.len += stats.sent_len;
		traffic.told_cnt += stats.tellings_cnt;
		traffic.told_len += stats.told_len;
	}
	return traffic;
}

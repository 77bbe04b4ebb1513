/* SPDX-License-Identifier: Apache-2.0 */
#include "support/dht_lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dht/items/item.h"
#include "dht/krpc/node_id.h"

#define STEP_NS	  5000000ull
#define DGRAM_CAP 16384

static void die(const char *what)
{
	printf("# dht_lab: %s\n", what);
	exit(1);
}

void dht_lab_init(struct dht_lab *lab, uint64_t seed, unsigned node_cap)
{
	const struct mem_link link = {
		.delay_ns = 20000000, .jitter_ns = 80000000, .loss_per_1000 = 10};

	memset(lab, 0, sizeof(*lab));
	lab->seed = seed;
	lab->now_ns = 1000000000;
	random_init_seeded(&lab->dice, seed);
	random_init_seeded(&lab->wire, seed + 1);
	lab->nodes = calloc(node_cap, sizeof(*lab->nodes));
	lab->node_cap = node_cap;
	if (!lab->nodes || net_mem_net_new(node_cap, DGRAM_CAP, &lab->wire, &lab->mem) < 0)
		die("no memory");
	net_mem_net_set_default_link(lab->mem, &link);
	net_mem_net_advance(lab->mem, lab->now_ns);
}

static void node_detach(struct dht_lab_node *node)
{
	packet_rx_close(node->rx);
	packet_tx_close(node->tx);
	node->rx = NULL;
	node->tx = NULL;
}

void dht_lab_stop(struct dht_lab_node *node)
{
	dht_free(node->dht);
	node->dht = NULL;
	node_detach(node);
}

void dht_lab_fini(struct dht_lab *lab)
{
	for (unsigned i = 0; i < lab->node_cnt; i++)
		dht_lab_stop(&lab->nodes[i]);
	net_mem_net_free(lab->mem);
	free(lab->nodes);
	lab->nodes = NULL;
}

static struct addr addr_of(enum dht_net net, unsigned number)
{
	struct addr addr = {.family = net == DHT_NET_IPV4 ? ADDR_IPV4 : ADDR_IPV6, .port = 6881};
	unsigned host = net == DHT_NET_IPV4 ? 3 : 15;

	addr.ip[0] = (uint8_t)(net == DHT_NET_IPV4 ? 20 + number % 100 : 0x20 + number % 16);
	addr.ip[1] = (uint8_t)(number >> 8);
	addr.ip[2] = (uint8_t)number;
	addr.ip[host] = 7;
	return addr;
}

static struct dht_lab_node *node_new(struct dht_lab *lab)
{
	struct dht_lab_node *node = &lab->nodes[lab->node_cnt];

	if (lab->node_cnt == lab->node_cap)
		die("more nodes than room");
	node->lab = lab;
	node->number = lab->node_cnt++;
	node->addr = addr_of(lab->net, node->number);
	random_init_seeded(&node->random, lab->seed + 1000 + node->number);
	return node;
}

static void node_attach(struct dht_lab_node *node)
{
	if (net_mem_net_attach(node->lab->mem, &node->addr, &node->rx, &node->tx) < 0)
		die("no room on the network");
}

struct dht_lab_node *dht_lab_add(struct dht_lab *lab)
{
	struct dht_lab_node *node = node_new(lab);

	dht_config_defaults(&node->config);
	for (unsigned other = 0; other < DHT_FAMILY_CNT; other++)
		node->config.is_on[other] = other == lab->net;
	node->config.table.wide_cnt = 8;
	node->config.item_cap = 64;
	node->config.peer_cap = 64;
	node->config.query_cap = 128;
	node->config.lookup_cap = 8;
	node->config.own_cap = 4;
	return node;
}

static void note_save(void *ctx)
{
	struct dht_lab_node *node = ctx;

	node->save_cnt++;
}

void dht_lab_start(struct dht_lab_node *node, const struct dht_lab_node *bootstrap)
{
	static const struct dht_events events = {.save = note_save};
	struct dht_params params = {.config = node->config,
				    .events = &events,
				    .ctx = node,
				    .random = &node->random,
				    .now_ns = node->lab->now_ns};

	params.wall_us = DHT_LAB_WALL_US + node->lab->now_ns / 1000 + (uint64_t)node->wall_skew_us;
	node_attach(node);
	params.sink = &node->tx->sink;
	if (dht_new(&params, &node->dht) < 0)
		die("a node does not start");
	if (bootstrap)
		dht_bootstrap(node->dht, &bootstrap->addr, 1, node->lab->now_ns);
	node->next_ns = 0;
}

static struct dht_lab_node *scripted_begin(struct dht_lab_node *node, dht_lab_scripted_fn fn)
{
	node->script = fn;
	dht_node_id_make(&node->addr, &node->random, &node->id);
	node_attach(node);
	return node;
}

struct dht_lab_node *dht_lab_scripted(struct dht_lab *lab, dht_lab_scripted_fn fn)
{
	return scripted_begin(node_new(lab), fn);
}

struct dht_lab_node *dht_lab_scripted_at(struct dht_lab *lab, dht_lab_scripted_fn fn,
					 const struct addr *beside)
{
	struct dht_lab_node *node = node_new(lab);

	memcpy(node->addr.ip, beside->ip, 2);
	return scripted_begin(node, fn);
}

/* --- turns --- */

static void scripted_turn(struct dht_lab_node *node, const struct dgram *dgram)
{
	struct krpc_message message;

	if (dht_krpc_parse(dgram->data, dgram->len, &message) == DHT_ANSWERED &&
	    message.kind == KRPC_QUERY)
		node->script(node, &message, &dgram->remote);
}

static void node_input(struct dht_lab_node *node, const struct dgram *dgram)
{
	struct krpc_message message;

	if (!node->dht) {
		scripted_turn(node, dgram);
		return;
	}
	if (dht_krpc_parse(dgram->data, dgram->len, &message) == DHT_ANSWERED &&
	    message.kind == KRPC_QUERY)
		node->lab->query_cnt[message.method]++;
	dht_input(node->dht, dgram, node->lab->now_ns);
}

static void node_turn(struct dht_lab_node *node)
{
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt;

	while ((cnt = packet_rx_burst(node->rx, dgrams, PACKET_BURST_MAX)))
		for (unsigned i = 0; i < cnt; i++)
			node_input(node, &dgrams[i]);
	if (node->dht) {
		if (dht_next_ns(node->dht) <= node->lab->now_ns)
			dht_expire(node->dht, node->lab->now_ns);
		dht_flush(node->dht, node->lab->now_ns);
		node->next_ns = dht_next_ns(node->dht);
	}
	packet_tx_flush(node->tx);
}

bool dht_lab_run(struct dht_lab *lab, uint64_t for_ns, bool (*done)(void *arg), void *arg)
{
	uint64_t end_ns = lab->now_ns + for_ns;

	for (;;) {
		uint64_t next_ns = UINT64_MAX;

		for (unsigned i = 0; i < lab->node_cnt; i++) {
			struct dht_lab_node *node = &lab->nodes[i];

			if (!node->rx)
				continue;
			if (net_mem_rx_is_waiting(node->rx) ||
			    (node->dht && node->next_ns <= lab->now_ns))
				node_turn(node);
			if (node->dht && node->next_ns < next_ns)
				next_ns = node->next_ns;
		}
		if (done && done(arg))
			return true;
		if (lab->now_ns >= end_ns)
			return false;
		if (net_mem_net_next_ns(lab->mem) < next_ns)
			next_ns = net_mem_net_next_ns(lab->mem);
		if (next_ns < lab->now_ns + STEP_NS)
			next_ns = lab->now_ns + STEP_NS;
		lab->now_ns = next_ns < end_ns ? next_ns : end_ns;
		net_mem_net_advance(lab->mem, lab->now_ns);
	}
}

void dht_lab_grow(struct dht_lab *lab, unsigned cnt, uint64_t gap_ns)
{
	for (unsigned i = 0; i < cnt; i++) {
		struct dht_lab_node *node = dht_lab_add(lab);

		dht_lab_start(node, node->number ? &lab->nodes[0] : NULL);
		(void)dht_lab_run(lab, gap_ns, NULL, NULL);
	}
}

/* --- scripted nodes --- */

void dht_lab_send(struct dht_lab_node *node, const struct addr *to, const void *data, size_t len)
{
	const struct dgram_route route = {.remote = *to};
	struct dgram_sink *sink = &node->tx->sink;
	struct dgram_slot slot;

	if (!sink->ops->reserve(sink, len, &slot))
		die("no room to send");
	memcpy(slot.data, data, len);
	sink->ops->commit(sink, &slot, len, &route);
	packet_tx_flush(node->tx);
}

void dht_lab_reply(struct dht_lab_node *node, const struct krpc_message *query,
		   const struct addr *asker, struct krpc_reply *reply)
{
	uint8_t bytes[KRPC_VALUE_SEND_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	reply->transaction = query->transaction;
	reply->asker = *asker;
	reply->id = node->id;
	dht_krpc_write_reply(&w, reply);
	if (w.bad)
		die("a scripted node says too much");
	dht_lab_send(node, asker, bytes, writer_len(&w));
}

/* --- what was asked --- */

static void note_item(void *ctx, const struct dht_item *item)
{
	struct dht_lab_result *result = ctx;

	result->item_cnt++;
	result->value_len = item->value_len;
	memcpy(result->value, item->value, item->value_len);
	result->seq = item->seq;
}

static void note_peers(void *ctx, const struct addr *addrs, unsigned cnt)
{
	struct dht_lab_result *result = ctx;

	for (unsigned i = 0; i < cnt && result->peer_cnt < DHT_PEERS_MAX; i++)
		result->peers[result->peer_cnt++] = addrs[i];
}

static void note_nodes(void *ctx, const struct kad_contact *contacts, unsigned cnt)
{
	struct dht_lab_result *result = ctx;

	memcpy(result->nodes, contacts, cnt * sizeof(*contacts));
	result->node_cnt = cnt;
}

static void note_step(void *ctx, const struct kad_step *step)
{
	struct dht_lab_result *result = ctx;

	(void)step;
	result->step_cnt++;
}

static void note_ended(void *ctx, const struct dht_outcome *outcome)
{
	struct dht_lab_result *result = ctx;

	result->is_ended = true;
	result->ended_cnt++;
	result->outcome = *outcome;
}

struct dht_asker dht_lab_asker(struct dht_lab_result *result)
{
	memset(result, 0, sizeof(*result));
	return (struct dht_asker){.item = note_item,
				  .peers = note_peers,
				  .step = note_step,
				  .nodes = note_nodes,
				  .ended = note_ended,
				  .ctx = result};
}

static bool has_ended(void *arg)
{
	return ((const struct dht_lab_result *)arg)->is_ended;
}

bool dht_lab_wait(struct dht_lab *lab, struct dht_lab_result *result, uint64_t for_ns)
{
	/* Requests made outside a turn are sent in one. */
	for (unsigned i = 0; i < lab->node_cnt; i++)
		lab->nodes[i].next_ns = 0;
	return dht_lab_run(lab, for_ns, has_ended, result);
}

uint64_t dht_lab_count(const struct dht_lab_node *node, enum dht_reason reason)
{
	struct dht_stats stats;

	dht_stats(node->dht, node->lab->now_ns, &stats);
	return stats.reasons[reason];
}

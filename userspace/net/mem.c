/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator's network: packet I/O whose wire is a heap of datagrams
 * ordered by arrival. A commit copies into a slot of the sender. Flush
 * throws the dice and puts the slot into flight. Advance moves arrived
 * datagrams into the receiver's inbox, and burst lends them out. Slots
 * and nodes are fixed in number; what finds none is dropped and counted,
 * as a real network would. Ties in time are broken by the order of
 * flight, so a run is a function of its seed and its calls.
 */
#include "net/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory/arena.h"
#include "base/assert.h"
#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/map.h"
#include "base/random.h"
#include "net/ingress/ingress_verdict.h"

#define MEM_RUN_LEN_MAX	    65487 /* as the udp backend, so protocols meet the same limit */
#define MEM_INBOX_CNT_MAX   1024  /* per node: the receive buffer of a socket */
#define MEM_QUEUE_LEN_MAX   (256u * 1024)
#define MEM_MTU_LEN_DEFAULT 1452 /* 1500 less an IPv6 and a UDP header */
#define MEM_NONE	    UINT32_MAX

/* In one place at a time: free list, outbox, flight, inbox, lent. */
struct mem_slot {
	uint64_t arrive_ns;
	struct addr from;
	struct addr to;
	uint32_t next;
	unsigned group; /* of the sender when it left */
	uint16_t len;
	uint8_t ecn;
	uint8_t data[MEM_DGRAM_LEN_MAX];
};

/* A slot in flight. Slots are as far apart as datagrams are long, so the heap does not look at them. */
struct mem_flight {
	uint64_t arrive_ns, seq;
	uint32_t slot;
};

struct mem_list {
	uint32_t head, tail;
	uint32_t cnt;
};

struct mem_node {
	struct packet_rx rx;
	struct packet_tx tx;
	struct mem_net *net;
	struct addr addr;
	unsigned group;
	bool is_rx_open, is_tx_open;
	bool has_link;	  /* else the network's */
	bool *is_reached; /* NULL: none is told */
	struct mem_link link;
	uint64_t uplink_free_ns; /* when the last byte queued so far has left */
	struct mem_list outbox, inbox, lent;
	uint8_t run[MEM_RUN_LEN_MAX + 1];
};

struct mem_net {
	struct arena arena;
	struct map node_by_addr;
	struct random *random;
	struct mem_link link;
	struct mem_node *nodes;
	struct mem_slot *slots;
	struct mem_flight *flight; /* binary heap by arrival */
	uint32_t node_cap, slot_cap, flight_cnt;
	struct mem_list idle;
	uint32_t fresh_idx; /* slots from here on were never used */
	mem_fate_fn fate;   /* NULL: none beside the links */
	void *fate_ctx;
	const struct mem_router_ops *router; /* NULL: none */
	void *router_ctx;
	uint64_t now_ns, flight_seq, trace_hash;
};

static void list_push(struct mem_net *net, struct mem_list *list, uint32_t slot)
{
	net->slots[slot].next = MEM_NONE;
	if (list->cnt++)
		net->slots[list->tail].next = slot;
	else
		list->head = slot;
	list->tail = slot;
}

static uint32_t list_pop(struct mem_net *net, struct mem_list *list)
{
	uint32_t slot = list->head;

	if (!list->cnt)
		return MEM_NONE;
	list->cnt--;
	list->head = net->slots[slot].next;
	return slot;
}

/* The last one used comes first, so that a small run touches little memory. */
static void slot_release(struct mem_net *net, uint32_t slot)
{
	struct mem_list *idle = &net->idle;

	net->slots[slot].next = idle->head;
	if (!idle->cnt++)
		idle->tail = slot;
	idle->head = slot;
}

/* Slots that were never used cost no memory until they are. */
static uint32_t slot_acquire(struct mem_net *net)
{
	if (!net->idle.cnt && net->fresh_idx < net->slot_cap)
		return net->fresh_idx++;
	return list_pop(net, &net->idle);
}

static void list_release(struct mem_net *net, struct mem_list *list)
{
	uint32_t slot;

	while ((slot = list_pop(net, list)) != MEM_NONE)
		slot_release(net, slot);
}

static bool flight_before(const struct mem_flight *a, const struct mem_flight *b)
{
	return a->arrive_ns != b->arrive_ns ? a->arrive_ns < b->arrive_ns : a->seq < b->seq;
}

static void flight_push(struct mem_net *net, uint32_t slot)
{
	const struct mem_flight new = {net->slots[slot].arrive_ns, net->flight_seq++, slot};
	uint32_t at = net->flight_cnt++;

	while (at > 0 && flight_before(&new, &net->flight[(at - 1) / 2])) {
		net->flight[at] = net->flight[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	net->flight[at] = new;
}

static uint32_t flight_pop(struct mem_net *net)
{
	uint32_t first = net->flight[0].slot;
	struct mem_flight last = net->flight[--net->flight_cnt];
	uint32_t at = 0;

	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child >= net->flight_cnt)
			break;
		if (child + 1 < net->flight_cnt &&
		    flight_before(&net->flight[child + 1], &net->flight[child]))
			child++;
		if (!flight_before(&net->flight[child], &last))
			break;
		net->flight[at] = net->flight[child];
		at = child;
	}
	net->flight[at] = last;
	return first;
}

static void trace_bytes(struct mem_net *net, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++)
		net->trace_hash = (net->trace_hash ^ bytes[i]) * 0x100000001b3ull; /* FNV-1a */
}

static void trace_slot(struct mem_net *net, uint64_t at_ns, const struct mem_slot *slot)
{
	trace_bytes(net, &at_ns, sizeof(at_ns));
	trace_bytes(net, &slot->from, sizeof(slot->from));
	trace_bytes(net, &slot->to, sizeof(slot->to));
	trace_bytes(net, &slot->len, sizeof(slot->len));
}

static bool dice(struct mem_net *net, uint32_t per_1000)
{
	return per_1000 && random_below(net->random, 1000) < per_1000;
}

static const struct mem_link *node_link(const struct mem_node *node)
{
	return node->has_link ? &node->link : &node->net->link;
}

static size_t link_mtu(const struct mem_link *link)
{
	return link->mtu_len ? link->mtu_len : MEM_MTU_LEN_DEFAULT;
}

/* link_depart queues len bytes on the uplink. False: the queue is full. */
static bool link_depart(struct mem_node *node, size_t len, uint64_t *out_at_ns)
{
	const struct mem_net *net = node->net;
	uint64_t rate = node_link(node)->rate_bytes_per_s;
	uint64_t start_ns = node->uplink_free_ns > net->now_ns ? node->uplink_free_ns : net->now_ns;

	if (!rate) {
		*out_at_ns = net->now_ns;
		return true;
	}
	if ((double)(start_ns - net->now_ns) * (double)rate / NS_PER_S + (double)len >
	    MEM_QUEUE_LEN_MAX)
		return false;
	node->uplink_free_ns = start_ns + len * NS_PER_S / rate;
	*out_at_ns = node->uplink_free_ns;
	return true;
}

static uint64_t link_delay_ns(struct mem_net *net, const struct mem_link *link)
{
	uint64_t delay_ns = link->delay_ns;

	if (link->jitter_ns)
		delay_ns += random_below(net->random, link->jitter_ns + 1);
	if (dice(net, link->reorder_per_1000))
		delay_ns += link->delay_ns;
	return delay_ns;
}

/* slot_fly puts a datagram into flight that left at depart_ns, unless it is lost on its way. */
static void slot_fly(struct mem_net *net, uint32_t slot_idx, const struct mem_link *link,
		     uint64_t depart_ns)
{
	struct mem_slot *slot = &net->slots[slot_idx];
	uint64_t delay_ns = link_delay_ns(net, link), more_ns = 0;

	if (net->fate)
		more_ns = net->fate(net->fate_ctx, &slot->from, &slot->to, net->now_ns);
	if (more_ns == MEM_LOST) {
		slot_release(net, slot_idx);
		return;
	}
	slot->arrive_ns = depart_ns + delay_ns + more_ns;
	flight_push(net, slot_idx);
}

static bool slot_leave(struct mem_net *net, struct mem_slot *slot)
{
	return !net->router ||
	       net->router->leave(net->router_ctx, &slot->from, &slot->to, net->now_ns);
}

static bool slot_arrive(struct mem_net *net, struct mem_slot *slot)
{
	return !net->router ||
	       net->router->arrive(net->router_ctx, &slot->from, &slot->to, slot->arrive_ns);
}

static void node_send(struct mem_node *node, uint32_t slot_idx)
{
	struct mem_net *net = node->net;
	const struct mem_link *link = node_link(node);
	struct mem_slot *slot = &net->slots[slot_idx];
	uint64_t depart_ns;
	uint32_t copy_idx = MEM_NONE;

	node->tx.counters.dgram_cnt++;
	node->tx.counters.byte_cnt += slot->len;
	slot->from = node->addr;
	slot->group = node->group;
	trace_slot(net, net->now_ns, slot);
	if (!link_depart(node, slot->len, &depart_ns)) {
		node->tx.counters.dropped_cnt++;
		slot_release(net, slot_idx);
		return;
	}
	if (dice(net, link->loss_per_1000) || !slot_leave(net, slot)) {
		slot_release(net, slot_idx);
		return;
	}
	if (dice(net, link->duplicate_per_1000))
		copy_idx = slot_acquire(net);
	if (copy_idx != MEM_NONE)
		memcpy(&net->slots[copy_idx], slot, offsetof(struct mem_slot, data) + slot->len);
	slot_fly(net, slot_idx, link, depart_ns);
	if (copy_idx != MEM_NONE)
		slot_fly(net, copy_idx, link, depart_ns);
}

static int mem_flush(struct packet_tx *tx)
{
	struct mem_node *node = container_of(tx, struct mem_node, tx);
	uint32_t slot;

	while ((slot = list_pop(node->net, &node->outbox)) != MEM_NONE)
		node_send(node, slot);
	tx->counters.call_cnt++;
	return 0;
}

static struct mem_node *node_of_sink(struct dgram_sink *sink)
{
	return container_of(sink, struct mem_node, tx.sink);
}

static bool mem_reserve(struct dgram_sink *sink, size_t len, struct dgram_slot *out_slot)
{
	struct mem_node *node = node_of_sink(sink);

	if (len > MEM_RUN_LEN_MAX)
		return false;
	out_slot->data = node->run;
	out_slot->cap = MEM_RUN_LEN_MAX;
	return true;
}

static void node_queue(struct mem_node *node, const uint8_t *data, size_t len,
		       const struct dgram_route *route)
{
	struct mem_net *net = node->net;
	uint32_t slot_idx;
	struct mem_slot *slot;

	if (len > link_mtu(node_link(node))) {
		node->tx.toobig_cnt++;
		return;
	}
	slot_idx = slot_acquire(net);
	if (slot_idx == MEM_NONE) {
		node->tx.counters.dropped_cnt++;
		return;
	}
	slot = &net->slots[slot_idx];
	slot->to = route->remote;
	slot->ecn = route->ecn & 3;
	slot->len = (uint16_t)len;
	memcpy(slot->data, data, len);
	list_push(net, &node->outbox, slot_idx);
}

static void mem_commit(struct dgram_sink *sink, const struct dgram_slot *slot, size_t len,
		       const struct dgram_route *route)
{
	struct mem_node *node = node_of_sink(sink);
	size_t segment_len = route->segment_len ? route->segment_len : len;

	for (size_t off = 0; off < len; off += segment_len) {
		size_t left = len - off;

		node_queue(node, slot->data + off, left < segment_len ? left : segment_len, route);
	}
}

static void mem_cancel(struct dgram_sink *sink, const struct dgram_slot *slot)
{
	(void)sink;
	(void)slot;
}

static unsigned mem_burst(struct packet_rx *rx, struct dgram *out_dgrams, unsigned cap)
{
	struct mem_node *node = container_of(rx, struct mem_node, rx);
	struct mem_net *net = node->net;
	unsigned cnt = 0;

	list_release(net, &node->lent);
	while (cnt < cap && node->inbox.cnt) {
		uint32_t slot_idx = list_pop(net, &node->inbox);
		struct mem_slot *slot = &net->slots[slot_idx];

		list_push(net, &node->lent, slot_idx);
		out_dgrams[cnt++] = (struct dgram){.data = slot->data,
						   .len = slot->len,
						   .local = slot->to,
						   .remote = slot->from,
						   .ecn = slot->ecn};
		(void)net_ingress_classify(&out_dgrams[cnt - 1]);
		rx->counters.byte_cnt += slot->len;
	}
	rx->counters.dgram_cnt += cnt;
	rx->counters.call_cnt++;
	return cnt;
}

static void node_detach_if_closed(struct mem_node *node)
{
	struct mem_net *net = node->net;

	if (node->is_rx_open || node->is_tx_open)
		return;
	(void)map_delete(&net->node_by_addr, &node->addr);
	list_release(net, &node->outbox);
	list_release(net, &node->inbox);
	list_release(net, &node->lent);
	node->net = NULL;
}

static void mem_rx_close(struct packet_rx *rx)
{
	struct mem_node *node = container_of(rx, struct mem_node, rx);

	node->is_rx_open = false;
	node_detach_if_closed(node);
}

static void mem_tx_close(struct packet_tx *tx)
{
	struct mem_node *node = container_of(tx, struct mem_node, tx);

	node->is_tx_open = false;
	node_detach_if_closed(node);
}

static const struct packet_rx_ops mem_rx_ops = {.burst = mem_burst, .close = mem_rx_close};
static const struct packet_tx_ops mem_tx_ops = {.flush = mem_flush, .close = mem_tx_close};
static const struct dgram_sink_ops mem_sink_ops = {
	.reserve = mem_reserve, .commit = mem_commit, .cancel = mem_cancel};

int net_mem_net_new(uint32_t node_cap, uint32_t dgram_cap, struct random *random,
		    struct mem_net **out_net)
{
	static const uint64_t secret[2] = {1, 2}; /* replay needs order, not secrecy */
	struct mem_net *net = calloc(1, sizeof(*net));
	int err;

	if (!net)
		return -ENOMEM;
	err = arena_open(&net->arena, ARENA_GROWS);
	if (err < 0)
		goto free_net;
	err = map_init(&net->node_by_addr, &net->arena, sizeof(struct addr), node_cap, secret);
	if (err < 0)
		goto close_arena;
	net->nodes = arena_alloc(&net->arena, (size_t)node_cap * sizeof(*net->nodes));
	net->slots = arena_alloc(&net->arena, (size_t)dgram_cap * sizeof(*net->slots));
	net->flight = arena_alloc(&net->arena, (size_t)dgram_cap * sizeof(*net->flight));
	arena_fit(&net->arena);
	weft_assert(net->nodes && net->slots && net->flight);
	net->node_cap = node_cap;
	net->slot_cap = dgram_cap;
	net->random = random;
	net->trace_hash = 0xcbf29ce484222325ull;
	*out_net = net;
	return 0;
close_arena:
	arena_close(&net->arena);
free_net:
	free(net);
	return err;
}

void net_mem_net_free(struct mem_net *net)
{
	if (!net)
		return;
	arena_close(&net->arena);
	free(net);
}

int net_mem_net_attach(struct mem_net *net, const struct addr *addr, struct packet_rx **out_rx,
		       struct packet_tx **out_tx)
{
	struct mem_node *node = NULL;
	int err;

	if (map_lookup(&net->node_by_addr, addr))
		return WEFT_EEXISTS;
	for (uint32_t i = 0; i < net->node_cap && !node; i++)
		if (!net->nodes[i].net)
			node = &net->nodes[i];
	if (!node)
		return WEFT_EFULL;
	err = map_put(&net->node_by_addr, addr, node);
	if (err < 0)
		return err;
	memset(node, 0, offsetof(struct mem_node, run));
	node->net = net;
	node->addr = *addr;
	node->is_rx_open = true;
	node->is_tx_open = true;
	node->rx.ops = &mem_rx_ops;
	node->rx.backend = "mem";
	node->rx.fd = -1;
	node->tx.ops = &mem_tx_ops;
	node->tx.backend = "mem";
	node->tx.sink.ops = &mem_sink_ops;
	node->tx.sink.batch_len_max = MEM_RUN_LEN_MAX;
	*out_rx = &node->rx;
	*out_tx = &node->tx;
	return 0;
}

void net_mem_net_set_default_link(struct mem_net *net, const struct mem_link *link)
{
	weft_assert(link->mtu_len <= MEM_DGRAM_LEN_MAX);
	net->link = *link;
}

void net_mem_net_set_link(struct mem_net *net, const struct addr *addr, const struct mem_link *link)
{
	struct mem_node *node = map_lookup(&net->node_by_addr, addr);

	weft_assert(node);
	weft_assert(link->mtu_len <= MEM_DGRAM_LEN_MAX);
	node->has_link = true;
	node->link = *link;
}

bool net_mem_rx_is_waiting(const struct packet_rx *rx)
{
	const struct mem_node *node = container_of(rx, struct mem_node, rx);

	return node->inbox.cnt > 0;
}

void net_mem_rx_tell(struct packet_rx *rx, bool *is_reached)
{
	container_of(rx, struct mem_node, rx)->is_reached = is_reached;
}

void net_mem_net_set_group(struct mem_net *net, const struct addr *addr, unsigned group)
{
	struct mem_node *node = map_lookup(&net->node_by_addr, addr);

	weft_assert(node);
	node->group = group;
}

void net_mem_net_set_fate(struct mem_net *net, mem_fate_fn fate, void *ctx)
{
	net->fate = fate;
	net->fate_ctx = ctx;
}

void net_mem_net_set_router(struct mem_net *net, const struct mem_router_ops *ops, void *ctx)
{
	net->router = ops;
	net->router_ctx = ctx;
}

int net_mem_net_move(struct mem_net *net, const struct addr *from, const struct addr *to)
{
	struct mem_node *node = map_lookup(&net->node_by_addr, from);
	int err;

	if (!node)
		return WEFT_EABSENT;
	if (map_lookup(&net->node_by_addr, to))
		return WEFT_EEXISTS;
	(void)map_delete(&net->node_by_addr, from);
	err = map_put(&net->node_by_addr, to, node);
	weft_assert(!err);
	node->addr = *to;
	return 0;
}

static void net_deliver(struct mem_net *net, uint32_t slot_idx)
{
	struct mem_slot *slot = &net->slots[slot_idx];
	struct mem_node *node =
		slot_arrive(net, slot) ? map_lookup(&net->node_by_addr, &slot->to) : NULL;

	if (!node || !node->is_rx_open || node->group != slot->group) {
		slot_release(net, slot_idx);
		return;
	}
	trace_slot(net, slot->arrive_ns, slot);
	if (node->inbox.cnt == MEM_INBOX_CNT_MAX) {
		node->rx.counters.dropped_cnt++;
		slot_release(net, slot_idx);
		return;
	}
	list_push(net, &node->inbox, slot_idx);
	if (node->is_reached)
		*node->is_reached = true;
}

void net_mem_net_advance(struct mem_net *net, uint64_t now_ns)
{
	weft_assert(now_ns >= net->now_ns);
	net->now_ns = now_ns;
	while (net->flight_cnt && net->flight[0].arrive_ns <= now_ns)
		net_deliver(net, flight_pop(net));
}

uint64_t net_mem_net_next_ns(const struct mem_net *net)
{
	return net->flight_cnt ? net->flight[0].arrive_ns : UINT64_MAX;
}

uint64_t net_mem_net_trace_hash(const struct mem_net *net)
{
	return net->trace_hash;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Out: nats_leave -> mapping_take -> filter_note. In: nats_arrive -> mapping_of_port ->
 * filter_passes. A filter's rows have the whole remote, and the rule says how much of it counts,
 * so the filtering behaviour may change while mappings live.
 */
#include "support/mem_nat.h"

#include <stddef.h>
#include <string.h>

#include "base/assert.h"
#include "net/mem.h"

#define PORT_FIRST 1024u /* RFC 4787 REQ-3a: no well-known port for one that is not */
#define PORT_TRIES 256	 /* at most MEM_NAT_MAPPING_CAP of 64,512 are taken */

const char *mem_nat_word(enum nat_dependence dependence)
{
	static const char *const words[NAT_DEPENDENCE_CNT] = {
		[NAT_ENDPOINT_INDEPENDENT] = "endpoint-independent",
		[NAT_ADDRESS_DEPENDENT] = "address-dependent",
		[NAT_ADDRESS_AND_PORT_DEPENDENT] = "address-and-port-dependent",
	};

	return words[dependence];
}

/* What of remote a behaviour looks at. */
static struct addr remote_part(enum nat_dependence dependence, const struct addr *remote)
{
	struct addr part = *remote;

	if (dependence == NAT_ENDPOINT_INDEPENDENT)
		return (struct addr){.family = ADDR_NONE};
	if (dependence == NAT_ADDRESS_DEPENDENT)
		part.port = 0;
	return part;
}

/* --- look-ups by hash --- */

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 32;
}

static uint64_t host_hash(const struct addr *addr)
{
	uint64_t words[2];

	memcpy(words, addr->ip, sizeof(words));
	return mix(mix(addr->family, words[0]), words[1]);
}

static void host_add(struct mem_nat_host **heads, struct mem_nat_host *host)
{
	struct mem_nat_host **head = &heads[host_hash(&host->addr) % MEM_NATS_BUCKETS];

	host->next = *head;
	*head = host;
}

static struct mem_nat *nat_of_host(struct mem_nat_host *const *heads, const struct addr *addr)
{
	const struct mem_nat_host *host = heads[host_hash(addr) % MEM_NATS_BUCKETS];

	while (host && !addr_is_same_host(&host->addr, addr))
		host = host->next;
	return host ? host->nat : NULL;
}

static struct mem_nat *nat_of_inside(const struct mem_nats *nats, const struct addr *addr)
{
	return nat_of_host(nats->inside, addr);
}

static struct mem_nat *nat_of_outside(const struct mem_nats *nats, const struct addr *addr)
{
	return nat_of_host(nats->outside, addr);
}

/* Chains hold the row's index and one; 0 ends them. */
static void chain_add(struct mem_nat_chains *chains, uint64_t hash, unsigned row)
{
	uint16_t *head = &chains->heads[hash % MEM_NAT_BUCKETS];

	chains->next[row] = *head;
	*head = (uint16_t)(row + 1);
}

static void chain_remove(struct mem_nat_chains *chains, uint64_t hash, unsigned row)
{
	uint16_t *at = &chains->heads[hash % MEM_NAT_BUCKETS];

	while (*at != row + 1)
		at = &chains->next[*at - 1];
	*at = chains->next[row];
}

/* --- rows in order of their use --- */

static void order_unlink(struct mem_nat_order *order, unsigned row)
{
	uint16_t older = order->older[row], newer = order->newer[row];

	*(older ? &order->newer[older - 1] : &order->oldest) = newer;
	*(newer ? &order->older[newer - 1] : &order->newest) = older;
}

static void order_push(struct mem_nat_order *order, unsigned row)
{
	uint16_t at = (uint16_t)(row + 1);

	order->older[row] = order->newest;
	order->newer[row] = 0;
	*(order->newest ? &order->newer[order->newest - 1] : &order->oldest) = at;
	order->newest = at;
}

static void order_push_oldest(struct mem_nat_order *order, unsigned row)
{
	uint16_t at = (uint16_t)(row + 1);

	order->newer[row] = order->oldest;
	order->older[row] = 0;
	*(order->oldest ? &order->older[order->oldest - 1] : &order->newest) = at;
	order->oldest = at;
}

static void order_touch(struct mem_nat_order *order, unsigned row)
{
	if (order->newest == row + 1)
		return;
	order_unlink(order, row);
	order_push(order, row);
}

static void order_clear(struct mem_nat_order *order)
{
	order->oldest = order->newest = 0;
	order->cnt = 0;
}

/* --- mappings --- */

static uint64_t inside_hash(const struct addr *inside, const struct addr *part)
{
	return mix(mix(host_hash(inside), host_hash(part)),
		   (uint64_t)inside->port << 16 | part->port);
}

static bool mapping_lives(const struct mem_nat *nat, const struct mem_nat_mapping *row,
			  uint64_t now_ns)
{
	return row->inside.family != ADDR_NONE && now_ns < row->used_ns + nat->rule.lifetime_ns;
}

static const struct mem_nat_mapping *mapping_lookup(const struct mem_nat *nat,
						    const struct addr *inside,
						    const struct addr *remote, uint64_t now_ns)
{
	const struct mem_nat_chains *chains = &nat->mappings_by_inside;
	struct addr part = remote_part(nat->rule.mapping, remote);
	unsigned at = chains->heads[inside_hash(inside, &part) % MEM_NAT_BUCKETS];

	for (; at; at = chains->next[at - 1]) {
		const struct mem_nat_mapping *row = &nat->mappings[at - 1];

		if (mapping_lives(nat, row, now_ns) && !row->is_forgotten &&
		    addr_equal(&row->inside, inside) && addr_equal(&row->remote, &part))
			return row;
	}
	return NULL;
}

static const struct mem_nat_mapping *mapping_of_port(const struct mem_nat *nat, uint16_t port,
						     uint64_t now_ns)
{
	const struct mem_nat_chains *chains = &nat->mappings_by_port;
	unsigned at = chains->heads[port % MEM_NAT_BUCKETS];

	for (; at; at = chains->next[at - 1])
		if (nat->mappings[at - 1].port == port &&
		    mapping_lives(nat, &nat->mappings[at - 1], now_ns))
			return &nat->mappings[at - 1];
	return NULL;
}

/* 0: none is free. */
static uint16_t port_choose(struct mem_nat *nat, uint16_t inside_port, uint64_t now_ns)
{
	if (nat->rule.preserves_ports && !mapping_of_port(nat, inside_port, now_ns))
		return inside_port;
	for (unsigned i = 0; i < PORT_TRIES; i++) {
		uint16_t port = (uint16_t)(PORT_FIRST + random_below(&nat->random,
								     1u + UINT16_MAX - PORT_FIRST));

		if (port != inside_port && !mapping_of_port(nat, port, now_ns))
			return port;
	}
	return 0;
}

/* A row in no chain and no order; NULL: all of them live. */
static struct mem_nat_mapping *mapping_place(struct mem_nat *nat, uint64_t now_ns)
{
	struct mem_nat_order *order = &nat->mapping_order;
	unsigned row = order->oldest - 1u;
	struct mem_nat_mapping *oldest = &nat->mappings[row % MEM_NAT_MAPPING_CAP];

	if (!order->oldest || mapping_lives(nat, oldest, now_ns))
		return order->cnt < MEM_NAT_MAPPING_CAP ? &nat->mappings[order->cnt++] : NULL;
	order_unlink(order, row);
	chain_remove(&nat->mappings_by_inside, oldest->inside_hash, row);
	chain_remove(&nat->mappings_by_port, oldest->port, row);
	return oldest;
}

static struct mem_nat_mapping *mapping_make(struct mem_nat *nat, const struct addr *inside,
					    const struct addr *remote, uint64_t now_ns)
{
	struct addr part = remote_part(nat->rule.mapping, remote);
	uint16_t port = port_choose(nat, inside->port, now_ns);
	struct mem_nat_mapping *row = port ? mapping_place(nat, now_ns) : NULL;
	unsigned idx = (unsigned)(row - nat->mappings);

	if (!row)
		return NULL;
	*row = (struct mem_nat_mapping){.inside = *inside,
					.remote = part,
					.port = port,
					.inside_hash = inside_hash(inside, &part)};
	chain_add(&nat->mappings_by_inside, row->inside_hash, idx);
	chain_add(&nat->mappings_by_port, port, idx);
	order_push(&nat->mapping_order, idx);
	return row;
}

static void mapping_take_back(struct mem_nat *nat, struct mem_nat_mapping *row)
{
	unsigned idx = (unsigned)(row - nat->mappings);

	row->inside.family = ADDR_NONE;
	order_unlink(&nat->mapping_order, idx);
	order_push_oldest(&nat->mapping_order, idx);
}

/* --- filters --- */

static uint64_t remote_hash(uint16_t port, const struct addr *remote)
{
	return mix(host_hash(remote), port);
}

static bool filter_lives(const struct mem_nat *nat, const struct mem_nat_filter *row,
			 uint64_t now_ns)
{
	return now_ns < row->used_ns + nat->rule.lifetime_ns;
}

/* As mapping_place. */
static struct mem_nat_filter *filter_place(struct mem_nat *nat, uint64_t now_ns)
{
	struct mem_nat_order *order = &nat->filter_order;
	unsigned row = order->oldest - 1u;
	struct mem_nat_filter *oldest = &nat->filters[row % MEM_NAT_FILTER_CAP];

	if (!order->oldest || filter_lives(nat, oldest, now_ns))
		return order->cnt < MEM_NAT_FILTER_CAP ? &nat->filters[order->cnt++] : NULL;
	order_unlink(order, row);
	chain_remove(&nat->filters_by_remote, remote_hash(oldest->port, &oldest->remote), row);
	return oldest;
}

/* False: the table is full. */
static bool filter_note(struct mem_nat *nat, uint16_t port, const struct addr *remote,
			uint64_t now_ns)
{
	struct mem_nat_chains *chains = &nat->filters_by_remote;
	uint64_t hash = remote_hash(port, remote);
	unsigned at = chains->heads[hash % MEM_NAT_BUCKETS];
	struct mem_nat_filter *row;

	while (at && (nat->filters[at - 1].port != port ||
		      !addr_equal(&nat->filters[at - 1].remote, remote)))
		at = chains->next[at - 1];
	if (at) {
		nat->filters[at - 1].used_ns = now_ns;
		order_touch(&nat->filter_order, at - 1);
		return true;
	}
	row = filter_place(nat, now_ns);
	if (!row)
		return false;
	*row = (struct mem_nat_filter){port, *remote, now_ns};
	chain_add(chains, hash, (unsigned)(row - nat->filters));
	order_push(&nat->filter_order, (unsigned)(row - nat->filters));
	return true;
}

static bool filter_passes(const struct mem_nat *nat, uint16_t port, const struct addr *remote,
			  uint64_t now_ns)
{
	const struct mem_nat_chains *chains = &nat->filters_by_remote;
	struct addr part = remote_part(nat->rule.filtering, remote);
	unsigned at = chains->heads[remote_hash(port, remote) % MEM_NAT_BUCKETS];

	if (nat->rule.filtering == NAT_ENDPOINT_INDEPENDENT)
		return true;
	for (; at; at = chains->next[at - 1]) {
		const struct mem_nat_filter *row = &nat->filters[at - 1];
		struct addr known = remote_part(nat->rule.filtering, &row->remote);

		if (row->port == port && filter_lives(nat, row, now_ns) &&
		    addr_equal(&known, &part))
			return true;
	}
	return false;
}

/* --- datagrams --- */

/* The row is used only once all of it has a place. */
static bool nat_translate_out(struct mem_nat *nat, struct addr *from, const struct addr *to,
			      uint64_t now_ns)
{
	const struct mem_nat_mapping *found = mapping_lookup(nat, from, to, now_ns);
	struct mem_nat_mapping *row =
		found ? &nat->mappings[found - nat->mappings] : mapping_make(nat, from, to, now_ns);

	if (!row || !filter_note(nat, row->port, to, now_ns)) {
		if (row && !found)
			mapping_take_back(nat, row);
		nat->full_cnt++;
		return false;
	}
	row->used_ns = now_ns;
	order_touch(&nat->mapping_order, (unsigned)(row - nat->mappings));
	nat->out_cnt++;
	*from = nat->outside;
	from->port = row->port;
	return true;
}

/* Past one NAT; false: it drops the datagram. */
static bool nat_leave(struct mem_nat *nat, struct addr *from, const struct addr *to,
		      uint64_t now_ns)
{
	if (nat->rule.blocks_udp) {
		nat->blocked_cnt++;
		return false;
	}
	if (addr_is_same_host(to, &nat->outside) && !nat->rule.hairpins) {
		nat->hairpin_cnt++;
		return false;
	}
	return nat_translate_out(nat, from, to, now_ns);
}

static bool nats_leave(void *ctx, struct addr *from, const struct addr *to, uint64_t now_ns)
{
	const struct mem_nats *nats = ctx;
	struct mem_nat *nat = nat_of_inside(nats, from);

	/* The outside address of a home's NAT is inside of a carrier's. */
	while (nat && nat_of_inside(nats, to) != nat) {
		if (!nat_leave(nat, from, to, now_ns))
			return false;
		nat = addr_is_same_host(to, &nat->outside) ? NULL : nat_of_inside(nats, from);
	}
	return true;
}

static bool nat_arrive(struct mem_nat *nat, const struct addr *from, struct addr *to,
		       uint64_t now_ns)
{
	const struct mem_nat_mapping *row;

	if (nat->rule.blocks_udp) {
		nat->blocked_cnt++;
		return false;
	}
	row = mapping_of_port(nat, to->port, now_ns);
	if (!row || row->is_forgotten) {
		nat->unmapped_cnt++;
		return false;
	}
	if (!filter_passes(nat, row->port, from, now_ns)) {
		nat->filtered_cnt++;
		return false;
	}
	nat->in_cnt++;
	*to = row->inside;
	return true;
}

static bool nats_arrive(void *ctx, const struct addr *from, struct addr *to, uint64_t now_ns)
{
	const struct mem_nats *nats = ctx;
	struct mem_nat *nat = nat_of_inside(nats, to);

	/* An inside address means nothing elsewhere. */
	if (nat && nat_of_inside(nats, from) != nat)
		return false;
	while ((nat = nat_of_outside(nats, to)))
		if (!nat_arrive(nat, from, to, now_ns))
			return false;
	return true;
}

void mem_nats_init(struct mem_nats *nats, struct mem_net *net)
{
	static const struct mem_router_ops ops = {.leave = nats_leave, .arrive = nats_arrive};

	memset(nats, 0, sizeof(*nats));
	net_mem_net_set_router(net, &ops, nats);
}

static void rule_set(struct mem_nat *nat, const struct mem_nat_rule *rule)
{
	nat->rule = *rule;
	if (!nat->rule.lifetime_ns)
		nat->rule.lifetime_ns = MEM_NAT_LIFETIME_NS;
}

static void filters_clear(struct mem_nat *nat)
{
	order_clear(&nat->filter_order);
	memset(nat->filters_by_remote.heads, 0, sizeof(nat->filters_by_remote.heads));
}

/* Rows are written as they are used, and so are their places in chains and orders. */
static void tables_clear(struct mem_nat *nat)
{
	filters_clear(nat);
	order_clear(&nat->mapping_order);
	memset(nat->mappings_by_inside.heads, 0, sizeof(nat->mappings_by_inside.heads));
	memset(nat->mappings_by_port.heads, 0, sizeof(nat->mappings_by_port.heads));
}

void mem_nat_add(struct mem_nats *nats, struct mem_nat *nat, const struct mem_nat_rule *rule,
		 const struct addr *outside, uint64_t seed)
{
	weft_assert(!nat_of_outside(nats, outside));
	memset(nat, 0, offsetof(struct mem_nat, mappings));
	rule_set(nat, rule);
	nat->nats = nats;
	random_init_seeded(&nat->random, seed);
	tables_clear(nat);
	nat->outside = *outside;
	nat->outside.port = 0;
	nat->outside_host = (struct mem_nat_host){.addr = *outside, .nat = nat};
	host_add(nats->outside, &nat->outside_host);
}

int mem_nat_place(struct mem_nat *nat, const struct addr *inside)
{
	struct mem_nat_host *host;

	if (nat->inside_cnt == MEM_NAT_INSIDE_CAP)
		return WEFT_EFULL;
	host = &nat->inside[nat->inside_cnt++];
	*host = (struct mem_nat_host){.addr = *inside, .nat = nat};
	host_add(nat->nats->inside, host);
	return 0;
}

void mem_nat_rebind(struct mem_nat *nat, uint64_t now_ns)
{
	for (unsigned i = 0; i < nat->mapping_order.cnt; i++)
		if (mapping_lives(nat, &nat->mappings[i], now_ns))
			nat->mappings[i].is_forgotten = true;
	filters_clear(nat);
}

void mem_nat_change(struct mem_nat *nat, const struct mem_nat_rule *rule, uint64_t now_ns)
{
	if (nat->rule.mapping != rule->mapping)
		mem_nat_rebind(nat, now_ns);
	rule_set(nat, rule);
}

bool mem_nat_mapped(const struct mem_nat *nat, const struct addr *inside, const struct addr *remote,
		    uint64_t now_ns, struct addr *out_outside)
{
	const struct mem_nat_mapping *row = mapping_lookup(nat, inside, remote, now_ns);

	if (!row)
		return false;
	*out_outside = nat->outside;
	out_outside->port = row->port;
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Out: nats_leave -> mapping_take -> filter_note. In: nats_arrive -> mapping_of_port ->
 * filter_passes. A filter's rows have the whole remote, and the rule says how much of it counts,
 * so the filtering behaviour may change while mappings live.
 */
#include "support/mem_nat.h"

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

static bool is_inside(const struct mem_nat *nat, const struct addr *addr)
{
	for (unsigned i = 0; i < nat->inside_cnt; i++)
		if (addr_is_same_host(&nat->inside[i], addr))
			return true;
	return false;
}

static struct mem_nat *nat_of_inside(const struct mem_nats *nats, const struct addr *addr)
{
	struct mem_nat *nat = nats->first;

	while (nat && !is_inside(nat, addr))
		nat = nat->next;
	return nat;
}

static struct mem_nat *nat_of_outside(const struct mem_nats *nats, const struct addr *addr)
{
	struct mem_nat *nat = nats->first;

	while (nat && !addr_is_same_host(&nat->outside, addr))
		nat = nat->next;
	return nat;
}

/* --- mappings --- */

static bool mapping_lives(const struct mem_nat *nat, const struct mem_nat_mapping *row,
			  uint64_t now_ns)
{
	return row->inside.family != ADDR_NONE && now_ns < row->used_ns + nat->rule.lifetime_ns;
}

static const struct mem_nat_mapping *mapping_lookup(const struct mem_nat *nat,
						    const struct addr *inside,
						    const struct addr *remote, uint64_t now_ns)
{
	struct addr part = remote_part(nat->rule.mapping, remote);

	for (unsigned i = 0; i < nat->mapping_cnt; i++) {
		const struct mem_nat_mapping *row = &nat->mappings[i];

		if (mapping_lives(nat, row, now_ns) && !row->is_forgotten &&
		    addr_equal(&row->inside, inside) && addr_equal(&row->remote, &part))
			return row;
	}
	return NULL;
}

static const struct mem_nat_mapping *mapping_of_port(const struct mem_nat *nat, uint16_t port,
						     uint64_t now_ns)
{
	for (unsigned i = 0; i < nat->mapping_cnt; i++)
		if (mapping_lives(nat, &nat->mappings[i], now_ns) && nat->mappings[i].port == port)
			return &nat->mappings[i];
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

static struct mem_nat_mapping *mapping_make(struct mem_nat *nat, const struct addr *inside,
					    const struct addr *remote, uint64_t now_ns)
{
	uint16_t port = port_choose(nat, inside->port, now_ns);
	struct mem_nat_mapping *row = nat->mappings;
	const struct mem_nat_mapping *end = nat->mappings + MEM_NAT_MAPPING_CAP;

	while (row < end && mapping_lives(nat, row, now_ns))
		row++;
	if (row == end || !port)
		return NULL;
	if (nat->mapping_cnt <= (unsigned)(row - nat->mappings))
		nat->mapping_cnt = (unsigned)(row - nat->mappings) + 1;
	*row = (struct mem_nat_mapping){
		.inside = *inside, .remote = remote_part(nat->rule.mapping, remote), .port = port};
	return row;
}

/* --- filters --- */

static bool filter_lives(const struct mem_nat *nat, const struct mem_nat_filter *row,
			 uint64_t now_ns)
{
	return row->port && now_ns < row->used_ns + nat->rule.lifetime_ns;
}

/* False: the table is full. */
static bool filter_note(struct mem_nat *nat, uint16_t port, const struct addr *remote,
			uint64_t now_ns)
{
	struct mem_nat_filter *place = NULL;

	for (unsigned i = 0; i < nat->filter_cnt; i++) {
		struct mem_nat_filter *row = &nat->filters[i];

		if (row->port == port && addr_equal(&row->remote, remote)) {
			row->used_ns = now_ns;
			return true;
		}
		if (!place && !filter_lives(nat, row, now_ns))
			place = row;
	}
	if (!place && nat->filter_cnt < MEM_NAT_FILTER_CAP)
		place = &nat->filters[nat->filter_cnt++];
	if (!place)
		return false;
	*place = (struct mem_nat_filter){port, *remote, now_ns};
	return true;
}

static bool filter_passes(const struct mem_nat *nat, uint16_t port, const struct addr *remote,
			  uint64_t now_ns)
{
	struct addr part = remote_part(nat->rule.filtering, remote);

	if (nat->rule.filtering == NAT_ENDPOINT_INDEPENDENT)
		return true;
	for (unsigned i = 0; i < nat->filter_cnt; i++) {
		const struct mem_nat_filter *row = &nat->filters[i];
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
			row->inside.family = ADDR_NONE;
		nat->full_cnt++;
		return false;
	}
	row->used_ns = now_ns;
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
	while (nat && !is_inside(nat, to)) {
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
	if (nat && !is_inside(nat, from))
		return false;
	while ((nat = nat_of_outside(nats, to)))
		if (!nat_arrive(nat, from, to, now_ns))
			return false;
	return true;
}

void mem_nats_init(struct mem_nats *nats, struct mem_net *net)
{
	static const struct mem_router_ops ops = {.leave = nats_leave, .arrive = nats_arrive};

	nats->first = NULL;
	net_mem_net_set_router(net, &ops, nats);
}

static void rule_set(struct mem_nat *nat, const struct mem_nat_rule *rule)
{
	nat->rule = *rule;
	if (!nat->rule.lifetime_ns)
		nat->rule.lifetime_ns = MEM_NAT_LIFETIME_NS;
}

void mem_nat_add(struct mem_nats *nats, struct mem_nat *nat, const struct mem_nat_rule *rule,
		 const struct addr *outside, uint64_t seed)
{
	weft_assert(!nat_of_outside(nats, outside));
	memset(nat, 0, sizeof(*nat));
	rule_set(nat, rule);
	nat->outside = *outside;
	nat->outside.port = 0;
	random_init_seeded(&nat->random, seed);
	nat->next = nats->first;
	nats->first = nat;
}

int mem_nat_place(struct mem_nat *nat, const struct addr *inside)
{
	if (nat->inside_cnt == MEM_NAT_INSIDE_CAP)
		return WEFT_EFULL;
	nat->inside[nat->inside_cnt++] = *inside;
	return 0;
}

void mem_nat_rebind(struct mem_nat *nat, uint64_t now_ns)
{
	for (unsigned i = 0; i < nat->mapping_cnt; i++)
		if (mapping_lives(nat, &nat->mappings[i], now_ns))
			nat->mappings[i].is_forgotten = true;
	memset(nat->filters, 0, nat->filter_cnt * sizeof(nat->filters[0]));
	nat->filter_cnt = 0;
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

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_MEM_NAT_H
#define WEFT_TESTS_MEM_NAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/random.h"

/*
 * NATs of a network in memory (net/mem.h), by the terms of RFC 4787. A node is placed behind one by
 * its address, and nothing else of it changes. Nodes behind one NAT hear each other without it.
 * Tables are fixed in number. What finds no place in them is dropped and counted. Same seed and
 * same calls, same ports.
 */
struct mem_net;

enum nat_dependence {
	NAT_ENDPOINT_INDEPENDENT,
	NAT_ADDRESS_DEPENDENT,
	NAT_ADDRESS_AND_PORT_DEPENDENT,
	NAT_DEPENDENCE_CNT,
};
/* mem_nat_word: "endpoint-independent". */
const char *mem_nat_word(enum nat_dependence dependence);

struct mem_nat_rule {
	enum nat_dependence mapping;   /* RFC 4787 4.1: which remotes share an outside port */
	enum nat_dependence filtering; /* 5: which remotes may write to it */
	uint64_t lifetime_ns;	       /* 4.3: since the last datagram out; 0: two minutes */
	bool preserves_ports;	       /* 4.2.1: the inside port, while it is free */
	bool hairpins;		       /* 6: the outside address works from inside */
	bool blocks_udp;	       /* nothing passes */
};

#define MEM_NAT_MAPPING_CAP 1024
#define MEM_NAT_FILTER_CAP  4096
#define MEM_NAT_INSIDE_CAP  16
#define MEM_NAT_LIFETIME_NS (120ull * 1000000000)

struct mem_nat_mapping {
	struct addr inside; /* family ADDR_NONE: free */
	struct addr remote; /* what of it the mapping depends on */
	uint16_t port;
	uint64_t used_ns;  /* by a datagram out */
	bool is_forgotten; /* passes nothing, and keeps its port until its life ends */
};

/* remote was written to by a mapping. */
struct mem_nat_filter {
	uint16_t port; /* of the mapping; 0: free */
	struct addr remote;
	uint64_t used_ns;
};

struct mem_nat {
	struct mem_nat_rule rule;
	struct addr outside; /* port 0 */
	struct addr inside[MEM_NAT_INSIDE_CAP];
	unsigned inside_cnt;
	struct random random;
	struct mem_nat_mapping mappings[MEM_NAT_MAPPING_CAP];
	struct mem_nat_filter filters[MEM_NAT_FILTER_CAP];
	unsigned mapping_cnt, filter_cnt; /* the last row ever used and one */
	struct mem_nat *next;
	/* Datagrams. */
	uint64_t out_cnt, in_cnt;
	uint64_t unmapped_cnt; /* came to a port without a mapping */
	uint64_t filtered_cnt; /* came by a mapping, from a remote that may not write */
	uint64_t hairpin_cnt;  /* refused from inside to the outside address */
	uint64_t blocked_cnt, full_cnt;
};

/* All NATs of a network. */
struct mem_nats {
	struct mem_nat *first;
};

/* mem_nats_init makes nats the router of net; it is borrowed for the network's life. */
void mem_nats_init(struct mem_nats *nats, struct mem_net *net);
/* mem_nat_add: nat, borrowed, has the IP address of outside. */
void mem_nat_add(struct mem_nats *nats, struct mem_nat *nat, const struct mem_nat_rule *rule,
		 const struct addr *outside, uint64_t seed);
/*
 * mem_nat_place: the host of inside is behind nat. It may be the outside address of another NAT, which is
 * a home's then, and nat a carrier's. Returns 0 or WEFT_EFULL.
 */
WEFT_MUST_CHECK
int mem_nat_place(struct mem_nat *nat, const struct addr *inside);
/* mem_nat_rebind: nat forgets its mappings, and the next ones have other ports. */
void mem_nat_rebind(struct mem_nat *nat, uint64_t now_ns);
/* mem_nat_change: another rule; another mapping behaviour is a rebinding as well. */
void mem_nat_change(struct mem_nat *nat, const struct mem_nat_rule *rule, uint64_t now_ns);
/* mem_nat_mapped: where remote sees inside now; false: there is no mapping. */
bool mem_nat_mapped(const struct mem_nat *nat, const struct addr *inside, const struct addr *remote,
		    uint64_t now_ns, struct addr *out_outside);

#endif

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
 * A table has as many rows as a home router's: OpenWrt on 128 MiB tracks 16,384 connections. What
 * finds no row is dropped and counted. Same seed and same calls, same ports.
 *
 * A datagram costs a few look-ups by hash, however many NATs and rows there are. Rows that were
 * never used cost no memory, where the NAT is static.
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

#define MEM_NAT_ROW_CAP	    16384
#define MEM_NAT_MAPPING_CAP MEM_NAT_ROW_CAP
#define MEM_NAT_FILTER_CAP  MEM_NAT_ROW_CAP
#define MEM_NAT_BUCKETS	    4096
#define MEM_NAT_INSIDE_CAP  16
#define MEM_NAT_LIFETIME_NS (120ull * 1000000000)

struct mem_nat_mapping {
	struct addr inside; /* family ADDR_NONE: it was taken back */
	struct addr remote; /* what of it the mapping depends on */
	uint16_t port;
	uint64_t used_ns; /* by a datagram out */
	uint64_t inside_hash;
	bool is_forgotten; /* passes nothing, and keeps its port until its life ends */
};

/* remote was written to by a mapping. */
struct mem_nat_filter {
	uint16_t port; /* of the mapping */
	struct addr remote;
	uint64_t used_ns;
};

/* Rows by their last use; of all that are dead, the oldest is used again first. */
struct mem_nat_order {
	uint16_t older[MEM_NAT_ROW_CAP], newer[MEM_NAT_ROW_CAP];
	uint16_t oldest, newest;
	unsigned cnt; /* the last row ever used and one */
};

/* Rows by the hash of what they are looked up by. */
struct mem_nat_chains {
	uint16_t heads[MEM_NAT_BUCKETS];
	uint16_t next[MEM_NAT_ROW_CAP];
};

struct mem_nat;
struct mem_nats;

/* A host that a NAT is found by. */
struct mem_nat_host {
	struct addr addr; /* its port does not count */
	struct mem_nat *nat;
	struct mem_nat_host *next; /* of those with one hash */
};

struct mem_nat {
	struct mem_nat_rule rule;
	struct mem_nats *nats;
	struct addr outside; /* port 0 */
	struct mem_nat_host outside_host, inside[MEM_NAT_INSIDE_CAP];
	unsigned inside_cnt;
	struct random random;
	/* Datagrams. */
	uint64_t out_cnt, in_cnt;
	uint64_t unmapped_cnt; /* came to a port without a mapping */
	uint64_t filtered_cnt; /* came by a mapping, from a remote that may not write */
	uint64_t hairpin_cnt;  /* refused from inside to the outside address */
	uint64_t blocked_cnt, full_cnt;
	/* Tables. */
	struct mem_nat_mapping mappings[MEM_NAT_MAPPING_CAP];
	struct mem_nat_filter filters[MEM_NAT_FILTER_CAP];
	struct mem_nat_order mapping_order, filter_order;
	struct mem_nat_chains mappings_by_inside, mappings_by_port, filters_by_remote;
};

/* All NATs of a network, by the hosts that they have on each side. */
#define MEM_NATS_BUCKETS 1024
struct mem_nats {
	struct mem_nat_host *inside[MEM_NATS_BUCKETS], *outside[MEM_NATS_BUCKETS];
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

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_DHT_LAB_H
#define WEFT_TESTS_DHT_LAB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "dht/dht.h"
#include "dht/krpc/krpc_message.h"
#include "net/mem.h"

/*
 * DHT nodes of this program and foreign ones, on a network in memory under a virtual clock. A run
 * is a function of its seed and of the calls here. Nodes are numbered from 0; each has an address
 * of the Internet in a /24 of its own. A failure that stops the test ends the program with a
 * sentence.
 */
#define DHT_LAB_WALL_US 1800000000000000ull /* the wall clock when a run begins */

struct dht_lab;
struct dht_lab_node;

/* A scripted node: what it does with a query to it. It answers by dht_lab_reply, or not at all. */
typedef void (*dht_lab_scripted_fn)(struct dht_lab_node *node, const struct krpc_message *query,
				    const struct addr *asker);

struct dht_lab_node {
	struct dht_lab *lab;
	unsigned number;
	struct addr addr;
	struct dht *dht; /* NULL: down, or a scripted node */
	struct dht_config config;
	int64_t wall_skew_us; /* its wall clock less the true one */
	dht_lab_scripted_fn script;
	struct kad_id id; /* of a scripted node */
	struct random random;
	struct packet_rx *rx;
	struct packet_tx *tx;
	uint64_t next_ns;
	unsigned save_cnt; /* times it wanted to be saved */
};

struct dht_lab {
	uint64_t seed, now_ns;
	enum dht_net net;   /* of nodes made from now on; IPv4 at first */
	struct random dice; /* for the test's own choices */
	struct random wire;
	struct mem_net *mem;
	struct dht_lab_node *nodes;
	unsigned node_cnt, node_cap;
	uint64_t query_cnt[KRPC_UNKNOWN +
			   1]; /* datagrams that arrived at nodes of this program, by method */
};

void dht_lab_init(struct dht_lab *lab, uint64_t seed, unsigned node_cap);
/* dht_lab_fini frees all. */
void dht_lab_fini(struct dht_lab *lab);

/*
 * dht_lab_add makes a node of this program, down, with small tables; config may be changed before
 * start.
 */
struct dht_lab_node *dht_lab_add(struct dht_lab *lab);
/* dht_lab_start: bootstrap is a node that runs, or NULL. */
void dht_lab_start(struct dht_lab_node *node, const struct dht_lab_node *bootstrap);
/* dht_lab_stop is kill -9. */
void dht_lab_stop(struct dht_lab_node *node);
/* dht_lab_scripted makes a scripted node that listens; its id fits its address until the test changes it. */
struct dht_lab_node *dht_lab_scripted(struct dht_lab *lab, dht_lab_scripted_fn fn);
/* dht_lab_scripted_at: the same, in another /24 of the /16 that beside is in. */
struct dht_lab_node *dht_lab_scripted_at(struct dht_lab *lab, dht_lab_scripted_fn fn,
					 const struct addr *beside);

/* dht_lab_run lets time pass until done(arg) (NULL: never) or for_ns are over; done's last word. */
bool dht_lab_run(struct dht_lab *lab, uint64_t for_ns, bool (*done)(void *arg), void *arg);
/* dht_lab_grow starts cnt nodes, one each gap_ns, all by way of the first node. */
void dht_lab_grow(struct dht_lab *lab, unsigned cnt, uint64_t gap_ns);

/*
 * dht_lab_reply sends asker what reply says; transaction, asker and id are set here.
 * dht_lab_send sends bytes as they are.
 */
void dht_lab_reply(struct dht_lab_node *node, const struct krpc_message *query,
		   const struct addr *asker, struct krpc_reply *reply);
void dht_lab_send(struct dht_lab_node *node, const struct addr *to, const void *data, size_t len);

/* The outcome of a request: pass .ctx of it to dht_lab_asker. */
struct dht_lab_result {
	bool is_ended;
	unsigned ended_cnt;
	struct dht_outcome outcome;
	unsigned item_cnt;
	uint8_t value[1024]; /* of the last item */
	size_t value_len;
	int64_t seq;
	struct addr peers[DHT_PEERS_MAX];
	unsigned peer_cnt;
	struct kad_contact nodes[2 * KAD_K_MAX];
	unsigned node_cnt;
	unsigned step_cnt;
};

struct dht_asker dht_lab_asker(struct dht_lab_result *result);
/* dht_lab_wait runs until result has ended; false: not within for_ns. */
bool dht_lab_wait(struct dht_lab *lab, struct dht_lab_result *result, uint64_t for_ns);
uint64_t dht_lab_count(const struct dht_lab_node *node, enum dht_reason reason);

#endif

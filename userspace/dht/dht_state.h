/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_DHT_STATE_H
#define WEFT_DHT_DHT_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory/arena.h"
#include "base/timer.h"
#include "codec/bencode.h"
#include "dht/dht.h"
#include "dht/save.h"
#include "dht/krpc/tokens.h"
#include "dht/lookup/transactions.h"
#include "kad/rtt.h"
#include "weft/bucket.h"

/*
 * The objects that the files of dht/ share. Each object below has one file that owns it; dht.c
 * makes them in this order and frees them in reverse.
 *
 * The answering half sends nothing by itself and asks no node:
 *	tokens	 tokens.c   write tokens, their keys
 *	proven	 validated_addrs.c  addresses that answered a query or showed a token
 *	items	 items.c    BEP-44 items kept for others
 *	swarms	 swarms.c   BEP-5 peers kept for others
 *	blobs	 bucket_blobs.c    lists of nodes by bucket, the answers to find_node
 *		 dht_answer.c   a query in, an answer into the sink
 * The asking half:
 *	transactions transactions.c  the keys of this node's transaction ids
 *	queries	 dht_query.c    this node's queries that wait for a reply
 *	lookups	 dht_lookup.c   walks over queries
 *	owns	 dht_publish.c  what is put and announced, again and again
 *	joins	 dht_join.c     bootstrap, refresh, own id and external address
 *	limiter	 rate_limiter.c  new addresses per second
 *	saving   save.c     when to write down what a warm start needs
 *		 bootstrap_ask.c what may be asked: lookups by their public names
 *	pings	 dht_ping.c     is a node there? of a caller that checks an address
 */
struct dht_blobs;
struct dht_items;
struct dht_validated;
struct dht_swarms;
struct dht_rate_limiter;
struct dht_joins;
struct dht_owns;
struct dht_queries;
struct dht_lookups;

/* One of the two networks; off: all pointers are NULL. */
struct dht_side {
	struct kad_id id; /* change it by dht_set_own_id */
	struct kad_table *table;
	struct kad_rtt rtt;
	struct dht_items *items;
	struct dht_swarms *swarms;
	struct dht_blobs *blobs;
};

struct dht {
	struct dht_params params;
	struct arena arena;
	struct dht_side sides[DHT_FAMILY_CNT];
	bool is_hidden; /* others cannot write to this node first */
	uint64_t reasons[DHT_REASON_CNT];
	uint64_t bytes_in, bytes_out;
	uint64_t wall_us, wall_at_ns;
	uint64_t blob_generation;
	struct dht_tokens tokens;
	struct dht_transactions transactions;
	struct weft_bucket unvalidated; /* answers to unvalidated addresses */
	struct dht_validated *validated;
	struct timer_wheel timers; /* of queries, lookups and owns */
	struct dht_rate_limiter *rate_limiter;
	struct dht_queries *queries;
	struct dht_lookups *lookups;
	struct dht_owns *owns;
	struct dht_joins *joins;
	struct dht_saving saving;
	struct dht_ping {
		dht_pinged_fn pinged; /* NULL: free */
		void *arg;
		pool_handle number;
		uint64_t began_ns;
	} pings[DHT_PINGS_MAX]; /* dht_ping.c */
	pool_handle ping_number;
};

static inline bool dht_side_is_on(const struct dht_side *side)
{
	return side->table != NULL;
}

/* dht_net_of: the network that addr belongs to. */
static inline enum dht_net dht_net_of(const struct addr *addr)
{
	return addr->family == ADDR_IPV4 ? DHT_NET_IPV4 : DHT_NET_IPV6;
}

/* dht_side_of: the same, or NULL when it is off. */
struct dht_side *dht_side_of(struct dht *dht, const struct addr *addr);
/* dht_set_own_id: the node is another one in net from now on; what it keeps stays. */
void dht_set_own_id(struct dht *dht, enum dht_net net, const struct kad_id *id, uint64_t now_ns);
/*
 * dht_nodes_near: the nodes that an answer names to a searcher of target in net, in compact form;
 * borrowed until the table changes. Empty when net is off.
 */
struct bencode_span dht_nodes_near(const struct dht *dht, enum dht_net net,
				   const struct kad_id *target);
/* dht_wall_us: microseconds since 1970 at now_ns. */
uint64_t dht_wall_us(const struct dht *dht, uint64_t now_ns);

#endif

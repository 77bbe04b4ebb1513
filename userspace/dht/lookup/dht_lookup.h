/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_LOOKUP_DHT_LOOKUP_H
#define WEFT_DHT_LOOKUP_DHT_LOOKUP_H

#include <stddef.h>
#include <stdint.h>

#include "dht/dht.h"
#include "dht/rate_limiter.h"
#include "dht/items/item.h"

struct arena;

/*
 * A lookup of kad/ driven over KRPC in each network that is on, both at once. It also writes to
 * the nodes that it finds.
 *
 *     dht_lookup_start -> flush: ask node after node (dht_query.c)
 *         -> a reply: items, peers, tokens, further nodes -> flush ...
 *         -> the nearest are known: put or announce with those that lack it
 *         -> ended
 *
 * An item that the asker gets was verified and lies at the target. A node that gives another one
 * lies: it counts as if it had not answered and leaves the table.
 */
struct dht_lookups;

WEFT_MUST_CHECK
int dht_lookups_new(struct arena *arena, uint32_t lookup_cap, struct dht_lookups **out_lookups);

/* Both networks, as bits per enum dht_net. */
#define DHT_NETS_ALL (1u << DHT_NET_IPV4 | 1u << DHT_NET_IPV6)

/* The question to node after node. */
enum dht_lookup_kind { DHT_FIND_NODES, DHT_FIND_ITEM, DHT_FIND_PEERS };

/* An item that so many of the nearest nodes hold already is sent to none. */
#define DHT_HOLDERS_ENOUGH 8

/* The value to write at the end: an item (FIND_ITEM) or this node (FIND_PEERS). */
struct dht_write {
	const struct dht_item *item; /* NULL: announce */
	bool has_cas;
	int64_t cas;
	bool is_refresh; /* also where it is held: its two hours begin anew */
	uint16_t port;	 /* announce; 0: the source port of this node's datagrams */
};

struct dht_lookup_params {
	enum dht_lookup_kind kind;
	enum dht_urgency urgency;
	struct kad_id target;
	unsigned nets;	    /* bit per enum dht_net; those that are off are left out */
	const uint8_t *key; /* FIND_ITEM: of a mutable one, else NULL; copied, as is salt */
	const uint8_t *salt;
	size_t salt_len;
	int64_t known_seq; /* a mutable item below it is rolled back */
	bool is_first_enough;
	bool is_survey;
	uint64_t budget_ns;	       /* 0: as long as it takes */
	const struct dht_write *write; /* borrowed until the end; NULL: nothing */
	struct dht_asker asker;
};

/*
 * dht_lookup_start: a handle, or 0 when there is no room or no node to ask. Nothing is sent or
 * reported before the next flush or expire.
 */
dht_handle dht_lookup_start(struct dht *dht, const struct dht_lookup_params *params,
			    uint64_t now_ns);
/* dht_lookup_cancel: the asker is not called any more. */
void dht_lookup_cancel(struct dht *dht, dht_handle handle);
/* dht_lookups_flush asks on, in every lookup that wants to. */
void dht_lookups_flush(struct dht *dht, uint64_t now_ns);
uint32_t dht_lookups_cnt(const struct dht_lookups *lookups);

#endif

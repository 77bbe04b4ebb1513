/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_DHT_STATE_H
#define WEFT_DHT_DHT_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "dht/dht.h"
#include "kad/rtt.h"

/*
 * What the files of dht/ share. Each object below has one file that owns
 * it; dht.c makes them in this order and frees them in reverse.
 *
 * The answering half never sends by itself and asks nobody:
 *	tokens	 tokens.c   write tokens, their keys
 *	proven	 proven.c   addresses that answered us or showed a token
 *	items	 items.c    BEP-44 items kept for others
 *	swarms	 swarms.c   BEP-5 peers kept for others
 *	blobs	 blobs.c    lists of nodes by bucket, what find_node is answered with
 *	         answer.c   a query in, an answer into the sink
 * The asking half:
 *	queries	 query.c    what of ours waits for a reply
 *	searches search.c   lookups over queries
 *	owns	 publish.c  what is put and announced, again and again
 *	joins	 join.c     bootstrap, refresh, our id and external address
 *	governor governor.c new addresses per second
 */
struct tokens;
struct proven;
struct items;
struct swarms;
struct blobs;
struct queries;
struct searches;
struct owns;
struct joins;
struct governor;

/* One of the two networks; off: table is NULL. */
struct dht_side {
	struct kad_id id; /* the table's own id as well */
	struct kad_table *table;
	struct kad_rtt rtt;
};

struct dht {
	struct dht_params params;
	struct arena arena;
	struct dht_side sides[DHT_FAMILY_CNT];
	uint64_t reasons[DHT_REASON_CNT];
	uint64_t bytes_in, bytes_out;
	uint64_t wall_us, wall_at_ns;
	struct tokens *tokens;
	struct proven *proven;
	struct items *items;
	struct swarms *swarms;
	struct blobs *blobs;
	struct queries *queries;
	struct searches *searches;
	struct owns *owns;
	struct joins *joins;
	struct governor *governor;
};

/* dht_side_of: the network that addr belongs to, or NULL when it is off. */
struct dht_side *dht_side_of(struct dht *dht, const struct addr *addr);
/* dht_wall_us: microseconds since 1970 at now_ns. */
uint64_t dht_wall_us(const struct dht *dht, uint64_t now_ns);

#endif

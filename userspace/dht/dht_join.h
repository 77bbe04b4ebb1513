/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_DHT_JOIN_H
#define WEFT_DHT_DHT_JOIN_H

#include <stddef.h>
#include <stdint.h>

#include "codec/bencode.h"
#include "dht/dht.h"

struct arena;

/*
 * Joining the two networks and staying in them. A join starts from any known node, and again
 * whenever none is left. Known are members of the table, good or bad, nodes of the last run, and
 * bootstrap addresses. This file also sends the pings and lookups that the table wants. It finds
 * the external address by vote, and the id that fits that address (BEP-42).
 */
struct dht_joins;

/* Nodes of the last life that are kept to join by, in each network. */
#define DHT_JOIN_KNOWN_MAX 512

WEFT_MUST_CHECK
int dht_joins_new(struct arena *arena, struct dht *dht, struct dht_joins **out_joins);

/* dht_join_know: contact was a good node in the last life. Above DHT_JOIN_KNOWN_MAX it is ignored. */
void dht_join_know(struct dht *dht, const struct kad_contact *contact);
/*
 * dht_join_entries passes to fn the nodes from which a lookup of target may start beside the
 * table's members. First come the known ones nearest to target, then bootstrap addresses, under
 * made-up ids and with the tag DHT_ENTRY_WITHOUT_ID.
 */
#define DHT_ENTRY_WITHOUT_ID 1
void dht_join_entries(struct dht *dht, enum dht_net net, const struct kad_id *target,
		      void (*fn)(void *ctx, const struct kad_contact *contact), void *ctx);
/*
 * dht_join_vote: the node at voter, which was asked, sees this node at external (6 or 18 bytes).
 * One vote per /16 of IPv4 or /32 of IPv6. With DHT_VOTES_ENOUGH of them and a majority of the last
 * DHT_VOTES_MAX it becomes the external address, and a new id is made where needed.
 */
#define DHT_VOTES_ENOUGH 5
#define DHT_VOTES_MAX	 16
void dht_join_vote(struct dht *dht, const struct addr *voter, const struct bencode_span *external,
		   uint64_t now_ns);
/* dht_joins_expire begins what is due; a flush sends it. dht_joins_next_ns: when it is. */
void dht_joins_expire(struct dht *dht, uint64_t now_ns);
uint64_t dht_joins_next_ns(const struct dht *dht);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SPREAD_NET_H
#define WEFT_TESTS_SPREAD_NET_H

#include "support/spread_node.h"

/*
 * A network of service relays in a mesh lab, for tests that count how far service messages go. Its
 * links take 20 to 100 ms, and lose nothing. Each node has begun a few sessions with nodes drawn by
 * the seed, so it has about twice as many neighbours. A test has more in its struct of a place, which
 * begins with struct spread_place.
 */
#define SPREAD_NET_NODES_USUAL	  200u
#define SPREAD_NET_NODES_MAX	  2000u
#define SPREAD_NET_NEIGHBOURS_MAX 64u
#define SPREAD_NET_FAR_AWAY	  255u
#define SPREAD_NET_OFFERS_MAX	  250u
#define SPREAD_NET_HOPS_MAX	  4u

struct spread_net;

/* Offers that a node keeps, by numbers, as what it says to neighbours that lack them. */
struct spread_shelf {
	bool held[SPREAD_NET_OFFERS_MAX];
	uint8_t hops[SPREAD_NET_OFFERS_MAX];	 /* with which they go on */
	uint64_t holders[SPREAD_NET_OFFERS_MAX]; /* a bit for each neighbour that has it */
	uint8_t changes[SPREAD_NET_OFFERS_MAX * 8];
	unsigned change_cnt;
	bool is_lying; /* it says that it keeps all, and lacks none */
};

struct spread_place {
	struct spread_node node; /* first */
	struct spread_net *net;
	struct spread_shelf shelf;
	unsigned neighbours[SPREAD_NET_NEIGHBOURS_MAX], neighbour_cnt;
	uint8_t hops; /* as spread_net_hops left it */
	uint8_t part; /* nodes of different parts do not meet */
};

struct spread_net {
	struct mesh_lab lab;
	struct random dice;
	struct spread_config config;
	struct spread_handler handler; /* ctx is the place */
	/* Sends an offer of place, by offers_spread_give; NULL: nodes say nothing of what they keep. */
	void (*give)(struct spread_place *place, const uint8_t *peer, uint32_t number);
	unsigned offer_cnt; /* numbers below it are offers */
	size_t place_len;
	uint8_t *places;
	unsigned cnt;
};
/*
 * spread_net_begin makes a network by the seed of the run. The caller has set handler, place_len and
 * give. node_cnt 0: as many as the environment has in SPREAD_NODES, or NODES_USUAL.
 */
struct spread_net_params {
	unsigned node_cnt;
	unsigned dials;		  /* sessions that each node begins */
	unsigned parts;		  /* 0: one */
	uint32_t relayed_per_min; /* 0: no limit that a test meets */
};
void spread_net_begin(struct spread_net *net, const struct spread_net_params *params);
void spread_net_end(struct spread_net *net);
static inline struct spread_place *spread_net_place(const struct spread_net *net, unsigned number)
{
	return (struct spread_place *)(void *)(net->places + number * net->place_len);
}
static inline unsigned spread_net_number(const struct spread_net *net, const void *place)
{
	return (unsigned)((size_t)((const uint8_t *)place - net->places) / net->place_len);
}
/* spread_net_meet makes a session, unless there is one, or the two are of different parts. */
void spread_net_meet(struct spread_net *net, unsigned from, unsigned to);
/* spread_net_tell: as node/ does where a session is there, on both sides. */
void spread_net_tell(struct spread_net *net, unsigned from, unsigned to);
/*
 * spread_net_hold: place keeps an offer, which goes on with hops. spread_net_nearer: it came again.
 * The first four bytes of an announce's payload are its number, big-endian.
 */
void spread_net_hold(struct spread_place *place, uint32_t number, uint8_t hops);
void spread_net_nearer(struct spread_place *place, uint32_t number, uint8_t hops,
		       const uint8_t *peer);
/* spread_net_any: a node, each as likely as another. */
unsigned spread_net_any(struct spread_net *net);
/* spread_net_wake: the test called something of place outside of its turn. */
void spread_net_wake(struct spread_place *place);
/* spread_net_hops counts the hops of all nodes from one, by the shortest way over nodes that are up. */
void spread_net_hops(struct spread_net *net, unsigned from);

/* Messages sent so far, whether or not they were taken; told: those that say what is kept. */
struct spread_traffic {
	uint64_t cnt, len, told_cnt, told_len;
};
struct spread_traffic spread_net_traffic(const struct spread_net *net);

#endif

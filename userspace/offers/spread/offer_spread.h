/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_SPREAD_OFFER_SPREAD_H
#define WEFT_OFFERS_SPREAD_OFFER_SPREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fair/fair.h"
#include "base/figure.h"
#include "mesh/seam.h"
#include "mesh/seam_neighbours.h"
#include "offers/message/stock_message.h"
#include "offers/message/service_message.h"

struct random;
struct service_response;
struct store;
struct timer_wheel;

/*
 * Service messages between neighbours (message 310, docs/wire/offers.md). Each message goes on to
 * a few neighbours that are service relays, for a few hops. No node repeats one that it knows.
 *
 *	offer_spread.c	life, and messages of this node
 *	spread_in.c	a message of a neighbour: form, hops, time, rates, then its handler
 *	spread_rates.c	how many messages a neighbour may send
 *	spread_out.c	messages on their way to neighbours
 *	spread_query.c	tokens of queries, by which responses find their way back
 *	spread_endorse.c	endorsements (message 312), which go as announces do
 *	spread_route.c	ways to providers, by which Reserves and Cancels go
 *	spread_wait.c	those that wait for a way
 *	spread_keep.c	both of these on the disk
 *	spread_exchange.c	what neighbours lack of what this node keeps (message 313)
 *
 * An announce, update or revoke goes on when the handler says that it is new. A query goes on when
 * its token is new. A response goes back along the way that its query came, from node to node, so
 * no node on the way learns the asker. A Reserve, and a Cancel of its consumer, goes to the neighbour
 * that brought the provider's announce, and so on, to the provider. Where no session leads on, the
 * handler keeps it for the provider, or it is lost. What is kept goes on when a way appears: with an
 * announce, or a session. Ways and what waits for one outlive a restart.
 *
 * A flood of eight neighbours a node leaves some out, and a node that was away missed it. So service
 * relays say to each other what they keep, and send what the other lacks. It goes as far as it would
 * have gone in the flood, and no farther.
 *
 * Tables, and what fills them:
 *
 *	tokens	token_cap, 60 s	queries of neighbours, by fair shares of networks and keys
 *	sends	send_cap, 10 s	whatever is forwarded, in order; SPREAD_SENDS_PER_PEER to a neighbour
 *	routes	route_cap, for the life of offers: providers whose announces neighbours brought, by fair
 *		shares of those; the youngest of the largest account goes
 *	waits	SPREAD_WAITS_MAX, SPREAD_WAIT_LIFE_S: what is kept for providers, likewise
 *	rates	by neighbour and service, and (Reserves) by provider and by network; the one counted
 *		longest ago goes
 *	told	SPREAD_TOLD_CAP neighbours, by fair shares of networks and keys; one that lost its row
 *		hears of all that is kept again
 *
 * Home worker; nothing blocks. The handler is never called inside the calls of its owner.
 */
struct offer_spread;

#define SPREAD_TOKEN_LEN      16u /* as SERVICE_QUERY_TOKEN_LEN */
#define SPREAD_TOKEN_LIFE_NS  60000000000ull
#define SPREAD_FAN_OUT_MAX    64u
#define SPREAD_SENDS_PER_PEER 256u /* waiting and on their way; */
#define SPREAD_SENDS_AT_ONCE  16u  /* so many of them are on their way */
/* Responses that one query gets at each node on their way; more are lost. */
#define SPREAD_RESPONSES_MAX 1024u
/* A forwarded query waits up to so long, at random: its hops cannot be told from its time. */
#define SPREAD_JITTER_NS 50000000ull
/* A Reserve goes this far at most, whatever its sender allows: a way may be longer than a flood. */
#define SPREAD_WALK_HOPS_MAX 16u
#define SPREAD_WAITS_MAX     512u
#define SPREAD_WAIT_LIFE_S   (24u * 3600)
/* Reserves of one provider from a relay, as so many sessions of consumers; and from a network likewise. */
#define SPREAD_RELAY_RESERVES 10u
/* Neighbours hear so long after a change what is kept here: changes of a second go together. */
#define SPREAD_TELL_NS	     1000000000ull
#define SPREAD_TOLD_CAP	     1024u
#define SPREAD_TOLD_PER_MIN  600u	     /* messages 313 of one neighbour */
#define SPREAD_TELL_AGAIN_NS 600000000000ull /* a neighbour that comes back hears all again */

struct spread_config {
	uint32_t hops_max;  /* a message goes this far at most, 1 to 255 */
	uint32_t fan_out;   /* to so many neighbours from each node, 1 to SPREAD_FAN_OUT_MAX */
	uint32_t token_cap; /* queries of others whose responses may still come */
	uint32_t send_cap;  /* messages on their way */
	uint32_t announces_per_min; /* of one provider, from one neighbour, for one service */
	uint32_t relayed_per_min;   /* announces, and queries, of all services from a neighbour */
	uint32_t queries_per_min;   /* from a neighbour that is none, for one service */
	uint32_t reserves_per_min;  /* likewise, Cancels among them */
	uint32_t route_cap;	    /* providers to which a way is known */
};
void offers_spread_config_defaults(struct spread_config *config);
/* spread_footprint: bytes that spread_new lays out, touched as they are used. */
size_t offers_spread_footprint(const struct spread_config *config);

enum spread_verdict {
	SPREAD_NEW,	/* it goes on */
	SPREAD_KNOWN,	/* it was here */
	SPREAD_REFUSED, /* it goes nowhere; *out_why, static, says why */
};

/* A message that came; all of it is borrowed for the call that it is given to. */
struct spread_message {
	const struct service_message *parsed; /* of bytes */
	const uint8_t *bytes;
	size_t len;
	const uint8_t *peer; /* the key of the neighbour that sent it */
	uint64_t now_ns;
};

/* An endorsement that came in a message 312; borrowed for the call. */
struct spread_endorsement {
	const uint8_t *bytes;
	size_t len;
	const uint8_t *peer; /* the key of the neighbour that sent it */
	uint64_t now_ns;
};

/* How far a neighbour has heard what this node keeps; what it means is the stock's matter. */
struct spread_cursor {
	uint64_t change;
	uint32_t place;
};
enum spread_listing {
	SPREAD_LISTED,
	SPREAD_LISTED_PART, /* nothing so far; there may be more */
	SPREAD_LISTED_ALL,
};

/*
 * What this node keeps, for neighbours that lack it.
 *
 * next: the offer behind io_cursor that peer may lack and that may go on to it. A zeroed cursor is
 *     before all of them.
 * lacks: SPREAD_NEW, this node wants it; SPREAD_KNOWN, it does not; SPREAD_REFUSED: it has no room.
 * give: the messages of an offer go to peer, by offers_spread_give.
 * ref: of the offer that message is a word on; false: it is malformed.
 * passed: peer has what was kept last, as it brought it.
 */
struct spread_stock {
	enum spread_listing (*next)(void *ctx, const uint8_t *peer, struct spread_cursor *io_cursor,
				    struct stock_entry *out_entry);
	enum spread_verdict (*lacks)(void *ctx, const uint8_t *peer,
				     const struct stock_entry *entry);
	void (*give)(void *ctx, const uint8_t *peer, const uint8_t ref[static STOCK_REF_LEN],
		     uint64_t now_ns);
	bool (*ref)(void *ctx, const struct service_message *message,
		    uint8_t out_ref[static STOCK_REF_LEN]);
	void (*passed)(void *ctx, const uint8_t *peer);
};

/* Where messages of a service go first. Within a rank each neighbour is as likely as another. */
enum spread_rank {
	SPREAD_RANK_NEVER,
	SPREAD_RANK_LAST,
	SPREAD_RANK_USUAL,
	SPREAD_RANK_FIRST,
	SPREAD_RANK_CNT,
};

/*
 * What a message means is its handler's matter.
 *
 * keep: an announce, update or revoke. Its signature was not looked at.
 * answer: what this node has for a query; spread_respond may be called from inside.
 * hear: a response to a query of this node. Of what it holds the form alone was looked at.
 * is_kept: a message that keep knows is the one that is kept, byte for byte but for its hop count. So its
 *     sender has what the provider signed. NULL: that is not asked.
 * endorse: an endorsement, whose form alone was looked at. NULL: all are refused.
  * rank: of a neighbour that is a service relay, for messages of service. NULL: all are usual.
 * rate: how many messages of such a type and service a session may send in a minute; 0, or NULL: as
 *     the configuration says.
 * reserve: a Reserve, or a Cancel of its consumer, for this node as the provider; what is sealed was
 *     not looked at. NULL: this node has no offers.
 * strand: one for another provider, to which no session leads. NULL, or SPREAD_REFUSED: it is lost.
 * stock: NULL: nothing is said to neighbours of what is kept, and nothing is asked of them.
 */
struct spread_handler {
	enum spread_verdict (*keep)(void *ctx, const struct spread_message *message,
				    const char **out_why);
	bool (*is_kept)(void *ctx, const struct spread_message *message);
	void (*answer)(void *ctx, const struct spread_message *query, const uint8_t *token);
	void (*hear)(void *ctx, const struct spread_message *message,
		     const struct service_response *response);
	enum spread_verdict (*endorse)(void *ctx, const struct spread_endorsement *endorsement,
				       const char **out_why);
	enum spread_rank (*rank)(void *ctx, uint32_t service, const uint8_t *peer);
	uint32_t (*rate)(void *ctx, const struct service_message *message);
	enum spread_verdict (*reserve)(void *ctx, const struct spread_message *message,
				       const char **out_why);
	enum spread_verdict (*strand)(void *ctx, const struct spread_message *message,
				      const char **out_why);
	const struct spread_stock *stock;
	void *ctx;
};

/* All borrowed until spread_free, but config and the seams, which are copied. */
struct spread_params {
	struct spread_config config;
	struct spread_handler handler;
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN]; /* of this node as a provider */
	struct mesh_seam mesh;
	const struct mesh_neighbour_ops *neighbours;
	struct store *store; /* NULL: ways are not known after a restart */
	struct timer_wheel *timers;
	struct random *random;
	uint64_t (*wall_s)(void *ctx);
	void *ctx;
	uint64_t now_ns;
};
/*
 * spread_new: 0, -ENOMEM, WEFT_EFULL, of mesh_ops.handle or of the store. spread_free takes NULL, and
 * writes what waits for the disk.
 */
WEFT_MUST_CHECK
int offers_spread_new(const struct spread_params *params, struct offer_spread **out_spread);
void offers_spread_free(struct offer_spread *spread);

/*
 * spread_announce sends a message of this node, or one that it keeps, to fan_out neighbours.
 * spread_send sends it to one, if that is of any rank. Returns to how many it is on its way.
 */
unsigned offers_spread_announce(struct offer_spread *spread, const uint8_t *bytes, size_t len,
				uint64_t now_ns);
unsigned offers_spread_send(struct offer_spread *spread, const uint8_t key[static MESH_KEY_LEN],
			    const uint8_t *bytes, size_t len, uint64_t now_ns);
/*
 * spread_endorse sends an endorsement of service to the neighbour of key, or with NULL to fan_out
 * neighbours. Returns to how many it is on its way.
 */
unsigned offers_spread_endorse(struct offer_spread *spread, const uint8_t *key, uint32_t service,
			       const struct spread_endorsement *endorsement);
/*
 * spread_query sends a query of this node. Responses come to hear until SPREAD_TOKEN_LIFE_NS from
 * now. Returns to how many neighbours it is on its way, or WEFT_EMALFORMED or WEFT_EFULL (too many
 * queries of this node). spread_query_end: no more of it is wanted.
 */
WEFT_MUST_CHECK
int offers_spread_query(struct offer_spread *spread, const uint8_t *bytes, size_t len,
			uint64_t now_ns);
void offers_spread_query_end(struct offer_spread *spread,
			     const uint8_t token[static SPREAD_TOKEN_LEN]);
/* spread_respond sends a response the way that the query of token came; false: there is none. */
bool offers_spread_respond(struct offer_spread *spread,
			   const uint8_t token[static SPREAD_TOKEN_LEN], const uint8_t *bytes,
			   size_t len, uint64_t now_ns);

/*
 * spread_walk sends a Reserve of this node, or a Cancel of it. It goes to the neighbour that leads to
 * the provider, else to any that may know more. It goes to avoid (NULL: none) only where no other
 * does. false: there is none, or too much is on its way.
 * spread_next: the neighbour that leads to the provider of address, and is connected; NULL: none.
 * spread_meet: a neighbour is there, so it is its own way.
 */
struct spread_walk {
	const uint8_t *bytes;
	size_t len;
	const uint8_t *avoid; /* the key of a neighbour */
};
bool offers_spread_walk(struct offer_spread *spread, const struct spread_walk *walk,
			uint64_t now_ns);
const uint8_t *offers_spread_next(struct offer_spread *spread, const uint8_t *address,
				  const uint8_t *except);
void offers_spread_meet(struct offer_spread *spread, const uint8_t key[static MESH_KEY_LEN],
			uint64_t now_ns);

/*
 * spread_changed: there is something new in the stock. spread_tell: a neighbour is there. spread_give
 * sends one a message that it lacks, with a hop count, whatever its rank.
 */
void offers_spread_changed(struct offer_spread *spread, uint64_t now_ns);
void offers_spread_tell(struct offer_spread *spread, const uint8_t key[static MESH_KEY_LEN],
			uint64_t now_ns);
struct spread_gift {
	const uint8_t *bytes;
	size_t len;
	uint8_t hop_cnt;
};
void offers_spread_give(struct offer_spread *spread, const uint8_t key[static MESH_KEY_LEN],
			const struct spread_gift *gift, uint64_t now_ns);

struct spread_stats {
#define FIGURE FIGURE_FIELD
#include "offers/spread/offers_spread_counters.def"
};
void offers_spread_stats(const struct offer_spread *spread, struct spread_stats *out_stats);
/* spread_view: tokens, by the class of the neighbours that asked. */
void offers_spread_view(const struct offer_spread *spread, struct fair_view *out);

#endif

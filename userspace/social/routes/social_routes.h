/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_ROUTES_SOCIAL_ROUTES_H
#define WEFT_SOCIAL_ROUTES_SOCIAL_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/figure.h"
#include "codec/peer_addr.h"
#include "social/ground/social_ground.h"
#include "social/object/social_address.h"

/*
 * Where the nodes of people are: those that this node's people follow, those that follow them, and the
 * anchors of both. A route has what sessions showed, and the address record that its node signed. It
 * is kept on the disk. So after a restart a person is dialled where they were, and nothing is looked
 * up for that.
 *
 * All parts of the social layer ask nodes by social_ask. A key with a route, and one that is asked by
 * it, is told to no locator of the mesh (mesh/session/discovery.h).
 *
 * Tables, and what fills them:
 *
 *	follow	  SOCIAL_ROUTES_FOLLOW_CAP: chosen by the people of this node. A full tier forgets
 *		  the one heard of longest ago.
 *	anchor	  SOCIAL_ROUTES_ANCHOR_CAP: anchors of this node, and up to SOCIAL_ANCHORS_MAX that each
 *		  person followed names. A person that names more loses those named first.
 *	audience  SOCIAL_ROUTES_AUDIENCE_CAP: any node that says that it follows. Shares by network and key
 *		  (base/fair). An honest one is then dialled where the mesh knows it, if it does.
 *
 * Home worker only; nothing blocks.
 */
struct social_routes;

#define SOCIAL_ROUTES_FOLLOW_CAP   2048u
#define SOCIAL_ROUTES_ANCHOR_CAP   2048u
#define SOCIAL_ROUTES_AUDIENCE_CAP 1024u
#define SOCIAL_ANCHORS_MAX	   8u
/* An address record of a clock that is ahead by more than this is refused. */
#define SOCIAL_ROUTE_AHEAD_MS 300000u

/* What a node is to the people of this one. */
enum social_tier {
	SOCIAL_TIER_NONE,
	SOCIAL_TIER_AUDIENCE, /* it says that it follows one of them: any node can */
	SOCIAL_TIER_ANCHOR,   /* an anchor of this node, or of a person that they follow */
	SOCIAL_TIER_FOLLOW,
	SOCIAL_TIER_CNT,
};
/* social_tier_word: "follow", for people and programs; stable. */
const char *social_tier_word(enum social_tier tier);

/* All borrowed until social_routes_close. */
struct social_routes_params {
	const struct social_ground *ground;
	/* What key is now. Not asked inside calls of this header that name a tier. */
	enum social_tier (*tier_of)(void *ctx, const uint8_t *key);
	void *ctx;
	uint64_t now_ns;
};
/*
 * social_routes_open reads what is durable: 0, -ENOMEM, or a code of the store. social_routes_stop
 * writes what waits; social_routes_close frees. Both take NULL.
 */
WEFT_MUST_CHECK
int social_routes_open(const struct social_routes_params *params,
		       struct social_routes **out_routes);
void social_routes_stop(struct social_routes *routes);
void social_routes_close(struct social_routes *routes);
size_t social_routes_footprint(void);

/* social_routes_session_up: a session with key leads somewhere now. */
void social_routes_session_up(struct social_routes *routes, const uint8_t *key, uint64_t now_ns);

/* What is known of where a node is. */
struct social_route {
	uint8_t key[NODE_KEY_LEN];
	enum social_tier tier;
	/* Where a dial of this node reached it first, then what it said; told_cnt: of these, at the end. */
	struct peer_places places;
	unsigned told_cnt;
	uint64_t seen_ms;		     /* a session was there; 0: never */
	uint64_t record_ms;		     /* time of its address record; 0: there is none */
	uint32_t caps;			     /* that the record states */
	uint8_t introduced_by[NODE_KEY_LEN]; /* the node or person that named it; zeros: none */
	bool is_introduced;
};
/* social_route_look: false: there is none. */
bool social_route_look(const struct social_routes *routes, const uint8_t *key,
		       struct social_route *out_route);
bool social_route_is_kept(const struct social_routes *routes, const uint8_t *key);
/* social_route_record: the bytes of its address record; NULL: there is none. Borrowed for the turn. */
const uint8_t *social_route_record(const struct social_routes *routes, const uint8_t *key,
				   size_t *out_len);
void social_routes_each(const struct social_routes *routes,
			void (*fn)(void *arg, const struct social_route *route), void *arg);

/* A node that others tell of, and where they say it is. */
struct social_route_hint {
	const uint8_t *key;
	enum social_tier tier;
	const struct peer_places *places; /* may be NULL */
	const uint8_t *introduced_by;	  /* NULL: a person at this node */
	const struct addr
		*teller; /* of SOCIAL_TIER_AUDIENCE: whose share it takes; NULL: unknown */
};
/* social_route_note: 0, or WEFT_EFULL where its tier has no place for it. */
WEFT_MUST_CHECK
int social_route_note(struct social_routes *routes, const struct social_route_hint *hint,
		      uint64_t now_ns);
/*
 * social_route_note_anchor: key is an anchor, and may be there (places NULL: as is known). A person that is
 * followed may be one, too, and keeps the route of one.
 */
void social_route_note_anchor(struct social_routes *routes, const uint8_t *key,
			      const struct peer_places *places, uint64_t now_ns);
/* An address record, borrowed for the call. */
struct social_record {
	const void *bytes;
	size_t len;
	const uint8_t *introduced_by; /* the node that gave it; NULL: its own */
};
/*
 * social_route_take_record keeps an address record, if its node has a tier. 0, WEFT_EEXISTS (this one is kept), or why not: WEFT_ESTALE (a later one is),
 * WEFT_EREFUSED (from the future), WEFT_EABSENT (its node has no tier), WEFT_EFULL, or as
 * social_address_read. out_address has what it says, with 0, EEXISTS and ESTALE.
 */
WEFT_MUST_CHECK
int social_route_take_record(struct social_routes *routes, const struct social_record *record,
			     struct social_address *out_address, uint64_t now_ns);
/* social_route_drop: the people of this node have nothing to do with key any more. */
void social_route_drop(struct social_routes *routes, const uint8_t *key, uint64_t now_ns);
/* social_routes_flush: changes are with the store now, before what is submitted later. */
void social_routes_flush(struct social_routes *routes);

/*
 * social_ask asks a node as mesh_ops.ask does, and tells its key to no locator. Where ask names no
 * address it is dialled by its route. It does not go beyond what is known.
 */
WEFT_MUST_CHECK
int social_ask(struct social_routes *routes, const struct mesh_ask *ask, uint64_t now_ns,
	       struct mesh_request **out_request);
/* social_route_peer: key as a peer to be asked or dialled; *places has what it borrows. */
struct mesh_peer social_route_peer(const struct social_routes *routes, const uint8_t *key,
				   struct peer_places *places);

struct social_routes_stats {
#define FIGURE FIGURE_FIELD
#include "social/routes/social_routes_counters.def"
};
void social_routes_stats(const struct social_routes *routes, struct social_routes_stats *out_stats);
/* social_routes_view: the routes of the audience, which unknown peers fill. */
struct fair_view;
void social_routes_view(const struct social_routes *routes, struct fair_view *out_view);

#endif

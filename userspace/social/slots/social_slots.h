/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_SLOTS_SOCIAL_SLOTS_H
#define WEFT_SOCIAL_SLOTS_SOCIAL_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/fair/fair.h"
#include "base/figure.h"
#include "codec/peer_addr.h"
#include "mesh/seam.h"
#include "weft/err.h"

struct social_ground;

/*
 * Mesh slots: the sessions that a node keeps so that people are found without any DHT
 * (docs/wire/social.md, docs/decisions/0074). A slot is a place for one session with another
 * node, and both sides have one.
 *
 *	sources, N2 -> growth -> locate -> 630 -> 631: a slot on both sides
 *					      -> 632: other nodes to ask, the chain is bounded
 *	slot -> 633 once, 634 each two minutes -> N2 by reporter, N3 as digests
 *	find -> own tables -> 635 to the nodes of slots -> 636
 *
 *	social_slots.c	life, time, figures
 *	slot_table.c	which nodes have a slot, and of which class
 *	slot_talk.c	630 to 632, both sides
 *	slot_share.c	N1: what this node says of itself
 *	slot_exchange.c	633 and 634, both sides
 *	slot_layers.c	N2 and N3: what others said
 *	slot_growth.c	which node is asked for a slot next
 *	slot_known.c	nodes to begin with, by tiers; what outlives a restart
 *	slot_worm.c	635 and 636
 *	slot_sessions.c	sessions that a person uses now, beside the slots
 *
 * N1 is the nodes of the slots and the contacts that are public: public follows and their
 * audience. N2 is N1 of the nodes of slots; the reporter knows where its nodes are. N3 is what
 * the digests of reporters stand for. It can be searched, and neither listed nor shared on.
 *
 * Tables, and what fills them:
 *
 *	slots		101, of a light node 15: any peer. All but the preferred ones are fair shares
 *			of class, network and key; those that this node asked for count as known.
 *	N2		SLOT_IDS_MAX for each slot: its peer alone. No reporter has the room of another.
 *	N3		SLOT_DIGEST_LEN_MAX for each slot, likewise
 *	known		a cap for each tier. Unknown peers fill two tiers, in fair shares.
 *	searches	SLOTS_SEARCH_CAP that peers asked for, in fair shares of network and key
 *
 * Home worker only; nothing blocks. Nothing here looks a key up: ask and locate are the only
 * ways to a node without a session.
 */
struct slots;

enum slot_class { SLOT_PREFERRED, SLOT_LOCAL, SLOT_WIDE, SLOT_CLASS_CNT };

/* Why a node is known. Each tier has a cap of its own, so no tier costs another one its rows. */
enum slot_tier {
	SLOT_TIER_FORMER, /* it had a slot here: kept over a restart */
	SLOT_TIER_ANCHOR, /* of bootstrap.json, of this node or of a person followed */
	SLOT_TIER_FOLLOW, /* a public contact */
	SLOT_TIER_NEARBY, /* on the LAN */
	SLOT_TIER_PULLED, /* it pulled posts from here */
	SLOT_TIER_CNT,
};
const char *social_slot_class_name(enum slot_class class);
const char *social_slot_tier_name(enum slot_tier tier);

#define SLOTS_MAX		 101u
#define SLOTS_LIGHT_MAX		 15u
#define SLOTS_SESSIONS_MAX	 20u
#define SLOTS_LIGHT_SESSIONS_MAX 5u
#define SLOTS_DIFF_NS		 120000000000ull
#define SLOTS_REPORT_CAP	 (SLOTS_MAX * 256u) /* nodes of N2 */

struct slots_config {
	bool is_light;	      /* 15 slots, 5 sessions */
	uint32_t session_cap; /* of the mesh: slots take at most a half of it */
};

/* A node that is to be found. Only addrs, what is kept here, and reporter are asked: no lookup. */
struct slots_locate {
	const uint8_t *key;
	const uint8_t *reporter; /* it said that it has a session with key; NULL: none did */
	const struct addr *addrs;
	unsigned addr_cnt;
	/* called once, also within the call; places: where it may be, borrowed */
	void (*done)(void *arg, uint64_t ticket, const struct peer_places *places, uint64_t now_ns);
	void *arg;
	uint64_t ticket;
};
/* What the slots take from other parts of social/. */
struct slots_links {
	/* As mesh_ops.ask, and no locator of the mesh hears of the key. */
	int (*ask)(void *ctx, const struct mesh_ask *ask, uint64_t now_ns,
		   struct mesh_request **out_request);
	int (*locate)(void *ctx, const struct slots_locate *locate, uint64_t now_ns);
	/* forget: done of no locate is called any more, the slots end. NULL: it is done at once. */
	void (*forget)(void *ctx);
	/* sources gives nodes to begin with; contacts the public ones alone. Both call note for each. */
	void (*sources)(void *ctx, void (*note)(void *arg, const uint8_t *key, enum slot_tier tier),
			void *arg);
	void (*contacts)(void *ctx, void (*note)(void *arg, const uint8_t *key), void *arg);
	/* A preferred slot is for it, if it sees this node likewise. */
	bool (*is_friend)(void *ctx, const uint8_t *key);
	bool (*is_blocked)(void *ctx, const uint8_t *key);
	bool (*is_anchor)(void *ctx); /* this node is one */
	/* The newest address record of key, as it signed it; returns its length, 0: none. */
	size_t (*record)(void *ctx, const uint8_t *key, uint8_t *out, size_t cap);
	/* from: the node that gave it. */
	void (*heard_record)(void *ctx, const uint8_t *from, const uint8_t *record, size_t len,
			     uint64_t now_ns);
	bool (*holds)(void *ctx, const uint8_t *post); /* a public post, for any peer to see */
	/* A person waits for what key sends: it is dialled if need be, and its session is wanted. May be NULL. */
	void (*hold)(void *ctx, const uint8_t *key, uint64_t now_ns);
	void *ctx;
};

struct slots_params {
	const struct social_ground *ground; /* borrowed until social_slots_close */
	struct slots_config config;
	struct slots_links links;
	uint64_t now_ns;
};
void social_slots_config_defaults(struct slots_config *config);
/* social_slots_footprint: bytes that social_slots_open lays out, touched as they are used. */
size_t social_slots_footprint(const struct slots_config *config);
/*
 * social_slots_open reads the nodes of former slots: 0 or a negative code. stop, before the mesh is
 * freed, ends all that is under way. close frees. Both take NULL.
 */
WEFT_MUST_CHECK
int social_slots_open(const struct slots_params *params, struct slots **out_slots);
void social_slots_stop(struct slots *slots);
void social_slots_close(struct slots *slots);
/* social_slots_session: a session with key is there, or has ended. */
void social_slots_session(struct slots *slots, const uint8_t key[static MESH_KEY_LEN], bool is_up,
			  uint64_t now_ns);
/* social_slots_note: a node to begin with. A tier that is full keeps what it has, by fair shares. */
void social_slots_note(struct slots *slots, const uint8_t key[static MESH_KEY_LEN],
		       enum slot_tier tier, uint64_t now_ns);
/* social_slots_note_at: likewise, of a node that may be at addrs; at most SLOTS_NOTE_ADDRS count. */
#define SLOTS_NOTE_ADDRS 4u
void social_slots_note_at(struct slots *slots, const uint8_t key[static MESH_KEY_LEN],
			  enum slot_tier tier, const struct peer_places *places, uint64_t now_ns);
/* social_slots_changed: contacts or blocks are others now. */
void social_slots_changed(struct slots *slots, uint64_t now_ns);

/* --- sessions that a person uses: D8 --- */

/*
 * social_slots_use: a person waits for what key sends (a direct message, a group). Its session is held
 * for SLOTS_USE_NS from the last use: it is made if it is not there, and made again if it ends. A further
 * one takes the place of the idlest. Returns whether one made room.
 */
#define SLOTS_USE_NS 300000000000ull
bool social_slots_use(struct slots *slots, const uint8_t key[static MESH_KEY_LEN], uint64_t now_ns);
/* social_slots_is_used: key has one of these places. */
bool social_slots_is_used(const struct slots *slots, const uint8_t key[static MESH_KEY_LEN],
			  uint64_t now_ns);

/* --- search: D63 --- */

struct slots_finding {
	const uint8_t *node;   /* that has the post, or knows the person; NULL: none was found */
	const uint8_t *record; /* an address record of the person or the holder, or NULL */
	size_t record_len;
	unsigned hops;	       /* 0: from the own tables */
	unsigned question_cnt; /* asked by this node */
};
struct slots_find {
	bool is_post;
	const uint8_t *id; /* of the post, or the person's key */
	void (*done)(void *arg, int err, const struct slots_finding *finding, uint64_t now_ns);
	void *arg;
};
/*
 * social_slots_find asks the nodes of the slots, and they theirs: three hops, 101 questions for each.
 * 0: done follows once, also within the call, with 0 or WEFT_EABSENT. WEFT_EFULL: too many searches are
 * under way.
 */
WEFT_MUST_CHECK
int social_slots_find(struct slots *slots, const struct slots_find *find, uint64_t now_ns);
/*
 * social_slots_tell: the address record of a node of N1, for a node with a slot here that asks where it is.
 * Returns its length; 0: asker has no slot, or there is none.
 */
size_t social_slots_tell(struct slots *slots, const uint8_t asker[static MESH_KEY_LEN],
			 const uint8_t key[static MESH_KEY_LEN], uint8_t *out, size_t cap);
/* social_slots_reporter: a node with a slot that reported key, or NULL. It knows where key is. */
const uint8_t *social_slots_reporter(const struct slots *slots,
				     const uint8_t key[static MESH_KEY_LEN]);

/* --- figures --- */

struct slot_info {
	uint8_t key[MESH_KEY_LEN];
	enum slot_class class;
	bool is_own; /* this node asked for it */
	bool is_anchor;
	uint32_t reported_cnt; /* nodes of its N1 */
	uint64_t age_ns;
};
/* social_slots_each: fn ends the walk with false, and calls nothing of the slots. */
void social_slots_each(const struct slots *slots, uint64_t now_ns,
		       bool (*fn)(void *arg, const struct slot_info *info), void *arg);
bool social_slots_has(const struct slots *slots, const uint8_t key[static MESH_KEY_LEN]);
/*
 * social_slots_suggest gives nodes that may have a slot or be followed. Those to begin with come first,
 * with their tier and 0 reporters. Those of N2 that two nodes or more name come next.
 */
struct slot_suggestion {
	const uint8_t *key;
	enum slot_tier tier; /* SLOT_TIER_CNT: of N2 */
	unsigned reporter_cnt;
};
void social_slots_suggest(const struct slots *slots,
			  void (*fn)(void *arg, const struct slot_suggestion *suggestion),
			  void *arg);
/* social_slots_cap: how many slots of class there may be. */
unsigned social_slots_cap(const struct slots *slots, enum slot_class class);
/* social_slots_use_cap: how many sessions that a person uses. */
unsigned social_slots_use_cap(const struct slots *slots);
struct slots_stats {
#define FIGURE FIGURE_FIELD
#include "social/slots/social_slots_counters.def"
};
void social_slots_stats(const struct slots *slots, struct slots_stats *out_stats);
/* social_slots_view: the slots that are not preferred; searches: those that peers asked for. */
void social_slots_view(const struct slots *slots, struct fair_view *out);
void social_slots_searches(const struct slots *slots, struct fair_view *out);
void social_slots_known_view(const struct slots *slots, enum slot_tier tier, struct fair_view *out);

#endif

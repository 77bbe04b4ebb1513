/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_ANCHORS_SOCIAL_ANCHORS_H
#define WEFT_SOCIAL_ANCHORS_SOCIAL_ANCHORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fair/fair.h"
#include "base/figure.h"
#include "social/routes/social_routes.h"

/*
 * Anchors: nodes that are always reachable, and know where the nodes of their people are
 * (docs/wire/social.md).
 *
 *	as an anchor	takes CHECK_IN (625) and answers ANCHOR_QUERY (620): check_ins.c
 *	for its person	has the anchors that its person's profiles name, and the last resort: own_anchors.c.
 *			It checks in with each of them each half hour, and when its addresses change.
 *			One that took none gets one when a session with it begins.
 *
 * A node is an anchor where third nodes wrote to an address of its own (reachability), or where its
 * operator says so. It announces that by MESH_CAP_ANCHOR.
 *
 * A check-in is the address record that the asker signed. It is kept in memory alone, for keep_s. The
 * answer is that record and its age, for any peer that names the key, and nothing else. A node that is
 * no anchor answers for keys with a route here, to peers that may_tell lets. A neighbour of the mesh slots
 * is told where the nodes of this node's list are.
 *
 * Tables, and what fills them:
 *
 *	check-ins	ANCHOR_CHECK_INS_CAP: any peer, one each. Shares by network, address and key. An
 *			honest one that is refused is asked to come back, and is found by its other anchors.
 *	own anchors	SOCIAL_OWN_ANCHORS_MAX: the person at this node, by profiles
 *
 * Home worker only; nothing blocks.
 */
struct social_anchors;

#define SOCIAL_OWN_ANCHORS_MAX	 128u /* what 16 personas may name, with 8 each */
#define ANCHOR_CHECK_INS_CAP	 4096u
#define ANCHOR_CHECK_IN_NS	 1800000000000ull
#define ANCHOR_QUERIES_PER_MIN	 60u
#define ANCHOR_CHECK_INS_PER_MIN 12u

enum anchor_role { ANCHOR_ROLE_AUTO, ANCHOR_ROLE_NO, ANCHOR_ROLE_YES };

#define SOCIAL_LAST_RESORT_CAP 256u
struct social_anchors_config {
	enum anchor_role role;
	uint32_t keep_s;
	/* KEY@ADDRESS, set by a package; "": there is none. */
	char last_resort[SOCIAL_LAST_RESORT_CAP];
};
void social_anchors_config_defaults(struct social_anchors_config *config);

/* All borrowed until social_anchors_close, but config. */
struct social_anchors_params {
	struct social_anchors_config config;
	const struct social_ground *ground;
	struct social_routes *routes;
	/* Where this node may be reached, as far as its policy shows it to others. */
	void (*places)(void *ctx, struct peer_places *out_places);
	/* Peer asker may be told by a node that is no anchor where the node of key is. May be NULL. */
	bool (*may_tell)(void *ctx, const uint8_t *asker, const uint8_t *key);
	/*
	 * The address record of a node that this one names to asker in its list of neighbours, into out; its
	 * length, or 0. May be NULL.
	 */
	size_t (*named)(void *ctx, const uint8_t *asker, const uint8_t *key,
			uint8_t out[static SOCIAL_ADDRESS_LEN_MAX]);
	void *ctx;
	uint64_t now_ns;
};
WEFT_MUST_CHECK
int social_anchors_open(const struct social_anchors_params *params,
			struct social_anchors **out_anchors);
void social_anchors_stop(struct social_anchors *anchors);
void social_anchors_close(struct social_anchors *anchors);
size_t social_anchors_footprint(void);

/* social_anchors_set_direct: others can, or cannot, dial an address of this machine. */
void social_anchors_set_direct(struct social_anchors *anchors, bool is_direct);
bool social_anchors_is_anchor(const struct social_anchors *anchors);
/* social_anchors_moved: this node is reached at other places now. */
void social_anchors_moved(struct social_anchors *anchors, uint64_t now_ns);
void social_anchors_session_up(struct social_anchors *anchors, const uint8_t *key, uint64_t now_ns);
/*
 * social_anchors_write_record signs where this node is now; false: it may not say, or is nowhere that
 * others can dial.
 */
bool social_anchors_write_record(struct social_anchors *anchors, struct writer *w);

/* --- own anchors --- */

struct own_anchor {
	uint8_t key[NODE_KEY_LEN];
	bool is_enabled;
	bool is_listed;		/* a profile of this node names it */
	bool is_last_resort;	/* set by the package: it can be disabled, and not removed */
	uint64_t checked_in_ms; /* the last time that it took a check-in; 0: never */
	int err;		/* of the last check-in */
};
/*
 * social_own_anchors_set: profiles name these cnt keys, and no others. One that is new is enabled, and
 * is checked in with. cnt: SOCIAL_OWN_ANCHORS_MAX at most.
 */
void social_own_anchors_set(struct social_anchors *anchors, const uint8_t (*keys)[NODE_KEY_LEN],
			    unsigned cnt, uint64_t now_ns);
/*
 * social_anchor_enable: one that is not enabled is neither checked in with nor asked; profiles name it
 * still. 0, WEFT_EABSENT, WEFT_EEXISTS (it is so) or WEFT_EBUSY.
 */
struct anchor_change {
	const uint8_t *key;
	bool is_enabled;
	void (*done)(void *arg, int err); /* once, if the call returned 0: it is durable, or not */
	void *arg;
};
WEFT_MUST_CHECK
int social_anchor_enable(struct social_anchors *anchors, const struct anchor_change *change,
			 uint64_t now_ns);
/* social_own_anchor: the idx-th, the last resort at the end; NULL: there are fewer. Borrowed. */
const struct own_anchor *social_own_anchor(const struct social_anchors *anchors, unsigned idx);
bool social_anchor_is_own(const struct social_anchors *anchors, const uint8_t *key);
/* social_own_anchor_of: that of key, or NULL. Borrowed. */
const struct own_anchor *social_own_anchor_of(const struct social_anchors *anchors,
					      const uint8_t *key);

struct social_anchors_stats {
#define FIGURE FIGURE_FIELD
#include "social/anchors/social_anchors_counters.def"
};
void social_anchors_stats(const struct social_anchors *anchors,
			  struct social_anchors_stats *out_stats);
/* social_anchors_view: the room for check-ins, by the class of their nodes. */
void social_anchors_view(const struct social_anchors *anchors, struct fair_view *out_view);

#endif

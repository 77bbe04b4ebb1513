/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_GROUND_SOCIAL_GROUND_H
#define WEFT_SOCIAL_GROUND_SOCIAL_GROUND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fair/fair.h"
#include "base/fair/fair_path.h"
#include "mesh/seam.h"
#include "mesh/seam_neighbours.h"

struct node_key;
struct random;
struct store;
struct timer_wheel;

/*
 * What every part of the social layer has of the node. Nothing here looks for a key on a DHT, in the
 * overlay or at a relay of records (docs/social.md). check-layers keeps it so.
 */
/* What happened, for people and programs that watch; borrowed for the call. */
enum social_event_kind {
	SOCIAL_POST_NEW,     /* a post that a person here reads */
	SOCIAL_POST_CHANGED, /* another edition of one, or other readers */
	SOCIAL_POST_GONE,
	SOCIAL_POST_MENTION,	 /* it names a person of this node */
	SOCIAL_DM_NEW,		 /* a direct message for one */
	SOCIAL_PERSON_PROFILE,	 /* person says something new of themselves; text: the name */
	SOCIAL_PERSON_REQUEST,	 /* first words, post, of a person that is not followed */
	SOCIAL_PERSON_FOLLOWED,	 /* by a persona of this node, from now on */
	SOCIAL_PERSON_SUCCESSOR, /* another key claims person's place; text: what became of that */
	SOCIAL_COPIES_LOW,	 /* too few nodes have a copy of a post, and none can take one */
	SOCIAL_GROUP_INVITED,	 /* person invites one of this node to a group; text: its name */
	SOCIAL_GROUP_ROLE, /* person, of this node, may do other things, or is gone; text: its name */
	SOCIAL_EVENT_CNT,
};
struct social_event {
	enum social_event_kind kind;
	const uint8_t *person; /* NODE_KEY_LEN, or NULL */
	const uint8_t *post;   /* POST_ID_LEN, or NULL */
	const char *text;      /* for people, or NULL */
};

/* All borrowed until the parts are closed, but site and mesh, which are copied. Home worker. */
struct social_ground {
	struct fair_site site;
	const struct node_key *key; /* this node's */
	struct store *store;
	struct mesh_seam mesh;
	const struct mesh_neighbour_ops *neighbours;
	struct timer_wheel *timers;
	struct random *random;
	uint64_t (*wall_ms)(void *ctx); /* since 1970 */
	/* What the node of key is to this one. */
	enum fair_class (*class_of)(void *ctx, const uint8_t *key);
	/* As relay_messages_admit: false, call was answered. NULL: all may. */
	bool (*admit)(void *ctx, const struct mesh_call *call, uint64_t now_ns);
	void (*happened)(void *ctx, const struct social_event *event); /* may be NULL */
	void *ctx;
};

/*
 * social_payer: what the fair shares count for what the node of key brought: the place of its session,
 * and what it is to this node. Nodes without a session, and no node (NULL), share one place.
 */
void social_payer(const struct social_ground *ground, const uint8_t *key, struct addr *out_addr,
		  enum fair_class *out_class);

static inline uint64_t social_wall_ms(const struct social_ground *ground)
{
	return ground->wall_ms(ground->ctx);
}

/* social_has_session: the node of key is a neighbour in session. */
static inline bool social_has_session(const struct social_ground *ground, const uint8_t *key)
{
	struct mesh_neighbour neighbour;

	return ground->neighbours->find(ground->mesh.mesh, key, &neighbour) &&
	       neighbour.is_connected;
}

struct request_quota;
/*
 * social_network_wait_ms: of the quota of path's network, for a request of key. 0: it may be heard. Chosen
 * peers are bounded by what a key may ask alone.
 */
uint64_t social_network_wait_ms(const struct social_ground *ground, struct request_quota *quota,
				const uint8_t key[static MESH_KEY_LEN],
				const struct fair_path *path, uint64_t now_ns);

#endif

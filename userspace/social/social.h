/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_SOCIAL_H
#define WEFT_SOCIAL_SOCIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "social/anchors/social_anchors.h"
#include "social/attachments/attachments.h"
#include "social/bootstrap/social_bootstrap.h"
#include "social/ground/social_ground.h"
#include "social/mail/social_mail.h"
#include "social/slots/social_slots.h"
#include "social/intake/post_intake.h"
#include "social/keep/post_store.h"
#include "social/people/people.h"
#include "social/replicas/replicas.h"
#include "social/sync/sync.h"

/*
 * Posts among people, private by default (docs/social.md). A person's node holds what it wrote and
 * what it may read, and exchanges it with nodes of people that it chose. No key of a person, no post
 * and no group is ever looked for on a DHT or in the overlay.
 *
 *	write/	  a post is made: readers, keys, signatures	read/	 feeds, threads, search
 *	intake/	  judges what came				keep/	 posts on the disk
 *	people/	  personas, follows, circles, profiles		groups/	 epochs and their keys
 *	sync/	  what two nodes lack of each other		routes/	 where a person's node is
 *	anchors/  nodes that are always there			slots/	 neighbours of the layer
 *	mail/	  words for people that are off
 *	replicas/ copies, quota					revoke/	 readers are taken off
 *	object/	  signed objects				seal/	 what readers alone open
 *	reach/	  people without a session			attachments/ files of posts
 *
 * Home worker only; nothing blocks.
 */
struct social;
struct people;
struct groups;
struct social_routes;
struct post_holders;
struct revocations;
struct social_searches;
struct attachments;
struct jobs;
struct social_rounds;
struct social_link_posts;

#define SOCIAL_PATH_CAP 512u
struct social_config {
	bool is_on;
	bool shows_addresses; /* to anchors, and so to all that ask them */
	struct posts_config posts;
	struct replicas_config replicas;
	bool gives_receipts; /* of direct messages, to people that are followed and want them */
	struct sync_config sync;
	struct social_anchors_config anchors;
	struct attachments_config attachments; /* room_len is that of posts */
	char bootstrap[SOCIAL_PATH_CAP]; /* a file of nodes to begin with; "": that of the state */
};
void social_config_defaults(struct social_config *config);
/* social_footprint: bytes that social_open lays out, touched as they are used. */
size_t social_footprint(const struct social_config *config);

/* What the node says of where nodes are, of the ground's ctx. */
struct social_ways {
	/* Where this node is reached: relays, and with shows_direct its own addresses, too. */
	void (*places)(void *ctx, bool shows_direct, struct peer_places *out_places);
	/* Where a LAN announces key; how many of MESH_PEER_ADDRS_MAX. */
	unsigned (*lan)(void *ctx, const uint8_t *key, struct addr *out_addrs);
	struct attachment_ways attachments;
};

/* ground is copied; what it points to is borrowed until social_close. */
struct social_params {
	struct social_config config;
	struct social_ground ground;
	struct social_ways ways;
	struct mail_boxes boxes;
	struct slots_config slots;
	struct jobs *jobs;
	const struct first_nodes *bootstrap; /* copied; NULL: there is none */
	uint64_t now_ns;
};
/*
 * social_open reads what is durable: 0 or a negative code. social_stop, before the mesh is freed,
 * writes what waits, and calls nothing any more. social_close, behind that, frees. Both take NULL.
 */
WEFT_MUST_CHECK
int social_open(const struct social_params *params, struct social **out_social);
void social_stop(struct social *social);
void social_close(struct social *social);
/*
 * social_is_unsought: key is of a person, or an anchor, that this node's people have to do with. So no
 * part of the node may look for it on a DHT, in the overlay or at relays of records. Takes NULL.
 */
bool social_is_unsought(const struct social *social, const uint8_t key[static MESH_KEY_LEN]);
/* The parts, for the control interface. */
struct post_store *social_posts_of(const struct social *social);
struct intake *social_intake_of(const struct social *social);
struct people *social_people(const struct social *social);
struct groups *social_groups_of(const struct social *social);
struct social_routes *social_routes_of(const struct social *social);
struct sync *social_sync_of(const struct social *social);
struct slots *social_slots_of(const struct social *social); /* NULL: not open */
struct post_holders *social_holders_of(const struct social *social);
struct replicas *social_replicas_of(const struct social *social);
struct revocations *social_revocations_of(const struct social *social);
struct social_read;
struct social_write;
struct social_read *social_read_of(const struct social *social);
struct social_write *social_write_of(const struct social *social);
struct attachments *social_attachments_of(const struct social *social);
struct social_anchors *social_anchors_of(const struct social *social);
const struct first_nodes *social_bootstrap_of(const struct social *social);
struct social_searches *social_searches_of(const struct social *social);
struct mail *social_mail_of(const struct social *social);
/*
 * social_use_session: a person waits for what the node of key sends: a direct message, an answer of a
 * group's member. Its session is made, and held for SLOTS_USE_NS; 20 are, of a light node 5.
 */
void social_use_session(struct social *social, const uint8_t key[static MESH_KEY_LEN],
			uint64_t now_ns);
struct social_rounds *social_rounds_of(const struct social *social);
struct social_link_posts *social_link_posts_of(const struct social *social);
/*
 * social_anchor_add has the profile of a persona (its index) name an anchor, with which this node checks
 * in from now on. 0, or:
 *   WEFT_EABSENT    the persona has no profile yet
 *   WEFT_EEXISTS    the profile names it
 *   WEFT_EREFUSED   another persona's profile does, or it is a key of this node
 *   WEFT_EFULL      the profile names PROFILE_ANCHORS_MAX
 *   WEFT_EMALFORMED no key, or this node's own
 *   WEFT_EBUSY
 * social_anchor_remove: 0, WEFT_EABSENT, WEFT_EREFUSED (the last resort, which no profile names) or
 * WEFT_EBUSY. social_anchor_persona: whose profile names key; SOCIAL_PERSONA_NONE: none does.
 */
struct social_anchor_ask {
	const uint8_t *key;
	const struct peer_places *places; /* where it is; NULL: as is known */
	struct people_done done;	  /* that is durable */
};
WEFT_MUST_CHECK
int social_anchor_add(struct social *social, unsigned persona, const struct social_anchor_ask *ask,
		      uint64_t now_ns);
WEFT_MUST_CHECK
int social_anchor_remove(struct social *social, const struct social_anchor_ask *ask,
			 uint64_t now_ns);
unsigned social_anchor_persona(const struct social *social, const uint8_t *key);
/*
 * social_set_direct: others can, or cannot, dial an address of this machine. social_moved: this node is
 * reached at other places now. Both take NULL.
 */
void social_set_direct(struct social *social, bool is_direct);
void social_moved(struct social *social, uint64_t now_ns);
/* social_session_up: a neighbour is there; takes NULL. */
void social_session_up(struct social *social, const uint8_t key[static MESH_KEY_LEN],
		       uint64_t now_ns);

#endif

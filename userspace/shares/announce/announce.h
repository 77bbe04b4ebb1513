/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_ANNOUNCE_ANNOUNCE_H
#define WEFT_SHARES_ANNOUNCE_ANNOUNCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/figure.h"
#include "blobs/swarm/finder.h"
#include "mesh/seam_overlay.h"

struct jobs;
struct node_key;
struct store;
struct timer_wheel;
struct announce;
struct peer_places;
struct blobs_held;

/*
 * Announces what this node has to the overlay, and finds holders there (docs/wire/holder.md).
 *
 *	held_manifests.c -> announce_job.c (jobs) -> announce.c -> announce_put.c -> overlay
 *	overlay -> holder_finder.c <- region_sets.c (sets of a region, kept for a while)
 *
 * Each manifest has a record under its id: a node that knows the id of a collection or share
 * finds its holders. Files of public shares are announced by content id as well. Up to
 * ANNOUNCE_SINGLES_MAX of them have a record each, more have one set for each region of ids.
 * Each is announced again at half its life, at most puts_per_min a minute, evenly: new ones
 * first, then those that are due. Records of removed files are left to expire. Nothing is kept
 * in memory for a file: a region's ids are listed from the store when its turn comes.
 *
 * STORE_ANNOUNCED holds when each was announced, so that a restart announces nothing twice.
 *
 * Home worker; nothing blocks.
 */
#define ANNOUNCE_SINGLES_MAX 2000u
/* A set of one of 256 regions is full at some 60,000: beyond this there are 4,096. */
#define ANNOUNCE_COARSE_MAX 12000000u

enum announce_scope {
	ANNOUNCE_OFF,	 /* nothing */
	ANNOUNCE_PUBLIC, /* manifests by id; files of public shares by content id */
	ANNOUNCE_ALL,	 /* the files of collections as well, which have no visibility */
};

struct announce_config {
	enum announce_scope scope;
	uint32_t puts_per_min; /* >= 1 */
	uint32_t manifest_cap;
	uint32_t lookup_cap;   /* searches at once */
	uint32_t region_cap;   /* regions whose sets are kept */
	size_t set_memory_len; /* bytes of the sets kept */
};
void shares_announce_config_defaults(struct announce_config *config);
/* shares_announce_footprint: bytes that shares_announce_new lays out, touched as they are used. */
size_t shares_announce_footprint(const struct announce_config *config);

/* Borrowed until shares_announce_free; config and seam are copied. */
struct announce_params {
	struct announce_config config;
	struct blobs_held *held; /* the content to announce */
	struct overlay_seam overlay;
	const struct node_key *key;
	struct store *store;
	struct jobs *jobs;
	struct timer_wheel *timers;
	uint64_t now_ns;
	uint64_t (*wall_s)(void *ctx);
	void *ctx;
};

/*
 * shares_announce_new adds the rules of its values to the overlay, and reads what was announced
 * before. 0, -errno or WEFT_E....
 */
WEFT_MUST_CHECK
int shares_announce_new(const struct announce_params *params, struct announce **out_announce);
/*
 * shares_announce_stop, while the overlay is there, ends the work under way, and waits for a
 * job. Searches get nothing any more, but may still be taken back until shares_announce_free.
 * Both take NULL.
 */
void shares_announce_stop(struct announce *announce);
void shares_announce_free(struct announce *announce);
/* shares_announce_configure takes scope and puts_per_min. */
void shares_announce_configure(struct announce *announce, const struct announce_config *config,
			       uint64_t now_ns);

/*
 * shares_announce_set_places: where this node is dialled. All is announced again when its addresses
 * change, and when no relay that announcements name is there any more.
 */
void shares_announce_set_places(struct announce *announce, const struct peer_places *places,
				uint64_t now_ns);
/* shares_announce_held_changed: other manifests are held; or more of the files of this one, if not NULL. */
void shares_announce_held_changed(struct announce *announce, const uint8_t *manifest_id,
				  uint64_t now_ns);
/*
 * shares_announce_hurry: a node that may keep values has come. Values that no node took are put
 * again now, and all of them if one node alone took some, which may be this one.
 */
void shares_announce_hurry(struct announce *announce);

/* shares_announce_finder: for blobs_add_finder. */
struct swarm_finder shares_announce_finder(struct announce *announce);

enum announce_shape { ANNOUNCE_NOTHING, ANNOUNCE_SINGLES, ANNOUNCE_SETS };

struct announce_stats {
#define FIGURE FIGURE_FIELD
#include "shares/announce/announce_counters.def"
	enum announce_scope scope;
	enum announce_shape shape; /* of contents */
	unsigned depth;		   /* of the sets */
	int err;		   /* of the last put; 0: taken */
	uint64_t paused_until_ns;  /* after a failure; 0: not */
	uint64_t next_ns;	   /* the next put that is due, or UINT64_MAX */
};
void shares_announce_stats(const struct announce *announce, uint64_t now_ns,
			   struct announce_stats *out_stats);

#endif

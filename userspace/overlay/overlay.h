/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OVERLAY_OVERLAY_H
#define WEFT_OVERLAY_OVERLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fair/fair_path.h"
#include "base/figure.h"
#include "kad/lookup.h"
#include "kad/routing_table.h"
#include "mesh/seam_neighbours.h"
#include "overlay_reason.h"
#include "mesh/seam.h"
#include "mesh/seam_overlay.h"

struct random;
struct store;

/*
 * The overlay: a table that nodes of the mesh keep together, on the
 * Kademlia core (kad/), asked over sessions: messages 200 to 202, docs/wire/overlay.md.
 *
 *	put, get	run.c -> kad/lookup -> overlay_query.c -> mesh ... -> heard -> run.c
 *	asked		mesh -> overlay_serve.c -> rules -> values.c -> overlay_persist.c -> store
 *	upkeep		overlay_join.c: the nodes to begin with, pings, refreshes, whether to serve
 *
 * A node's place is the first 20 bytes of SHA-256 of its key, a value's the
 * first 20 bytes of SHA-256 of its name.
 *
 * Home worker; nothing blocks, reads a clock or logs.
 */

/*
 * A node that serves keeps values for others, and other nodes learn that it serves. Only a node
 * that can be dialled is of use. So AUTO serves when a public address is configured. It also
 * serves when a peer has dialled this node from as far away as its farthest peer is.
 */
enum overlay_serve { OVERLAY_SERVE_AUTO, OVERLAY_SERVE_ON, OVERLAY_SERVE_OFF };

struct overlay_config {
	enum overlay_serve serve;
	bool is_public;		   /* an address of this node is configured that all can dial */
	uint32_t value_cap;	   /* values kept, in all */
	size_t value_memory_len;   /* bytes of them */
	uint32_t subnet_max;	   /* values stored from one kad_subnet */
	struct fair_site site;	   /* limits.site: values are shared by network */
	uint32_t run_cap;	   /* puts, gets and lookups of our own at once */
	uint32_t query_cap;	   /* requests of peers at once */
	size_t work_memory_len;	   /* what is asked and put at the moment */
	size_t answer_memory_len;  /* what is answered at the moment */
	uint32_t asker_cap;	   /* peers whose requests are counted */
	uint32_t requests_per_min; /* of one of them */
	struct kad_table_config table;
	struct kad_lookup_config lookup;
};
void overlay_config_defaults(struct overlay_config *config);
/* overlay_footprint: bytes that overlay_new lays out, touched as they are used. */
size_t overlay_footprint(const struct overlay_config *config);

/* All borrowed. */
struct overlay_params {
	struct overlay_config config;
	const uint8_t *own_key; /* MESH_KEY_LEN */
	struct mesh_seam mesh;
	const struct mesh_neighbour_ops *neighbours; /* of mesh.mesh */
	struct store *store;			     /* NULL: values are not kept over a restart */
	struct random *random;
	uint64_t now_ns, wall_s;
};

/* overlay_new registers the handlers of 200 to 202. 0, WEFT_EFULL, WEFT_EEXISTS, -errno. */
WEFT_MUST_CHECK
int overlay_new(const struct overlay_params *params, struct overlay **out_overlay);
/*
 * overlay_stop, while the mesh is there: forgets all runs without a callback, and asks nothing
 * any more. overlay_free, when the mesh's transport is gone, which has been lent what
 * was sent; what was acknowledged is durable. Both take NULL.
 */
void overlay_stop(struct overlay *overlay);
void overlay_free(struct overlay *overlay);
/*
 * overlay_start: all rules are there. Values are read back from the store and the overlay
 * is joined. 0 or -errno (store).
 */
WEFT_MUST_CHECK
int overlay_start(struct overlay *overlay, uint64_t now_ns);
struct overlay_seam overlay_seam_of(struct overlay *overlay);

/* overlay_expire does what is due; overlay_next_ns: when that is next (maybe in the past). */
void overlay_expire(struct overlay *overlay, uint64_t now_ns);
uint64_t overlay_next_ns(const struct overlay *overlay);
/* overlay_set_wall: the wall clock jumped or drifted; now_ns is wall_s. */
void overlay_set_wall(struct overlay *overlay, uint64_t wall_s, uint64_t now_ns);
/* overlay_configure takes what can change at run time: serve, is_public, requests_per_min. */
void overlay_configure(struct overlay *overlay, const struct overlay_config *config,
		       uint64_t now_ns);
/*
 * overlay_know passes on a node that may serve (peer exchange, a rendezvous). The node is asked
 * when the overlay is joined, and is no member before it answers.
 */
void overlay_know(struct overlay *overlay, const struct mesh_peer *peer, uint64_t now_ns);

/*
 * overlay_session_up: one session more is there. Its peer may be one to join
 * by, or have shown that this node can be dialled: both are looked at now.
 */
void overlay_session_up(struct overlay *overlay, uint64_t now_ns);
/* overlay_node_returned: a session with the node of key is there anew; lookups ask it again. */
void overlay_node_returned(struct overlay *overlay, const uint8_t *key);

/* The nodes that keep what is put at the moment, and may be asked for it. */
enum overlay_keepers {
	OVERLAY_STORED_BY_NOBODY,
	OVERLAY_STORED_HERE,	  /* by this node, which others have met */
	OVERLAY_STORED_BY_OTHERS, /* the overlay is joined */
};
enum overlay_keepers overlay_keepers(const struct overlay *overlay);

/* overlay_is_serving: others can dial this node, and it keeps values for them. */
bool overlay_is_serving(const struct overlay *overlay);

/* overlay_view: values kept, by the class of the peers that stored them. */
void overlay_view(const struct overlay *overlay, struct fair_view *out);
/* overlay_silent_view: the table of nodes that did not answer. */
void overlay_silent_view(const struct overlay *overlay, struct fair_view *out);

struct overlay_stats {
#define FIGURE FIGURE_FIELD
#include "overlay/overlay_counters.def"
	bool is_serving;
	struct kad_table_counts table;
	uint64_t reasons[OVERLAY_REASON_CNT];
};
void overlay_stats(const struct overlay *overlay, uint64_t now_ns, struct overlay_stats *out_stats);

#endif

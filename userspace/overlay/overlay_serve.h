/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OVERLAY_OVERLAY_SERVE_H
#define WEFT_OVERLAY_OVERLAY_SERVE_H

#include "overlay_state.h"

/* How long a value is kept of which STORE does not say, and at most; never beyond its own end. */
#define OVERLAY_TTL_DEFAULT_S (24 * 3600ull)
#define OVERLAY_TTL_MAX_S     (7 * 24 * 3600ull)

/* The requests of peers to this node: 200, 201 and 202. serve_init: 0 or WEFT_EEXISTS. */
WEFT_MUST_CHECK
int overlay_serve_init(struct overlay *overlay);

struct overlay_taken {
	uint64_t stored_s;
	uint64_t not_before_ms; /* refused: when to try again; 0: never */
	const char *pool;	/* refused for want of room: what had none; or NULL */
};
/*
 * overlay_take judges a value that asker stored (NULL: this node itself) and keeps it.
 * Returns OVERLAY_STORED or REFRESHED, or why not; it is counted.
 */
enum overlay_reason overlay_take(struct overlay *overlay, const struct overlay_store *store,
				 const struct mesh_neighbour *asker, uint64_t now_ns,
				 struct overlay_taken *out_taken);
/*
 * overlay_show gives the values that are kept under key and may be shown now. It checks the time
 * of a value again, and its signature if it came from the disk. Otherwise as
 * overlay_values_list.
 */
unsigned overlay_show(struct overlay *overlay, const uint8_t *key, const uint8_t *after,
		      uint64_t now_ns, struct overlay_stored **out);

/*
 * overlay_node_of: how others could reach a neighbour, where it had a session first. False: at none.
 */
bool overlay_node_of(const struct mesh_neighbour *neighbour, struct overlay_node *out_node);

#endif

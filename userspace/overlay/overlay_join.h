/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OVERLAY_OVERLAY_JOIN_H
#define WEFT_OVERLAY_OVERLAY_JOIN_H

#include "overlay_state.h"

/*
 * Joins the overlay and stays in it. First comes a lookup of the node's own place, then one in
 * each bucket between that place and the farthest. Then the table is kept up: a silent node is
 * pinged, and gives way after three pings without an answer.
 */
void overlay_join_init(struct overlay *overlay);
/*
 * overlay_join_entries calls fn for some nodes that may serve, for when the table knows too few:
 * neighbours that say so, and those of overlay_know.
 */
void overlay_join_entries(struct overlay *overlay,
			  void (*fn)(void *arg, const struct kad_contact *contact), void *arg);
/* overlay_join_hurry: a new node may answer, so a join that waits for its next try goes on. */
void overlay_join_hurry(struct overlay *overlay, uint64_t now_ns);
void overlay_join_know(struct overlay *overlay, const struct overlay_node *node, uint64_t now_ns);
void overlay_join_expire(struct overlay *overlay, uint64_t now_ns);
uint64_t overlay_join_next_ns(const struct overlay *overlay);

/* overlay_reachable_look decides anew whether this node serves; at most every few seconds. */
#define OVERLAY_REACHABLE_EVERY_NS (5 * 1000000000ull)
void overlay_reachable_look(struct overlay *overlay, uint64_t now_ns);
/* overlay_reachable_note: asker's request came. If its dial is news, that is not left to the next look. */
void overlay_reachable_note(struct overlay *overlay, const struct mesh_neighbour *asker,
			    uint64_t now_ns);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_FIND_RELAY_FIND_H
#define WEFT_RELAY_FIND_RELAY_FIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fair/fair_path.h"
#include "base/figure.h"
#include "known_relays.h"
#include "mesh/seam_neighbours.h"
#include "mesh/seam_overlay.h"
#include "relay/messages/relay_messages.h"

struct node_key;
struct random;

/*
 * Finding relays. A relay that can be dialled announces itself in the overlay, anew each hour
 * (find_publish.c). A node with fewer live relays than it wants asks the overlay for them
 * (find_search.c). It asks relays which others they know, by which it also sees that they are
 * there (find_ask.c). Relays are asked for that by others, too (find_answer.c). What is known is in
 * known_relays.h.
 *
 * Home worker; nothing blocks, reads a clock or logs.
 */
struct relay_find;

struct relay_find_config {
	bool is_on;	     /* looks for relays; answers and announces in any case */
	uint32_t known_cap;  /* relays known at once */
	uint32_t wanted_cnt; /* live relays: with fewer this node goes on looking */
};
#define RELAY_FIND_KNOWN_MIN 32u
void relay_find_config_defaults(struct relay_find_config *config);
size_t relay_find_footprint(const struct relay_find_config *config);

/* All borrowed. */
struct relay_find_params {
	struct relay_find_config config;
	const struct node_key *key;
	struct mesh_seam mesh;
	const struct mesh_neighbour_ops *neighbours;
	struct overlay_seam overlay;
	struct random *random;
	struct fair_site site;
	struct relay_messages *messages; /* what others may ask; NULL: this node is no relay */
	unsigned (*rank)(void *ctx, const uint8_t *key); /* as of known_relays.h */
	void *ctx;
	uint64_t now_ns, wall_s;
};
/* relay_find_new adds the overlay's rule and the handler of 460. 0, -ENOMEM, or what those say. */
WEFT_MUST_CHECK
int relay_find_new(const struct relay_find_params *params, struct relay_find **out_find);
/*
 * relay_find_stop, while mesh and overlay are there, takes back what is under way. relay_find_free,
 * when the mesh's transport is gone, which has been lent answers. Both take NULL.
 */
void relay_find_stop(struct relay_find *find);
void relay_find_free(struct relay_find *find);
void relay_find_turn(struct relay_find *find, uint64_t now_ns);
uint64_t relay_find_next_ns(const struct relay_find *find);
/* relay_find_hurry: the overlay was joined just now; what it failed to do before may work. */
void relay_find_hurry(struct relay_find *find, uint64_t now_ns);
void relay_find_set_wall(struct relay_find *find, uint64_t wall_s, uint64_t now_ns);

/* What this node announces of itself as a relay; without addresses it is none. Copied. */
struct relay_offer {
	struct addr addrs[PEER_ADDRS_MAX];
	unsigned addr_cnt;
	uint32_t caps;
	struct relay_capacity capacity;
};
void relay_find_offer(struct relay_find *find, const struct relay_offer *offer, uint64_t now_ns);

/*
 * relay_find_best gives at most cap relays to use, each once: by rank, then drawn by score and latency,
 * those that failed lately last. Returns how many. relay_find_{succeeded,failed}: a relay of them, or another
 * that is known, did what it was asked to, or did not. Its next draws go by that.
 */
struct relay_found {
	uint8_t key[MESH_KEY_LEN];
	struct addr addrs[PEER_ADDRS_MAX];
	unsigned addr_cnt;
	uint32_t caps;
	struct relay_capacity capacity;
};
unsigned relay_find_best(struct relay_find *find, const struct relay_want *want, uint64_t now_ns,
			 struct relay_found *out, unsigned cap);
void relay_find_succeeded(struct relay_find *find, const uint8_t *key, uint64_t latency_ns,
			  uint64_t now_ns);
void relay_find_failed(struct relay_find *find, const uint8_t *key, uint64_t now_ns);

/* relay_find_is_live: the relay of key has served this node, and its latest use did not fail. */
bool relay_find_is_live(const struct relay_find *find, const uint8_t *key);

/* relay_find_next walks what is known, from NULL on; borrowed for the turn. */
const struct relay_known_row *relay_find_next(const struct relay_find *find,
					      const struct relay_known_row *after);

struct relay_find_stats {
#define FIGURE FIGURE_FIELD
#include "relay/find/relay_find_counters.def"
};
void relay_find_stats(const struct relay_find *find, struct relay_find_stats *out_stats);
/* relay_find_view: places of known relays, by the class of what named them. */
void relay_find_view(const struct relay_find *find, struct fair_view *out);

#endif

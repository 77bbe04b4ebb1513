/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_PEERS_RENDEZVOUS_H
#define WEFT_MESH_PEERS_RENDEZVOUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/figure.h"
#include "kad/kad_contact.h"
#include "mesh/seam_neighbours.h"

/*
 * A public place where nodes of the mesh without contacts find each other. A node that can be
 * dialled announces itself there every 15 minutes. A node with fewer than three neighbours asks
 * every 10 minutes for the others. The place gives addresses without keys, which any node can
 * write: each is asked for its key (identify.h), once. The place is a table of functions, so that
 * mesh knows no DHT.
 *
 * All that take part can read there, so it is off by default. Home worker.
 */
struct mesh_rendezvous;

#define MESH_RENDEZVOUS_NAME	    "mesh-node-v1"
#define MESH_RENDEZVOUS_ANNOUNCE_NS (900 * 1000000000ull)
#define MESH_RENDEZVOUS_FIND_NS	    (600 * 1000000000ull)
#define MESH_RENDEZVOUS_RETRY_NS    (10 * 1000000000ull) /* after a place that could not be asked */
#define MESH_RENDEZVOUS_ENOUGH_CNT  3			 /* neighbours */
#define MESH_RENDEZVOUS_ADDRS_MAX   10			 /* of one find */
#define MESH_RENDEZVOUS_KNOWN_MAX   256			 /* addresses not asked again, the latest */

/*
 * announce, find: false: not now. The addresses that find finds come by mesh_rendezvous_hear,
 * later.
 */
struct mesh_rendezvous_place {
	bool (*announce)(void *ctx, uint64_t now_ns);
	bool (*find)(void *ctx, uint64_t now_ns);
	void *ctx;
};

/* All borrowed. found: a program showed a key at an address of peer; never inside a call. */
struct mesh_rendezvous_params {
	struct mesh *mesh;
	struct mesh_rendezvous_place place;
	void (*found)(void *ctx, const struct mesh_peer *peer, uint64_t now_ns);
	void *ctx;
	uint64_t now_ns;
};
/* mesh_rendezvous_new: 0 or -ENOMEM. */
WEFT_MUST_CHECK
int mesh_rendezvous_new(const struct mesh_rendezvous_params *params,
			struct mesh_rendezvous **out_rendezvous);
/* mesh_rendezvous_free while the mesh is there. Takes NULL. */
void mesh_rendezvous_free(struct mesh_rendezvous *rendezvous);
/*
 * mesh_rendezvous_hear: addresses nearer than scope_min are refused. It is the reach of the place
 * itself: an address of this site that the Internet names is no node.
 */
void mesh_rendezvous_hear(struct mesh_rendezvous *rendezvous, const struct addr *addrs,
			  unsigned cnt, enum kad_addr_scope scope_min);
/* mesh_rendezvous_expire: is_reachable: this node can be dialled by others. */
void mesh_rendezvous_expire(struct mesh_rendezvous *rendezvous, bool is_reachable, uint64_t now_ns);
uint64_t mesh_rendezvous_next_ns(const struct mesh_rendezvous *rendezvous);

struct mesh_rendezvous_stats {
#define FIGURE FIGURE_FIELD
#include "mesh/peers/rendezvous_counters.def"
};
void mesh_rendezvous_stats(const struct mesh_rendezvous *rendezvous,
			   struct mesh_rendezvous_stats *out_stats);

#endif

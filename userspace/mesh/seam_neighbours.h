/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_SEAM_NEIGHBOURS_H
#define WEFT_MESH_SEAM_NEIGHBOURS_H

#include <stdbool.h>
#include <stdint.h>

#include "mesh/seam.h"

/* The work that a node does for others, as bits of caps. */
enum mesh_cap {
	MESH_CAP_RELAY = 0x1,	/* carries what others send, now: relay/role */
	MESH_CAP_STORE = 0x2,	/* keeps sealed messages for nodes that are away: deposits/ */
	MESH_CAP_GATEWAY = 0x4, /* its gateway listens to other machines: api/http */
	MESH_CAP_DHT = 0x8,	/* answers for the overlay: overlay/ */
	MESH_CAP_CONTENT_SEED = 0x10,
	MESH_CAP_MOBILE_LIGHT = 0x20, /* on a battery, or pays by byte: leave it alone */
	MESH_CAP_ANCHOR = 0x40,	      /* says where nodes are that check in: social/anchors */
	MESH_CAP_SERVICE_RELAY =
		0x200, /* keeps service messages, and sends them on: offers/spread */
	MESH_CAP_PAGED_BROWSE = 0x1000, /* members and shares of communities, by pages (408, 410) */
	MESH_CAP_SEARCH = 0x2000,	/* of communities (412) */
	MESH_CAP_DELTA = 0x4000,	/* what is new in communities (414) */
	MESH_CAP_TRACE = 0x8000,	/* reads field 10 of calls (300, 302), a trace */
	MESH_CAP_SOCIAL_RANGES = 0x20000, /* compares posts by ranges (600) */
};

/*
 * The nodes around, for what looks for nodes by itself: overlay/ and pex.c.
 * They see sessions and the peer table through this table of functions
 * alone, so that the simulator can give them others. Home worker.
 */
struct mesh_neighbour {
	uint8_t key[MESH_KEY_LEN];
	uint32_t caps; /* of its last HELLO, 0: none yet */
	/* Where its session leads; without one, or through a relay, the last good path, else where it was last. */
	struct addr remote;
	bool is_proved;				/* remote is where this node dialled it */
	struct addr addrs[MESH_PEER_ADDRS_MAX]; /* it announced these */
	unsigned addr_cnt;
	uint64_t last_seen_s; /* wall clock */
	bool is_known;	      /* for hours, or chosen: peers.h */
	bool is_connected;
	bool is_dialled; /* connected, and this node dialled */
	bool is_relayed; /* connected through a relay, so remote is from before */
};

/*
 * mesh_neighbour_addrs: where others could reach a neighbour that they cannot see, as far as is
 * known. First where it has or had a session, which is proved. An announced address counts if
 * the node may be there at all (kad_addr_scope_is_credible). Returns how many of out[0, cap)
 * were set.
 */
unsigned mesh_neighbour_addrs(const struct mesh_neighbour *neighbour, struct addr *out,
			      unsigned cap);

/* Where a session leads by now, and this node's own address on that path. */
struct mesh_path {
	struct addr remote;
	struct addr local;     /* of family ADDR_NONE: another worker has the session */
	uint64_t received_len; /* bytes so far; 0: another worker has the session */
	bool is_used;	       /* a request or a stream is there, or was within 15 s */
	bool is_dialled;       /* by this node; another worker's is not */
	uint64_t session;      /* another number for each session; 0: another worker has it */
};

/*
 * find: false: neither met nor connected. A peer that has a session with another worker of this
 *     node alone is connected, and has dialled this node.
 * next gives all neighbours one by one, connected ones first; false: all were given. A peer that
 *     has a session with another worker alone counts as one without: to ask it takes a dial, by
 *     which it would leave that worker.
 * path: the validated path of the session with key; false: there is no session.
 * account: the place of key at remote in fair shares, as asker_path of mesh_ops gives it where key has a
 *     session. So what comes without a session is charged with what comes by one.
 * announce adds caps to what HELLO says from now on, or takes them away. Live sessions hear it, too.
 */
struct mesh_neighbour_ops {
	bool (*find)(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
		     struct mesh_neighbour *out_neighbour);
	bool (*next)(struct mesh *mesh, struct mesh_walk *walk,
		     struct mesh_neighbour *out_neighbour);
	bool (*path)(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
		     struct mesh_path *out_path);
	void (*account)(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
			const struct addr *remote, struct fair_path *out_path);
	void (*announce)(struct mesh *mesh, uint32_t caps, bool is_on);
};
extern const struct mesh_neighbour_ops mesh_neighbour_ops;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_STREAM_SLOTS_H
#define WEFT_MESH_STREAM_SLOTS_H

#include "base/fair/fair.h"
#include "base/fair/fair_path.h"
#include "base/timer.h"
#include "mesh/mesh.h"

struct mesh_session;

/*
 * The pools of mesh/ that peers take from, each divided by fair shares (base/fair/fair.h). Any
 * key with a session can fill one. An honest peer, whose address holds no more than its share,
 * notices at most BUSY with a time to come back. The peer's clock runs while its request is not
 * whole and while it gives no credit for the answer; a handler's time is this node's. A stream
 * that a peer opened has no clock: it may be silent for good.
 */
struct mesh_slots {
	struct fair pools[MESH_POOL_CNT];
	struct fair_paths paths;
	struct timer timer; /* for the next slot that is overdue */
};

/* mesh_slots_init: 0, or as fair_init: a cap that is too small to divide. */
WEFT_MUST_CHECK
int mesh_slots_init(struct mesh *mesh, const uint64_t secret[2]);

/* mesh_slots_{session,key}_path: where slots of session's peer, or of a key elsewhere, belong. */
const struct fair_path *mesh_slots_session_path(struct mesh_session *session);
void mesh_slots_key_path(const struct mesh *mesh, const uint8_t *key, const struct addr *addr,
			 struct fair_path *out);

/*
 * mesh_slots_take takes a slot of pool for item of an incoming, or of a stream.
 * Another one may be refused, or ended, for it. False: the asker is to come back later.
 */
WEFT_MUST_CHECK
bool mesh_slots_take(struct mesh *mesh, enum mesh_pool pool, const struct fair_path *path,
		     struct fair_item *item);

/* mesh_slots_largest: where the account of pool is that pays next; of family ADDR_NONE: none. */
void mesh_slots_largest(const struct mesh *mesh, enum mesh_pool pool, struct addr *out_addr);

/* mesh_slots_wait_peer: the answer of incoming waits for its asker. */
void mesh_slots_wait_peer(struct mesh_incoming *incoming);

/* mesh_slots_hurry: buffers that answers hold are short elsewhere, so the busy deadline counts. */
void mesh_slots_hurry(struct mesh *mesh);

#endif

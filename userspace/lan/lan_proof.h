/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LAN_LAN_PROOF_H
#define WEFT_LAN_LAN_PROOF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "mesh/seam.h"
#include "weft/err.h"

struct random;

/*
 * A node that is heard on the LAN claims a key. It is dialled for that key, and no other node
 * learns of it before the key is proved. A few are dialled at once. One that does not answer
 * is dialled again, later each time, and given up after six times, until a new packet
 * announces it. One that proves another key than it said has lied, and is given up at once.
 *
 * A core without I/O: times go in, dials come out. Home worker. A dial's result may come
 * after lan_proof_clear, so proof outlives the mesh.
 */
struct lan_proof;

#define LAN_PROOF_DIALS_MAX  8u
#define LAN_PROOF_TRIES_MAX  6u
#define LAN_PROOF_TIMEOUT_NS (5ull * 1000000000ull)
#define LAN_PROOF_RETRY_NS   (1ull * 1000000000ull) /* after the first; twice that after the next */

struct lan_proof_params {
	uint32_t node_cap; /* that are to prove their keys */
	struct random *random;
	/* dial: as mesh_connect; done is never called from within. */
	int (*dial)(void *ctx, const struct mesh_peer *peer, uint64_t timeout_ns,
		    mesh_connect_fn done, void *arg);
	void (*proven)(void *ctx, const struct mesh_peer *peer, uint64_t now_ns);
	void *ctx;
};

/* lan_proof_new: 0 or -ENOMEM. lan_proof_free, when no dial can end any more; takes NULL. */
WEFT_MUST_CHECK
int lan_proof_new(const struct lan_proof_params *params, struct lan_proof **out_proof);
void lan_proof_free(struct lan_proof *proof);

/* lan_proof_add: peer, of one address, was heard, or is somewhere else now. False: no room. */
bool lan_proof_add(struct lan_proof *proof, const struct mesh_peer *peer, uint64_t now_ns);
/* lan_proof_clear forgets all; dials under way lead to nothing. Takes NULL. */
void lan_proof_clear(struct lan_proof *proof);

/* lan_proof_expire dials nodes that are due, and reports those that have proved their keys. */
void lan_proof_expire(struct lan_proof *proof, uint64_t now_ns);
uint64_t lan_proof_next_ns(const struct lan_proof *proof);

#endif

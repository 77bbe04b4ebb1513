/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_STREAM_DEFERRAL_H
#define WEFT_MESH_STREAM_DEFERRAL_H

#include <stdint.h>

#include "mesh/seam.h"

/*
 * Peers that stated when to come back, and for which messages. A GOODBYE or a connection closed
 * as busy concerns all requests to the peer. A BUSY or REFUSED answer concerns the message type
 * that it answers. Until then this node asks nothing of the kind.
 *
 * Each place is filled by a key that was proved on a session. A set of four that is full
 * forgets the deferral that ends first: its peer is asked too early once, and says so again.
 * Pure; home worker.
 */
#define MESH_DEFER_ALL	       0u /* a type: every message, and dials */
#define MESH_DEFERRAL_SET_CNT  256
#define MESH_DEFERRAL_SET_WAYS 4

struct mesh_deferrals {
	uint64_t secret[2];
	struct mesh_deferral {
		uint64_t id;	   /* of key and type */
		uint64_t until_ns; /* 0: none */
	} sets[MESH_DEFERRAL_SET_CNT][MESH_DEFERRAL_SET_WAYS];
};

/* mesh_deferrals_note: key is not asked for type before until_ns, or before an earlier note's time if that is later. */
void mesh_deferrals_note(struct mesh_deferrals *deferrals, const uint8_t key[MESH_KEY_LEN],
			 unsigned type, uint64_t until_ns, uint64_t now_ns);
/* mesh_deferrals_until: when key may be asked for type; 0: now. */
uint64_t mesh_deferrals_until(const struct mesh_deferrals *deferrals,
			      const uint8_t key[MESH_KEY_LEN], unsigned type, uint64_t now_ns);
/* mesh_deferrals_forget: what concerns key and type, and no more than that, is over. */
void mesh_deferrals_forget(struct mesh_deferrals *deferrals, const uint8_t key[MESH_KEY_LEN],
			   unsigned type);
/* mesh_deferrals_cnt: deferrals that are not over. */
uint32_t mesh_deferrals_cnt(const struct mesh_deferrals *deferrals, uint64_t now_ns);

#endif

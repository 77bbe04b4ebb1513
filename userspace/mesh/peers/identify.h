/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_PEERS_IDENTIFY_H
#define WEFT_MESH_PEERS_IDENTIFY_H

#include <stdint.h>

#include "base/addr.h"
#include "mesh/seam.h"

/*
 * Finds the key of a node of which only the address is known. A dial for a key that no node has
 * fails, and reports the key that was shown instead. That makes no session and proves nothing yet:
 * a dial for that key does.
 */
#define MESH_IDENTIFY_CAP 8

/* err 0: key was shown at addr. Else WEFT_ETIMEOUT, EREFUSED, EUNREACHABLE, ECLOSED; key is NULL. */
typedef void (*mesh_identified_fn)(void *arg, const struct addr *addr, int err, const uint8_t *key,
				   uint64_t now_ns);

/*
 * mesh_identify_addr dials addr to learn its key; met is called once, never inside the call.
 * Returns 0, WEFT_EFULL (later) or WEFT_EREFUSED: this node is leaving, or the policy has no way
 * there (ways.h). It is refused, too, when that address had its dial of the hour or its network
 * those of the minute (unverified.h).
 */
WEFT_MUST_CHECK
int mesh_identify_addr(struct mesh *mesh, const struct addr *addr, mesh_identified_fn met,
		       void *arg, uint64_t now_ns);
/* mesh_identify_forget: met is not called for arg any more. */
void mesh_identify_forget(struct mesh *mesh, const void *arg);

#endif

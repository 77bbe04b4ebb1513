/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_OBJECT_SOCIAL_ADDRESS_H
#define WEFT_SOCIAL_OBJECT_SOCIAL_ADDRESS_H

#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "codec/peer_addr.h"
#include "crypto/node_key.h"
#include "weft/err.h"

/*
 * Where a node is, signed by its key (tag "address"), for anchors, profiles and gossip to hand on. Of
 * two the one with the later time counts.
 *
 *	0 time ms | 1 [PeerAddr] | 2 caps
 *
 * A relay in field 1 is one through which the node is reached. Pure, and thread-safe.
 */
#define SOCIAL_ADDRESS_TAG     "address"
#define SOCIAL_ADDRESS_LEN_MAX 640u

struct social_address {
	uint8_t node[NODE_KEY_LEN]; /* its signer; read alone */
	uint64_t time_ms;
	struct peer_places places;
	uint32_t caps; /* enum mesh_cap */
};

/*
 * social_address_read verifies the signature as well: 0, WEFT_ETOOLARGE, WEFT_EMALFORMED,
 * WEFT_EDAMAGED or -ENOMEM.
 */
WEFT_MUST_CHECK
int social_address_read(const void *bytes, size_t len, struct social_address *out_address);
void social_address_write(struct writer *w, const struct social_address *address,
			  const struct node_key *node);

#endif

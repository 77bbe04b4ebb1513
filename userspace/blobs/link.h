/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_LINK_H
#define WEFT_BLOBS_LINK_H

#include <stdint.h>

#include "codec/peer_addr.h"
#include "weft/err.h"

/*
 * A link names a thing and the nodes that have it: "mesh:" + z-base-32 of
 *	kind u8 | fields | check 4
 * collection (1): manifest id 32 | node key 32 | address count u8 (<= 8) | addresses
 * share      (2): share key 32 | hints
 * community  (3): community key 32 | community id 32 | hints
 * hints: node count u8 (<= 4) | each: node key 32, address count u8 (<= 8), addresses |
 *	relay count u8 (<= 2) | each: length u8, its URL
 * An address is family u8 (4 or 6), ip 4 or 16, port u16 big-endian. At most two of the addresses
 * are relays at which the node is reached: family u8 + 0x80, ip, port, key 32. check
 * is the first four bytes of the BLAKE3 of all before it, so that one wrong
 * letter is noticed before anything is dialled. Without nodes and relays a link is the
 * key alone, and the overlay is asked for the nodes that have the thing.
 */
#define LINK_ADDRS_MAX	 PEER_ADDRS_MAX
#define LINK_NODES_MAX	 4
#define LINK_RELAYS_MAX	 2
#define LINK_URL_LEN_MAX 255u
#define LINK_TEXT_CAP	 2540 /* "mesh:" + letters of 65 + 1510 hints + 4 bytes + NUL */

enum link_kind { LINK_COLLECTION = 1, LINK_SHARE = 2, LINK_COMMUNITY = 3 };

struct link_node {
	uint8_t key[32];
	struct peer_places places;
};

struct link {
	uint8_t kind;
	/* Of a collection. */
	uint8_t manifest_id[32];
	uint8_t node_key[32];
	struct peer_places places;
	/* Of a share or a community. */
	uint8_t public_key[32];
	uint8_t community_id[32]; /* as the link says: SHA-256 of public_key, or it is wrong */
	uint8_t node_cnt;
	struct link_node nodes[LINK_NODES_MAX];
	uint8_t relay_cnt;
	char relays[LINK_RELAYS_MAX][LINK_URL_LEN_MAX + 1];
};

/*
 * blobs_link_parse: 0, or
 *   WEFT_EABSENT    nothing but white space
 *   WEFT_EUNKNOWN   it does not begin with "mesh:"
 *   WEFT_ENEWER     a kind this version does not know
 *   WEFT_ETOOSMALL  cut short (fewer letters than its own count says)
 *   WEFT_ETOOLARGE  something is appended
 *   WEFT_EDAMAGED   the check does not match: a letter is wrong
 *   WEFT_EMALFORMED a letter outside the alphabet, or fields that cannot be
 * Surrounding white space is not part of a link; case does not matter.
 */
WEFT_MUST_CHECK
int blobs_link_parse(const char *text, struct link *out_link);
/*
 * blobs_link_write writes a NUL-terminated link; returns text. The last addresses for which a node's
 * relays leave no room are left out.
 */
char *blobs_link_write(const struct link *link, char text[static LINK_TEXT_CAP]);

#endif

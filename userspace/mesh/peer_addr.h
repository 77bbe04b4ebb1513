/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_PEER_ADDR_H
#define WEFT_MESH_PEER_ADDR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "codec/cbor.h"
#include "mesh/seam.h"

/*
 * Where a peer says it, or another, may be reached: the CBOR map
 * {0: ip, 1: port, 2: transport, 3: key, 4: {0: relay's address, 1: slot},
 * 5: url}. An ip and a port are there unless the transport is a relay's
 * url. A relay is reached directly: its address holds no field 4.
 */
enum mesh_addr_transport {
	MESH_ADDR_QUIC = 0,
	MESH_ADDR_TCP = 1,
	MESH_ADDR_RELAY_URL = 2,
};

#define MESH_URL_CAP 129

struct mesh_addr_hop {
	struct addr addr; /* family ADDR_NONE with MESH_ADDR_RELAY_URL */
	enum mesh_addr_transport transport;
	bool has_key;
	uint8_t key[MESH_KEY_LEN];
	char url[MESH_URL_CAP]; /* "" unless MESH_ADDR_RELAY_URL */
};

struct mesh_peer_addr {
	struct mesh_addr_hop peer;
	bool has_relay;
	struct mesh_addr_hop relay;
	uint64_t relay_slot;
};

/* mesh_peer_addr_read: errors are sticky in r. */
void mesh_peer_addr_read(struct cbor_reader *r, struct mesh_peer_addr *out_addr);
void mesh_peer_addr_write(struct writer *w, const struct mesh_peer_addr *addr);
/* mesh_peer_addr_of: addr, spoken to directly over QUIC. */
struct mesh_peer_addr mesh_peer_addr_of(const struct addr *addr);
/* mesh_peer_addr_is_direct: a QUIC address one can dial without a relay. */
bool mesh_peer_addr_is_direct(const struct mesh_peer_addr *addr);

/*
 * mesh_peer_addrs_{read,write}: an array of at most MESH_PEER_ADDRS_MAX.
 * Reading keeps the direct ones in addrs and says how many; a longer array
 * is an error.
 */
unsigned mesh_peer_addrs_read(struct cbor_reader *r, struct addr addrs[static MESH_PEER_ADDRS_MAX]);
void mesh_peer_addrs_write(struct writer *w, const struct addr *addrs, unsigned cnt);

#endif

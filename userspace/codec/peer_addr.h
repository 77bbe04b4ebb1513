/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CODEC_PEER_ADDR_H
#define WEFT_CODEC_PEER_ADDR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "codec/cbor.h"

/*
 * The address where a peer may be reached, as it or another peer says. It
 * is the CBOR map {0: ip, 1: port, 2: transport, 3: key, 4: {0: relay's
 * address, 1: slot}, 5: url}. An ip and a port are there unless the
 * transport is a relay's url. A relay is reached directly: its address
 * holds no field 4.
 */
enum peer_addr_transport {
	PEER_ADDR_QUIC = 0,
	PEER_ADDR_TCP = 1,
	PEER_ADDR_RELAY_URL = 2,
};

#define PEER_ADDRS_MAX	  8 /* in a list */
#define PEER_ADDR_KEY_LEN 32
#define PEER_ADDR_URL_CAP 129

struct peer_addr_hop {
	struct addr addr; /* family ADDR_NONE with PEER_ADDR_RELAY_URL */
	enum peer_addr_transport transport;
	bool has_key;
	uint8_t key[PEER_ADDR_KEY_LEN];
	char url[PEER_ADDR_URL_CAP]; /* "" unless PEER_ADDR_RELAY_URL */
};

struct peer_addr {
	struct peer_addr_hop peer;
	bool has_relay;
	struct peer_addr_hop relay;
	uint64_t relay_slot;
};

/*
 * A relay through which a node is reached, as the node's own statements name it: the relay's key and
 * its address of QUIC.
 */
#define PEER_VIAS_MAX 2
struct peer_via {
	uint8_t key[PEER_ADDR_KEY_LEN];
	struct addr addr;
};
bool peer_vias_equal(const struct peer_via *a, unsigned a_cnt, const struct peer_via *b,
		     unsigned b_cnt);

/*
 * Where a node is, as its own statements say. On the wire this is one array of at most
 * PEER_ADDRS_MAX. A relay is an address with field 4, whose own ip and port are the relay's: what is
 * for the node goes there.
 */
struct peer_places {
	struct addr addrs[PEER_ADDRS_MAX]; /* that can be dialled directly */
	struct peer_via vias[PEER_VIAS_MAX];
	unsigned addr_cnt, via_cnt;
};
bool peer_places_equal(const struct peer_places *a, const struct peer_places *b);
/*
 * peer_places_hold: a record that names said is good enough where now is true. The addresses are the
 * same, and one of its relays is one still, or there is none in either.
 */
bool peer_places_hold(const struct peer_places *said, const struct peer_places *now);

/* peer_addr_read: errors are sticky in r. */
void peer_addr_read(struct cbor_reader *r, struct peer_addr *out_addr);
void peer_addr_write(struct writer *w, const struct peer_addr *addr);
/* peer_addr_of: addr, spoken to directly: over QUIC, or TCP where addr says so. */
struct peer_addr peer_addr_of(const struct addr *addr);
/* peer_addr_is_direct: an address of QUIC or TCP that one can dial without a relay. */
bool peer_addr_is_direct(const struct peer_addr *addr);

/*
 * peer_addrs_{read,write}: an array of at most PEER_ADDRS_MAX.
 * Reading keeps the direct ones in addrs and says how many; a longer array
 * is an error.
 */
unsigned peer_addrs_read(struct cbor_reader *r, struct addr addrs[static PEER_ADDRS_MAX]);
void peer_addrs_write(struct writer *w, const struct addr *addrs, unsigned cnt);
/*
 * peer_places_{read,write}: likewise with relays. Writing leaves out the last addresses for which the
 * relays leave no room.
 */
void peer_places_read(struct cbor_reader *r, struct peer_places *out_places);
void peer_places_write(struct writer *w, const struct peer_places *places);

#endif

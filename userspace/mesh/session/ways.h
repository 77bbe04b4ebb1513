/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_SESSION_WAYS_H
#define WEFT_MESH_SESSION_WAYS_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "weft/err.h"

/*
 * The transports by which this node dials, first to last, on each kind of network. A transport that
 * the policy does not name there is not dialled; peers may come by any of them. Pure.
 *
 * A policy is written as words apart by commas or blanks: quic6, quic4, or quic for both, as
 * equals. tcp6, tcp4 and tcp are likewise; relay and websocket are of the Internet alone. Words of one rank keep
 * the order in which the addresses were given. none: nothing is dialled.
 */
enum mesh_network { /* where an address is, as far as it shows (addr_is_global) */
		    MESH_NETWORK_INTERNET, /* and flows through relays */
		    MESH_NETWORK_LAN,	   /* private, link-local, loopback */
		    MESH_NETWORK_CNT,
};

enum mesh_way {
	MESH_WAY_QUIC4,
	MESH_WAY_QUIC6,
	MESH_WAY_TCP4,
	MESH_WAY_TCP6,
	MESH_WAY_RELAY,	    /* through a flow of a relay */
	MESH_WAY_WEBSOCKET, /* through a relay over WebSocket */
	MESH_WAY_CNT,
	MESH_WAY_LINE =
		MESH_WAY_CNT, /* over a line: no policy names it, what is configured is dialled */
};

/* The policy of one network: ranks from 1 on, 0: not dialled. */
struct mesh_ways {
	uint8_t ranks[MESH_WAY_CNT];
};

#define MESH_WAYS_TEXT_CAP 72

enum mesh_network mesh_network_of(const struct addr *addr);
const char *mesh_network_name(enum mesh_network network);
enum mesh_way mesh_way_of(const struct addr *addr);
const char *mesh_way_name(enum mesh_way way);

/* mesh_ways_rank: that of addr by the policies of all networks; 0: it is not to be dialled. A line is last. */
unsigned mesh_ways_rank(const struct mesh_ways ways[static MESH_NETWORK_CNT],
			const struct addr *addr);

/*
 * mesh_ways_parse: 0; WEFT_EMALFORMED: a word is none, or there twice, or none at all. *out_word (len *out_len) is the word at fault.
 */
WEFT_MUST_CHECK
int mesh_ways_parse(const char *text, struct mesh_ways *out_ways, const char **out_word,
		    size_t *out_len);
/* mesh_ways_format writes the text that parse reads; returns text. */
char *mesh_ways_format(const struct mesh_ways *ways, char text[static MESH_WAYS_TEXT_CAP]);

#endif

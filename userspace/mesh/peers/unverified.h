/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_PEERS_UNVERIFIED_H
#define WEFT_MESH_PEERS_UNVERIFIED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

/*
 * Dials at addresses that unknown peers named and this node has not proved. An unknown peer may
 * name any address, so that this node sends to a victim. Such a dial is of
 * MESH_UNVERIFIED_DGRAM_MAX datagrams at most. An address gets one such dial an hour, a network
 * a few a minute, and all together a few more. An address without a meaning beyond its site
 * (addr_is_global) counts with its port. Its network has no share of its own: a peer that names
 * it must be of that site.
 *
 * A silent address is no proof that no node is there: the network may have been cut. So it is asked
 * by STUN while a dial waits, with 20 bytes. One that answers is dialled again, a few times an hour.
 * A third party's STUN server gets those dials as well, and no other host. So is an address at a host
 * that was silent at another port. A NAT has many nodes at one host, and one of them may be down. The
 * first such question counts as a dial in its minute.
 *
 * Unknown peers can use up what there is for a minute. An honest peer then waits that long for a
 * dial at an address that is new, and no longer once it was reached there. Pure; home worker.
 */
#define MESH_UNVERIFIED_DGRAM_MAX	3
#define MESH_UNVERIFIED_PER_MIN		32
#define MESH_UNVERIFIED_NETWORK_PER_MIN 4 /* IPv4 /24, IPv6 /56 */
#define MESH_UNVERIFIED_HOUR_NS		(3600ull * 1000 * 1000 * 1000)
#define MESH_UNVERIFIED_MIN_NS		(60ull * 1000 * 1000 * 1000)
#define MESH_UNVERIFIED_ASK_NS		(2ull * 1000 * 1000 * 1000) /* from one question to the next */
#define MESH_UNVERIFIED_ASKS_MAX                                                                   \
	16 /* questions of an address that was never dialled, in its hour */
#define MESH_UNVERIFIED_AGAIN_NS  (4ull * 1000 * 1000 * 1000) /* from one dial to the next */
#define MESH_UNVERIFIED_AGAIN_MAX 8 /* dials of a silent address in an hour, that answers by STUN */
#define MESH_UNVERIFIED_CAP                                                                        \
	(60 * MESH_UNVERIFIED_PER_MIN) /* those of an hour, so none is forgotten early */

struct mesh_unverified {
	struct mesh_unverified_dial {
		struct addr addr;
		uint64_t at_ns;
		uint64_t asked_ns; /* by STUN, last; 0: not */
		uint64_t there_ns; /* it answered that; 0: it did not */
		bool is_answered;
		bool is_question;  /* it was not dialled by QUIC */
		uint8_t asked_cnt; /* of a question */
	} dials[MESH_UNVERIFIED_CAP];
	uint32_t next_idx, cnt;
	uint64_t refused_cnt;
};

/* mesh_unverified_take: a dial at addr begins now. False: it may not; nothing was noted but the refusal. */
bool mesh_unverified_take(struct mesh_unverified *unverified, const struct addr *addr,
			  uint64_t now_ns);
/*
 * mesh_unverified_take_web: as mesh_unverified_take, of a WebSocket at addr, of transport ADDR_TCP. A host gets
 * one an hour until it answered. Its silence bars no dial by QUIC.
 */
bool mesh_unverified_take_web(struct mesh_unverified *unverified, const struct addr *addr,
			      uint64_t now_ns);
/*
 * mesh_unverified_answered: the program at addr showed a key, and so is no victim. The dial
 * there does not count against the next one, the one for this key. It still counts in its
 * minute.
 */
void mesh_unverified_answered(struct mesh_unverified *unverified, const struct addr *addr);
/*
 * mesh_unverified_ask: addr, which may not be dialled because it was silent, is asked by STUN now.
 * False: it was asked a moment ago, or is not dialled for another reason.
 */
bool mesh_unverified_ask(struct mesh_unverified *unverified, const struct addr *addr,
			 uint64_t now_ns);
/* mesh_unverified_there: addr answered that. */
void mesh_unverified_there(struct mesh_unverified *unverified, const struct addr *addr,
			   uint64_t now_ns);
/* mesh_unverified_recent: dials of the last minute. */
uint32_t mesh_unverified_recent(const struct mesh_unverified *unverified, uint64_t now_ns);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BUILTIN_PUNCH_SERVICE_H
#define WEFT_BUILTIN_PUNCH_SERVICE_H

#include "base/fair/fair.h"
#include "base/memory/pool.h"
#include "builtin.h"
#include "builtin_quota.h"
#include "builtin_request.h"

/*
 * The service hole-punch: this node begins a round of hole punching for its session with the caller. It
 * does so whichever of both dialled. The caller may name addresses that its node does not know, such as
 * a port that was forwarded by hand.
 *
 * Each peer has one punch at most. It has a place of PUNCH_SERVICE_MAX, for PUNCH_SERVICE_NS from its
 * beginning. Keys are free, so the places are shared by network (base/fair/fair.h), and the beginnings of a
 * minute are counted by peer and by network. When all places are taken, a caller from a network with
 * fewer takes the place of another's punch, whose round ends. Else the call is refused. What the round
 * sends to an address is bounded by punch/punch.h, for all rounds together. Home worker.
 */
#define PUNCH_SERVICE_MAX	  16u
#define PUNCH_SERVICE_NS	  60000000000ull
#define PUNCH_SERVICE_PER_MIN	  6u  /* of a peer */
#define PUNCH_SERVICE_NETWORK_MIN 24u /* of a network, a minute */
#define PUNCH_ID_LEN		  8u

struct punch_service {
	struct builtin_punch punch;
	struct random *random;
	struct pool punches;
	struct fair places; /* of punches */
	struct quota by_peer, by_network;
};

WEFT_MUST_CHECK
int builtin_punch_init(struct punch_service *service, struct arena *arena,
		       const struct builtin_punch *punch, struct random *random);
/* builtin_punch_service_places: which networks have the places of punches. */
void builtin_punch_service_places(const struct punch_service *service, struct fair_view *out);

extern const struct request_method builtin_punch_methods[]; /* ctx: struct punch_service */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BUILTIN_DHT_SERVICE_H
#define WEFT_BUILTIN_DHT_SERVICE_H

#include "base/fair/fair.h"
#include "base/memory/pool.h"
#include "builtin.h"
#include "builtin_request.h"

/*
 * The service dht: the Mainline DHT for peers that cannot speak to it themselves. FindNode
 * answers with the nodes that this node knows. FindValue and Store start a lookup, which is a
 * unit of the caller's work each.
 *
 * A lookup has a place of DHT_SERVICE_LOOKUP_MAX until it ends, DHT_SERVICE_LOOKUP_NS at most.
 * Keys are free, so the places are shared by network (base/fair/fair.h). When all are taken, a
 * caller from a network with fewer lookups takes the place of another lookup. That is the oldest
 * of the network with most. Else the call is refused. Home worker.
 */
#define DHT_SERVICE_LOOKUP_MAX 32u
#define DHT_SERVICE_LOOKUP_NS  10000000000ull
#define DHT_SERVICE_NODES_MAX  8u

struct dht_service {
	struct builtin_dht dht;
	struct pool searches;
	struct fair places; /* of searches */
	uint64_t now_ns;    /* of the last call, or end of a search */
};

WEFT_MUST_CHECK
int builtin_dht_init(struct dht_service *service, struct arena *arena,
		     const struct builtin_dht *dht, struct random *random);
/* builtin_dht_service_places: which networks have the places of searches. */
void builtin_dht_service_places(const struct dht_service *service, struct fair_view *out);
/* builtin_dht_fini ends all searches, untold. */
void builtin_dht_fini(struct dht_service *service);
/* builtin_dht_forget: the call is gone; ctx is a struct dht_service. */
void builtin_dht_forget(void *ctx, const struct service_call *call);

extern const struct request_method builtin_dht_methods[]; /* ctx: struct dht_service */

#endif

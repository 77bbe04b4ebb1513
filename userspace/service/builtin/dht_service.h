/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_BUILTIN_DHT_SERVICE_H
#define WEFT_SERVICE_BUILTIN_DHT_SERVICE_H

#include "base/pool.h"
#include "service/builtin/builtin.h"
#include "service/builtin/request.h"

/*
 * The service dht: the Mainline DHT for peers that cannot speak to it
 * themselves. FindNode tells of the nodes that this node knows; FindValue
 * and Store search, which is a unit of the caller's work each.
 *
 * A search has a place of DHT_SERVICE_SEARCH_MAX until it ends, DHT_SERVICE_SEARCH_NS at most.
 * A caller has DHT_SERVICE_CALLER_MAX of them; where all are taken the call is
 * answered SERVICE_RATE_LIMITED, as is one more of such a caller. Home worker.
 */
#define DHT_SERVICE_SEARCH_MAX 32u
#define DHT_SERVICE_CALLER_MAX 4u
#define DHT_SERVICE_SEARCH_NS  10000000000ull
#define DHT_SERVICE_NODES_MAX  8u

struct dht_service {
	struct builtin_dht dht;
	struct pool searches;
};

size_t dht_service_footprint(void);
WEFT_MUST_CHECK
int dht_service_init(struct dht_service *service, struct arena *arena,
		     const struct builtin_dht *dht);
/* dht_service_fini ends all searches, untold. */
void dht_service_fini(struct dht_service *service);
/* dht_service_forget: the call is gone; ctx is a struct dht_service. */
void dht_service_forget(void *ctx, const struct service_call *call);

extern const struct request_method dht_service_methods[]; /* ctx: struct dht_service */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_ENDPOINT_ENDPOINTS_H
#define WEFT_PROVIDER_ENDPOINT_ENDPOINTS_H

#include "base/fair/fair_path.h"
#include "base/memory/pool.h"
#include "provider/endpoint/program_endpoint.h"

struct arena;

/* Private to provider/: all endpoints of a node. */
struct endpoint {
	struct provider *provider;
	struct service_offer *offer;
	struct list_node waiting; /* streams, oldest first */
	struct fair_places places;
	uint32_t user;
	uint32_t stream_cnt; /* of its offer, those that wait included */
	bool is_open;	     /* false: its last streams go on */
	bool is_used;
	endpoint_ready_fn ready;
	void *arg;
	char name[SERVICE_NAME_LEN_MAX + 1]; /* of the service */
};

struct endpoints {
	struct endpoint slots[ENDPOINT_MAX];
	struct pool streams;
	struct fair_places places; /* of callers' streams */
	uint32_t asked_cnt;
	uint64_t refused_cnt;
};

WEFT_MUST_CHECK
int provider_endpoints_init(struct provider *provider, struct arena *arena);
/* provider_endpoints_end closes all sockets and endpoints; nothing is told. */
void provider_endpoints_end(struct provider *provider, uint64_t now_ns);

#endif

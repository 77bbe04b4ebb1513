/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_SERVICE_STATE_H
#define WEFT_SERVICE_SERVICE_STATE_H

#include "base/memory/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "service/limits/askers.h"
#include "service/body.h"
#include "service/call_head.h"
#include "service/limits/callers.h"
#include "service/incoming/idempotency.h"
#include "service/service_registry.h"
#include "service/incoming/routes.h"
#include "service/service.h"
#include "service/topics/topics.h"

/*
 * The objects of the fabric's calls, private to service/.
 *
 *	offers	  service_registry.c	what this node provides
 *	callers	  callers.c	peers with their rates, and each with each offer
 *	calls	  router.c	calls and openings of streams in hand, of peers and local
 *	kept	  idempotency.c	answers kept for their idempotency key
 *	asks	  call_client.c	calls and openings of this node under way
 *	routes	  routes.c	how a service at a provider fared; queues for providers
 *	topics	  topics.c	histories of events, and their subscribers
 *	channels  service_channel.c	streams; each belongs to a call or an ask, which has
 *				the mesh's stream
 *
 * A call or ask without a stream of the mesh is of this very node: each then has the other.
 */
struct service {
	struct service_config config;
	struct service_params params;
	uint8_t own_key[MESH_KEY_LEN];
	uint64_t now_ns; /* of the last turn that did something here */
	bool is_draining;
	struct arena arena;
	struct heap *heap;
	struct service_registry registry;
	struct service_callers callers;
	struct pool calls;
	uint32_t peer_call_cnt;	      /* of those */
	struct service_memory memory; /* the holders of call bodies */
	struct map calls_by_id;	      /* of a caller and correlation, while in hand */
	struct service_idempotency idempotent;
	struct pool asks;
	uint32_t pending_cnt;	      /* asks not answered yet */
	struct service_askers askers; /* shares the places of asks */
	uint32_t hedge_call_cnt,
		hedge_cnt;	   /* of the last 100 calls that might: those that went on */
	struct list_node answered; /* asks whose stream is all that is left of them */
	struct service_routes routes;
	struct pool channels;
	struct service_topics topics;
	struct service_stats stats;
	/* Frames are written here; valid for a turn. */
	uint8_t scratch[MESH_STREAM_HEAD_LEN_MAX];
};

static inline const struct service_limits *service_limits_of(const struct service *service)
{
	return &service->config.limits;
}

static inline uint64_t service_wall_ms(const struct service *service)
{
	return service->params.wall_ms ? service->params.wall_ms(service->params.ctx) : 0;
}

/* service_named_value finds name in a list as "mesh-stats:3 echo:1000"; 0: it is not there. */
uint64_t service_named_value(const char *list, const char *name);
/* service_tell_violation: peer broke a rule; this node itself never does. */
void service_tell_violation(struct service *service, const uint8_t *key, const char *why,
			    uint64_t now_ns);
void service_tell(struct service *service, const struct service_event *event, uint64_t now_ns);
/* service_call_note: call, which was admitted, ended with status; counted by its method, once. */
void service_call_note(struct service_call *call, enum service_status status, uint64_t now_ns);
/* service_count adds a call that took took_ns. */
void service_count(struct service_counts *counts, enum service_status status, uint64_t took_ns);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_BUILTIN_BUILTIN_H
#define WEFT_SERVICE_BUILTIN_BUILTIN_H

#include <stddef.h>
#include <stdint.h>

#include "mesh/seam_overlay.h"
#include "weft/err.h"

struct node_key;
struct random;
struct service;
struct store;
struct timer_wheel;

/*
 * The services that a node offers of itself, made of nothing but what
 * service/service.h gives to every provider; docs/builtin.md tells their methods.
 *
 *	echo		what is sent comes back: tests, and measuring
 *	pod-chat	rooms with members, and the messages in them
 *	shadow-index	who has which recording, by its MusicBrainz id
 *	mesh-stats	how the node is doing, in numbers that name nobody
 *
 * Home worker.
 */
struct builtin;

enum builtin_service {
	BUILTIN_ECHO,
	BUILTIN_POD_CHAT,
	BUILTIN_SHADOW_INDEX,
	BUILTIN_MESH_STATS,
	BUILTIN_CNT,
};
const char *builtin_name(enum builtin_service which);

struct builtin_config {
	uint32_t offered;	  /* a bit for each enum builtin_service */
	uint32_t pod_cnt;	  /* at most */
	uint32_t pod_message_cnt; /* kept of each pod, at most */
	uint32_t pod_days; /* a message is kept, unless its pod says otherwise; 0: in memory only */
	size_t pod_memory_len; /* of messages, all together */
	uint32_t track_cnt;    /* registrations in the shadow index, at most */
};
/* builtin_config_defaults: all but echo. */
void builtin_config_defaults(struct builtin_config *config);
/* builtin_footprint: bytes at worst. */
size_t builtin_footprint(const struct builtin_config *config);

struct builtin_clock {
	uint64_t (*now_ns)(void *ctx);	/* of the turn */
	uint64_t (*wall_ms)(void *ctx); /* since 1970 */
	void *ctx;
};

/* What mesh-stats tells: counts alone, so that nothing in it can name anybody. */
struct builtin_mesh_status {
	uint64_t uptime_s;
	uint64_t session_cnt;
	uint64_t call_cnt;    /* that services of this node were asked */
	uint64_t refused_cnt; /* of those */
	uint64_t offer_cnt;   /* services offered here */
	uint64_t bytes_in, bytes_out;
};
struct builtin_peers_summary {
	uint64_t known_cnt;
	uint64_t connected_cnt;
	uint64_t banned_cnt;
	uint64_t rtt_median_us; /* of those connected; 0: none is */
};
struct builtin_figures {
	void (*mesh_status)(void *ctx, struct builtin_mesh_status *out_status);
	void (*peers_summary)(void *ctx, struct builtin_peers_summary *out_summary);
	void *ctx;
};

struct builtin_params {
	struct builtin_config config;
	struct service *service;
	struct store *store;
	struct timer_wheel *timers;
	struct random *random;
	struct builtin_clock clock;
	struct builtin_figures figures;
	const struct node_key *key; /* the node's; outlives builtin */
	struct overlay_seam
		overlay; /* ops NULL: the shadow index is this node's alone; outlives it */
	uint64_t now_ns;
};
/*
 * builtin_new reads what was kept and offers. 0, -errno or WEFT_E..., as
 * store_each and service_offer. builtin_free withdraws and waits until what was
 * submitted is durable; service and store are still there.
 */
WEFT_MUST_CHECK
int builtin_new(const struct builtin_params *params, struct builtin **out_builtin);
void builtin_free(struct builtin *builtin, uint64_t now_ns);
/* builtin_hurry: the overlay is there now, or more of it: what is published goes there soon. */
void builtin_hurry(struct builtin *builtin, uint64_t now_ns);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BUILTIN_TUNNELS_PRIVATE_GATEWAY_H
#define WEFT_BUILTIN_TUNNELS_PRIVATE_GATEWAY_H

#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "builtin/builtin.h"
#include "builtin/tunnels/forward_allow.h"
#include "provider/tenant/tenant.h"

struct heap;

/*
 * The service private-gateway: streams of method OpenTunnel, whose head is ADDRESS:PORT, joined to
 * a TCP connection to that server. An empty message says that the server was reached. Only what
 * forward.allow lists is dialled; without a list there is no such service.
 *
 * The nodes that the list names can fill it, and no others. Each has two tunnels at most, and
 * all have five; a member that holds its two leaves three for the other two. A minute's new ones are
 * counted together, so a member that opens and closes makes the others wait a minute. They are told
 * so. What a server or a peer does not read waits in memory of the gateway's own.
 */
#define TUNNEL_MAX	    5
#define TUNNEL_PER_PEER_MAX 2
#define TUNNEL_PER_MIN	    5
#define TUNNEL_MEMORY_LEN   (16 * 1024 * 1024)

struct private_gateway {
	struct forward_allow allow;
	struct builtin_forward_config config;
	struct provider_tenant *tenant;
	bool (*is_member)(void *ctx, const uint8_t *community, const uint8_t *key);
	void *ctx;
	struct service_offer *offer;
	struct pool tunnels;
	struct heap *memory;
	uint64_t began_ns[TUNNEL_PER_MIN]; /* of the latest tunnels; 0: none */
	unsigned began_idx;		   /* the oldest */
	uint64_t refused_cnt;
};

/* builtin_gateway_declare: the capabilities that it uses. */
void builtin_gateway_declare(const struct builtin_config *config, struct provider_declaration *out);
/* builtin_gateway_init: 0 or WEFT_E...; without a list nothing is laid out and offered. */
WEFT_MUST_CHECK
int builtin_gateway_init(struct private_gateway *gateway, struct arena *arena,
			 const struct builtin_params *params, struct provider_tenant *tenant);
/* builtin_gateway_offer: after init, once. */
WEFT_MUST_CHECK
int builtin_gateway_offer(struct private_gateway *gateway, struct service *service,
			  uint64_t now_ns);
/* builtin_gateway_fini withdraws it and closes all connections. */
void builtin_gateway_fini(struct private_gateway *gateway, uint64_t now_ns);
void builtin_gateway_fills(const struct private_gateway *gateway, uint64_t now_ns,
			   struct builtin_tunnels *out);
extern const struct service_handler builtin_gateway_handler;

#endif

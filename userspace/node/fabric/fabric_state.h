/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_FABRIC_STATE_H
#define WEFT_NODE_FABRIC_STATE_H

#include "locate/rendezvous_point.h"
#include "node/fabric/fabric.h"

/* Private to fabric*.c. */
struct fabric {
	struct node *node;
	struct overlay *overlay;
	enum overlay_keepers keepers; /* in the last turn */
	struct relay_find *relay_find;
	bool is_relay_offered; /* in the last turn */
	struct mesh_pex *pex;
	struct locate_rendezvous_point meeting;
	struct service_reputation *reputation;
	struct service_directory *directory;
	struct service_publisher *publisher;
	struct service *service;
	struct provider_tenants *tenants;
	struct builtin *builtin;
	struct provider *provider; /* NULL: simulated */
};

/* fabric_events.c: what the parts tell and ask; ctx is the fabric. */
bool node_fabric_is_banned(void *ctx, const uint8_t *key);
void node_fabric_on_ban(void *ctx, const uint8_t key[MESH_KEY_LEN], uint64_t until_s,
			const char *reason, uint64_t now_ns);
void node_fabric_on_violation(void *ctx, const uint8_t key[MESH_KEY_LEN], const char *why,
			      uint64_t now_ns);
void node_fabric_on_abuse(void *ctx, const struct service_abuse_event *event, uint64_t now_ns);
void node_fabric_on_event(void *ctx, const struct service_event *event, uint64_t now_ns);
void node_fabric_on_access(void *ctx, const struct service_access_record *record, uint64_t now_ns);
void node_fabric_on_provider(void *ctx, const struct provider_event *event, uint64_t now_ns);

/* fabric_relays.c: offer: the addresses or what follows from them changed; turn sees the rest itself. */
WEFT_MUST_CHECK
int node_fabric_open_relays(struct fabric *fabric);
void node_fabric_offer_relay(struct fabric *fabric, uint64_t now_ns);
void node_fabric_turn_relays(struct fabric *fabric, uint64_t now_ns);

/* fabric_dht.c: the Mainline DHT for the service dht. */
struct builtin_dht node_fabric_builtin_dht(struct fabric *fabric);
/* fabric_content.c: what this node serves, for the service mesh-content. */
struct builtin_content node_fabric_builtin_content(struct fabric *fabric);
/* fabric_punch.c: hole punching, for the service hole-punch. */
struct builtin_punch node_fabric_builtin_punch(struct fabric *fabric);

#endif

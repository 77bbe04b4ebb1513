/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_FABRIC_STATE_H
#define WEFT_NODE_FABRIC_STATE_H

#include "dht/dht.h"
#include "mesh/peers/rendezvous.h"
#include "node/fabric/fabric.h"

/* Private to fabric*.c. */
struct fabric {
	struct node *node;
	struct overlay *overlay;
	enum overlay_keepers keepers; /* in the last turn */
	struct mesh_pex *pex;
	struct mesh_rendezvous *rendezvous; /* NULL: not wanted */
	dht_handle announce, find;	    /* of it, 0: none is under way */
	struct service_reputation *reputation;
	struct service_directory *directory;
	struct service_publisher *publisher;
	struct service *service;
	struct builtin *builtin;
	struct provider *provider; /* NULL: simulated */
	uint64_t access_salt[2];   /* of callers in the access log, until a restart */
	bool has_access_salt;
	uint64_t access_cnt; /* of records in mode sampled */
};

/* fabric_rendezvous.c: open once the DHT is there; stop before it goes, which takes half of one. */
WEFT_MUST_CHECK
int node_fabric_open_rendezvous(struct fabric *fabric);
void node_fabric_stop_rendezvous(struct fabric *fabric);

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
void node_fabric_on_unpublished(struct fabric *fabric, const struct service_offering *offering);

/* fabric_figures.c: what mesh-stats tells; counts alone. */
void node_fabric_mesh_status(void *ctx, struct builtin_mesh_status *out_status);
void node_fabric_peers_summary(void *ctx, struct builtin_peers_summary *out_summary);

/* fabric_dht.c: the Mainline DHT for the service dht. */
struct builtin_dht node_fabric_builtin_dht(struct fabric *fabric);
/* fabric_content.c: what this node serves, for the service mesh-content. */
struct builtin_content node_fabric_builtin_content(struct fabric *fabric);

#endif

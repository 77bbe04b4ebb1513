/* SPDX-License-Identifier: Apache-2.0 */
/* The node's functions for discovery on the LAN (lan/lan_discovery.h). */
#include <string.h>

#include "blobs/blobs.h"
#include "lan/lan.h"
#include "lan/lan_discovery.h"
#include "mesh/mesh.h"
#include "node/fabric/fabric.h"
#include "node/node_state.h"
#include "node/sharing/sharing_state.h"
#include "offers/service_offers.h"

static struct mesh *mesh_of(void *ctx)
{
	return ((struct sharing *)ctx)->node->home->mesh;
}

static uint32_t on_caps(void *ctx)
{
	return mesh_caps(mesh_of(ctx));
}

/* Of services that share an id, the shipped schema names them all, as the capabilities do. */
static bool on_services(void *ctx, uint64_t *version, struct lan_services *out)
{
	struct service_offers *offers = ((struct sharing *)ctx)->node->offers;
	const struct service_caps *caps =
		offers ? offers_relays_own(offers_service_relays(offers)) : NULL;
	uint64_t now_version = caps ? caps->made_s : 0;

	if (now_version == *version)
		return false;
	*version = now_version;
	out->cnt = 0;
	for (unsigned i = 0; caps && i < caps->row_cnt && out->cnt < LAN_SERVICES_MAX; i++) {
		const struct schema *schema = offers_schema_registry_lookup(
			offers_registry(offers), caps->rows[i].service, NULL, 0);

		if (schema && strlen(schema->name) < LAN_SERVICE_CAP)
			memcpy(out->names[out->cnt++], schema->name, strlen(schema->name) + 1);
	}
	return true;
}

static void on_relays(void *ctx, const uint8_t key[static MESH_KEY_LEN], uint64_t now_ns)
{
	struct service_offers *offers = ((struct sharing *)ctx)->node->offers;

	if (offers)
		offers_relays_found(offers_service_relays(offers), key, now_ns);
}

static bool on_has_session(void *ctx, const uint8_t key[static MESH_KEY_LEN])
{
	uint8_t session[MESH_SESSION_ID_LEN];

	return mesh_session_id(mesh_of(ctx), key, session) == 0;
}

static int on_dial(void *ctx, const struct mesh_peer *peer, uint64_t timeout_ns,
		   mesh_connect_fn done, void *arg)
{
	const struct node *node = ((struct sharing *)ctx)->node;

	return mesh_connect(
		node->home->mesh,
		&(struct mesh_connect){
			.peer = peer, .timeout_ns = timeout_ns, .done = done, .arg = arg},
		node->home->now_ns);
}

static void on_proven(void *ctx, const struct mesh_peer *peer, uint64_t now_ns)
{
	struct sharing *sharing = ctx;

	if (sharing->node->fabric)
		overlay_know(node_fabric_overlay(sharing->node->fabric), peer, now_ns);
}

int node_sharing_open_lan(struct sharing *sharing)
{
	struct node *node = sharing->node;
	const struct lan_discovery_params params = {
		.config = node->config->sharing.lan,
		.poller = node->home->poller,
		.random = node->random,
		.own_key = node_key_public(node->key),
		.port = node->home->bound[0].port,
		.now_ns = node->home->now_ns,
		.caps = on_caps,
		.services = on_services,
		.relays = on_relays,
		.has_session = on_has_session,
		.dial = on_dial,
		.proven = on_proven,
		.ctx = sharing,
	};
	struct swarm_finder finder;
	int err;

	/* The simulator has no LAN. */
	if (node->home->is_simulated)
		return 0;
	if ((err = lan_discovery_new(&params, &sharing->lan)) < 0)
		return err;
	finder = lan_discovery_finder(sharing->lan);
	return blobs_add_finder(node->home->content, &finder);
}

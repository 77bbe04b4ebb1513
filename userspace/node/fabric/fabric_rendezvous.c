/* SPDX-License-Identifier: Apache-2.0 */
/* The Mainline DHT as the place where nodes that know nobody find each other. */
#include "crypto/sha1.h"
#include "dht/dht.h"
#include "node/fabric/fabric_state.h"
#include "node/node_state.h"

static struct kad_id place_hash(void)
{
	struct kad_id hash;

	sha1(MESH_RENDEZVOUS_NAME, strlen(MESH_RENDEZVOUS_NAME), hash.bytes);
	return hash;
}

static void announce_ended(void *ctx, const struct dht_outcome *outcome)
{
	struct fabric *fabric = ctx;

	(void)outcome;
	fabric->announce = 0;
}

static bool place_announce(void *ctx, uint64_t now_ns)
{
	struct fabric *fabric = ctx;
	struct dht *dht = fabric->node->locate.dht;
	const struct dht_announce_params params = {.info_hash = place_hash()};
	const struct dht_asker asker = {.ended = announce_ended, .ctx = fabric};

	if (!dht || fabric->announce)
		return false;
	fabric->announce = dht_announce(dht, &params, &asker, now_ns);
	return fabric->announce != 0;
}

static void scope_widen(void *ctx, unsigned bucket, const struct kad_node *node)
{
	enum kad_addr_scope *widest = ctx, addr_scope = kad_addr_scope_of(&node->contact.addr);

	(void)bucket;
	if (addr_scope > *widest)
		*widest = addr_scope;
}

/* How far the DHT reaches that we are in: the Internet, or a network of its own. */
static enum kad_addr_scope dht_scope(const struct dht *dht)
{
	enum kad_addr_scope widest = KAD_ADDR_SCOPE_NONE;

	dht_nodes_each(dht, DHT_NET_IPV4, scope_widen, &widest);
	dht_nodes_each(dht, DHT_NET_IPV6, scope_widen, &widest);
	return widest;
}

static void find_heard(void *ctx, const struct addr *addrs, unsigned cnt)
{
	struct fabric *fabric = ctx;

	mesh_rendezvous_hear(fabric->rendezvous, addrs, cnt, dht_scope(fabric->node->locate.dht));
}

static void find_ended(void *ctx, const struct dht_outcome *outcome)
{
	struct fabric *fabric = ctx;

	(void)outcome;
	fabric->find = 0;
}

static bool place_find(void *ctx, uint64_t now_ns)
{
	struct fabric *fabric = ctx;
	struct dht *dht = fabric->node->locate.dht;
	const struct kad_id hash = place_hash();
	const struct dht_asker asker = {.peers = find_heard, .ended = find_ended, .ctx = fabric};

	if (!dht || fabric->find)
		return false;
	fabric->find = dht_peers(dht, &hash, &asker, now_ns);
	return fabric->find != 0;
}

static void peer_found(void *ctx, const struct mesh_peer *peer, uint64_t now_ns)
{
	struct fabric *fabric = ctx;

	overlay_know(fabric->overlay, peer, now_ns);
}

int node_fabric_open_rendezvous(struct fabric *fabric)
{
	const struct mesh_rendezvous_params params = {
		.mesh = fabric->node->home.mesh,
		.place = {place_announce, place_find, fabric},
		.found = peer_found,
		.ctx = fabric,
		.now_ns = fabric->node->home.now_ns,
	};

	if (!fabric->node->config->fabric.has_rendezvous)
		return 0;
	return mesh_rendezvous_new(&params, &fabric->rendezvous);
}

void node_fabric_stop_rendezvous(struct fabric *fabric)
{
	struct dht *dht = fabric->node->locate.dht;

	if (dht && fabric->announce)
		dht_cancel(dht, fabric->announce);
	if (dht && fabric->find)
		dht_cancel(dht, fabric->find);
	fabric->announce = fabric->find = 0;
	mesh_rendezvous_free(fabric->rendezvous);
	fabric->rendezvous = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The Mainline DHT as the place where nodes without contacts find each other. */
#include "locate/rendezvous_point.h"

#include <string.h>

#include "crypto/sha1.h"

static struct kad_id place_hash(void)
{
	struct kad_id hash;

	sha1(MESH_RENDEZVOUS_NAME, strlen(MESH_RENDEZVOUS_NAME), hash.bytes);
	return hash;
}

static void announce_ended(void *ctx, const struct dht_outcome *outcome)
{
	struct locate_rendezvous_point *point = ctx;

	(void)outcome;
	point->announce = 0;
}

static bool place_announce(void *ctx, uint64_t now_ns)
{
	struct locate_rendezvous_point *point = ctx;
	struct dht *dht = point->locate->dht;
	const struct dht_announce_params params = {.info_hash = place_hash()};
	const struct dht_asker asker = {.ended = announce_ended, .ctx = point};

	if (!dht || point->announce)
		return false;
	point->announce = dht_announce(dht, &params, &asker, now_ns);
	return point->announce != 0;
}

/* How far the DHT of this node reaches: the Internet, or a network of its own. */
static enum kad_addr_scope dht_scope(const struct dht *dht)
{
	static const enum dht_net nets[] = {DHT_NET_IPV4, DHT_NET_IPV6};
	enum kad_addr_scope widest = KAD_ADDR_SCOPE_NONE, scope;

	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++) {
		struct kad_table_iter iter = dht_nodes(dht, nets[i]);
		const struct kad_node *node;

		while ((node = kad_table_next(&iter)))
			if ((scope = kad_addr_scope_of(&node->contact.addr)) > widest)
				widest = scope;
	}
	return widest;
}

static void find_heard(void *ctx, const struct addr *addrs, unsigned cnt)
{
	struct locate_rendezvous_point *point = ctx;

	mesh_rendezvous_hear(point->rendezvous, addrs, cnt, dht_scope(point->locate->dht));
}

static void find_ended(void *ctx, const struct dht_outcome *outcome)
{
	struct locate_rendezvous_point *point = ctx;

	(void)outcome;
	point->find = 0;
}

static bool place_find(void *ctx, uint64_t now_ns)
{
	struct locate_rendezvous_point *point = ctx;
	struct dht *dht = point->locate->dht;
	const struct kad_id hash = place_hash();
	const struct dht_asker asker = {.peers = find_heard, .ended = find_ended, .ctx = point};

	if (!dht || point->find)
		return false;
	point->find = dht_peers(dht, &hash, &asker, now_ns);
	return point->find != 0;
}

int locate_rendezvous_point_open(struct locate_rendezvous_point *point, struct locate *locate,
				 const struct mesh_rendezvous_params *params)
{
	struct mesh_rendezvous_params with_place = *params;

	point->locate = locate;
	with_place.place = (struct mesh_rendezvous_place){place_announce, place_find, point};
	return mesh_rendezvous_new(&with_place, &point->rendezvous);
}

void locate_rendezvous_point_close(struct locate_rendezvous_point *point)
{
	struct dht *dht = point->locate ? point->locate->dht : NULL;

	if (dht && point->announce)
		dht_cancel(dht, point->announce);
	if (dht && point->find)
		dht_cancel(dht, point->find);
	point->announce = point->find = 0;
	mesh_rendezvous_free(point->rendezvous);
	point->rendezvous = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The Mainline DHT as the place where nodes without contacts find each other. */
#include "locate/meeting.h"

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
	struct locate_meeting *meeting = ctx;

	(void)outcome;
	meeting->announce = 0;
}

static bool place_announce(void *ctx, uint64_t now_ns)
{
	struct locate_meeting *meeting = ctx;
	struct dht *dht = meeting->locate->dht;
	const struct dht_announce_params params = {.info_hash = place_hash()};
	const struct dht_asker asker = {.ended = announce_ended, .ctx = meeting};

	if (!dht || meeting->announce)
		return false;
	meeting->announce = dht_announce(dht, &params, &asker, now_ns);
	return meeting->announce != 0;
}

static void scope_widen(void *ctx, unsigned bucket, const struct kad_node *node)
{
	enum kad_addr_scope *widest = ctx, addr_scope = kad_addr_scope_of(&node->contact.addr);

	(void)bucket;
	if (addr_scope > *widest)
		*widest = addr_scope;
}

/* How far the DHT of this node reaches: the Internet, or a network of its own. */
static enum kad_addr_scope dht_scope(const struct dht *dht)
{
	enum kad_addr_scope widest = KAD_ADDR_SCOPE_NONE;

	dht_nodes_each(dht, DHT_NET_IPV4, scope_widen, &widest);
	dht_nodes_each(dht, DHT_NET_IPV6, scope_widen, &widest);
	return widest;
}

static void find_heard(void *ctx, const struct addr *addrs, unsigned cnt)
{
	struct locate_meeting *meeting = ctx;

	mesh_rendezvous_hear(meeting->rendezvous, addrs, cnt, dht_scope(meeting->locate->dht));
}

static void find_ended(void *ctx, const struct dht_outcome *outcome)
{
	struct locate_meeting *meeting = ctx;

	(void)outcome;
	meeting->find = 0;
}

static bool place_find(void *ctx, uint64_t now_ns)
{
	struct locate_meeting *meeting = ctx;
	struct dht *dht = meeting->locate->dht;
	const struct kad_id hash = place_hash();
	const struct dht_asker asker = {.peers = find_heard, .ended = find_ended, .ctx = meeting};

	if (!dht || meeting->find)
		return false;
	meeting->find = dht_peers(dht, &hash, &asker, now_ns);
	return meeting->find != 0;
}

int locate_meeting_open(struct locate_meeting *meeting, struct locate *locate,
			const struct mesh_rendezvous_params *params)
{
	struct mesh_rendezvous_params with_place = *params;

	meeting->locate = locate;
	with_place.place = (struct mesh_rendezvous_place){place_announce, place_find, meeting};
	return mesh_rendezvous_new(&with_place, &meeting->rendezvous);
}

void locate_meeting_close(struct locate_meeting *meeting)
{
	struct dht *dht = meeting->locate ? meeting->locate->dht : NULL;

	if (dht && meeting->announce)
		dht_cancel(dht, meeting->announce);
	if (dht && meeting->find)
		dht_cancel(dht, meeting->find);
	meeting->announce = meeting->find = 0;
	mesh_rendezvous_free(meeting->rendezvous);
	meeting->rendezvous = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "builtin_quota.h"

#include <string.h>

#include "base/random.h"

struct quota_peer {
	struct list_node node;
	uint8_t key[MESH_KEY_LEN];
	unsigned taken_cnt; /* of the moments that are filled */
	unsigned oldest;    /* of them; the next one replaces it */
	uint64_t taken_ns[];
};

static size_t peer_len(unsigned max)
{
	return sizeof(struct quota_peer) + max * sizeof(uint64_t);
}

int builtin_quota_init(struct quota *quota, struct arena *arena, unsigned max, uint64_t period_ns,
		       struct random *random)
{
	uint64_t secret[2];
	int err;

	random_fill(random, secret, sizeof(secret));
	quota->period_ns = period_ns;
	quota->max = max;
	list_init(&quota->by_use);
	err = pool_init(&quota->peers, arena, peer_len(max), QUOTA_PEER_MAX);
	return err < 0 ? err
		       : map_init(&quota->by_key, arena, MESH_KEY_LEN, QUOTA_PEER_MAX, secret);
}

static struct quota_peer *peer_new(struct quota *quota, const uint8_t key[MESH_KEY_LEN])
{
	struct quota_peer *peer;

	if (quota->peers.used_cnt == quota->peers.cap_cnt) {
		peer = container_of(quota->by_use.next, struct quota_peer, node);
		list_unlink(&peer->node);
		map_delete(&quota->by_key, peer->key);
		pool_release(&quota->peers, peer);
	}
	peer = pool_acquire(&quota->peers);
	list_init(&peer->node);
	memcpy(peer->key, key, MESH_KEY_LEN);
	if (map_put(&quota->by_key, key, peer) < 0) {
		pool_release(&quota->peers, peer);
		return NULL;
	}
	return peer;
}

bool builtin_quota_take(struct quota *quota, const uint8_t key[MESH_KEY_LEN], uint64_t now_ns)
{
	struct quota_peer *peer = map_lookup(&quota->by_key, key);

	if (!peer && !(peer = peer_new(quota, key)))
		return false;
	if (peer->taken_cnt == quota->max &&
	    now_ns - peer->taken_ns[peer->oldest] < quota->period_ns)
		return false;
	peer->taken_ns[peer->oldest] = now_ns;
	peer->oldest = (peer->oldest + 1) % quota->max;
	if (peer->taken_cnt < quota->max)
		peer->taken_cnt++;
	list_unlink(&peer->node);
	list_push_back(&quota->by_use, &peer->node);
	return true;
}

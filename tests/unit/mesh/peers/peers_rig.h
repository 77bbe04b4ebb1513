/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_PEERS_RIG_H
#define WEFT_TESTS_PEERS_RIG_H

#include <errno.h>

#include "support/check.h"
#include "support/mesh_rig.h"
#include "support/scratch.h"

#include "base/memory/arena.h"
#include "mesh/session/hello.h"
#include "mesh/mesh_state.h"
#include "mesh/peers/peers.h"
#include "mesh/stream/slots.h"
#include "store/store.h"
#include "support/fail_nth.h"

/* A table of peers with its store. */

static struct rig rig;

static inline struct store *store_at(const char *dir)
{
	struct store_config config;
	struct store *store;

	store_config_defaults(&config);
	config.dir = dir;
	config.is_inline = true;
	return store_open(&config, &store) == 0 ? store : NULL;
}

/* The peer with that key byte as node 0 knows it. */
static inline bool peer_known(uint8_t key_byte, struct mesh_peer_info *out_peer)
{
	struct mesh_walk walk = {0};
	uint8_t key[MESH_KEY_LEN];

	memset(key, key_byte, sizeof(key));
	while (mesh_peers_next(rig.nodes[0].mesh, &walk, out_peer))
		if (memcmp(out_peer->key, key, sizeof(key)) == 0)
			return true;
	return false;
}

static inline uint64_t items_of(struct store *store)
{
	struct store_stats stats;

	store_stats(store, &stats);
	return stats.item_cnt[STORE_PEERS];
}

/* Node 0 with a store, and two peers that announce what they can. */
static inline void nodes_start(struct store *store, uint32_t peer_cap)
{
	struct mesh_config config;

	memset(&rig, 0, sizeof(rig));
	pair_net_init(&rig.net);
	mesh_config_defaults(&config);
	config.peer_cap = peer_cap;
	config.session_cap = 1;
	rig_add(&rig, 0, &config, store, RIG_WALL_S);
	mesh_config_defaults(&config);
	for (unsigned i = 1; i < 4; i++) {
		config.caps = i;
		config.addrs[0] = pair_addr(40 + i);
		config.addr_cnt = 1;
		snprintf(config.agent, sizeof(config.agent), "peer %u", i);
		rig_add(&rig, i, &config, NULL, RIG_WALL_S + 1000);
	}
}

#endif

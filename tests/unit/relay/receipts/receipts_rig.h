/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_RECEIPTS_RIG_H
#define WEFT_TESTS_RECEIPTS_RIG_H

#include "relay/receipts/relay_receipts.h"

#include <stdlib.h>

#include "base/monotonic.h"
#include "crypto/node_key.h"
#include "relay/receipts/receipt_message.h"
#include "support/check.h"
#include "support/mesh_lab.h"
#include "support/scratch.h"
#include "support/scratch_store.h"

/* A relay and owners of flows, on a network in memory. */

#define NODES 80u /* the relay is the first */
#define HOUR  (3600 * NS_PER_S)

struct place {
	struct mesh *node;
	struct node_key *key;
	struct relay_receipts *receipts;
	struct store *store;
};

static struct mesh_lab lab;
static struct random dice;
static struct place nodes[NODES];
static unsigned node_cnt;
static uint64_t wall_ahead_s, relays_ahead_s; /* of the lab's clock; of that of all others */
static bool shares_network;		      /* of the keys that carried bytes */
static const struct mem_link calm = {.delay_ns = 10 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};

static inline uint64_t wall_s(void)
{
	return mesh_lab_wall_s(&lab) + wall_ahead_s;
}

static inline void on_turn(void *ctx, uint64_t now_ns)
{
	struct place *place = ctx;

	relay_receipts_turn(place->receipts, now_ns,
			    wall_s() + (place == nodes ? relays_ahead_s : 0));
	if (place->store)
		(void)store_reap(place->store);
}

static inline uint64_t on_next_ns(void *ctx)
{
	return relay_receipts_next_ns(((const struct place *)ctx)->receipts);
}

/* Keys without a session: as many as a test wants, of one network or of one each. */
static inline bool on_path(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
			   struct mesh_path *out_path)
{
	if (mesh_lab_neighbours.path(mesh, key, out_path))
		return true;
	if (key[0] != 0xee)
		return false;
	*out_path = (struct mesh_path){.remote = {.family = ADDR_IPV4,
						  .ip = {20, shares_network ? 1 : key[1],
							 shares_network ? 1 : key[2], key[3]},
						  .port = 7}};
	return true;
}

static const struct mesh_neighbour_ops neighbours = {.path = on_path};

static inline void receipts_start_with(struct place *place, struct relay_receipts_config config)
{
	const struct relay_receipts_params params = {
		.config = config,
		.key = place->key,
		.store = place->store,
		.mesh = mesh_lab_seam_of(place->node),
		.neighbours = &neighbours,
		.random = &dice,
		.now_ns = lab.now_ns,
		.wall_s = wall_s() + (place == nodes ? relays_ahead_s : 0),
	};

	if (relay_receipts_new(&params, &place->receipts) < 0)
		abort();
	place->node->expire = on_turn;
	place->node->next_ns = on_next_ns;
	place->node->ctx = place;
}

static inline void receipts_start(struct place *place, uint32_t row_cap)
{
	receipts_start_with(place, (struct relay_receipts_config){.row_cap = row_cap});
}

static inline struct place *node_add(struct store *store)
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {(uint8_t)(node_cnt + 1), 9};
	struct place *place = &nodes[node_cnt++];

	*place = (struct place){.node = mesh_lab_add(&lab), .store = store};
	if (node_key_from_seed(seed, &place->key) < 0)
		abort();
	memcpy(place->node->key, node_key_public(place->key), MESH_KEY_LEN);
	mesh_lab_up(place->node);
	receipts_start(place, RELAY_RECEIPTS_CAP_MIN);
	return place;
}

static struct mesh_lab_ask asked;

/* A session with the relay, as an owner of flows has one. */
static inline struct place *owner_add(struct store *store)
{
	struct place *owner = node_add(store);

	mesh_lab_ask(owner->node, nodes[0].node, MESH_RELAY_RECEIPT, "", 0, &asked);
	if (asked.reply.err != WEFT_EMALFORMED)
		abort();
	return owner;
}

static inline void begin(void)
{
	random_init_seeded(&dice, 5);
	mesh_lab_init(&lab, 4, NODES, &calm);
	lab.idle_ns = 1000000 * NS_PER_S;
	node_cnt = 0;
	wall_ahead_s = relays_ahead_s = 0;
	shares_network = false;
	(void)node_add(NULL);
}

static inline void end_all(void)
{
	for (unsigned i = 0; i < node_cnt; i++)
		relay_receipts_stop(nodes[i].receipts);
	mesh_lab_fini(&lab);
	for (unsigned i = 0; i < node_cnt; i++) {
		relay_receipts_free(nodes[i].receipts);
		node_key_free(nodes[i].key);
	}
}

static inline void run_ns(uint64_t ns)
{
	(void)mesh_lab_run(&lab, ns, NULL, NULL);
}

/* What owner sent and received through the relay, as each of them counts it. */
static inline void count(struct place *owner, struct relay_count own, struct relay_count relays)
{
	relay_receipts_used(owner->receipts, nodes[0].node->key, &own, false);
	relay_receipts_carried(nodes[0].receipts, owner->node->key, &relays);
	owner->node->due_ns = nodes[0].node->due_ns = lab.now_ns;
}

static inline void count_same(struct place *owner, uint64_t sent, uint64_t received)
{
	count(owner, (struct relay_count){sent, received}, (struct relay_count){sent, received});
}

/* The row of a node with party; serial 0 and nothing else where there is none. */
static inline struct relay_receipts_row row_of(const struct place *at, const struct place *party,
					       uint32_t month)
{
	struct relay_receipts_row row;
	uint32_t idx = 0;

	while (relay_receipts_next(at->receipts, &idx, &row))
		if (memcmp(row.party, party->node->key, MESH_KEY_LEN) == 0 &&
		    (!month || row.month == month))
			return row;
	return (struct relay_receipts_row){.serial = 0};
}

static inline void check_both(const struct place *owner, uint32_t serial, struct relay_count total)
{
	const struct relay_receipts_row mine = row_of(owner, &nodes[0], 0),
					theirs = row_of(&nodes[0], owner, 0);

	CHECK_EQ(mine.side, RELAY_SIDE_OWNER);
	CHECK_EQ(theirs.side, RELAY_SIDE_RELAY);
	CHECK_EQ(mine.serial, serial);
	CHECK_EQ(theirs.serial, serial);
	CHECK_EQ(mine.total.sent, total.sent);
	CHECK_EQ(mine.total.received, total.received);
	CHECK_EQ(mine.receipt_len, theirs.receipt_len);
	CHECK_MEM(mine.receipt, theirs.receipt, theirs.receipt_len);
	CHECK_EQ(relay_receipt_verify(mine.receipt, mine.receipt_len), 0);
}

static inline struct relay_receipts_stats stats(const struct place *place)
{
	struct relay_receipts_stats got;

	relay_receipts_stats(place->receipts, &got);
	return got;
}

#endif

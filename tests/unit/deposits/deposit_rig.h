/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_DEPOSIT_RIG_H
#define WEFT_TESTS_DEPOSIT_RIG_H

#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/timer.h"
#include "crypto/node_key.h"
#include "deposits/deposits.h"
#include "store/store.h"
#include "support/check.h"
#include "support/mesh_lab.h"
#include "support/scratch.h"
#include "support/scratch_store.h"
#include "support/seed.h"

/*
 * Nodes with deposits on the network of support/mesh_lab.h, each over a store in a scratch directory. A part
 * of each takes deposits, and remembers what it took over a crash, as a part with a disk would.
 */
#define RIG_NODES  8u
#define RIG_GOT	   4096u
#define RIG_HOUR_S 3600u

struct rig_got {
	uint8_t id[DEPOSIT_ID_LEN], recipient[DEPOSIT_KEY_LEN];
	uint32_t number; /* the content begins with it */
	unsigned cnt;	 /* how often it was settled as taken */
};

enum rig_manner {
	RIG_TAKES,
	RIG_HOLDS /* settles when it is asked to */,
	RIG_PUTS_OFF,
	RIG_WANTS_NONE
};

struct rig_node {
	struct mesh *mesh;
	struct node_key *key;
	struct store *store;
	struct deposits *deposits;
	struct timer_wheel timers;
	char dir[SCRATCH_CAP];
	struct deposits_config config;
	enum rig_manner manner;
	struct rig_got got[RIG_GOT];
	unsigned got_cnt, asked_cnt, moved_cnts[DEPOSIT_EXPIRED + 1];
	uint64_t held[64];
	uint32_t held_numbers[64];
	unsigned held_cnt;
	unsigned durable_cnt, failed_cnt; /* done of puts */
	unsigned pull_cnt, pulled_cnt;
	int pull_err, moved_err;
	bool refuses_messages;
	bool takes_back; /* its deposit, when it hears of this state */
	enum deposit_state takes_back_at;
};

static struct mesh_lab rig_lab;
static struct random rig_dice;
static struct rig_node rig_nodes[RIG_NODES];
static unsigned rig_cnt;
static bool rig_is_found;	      /* nodes find others without a session */
static uint8_t rig_chosen[RIG_NODES]; /* nodes that every node has chosen */
static const struct mem_link rig_calm = {.delay_ns = 10 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};

/* --- the part --- */

static inline void rig_take(struct rig_node *node, const struct deposit *deposit, uint32_t number)
{
	unsigned i = 0;

	while (i < node->got_cnt && node->got[i].number != number)
		i++;
	if (i == RIG_GOT)
		abort();
	if (i == node->got_cnt) {
		node->got_cnt++;
		node->got[i].number = number;
		memcpy(node->got[i].id, deposit->id, DEPOSIT_ID_LEN);
		memcpy(node->got[i].recipient, deposit->recipient, DEPOSIT_KEY_LEN);
	}
	node->got[i].cnt++;
}

static inline enum deposit_verdict rig_deliver(void *ctx, const struct deposit *deposit,
					       uint64_t ticket, uint64_t now_ns)
{
	struct rig_node *node = ctx;
	uint32_t number;

	if (deposit->len < sizeof(number))
		abort();
	memcpy(&number, deposit->content, sizeof(number));
	node->asked_cnt++;
	switch (node->manner) {
	case RIG_TAKES:
		rig_take(node, deposit, number);
		deposits_settle(node->deposits, ticket, 0, now_ns);
		return DEPOSIT_TAKEN;
	case RIG_HOLDS:
		node->held_numbers[node->held_cnt] = number;
		node->held[node->held_cnt++] = ticket;
		return DEPOSIT_TAKEN;
	case RIG_PUTS_OFF:
		return DEPOSIT_LATER;
	default:
		return DEPOSIT_UNFIT;
	}
}

static inline void rig_moved(void *ctx, const struct deposit_progress *progress, uint64_t now_ns)
{
	struct rig_node *node = ctx;

	if ((progress->err < 0) != (progress->why != NULL))
		abort();
	node->moved_cnts[progress->state]++;
	node->moved_err = progress->err;
	if (node->takes_back && node->takes_back_at == progress->state)
		(void)deposits_withdraw(node->deposits, progress->id, now_ns);
}

static inline void rig_done(void *arg, int err)
{
	struct rig_node *node = arg;

	node->durable_cnt += err == 0;
	node->failed_cnt += err < 0;
}

/* --- nodes --- */

static inline uint64_t rig_wall_s(void *ctx)
{
	(void)ctx;
	return mesh_lab_wall_s(&rig_lab);
}

static inline enum fair_class rig_class_of(void *ctx, const uint8_t *key)
{
	(void)ctx;
	for (unsigned i = 0; i < rig_cnt; i++)
		if (rig_chosen[i] &&
		    memcmp(node_key_public(rig_nodes[i].key), key, MESH_KEY_LEN) == 0)
			return FAIR_CHOSEN;
	return FAIR_UNKNOWN;
}

static inline bool rig_admit(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct rig_node *node = ctx;
	const struct mesh_seam seam = mesh_lab_seam_of(node->mesh);

	(void)now_ns;
	if (node->refuses_messages)
		seam.ops->answer_error(call->incoming, MESH_CODE_REFUSED, "too many", 1000);
	return !node->refuses_messages;
}

static inline void rig_turn(void *ctx, uint64_t now_ns)
{
	struct rig_node *node = ctx;

	timer_wheel_expire(&node->timers, now_ns);
	(void)store_reap(node->store);
}

static inline uint64_t rig_next_ns(void *ctx)
{
	struct rig_node *node = ctx;

	return store_is_pending(node->store) ? rig_lab.now_ns : timer_wheel_next_ns(&node->timers);
}

/* As the lab's, and it finds a node without a session as a node finds others by their keys. */
static struct mesh_ops rig_ops;
static inline int rig_ask(struct mesh *mesh, const struct mesh_ask *ask, uint64_t now_ns,
			  struct mesh_request **out_request)
{
	struct mesh_ask found = *ask;

	for (unsigned i = 0; rig_is_found && i < rig_cnt; i++)
		if (memcmp(rig_nodes[i].mesh->key, ask->peer.key, MESH_KEY_LEN) == 0) {
			found.peer.addrs = &rig_nodes[i].mesh->addr;
			found.peer.addr_cnt = 1;
		}
	return mesh_lab_seam_of(mesh).ops->ask(mesh, &found, now_ns, out_request);
}

static inline void rig_start(struct rig_node *node)
{
	const struct deposit_part part = {.deliver = rig_deliver, .moved = rig_moved, .ctx = node};
	struct deposits_params params = {
		.config = node->config,
		.key = node->key,
		.neighbours = &mesh_lab_neighbours,
		.timers = &node->timers,
		.random = &rig_dice,
		.wall_s = rig_wall_s,
		.class_of = rig_class_of,
		.admit = rig_admit,
		.ctx = node,
		.now_ns = rig_lab.now_ns,
	};

	mesh_lab_up(node->mesh);
	timer_wheel_init(&node->timers, rig_lab.now_ns);
	params.mesh = mesh_lab_seam_of(node->mesh);
	rig_ops = *params.mesh.ops;
	rig_ops.ask = rig_ask;
	params.mesh.ops = &rig_ops;
	params.store = node->store = scratch_store(node->dir, true);
	if (deposits_open(&params, &node->deposits) < 0 ||
	    deposits_register(node->deposits, DEPOSIT_SERVICE_MESSAGE, &part) < 0)
		abort();
	node->mesh->expire = rig_turn;
	node->mesh->next_ns = rig_next_ns;
	node->mesh->ctx = node;
	node->held_cnt = 0;
}

static inline struct rig_node *rig_add(bool is_store)
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {(uint8_t)(rig_cnt + 1), 77};
	struct rig_node *node = &rig_nodes[rig_cnt++];

	memset(node, 0, sizeof(*node));
	scratch_make(node->dir);
	node->mesh = mesh_lab_add(&rig_lab);
	if (node_key_from_seed(seed, &node->key) < 0)
		abort();
	memcpy(node->mesh->key, node_key_public(node->key), MESH_KEY_LEN);
	deposits_config_defaults(&node->config);
	node->config.is_store = is_store;
	node->config.room_len = 1024 * DEPOSIT_UNIT_LEN;
	rig_start(node);
	return node;
}

static inline void rig_begin(const struct mem_link *link)
{
	random_init_seeded(&rig_dice, seed_of_run(5));
	mesh_lab_init(&rig_lab, seed_of_run(5), RIG_NODES, link);
	rig_lab.idle_ns = 100000000 * NS_PER_S;
	rig_cnt = 0;
	rig_is_found = false;
	memset(rig_chosen, 0, sizeof(rig_chosen));
}

/* What is not durable is gone, as with kill -9. */
static inline void rig_crash(struct rig_node *node)
{
	store_freeze(node->store);
	deposits_close(node->deposits);
	mesh_lab_down(node->mesh);
	store_crash(node->store);
	node->deposits = NULL;
}

static inline void rig_stop(struct rig_node *node)
{
	deposits_close(node->deposits);
	mesh_lab_down(node->mesh);
	store_close(node->store);
	node->deposits = NULL;
}

static inline void rig_end(void)
{
	for (unsigned i = 0; i < rig_cnt; i++) {
		if (rig_nodes[i].deposits)
			rig_stop(&rig_nodes[i]);
		node_key_free(rig_nodes[i].key);
		scratch_remove(rig_nodes[i].dir);
	}
	mesh_lab_fini(&rig_lab);
}

/* Time passes. What the test made nodes do outside of their turns is looked at first. */
static inline void rig_pass(uint64_t for_ns)
{
	for (unsigned i = 0; i < rig_cnt; i++)
		rig_nodes[i].mesh->due_ns = 0;
	(void)mesh_lab_run(&rig_lab, for_ns, NULL, NULL);
}

/* A session of both, which from hears of as a node does. */
static struct mesh_lab_ask rig_asked;
static inline void rig_meet(struct rig_node *from, struct rig_node *to)
{
	mesh_lab_ask(from->mesh, to->mesh, MESH_PEX_REQUEST, "", 0, &rig_asked);
	deposits_session_up(from->deposits, to->mesh->key, rig_lab.now_ns);
	deposits_session_up(to->deposits, from->mesh->key, rig_lab.now_ns);
	rig_pass(NS_PER_S);
}

/* --- calls --- */

struct rig_put {
	struct rig_node *from, *store;
	const uint8_t *recipient;
	uint32_t number;
	size_t len;	 /* 0: that of a number */
	uint64_t life_s; /* 0: an hour */
	const uint8_t *receipt;
};
static inline int rig_put(const struct rig_put *put)
{
	static uint8_t content[DEPOSIT_CONTENT_LEN_MAX + 1];
	uint8_t id[DEPOSIT_ID_LEN];
	struct deposit_draft draft = {
		.store = put->store->mesh->key,
		.recipient = put->recipient,
		.kind = DEPOSIT_SERVICE_MESSAGE,
		.content = content,
		.len = put->len ? put->len : sizeof(put->number),
		.expires_s = mesh_lab_wall_s(&rig_lab) + (put->life_s ? put->life_s : RIG_HOUR_S),
		.receipt = put->receipt,
		.done = rig_done,
		.arg = put->from,
	};

	memcpy(content, &put->number, sizeof(put->number));
	return deposits_put_at(put->from->deposits, &draft, rig_lab.now_ns, id);
}

static inline void rig_pulled(void *arg, int err, unsigned cnt, uint64_t now_ns)
{
	struct rig_node *node = arg;

	(void)now_ns;
	node->pull_cnt++;
	node->pulled_cnt += cnt;
	node->pull_err = err;
}

/* How often a part of node took the deposit of number. */
static inline unsigned rig_got(const struct rig_node *node, uint32_t number)
{
	for (unsigned i = 0; i < node->got_cnt; i++)
		if (node->got[i].number == number)
			return node->got[i].cnt;
	return 0;
}

static inline struct deposits_stats rig_stats(const struct rig_node *node)
{
	struct deposits_stats stats;

	deposits_stats(node->deposits, &stats);
	return stats;
}

#endif

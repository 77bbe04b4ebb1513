/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_GROUP_RIG_H
#define WEFT_TESTS_GROUP_RIG_H

#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/timer.h"
#include "crypto/node_key.h"
#include "social/groups/groups.h"
#include "store/store.h"
#include "support/check.h"
#include "support/mesh_lab.h"
#include "support/scratch.h"
#include "support/scratch_store.h"
#include "support/seed.h"

/*
 * Nodes with groups on the network of support/mesh_lab.h, each over a store in a scratch directory. A node
 * has one person, whose key is the node's.
 */
#define RIG_NODES 8u

struct rig_node {
	struct mesh *mesh;
	struct node_key *key;
	struct store *store;
	struct groups *groups;
	struct timer_wheel timers;
	char dir[SCRATCH_CAP];
	int64_t ahead_ms;	    /* of its clock */
	const struct mesh_ops *ops; /* NULL: the lab's */
	unsigned done_cnt, hidden_cnt, happened_cnts[SOCIAL_EVENT_CNT];
	int err;
	void (*leave)(void *ctx, const struct group_word *word, uint64_t now_ns);
};

static struct mesh_lab rig_lab;
static struct random rig_dice;
static struct rig_node rig_nodes[RIG_NODES];
static unsigned rig_cnt;
static const struct mem_link rig_calm = {.delay_ns = 10 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};

static inline uint64_t rig_wall_ms(void *ctx)
{
	const struct rig_node *node = ctx;

	return mesh_lab_wall_s(&rig_lab) * 1000 + (uint64_t)node->ahead_ms;
}

static inline enum fair_class rig_class_of(void *ctx, const uint8_t *key)
{
	(void)ctx, (void)key;
	return FAIR_UNKNOWN;
}

static inline const struct node_key *rig_own_key(void *ctx, const uint8_t *key)
{
	const struct rig_node *node = ctx;

	return memcmp(node_key_public(node->key), key, NODE_KEY_LEN) == 0 ? node->key : NULL;
}

static inline void rig_hidden(void *ctx, const struct group_hide *hide, uint64_t now_ns)
{
	struct rig_node *node = ctx;

	(void)hide, (void)now_ns;
	node->hidden_cnt++;
}

static inline void rig_happened(void *ctx, const struct social_event *event)
{
	((struct rig_node *)ctx)->happened_cnts[event->kind]++;
}

static inline void rig_done(void *arg, int err)
{
	struct rig_node *node = arg;

	node->done_cnt++;
	node->err = err;
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

static inline void rig_start(struct rig_node *node)
{
	struct groups_params params = {
		.ground = {.key = node->key,
			   .neighbours = &mesh_lab_neighbours,
			   .timers = &node->timers,
			   .random = &rig_dice,
			   .wall_ms = rig_wall_ms,
			   .class_of = rig_class_of,
			   .happened = rig_happened,
			   .ctx = node},
		.own_key = rig_own_key,
		.leave = node->leave,
		.hidden = rig_hidden,
		.ctx = node,
		.now_ns = rig_lab.now_ns,
	};

	mesh_lab_up(node->mesh);
	timer_wheel_init(&node->timers, rig_lab.now_ns);
	params.ground.mesh = mesh_lab_seam_of(node->mesh);
	if (node->ops)
		params.ground.mesh.ops = node->ops;
	params.ground.store = node->store = scratch_store(node->dir, true);
	if (social_groups_open(&params, &node->groups) < 0)
		abort();
	node->mesh->expire = rig_turn;
	node->mesh->next_ns = rig_next_ns;
	node->mesh->ctx = node;
}

/* leave (NULL: none) has what is for members without a session. */
static inline struct rig_node *
rig_add_leaving(void (*leave)(void *ctx, const struct group_word *word, uint64_t now_ns))
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {(uint8_t)(rig_cnt + 1), 78};
	struct rig_node *node = &rig_nodes[rig_cnt++];

	memset(node, 0, sizeof(*node));
	node->leave = leave;
	scratch_make(node->dir);
	node->mesh = mesh_lab_add(&rig_lab);
	if (node_key_from_seed(seed, &node->key) < 0)
		abort();
	memcpy(node->mesh->key, node_key_public(node->key), MESH_KEY_LEN);
	rig_start(node);
	return node;
}

static inline struct rig_node *rig_add(void)
{
	return rig_add_leaving(NULL);
}

static inline void rig_begin(void)
{
	random_init_seeded(&rig_dice, seed_of_run(5));
	mesh_lab_init(&rig_lab, seed_of_run(5), RIG_NODES, &rig_calm);
	rig_lab.idle_ns = 100000000 * NS_PER_S;
	rig_cnt = 0;
}

/* What is not durable is gone, as with kill -9. */
static inline void rig_crash(struct rig_node *node)
{
	store_freeze(node->store);
	social_groups_close(node->groups);
	mesh_lab_down(node->mesh);
	store_crash(node->store);
	node->groups = NULL;
}

static inline void rig_stop(struct rig_node *node)
{
	social_groups_close(node->groups);
	mesh_lab_down(node->mesh);
	store_close(node->store);
	node->groups = NULL;
}

static inline void rig_end(void)
{
	for (unsigned i = 0; i < rig_cnt; i++) {
		if (rig_nodes[i].groups)
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

/* A session of both, which each hears of as a node does. */
static struct mesh_lab_ask rig_asked;
static inline void rig_meet(struct rig_node *from, struct rig_node *to)
{
	if (from == to)
		return;
	mesh_lab_ask(from->mesh, to->mesh, MESH_PEX_REQUEST, "", 0, &rig_asked);
	social_groups_session_up(from->groups, to->mesh->key, rig_lab.now_ns);
	social_groups_session_up(to->groups, from->mesh->key, rig_lab.now_ns);
	rig_pass(NS_PER_S);
}

/* --- what persons do --- */

static uint8_t rig_group[GROUP_ID_LEN];

static inline struct group_ask rig_asks(struct rig_node *node,
					const uint8_t (*members)[NODE_KEY_LEN], unsigned cnt,
					enum group_role role)
{
	return (struct group_ask){.group = rig_group,
				  .members = members,
				  .member_cnt = cnt,
				  .role = role,
				  .name = "boats",
				  .done = rig_done,
				  .arg = node};
}

typedef int (*rig_act_fn)(struct groups *groups, const struct group_ask *ask, uint64_t now_ns);

/* One act of a person on one other, or on the group (to NULL). */
static inline int rig_act(rig_act_fn act, struct rig_node *node, const struct rig_node *to,
			  enum group_role role)
{
	uint8_t member[1][NODE_KEY_LEN] = {{0}};
	struct group_ask ask =
		rig_asks(node, (const uint8_t(*)[NODE_KEY_LEN])member, to ? 1 : 0, role);
	int err;

	if (to)
		memcpy(member[0], to->mesh->key, NODE_KEY_LEN);
	err = act(node->groups, &ask, rig_lab.now_ns);
	rig_pass(NS_PER_S);
	return err < 0 ? err : node->err;
}

/* The first makes a group of the first cnt nodes, and all have met it and accept. */
static inline int rig_found(unsigned cnt, enum group_role role)
{
	uint8_t members[RIG_NODES][NODE_KEY_LEN];
	struct group_ask ask =
		rig_asks(&rig_nodes[0], (const uint8_t(*)[NODE_KEY_LEN])members, cnt - 1, role);
	int err;

	for (unsigned i = 1; i < cnt; i++) {
		memcpy(members[i - 1], rig_nodes[i].mesh->key, NODE_KEY_LEN);
		rig_meet(&rig_nodes[0], &rig_nodes[i]);
	}
	err = social_group_create(rig_nodes[0].groups, &ask, rig_lab.now_ns, rig_group);
	rig_pass(NS_PER_S);
	for (unsigned i = 1; i < cnt && err == 0; i++)
		err = rig_act(social_group_accept, &rig_nodes[i], NULL, role);
	return err;
}

static inline struct group_view rig_view(const struct rig_node *node)
{
	struct group_view view = {.epoch = UINT64_MAX};

	(void)social_group_now(node->groups, rig_group, &view);
	return view;
}

/* What a post for the newest epoch that node has is sealed for. */
static inline struct visibility_group rig_sealed(const struct rig_node *node)
{
	struct visibility_group of = {.epoch = rig_view(node).epoch};

	memcpy(of.group, rig_group, sizeof(of.group));
	memcpy(of.key, rig_view(node).key, sizeof(of.key));
	return of;
}

static inline bool rig_opens(struct rig_node *node, const struct visibility_group *of)
{
	return social_group_secret(node->groups, of) != NULL;
}

#endif

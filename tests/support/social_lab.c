/* SPDX-License-Identifier: Apache-2.0 */
#include "support/social_lab.h"

#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "support/mesh_lab_wire.h"
#include "support/scratch_store.h"
#include "support/seed.h"

static uint64_t lab_wall_ms(void *ctx)
{
	const struct social_lab_node *node = ctx;
	const struct mesh_lab *lab = node->mesh->lab;

	return MESH_LAB_WALL_S * 1000 + lab->now_ns / NS_PER_MS;
}

static enum fair_class lab_class_of(void *ctx, const uint8_t *key)
{
	(void)key;
	return ((const struct social_lab_node *)ctx)->class;
}

static void node_turn(void *ctx, uint64_t now_ns)
{
	struct social_lab_node *node = ctx;

	timer_wheel_expire(&node->timers, now_ns);
	(void)store_reap(node->store);
	if (node->turn)
		node->turn(node->part, now_ns);
}

static uint64_t node_next_ns(void *ctx)
{
	struct social_lab_node *node = ctx;

	return store_is_pending(node->store) ? node->mesh->lab->now_ns
					     : timer_wheel_next_ns(&node->timers);
}

static void node_start(struct social_lab *lab, struct social_lab_node *node)
{
	mesh_lab_up(node->mesh);
	timer_wheel_init(&node->timers, lab->mesh.now_ns);
	node->store = scratch_store(node->dir, true);
	node->ground = (struct social_ground){
		.key = node->key,
		.store = node->store,
		.mesh = mesh_lab_seam_of(node->mesh),
		.neighbours = &mesh_lab_neighbours,
		.timers = &node->timers,
		.random = &lab->dice,
		.wall_ms = lab_wall_ms,
		.class_of = lab_class_of,
		.ctx = node,
	};
	node->mesh->expire = node_turn;
	node->mesh->next_ns = node_next_ns;
	node->mesh->ctx = node;
}

static void node_make(struct social_lab *lab)
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {(uint8_t)(lab->cnt + 1), 91};
	struct social_lab_node *node = &lab->nodes[lab->cnt++];

	scratch_make(node->dir);
	node->mesh = mesh_lab_add(&lab->mesh);
	if (node_key_from_seed(seed, &node->key) < 0)
		mesh_lab_die("no key");
	memcpy(node->mesh->key, node_key_public(node->key), MESH_KEY_LEN);
	node_start(lab, node);
}

void social_lab_init(struct social_lab *lab, unsigned cnt)
{
	const struct mem_link calm = {.delay_ns = 10 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};

	memset(lab, 0, sizeof(*lab));
	random_init_seeded(&lab->dice, seed_of_run(9));
	mesh_lab_init(&lab->mesh, seed_of_run(9), SOCIAL_LAB_NODES, &calm);
	lab->mesh.idle_ns = 100000000 * NS_PER_S;
	while (lab->cnt < cnt)
		node_make(lab);
}

void social_lab_fini(struct social_lab *lab)
{
	for (unsigned i = 0; i < lab->cnt; i++) {
		mesh_lab_down(lab->nodes[i].mesh);
		store_close(lab->nodes[i].store);
		node_key_free(lab->nodes[i].key);
		scratch_remove(lab->nodes[i].dir);
	}
	mesh_lab_fini(&lab->mesh);
}

void social_lab_restart(struct social_lab *lab, unsigned idx)
{
	struct social_lab_node *node = &lab->nodes[idx];

	mesh_lab_down(node->mesh);
	store_crash(node->store);
	for (unsigned i = 0; i < lab->cnt; i++)
		if (i != idx)
			mesh_lab_session_drop(lab->nodes[i].mesh, node->mesh->key);
	node_start(lab, node);
}

const uint8_t *social_lab_key(const struct social_lab *lab, unsigned idx)
{
	return node_key_public(lab->nodes[idx].key);
}

void social_lab_pass(struct social_lab *lab, uint64_t for_ns)
{
	for (unsigned i = 0; i < lab->cnt; i++)
		lab->nodes[i].mesh->due_ns = 0;
	(void)mesh_lab_run(&lab->mesh, for_ns, NULL, NULL);
}

void social_lab_meet(struct social_lab *lab, unsigned from, unsigned to)
{
	struct mesh *a = lab->nodes[from].mesh, *b = lab->nodes[to].mesh;

	(void)mesh_lab_session_make(a, b->key, &b->addr, b->caps, true);
	(void)mesh_lab_session_make(b, a->key, &a->addr, a->caps, false);
}

void social_lab_part(struct social_lab *lab, unsigned from, unsigned to)
{
	struct mesh *a = lab->nodes[from].mesh, *b = lab->nodes[to].mesh;

	mesh_lab_session_drop(a, b->key);
	mesh_lab_session_drop(b, a->key);
}

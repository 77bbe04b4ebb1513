/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SOCIAL_LAB_H
#define WEFT_TESTS_SOCIAL_LAB_H

#include "base/timer.h"
#include "crypto/node_key.h"
#include "social/ground/social_ground.h"
#include "store/store.h"
#include "support/mesh_lab.h"
#include "support/scratch.h"

/*
 * Nodes for parts of the social layer, on the network of mesh_lab.h. Each has a key, a store in a
 * scratch directory, timers and a ground. The test opens parts on the ground, and opens them again
 * after social_lab_restart.
 */
#define SOCIAL_LAB_NODES 12u

struct social_lab_node {
	struct mesh *mesh;
	struct node_key *key;
	struct store *store;
	struct timer_wheel timers;
	struct social_ground ground;
	char dir[SCRATCH_CAP];
	enum fair_class class; /* of every other node to this one */
	/* The part of a test that wants time, beside its timers; may be NULL. */
	void (*turn)(void *part, uint64_t now_ns);
	void *part;
};

struct social_lab {
	struct mesh_lab mesh;
	struct random dice;
	struct social_lab_node nodes[SOCIAL_LAB_NODES];
	unsigned cnt;
};

/* social_lab_init: a calm network of cnt nodes, all up, none of which has a session. */
void social_lab_init(struct social_lab *lab, unsigned cnt);
/* social_lab_fini: the parts of all nodes are closed. */
void social_lab_fini(struct social_lab *lab);
/* social_lab_restart: the parts are closed; what is not durable is gone, sessions and handlers too. */
void social_lab_restart(struct social_lab *lab, unsigned idx);
/* social_lab_key: the public key of node idx. */
const uint8_t *social_lab_key(const struct social_lab *lab, unsigned idx);
/* social_lab_pass lets time pass. What the test did outside of turns is looked at first. */
void social_lab_pass(struct social_lab *lab, uint64_t for_ns);
/* social_lab_meet: node from dials node to, and both have a session. */
void social_lab_meet(struct social_lab *lab, unsigned from, unsigned to);
/* social_lab_part: both forget their session. */
void social_lab_part(struct social_lab *lab, unsigned from, unsigned to);

#endif

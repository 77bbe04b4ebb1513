/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SOCIAL_TAP_H
#define WEFT_TESTS_SOCIAL_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "social/intake/post_intake.h"
#include "support/sim.h"

/*
 * Hears, in all nodes of a simulation, what comes to a node of posts and of keys. It notes each post
 * and each list of readers that was given to an intake, also what the node refused. It notes each key
 * of a content or of a group's epoch that a node made or unwrapped. So the test can try all keys that
 * a person ever held on all bytes that the person ever got. A program that uses it is linked with
 * --wrap for each function that is heard (tools/mk/test.mk). Nodes are numbered as in the simulation.
 */
#define TAP_NODES_MAX SIM_NODE_CAP

/* A post as its author's node made it; at is its number, from 0. */
typedef void (*tap_made_fn)(void *arg, unsigned author, const struct post_parts *parts);

void tap_begin(struct sim *sim, tap_made_fn made, void *arg);
void tap_end(void);

struct tap_figures {
	uint64_t post_cnt, readers_cnt, content_key_cnt, group_key_cnt; /* different ones */
	uint64_t got_cnt;	       /* pairs of a person and a post that came to it */
	uint64_t opened_cnt, shut_cnt; /* trials: of a key on what is sealed */
};
/*
 * tap_try tries, for each person, all keys on all bytes. It calls opened for each post that a person
 * opens and did not write.
 */
void tap_try(void (*opened)(void *arg, unsigned person, const uint8_t *post), void *arg,
	     struct tap_figures *out_figures);

#endif

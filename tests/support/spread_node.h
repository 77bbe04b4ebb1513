/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SPREAD_NODE_H
#define WEFT_TESTS_SPREAD_NODE_H

#include "base/timer.h"
#include "offers/spread/offer_spread.h"
#include "support/mesh_lab.h"

/*
 * A service relay in a mesh lab: a node with the spread of service messages, and its timers, which
 * the lab's time fires. First in a test's struct of a node.
 */
struct spread_node {
	struct mesh *node;
	struct offer_spread *spread;
	struct timer_wheel timers;
	struct spread_params params;
};
/*
 * spread_node_add opens it in lab, with config, handler, random and address of params. A test that
 * cannot ends. spread_node_again opens one that was freed anew, with its params and another mesh of
 * the same key. spread_node_free leaves the mesh to mesh_lab_fini.
 */
void spread_node_add(struct mesh_lab *lab, const struct spread_params *params,
		     struct spread_node *out_node);
void spread_node_again(struct spread_node *node, struct store *store);
void spread_node_free(struct spread_node *node);

#endif

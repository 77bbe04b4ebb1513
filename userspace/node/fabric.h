/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_FABRIC_H
#define WEFT_NODE_FABRIC_H

#include "mesh/overlay/overlay.h"
#include "weft/err.h"

/*
 * The service fabric of a node, put together: the overlay that tells who
 * provides what. Home worker only.
 */
struct fabric;
struct node;

struct fabric_config {
	bool is_on;
	struct overlay_config overlay; /* is_public follows from what is advertised */
};
void fabric_config_defaults(struct fabric_config *config);
/* fabric_footprint: bytes laid out, touched as they are used; 0 when it is off. */
size_t fabric_footprint(const struct fabric_config *config);

/*
 * fabric_open when home and discovery are open: 0 with node->fabric, which stays NULL
 * when it is off, or a negative code with what naming the object at fault.
 * fabric_free after home is closed; takes NULL.
 */
WEFT_MUST_CHECK
int fabric_open(struct node *node, char *what);
void fabric_free(struct fabric *fabric);

/* fabric_turn does what is due; fabric_next_ns: when that is next. Both take NULL. */
void fabric_turn(struct fabric *fabric, uint64_t now_ns);
uint64_t fabric_next_ns(const struct fabric *fabric);
/* The wall clock jumped or drifted; a reload changed the configuration. Both take NULL. */
void fabric_set_wall(struct fabric *fabric, uint64_t wall_s, uint64_t now_ns);
void fabric_configure(struct fabric *fabric, const struct fabric_config *config, uint64_t now_ns);

/* fabric_overlay: for methods; borrowed. */
struct overlay *fabric_overlay(struct fabric *fabric);

#endif

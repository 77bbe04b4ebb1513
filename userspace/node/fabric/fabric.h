/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_FABRIC_H
#define WEFT_NODE_FABRIC_H

#include "overlay/overlay.h"
#include "mesh/peers/pex.h"
#include "provider/provider.h"
#include "provider/tenant/tenant.h"
#include "builtin/builtin.h"
#include "relay/find/relay_find.h"
#include "service/limits/reputation.h"
#include "service/directory/directory.h"
#include "service/directory/publisher.h"
#include "service/service.h"
#include "config/fabric_config.h"
#include "weft/err.h"

/*
 * The service fabric of a node, put together:
 *
 *	offered		provider/ (local programs), builtin/ -> service/
 *	found by	service/directory/publisher -> overlay -> service/directory/directory
 *	reached over	mesh/ streams
 *	judged by	service/limits/reputation, whose bans become the node's own
 *
 * Home worker only.
 */
struct fabric;
struct node;

/*
 * node_fabric_open when home and discovery are open. 0 with node->fabric, which stays NULL when it
 * is off, or a negative code with what naming the object at fault. node_fabric_start when all have
 * added their rules to the overlay: it reads back what it kept and is joined. node_fabric_stop
 * before home closes ends what is under way, node_fabric_free after it. All three take NULL.
 */
WEFT_MUST_CHECK
int node_fabric_open(struct node *node, char *what);
WEFT_MUST_CHECK
int node_fabric_start(struct fabric *fabric, char *what);
void node_fabric_stop(struct fabric *fabric);
/*
 * node_fabric_leave: the node stops soon. Published descriptors are withdrawn, and new calls are
 * refused; node_fabric_has_left: both is done, and no call is in hand. Both take NULL.
 */
void node_fabric_leave(struct fabric *fabric, uint64_t now_ns);
bool node_fabric_has_left(const struct fabric *fabric);
void node_fabric_free(struct fabric *fabric);

/* node_fabric_turn does what is due; node_fabric_next_ns: when that is next. Both take NULL. */
void node_fabric_turn(struct fabric *fabric, uint64_t now_ns);
uint64_t node_fabric_next_ns(const struct fabric *fabric);
/*
 * One session more is there; the wall clock jumped or drifted; the addresses that are
 * advertised changed; a reload changed the configuration. All take NULL.
 */
void node_fabric_session_up(struct fabric *fabric, const uint8_t *key, uint64_t now_ns);
void node_fabric_session_down(struct fabric *fabric, const uint8_t *key);
void node_fabric_set_wall(struct fabric *fabric, uint64_t wall_s, uint64_t now_ns);
void node_fabric_addresses_changed(struct fabric *fabric, uint64_t now_ns);
/* node_fabric_relays_changed: this node is reached through other relays. Takes NULL. */
void node_fabric_relays_changed(struct fabric *fabric, uint64_t now_ns);
void node_fabric_configure(struct fabric *fabric, const struct fabric_config *config,
			   uint64_t now_ns);

/* The parts, for methods and routes; borrowed. A simulated node without local programs has no provider. */
struct overlay *node_fabric_overlay(struct fabric *fabric);
struct service *node_fabric_service(struct fabric *fabric);
/* node_fabric_note_false_content: key sent content that is not what it should be. Takes NULL. */
void node_fabric_note_false_content(struct fabric *fabric, const uint8_t key[static MESH_KEY_LEN],
				    uint64_t now_ns);
struct provider *node_fabric_provider(struct fabric *fabric);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_METHODS_ACCOUNTS_H
#define WEFT_NODE_METHODS_ACCOUNTS_H

#include <jansson.h>

#include "base/load.h"
#include "control/control.h"
#include "node/bans/ban.h"
#include "node/bans/drops.h"

struct node;

/* method_network_name: "192.0.2.0/24" for role admin, else a name that stands for it; returns text. */
#define METHOD_NETWORK_CAP BAN_TARGET_TEXT_CAP
const char *method_network_name(const struct node *node, const struct load_network *network,
				enum control_role role, char text[static METHOD_NETWORK_CAP]);

/* method_json_networks: those whose work cost most CPU lately, the most first. */
json_t *method_json_networks(struct node *node, enum control_role role);

/*
 * method_json_refusals: whom pools refused, as far as role may know. has
 * says whose are wanted; NULL: the newest of anybody.
 */
struct accounts_of {
	enum control_role role;
	bool (*has)(const void *arg, const struct refused *who);
	const void *arg;
};
json_t *method_json_refusals(struct node *node, const struct accounts_of *of);

#endif

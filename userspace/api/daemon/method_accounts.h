/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_DAEMON_METHOD_ACCOUNTS_H
#define WEFT_API_DAEMON_METHOD_ACCOUNTS_H

#include "varlink/node.h"
#include "base/fair/load.h"
#include "control/control.h"
#include "firewall/ban_rule.h"
#include "firewall/drop_counters.h"

struct api;

/* api_network_name: "192.0.2.0/24" for role admin, else a name that stands for it; returns text. */
#define METHOD_NETWORK_CAP BAN_TARGET_TEXT_CAP
const char *api_network_name(const struct api *api, const struct load_network *network,
			     enum control_role role, char text[static METHOD_NETWORK_CAP]);

/* api_networks: those whose work cost most CPU lately, the most first. */
void api_networks(struct varlink_blocks *blocks, struct api *api, enum control_role role,
		  struct api_network_cost_list *out_networks);

/*
 * api_refusals: the accounts that pools refused, as far as role may know. has
 * says whose refusals are wanted; NULL: the newest of all accounts.
 */
struct accounts_of {
	enum control_role role;
	bool (*has)(const void *arg, const struct refused *who);
	const void *arg;
};
void api_refusals(struct varlink_blocks *blocks, struct api *api, const struct accounts_of *of,
		  struct api_refusal_list *out_refusals);

#endif

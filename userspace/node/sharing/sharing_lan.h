/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_SHARING_LAN_H
#define WEFT_NODE_SHARING_LAN_H

#include <stdint.h>

#include "lan/lan.h"
#include "weft/err.h"

struct sharing;

/* Discovery on the LAN; private to node/sharing, with the method that lists who is there. */
struct sharing_lan;

#define LAN_INTERFACES_TEXT_CAP 128

struct sharing_lan_config {
	char interfaces
		[LAN_INTERFACES_TEXT_CAP]; /* names apart by blanks or commas, or all; "": off */
	uint32_t node_cap;		   /* nodes remembered */
};
void node_sharing_lan_config_defaults(struct sharing_lan_config *config);

/* node_sharing_open_lan sets sharing->lan; node_sharing_free_lan, after home closed. All others take NULL. */
WEFT_MUST_CHECK
int node_sharing_open_lan(struct sharing *sharing);
void node_sharing_stop_lan(struct sharing_lan *part);
void node_sharing_free_lan(struct sharing_lan *part);
void node_sharing_turn_lan(struct sharing_lan *part, uint64_t now_ns);
uint64_t node_sharing_next_lan_ns(const struct sharing_lan *part);
void node_sharing_lan_addresses_changed(struct sharing_lan *part, uint64_t now_ns);
void node_sharing_lan_configure(struct sharing_lan *part, const struct sharing_lan_config *config,
				uint64_t now_ns);
/* node_sharing_lan_of: NULL when it is off. */
const struct lan *node_sharing_lan_of(const struct sharing_lan *part);

#endif

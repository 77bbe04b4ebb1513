/* SPDX-License-Identifier: Apache-2.0 */
/* The composition: each part is handed what it may know of the others. */
#include "node/sharing/sharing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "crypto/key_seal.h"
#include "node/node_state.h"
#include "node/sharing/sharing_state.h"

void sharing_config_defaults(struct sharing_config *config)
{
	config->is_on = true;
	announce_config_defaults(&config->announce);
	sharing_lan_config_defaults(&config->lan);
	follows_config_defaults(&config->follow);
	publisher_config_defaults(&config->publisher);
	watches_config_defaults(&config->watches);
	search_config_defaults(&config->search);
	community_config_defaults(&config->community);
}

size_t sharing_footprint(const struct sharing_config *config)
{
	if (!config->is_on)
		return 0;
	return sizeof(struct sharing) + announce_footprint(&config->announce) +
	       lan_footprint(config->lan.node_cap) + follows_footprint(&config->follow) +
	       search_footprint(&config->search) + communities_footprint(&config->community);
}

struct overlay_seam sharing_overlay(struct sharing *sharing)
{
	struct fabric *fabric = sharing->node->fabric;

	return fabric ? overlay_seam_of(fabric_overlay(fabric)) : (struct overlay_seam){0};
}

static int open_seal(struct sharing *sharing)
{
	return key_seal_new(sharing->node->key, &sharing->seal);
}

/* For whoever publishes or follows, and for whoever only stores: one kind of value. */
static int open_heads(struct sharing *sharing)
{
	struct overlay_seam overlay = sharing_overlay(sharing);
	struct overlay_rule rule;

	if (!overlay.ops)
		return 0;
	head_rule(&rule);
	return overlay.ops->add_rule(overlay.overlay, &rule);
}

int sharing_open(struct node *node, char *what)
{
	static const struct {
		const char *what;
		int (*open)(struct sharing *sharing);
	} parts[] = {
		{"the seal of share keys", open_seal},
		{"heads of shares", open_heads},
		{"shares that are published", sharing_open_publisher},
		{"folders that are watched", sharing_open_watches},
		{"the search index", sharing_open_search},
		{"shares that are followed", sharing_open_follows},
		{"communities", sharing_open_communities},
		{"finding members", sharing_open_member_finder},
		{"announcing what is shared", sharing_open_announce},
		{"discovery on the LAN", sharing_open_lan},
	};
	struct sharing *sharing;
	int err;

	if (!node->config->sharing.is_on)
		return 0;
	snprintf(what, NODE_WHAT_CAP, "shares");
	sharing = calloc(1, sizeof(*sharing));
	if (!sharing)
		return -ENOMEM;
	sharing->node = node;
	node->sharing = sharing;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		snprintf(what, NODE_WHAT_CAP, "%s", parts[i].what);
		if ((err = parts[i].open(sharing)) < 0)
			return err;
	}
	follows_start(sharing->follows, node->home.now_ns);
	search_settle(sharing->search, node->home.now_ns);
	return 0;
}

void sharing_stop(struct sharing *sharing)
{
	if (!sharing)
		return;
	follows_stop(sharing->follows);
	search_stop(sharing->search);
	communities_stop(sharing->communities);
	announce_stop(sharing->announce);
	watches_stop(sharing->watches);
	publisher_stop(sharing->publisher);
	sharing_stop_lan(sharing->lan);
}

void sharing_free(struct sharing *sharing)
{
	if (!sharing)
		return;
	follows_free(sharing->follows);
	search_free(sharing->search);
	communities_free(sharing->communities);
	announce_free(sharing->announce);
	publisher_free(sharing->publisher);
	watches_free(sharing->watches);
	key_seal_free(sharing->seal);
	while (sharing->calls)
		sharing_call_free(sharing->calls);
	sharing_free_lan(sharing->lan);
	free(sharing);
}

struct sharing_call *sharing_call_new(struct sharing *sharing)
{
	struct sharing_call *waiting = calloc(1, sizeof(*waiting));

	if (!waiting)
		return NULL;
	waiting->sharing = sharing;
	waiting->next = sharing->calls;
	sharing->calls = waiting;
	return waiting;
}

void sharing_call_free(struct sharing_call *waiting)
{
	struct sharing_call **at = &waiting->sharing->calls;

	while (*at != waiting)
		at = &(*at)->next;
	*at = waiting->next;
	free(waiting);
}

void sharing_turn(struct sharing *sharing, uint64_t now_ns)
{
	if (!sharing)
		return;
	follows_turn(sharing->follows, now_ns);
	sharing_turn_bindings(sharing, now_ns);
	communities_turn(sharing->communities, now_ns);
	sharing_turn_announce(sharing);
	sharing_turn_lan(sharing->lan, now_ns);
}

uint64_t sharing_next_ns(const struct sharing *sharing)
{
	uint64_t lan_ns;

	if (!sharing)
		return UINT64_MAX;
	if (communities_is_due(sharing->communities))
		return sharing->node->home.now_ns;
	lan_ns = sharing_next_lan_ns(sharing->lan);
	return lan_ns < sharing->bind_ns ? lan_ns : sharing->bind_ns;
}

void sharing_content_changed(struct sharing *sharing, const uint8_t *manifest_id, uint64_t now_ns)
{
	if (sharing && sharing->announce)
		announce_held_changed(sharing->announce, manifest_id, now_ns);
}

void sharing_get_moved(struct sharing *sharing)
{
	if (sharing && sharing->follows)
		follows_gets_moved(sharing->follows);
}

void sharing_session_changed(struct sharing *sharing, const uint8_t key[static MESH_KEY_LEN],
			     bool is_up, uint64_t now_ns)
{
	if (!sharing)
		return;
	if (is_up)
		publisher_hurry(sharing->publisher, now_ns);
	communities_session(sharing->communities, key, is_up, now_ns);
}

void sharing_addresses_changed(struct sharing *sharing, uint64_t now_ns)
{
	const struct node *node;

	if (!sharing)
		return;
	node = sharing->node;
	communities_set_addresses(sharing->communities, node->advertised, node->advertised_cnt,
				  now_ns);
	if (sharing->announce)
		announce_set_addresses(sharing->announce, node->advertised, node->advertised_cnt,
				       now_ns);
	sharing_lan_addresses_changed(sharing->lan, now_ns);
}

void sharing_configure(struct sharing *sharing, const struct sharing_config *config,
		       uint64_t now_ns)
{
	if (!sharing)
		return;
	follows_configure(sharing->follows, &config->follow);
	publisher_configure(sharing->publisher, &config->publisher);
	watches_configure(sharing->watches, &config->watches);
	communities_configure(sharing->communities, &config->community);
	if (sharing->announce)
		announce_configure(sharing->announce, &config->announce, now_ns);
	sharing_lan_configure(sharing->lan, &config->lan, now_ns);
}

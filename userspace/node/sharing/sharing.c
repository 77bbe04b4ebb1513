/* SPDX-License-Identifier: Apache-2.0 */
/* The composition: each part is handed what it may know of the others. */
#include "node/sharing/sharing.h"

#include <errno.h>
#include <stdlib.h>

#include "node/node_state.h"
#include "node/sharing/sharing_state.h"

void sharing_config_defaults(struct sharing_config *config)
{
	config->is_on = true;
	announce_config_defaults(&config->announce);
}

size_t sharing_footprint(const struct sharing_config *config)
{
	if (!config->is_on)
		return 0;
	return sizeof(struct sharing) + announce_footprint(&config->announce);
}

int sharing_open(struct node *node, char *what)
{
	struct sharing *sharing;

	if (!node->config->sharing.is_on)
		return 0;
	sharing = calloc(1, sizeof(*sharing));
	if (!sharing)
		return -ENOMEM;
	sharing->node = node;
	node->sharing = sharing;
	return sharing_open_announce(sharing, what);
}

void sharing_stop(struct sharing *sharing)
{
	if (!sharing)
		return;
	announce_stop(sharing->announce);
}

void sharing_free(struct sharing *sharing)
{
	if (!sharing)
		return;
	announce_free(sharing->announce);
	free(sharing);
}

void sharing_turn(struct sharing *sharing, uint64_t now_ns)
{
	(void)now_ns;
	if (!sharing)
		return;
	sharing_turn_announce(sharing);
}

uint64_t sharing_next_ns(const struct sharing *sharing)
{
	(void)sharing;
	return UINT64_MAX;
}

void sharing_content_changed(struct sharing *sharing, const uint8_t *manifest_id, uint64_t now_ns)
{
	if (sharing && sharing->announce)
		announce_held_changed(sharing->announce, manifest_id, now_ns);
}

void sharing_session_changed(struct sharing *sharing, const uint8_t key[static MESH_KEY_LEN],
			     bool is_up, uint64_t now_ns)
{
	(void)sharing, (void)key, (void)is_up, (void)now_ns;
}

void sharing_addresses_changed(struct sharing *sharing, uint64_t now_ns)
{
	const struct node *node;

	if (!sharing || !sharing->announce)
		return;
	node = sharing->node;
	announce_set_addresses(sharing->announce, node->advertised, node->advertised_cnt, now_ns);
}

void sharing_configure(struct sharing *sharing, const struct sharing_config *config,
		       uint64_t now_ns)
{
	if (sharing && sharing->announce)
		announce_configure(sharing->announce, &config->announce, now_ns);
}

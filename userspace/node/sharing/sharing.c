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
}

size_t sharing_footprint(const struct sharing_config *config)
{
	return config->is_on ? sizeof(struct sharing) : 0;
}

int sharing_open(struct node *node, char *what)
{
	struct sharing *sharing;

	(void)what; /* of the parts that are to come */
	if (!node->config->sharing.is_on)
		return 0;
	sharing = calloc(1, sizeof(*sharing));
	if (!sharing)
		return -ENOMEM;
	sharing->node = node;
	node->sharing = sharing;
	return 0;
}

void sharing_stop(struct sharing *sharing)
{
	(void)sharing;
}

void sharing_free(struct sharing *sharing)
{
	free(sharing);
}

void sharing_turn(struct sharing *sharing, uint64_t now_ns)
{
	(void)sharing, (void)now_ns;
}

uint64_t sharing_next_ns(const struct sharing *sharing)
{
	(void)sharing;
	return UINT64_MAX;
}

void sharing_session_changed(struct sharing *sharing, const uint8_t key[static MESH_KEY_LEN],
			     bool is_up, uint64_t now_ns)
{
	(void)sharing, (void)key, (void)is_up, (void)now_ns;
}

void sharing_addresses_changed(struct sharing *sharing, uint64_t now_ns)
{
	(void)sharing, (void)now_ns;
}

void sharing_configure(struct sharing *sharing, const struct sharing_config *config,
		       uint64_t now_ns)
{
	(void)sharing, (void)config, (void)now_ns;
}

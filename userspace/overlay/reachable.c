/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is this node of use to others? Reach is relative: on a mesh that is one machine
 * or one site, being dialled from there is enough. As soon as a peer is farther away,
 * somebody must have dialled us from as far.
 */
#include "overlay_join.h"

static bool look_at(void *arg, const struct mesh_neighbour *neighbour)
{
	struct overlay *overlay = arg;
	enum kad_addr_scope addr_scope = kad_addr_scope_of(&neighbour->remote);

	if (!neighbour->is_connected)
		return false; /* connected ones come first */
	if (addr_scope > overlay->farthest_scope)
		overlay->farthest_scope = addr_scope;
	if (!neighbour->is_dialled && addr_scope > overlay->dialled_scope)
		overlay->dialled_scope = addr_scope;
	return true;
}

static bool is_reachable(struct overlay *overlay)
{
	overlay->neighbours->each(overlay->mesh.mesh, look_at, overlay);
	return overlay->dialled_scope != KAD_ADDR_SCOPE_NONE &&
	       overlay->dialled_scope >= overlay->farthest_scope;
}

void overlay_reachable_look(struct overlay *overlay, uint64_t now_ns)
{
	const struct overlay_config *config = &overlay->config;
	bool is_serving = config->serve == OVERLAY_SERVE_ON;

	if (config->serve == OVERLAY_SERVE_AUTO)
		is_serving = config->is_public || is_reachable(overlay);
	overlay->join.reachable_ns = now_ns + OVERLAY_REACHABLE_EVERY_NS;
	if (is_serving == overlay->is_serving)
		return;
	overlay->is_serving = is_serving;
	overlay->neighbours->announce(overlay->mesh.mesh, MESH_CAP_DHT | MESH_CAP_STORE,
				      is_serving);
}

void overlay_reachable_note(struct overlay *overlay, const struct mesh_neighbour *asker,
			    uint64_t now_ns)
{
	if (!asker->is_connected || asker->is_dialled ||
	    kad_addr_scope_of(&asker->remote) <= overlay->dialled_scope)
		return;
	/* Its session may be another worker's, which is seen here alone. */
	(void)look_at(overlay, asker);
	overlay_reachable_look(overlay, now_ns);
}

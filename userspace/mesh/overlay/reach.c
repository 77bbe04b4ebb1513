/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is this node of use to others? Reach is relative: on a mesh that is one machine
 * or one site, being dialled from there is enough. As soon as a peer is farther away,
 * somebody must have dialled us from as far.
 */
#include "mesh/hello.h"
#include "mesh/overlay/join.h"

struct look {
	enum kad_reach farthest, dialled;
};

static bool look_at(void *arg, const struct mesh_neighbour *neighbour)
{
	struct look *look = arg;
	enum kad_reach reach = kad_reach_of(&neighbour->remote);

	if (!neighbour->is_connected)
		return false; /* connected ones come first */
	if (reach > look->farthest)
		look->farthest = reach;
	if (!neighbour->is_dialled && reach > look->dialled)
		look->dialled = reach;
	return true;
}

static bool is_reachable(struct overlay *overlay)
{
	struct look look = {.dialled = overlay->dialled_reach};

	overlay->neighbours->each(overlay->mesh.mesh, look_at, &look);
	overlay->dialled_reach = look.dialled;
	return look.dialled != KAD_REACH_NONE && look.dialled >= look.farthest;
}

void overlay_reach_look(struct overlay *overlay, uint64_t now_ns)
{
	const struct overlay_config *config = &overlay->config;
	bool is_serving = config->serve == OVERLAY_SERVE_ON;

	if (config->serve == OVERLAY_SERVE_AUTO)
		is_serving = config->is_public || is_reachable(overlay);
	overlay->join.reach_ns = now_ns + OVERLAY_REACH_EVERY_NS;
	if (is_serving == overlay->is_serving)
		return;
	overlay->is_serving = is_serving;
	overlay->neighbours->announce(overlay->mesh.mesh, MESH_CAP_DHT, is_serving);
}

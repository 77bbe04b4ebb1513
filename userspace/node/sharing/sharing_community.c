/* SPDX-License-Identifier: Apache-2.0 */
/* The communities of a node, and what they tell. */
#include <jansson.h>

#include "community/community_rule.h"
#include "mesh/session/hello.h"
#include "mesh/mesh.h"
#include "api/methods.h"
#include "node/node_state.h"
#include "node/sharing/sharing_state.h"

static uint64_t wall_s(void *ctx)
{
	return node_wall_us(((struct sharing *)ctx)->node) / 1000000;
}

static void on_event(void *ctx, const struct community_event *event)
{
	static const char *const names[] = {
		[COMMUNITY_JOINED] = "community.joined",
		[COMMUNITY_LEFT] = "community.left",
		[COMMUNITY_MEMBER_JOINED] = "community.member-joined",
		[COMMUNITY_MEMBER_LEFT] = "community.member-left",
		[COMMUNITY_SHARE_UPSERTED] = "community.share-upserted",
		[COMMUNITY_SHARE_ENDED] = "community.share-ended",
		[COMMUNITY_KEY_TWICE] = "community.key-twice",
	};
	struct node *node = ((struct sharing *)ctx)->node;
	bool is_share =
		event->kind == COMMUNITY_SHARE_UPSERTED || event->kind == COMMUNITY_SHARE_ENDED;
	json_t *fields;

	if (event->kind == COMMUNITY_JOINED)
		node_sharing_bind_soon(ctx);
	if (!node->control)
		return;
	fields = json_pack("{s:o}", "community", api_json_id(event->id));
	if (event->key)
		json_object_set_new(fields, is_share ? "share" : "node", api_json_id(event->key));
	node_tell(node, names[event->kind], fields);
}

int node_sharing_open_communities(struct sharing *sharing)
{
	struct node *node = sharing->node;
	struct community_params params = {
		.config = node->config->sharing.community,
		.key = node->key,
		.seal = sharing->seal,
		.store = node->store,
		.jobs = node->home.jobs,
		.timers = &node->home.timers,
		.random = node->random,
		.mesh = mesh_seam_of(node->home.mesh),
		.overlay = node_sharing_overlay(sharing),
		.now_ns = node->home.now_ns,
		.wall_s = wall_s,
		.on_event = on_event,
		.ctx = sharing,
	};
	int err;

	if (params.overlay.ops && (err = community_rules_add(&params.overlay)) < 0)
		return err;
	err = communities_new(&params, &sharing->communities);
	if (err < 0)
		return err;
	mesh_set_caps(node->home.mesh, mesh_caps(node->home.mesh) | MESH_CAP_PAGED_BROWSE |
					       MESH_CAP_SEARCH | MESH_CAP_DELTA);
	communities_set_addresses(sharing->communities, node->advertised, node->advertised_cnt,
				  node->home.now_ns);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Events of blobs/ and mesh/, for the rooms that want to know. Home worker. */
#include <errno.h>

#include "api/events/events.h"
#include "base/log.h"
#include "blobs/blobs.h"
#include "mesh/mesh.h"
#include "node/node_state.h"
#include "relay/broker/relay_broker.h"

static bool is_end_event(enum blobs_event_kind kind)
{
	return kind == BLOBS_GET_DONE || kind == BLOBS_GET_FAILED || kind == BLOBS_GET_CANCELLED ||
	       kind == BLOBS_GET_FORGOTTEN;
}

void node_on_verified(void *ctx, const uint8_t key[static MESH_KEY_LEN], size_t len)
{
	struct node *node = ctx;

	mesh_note_useful(node->home->mesh, key, len / MESH_USEFUL_UNIT_LEN ?: 1);
	mesh_note_work(node->home->mesh, key, MESH_WORK_GAVE, len);
	contribution_taken(&node->relay_role.own, len, node_wall_us(node) / 1000000);
}

void node_on_sent(void *ctx, const uint8_t key[static MESH_KEY_LEN], uint64_t len)
{
	struct node *node = ctx;

	mesh_note_work(node->home->mesh, key, MESH_WORK_TOOK, len);
	contribution_given(&node->relay_role.own, len, node_wall_us(node) / 1000000);
}

void node_on_content(void *ctx, const struct blobs_event *event)
{
	struct node *node = ctx;

	if (event->kind == BLOBS_PEER_BAD) {
		node_fabric_note_false_content(node->fabric, event->peer_key, node->home->now_ns);
		mesh_note_false(node->home->mesh, event->peer_key);
	}
	if (event->kind == BLOBS_GET_DONE)
		node_sharing_content_changed(node->sharing, event->manifest_id, node->home->now_ns);
	if (is_end_event(event->kind))
		node_sharing_get_moved(node->sharing);
	api_tell_content(node->api, event);
}

void node_on_step(void *ctx, const struct mesh_step *step)
{
	api_tell_step(((struct node *)ctx)->api, step);
}

void node_on_moved(void *ctx, const uint8_t *key, const struct addr *remote)
{
	struct node *node = ctx;

	relay_broker_session_changed(node->relay_broker, key, node->home->now_ns);
	api_tell_moved(node->api, key, remote);
}

void node_on_failure(void *ctx, const struct mesh_failure *failure)
{
	api_tell_failure(((struct node *)ctx)->api, failure);
}

uint32_t node_choices(void *ctx, const uint8_t *key)
{
	const struct node *node = ctx;

	return node->sharing ? node_sharing_choices(node->sharing, key) : 0;
}

/* A peer whose session is another worker's would leave that one for home, if home asked it. */
static void home_session_up(struct node *node, const uint8_t *key)
{
	struct mesh_path path;

	if (!mesh_neighbour_ops.path(node->home->mesh, key, &path) || path.session == 0)
		return;
	deposits_session_up(node->deposits, key, node->home->now_ns);
	offers_session_up(node->offers, key, node->home->now_ns);
	social_session_up(node->social, key, node->home->now_ns);
}

void node_on_session(void *ctx, const struct mesh_peer_info *peer, bool is_up)
{
	struct node *node = ctx;

	relay_end_session(node->relay_end, peer->key, is_up, node->home->now_ns);
	if (is_up && mesh_udp_is_silent(node->home->mesh))
		relay_end_review(node->relay_end, node->home->now_ns);
	if (is_up) {
		relay_receipts_session(node->relay_receipts, peer->key, node->home->now_ns);
		relay_slots_session(node->relay_slots, peer->key, node->home->now_ns);
		reachability_session(node->reachability, node->home->now_ns);
		node_fabric_session_up(node->fabric, peer->key, node->home->now_ns);
		home_session_up(node, peer->key);
	} else {
		node_fabric_session_down(node->fabric, peer->key);
		relay_broker_session_changed(node->relay_broker, peer->key, node->home->now_ns);
	}
	node_sharing_session_changed(node->sharing, peer->key, is_up, node->home->now_ns);
	api_tell_session(node->api, peer, is_up);
}

void node_on_line(void *ctx, const char *path, int err)
{
	(void)ctx;
	if (err < 0)
		log_warn("line %s: %s; it is tried again every 5 s", path,
			 err == -ENOTTY ? "no terminal" : weft_err_text(err));
	else
		log_info("line %s: open", path);
}

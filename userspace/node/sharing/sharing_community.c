/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Communities, and what this node's shares say of them. After each revision, at the start and when
 * a community is joined, all shares are gone through. So it does not matter what a crash left
 * undone, nor what came first, the share or the community.
 */
#include <errno.h>
#include <string.h>

#include "api/events/events.h"
#include "base/monotonic.h"
#include "blobs/blobs.h"
#include "codec/text/utf8.h"
#include "community/access/community_access.h"
#include "community/member_finder.h"
#include "community/record/community_rule.h"
#include "mesh/mesh.h"
#include "mesh/session/hello.h"
#include "node/node_state.h"
#include "node/sharing/sharing_state.h"

static uint64_t wall_s(void *ctx)
{
	return node_wall_us(((struct sharing *)ctx)->node) / 1000000;
}

static void on_event(void *ctx, const struct community_event *event)
{
	if (event->kind == COMMUNITY_JOINED)
		node_sharing_bind_soon(ctx);
	api_tell_community(((struct sharing *)ctx)->node->api, event);
}

bool node_sharing_is_member(const struct sharing *sharing, const uint8_t key[static MESH_KEY_LEN])
{
	const struct node *node = sharing->node;
	struct community_iter iter = {.communities = sharing->communities};
	struct community_info info;

	while (sharing->communities && communities_next(&iter, &info))
		if (info.is_kept &&
		    community_admits(node->store, info.id, key, node_wall_us(node) / 1000000))
			return true;
	return false;
}

int node_sharing_open_communities(struct sharing *sharing)
{
	struct node *node = sharing->node;
	struct community_params params = {
		.config = node->config->sharing.community,
		.key = node->key,
		.seal = sharing->seal,
		.store = node->store,
		.jobs = node->home->jobs,
		.timers = &node->home->timers,
		.random = node->random,
		.mesh = mesh_seam_of(node->home->mesh),
		.overlay = node_sharing_overlay(sharing),
		.now_ns = node->home->now_ns,
		.wall_s = wall_s,
		.on_event = on_event,
		.ctx = sharing,
	};
	struct swarm_finder finder;
	struct peer_places places;
	int err;

	if (params.overlay.ops && (err = community_rules_add(&params.overlay)) < 0)
		return err;
	err = communities_new(&params, &sharing->communities);
	if (err < 0)
		return err;
	mesh_set_caps(node->home->mesh, mesh_caps(node->home->mesh) | MESH_CAP_PAGED_BROWSE |
						MESH_CAP_SEARCH | MESH_CAP_DELTA);
	sharing->finder = community_finder_new(sharing->communities, &node->home->timers);
	if (!sharing->finder)
		return -ENOMEM;
	finder = community_finder(sharing->finder);
	if ((err = blobs_add_finder(node->home->content, &finder)) < 0)
		return err;
	node_places(node, &places);
	communities_set_places(sharing->communities, &places, node->home->now_ns);
	return 0;
}

/* --- bindings --- */

#define RETRY_NS (2 * NS_PER_S) /* while too many bindings wait */

struct binding_pass {
	struct sharing *sharing;
	const struct community_info *community; /* the one at hand */
	bool is_cut;				/* something has to wait */
};

static bool is_listed(const struct published *share, const uint8_t *community_id)
{
	const struct publish_settings *settings = share->settings;

	for (uint32_t i = 0; i < settings->community_cnt; i++)
		if (memcmp(settings->communities[i], community_id, COMMUNITY_ID_LEN) == 0)
			return settings->is_public;
	return false;
}

/* The beginning of description, in whole letters, as lines that a terminal may print. */
static size_t text_cut(const char *description, char text[static COMMUNITY_TEXT_LEN_MAX])
{
	size_t len = strnlen(description, COMMUNITY_TEXT_LEN_MAX);

	while (len && !utf8_is_valid(description, len))
		len--;
	memcpy(text, description, len);
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)text[i] < ' ' && text[i] != '\n') || text[i] == 0x7f)
			text[i] = ' ';
	return len;
}

static void bind(struct binding_pass *pass, const struct published *share,
		 const struct publish_revision *revision, bool is_bound)
{
	struct sharing *sharing = pass->sharing;
	const struct publish_settings *settings = share->settings;
	const char *title = settings->title[0] ? settings->title : settings->name;
	char text[COMMUNITY_TEXT_LEN_MAX];
	struct community_binding binding = {
		.seq = share->state == PUBLISH_REVOKED ? HEAD_SEQ_REVOKED : revision->seq,
		.is_bound = is_bound,
		.title = title,
		.title_len = strlen(title),
		.text = text,
		.text_len = text_cut(settings->description, text),
		.item_cnt = revision->item_cnt,
		.byte_cnt = revision->byte_cnt,
	};
	int err;

	memcpy(binding.id, pass->community->id, sizeof(binding.id));
	memcpy(binding.manifest_id, revision->manifest_id, sizeof(binding.manifest_id));
	err = community_bind(sharing->communities,
			     shares_publisher_key(sharing->publisher, share->share_id), &binding,
			     sharing->node->home->now_ns);
	pass->is_cut |= err == WEFT_EBUSY;
}

static void bind_share(struct binding_pass *pass, const struct published *share)
{
	const struct publish_revision *own =
		share->revision_cnt ? &share->revisions[share->revision_cnt - 1] : NULL;
	uint64_t seq = 0;
	bool is_bound = community_is_bound(pass->sharing->communities, pass->community->id,
					   share->share_id, &seq);
	bool is_wanted =
		own && share->state == PUBLISH_CURRENT && is_listed(share, pass->community->id);

	/* Another holder of the key has the word while its revision is the newest. */
	if (!own || share->state == PUBLISH_BEHIND)
		return;
	if (is_wanted ? !is_bound || seq < own->seq : is_bound)
		bind(pass, share, own, is_wanted);
}

/* A share that is not published any more is not said again, and goes in a week. */
static bool still_published(void *arg, const uint8_t *share_id)
{
	const struct binding_pass *pass = arg;

	return shares_publisher_lookup(pass->sharing->publisher, share_id) != NULL;
}

static void bind_community(struct binding_pass *pass, const struct community_info *info)
{
	const struct published *share = NULL;

	pass->community = info;
	while ((share = shares_publisher_next(pass->sharing->publisher, share)))
		bind_share(pass, share);
	community_keep_own(pass->sharing->communities, info->id, still_published, pass);
}

void node_sharing_bind_soon(struct sharing *sharing)
{
	sharing->bind_ns = 0;
}

void node_sharing_turn_bindings(struct sharing *sharing, uint64_t now_ns)
{
	struct community_iter iter = {.communities = sharing->communities};
	struct binding_pass pass = {.sharing = sharing};
	struct community_info info;

	if (now_ns < sharing->bind_ns)
		return;
	while (communities_next(&iter, &info))
		bind_community(&pass, &info);
	sharing->bind_ns = pass.is_cut ? now_ns + RETRY_NS : UINT64_MAX;
}

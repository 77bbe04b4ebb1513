/* SPDX-License-Identifier: Apache-2.0 */
/* Shares that this node follows, and the index in which they are searched. */
#include "api/events/events.h"
#include "base/log.h"
#include "blobs/blobs.h"
#include "mesh/mesh.h"
#include "node/node_state.h"
#include "node/sharing/sharing_state.h"
#include "search/search.h"
#include "shares/follow/follow.h"

/* --- search --- */

_Static_assert((int)FOLLOW_TRUSTED == SEARCH_TRUSTED && (int)FOLLOW_NORMAL == SEARCH_NORMAL &&
		       (int)FOLLOW_UNTRUSTED == SEARCH_UNTRUSTED,
	       "the tiers of search are those of follow");

static void on_search(void *ctx, const struct search_event *event)
{
	api_tell_search(((struct sharing *)ctx)->node->api, event);
}

int node_sharing_open_search(struct sharing *sharing)
{
	struct node *node = sharing->node;
	const struct search_params params = {
		.config = node->config->sharing.search,
		.state_dir = node->config->store.dir,
		.store = node->store,
		.jobs = node->home->jobs,
		.timers = &node->home->timers,
		.random = node->random,
		.on_event = on_search,
		.ctx = sharing,
	};

	return search_new(&params, &sharing->search);
}

static void search_follow(struct sharing *sharing, const struct follow *follow)
{
	uint64_t now_ns = sharing->node->home->now_ns;
	int err;

	if (!follow->is_used) {
		search_drop_share(sharing->search, follow->share_id, now_ns);
		return;
	}
	err = search_put_share(
		sharing->search,
		&(struct search_revision){.share_id = follow->share_id,
					  .manifest_id = follow->revisions[0].manifest_id,
					  .tier = (enum search_tier)follow->tier,
					  .weight = follow->weight},
		now_ns);
	if (err == WEFT_EFULL)
		log_warn("a followed share is not searched: no more than %u are",
			 SEARCH_SHARES_MAX);
	else if (err < 0)
		log_warn("a followed share is not searched: the index in %s/search cannot be "
			 "opened: %s",
			 sharing->node->config->store.dir, weft_err_text(err));
}

/* --- followed shares --- */

static void on_changed(void *ctx, const struct follow *follow)
{
	search_follow(ctx, follow);
	node_sharing_schemas_changed(ctx, follow);
}

static uint64_t wall_s(void *ctx)
{
	return node_wall_us(((struct sharing *)ctx)->node) / 1000000;
}

static void on_follow(void *ctx, const struct follow_event *event)
{
	api_tell_follow(((struct sharing *)ctx)->node->api, event);
}

static const uint8_t *public_next(void *ctx, const uint8_t *after)
{
	return shares_publisher_public_next(((struct sharing *)ctx)->publisher, after);
}

_Static_assert(FOLLOW_KEEPERS_MAX >= COMMUNITY_KEEPERS_MAX, "as many as there may be");

static unsigned keepers(void *ctx, const uint8_t share_id[static SHARE_ID_LEN],
			struct link_node out[static FOLLOW_KEEPERS_MAX])
{
	const struct sharing *sharing = ctx;

	return sharing->communities
		       ? community_keepers_of_share(sharing->communities, share_id, out)
		       : 0;
}

static bool is_blocked(void *ctx, const uint8_t content_id[static 32])
{
	const struct sharing *sharing = ctx;

	return shares_follow_blocker(sharing->follows, BLOCKLIST_CONTENT, content_id) != NULL;
}

/* The nodes in a followed share's link have the share; with the share its nodes are trusted. */
static uint32_t choices_by(const struct follow *follow, const uint8_t key[static MESH_KEY_LEN])
{
	for (unsigned i = 0; i < follow->hint_cnt; i++)
		if (memcmp(follow->hints[i].key, key, MESH_KEY_LEN) == 0)
			return MESH_CHOICE_FOLLOWED |
			       (follow->tier == FOLLOW_TRUSTED ? MESH_CHOICE_TRUSTED : 0u);
	return 0;
}

uint32_t node_sharing_choices(const struct sharing *sharing, const uint8_t key[static MESH_KEY_LEN])
{
	const struct follow *follow = NULL;
	uint32_t choices = 0;

	while (sharing->follows && (follow = shares_follows_next(sharing->follows, follow)))
		choices |= choices_by(follow, key);
	return choices;
}

int node_sharing_open_follows(struct sharing *sharing)
{
	struct node *node = sharing->node;
	const struct follows_params params = {
		.config = node->config->sharing.follow,
		.content = node->home->content,
		.mesh = mesh_seam_of(node->home->mesh),
		.overlay = node_sharing_overlay(sharing),
		.store = node->store,
		.timers = &node->home->timers,
		.jobs = node->home->jobs,
		.random = node->random,
		.own_key = node_key_public(node->key),
		.now_ns = node->home->now_ns,
		.wall_s = wall_s,
		.on_changed = on_changed,
		.on_event = on_follow,
		.public_next = public_next,
		.keepers = keepers,
		.ctx = sharing,
	};
	int err = shares_follows_new(&params, &sharing->follows);

	if (err == 0)
		blobs_set_blocker(node->home->content, is_blocked, sharing);
	return err;
}

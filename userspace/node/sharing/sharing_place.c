/* SPDX-License-Identifier: Apache-2.0 */
#include "node/sharing/sharing_place.h"

#include <string.h>

#include "node/node_state.h"
#include "node/sharing/sharing_state.h"

static void hints_set(struct sharing_place *place, const struct link_node *nodes, unsigned cnt)
{
	place->peer_cnt = cnt;
	for (unsigned i = 0; i < cnt; i++) {
		place->hints[i] = nodes[i];
		memcpy(place->peers[i].key, nodes[i].key, sizeof(place->peers[i].key));
		place->peers[i].addrs = place->hints[i].addrs;
		place->peers[i].addr_cnt = nodes[i].addr_cnt;
	}
}

static int published_place(const struct published *share, struct sharing_place *out_place)
{
	if (share->state == PUBLISH_REVOKED)
		return WEFT_EREFUSED;
	if (share->revision_cnt == 0)
		return WEFT_EBUSY;
	memcpy(out_place->manifest_id, share->revisions[share->revision_cnt - 1].manifest_id,
	       sizeof(out_place->manifest_id));
	return 0;
}

/* A place of a share that is followed: 0, or why it is none. */
static int followed_place(const struct follow *follow, struct sharing_place *out_place)
{
	if (follow->state == FOLLOW_REVOKED || follow->state == FOLLOW_BLOCKED)
		return WEFT_EREFUSED;
	if (!follow->is_used || follow->revision_cnt == 0)
		return WEFT_EBUSY;
	memcpy(out_place->manifest_id, follow->revisions[0].manifest_id,
	       sizeof(out_place->manifest_id));
	hints_set(out_place, follow->hints, follow->hint_cnt);
	return 0;
}

/* Whether a collection is shared or was got here. */
struct collection_search {
	const uint8_t *id;
	bool is_found;
};

static bool share_compare(void *arg, const struct blobs_share *share)
{
	struct collection_search *search = arg;

	search->is_found = memcmp(share->manifest_id, search->id, 32) == 0;
	return !search->is_found;
}

static bool get_compare(void *arg, const struct blobs_get *get)
{
	struct collection_search *search = arg;

	if (get->state == BLOBS_GET_TAKEN_BACK || memcmp(get->manifest_id, search->id, 32) != 0)
		return true;
	search->is_found = true;
	return false;
}

static int collection_place(struct node *node, const uint8_t id[static 32],
			    struct sharing_place *out_place)
{
	struct collection_search search = {.id = id};

	blobs_shares_each(node->home.content, share_compare, &search);
	if (!search.is_found)
		blobs_gets_each(node->home.content, get_compare, &search);
	if (!search.is_found)
		return WEFT_EABSENT;
	memcpy(out_place->manifest_id, id, sizeof(out_place->manifest_id));
	return 0;
}

int node_sharing_place_of(struct node *node, const uint8_t id[static 32],
			  struct sharing_place *out_place)
{
	const struct sharing *sharing = node->sharing;
	const struct published *published =
		sharing ? shares_publisher_lookup(sharing->publisher, id) : NULL;
	const struct follow *follow = sharing ? shares_follow_lookup(sharing->follows, id) : NULL;

	memset(out_place, 0, sizeof(*out_place));
	/* Who publishes a share and follows it, as another holder of its key does, follows it. */
	if (follow)
		return followed_place(follow, out_place);
	if (published)
		return published_place(published, out_place);
	return collection_place(node, id, out_place);
}

int node_sharing_place_called(struct node *node, const char *text, struct sharing_place *out_place)
{
	const struct sharing *sharing = node->sharing;
	const struct published *published =
		sharing ? shares_publisher_find(sharing->publisher, text) : NULL;
	const struct follow *follow = NULL;

	if (sharing && !published && shares_follow_find(sharing->follows, text, &follow) < 0)
		follow = NULL;
	if (!published && !follow)
		return WEFT_EABSENT;
	return node_sharing_place_of(node, published ? published->share_id : follow->share_id,
				     out_place);
}

bool node_sharing_blocks(const struct node *node, const uint8_t content_id[static 32])
{
	return node->sharing &&
	       shares_follow_blocker(node->sharing->follows, BLOCKLIST_CONTENT, content_id);
}

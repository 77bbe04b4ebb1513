/* SPDX-License-Identifier: Apache-2.0 */
#include "api/content/collection_place.h"

#include <string.h>

#include "api/api.h"
#include "blobs/blobs.h"
#include "shares/follow/follow.h"
#include "shares/publish/publish.h"

static void hints_set(struct api_place *place, const struct link_node *nodes, unsigned cnt)
{
	place->peer_cnt = cnt;
	for (unsigned i = 0; i < cnt; i++) {
		place->hints[i] = nodes[i];
		place->peers[i] = mesh_peer_at(nodes[i].key, &place->hints[i].places);
	}
}

static int published_place(const struct published *share, struct api_place *out_place)
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
static int followed_place(const struct follow *follow, struct api_place *out_place)
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

static bool is_shared(struct api *api, const uint8_t id[static 32])
{
	struct blobs_share_iter iter = {.content = api->home->content};
	struct blobs_share share;

	while (blobs_shares_next(&iter, &share))
		if (memcmp(share.manifest_id, id, sizeof(share.manifest_id)) == 0)
			return true;
	return false;
}

static bool was_got(struct api *api, const uint8_t id[static 32])
{
	struct blobs_get_iter iter = {.content = api->home->content};
	const struct blobs_get *get;

	while ((get = blobs_gets_next(&iter)))
		if (get->state != BLOBS_GET_TAKEN_BACK && memcmp(get->manifest_id, id, 32) == 0)
			return true;
	return false;
}

static int collection_place(struct api *api, const uint8_t id[static 32],
			    struct api_place *out_place)
{
	if (!is_shared(api, id) && !was_got(api, id))
		return WEFT_EABSENT;
	memcpy(out_place->manifest_id, id, sizeof(out_place->manifest_id));
	return 0;
}

int api_place_of(struct api *api, const uint8_t id[static 32], struct api_place *out_place)
{
	const struct published *published =
		api->publisher ? shares_publisher_lookup(api->publisher, id) : NULL;
	const struct follow *follow = api->follows ? shares_follow_lookup(api->follows, id) : NULL;

	memset(out_place, 0, sizeof(*out_place));
	/* A share that is published and followed here has another holder of its key: follow that. */
	if (follow)
		return followed_place(follow, out_place);
	if (published)
		return published_place(published, out_place);
	return collection_place(api, id, out_place);
}

int api_place_called(struct api *api, const char *text, struct api_place *out_place)
{
	const struct published *published =
		api->publisher ? shares_publisher_find(api->publisher, text) : NULL;
	const struct follow *follow = NULL;

	if (api->follows && !published && shares_follow_find(api->follows, text, &follow) < 0)
		follow = NULL;
	if (!published && !follow)
		return WEFT_EABSENT;
	return api_place_of(api, published ? published->share_id : follow->share_id, out_place);
}

bool api_is_blocked(const struct api *api, const uint8_t content_id[static 32])
{
	return api->follows && shares_follow_blocker(api->follows, BLOCKLIST_CONTENT, content_id);
}

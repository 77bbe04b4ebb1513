/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader was taken off a post. Pages that were not made yet leave the post out by themselves, as do
 * those that wait for marks. What is on its way already ends here.
 */
#include <string.h>

#include "social/sync/sync_state.h"

bool social_sync_is_of(const struct sync_peer *peer, const uint8_t *person)
{
	for (unsigned i = 0; i < peer->key_cnt; i++)
		if (memcmp(peer->keys[i], person, NODE_KEY_LEN) == 0)
			return true;
	return false;
}

bool social_sync_speaks_for(struct sync *sync, const uint8_t key[static MESH_KEY_LEN],
			    const uint8_t person[static NODE_KEY_LEN])
{
	const struct sync_peer *peer = social_sync_peer_find(sync, key);

	return peer ? social_sync_is_of(peer, person) : memcmp(key, person, NODE_KEY_LEN) == 0;
}

static bool page_has(struct sync *sync, const struct sync_lent *lent, const uint8_t *post)
{
	if (social_sync_page_parse(lent->bytes, lent->page_len, &sync->page) < 0)
		return false;
	for (unsigned i = 0; i < sync->page.post_cnt; i++)
		if (memcmp(sync->page.posts[i].id, post, POST_ID_LEN) == 0)
			return true;
	return false;
}

static void pages_cut(struct sync *sync, const uint8_t *person, const uint8_t *post)
{
	struct sync_lent *lent = NULL;

	while ((lent = pool_next(&sync->lents, lent)))
		if (lent->page_len && social_sync_speaks_for(sync, lent->asker, person) &&
		    page_has(sync, lent, post)) {
			sync->stats.cut_cnt++;
			sync_ops(sync)->recall(sync_mesh(sync), lent);
		}
}

static void dues_cut(struct sync_peer *peer, const uint8_t *post)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < peer->due_cnt; i++)
		if (peer->dues[i].type == MESH_PROFILE_UPDATE ||
		    peer->dues[i].type == MESH_POST_DELETE ||
		    memcmp(peer->dues[i].id, post, POST_ID_LEN) != 0)
			peer->dues[cnt++] = peer->dues[i];
	peer->due_cnt = cnt;
}

void social_sync_cut(struct sync *sync, const uint8_t person[static NODE_KEY_LEN],
		     const uint8_t post[static POST_ID_LEN])
{
	struct sync_peer *peer = NULL;

	if (sync->is_stopped)
		return;
	pages_cut(sync, person, post);
	while ((peer = pool_next(&sync->peers, peer)))
		if (social_sync_is_of(peer, person))
			dues_cut(peer, post);
	social_sync_literal_cut(sync, person);
}

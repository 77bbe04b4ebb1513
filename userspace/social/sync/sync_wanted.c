/* SPDX-License-Identifier: Apache-2.0 */
/* What is wanted of a peer, by what it says that it has, and what is not asked for again for a while. */
#include "crypto/blake3/blake3.h"
#include "social/sync/sync_state.h"

/* --- posts that are not asked for again --- */

/* A hash, so that no peer finds an id that stands for that of another post. */
static void refused_name(const struct sync_peer *peer, const uint8_t *id,
			 uint8_t out[static POST_ID_LEN])
{
	struct blake3 hash;

	blake3_init(&hash);
	blake3_update(&hash, peer->keys[0], NODE_KEY_LEN);
	blake3_update(&hash, id, POST_ID_LEN);
	blake3_final(&hash, out, POST_ID_LEN);
}

void social_sync_refuse_id(struct sync *sync, const struct sync_peer *peer,
			   const uint8_t id[static POST_ID_LEN], uint64_t until_ns)
{
	uint8_t name[POST_ID_LEN];
	struct sync_refused *refused;

	if (peer) {
		refused_name(peer, id, name);
		id = name;
	}
	refused = map_lookup(&sync->refused_by_id, id);
	if (!refused) {
		refused = &sync->refused[sync->refused_at++ % SYNC_REFUSED_MAX];
		if (refused->until_ns)
			(void)map_delete(&sync->refused_by_id, refused->id);
		memcpy(refused->id, id, sizeof(refused->id));
		if (map_put(&sync->refused_by_id, id, refused) < 0) {
			refused->until_ns = 0;
			return;
		}
	}
	refused->until_ns = until_ns;
}

void social_sync_refusals_forget(struct sync *sync)
{
	for (unsigned i = 0; i < SYNC_REFUSED_MAX; i++)
		if (sync->refused[i].until_ns) {
			(void)map_delete(&sync->refused_by_id, sync->refused[i].id);
			sync->refused[i].until_ns = 0;
		}
	sync->refused_at = 0;
}

static bool is_refused(const struct sync_peer *peer, const uint8_t *id, uint64_t now_ns)
{
	const struct map *refusals = &peer->sync->refused_by_id;
	const struct sync_refused *of_all, *of_peer;
	uint8_t name[POST_ID_LEN];

	if (peer->sync->refused_at == 0)
		return false;
	refused_name(peer, id, name);
	of_all = map_lookup(refusals, id);
	of_peer = map_lookup(refusals, name);
	return (of_all && now_ns < of_all->until_ns) || (of_peer && now_ns < of_peer->until_ns);
}

/* --- what is wanted --- */

/* false: nothing of it is; out: all of the post, or its visibility alone. */
static bool is_wanted(struct sync *sync, const uint8_t *row, struct sync_wanted *out)
{
	const struct sync_parts *parts = &sync->params.parts;
	struct post_row held;
	uint16_t number = (uint16_t)(row[POST_ID_LEN] << 8 | row[POST_ID_LEN + 1]);
	uint8_t deletion[SYNC_DELETION_LEN_MAX], author[NODE_KEY_LEN];

	memcpy(out->id, row, sizeof(out->id));
	out->has_post = parts->row(parts->ctx, row, &held);
	if (out->has_post)
		return (int16_t)(number - held.number) > 0;
	return parts->deletion(parts->ctx, row, deletion, author) == 0;
}

static void wanted_add(struct sync_pull *pull, const struct sync_wanted *wanted)
{
	if (pull->wanted_cnt == SYNC_WANTED_MAX) {
		pull->wanted_cnt -= pull->wanted_at;
		memmove(pull->wanted, pull->wanted + pull->wanted_at,
			pull->wanted_cnt * sizeof(*pull->wanted));
		pull->wanted_at = 0;
	}
	if (pull->wanted_cnt < SYNC_WANTED_MAX)
		pull->wanted[pull->wanted_cnt++] = *wanted;
}

void social_sync_pull_want(struct sync_pull *pull, const uint8_t row[static SYNC_ROW_LEN])
{
	struct sync *sync = pull->sync;
	struct sync_wanted wanted;

	if (is_wanted(sync, row, &wanted) && !is_refused(pull->peer, row, sync->now_ns))
		wanted_add(pull, &wanted);
}

/* It is fetched when the pull under way is over, which may find it as well. */
bool social_sync_want(struct sync_peer *peer, const uint8_t row[static SYNC_ROW_LEN],
		      uint64_t now_ns)
{
	struct sync_wanted wanted;

	if (!is_wanted(peer->sync, row, &wanted) || is_refused(peer, row, now_ns))
		return false;
	if (peer->offered_cnt == SYNC_OFFERED_MAX)
		return false;
	memcpy(peer->offered[peer->offered_cnt++], row, SYNC_ROW_LEN);
	if (!peer->pull)
		social_sync_due(peer->sync, now_ns);
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Which members may have what was bound to a community: whom to ask where no public record says so. */
#include <string.h>

#include "base/random.h"
#include "community_state.h"
#include "store/store.h"

_Static_assert(PEER_ADDRS_MAX <= LINK_ADDRS_MAX, "a keeper has room for a member's addresses");

#define MEMBERS_MAX 3u	/* others, of a community */
#define ROWS_MAX    32u /* looked at for them */

struct keepers {
	struct communities *all;
	struct community *community;
	struct store_snapshot *snapshot;
	struct link_node *out;
	unsigned cnt;
	unsigned seen_cnt, member_cnt;
	const uint8_t *manifest_id; /* looked for */
	bool is_found;
};

static bool keeper_add(struct keepers *keepers, const uint8_t *key)
{
	struct link_node *keeper = &keepers->out[keepers->cnt];
	struct community_member member;
	struct roster_row row;

	if (keepers->cnt == COMMUNITY_KEEPERS_MAX ||
	    memcmp(key, keepers->all->own_key, COMMUNITY_KEY_LEN) == 0 ||
	    community_roster_is_expelled(&keepers->community->roster, key) ||
	    community_roster_get(keepers->snapshot, keepers->community->roster.id, ROSTER_MEMBER,
				 key, &row) < 0 ||
	    !row.is_live || community_member_parse(row.record, row.len, &member) < 0)
		return false;
	for (unsigned i = 0; i < keepers->cnt; i++)
		if (memcmp(keepers->out[i].key, key, COMMUNITY_KEY_LEN) == 0)
			return false;
	memcpy(keeper->key, key, sizeof(keeper->key));
	keeper->addr_cnt = (uint8_t)member.addr_cnt;
	memcpy(keeper->addrs, member.addrs, member.addr_cnt * sizeof(member.addrs[0]));
	keepers->cnt++;
	return true;
}

static bool member_seen(void *arg, const struct roster_row *row)
{
	struct keepers *keepers = arg;

	keepers->member_cnt += keeper_add(keepers, row->key);
	return keepers->member_cnt < MEMBERS_MAX && ++keepers->seen_cnt < ROWS_MAX;
}

/* Partners, then some from a random place on, or from the first. */
static void members_add(struct keepers *keepers)
{
	const struct community *community = keepers->community;
	uint8_t from[ROSTER_KEY_LEN];

	for (unsigned i = 0; i < community->partner_cnt; i++)
		(void)keeper_add(keepers, community->partners[i].key);
	keepers->seen_cnt = keepers->member_cnt = 0;
	random_fill(keepers->all->params.random, from, sizeof(from));
	if (community_roster_each(keepers->snapshot, community->roster.id, ROSTER_MEMBER, from,
				  member_seen, keepers) == 0 &&
	    keepers->member_cnt < MEMBERS_MAX)
		(void)!community_roster_each(keepers->snapshot, community->roster.id, ROSTER_MEMBER,
					     NULL, member_seen, keepers);
}

static bool share_counts(struct keepers *keepers, const struct roster_row *row,
			 struct community_share *out_share)
{
	return row->is_live && row->until_s > community_wall_s(keepers->all) &&
	       community_share_parse(row->record, row->len, out_share) == 0;
}

static bool share_seen(void *arg, const struct roster_row *row)
{
	struct keepers *keepers = arg;
	struct community_share share;

	if (share_counts(keepers, row, &share) &&
	    memcmp(share.binding.manifest_id, keepers->manifest_id, 32) == 0) {
		keepers->is_found = true;
		(void)keeper_add(keepers, share.key);
	}
	return !keepers->is_found && ++keepers->seen_cnt < COMMUNITY_LOOK_MAX;
}

static void manifest_look(struct keepers *keepers, const uint8_t *id)
{
	keepers->is_found = false;
	keepers->seen_cnt = 0;
	keepers->manifest_id = id;
	(void)!community_roster_each(keepers->snapshot, keepers->community->roster.id, ROSTER_SHARE,
				     NULL, share_seen, keepers);
}

static void share_look(struct keepers *keepers, const uint8_t *id)
{
	struct community_share share;
	struct roster_row row;

	keepers->is_found = community_roster_get(keepers->snapshot, keepers->community->roster.id,
						 ROSTER_SHARE, id, &row) == 0 &&
			    share_counts(keepers, &row, &share);
	if (keepers->is_found)
		(void)keeper_add(keepers, share.key);
}

static unsigned keepers_find(struct communities *all, const uint8_t *id,
			     void (*look)(struct keepers *keepers, const uint8_t *id),
			     struct link_node *out)
{
	struct keepers keepers = {.all = all, .out = out};

	if (store_snapshot_open(all->params.store, &keepers.snapshot) < 0)
		return 0;
	while ((keepers.community = community_next(all, keepers.community))) {
		if (keepers.community->phase != COMMUNITY_IN)
			continue;
		look(&keepers, id);
		if (keepers.is_found)
			members_add(&keepers);
	}
	store_snapshot_close(keepers.snapshot);
	return keepers.cnt;
}

unsigned community_keepers_of_share(struct communities *all,
				    const uint8_t share_id[static COMMUNITY_ID_LEN],
				    struct link_node out[static COMMUNITY_KEEPERS_MAX])
{
	return keepers_find(all, share_id, share_look, out);
}

unsigned community_keepers_of_manifest(struct communities *all,
				       const uint8_t manifest_id[static 32],
				       struct link_node out[static COMMUNITY_KEEPERS_MAX])
{
	return keepers_find(all, manifest_id, manifest_look, out);
}

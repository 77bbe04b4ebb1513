/* SPDX-License-Identifier: Apache-2.0 */
/* Which members may have what was bound to a community; asked when no public record names a holder. */
#include <string.h>

#include "base/random.h"
#include "community/community_state.h"
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
	keeper->places = member.places;
	keepers->cnt++;
	return true;
}

/* Partners, then some from a random place on. */
static void members_add(struct keepers *keepers)
{
	const struct community *community = keepers->community;
	uint8_t from[ROSTER_KEY_LEN];
	struct roster_iter iter;
	struct roster_row row;
	unsigned member_cnt = 0;

	for (unsigned i = 0; i < community->partner_cnt; i++)
		(void)keeper_add(keepers, community->partners[i].key);
	random_fill(keepers->all->params.random, from, sizeof(from));
	community_roster_walk(&iter, keepers->snapshot, community->roster.id, ROSTER_MEMBER, from);
	iter.wraps = true;
	for (unsigned i = 0;
	     i < ROWS_MAX && member_cnt < MEMBERS_MAX && community_roster_next(&iter, &row); i++)
		member_cnt += keeper_add(keepers, row.key);
	(void)!community_roster_end(&iter);
}

static bool share_counts(struct keepers *keepers, const struct roster_row *row,
			 struct community_share *out_share)
{
	return row->is_live && row->until_s > community_wall_s(keepers->all) &&
	       community_share_parse(row->record, row->len, out_share) == 0;
}

static void manifest_look(struct keepers *keepers, const uint8_t *id)
{
	struct community_share share;
	struct roster_iter iter;
	struct roster_row row;

	keepers->is_found = false;
	community_roster_walk(&iter, keepers->snapshot, keepers->community->roster.id, ROSTER_SHARE,
			      NULL);
	for (unsigned i = 0;
	     i < COMMUNITY_LOOK_MAX && !keepers->is_found && community_roster_next(&iter, &row);
	     i++)
		keepers->is_found = share_counts(keepers, &row, &share) &&
				    memcmp(share.binding.manifest_id, id, 32) == 0;
	if (keepers->is_found)
		(void)keeper_add(keepers, share.key);
	(void)!community_roster_end(&iter);
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

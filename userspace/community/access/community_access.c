/* SPDX-License-Identifier: Apache-2.0 */
#include "community_access.h"

#include "community/joined_record.h"
#include "revocations.h"
#include "community/roster/roster.h"
#include "store/store.h"

static bool joined_read(struct store_snapshot *snapshot, const uint8_t *id,
			struct joined_brief *out_brief)
{
	const void *bytes;
	size_t len;

	return store_get(snapshot, STORE_COMMUNITIES, store_key(id, COMMUNITY_ID_LEN), &bytes,
			 &len) == 0 &&
	       community_joined_record_brief(bytes, len, out_brief) == 0 && !out_brief->is_leaving;
}

/* A revocation list that cannot be read expels all. */
static bool is_expelled(struct store_snapshot *snapshot, const uint8_t *id, const uint8_t *key)
{
	struct community_revocations revocations;
	int err = community_revocations_load(snapshot, id, &revocations);

	return err == WEFT_EABSENT ? false
				   : err < 0 || community_revocations_has(&revocations, key);
}

/* The row's signatures were verified when it came. */
static bool token_counts(const struct roster_row *row, uint64_t wall_s)
{
	struct community_member member;
	struct community_token token;

	return community_member_parse(row->record, row->len, &member) == 0 && member.token &&
	       community_token_parse(member.token, member.token_len, &token) == 0 &&
	       community_token_is_valid(&token, wall_s);
}

bool community_admits(struct store *store, const uint8_t id[static COMMUNITY_ID_LEN],
		      const uint8_t key[static COMMUNITY_KEY_LEN], uint64_t wall_s)
{
	struct store_snapshot *snapshot;
	struct joined_brief joined;
	struct roster_row row;
	bool is_member;

	if (store_snapshot_open(store, &snapshot) < 0)
		return false;
	is_member = joined_read(snapshot, id, &joined) &&
		    community_roster_get(snapshot, id, ROSTER_MEMBER, key, &row) == 0 &&
		    row.is_live && row.until_s > wall_s &&
		    (!joined.is_strict || token_counts(&row, wall_s)) &&
		    !is_expelled(snapshot, id, key);
	store_snapshot_close(snapshot);
	return is_member;
}

bool community_hides(struct store *store, const uint8_t id[static COMMUNITY_ID_LEN])
{
	struct store_snapshot *snapshot;
	struct joined_brief joined;
	bool hides;

	if (store_snapshot_open(store, &snapshot) < 0)
		return true;
	hides = !joined_read(snapshot, id, &joined) || joined.is_strict;
	store_snapshot_close(snapshot);
	return hides;
}

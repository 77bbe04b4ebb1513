/* SPDX-License-Identifier: Apache-2.0 */
#include "blinding.h"

#include <errno.h>
#include <string.h>

#include "blobs/scope.h"
#include "epoch_key.h"
#include "community/joined_record.h"
#include "community/record/community_record.h"
#include "revocations.h"
#include "store/store.h"

struct listing {
	struct store_snapshot *snapshot;
	const struct key_seal *seal;
	uint64_t wall_s;
	struct blind_keys *keys;
	int err;
};

static void key_add(struct listing *listing, const uint8_t *community, const uint8_t *secret)
{
	struct blind_key *key = blobs_blind_keys_add(listing->keys);

	if (!key) {
		listing->err = -ENOMEM;
		return;
	}
	memcpy(key->community, community, sizeof(key->community));
	key->is_missing = !secret;
	if (secret)
		community_epoch_key_blind(secret, key);
}

/* The current key first. A key of an epoch that the revocation list ended counts for the grace. */
static void keys_add(struct listing *listing, const uint8_t *id,
		     const struct community_revocations *revocations, const struct epoch_keys *keys)
{
	bool is_grace = listing->wall_s < revocations->time_s + COMMUNITY_GRACE_S;
	bool is_current = keys->current.epoch == revocations->epoch;

	key_add(listing, id, is_current ? keys->current.secret : NULL);
	if (is_grace && !is_current && keys->current.epoch)
		key_add(listing, id, keys->current.secret);
	if (is_grace && is_current && keys->previous.epoch)
		key_add(listing, id, keys->previous.secret);
}

static void row_seen(struct listing *listing, const struct store_item *item)
{
	struct epoch_keys keys = {0};
	struct community_revocations revocations;
	struct joined_brief joined;

	if (community_joined_record_brief(item->value, item->value_len, &joined) < 0 ||
	    !joined.is_strict || joined.is_leaving)
		return;
	if (community_revocations_load(listing->snapshot, item->key, &revocations) < 0 ||
	    !revocations.has_commit)
		return;
	(void)!community_revocations_keys_load(listing->snapshot, item->key, listing->seal, &keys);
	keys_add(listing, item->key, &revocations, &keys);
	community_epoch_keys_wipe(&keys);
}

int community_blind_keys(struct store *store, const struct key_seal *seal, uint64_t wall_s,
			 struct blind_keys *keys)
{
	struct listing listing = {.seal = seal, .wall_s = wall_s, .keys = keys};
	struct store_iter iter;
	struct store_item item;
	int err = store_snapshot_open(store, &listing.snapshot);

	if (err < 0)
		return err;
	blobs_blind_keys_clear(keys);
	iter = store_iter(listing.snapshot, STORE_COMMUNITIES, STORE_ALL);
	while (listing.err == 0 && store_iter_next(&iter, &item))
		row_seen(&listing, &item);
	err = store_iter_end(&iter);
	store_snapshot_close(listing.snapshot);
	return err < 0 ? err : listing.err;
}

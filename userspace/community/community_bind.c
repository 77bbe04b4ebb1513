/* SPDX-License-Identifier: Apache-2.0 */
/* Shares of this node that belong to communities, as their publisher says. */
#include <string.h>

#include "community_state.h"
#include "store/store.h"

int community_bind(struct communities *all, const struct node_key *share_key,
		   const struct community_binding *binding, uint64_t now_ns)
{
	struct community *community = community_lookup(all, binding->id);
	uint8_t bytes[COMMUNITY_BINDING_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	if (!community || community->phase != COMMUNITY_IN)
		return WEFT_EABSENT;
	community_binding_write(&w, share_key, binding);
	return w.bad ? WEFT_EMALFORMED
		     : community_announce_bind(community, bytes, writer_len(&w), now_ns);
}

bool community_is_bound(struct communities *all, const uint8_t id[static COMMUNITY_ID_LEN],
			const uint8_t share_id[static COMMUNITY_ID_LEN], uint64_t *out_seq)
{
	struct store_snapshot *snapshot;
	struct community_share share;
	struct roster_row row;
	bool is_bound;

	if (store_snapshot_open(all->params.store, &snapshot) < 0)
		return false;
	is_bound = community_roster_get(snapshot, id, ROSTER_SHARE, share_id, &row) == 0 &&
		   row.is_live && community_share_parse(row.record, row.len, &share) == 0 &&
		   memcmp(share.key, all->own_key, COMMUNITY_KEY_LEN) == 0;
	if (is_bound)
		*out_seq = share.binding.seq;
	store_snapshot_close(snapshot);
	return is_bound;
}

void community_keep_own(struct communities *all, const uint8_t id[static COMMUNITY_ID_LEN],
			bool (*keep)(void *arg, const uint8_t *share_id), void *arg)
{
	struct community *community = community_lookup(all, id);
	struct own_shares *own = community ? &community->shares : NULL;

	for (unsigned i = own ? own->cnt : 0; i-- > 0;)
		if (!keep(arg, own->ids[i]))
			community_own_shares_set(own, own->ids[i], false);
}

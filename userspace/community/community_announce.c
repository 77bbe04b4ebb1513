/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of this node itself in a community, one after the other:
 *
 *	due (timer) -> signed -> intake, durable -> put into the overlay -> due again
 *
 * Numbers are the wall clock's seconds, or one more than the last: so they ascend even when the
 * store is lost. A record leaves the node only when its number is durable.
 */
#include <string.h>

#include "base/monotonic.h"
#include "base/list.h"
#include "base/random.h"
#include "community_state.h"
#include "community/record/community_rule.h"
#include "crypto/node_key.h"
#include "store/store.h"

#define FIRST_NS      (2 * NS_PER_S)	     /* after the start: addresses and overlay come first */
#define RETRY_NS      (60 * NS_PER_S)	     /* after a failure */
#define HINT_NS	      (12 * 3600 * NS_PER_S) /* half a hint's life */
#define HINTS_WANTED  32u		     /* about, of all members together */
#define SHARE_LOOK_NS (6 * 3600 * NS_PER_S)  /* between two looks for old records of shares */

static void due(struct community *community, uint64_t at_ns)
{
	struct timer_wheel *timers = community->all->params.timers;

	if (!timer_is_set(&community->announce_timer) || at_ns < community->announce_timer.at_ns)
		timer_set(timers, &community->announce_timer, at_ns);
}

static uint64_t seq_next(struct community *community)
{
	uint64_t now_s = community_wall_s(community->all);

	return now_s > community->seq ? now_s : community->seq + 1;
}

/* --- the overlay --- */

static void put_failed(struct community *community, uint64_t now_ns)
{
	uint64_t at_ns = now_ns + RETRY_NS;

	switch (community->put_kind) {
	case COMMUNITY_PUT_MEMBER:
		community->put_ns = at_ns;
		break;
	case COMMUNITY_PUT_SHARE:
		if (!community->untold_s)
			community->untold_s = community->own_s;
		if (community->share_look_ns > at_ns)
			community->share_look_ns = at_ns;
		break;
	case COMMUNITY_PUT_HINT:
		community->hint_ns = at_ns;
		break;
	}
	due(community, at_ns);
}

static void put_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	struct community *community = arg;

	community->put = NULL;
	if (result->err < 0 || result->stored_cnt == 0)
		put_failed(community, now_ns);
	else if (community->put_kind == COMMUNITY_PUT_MEMBER)
		community->is_put_due = false;
	due(community, now_ns);
}

/* Puts record into the overlay under the name of its kind, and again later if no node stored it. */
static void put(struct community *community, enum community_put kind, struct community_bytes name,
		struct community_bytes record, uint64_t now_ns)
{
	static const uint8_t tags[] = {
		[COMMUNITY_PUT_MEMBER] = COMMUNITY_TAG_MEMBER,
		[COMMUNITY_PUT_SHARE] = COMMUNITY_TAG_SHARE,
		[COMMUNITY_PUT_HINT] = COMMUNITY_TAG_HINT,
	};
	const struct overlay_seam *overlay = &community->all->params.overlay;
	uint8_t value[1 + COMMUNITY_HINT_LEN_MAX];

	if (!community_has_overlay(community))
		return;
	community->put_kind = kind;
	value[0] = tags[kind];
	memcpy(value + 1, record.data, record.len);
	if (overlay->ops->put(overlay->overlay,
			      &(struct overlay_put_params){
				      .value = {name.data, name.len, value, 1 + record.len},
				      .done = put_done,
				      .arg = community},
			      now_ns, &community->put) == 0)
		return;
	community->put = NULL;
	put_failed(community, now_ns);
}

static void put_member(struct community *community, uint64_t now_ns)
{
	uint8_t name[COMMUNITY_NAME_CAP];
	size_t len = community_name_member(community->roster.id, community->all->own_key, name);

	put(community, COMMUNITY_PUT_MEMBER, (struct community_bytes){name, len},
	    (struct community_bytes){community->record, community->record_len}, now_ns);
}

static void put_share(struct community *community, const uint8_t *share_id, uint64_t now_ns)
{
	uint8_t name[COMMUNITY_NAME_CAP];
	size_t len = community_name_share(community->roster.id, share_id, name);

	put(community, COMMUNITY_PUT_SHARE, (struct community_bytes){name, len},
	    (struct community_bytes){community->own_bytes, community->own_len}, now_ns);
}

/* --- hints --- */

struct sampling {
	uint8_t keys[COMMUNITY_SAMPLES_MAX][COMMUNITY_KEY_LEN];
	unsigned cnt;
};

/* From a random place on. */
static void samples_take(struct community *community, struct sampling *sampling)
{
	uint64_t wall_s = community_wall_s(community->all);
	uint8_t from[ROSTER_KEY_LEN];
	struct store_snapshot *snapshot;
	struct roster_iter iter;
	struct roster_row row;

	random_fill(community->all->params.random, from, sizeof(from));
	if (store_snapshot_open(community->all->params.store, &snapshot) < 0)
		return;
	community_roster_walk(&iter, snapshot, community->roster.id, ROSTER_MEMBER, from);
	iter.wraps = true;
	while (sampling->cnt < COMMUNITY_SAMPLES_MAX && community_roster_next(&iter, &row))
		if (row.is_live && row.until_s > wall_s &&
		    memcmp(row.key, community->all->own_key, COMMUNITY_KEY_LEN) != 0)
			memcpy(sampling->keys[sampling->cnt++], row.key, COMMUNITY_KEY_LEN);
	if (community_roster_end(&iter) < 0)
		sampling->cnt = 0;
	store_snapshot_close(snapshot);
}

static void put_hint(struct community *community, uint64_t now_ns)
{
	struct communities *all = community->all;
	struct sampling sampling = {.cnt = 0};
	uint64_t wall_s = community_wall_s(all);
	struct community_hint hint = {.time_s = wall_s, .seq = wall_s};
	uint8_t bytes[COMMUNITY_HINT_LEN_MAX], name[COMMUNITY_NAME_CAP];
	struct writer w = writer_of(bytes, sizeof(bytes));
	size_t name_len;

	memcpy(hint.id, community->roster.id, sizeof(hint.id));
	hint.places = all->places;
	samples_take(community, &sampling);
	for (unsigned i = 0; i < sampling.cnt; i++)
		hint.samples[i] = sampling.keys[i];
	hint.sample_cnt = sampling.cnt;
	community_hint_write(&w, all->params.key, &hint);
	name_len = community_name_hint(community->roster.id, name);
	if (!w.bad)
		put(community, COMMUNITY_PUT_HINT, (struct community_bytes){name, name_len},
		    (struct community_bytes){bytes, writer_len(&w)}, now_ns);
}

/* Not all of ten thousand members have to publish a hint. */
static bool hint_is_mine(struct community *community)
{
	uint32_t member_cnt = community->roster.joined_cnt;

	return member_cnt <= HINTS_WANTED ||
	       random_below(community->all->params.random, member_cnt) < HINTS_WANTED;
}

/* --- own records --- */

static void own_done(void *arg, struct intake_lot *lot, uint64_t now_ns);

static void own_submit(struct community *community, enum roster_kind kind, size_t len)
{
	community->own_len = len;
	community->own = (struct intake_lot){
		.roster = &community->roster, .is_own = true, .done = own_done, .arg = community};
	(void)community_intake_lot_add(&community->own, kind, community->own_bytes, len);
	community_intake_submit(community->all->intake, &community->own);
}

static void sign_member(struct community *community, uint64_t now_ns)
{
	struct communities *all = community->all;
	struct community_member member = {.seq = seq_next(community),
					  .is_joined = community->phase == COMMUNITY_IN,
					  .time_s = community_wall_s(all),
					  .places = all->places};
	struct writer w = writer_of(community->own_bytes, COMMUNITY_MEMBER_LEN_MAX);

	memcpy(member.id, community->roster.id, sizeof(member.id));
	if (community->token_len) {
		member.token = community->token;
		member.token_len = community->token_len;
	}
	community_member_write(&w, all->params.key, &member);
	community->is_record_stale = false;
	community->seq = member.seq;
	if (w.bad) {
		due(community, now_ns + RETRY_NS);
		return;
	}
	own_submit(community, ROSTER_MEMBER, writer_len(&w));
}

static void sign_share(struct community *community, const uint8_t *binding, size_t len)
{
	struct communities *all = community->all;
	struct community_share share = {.seq = seq_next(community),
					.time_s = community_wall_s(all),
					.binding_bytes = binding,
					.binding_len = len};
	struct writer w = writer_of(community->own_bytes, sizeof(community->own_bytes));

	memcpy(share.id, community->roster.id, sizeof(share.id));
	community->own_s = share.time_s;
	community_share_write(&w, all->params.key, &share);
	community->seq = share.seq;
	if (!w.bad)
		own_submit(community, ROSTER_SHARE, writer_len(&w));
}

static void member_is_durable(struct community *community, uint64_t now_ns)
{
	memcpy(community->record, community->own_bytes, community->own_len);
	community->record_len = community->own_len;
	community->record_s = community_wall_s(community->all);
	community->is_put_due = true;
	community->put_ns = now_ns;
	community_partners_soon(community, now_ns);
}

static void own_done(void *arg, struct intake_lot *lot, uint64_t now_ns)
{
	struct community *community = arg;
	const struct intake_item *item = &lot->items[0];

	if (item->verdict == COMMUNITY_STORE_FAILED || lot->err < 0) {
		community->is_record_stale |= item->kind == ROSTER_MEMBER;
		due(community, now_ns + RETRY_NS);
		return;
	}
	if (item->kind == ROSTER_MEMBER && !lot->taken_cnt) {
		/* The token has ended: nothing to say before there is another. */
		due(community, now_ns + RETRY_NS);
		return;
	}
	if (item->kind == ROSTER_MEMBER)
		member_is_durable(community, now_ns);
	else if (lot->taken_cnt)
		put_share(community, item->key, now_ns);
	due(community, now_ns);
}

/* --- shares whose record is past half its life, or which no node stores --- */

static bool is_said_again(const struct community *community, const struct community_share *share)
{
	return share->time_s + COMMUNITY_RECORD_LIFE_S / 2 <= community_wall_s(community->all) ||
	       (community->look_from_s && share->time_s >= community->look_from_s &&
		share->time_s < community->look_to_s);
}

/* The binding of the own share at idx, if it is to be said again; its length, or 0. */
static size_t old_binding(struct community *community, struct store_snapshot *snapshot,
			  unsigned idx, uint8_t binding[static COMMUNITY_BINDING_LEN_MAX])
{
	struct community_share share;
	struct roster_row row;

	if (community_roster_get(snapshot, community->roster.id, ROSTER_SHARE,
				 community->shares.ids[idx], &row) < 0 ||
	    community_share_parse(row.record, row.len, &share) < 0 ||
	    !is_said_again(community, &share))
		return 0;
	memcpy(binding, share.binding_bytes, share.binding_len);
	return share.binding_len;
}

/* A record that is signed again is of this second or later, and signed once by this look. */
static void look_begin(struct community *community)
{
	community->look_from_s = 0;
	community->look_to_s = community_wall_s(community->all);
	if (community->untold_s >= community->look_to_s)
		return;
	community->look_from_s = community->untold_s;
	community->untold_s = 0;
}

/* Looks on from where it was; true: one is being signed anew. */
static bool shares_renew(struct community *community, uint64_t now_ns)
{
	uint8_t binding[COMMUNITY_BINDING_LEN_MAX];
	struct store_snapshot *snapshot;
	size_t len = 0;

	if (now_ns < community->share_look_ns ||
	    store_snapshot_open(community->all->params.store, &snapshot) < 0)
		return false;
	if (community->share_idx == 0)
		look_begin(community);
	while (len == 0 && community->share_idx < community->shares.cnt)
		len = old_binding(community, snapshot, community->share_idx++, binding);
	store_snapshot_close(snapshot);
	if (len) {
		sign_share(community, binding, len);
		return true;
	}
	community->share_idx = 0;
	community->share_look_ns = now_ns + (community->untold_s ? RETRY_NS : SHARE_LOOK_NS);
	return false;
}

/* --- the order of it --- */

static bool member_is_old(const struct community *community)
{
	uint64_t wall_s = community_wall_s(community->all);

	/* A clock that was set back may make it one from the future. */
	return !community->record_len || community->record_s > wall_s + COMMUNITY_SKEW_S ||
	       community->record_s + COMMUNITY_RECORD_LIFE_S / 2 <= wall_s;
}

static void bind_next(struct community *community)
{
	uint8_t binding[COMMUNITY_BINDING_LEN_MAX];
	size_t len = community->bind_lens[0];

	memcpy(binding, community->binds[0], len);
	community->bind_cnt--;
	memmove(community->binds[0], community->binds[1],
		community->bind_cnt * sizeof(community->binds[0]));
	memmove(&community->bind_lens[0], &community->bind_lens[1],
		community->bind_cnt * sizeof(community->bind_lens[0]));
	sign_share(community, binding, len);
}

/* The node with the community's key makes its own tokens. */
static void own_token_renew(struct community *community)
{
	if (!community->secret || !community->roster.is_strict ||
	    !community_token_is_half_over(community) || community_token_renew(community) < 0)
		return;
	community_save(community);
	community->is_record_stale = true;
}

static void announce_work(struct community *community, uint64_t now_ns)
{
	bool is_in = community->phase == COMMUNITY_IN;

	if (is_in)
		own_token_renew(community);

	if (community->own.is_waiting || community->put || community->phase == COMMUNITY_SWEEPING)
		return;
	if (community->is_record_stale || (is_in && member_is_old(community))) {
		sign_member(community, now_ns);
	} else if (is_in && community->bind_cnt && community->record_len) {
		bind_next(community);
	} else if (community->is_put_due && now_ns >= community->put_ns &&
		   community_has_overlay(community)) {
		put_member(community, now_ns);
	} else if (is_in && now_ns >= community->hint_ns) {
		community->hint_ns = now_ns + HINT_NS;
		if (community_has_overlay(community) && hint_is_mine(community))
			put_hint(community, now_ns);
		due(community, now_ns + RETRY_NS);
	} else if (is_in && !shares_renew(community, now_ns)) {
		due(community, community->hint_ns);
		due(community, community->share_look_ns);
		if (community->is_put_due && community_has_overlay(community))
			due(community, community->put_ns);
	}
}

void community_announce_check(struct community *community, uint64_t now_ns)
{
	if (member_is_old(community))
		due(community, now_ns);
}

static void announce_expire(struct timer *timer, uint64_t now_ns)
{
	announce_work(container_of(timer, struct community, announce_timer), now_ns);
}

void community_announce_init(struct community *community)
{
	timer_init(&community->announce_timer, announce_expire);
}

void community_announce_start(struct community *community, uint64_t now_ns)
{
	/* Addresses may be others than before. */
	community->is_record_stale = true;
	community->hint_ns = now_ns + FIRST_NS;
	due(community, now_ns + FIRST_NS);
}

void community_announce_stop(struct community *community)
{
	const struct overlay_seam *overlay = &community->all->params.overlay;

	timer_cancel(community->all->params.timers, &community->announce_timer);
	if (community->put)
		overlay->ops->cancel(community->put);
	community->put = NULL;
}

void community_announce_renew(struct community *community, uint64_t seq, uint64_t now_ns)
{
	/*
	 * No number is above the greatest: the node that used it up under our key has the last
	 * word.
	 */
	if (seq != UINT64_MAX && seq > community->seq)
		community->seq = seq;
	community->is_record_stale = true;
	due(community, now_ns);
}

int community_announce_bind(struct community *community, const uint8_t *bytes, size_t len,
			    uint64_t now_ns)
{
	if (community->bind_cnt == COMMUNITY_BINDS_MAX)
		return WEFT_EBUSY;
	memcpy(community->binds[community->bind_cnt], bytes, len);
	community->bind_lens[community->bind_cnt++] = len;
	due(community, now_ns);
	return 0;
}

/* The roster's records of this node. */
static int load_shares(struct community *community, struct store_snapshot *snapshot)
{
	struct community_share share;
	struct roster_iter iter;
	struct roster_row row;

	community_roster_walk(&iter, snapshot, community->roster.id, ROSTER_SHARE, NULL);
	while (community_roster_next(&iter, &row))
		if (row.is_live && community_share_parse(row.record, row.len, &share) == 0 &&
		    memcmp(share.key, community->all->own_key, COMMUNITY_KEY_LEN) == 0)
			community_own_shares_set(&community->shares, row.key, true);
	return community_roster_end(&iter);
}

static void load_member(struct community *community, const struct roster_row *row)
{
	struct community_member member;

	if (row->len > sizeof(community->record) ||
	    community_member_parse(row->record, row->len, &member) < 0)
		return;
	memcpy(community->record, row->record, row->len);
	community->record_len = row->len;
	community->record_s = member.time_s;
	community->seq = member.seq;
}

int community_announce_load(struct community *community)
{
	struct communities *all = community->all;
	struct store_snapshot *snapshot;
	struct roster_row row;
	int err = store_snapshot_open(all->params.store, &snapshot);

	if (err < 0)
		return err;
	err = community_roster_get(snapshot, community->roster.id, ROSTER_MEMBER, all->own_key,
				   &row);
	if (err == 0)
		load_member(community, &row);
	if (err == WEFT_EABSENT || err == WEFT_EDAMAGED)
		err = 0;
	if (err == 0 && community_roster_share_cnt(&community->roster, all->own_key))
		err = load_shares(community, snapshot);
	store_snapshot_close(snapshot);
	return err;
}

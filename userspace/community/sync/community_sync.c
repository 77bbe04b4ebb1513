/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking one member what it knows:
 *
 *	with a cursor	414 until there is no more
 *	without		404: digests -> 408 of the buckets of members that differ
 *			-> 410 of those of shares -> 414 from the cursor that 404 gave
 *
 * Each page is taken in, durably, before the next is asked for. Both sides learn: every
 * request shows our own record.
 */
#include <string.h>

#include "base/monotonic.h"
#include "community/community_state.h"

#define TIMEOUT_NS (20 * NS_PER_S)
/*
 * All of a run: four partners that take their time for each page would keep all others waiting
 * for a day. Records that were taken in stay, so the next run asks for the rest.
 */
#define RUN_NS (300 * NS_PER_S)
/* Pages that one run may take: all there can be, of some twenty records each, and no more. */
#define PAGES_SPARE 64u
#define PAGE_FILL   20u

enum stage { STAGE_STATE, STAGE_MEMBERS, STAGE_SHARES, STAGE_EVENTS };

/* Buckets still to be asked for: bit i % 8 of byte i / 8. */
struct buckets {
	uint8_t bits[COMMUNITY_BUCKETS / 8];
};

struct sync_run {
	struct communities *all;
	struct community *community; /* NULL: free, unless lot is waiting */
	uint8_t key[COMMUNITY_KEY_LEN];
	enum stage stage;
	bool is_fresh; /* it began without a cursor */
	unsigned page_cnt;
	uint64_t began_ns;
	struct mesh_request *request;
	struct buckets members, shares;
	unsigned first_bucket, last_bucket;   /* of the range asked for now */
	uint8_t cursor[COMMUNITY_CURSOR_LEN]; /* of the next page; len 0: the first */
	size_t cursor_len;
	uint8_t events_cursor[COMMUNITY_CURSOR_LEN]; /* where 414 goes on */
	size_t events_len;
	struct community_page page; /* points into reply */
	struct intake_lot lot;
	uint8_t reply[COMMUNITY_REPLY_CAP];
};

int community_sync_init(struct communities *all)
{
	all->runs = arena_alloc(&all->arena, COMMUNITY_RUNS_MAX * sizeof(*all->runs));
	for (unsigned i = 0; all->runs && i < COMMUNITY_RUNS_MAX; i++)
		all->runs[i].all = all;
	return all->runs ? 0 : WEFT_EFULL;
}

static struct sync_run *run_find_free(struct communities *all)
{
	for (unsigned i = 0; i < COMMUNITY_RUNS_MAX; i++)
		if (!all->runs[i].community && !all->runs[i].lot.is_waiting)
			return &all->runs[i];
	return NULL;
}

static bool run_is_with(const struct community *community, const uint8_t *key)
{
	const struct communities *all = community->all;

	for (unsigned i = 0; i < COMMUNITY_RUNS_MAX; i++)
		if (all->runs[i].community == community &&
		    memcmp(all->runs[i].key, key, COMMUNITY_KEY_LEN) == 0)
			return true;
	return false;
}

/* --- ends --- */

static void run_end(struct sync_run *run)
{
	run->community = NULL;
	run->request = NULL;
}

static void run_fail(struct sync_run *run, bool is_final)
{
	community_partners_failed(run->community, run->key, is_final);
	run_end(run);
}

/* The partner said all that it has. */
static void run_succeed(struct sync_run *run, uint64_t now_ns)
{
	struct community_partner *partner = community_partners_answered(run->community, run->key);

	if (partner->cursor_len != run->events_len ||
	    memcmp(partner->cursor, run->events_cursor, run->events_len) != 0)
		community_save(run->community);
	memcpy(partner->cursor, run->events_cursor, run->events_len);
	partner->cursor_len = run->events_len;
	run->community->synced_ns = now_ns;
	community_revocations_show_key(run->community, run->key, now_ns);
	/* The node with the key has the next token, whichever node was asked now. */
	if (run->community->token_len && run->community->revocations.epoch &&
	    community_token_is_half_over(run->community))
		community_revocations_show_key(run->community, run->community->revocations.home,
					       now_ns);
	run_end(run);
}

/* --- asking --- */

static void heard(void *arg, const struct mesh_reply *reply, uint64_t now_ns);

static unsigned message_of(enum stage stage)
{
	static const unsigned messages[] = {
		[STAGE_STATE] = MESH_ASK_COMMUNITY,
		[STAGE_MEMBERS] = MESH_LIST_MEMBERS,
		[STAGE_SHARES] = MESH_LIST_COMMUNITY_SHARES,
		[STAGE_EVENTS] = MESH_ASK_EVENTS,
	};

	return messages[stage];
}

static void run_ask(struct sync_run *run, const struct mesh_peer *peer, uint64_t now_ns)
{
	struct community *community = run->community;
	struct mesh_seam *mesh = &run->all->params.mesh;
	struct community_request request = {
		.id = community->roster.id,
		.record = {community->record, community->record_len},
		.first_bucket = run->first_bucket,
		.last_bucket = run->last_bucket,
	};
	uint8_t payload[COMMUNITY_REQUEST_CAP];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_ask ask = {.peer = *peer,
			       .type = message_of(run->stage),
			       .payload = payload,
			       .reply_buf = run->reply,
			       .reply_cap = sizeof(run->reply),
			       .timeout_ns = TIMEOUT_NS,
			       .reply = heard,
			       .arg = run};

	if (run->stage == STAGE_EVENTS)
		request.cursor = (struct community_bytes){run->events_cursor, run->events_len};
	else if (run->cursor_len)
		request.cursor = (struct community_bytes){run->cursor, run->cursor_len};
	if (run->stage == STAGE_EVENTS || run->stage == STAGE_STATE) {
		request.first_bucket = 0;
		request.last_bucket = COMMUNITY_BUCKETS - 1;
	}
	community_request_write(&w, &request);
	ask.payload_len = writer_len(&w);
	if (mesh->ops->ask(mesh->mesh, &ask, now_ns, &run->request) < 0)
		run_fail(run, false);
}

/* In the middle of a run: the session is there, or its addresses are where they were. */
static void run_ask_again(struct sync_run *run, uint64_t now_ns)
{
	struct peer_places places = {.addr_cnt = 0};
	struct mesh_peer peer;

	if (now_ns - run->began_ns >= RUN_NS) {
		run_fail(run, false);
		return;
	}
	if (community_peer(run->all, run->community->roster.id, run->key, &peer, &places) < 0)
		peer = mesh_peer_at(run->key, &places);
	run_ask(run, &peer, now_ns);
}

/* --- buckets --- */

static bool bucket_is_in(const struct buckets *buckets, unsigned i)
{
	return buckets->bits[i / 8] & 1u << i % 8;
}

static void buckets_compare(struct buckets *buckets, const struct community_digests *here,
			    const struct community_digests *there)
{
	memset(buckets, 0, sizeof(*buckets));
	for (unsigned i = 0; i < COMMUNITY_BUCKETS; i++)
		/* All zero there is none there. */
		if (there->buckets[i] && here->buckets[i] != there->buckets[i])
			buckets->bits[i / 8] |= (uint8_t)(1u << i % 8);
}

/* The next range of neighbours, which it takes out. False: there is none any more. */
static bool buckets_next(struct buckets *buckets, unsigned *out_first, unsigned *out_last)
{
	unsigned first = 0, last;

	while (first < COMMUNITY_BUCKETS && !bucket_is_in(buckets, first))
		first++;
	if (first == COMMUNITY_BUCKETS)
		return false;
	for (last = first; last < COMMUNITY_BUCKETS && bucket_is_in(buckets, last); last++)
		buckets->bits[last / 8] &= (uint8_t)~(1u << last % 8);
	*out_first = first;
	*out_last = last - 1;
	return true;
}

/* --- the way through the stages --- */

static void run_go_on(struct sync_run *run, uint64_t now_ns)
{
	run->cursor_len = 0;
	if (run->stage == STAGE_MEMBERS &&
	    !buckets_next(&run->members, &run->first_bucket, &run->last_bucket))
		run->stage = STAGE_SHARES;
	if (run->stage == STAGE_SHARES &&
	    !buckets_next(&run->shares, &run->first_bucket, &run->last_bucket))
		run->stage = STAGE_EVENTS;
	run_ask_again(run, now_ns);
}

/* A strict community takes nothing from a node without a token. */
static bool run_trusts(const struct sync_run *run, const struct community_member *member)
{
	struct community_token token;

	if (community_roster_is_expelled(&run->community->roster, member->key))
		return false;
	return !run->community->roster.is_strict ||
	       (member->token &&
		community_token_parse(member->token, member->token_len, &token) == 0 &&
		community_token_is_valid(&token, community_wall_s(run->all)) &&
		community_token_verify(member->token, member->token_len) == 0);
}

static void hear_state(struct sync_run *run, const struct mesh_reply *reply, uint64_t now_ns)
{
	const struct roster *roster = &run->community->roster;
	struct community_state state;
	struct community_member member;

	/* A peer that shows no record of its own is no member. */
	if (community_state_parse(reply->payload, reply->payload_len, &state) < 0 ||
	    state.cursor.len != COMMUNITY_CURSOR_LEN ||
	    community_member_parse(state.record.data, state.record.len, &member) < 0 ||
	    memcmp(member.key, run->key, sizeof(run->key)) != 0 || !member.is_joined ||
	    !run_trusts(run, &member)) {
		run_fail(run, true);
		return;
	}
	buckets_compare(&run->members, &roster->members, &state.members);
	buckets_compare(&run->shares, &roster->shares, &state.shares);
	/* Its own record, whatever the digests say. */
	run->members.bits[run->key[0] / 8] |= (uint8_t)(1u << run->key[0] % 8);
	memcpy(run->events_cursor, state.cursor.data, state.cursor.len);
	run->events_len = state.cursor.len;
	run->stage = STAGE_MEMBERS;
	run_go_on(run, now_ns);
}

static void page_end(struct sync_run *run, uint64_t now_ns)
{
	if (run->stage != STAGE_EVENTS) {
		if (run->page.has_more)
			run_ask_again(run, now_ns);
		else
			run_go_on(run, now_ns);
		return;
	}
	if (run->page.has_more)
		run_ask_again(run, now_ns);
	else
		run_succeed(run, now_ns);
}

static void lot_done(void *arg, struct intake_lot *lot, uint64_t now_ns);

/* Members first: a share counts when its announcer is one. */
static bool page_take(struct sync_run *run, enum roster_kind kind)
{
	const struct community_bytes *records =
		kind == ROSTER_MEMBER ? run->page.members : run->page.shares;
	unsigned cnt = kind == ROSTER_MEMBER ? run->page.member_cnt : run->page.share_cnt;

	if (!cnt)
		return false;
	run->lot.cnt = 0;
	run->lot.roster = &run->community->roster;
	run->lot.done = lot_done;
	run->lot.arg = run;
	for (unsigned i = 0; i < cnt; i++)
		(void)community_intake_lot_add(&run->lot, kind, records[i].data, records[i].len);
	community_intake_submit(run->all->intake, &run->lot);
	return true;
}

/* No honest node hands on a record that its named node did not sign. */
static bool lot_is_honest(const struct intake_lot *lot)
{
	for (unsigned i = 0; i < lot->cnt; i++)
		if (lot->items[i].verdict == COMMUNITY_MALFORMED ||
		    lot->items[i].verdict == COMMUNITY_FOREIGN ||
		    lot->items[i].verdict == COMMUNITY_BAD_SIGNATURE)
			return false;
	return true;
}

static void lot_done(void *arg, struct intake_lot *lot, uint64_t now_ns)
{
	struct sync_run *run = arg;

	if (!run->community)
		return;
	if (lot->err < 0 || !lot_is_honest(lot)) {
		run_fail(run, lot->err == 0);
		return;
	}
	if (lot->items[0].kind == ROSTER_MEMBER && page_take(run, ROSTER_SHARE))
		return;
	page_end(run, now_ns);
}

static unsigned pages_max(const struct communities *all)
{
	return PAGES_SPARE + (all->limits.member_cap + all->limits.share_cap) / PAGE_FILL;
}

static void hear_page(struct sync_run *run, const struct mesh_reply *reply, uint64_t now_ns)
{
	uint8_t *cursor = run->stage == STAGE_EVENTS ? run->events_cursor : run->cursor;
	size_t *len = run->stage == STAGE_EVENTS ? &run->events_len : &run->cursor_len;

	if (community_page_parse(reply->payload, reply->payload_len, &run->page) < 0 ||
	    (run->page.cursor.data && run->page.cursor.len != COMMUNITY_CURSOR_LEN) ||
	    (run->stage == STAGE_EVENTS && !run->page.cursor.data)) {
		run_fail(run, true);
		return;
	}
	/* A sync that never moves on would always find more. */
	if ((run->page.has_more && !run->page.member_cnt && !run->page.share_cnt) ||
	    ++run->page_cnt > pages_max(run->all)) {
		run_fail(run, true);
		return;
	}
	if (run->page.cursor.data) {
		memcpy(cursor, run->page.cursor.data, run->page.cursor.len);
		*len = run->page.cursor.len;
	}
	if (!page_take(run, ROSTER_MEMBER) && !page_take(run, ROSTER_SHARE))
		page_end(run, now_ns);
}

/* A cursor that it does not take, any more: from the beginning, once. */
static bool run_restart(struct sync_run *run, int err, uint64_t now_ns)
{
	struct community_partner *partner = community_partners_partner(run->community, run->key);

	if (run->is_fresh || (err != WEFT_EMALFORMED && err != WEFT_ECHANGED))
		return false;
	if (partner)
		partner->cursor_len = 0;
	run->is_fresh = true;
	run->stage = STAGE_STATE;
	run_ask_again(run, now_ns);
	return true;
}

static void heard(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct sync_run *run = arg;

	run->request = NULL;
	if (run->community->phase != COMMUNITY_IN) {
		run_end(run); /* the member knows that we leave */
		return;
	}
	if (reply->err < 0) {
		if (!run_restart(run, reply->err, now_ns))
			run_fail(run, reply->err == WEFT_EABSENT || reply->err == WEFT_EREFUSED);
		return;
	}
	if (run->stage == STAGE_STATE)
		hear_state(run, reply, now_ns);
	else
		hear_page(run, reply, now_ns);
}

/* --- begins --- */

static void run_begin(struct community *community, const struct mesh_peer *peer, uint64_t now_ns)
{
	struct sync_run *run = run_find_free(community->all);
	const struct community_partner *partner = community_partners_partner(community, peer->key);

	if (!run || run_is_with(community, peer->key))
		return;
	run->community = community;
	memcpy(run->key, peer->key, sizeof(run->key));
	run->cursor_len = 0;
	run->page_cnt = 0;
	run->began_ns = now_ns;
	run->is_fresh = !partner || !partner->cursor_len || community->phase != COMMUNITY_IN;
	run->stage = run->is_fresh ? STAGE_STATE : STAGE_EVENTS;
	run->events_len = run->is_fresh ? 0 : partner->cursor_len;
	if (!run->is_fresh)
		memcpy(run->events_cursor, partner->cursor, partner->cursor_len);
	run_ask(run, peer, now_ns);
}

void community_sync_start(struct community *community, uint64_t now_ns)
{
	struct peer_places places;
	struct mesh_peer peer;

	if (community->phase == COMMUNITY_IN && community->record_len &&
	    community_partners_next(community, &peer, &places))
		run_begin(community, &peer, now_ns);
}

void community_sync_tell(struct community *community, uint64_t now_ns)
{
	struct peer_places places;
	struct mesh_peer peer;

	/* The request under way showed another record. */
	community_sync_forget(community);
	for (unsigned i = 0; i < community->partner_cnt; i++)
		if (community_peer(community->all, community->roster.id, community->partners[i].key,
				   &peer, &places) == 0)
			run_begin(community, &peer, now_ns);
}

void community_sync_forget(struct community *community)
{
	struct communities *all = community->all;

	for (unsigned i = 0; i < COMMUNITY_RUNS_MAX; i++) {
		struct sync_run *run = &all->runs[i];

		if (run->community != community)
			continue;
		if (run->request)
			all->params.mesh.ops->cancel(run->request);
		run_end(run);
	}
}

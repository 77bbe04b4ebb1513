/* SPDX-License-Identifier: Apache-2.0 */
#include "community_intake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "codec/text/casefold.h"
#include "store/store.h"

enum phase {
	PHASE_IDLE,
	PHASE_VERIFYING, /* the job has the lot */
	PHASE_VERIFIED,
	PHASE_STORING, /* the store has the batch */
	PHASE_STORED,
};

struct intake {
	struct intake_params params;
	struct intake_lot *first, **last;
	struct intake_lot *lot; /* at work */
	enum phase phase;
	bool is_stopped;
	struct job job;
	struct roster_draft draft;
};

int community_intake_new(const struct intake_params *params, struct intake **out_intake)
{
	struct intake *intake = calloc(1, sizeof(*intake));

	if (!intake)
		return -ENOMEM;
	intake->params = *params;
	intake->last = &intake->first;
	*out_intake = intake;
	return 0;
}

void community_intake_free(struct intake *intake)
{
	free(intake);
}

bool community_intake_lot_add(struct intake_lot *lot, enum roster_kind kind, const uint8_t *bytes,
			      size_t len)
{
	if (lot->cnt == COMMUNITY_PAGE_MAX)
		return false;
	lot->items[lot->cnt++] = (struct intake_item){.kind = kind, .bytes = bytes, .len = len};
	return true;
}

void community_intake_submit(struct intake *intake, struct intake_lot *lot)
{
	lot->next = NULL;
	lot->is_waiting = true;
	lot->err = 0;
	lot->taken_cnt = 0;
	*intake->last = lot;
	intake->last = &lot->next;
}

/* --- judged --- */

static enum community_reason reason_of(int err)
{
	switch (err) {
	case 0:
		return COMMUNITY_TAKEN;
	case WEFT_EREFUSED:
		return COMMUNITY_FOREIGN;
	default:
		return COMMUNITY_MALFORMED;
	}
}

static enum community_reason time_reason(uint64_t time_s, uint64_t wall_s)
{
	switch (community_time_check(time_s, COMMUNITY_RECORD_LIFE_S, wall_s)) {
	case 0:
		return COMMUNITY_TAKEN;
	case WEFT_EREFUSED:
		return COMMUNITY_FUTURE;
	default:
		return COMMUNITY_EXPIRED;
	}
}

/* The item that is judged, among those of its lot. */
struct judging {
	struct intake *intake;
	struct intake_lot *lot;
	struct intake_item *item;
	struct store_snapshot *snapshot;
	uint64_t wall_s, now_ns;
	unsigned new_cnt; /* rows that the items before it add */
};

/* Another item of the lot under the same key: the newer of the two goes on. */
static struct intake_item *twin_of(const struct judging *judging)
{
	for (struct intake_item *at = judging->lot->items; at != judging->item; at++)
		if (at->verdict == COMMUNITY_TAKEN && at->kind == judging->item->kind &&
		    memcmp(at->key, judging->item->key, ROSTER_KEY_LEN) == 0)
			return at;
	return NULL;
}

static void twin_replace(struct judging *judging, struct intake_item *twin)
{
	twin->verdict = COMMUNITY_KNOWN;
	judging->new_cnt -= !twin->was_there;
}

static enum community_reason strict_reason(const struct community_member *member,
					   struct judging *judging)
{
	struct intake_item *item = judging->item;
	struct community_token token;

	if (!judging->lot->roster->is_strict)
		return COMMUNITY_TAKEN;
	/* A former member may leave without a token. */
	if (!member->is_joined && item->was_there)
		return COMMUNITY_TAKEN;
	if (!member->token || community_token_parse(member->token, member->token_len, &token) < 0)
		return COMMUNITY_NO_TOKEN;
	if (!community_token_is_valid(&token, judging->wall_s))
		return COMMUNITY_OLD_TOKEN;
	if (token.expires_s < item->until_s)
		item->until_s = token.expires_s;
	return COMMUNITY_TAKEN;
}

static bool own_is_foreign(struct judging *judging, const struct community_member *member)
{
	struct intake *intake = judging->intake;

	return !judging->lot->is_own &&
	       memcmp(member->key, intake->params.own_key, COMMUNITY_KEY_LEN) == 0;
}

static bool row_is_here(struct judging *judging, struct roster_row *out_row)
{
	const struct roster *roster = judging->lot->roster;

	return community_roster_get(judging->snapshot, roster->id, judging->item->kind,
				    judging->item->key, out_row) == 0;
}

static enum community_reason member_judge(struct judging *judging)
{
	struct roster *roster = judging->lot->roster;
	struct intake_item *item = judging->item, *twin;
	struct community_member member, other;
	struct roster_row row;
	enum community_reason reason;

	reason = reason_of(community_member_parse(item->bytes, item->len, &member));
	if (reason != COMMUNITY_TAKEN)
		return reason;
	if (memcmp(member.id, roster->id, sizeof(member.id)) != 0)
		return COMMUNITY_FOREIGN;
	if ((reason = time_reason(member.time_s, judging->wall_s)) != COMMUNITY_TAKEN)
		return reason;
	if (community_roster_is_expelled(roster, member.key))
		return COMMUNITY_EXPELLED;
	memcpy(item->key, member.key, sizeof(item->key));
	item->is_live = member.is_joined;
	item->until_s = member.time_s + COMMUNITY_RECORD_LIFE_S;
	item->was_there = row_is_here(judging, &row);
	item->was_live = item->was_there && row.is_live && row.until_s > judging->wall_s;
	if (item->was_there && community_member_parse(row.record, row.len, &other) == 0 &&
	    !community_member_is_newer(&member, &other))
		return COMMUNITY_KNOWN;
	if ((twin = twin_of(judging))) {
		if (community_member_parse(twin->bytes, twin->len, &other) == 0 &&
		    !community_member_is_newer(&member, &other))
			return COMMUNITY_KNOWN;
		twin_replace(judging, twin);
	}
	if ((reason = strict_reason(&member, judging)) != COMMUNITY_TAKEN)
		return reason;
	if (!item->was_there && roster->member_cnt + judging->new_cnt >= roster->limits->member_cap)
		return COMMUNITY_MEMBERS_FULL;
	return COMMUNITY_TAKEN;
}

static bool announcer_is_member(struct judging *judging, const struct community_share *share)
{
	const struct roster *roster = judging->lot->roster;
	struct roster_row row;

	return !community_roster_is_expelled(roster, share->key) &&
	       community_roster_get(judging->snapshot, roster->id, ROSTER_MEMBER, share->key,
				    &row) == 0 &&
	       row.is_live && row.until_s > judging->wall_s;
}

/* May its announcer have one share more, with those of the lot? */
static bool announcer_has_room(const struct judging *judging, const struct community_share *share)
{
	const struct roster *roster = judging->lot->roster;
	uint32_t cnt = community_roster_share_cnt(roster, share->key);

	for (const struct intake_item *at = judging->lot->items; at != judging->item; at++)
		cnt += at->verdict == COMMUNITY_TAKEN && at->kind == ROSTER_SHARE &&
		       memcmp(at->announcer, share->key, COMMUNITY_KEY_LEN) == 0;
	return cnt < roster->limits->shares_per_member;
}

static enum community_reason share_judge(struct judging *judging)
{
	struct roster *roster = judging->lot->roster;
	struct intake_item *item = judging->item, *twin;
	struct community_share share, other;
	struct roster_row row;
	bool is_announcers = false;
	enum community_reason reason;

	reason = reason_of(community_share_parse(item->bytes, item->len, &share));
	if (reason != COMMUNITY_TAKEN)
		return reason;
	if (memcmp(share.id, roster->id, sizeof(share.id)) != 0)
		return COMMUNITY_FOREIGN;
	if ((reason = time_reason(share.time_s, judging->wall_s)) != COMMUNITY_TAKEN)
		return reason;
	memcpy(item->key, share.binding.share_id, sizeof(item->key));
	memcpy(item->announcer, share.key, sizeof(item->announcer));
	item->is_live = share.binding.is_bound;
	item->until_s = share.time_s + COMMUNITY_RECORD_LIFE_S;
	item->was_there = row_is_here(judging, &row);
	item->was_live = item->was_there && row.is_live && row.until_s > judging->wall_s;
	if (item->was_there && community_share_parse(row.record, row.len, &other) == 0) {
		if (!community_share_is_newer(&share, &other))
			return COMMUNITY_KNOWN;
		is_announcers = memcmp(other.key, share.key, COMMUNITY_KEY_LEN) == 0;
	}
	if ((twin = twin_of(judging))) {
		if (community_share_parse(twin->bytes, twin->len, &other) == 0 &&
		    !community_share_is_newer(&share, &other))
			return COMMUNITY_KNOWN;
		twin_replace(judging, twin);
	}
	if (!announcer_is_member(judging, &share))
		return COMMUNITY_NO_MEMBER;
	if (!item->was_there && roster->share_cnt + judging->new_cnt >= roster->limits->share_cap)
		return COMMUNITY_SHARES_FULL;
	if (!is_announcers && !announcer_has_room(judging, &share))
		return COMMUNITY_ONES_SHARES_FULL;
	return COMMUNITY_TAKEN;
}

/*
 * A record under this node's key that this node did not sign now is from before the store was
 * lost. Or another node with the same key signed it. The own record has to be newer, once the
 * signature of the other one holds.
 */
static enum community_reason own_judge(struct judging *judging)
{
	struct intake *intake = judging->intake;
	struct intake_item *item = judging->item;
	struct community_member member, own;
	struct roster_row row;

	if (item->kind != ROSTER_MEMBER ||
	    community_member_parse(item->bytes, item->len, &member) < 0 ||
	    !own_is_foreign(judging, &member))
		return COMMUNITY_TAKEN;
	if (memcmp(member.id, judging->lot->roster->id, sizeof(member.id)) != 0)
		return COMMUNITY_FOREIGN;
	memcpy(item->key, member.key, sizeof(item->key));
	if (row_is_here(judging, &row) && (community_member_parse(row.record, row.len, &own) < 0 ||
					   !community_member_is_newer(&member, &own)))
		return COMMUNITY_KNOWN;
	if (community_member_verify(item->bytes, item->len) < 0)
		return COMMUNITY_BAD_SIGNATURE;
	intake->params.own_is_newer(intake->params.ctx, judging->lot->roster, member.seq,
				    judging->now_ns);
	return COMMUNITY_OWN_RECORD;
}

static int lot_judge(struct intake *intake, uint64_t now_ns)
{
	struct judging judging = {.intake = intake,
				  .lot = intake->lot,
				  .wall_s = intake->params.wall_s(intake->params.ctx),
				  .now_ns = now_ns};
	int err = store_snapshot_open(intake->params.store, &judging.snapshot);

	if (err < 0)
		return err;
	for (unsigned i = 0; i < intake->lot->cnt; i++) {
		judging.item = &intake->lot->items[i];
		judging.item->verdict = own_judge(&judging);
		if (judging.item->verdict == COMMUNITY_TAKEN)
			judging.item->verdict = judging.item->kind == ROSTER_MEMBER
							? member_judge(&judging)
							: share_judge(&judging);
		judging.new_cnt +=
			judging.item->verdict == COMMUNITY_TAKEN && !judging.item->was_there;
	}
	store_snapshot_close(judging.snapshot);
	return 0;
}

/* --- verified --- */

static void job_run(struct job *job)
{
	struct intake *intake = container_of(job, struct intake, job);
	struct intake_lot *lot = intake->lot;

	for (unsigned i = 0; i < lot->cnt; i++) {
		struct intake_item *item = &lot->items[i];
		int err;

		if (item->verdict != COMMUNITY_TAKEN)
			continue;
		err = item->kind == ROSTER_MEMBER ? community_member_verify(item->bytes, item->len)
						  : community_share_verify(item->bytes, item->len);
		if (err < 0)
			item->verdict = COMMUNITY_BAD_SIGNATURE;
	}
}

static void job_done(struct job *job)
{
	struct intake *intake = container_of(job, struct intake, job);

	intake->phase = PHASE_VERIFIED;
}

/* --- stored --- */

static void batch_done(void *arg, int err)
{
	struct intake *intake = arg;

	intake->lot->err = err;
	intake->phase = PHASE_STORED;
}

/* Title and description as they are searched; what folds to more than fits is cut short. */
static size_t text_fold(const struct community_binding *binding, char text[static ROSTER_TEXT_CAP])
{
	int title_len = fold_text(binding->title, binding->title_len, text, ROSTER_TEXT_CAP - 1);
	int len;

	if (title_len < 0)
		return 0;
	text[title_len] = '\n';
	len = fold_text(binding->text, binding->text_len, text + title_len + 1,
			ROSTER_TEXT_CAP - (size_t)title_len - 1);
	return (size_t)title_len + 1 + (len < 0 ? 0 : (size_t)len);
}

static int item_draft(struct intake *intake, struct store_snapshot *snapshot,
		      struct intake_item *item)
{
	char text[ROSTER_TEXT_CAP];
	struct roster_entry entry = {.kind = item->kind,
				     .until_s = item->until_s,
				     .is_live = item->is_live,
				     .record = item->bytes,
				     .len = item->len,
				     .announcer = item->announcer,
				     .text = text};
	struct community_share share;

	memcpy(entry.key, item->key, sizeof(entry.key));
	if (item->kind == ROSTER_SHARE &&
	    community_share_parse(item->bytes, item->len, &share) == 0)
		entry.text_len = text_fold(&share.binding, text);
	return community_roster_draft_put(&intake->draft, snapshot, &entry);
}

static int lot_draft(struct intake *intake, struct store_snapshot *snapshot)
{
	struct intake_lot *lot = intake->lot;
	int err = 0;

	if (lot->is_sweep) {
		lot->is_swept = community_roster_sweep(&intake->draft, snapshot, lot->sweep_s);
		return 0;
	}
	for (unsigned i = 0; i < lot->cnt && err == 0; i++)
		if (lot->items[i].verdict == COMMUNITY_TAKEN)
			err = item_draft(intake, snapshot, &lot->items[i]);
	return err;
}

static int lot_store(struct intake *intake)
{
	struct store *store = intake->params.store;
	struct store_batch *batch = store_batch_new(store);
	struct store_snapshot *snapshot;
	int err;

	if (!batch)
		return -ENOMEM;
	community_roster_draft_begin(&intake->draft, intake->lot->roster, batch);
	if ((err = store_snapshot_open(store, &snapshot)) < 0)
		goto free_batch;
	err = lot_draft(intake, snapshot);
	store_snapshot_close(snapshot);
	if (err < 0)
		goto free_batch;
	if (intake->draft.change_cnt == 0) {
		store_batch_free(batch);
		intake->phase = PHASE_STORED;
		return 0;
	}
	intake->phase = PHASE_STORING;
	if ((err = store_submit(store, batch, batch_done, intake)) == 0)
		return 0;
free_batch:
	store_batch_free(batch);
	return err;
}

/* --- events --- */

static void lot_tell(struct intake *intake, struct intake_lot *lot, uint64_t now_ns)
{
	for (unsigned i = 0; i < lot->cnt; i++) {
		struct intake_item *item = &lot->items[i];

		if (item->verdict == COMMUNITY_TAKEN && lot->err < 0)
			item->verdict = COMMUNITY_STORE_FAILED;
		intake->params.counts[item->verdict]++;
		if (item->verdict != COMMUNITY_TAKEN)
			continue;
		lot->taken_cnt++;
		intake->params.changed(intake->params.ctx, lot->roster, item, now_ns);
	}
}

static void lot_end(struct intake *intake, int err, uint64_t now_ns)
{
	struct intake_lot *lot = intake->lot;

	if (err < 0)
		lot->err = err;
	intake->lot = NULL;
	intake->phase = PHASE_IDLE;
	lot_tell(intake, lot, now_ns);
	lot->is_waiting = false;
	lot->done(lot->arg, lot, now_ns);
}

/* --- the way --- */

static bool lot_needs_verifying(const struct intake_lot *lot)
{
	for (unsigned i = 0; i < lot->cnt && !lot->is_own; i++)
		if (lot->items[i].verdict == COMMUNITY_TAKEN)
			return true;
	return false;
}

static void lot_begin(struct intake *intake, uint64_t now_ns)
{
	struct intake_lot *lot = intake->first;
	int err;

	intake->first = lot->next;
	if (!intake->first)
		intake->last = &intake->first;
	intake->lot = lot;
	if ((err = lot_judge(intake, now_ns)) < 0) {
		lot_end(intake, err, now_ns);
		return;
	}
	intake->phase = PHASE_VERIFIED;
	if (!lot_needs_verifying(lot))
		return;
	intake->job = (struct job){.run = job_run, .done = job_done};
	intake->phase = PHASE_VERIFYING;
	if ((err = jobs_submit(intake->params.jobs, &intake->job)) < 0)
		lot_end(intake, err, now_ns);
}

void community_intake_work(struct intake *intake, uint64_t now_ns)
{
	int err;

	while (community_intake_is_due(intake)) {
		if (intake->phase == PHASE_IDLE) {
			lot_begin(intake, now_ns);
		} else if (intake->phase == PHASE_VERIFIED) {
			if ((err = lot_store(intake)) < 0)
				lot_end(intake, err, now_ns);
		} else {
			if (intake->lot->err == 0)
				community_roster_draft_apply(&intake->draft);
			lot_end(intake, 0, now_ns);
		}
	}
}

bool community_intake_is_due(const struct intake *intake)
{
	return !intake->is_stopped &&
	       (intake->phase == PHASE_VERIFIED || intake->phase == PHASE_STORED ||
		(intake->phase == PHASE_IDLE && intake->first));
}

bool community_intake_has(const struct intake *intake, const struct roster *roster)
{
	const struct intake_lot *lot = intake->first;

	while (lot && lot->roster != roster)
		lot = lot->next;
	return lot || (intake->lot && intake->lot->roster == roster);
}

void community_intake_stop(struct intake *intake)
{
	intake->is_stopped = true;
}

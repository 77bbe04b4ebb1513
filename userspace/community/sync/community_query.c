/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to callers: pages of rosters here, and answers of one member. */
#include "community_query.h"

#include <string.h>

#include "base/monotonic.h"
#include "base/list.h"
#include "community/community_state.h"
#include "community/roster/roster_page.h"
#include "community_search.h"
#include "store/store.h"

#define TIMEOUT_NS (20 * NS_PER_S)

struct question_run {
	struct job job;
	struct communities *all;
	bool is_used, is_ended;
	uint8_t id[COMMUNITY_ID_LEN];
	struct mesh_request *request; /* NULL: answered */
	void (*done)(void *arg, int err, const struct community_page *page, uint64_t now_ns);
	void *arg;
	int err;
	struct community_page page; /* points into reply */
	uint8_t reply[COMMUNITY_REPLY_CAP];
};

int community_query_init(struct communities *all)
{
	all->questions = arena_alloc(&all->arena, COMMUNITY_ASKS_MAX * sizeof(*all->questions));
	for (unsigned i = 0; all->questions && i < COMMUNITY_ASKS_MAX; i++)
		all->questions[i].all = all;
	return all->questions ? 0 : WEFT_EFULL;
}

/* --- here --- */

/* listing begins with its community and kind alone. */
static int page_list(struct communities *all, struct community_listing *ask,
		     struct listing *listing, struct store_snapshot **out_snapshot)
{
	int err;

	if (!listing->community)
		return WEFT_EABSENT;
	listing->asker = all->own_key;
	listing->limit = ask->limit;
	listing->last_bucket = COMMUNITY_BUCKETS - 1;
	listing->is_live_only = true;
	if ((err = community_listing_begin(listing, ask->cursor, ask->cursor_len)) < 0 ||
	    (err = store_snapshot_open(all->params.store, out_snapshot)) < 0)
		return err;
	if ((err = community_listing_fill(listing, *out_snapshot)) < 0)
		store_snapshot_close(*out_snapshot);
	ask->has_more = err == 0 && listing->page.has_more;
	if (ask->has_more)
		memcpy(ask->next, listing->cursor, sizeof(ask->next));
	return err;
}

int community_members(struct communities *all, const uint8_t id[static COMMUNITY_ID_LEN],
		      struct community_listing *ask,
		      void (*fn)(void *arg, const struct community_member *member), void *arg)
{
	struct store_snapshot *snapshot;
	struct community_member member;
	struct listing listing = {.community = community_lookup(all, id), .kind = LISTING_MEMBERS};
	int err = page_list(all, ask, &listing, &snapshot);

	if (err < 0)
		return err;
	for (unsigned i = 0; i < listing.page.member_cnt; i++)
		if (community_member_parse(listing.page.members[i].data,
					   listing.page.members[i].len, &member) == 0)
			fn(arg, &member);
	store_snapshot_close(snapshot);
	return 0;
}

int community_shares(struct communities *all, const uint8_t id[static COMMUNITY_ID_LEN],
		     struct community_listing *ask,
		     void (*fn)(void *arg, const struct community_share *share), void *arg)
{
	struct store_snapshot *snapshot;
	struct community_share share;
	struct listing listing = {.community = community_lookup(all, id), .kind = LISTING_SHARES};
	int err = page_list(all, ask, &listing, &snapshot);

	if (err < 0)
		return err;
	for (unsigned i = 0; i < listing.page.share_cnt; i++)
		if (community_share_parse(listing.page.shares[i].data, listing.page.shares[i].len,
					  &share) == 0)
			fn(arg, &share);
	store_snapshot_close(snapshot);
	return 0;
}

/* --- at a member --- */

/* Only records of this community, signed by the node that they name, are shown. */
static void job_run(struct job *job)
{
	struct question_run *run = container_of(job, struct question_run, job);
	struct community_page *page = &run->page;
	unsigned cnt = 0;

	for (unsigned i = 0; i < page->share_cnt; i++) {
		const struct community_bytes *record = &page->shares[i];
		struct community_share share;

		if (community_share_parse(record->data, record->len, &share) == 0 &&
		    memcmp(share.id, run->id, sizeof(share.id)) == 0 && share.binding.is_bound &&
		    community_share_verify(record->data, record->len) == 0)
			page->shares[cnt++] = *record;
	}
	page->share_cnt = cnt;
	page->member_cnt = 0;
}

static void job_done(struct job *job)
{
	struct question_run *run = container_of(job, struct question_run, job);

	run->is_ended = true;
}

static void heard(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct question_run *run = arg;

	(void)now_ns;
	run->request = NULL;
	run->err = reply->err;
	if (run->err == 0)
		run->err = community_page_parse(reply->payload, reply->payload_len, &run->page);
	if (run->err < 0) {
		run->page = (struct community_page){0};
		run->is_ended = true;
		return;
	}
	run->job = (struct job){.run = job_run, .done = job_done};
	if ((run->err = jobs_submit(run->all->params.jobs, &run->job)) < 0)
		run->is_ended = true;
}

static struct question_run *run_new(struct communities *all)
{
	for (unsigned i = 0; i < COMMUNITY_ASKS_MAX; i++)
		if (!all->questions[i].is_used)
			return &all->questions[i];
	return NULL;
}

static int question_ask(struct communities *all, const uint8_t *id, unsigned type,
			const struct community_question *question, uint64_t now_ns)
{
	struct community *community = community_lookup(all, id);
	struct question_run *run = run_new(all);
	struct community_request request = {
		.id = id,
		.cursor = {question->cursor_len ? question->cursor : NULL, question->cursor_len},
		.last_bucket = COMMUNITY_BUCKETS - 1,
		.words = question->words,
		.words_len = question->words ? strlen(question->words) : 0,
	};
	uint8_t payload[COMMUNITY_REQUEST_CAP];
	struct writer w = writer_of(payload, sizeof(payload));
	int err;

	if (!community)
		return WEFT_EABSENT;
	if (!run || !community->record_len)
		return WEFT_EBUSY;
	request.record = (struct community_bytes){community->record, community->record_len};
	community_request_write(&w, &request);
	if (w.bad)
		return WEFT_ETOOLARGE;
	err = all->params.mesh.ops->ask(all->params.mesh.mesh,
					&(struct mesh_ask){.peer = *question->peer,
							   .type = type,
							   .payload = payload,
							   .payload_len = writer_len(&w),
							   .reply_buf = run->reply,
							   .reply_cap = sizeof(run->reply),
							   .timeout_ns = TIMEOUT_NS,
							   .reply = heard,
							   .arg = run},
					now_ns, &run->request);
	if (err < 0)
		return err;
	memcpy(run->id, id, sizeof(run->id));
	run->is_used = true;
	run->is_ended = false;
	run->done = question->done;
	run->arg = question->arg;
	return 0;
}

int community_ask_shares(struct communities *all, const uint8_t id[static COMMUNITY_ID_LEN],
			 const struct community_question *question, uint64_t now_ns)
{
	return question_ask(all, id, MESH_LIST_OWN_SHARES, question, now_ns);
}

int community_search(struct communities *all, const uint8_t id[static COMMUNITY_ID_LEN],
		     const struct community_question *question, uint64_t now_ns)
{
	struct community *community = community_lookup(all, id);

	if (!community)
		return WEFT_EABSENT;
	if (strlen(question->words) > COMMUNITY_WORDS_LEN_MAX)
		return WEFT_ETOOLARGE;
	if (question->peer)
		return question_ask(all, id, MESH_SEARCH_COMMUNITY, question, now_ns);
	return community_search_here(community, question);
}

/* --- turns --- */

void community_query_turn(struct communities *all, uint64_t now_ns)
{
	community_search_turn(all, now_ns);
	for (unsigned i = 0; i < COMMUNITY_ASKS_MAX; i++) {
		struct question_run *run = &all->questions[i];

		if (!run->is_used || !run->is_ended)
			continue;
		run->is_used = false;
		if (run->done)
			run->done(run->arg, run->err, &run->page, now_ns);
	}
}

bool community_query_is_due(const struct communities *all)
{
	for (unsigned i = 0; i < COMMUNITY_ASKS_MAX; i++)
		if (all->questions[i].is_used && all->questions[i].is_ended)
			return true;
	return community_search_is_due(all);
}

void community_query_stop(struct communities *all)
{
	community_search_stop(all);
	for (unsigned i = 0; i < COMMUNITY_ASKS_MAX; i++) {
		struct question_run *run = &all->questions[i];

		if (run->request)
			all->params.mesh.ops->cancel(run->request);
		run->request = NULL;
		run->done = NULL;
	}
}

void community_query_forget_callers(struct communities *all)
{
	community_search_forget_callers(all);
	for (unsigned i = 0; i < COMMUNITY_ASKS_MAX; i++)
		all->questions[i].done = NULL;
}

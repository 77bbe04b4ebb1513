/* SPDX-License-Identifier: Apache-2.0 */
#include "community_search.h"

#include <string.h>

#include "codec/text/casefold.h"
#include "community/community_state.h"
#include "community_serve.h"
#include "store/store.h"

#define WORDS_MAX      16u
#define FOLDED_CAP     (COMMUNITY_WORDS_LEN_MAX * FOLD_GROWTH_MAX)
#define PAGE_SPARE_LEN 256u /* of COMMUNITY_PAGE_LEN_MAX, for a page's own fields */

struct word {
	const char *text;
	size_t len;
};

struct search_run {
	struct job job;
	struct communities *all;
	bool is_used, is_ended;
	/* The question; the job reads it, too. */
	uint8_t id[COMMUNITY_ID_LEN];
	uint8_t asker[COMMUNITY_KEY_LEN];
	char folded[FOLDED_CAP];
	size_t folded_len;
	struct word words[WORDS_MAX];
	unsigned word_cnt;
	uint8_t place[COMMUNITY_PLACE_LEN];
	unsigned limit;
	uint64_t wall_s;
	/* A peer or a caller waits; neither when it left. */
	struct mesh_incoming *incoming;
	void (*done)(void *arg, int err, const struct community_page *page, uint64_t now_ns);
	void *arg;
	/* The results. */
	int err;
	struct store_snapshot *snapshot; /* of the job while it runs */
	struct community_page page;	 /* records lie in found */
	size_t found_len;
	uint8_t next[ROSTER_KEY_LEN];
	uint8_t cursor[COMMUNITY_CURSOR_LEN];
	uint8_t found[COMMUNITY_PAGE_LEN_MAX];
};

int community_search_init(struct communities *all)
{
	all->searches = arena_alloc(&all->arena, COMMUNITY_SEARCHES_MAX * sizeof(*all->searches));
	for (unsigned i = 0; all->searches && i < COMMUNITY_SEARCHES_MAX; i++)
		all->searches[i].all = all;
	return all->searches ? 0 : WEFT_EFULL;
}

/* --- the job --- */

static bool text_has_all(const struct search_run *run, const struct roster_row *row)
{
	for (unsigned i = 0; i < run->word_cnt; i++)
		if (!memmem(row->text, row->text_len, run->words[i].text, run->words[i].len))
			return false;
	return true;
}

static bool announcer_is_member(const struct search_run *run, const struct roster_row *row)
{
	struct community_share share;
	struct roster_row member;

	return community_share_parse(row->record, row->len, &share) == 0 &&
	       community_roster_get(run->snapshot, run->id, ROSTER_MEMBER, share.key, &member) ==
		       0 &&
	       member.is_live && member.until_s > run->wall_s;
}

static void row_add(struct search_run *run, const struct roster_row *row)
{
	struct community_page *page = &run->page;

	if (page->share_cnt == run->limit || run->found_len + row->len + 3 * (page->share_cnt + 1) >
						     COMMUNITY_PAGE_LEN_MAX - PAGE_SPARE_LEN) {
		memcpy(run->next, row->key, sizeof(run->next));
		page->has_more = true;
		return;
	}
	memcpy(run->found + run->found_len, row->record, row->len);
	page->shares[page->share_cnt++] =
		(struct community_bytes){run->found + run->found_len, row->len};
	run->found_len += row->len;
}

static void job_run(struct job *job)
{
	struct search_run *run = container_of(job, struct search_run, job);
	struct roster_iter iter;
	struct roster_row row;

	if ((run->err = store_snapshot_open(run->all->params.store, &run->snapshot)) < 0)
		return;
	community_roster_walk(&iter, run->snapshot, run->id, ROSTER_SHARE, run->place);
	while (!run->page.has_more && community_roster_next(&iter, &row))
		if (row.is_live && row.until_s > run->wall_s && text_has_all(run, &row) &&
		    announcer_is_member(run, &row))
			row_add(run, &row);
	run->err = community_roster_end(&iter);
	store_snapshot_close(run->snapshot);
}

static void job_done(struct job *job)
{
	struct search_run *run = container_of(job, struct search_run, job);

	run->is_ended = true;
}

/* --- beginning --- */

static struct search_run *run_new(struct communities *all)
{
	for (unsigned i = 0; i < COMMUNITY_SEARCHES_MAX; i++) {
		struct search_run *run = &all->searches[i];

		if (run->is_used)
			continue;
		*run = (struct search_run){.all = all};
		return run;
	}
	return NULL;
}

static int words_take(struct search_run *run, const char *text, size_t len)
{
	const char *word;
	size_t off = 0, word_len;
	int folded_len;

	if (len > COMMUNITY_WORDS_LEN_MAX)
		return WEFT_ETOOLARGE;
	folded_len = fold_text(text, len, run->folded, sizeof(run->folded));
	if (folded_len < 0)
		return WEFT_EABSENT;
	run->folded_len = (size_t)folded_len;
	while (run->word_cnt < WORDS_MAX &&
	       fold_word(run->folded, run->folded_len, &off, &word, &word_len))
		run->words[run->word_cnt++] = (struct word){word, word_len};
	return run->word_cnt ? 0 : WEFT_EABSENT;
}

static struct community_cursor_scope scope_of(const struct search_run *run)
{
	return (struct community_cursor_scope){.key = run->all->cursor_key,
					       .kind = COMMUNITY_CURSOR_SEARCH,
					       .id = run->id,
					       .asker = run->asker,
					       .question = run->folded,
					       .question_len = run->folded_len};
}

static int cursor_take(struct search_run *run, const uint8_t *bytes, size_t len)
{
	struct community_cursor_scope scope = scope_of(run);
	struct community_cursor cursor;
	int err;

	if (len == 0)
		return 0;
	err = community_cursor_parse(&scope, bytes, len, run->wall_s, &cursor);
	if (err == 0)
		memcpy(run->place, cursor.place, sizeof(run->place));
	return err;
}

/* The run of a question that may be begun, or NULL with *out_err. */
static struct search_run *run_prepare(struct community *community, const uint8_t *asker,
				      const struct community_bytes *words,
				      const struct community_bytes *cursor, int *out_err)
{
	struct search_run *run = run_new(community->all);

	*out_err = WEFT_EBUSY;
	if (!run)
		return NULL;
	memcpy(run->id, community->roster.id, sizeof(run->id));
	memcpy(run->asker, asker, sizeof(run->asker));
	run->wall_s = community_wall_s(community->all);
	*out_err = words_take(run, (const char *)words->data, words->len);
	if (*out_err == 0)
		*out_err = cursor_take(run, cursor->data, cursor->len);
	return *out_err < 0 ? NULL : run;
}

static int run_begin(struct search_run *run)
{
	run->job = (struct job){.run = job_run, .done = job_done};
	if (jobs_submit(run->all->params.jobs, &run->job) < 0)
		return WEFT_EBUSY;
	run->is_used = true;
	return 0;
}

static bool is_searching(const struct communities *all, const uint8_t *asker)
{
	for (unsigned i = 0; i < COMMUNITY_SEARCHES_MAX; i++)
		if (all->searches[i].is_used &&
		    memcmp(all->searches[i].asker, asker, COMMUNITY_KEY_LEN) == 0)
			return true;
	return false;
}

static void asker_left(void *arg)
{
	struct search_run *run = arg;

	run->incoming = NULL;
}

int community_search_answer(struct community *community, const struct mesh_call *call,
			    const struct community_request *request)
{
	const struct mesh_ops *ops = community->all->params.mesh.ops;
	struct community_bytes words = {(const uint8_t *)request->words, request->words_len};
	struct search_run *run;
	int err;

	if (is_searching(community->all, call->peer_key))
		return WEFT_EBUSY;
	run = run_prepare(community, call->peer_key, &words, &request->cursor, &err);
	if (!run)
		return err;
	run->limit = COMMUNITY_PAGE_MAX;
	if ((err = run_begin(run)) < 0)
		return err;
	run->incoming = call->incoming;
	ops->abandoned(run->incoming, asker_left, run);
	return 0;
}

int community_search_here(struct community *community, const struct community_question *question)
{
	struct community_bytes words = {(const uint8_t *)question->words, strlen(question->words)};
	struct community_bytes cursor = {question->cursor, question->cursor_len};
	struct search_run *run;
	int err;

	run = run_prepare(community, community->all->own_key, &words, &cursor, &err);
	if (!run)
		return err;
	run->limit = question->limit;
	run->done = question->done;
	run->arg = question->arg;
	return run_begin(run);
}

/* --- telling --- */

static void page_finish(struct search_run *run)
{
	struct community_cursor_scope scope = scope_of(run);
	struct community_cursor cursor = {.issued_s = run->wall_s};

	if (!run->page.has_more)
		return;
	memcpy(cursor.place, run->next, sizeof(cursor.place));
	community_cursor_write(&scope, &cursor, run->cursor);
	run->page.cursor = (struct community_bytes){run->cursor, sizeof(run->cursor)};
}

static void peer_tell(struct search_run *run)
{
	const struct mesh_call call = {
		.incoming = run->incoming, .peer_key = run->asker, .type = MESH_SEARCH_COMMUNITY};

	run->incoming = NULL; /* it is gone once it is answered */
	if (run->err < 0)
		run->all->params.mesh.ops->answer_error(call.incoming, MESH_CODE_INTERNAL,
							"the search failed", 0);
	else
		community_answer_page(run->all, &call, &run->page);
}

static void run_tell(struct search_run *run, uint64_t now_ns)
{
	/* Results lie in the run until another one begins. */
	run->is_used = false;
	page_finish(run);
	if (run->incoming)
		peer_tell(run);
	else if (run->done)
		run->done(run->arg, run->err, &run->page, now_ns);
}

void community_search_turn(struct communities *all, uint64_t now_ns)
{
	for (unsigned i = 0; i < COMMUNITY_SEARCHES_MAX; i++)
		if (all->searches[i].is_used && all->searches[i].is_ended)
			run_tell(&all->searches[i], now_ns);
}

bool community_search_is_due(const struct communities *all)
{
	for (unsigned i = 0; i < COMMUNITY_SEARCHES_MAX; i++)
		if (all->searches[i].is_used && all->searches[i].is_ended)
			return true;
	return false;
}

void community_search_stop(struct communities *all)
{
	for (unsigned i = 0; all->searches && i < COMMUNITY_SEARCHES_MAX; i++) {
		if (all->searches[i].incoming)
			all->params.mesh.ops->abandoned(all->searches[i].incoming, NULL, NULL);
		all->searches[i].incoming = NULL;
		all->searches[i].done = NULL;
	}
}

void community_search_forget_callers(struct communities *all)
{
	for (unsigned i = 0; i < COMMUNITY_SEARCHES_MAX; i++)
		all->searches[i].done = NULL;
}

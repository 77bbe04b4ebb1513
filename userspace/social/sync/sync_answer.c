/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HELLO and POST_GET of peers. What a peer says comes first: follows and proofs count for the question
 * that comes with them. What it may not have is left out before anything is counted, hashed or read.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/monotonic.h"
#include "social/sync/sync_state.h"

static const struct fair_config lent_config = {
	.name = "social.pages",
	.cap_cnt = SYNC_PAGES_MAX,
	.kind = FAIR_WORK,
	.level_cnt = FAIR_PEER_LEVELS,
	.parts = {4, 4, 2, 6},
};

/* --- admission --- */

static void refuse_hurried(struct sync *sync, const struct mesh_call *call, uint64_t wait_ms)
{
	sync->stats.hurried_cnt++;
	sync_ops(sync)->answer_error(call->incoming, MESH_CODE_REFUSED, "too many questions",
				     wait_ms);
}

void social_sync_refuse_malformed(struct sync *sync, const struct mesh_call *call, const char *text)
{
	sync->stats.malformed_cnt++;
	sync_ops(sync)->answer_error(call->incoming, MESH_CODE_MALFORMED, text, 0);
}

bool social_sync_admit(struct sync *sync, const struct mesh_call *call, uint64_t now_ns)
{
	const struct social_ground *ground = sync->params.ground;
	struct fair_path path;
	uint64_t wait_ms;

	sync->now_ns = now_ns;
	if (ground->admit && !ground->admit(ground->ctx, call, now_ns))
		return false;
	wait_ms = request_quota_take(&sync->per_key, call->peer_key, now_ns);
	if (!wait_ms) {
		sync_ops(sync)->asker_path(call->incoming, &path);
		wait_ms = social_network_wait_ms(ground, &sync->per_network, call->peer_key, &path,
						 now_ns);
	}
	if (wait_ms)
		refuse_hurried(sync, call, wait_ms);
	return !wait_ms;
}

/* --- HELLO --- */

struct question {
	struct sync *sync;
	struct sync_peer *peer;
	struct sync_asker asker;
	uint64_t now_ns;
	/* of deletions that the answer has */
	uint8_t deletions[SYNC_DELETIONS_MAX][SYNC_DELETION_LEN_MAX];
};

static bool question_may_have(void *ctx, const struct post_row *row)
{
	struct question *question = ctx;

	return social_sync_may_have(question->sync, &question->asker, row);
}

/*
 * The asker has what is not here: it was deleted, or it is wanted. A deletion says that the post was
 * here, and goes to those alone that follow its author.
 */
static void question_lacking(void *ctx, const uint8_t row[static RANGE_ROW_LEN])
{
	struct question *question = ctx;
	struct sync *sync = question->sync;
	const struct sync_parts *parts = &sync->params.parts;
	struct sync_answer *answer = &sync->answer;
	uint8_t *to = question->deletions[answer->deletion_cnt], author[NODE_KEY_LEN];
	size_t len;

	if (answer->deletion_cnt < SYNC_DELETIONS_MAX &&
	    (len = parts->deletion(parts->ctx, row, to, author)) > 0 &&
	    social_sync_peer_follows(question->peer, author))
		answer->deletions[answer->deletion_cnt++] = (struct sync_bytes){to, len};
	else if (parts->is_related(parts->ctx, question->peer->keys[0]))
		(void)social_sync_want(question->peer, row, question->now_ns);
}

static void list_answer(struct question *question, const struct sync_cursor *cursor, uint8_t *rows)
{
	struct sync *sync = question->sync;
	const struct post_index *index = sync->params.parts.index;
	struct post_place place = cursor->is_set
					  ? social_index_place(index, cursor->time_ms, cursor->id)
					  : social_index_end(index);
	struct sync_answer *answer = &sync->answer;
	const struct post_row *row, *last = NULL;
	uint32_t cnt = 0;

	while (cnt < SYNC_ROWS_MAX && (row = social_index_prev(index, &place))) {
		if (!question_may_have(question, row))
			continue;
		social_ranges_row(row, rows + cnt++ * SYNC_ROW_LEN);
		last = row;
	}
	answer->rows = cnt ? rows : NULL;
	answer->rows_len = cnt * SYNC_ROW_LEN;
	if (cnt < SYNC_ROWS_MAX)
		return;
	answer->cursor.is_set = true;
	answer->cursor.time_ms = last->time_ms;
	memcpy(answer->cursor.id, last->id, sizeof(last->id));
}

static int ranges_answer(struct question *question, const struct sync_hello *hello)
{
	struct sync *sync = question->sync;
	const struct range_posts posts = {.index = sync->params.parts.index,
					  .may_have = question_may_have,
					  .lacking = question_lacking,
					  .ctx = question};
	struct writer w = writer_of(sync->ranges, sizeof(sync->ranges));
	int more = social_ranges_answer(&posts, hello->ranges, hello->ranges_len, &w);

	if (more > 0) {
		sync->answer.ranges = sync->ranges;
		sync->answer.ranges_len = writer_len(&w);
	}
	return more;
}

/* A peer hears what it may see of the profile; one that this node chose hears the follows, too. */
static void greet_answer(struct question *question, struct writer *profiles)
{
	struct sync *sync = question->sync;
	const struct sync_parts *parts = &sync->params.parts;
	struct sync_answer *answer = &sync->answer;
	unsigned cnt;

	answer->profile_cnt = (uint16_t)parts->profiles(parts->ctx, question->peer->keys[0],
							profiles, answer->profiles);
	if (parts->records)
		answer->record_cnt = (uint16_t)parts->records(parts->ctx, question->peer->keys[0],
							      profiles, answer->records);
	if (!parts->is_chosen(parts->ctx, question->peer->keys[0]))
		return;
	cnt = parts->follows(parts->ctx, sync->own_follows, SYNC_FOLLOWS_MAX);
	answer->follows = sync->own_follows[0];
	answer->follows_len = cnt * NODE_KEY_LEN;
}

/* What the answer is written into. */
#define ANSWER_CAP  (SYNC_ROWS_MAX * SYNC_ROW_LEN + (128u << 10))
#define SCRATCH_CAP (SYNC_ROWS_MAX * SYNC_ROW_LEN)
_Static_assert(SCRATCH_CAP >= SYNC_PROFILES_MAX * SYNC_PROFILE_LEN_MAX +
				      SYNC_RECORDS_MAX * SYNC_RECORD_LEN_MAX,
	       "profiles and records fit");

static void lent_done(void *arg)
{
	struct sync_lent *lent = arg;
	struct sync *sync = lent->sync;

	free(lent->bytes);
	fair_release(&sync->lent_slots, &lent->slot, sync->now_ns);
	pool_release(&sync->lents, lent);
}

/* NULL: the call was answered. Slots cannot be taken back: the mesh has their bytes. */
static struct sync_lent *lent_make(struct sync *sync, const struct mesh_call *call, size_t cap,
				   uint64_t now_ns)
{
	const struct mesh_ops *ops = sync_ops(sync);
	uint32_t free_cnt = sync->lents.cap_cnt - sync->lents.used_cnt;
	struct fair_item *victim;
	struct sync_lent *lent = NULL;
	struct fair_path path;

	ops->asker_path(call->incoming, &path);
	if (free_cnt <= SYNC_PAGES_MAX / 2 && ops->hurry)
		ops->hurry(sync_mesh(sync));
	if (free_cnt && fair_may_hold(&sync->lent_slots, &path, free_cnt))
		lent = pool_acquire(&sync->lents);
	if (lent &&
	    ((lent->bytes = malloc(cap)) == NULL ||
	     fair_take(&sync->lent_slots, &path, &lent->slot, now_ns, &victim) != FAIR_TAKEN)) {
		free(lent->bytes);
		pool_release(&sync->lents, lent);
		lent = NULL;
	}
	if (!lent) {
		sync->stats.full_cnt++;
		ops->answer_error(call->incoming, MESH_CODE_BUSY,
				  "too many answers are on their way", 1000);
		return NULL;
	}
	lent->sync = sync;
	memcpy(lent->asker, call->peer_key, sizeof(lent->asker));
	return lent;
}

static void lent_send(struct sync_lent *lent, struct mesh_incoming *incoming, unsigned type,
		      size_t len)
{
	const struct transport_span span = {
		.data = lent->bytes, .len = len, .done = lent_done, .arg = lent};

	lent->page_len = type == MESH_POST_DATA ? len : 0;
	if (sync_ops(lent->sync)->answer(incoming, type, NULL, 0, &span) < 0)
		lent_done(lent);
}

/* Short answers are copied, and hold nothing. */
#define SHORT_LEN 1024u
static void answer_send(struct sync *sync, const struct mesh_call *call, uint64_t now_ns)
{
	uint8_t bytes[SHORT_LEN];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct sync_lent *lent;

	social_sync_answer_write(&w, &sync->answer);
	if (!w.bad) {
		(void)sync_ops(sync)->answer(call->incoming, MESH_SOCIAL_POSTS, bytes,
					     writer_len(&w), NULL);
		return;
	}
	lent = lent_make(sync, call, ANSWER_CAP, now_ns);
	if (!lent)
		return;
	w = writer_of(lent->bytes, ANSWER_CAP);
	social_sync_answer_write(&w, &sync->answer);
	lent_send(lent, call->incoming, MESH_SOCIAL_POSTS, writer_len(&w));
}

static int question_answer(struct question *question, const struct sync_hello *hello,
			   struct writer *scratch)
{
	social_sync_question(question->sync);
	switch (hello->question) {
	case SYNC_GREET:
		greet_answer(question, scratch);
		return 0;
	case SYNC_LIST:
		list_answer(question, &hello->cursor, scratch->start);
		return 0;
	case SYNC_RANGES:
		return ranges_answer(question, hello);
	}
	return WEFT_EMALFORMED;
}

static struct sync_peer *peer_of_call(struct sync *sync, const struct mesh_call *call,
				      uint64_t now_ns)
{
	uint8_t session[SYNC_SESSION_LEN];
	struct fair_path path;

	sync_ops(sync)->asker_session(call->incoming, session);
	sync_ops(sync)->asker_path(call->incoming, &path);
	return social_sync_peer_of(sync, call->peer_key, session, &path, now_ns);
}

/*
 * A peer that finds no place is heard all the same, without follows and proofs. Blocked ones get
 * what a node gives that has nothing for them.
 */
static void hello_answer(struct sync *sync, const struct mesh_call *call, struct sync_peer *peer,
			 uint64_t now_ns)
{
	static const struct sync_answer nothing = {.follows = NULL};
	const struct sync_parts *parts = &sync->params.parts;
	uint8_t *scratch = malloc(SCRATCH_CAP);
	struct question *question = malloc(sizeof(*question));
	struct writer w = writer_of(scratch, scratch ? SCRATCH_CAP : 0);
	int err = scratch && question ? 0 : -ENOMEM;

	sync->answer = nothing;
	if (err == 0 && !parts->is_blocked(parts->ctx, peer->keys[0])) {
		question->sync = sync;
		question->peer = peer;
		question->asker = (struct sync_asker){peer, sync->hello.author};
		question->now_ns = now_ns;
		err = question_answer(question, &sync->hello, &w);
	}
	if (err == WEFT_EMALFORMED)
		social_sync_refuse_malformed(sync, call, "no message of ranges");
	else if (err < 0)
		sync_ops(sync)->answer_error(call->incoming, MESH_CODE_BUSY, "no memory", 1000);
	else
		answer_send(sync, call, now_ns);
	free(question);
	free(scratch);
}

static void on_hello(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct sync *sync = ctx;
	struct sync_hello *hello = &sync->hello;
	struct sync_peer *peer;

	if (!social_sync_admit(sync, call, now_ns))
		return;
	sync->stats.hello_cnt++;
	if (social_sync_hello_parse(call->payload, call->payload_len, hello) < 0) {
		social_sync_refuse_malformed(sync, call, "no greeting of the sync");
		return;
	}
	peer = peer_of_call(sync, call, now_ns);
	if (!peer ||
	    (hello->follows && !social_sync_follows_take(peer, hello->follows, hello->follows_len,
							 hello->more, now_ns))) {
		sync->stats.full_cnt++;
		sync_ops(sync)->answer_error(call->incoming, MESH_CODE_BUSY,
					     "no room for what the peer follows", 10000);
		return;
	}
	social_sync_proofs_take(peer, hello);
	hello_answer(sync, call, peer, now_ns);
}

/* --- POST_GET --- */

struct page_draft {
	struct sync *sync;
	const struct sync_asker *asker;
	struct sync_giving *giving; /* NULL: nothing of it waits for a mark */
	struct sync_copy copies[2 * SYNC_GET_MAX];
	size_t len;
};

/* false: it has no room behind those before, which is no matter of what the asker may have. */
static bool page_add(struct page_draft *draft, const uint8_t *id, bool is_post)
{
	struct sync *sync = draft->sync;
	const struct sync_parts *parts = &sync->params.parts;
	struct sync_page *page = &sync->page;
	struct sync_copy *copy = &draft->copies[page->post_cnt];
	struct post_row row;
	size_t len;

	if (!parts->row(parts->ctx, id, &row) || !social_sync_may_have(sync, draft->asker, &row) ||
	    !parts->read(parts->ctx, id, copy)) {
		sync->stats.withheld_cnt++;
		return true;
	}
	len = SYNC_POST_HEAD_LEN + copy->visibility.len +
	      (is_post ? copy->post.len + copy->claim.len : 0);
	if (draft->len + len > SYNC_PAGE_LEN) {
		parts->release(parts->ctx, copy);
		return false;
	}
	if (!social_sync_giving_add(&draft->giving, draft->asker->peer, &row)) {
		parts->release(parts->ctx, copy);
		sync->stats.withheld_cnt++;
		return true;
	}
	draft->len += len;
	page->posts[page->post_cnt++] = (struct sync_post){
		.id = id,
		.post = is_post ? copy->post : (struct sync_bytes){NULL, 0},
		.claim = is_post ? copy->claim : (struct sync_bytes){NULL, 0},
		.visibility = copy->visibility,
	};
	return true;
}

static bool page_add_all(struct page_draft *draft, const uint8_t *ids, size_t len, bool is_post)
{
	for (size_t at = 0; at < len; at += POST_ID_LEN)
		if (!page_add(draft, ids + at, is_post))
			return false;
	return true;
}

/* --- pages that wait for marks --- */

static void page_left(void *arg)
{
	((struct sync_giving *)arg)->incoming = NULL;
}

/* The page in lent without what is lost: its length; 0: it cannot be said. */
static size_t page_cut(const struct sync_giving *giving, struct sync_lent *lent)
{
	struct sync_page *page = malloc(sizeof(*page));
	uint8_t *bytes = malloc(giving->len);
	struct writer w = writer_of(bytes, bytes ? giving->len : 0);
	unsigned cnt = 0;
	size_t len = 0;

	if (page && bytes && social_sync_page_parse(lent->bytes, giving->len, page) == 0) {
		for (unsigned i = 0; i < page->post_cnt; i++)
			if (!social_sync_is_lost(giving, page->posts[i].id))
				page->posts[cnt++] = page->posts[i];
		page->post_cnt = (uint16_t)cnt;
		social_sync_page_write(&w, page);
		/* Nothing, and a rest, is no page. */
		len = w.bad || (cnt == 0 && page->has_rest) ? 0 : writer_len(&w);
	}
	free(page);
	if (len) {
		free(lent->bytes);
		lent->bytes = bytes;
	} else {
		free(bytes);
	}
	return len;
}

static void page_given(struct sync_giving *giving, int err)
{
	struct sync *sync = giving->sync;
	struct sync_lent *lent = giving->arg;
	struct sync_peer *peer = social_sync_peer_find(sync, giving->keys[0]);
	size_t len = giving->len;

	if (peer && memcmp(peer->session, giving->session, sizeof(peer->session)) != 0)
		peer = NULL;
	/* Without its marks a page is not given. What is left out of one would not be asked for soon. */
	if (err < 0)
		len = 0;
	else if (giving->incoming && social_sync_lost(giving, peer, err))
		len = page_cut(giving, lent);
	/* Short ones, too, so that they can be taken back. */
	if (giving->incoming && len) {
		lent_send(lent, giving->incoming, MESH_POST_DATA, len);
	} else {
		if (giving->incoming)
			sync_ops(sync)->answer_error(giving->incoming, MESH_CODE_BUSY, "not now",
						     1000);
		lent_done(lent);
	}
	free(giving);
}

/* It holds its slot while it waits, so few wait at once, in fair shares. */
static void page_give(struct page_draft *draft, const struct mesh_call *call, uint64_t now_ns)
{
	struct sync *sync = draft->sync;
	struct sync_giving *giving = draft->giving;
	struct sync_lent *lent = lent_make(sync, call, draft->len, now_ns);
	struct writer w;

	if (!lent) {
		free(giving);
		return;
	}
	w = writer_of(lent->bytes, draft->len);
	social_sync_page_write(&w, &sync->page);
	giving->len = writer_len(&w);
	giving->incoming = call->incoming;
	giving->done = page_given;
	giving->arg = lent;
	sync_ops(sync)->abandoned(call->incoming, page_left, giving);
	social_sync_give(giving);
}

static void page_send(struct page_draft *draft, const struct mesh_call *call, uint64_t now_ns)
{
	struct sync *sync = draft->sync;
	struct sync_lent *lent;
	uint8_t bytes[SHORT_LEN];
	struct writer w = writer_of(bytes, sizeof(bytes));

	sync->stats.given_cnt += sync->page.post_cnt;
	sync->stats.given_len += draft->len;
	if (sync->page.post_cnt && sync->params.parts.pulled)
		sync->params.parts.pulled(sync->params.parts.ctx, call->peer_key, now_ns);
	if (draft->giving) {
		page_give(draft, call, now_ns);
		return;
	}
	social_sync_page_write(&w, &sync->page);
	if (!w.bad) {
		(void)sync_ops(sync)->answer(call->incoming, MESH_POST_DATA, bytes, writer_len(&w),
					     NULL);
		return;
	}
	lent = lent_make(sync, call, draft->len, now_ns);
	if (!lent)
		return;
	w = writer_of(lent->bytes, draft->len);
	social_sync_page_write(&w, &sync->page);
	lent_send(lent, call->incoming, MESH_POST_DATA, writer_len(&w));
}

static void on_get(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct sync *sync = ctx;
	const struct sync_parts *parts = &sync->params.parts;
	struct page_draft *draft;
	struct sync_asker asker;
	struct sync_get get;

	if (!social_sync_admit(sync, call, now_ns))
		return;
	if (social_sync_get_parse(call->payload, call->payload_len, &get) < 0) {
		social_sync_refuse_malformed(sync, call, "no question for posts");
		return;
	}
	asker = (struct sync_asker){peer_of_call(sync, call, now_ns), get.author};
	draft = malloc(sizeof(*draft));
	if (!asker.peer || !draft) {
		free(draft);
		sync_ops(sync)->answer_error(call->incoming, MESH_CODE_BUSY, "no room", 1000);
		return;
	}
	social_sync_question(sync);
	draft->sync = sync;
	draft->asker = &asker;
	draft->giving = NULL;
	draft->len = SYNC_PAGE_HEAD_LEN;
	sync->page.post_cnt = 0;
	sync->page.has_rest = false;
	if (!parts->is_blocked(parts->ctx, call->peer_key))
		sync->page.has_rest =
			!page_add_all(draft, get.posts, get.posts_len, true) ||
			!page_add_all(draft, get.visibilities, get.visibilities_len, false);
	social_sync_holding_given(sync, asker.peer, &sync->page);
	page_send(draft, call, now_ns);
	for (unsigned i = 0; i < sync->page.post_cnt; i++)
		parts->release(parts->ctx, &draft->copies[i]);
	free(draft);
}

/* --- life --- */

int social_sync_answer_init(struct sync *sync, const uint64_t secret[2])
{
	const struct mesh_seam *mesh = &sync->params.ground->mesh;
	int err;

	if ((err = fair_init(&sync->lent_slots, &sync->arena, &lent_config, secret)) < 0 ||
	    (err = pool_init(&sync->lents, &sync->arena, sizeof(struct sync_lent),
			     SYNC_PAGES_MAX)) < 0 ||
	    (err = request_quota_init(&sync->per_key, &sync->arena, SYNC_UNITS_MAX,
				      SYNC_PER_KEY_MIN, secret)) < 0 ||
	    (err = request_quota_init(&sync->per_network, &sync->arena, SYNC_UNITS_MAX,
				      SYNC_PER_NETWORK_MIN, secret)) < 0 ||
	    (err = mesh->ops->handle(mesh->mesh, MESH_SOCIAL_HELLO, on_hello, sync)) < 0)
		return err;
	return mesh->ops->handle(mesh->mesh, MESH_POST_GET, on_get, sync);
}

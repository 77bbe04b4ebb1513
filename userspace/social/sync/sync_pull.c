/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pull: this node greets a peer, finds what it lacks of what the peer gives, and fetches that in
 * pages. The next page is asked for when the one before is durable. Nothing is asked of a peer
 * without a session: the mesh would look for its key then.
 */
#include <stdlib.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "social/sync/sync_state.h"

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns);

/* --- ends --- */

void social_sync_pull_release(struct sync_pull *pull)
{
	if (pull->peer)
		pull->peer->pull = NULL;
	free(pull->reply);
	free(pull->next);
	free(pull->wanted);
	pull->sync->other_pull_cnt -= pull->is_other;
	pool_release(&pull->sync->pulls, pull);
}

void social_sync_waiters_tell(struct sync_pull *pull, uint64_t now_ns)
{
	struct sync *sync = pull->sync;
	struct sync_waiter *waiter;

	while ((waiter = list_first(&pull->waiters, struct sync_waiter, link))) {
		void (*done)(void *arg, const struct sync_outcome *outcome, uint64_t now_ns) =
			waiter->done;
		void *arg = waiter->arg;

		list_unlink(&waiter->link);
		pool_release(&sync->waiters, waiter);
		done(arg, &pull->outcome, now_ns);
	}
}

static uint64_t retry_ns(const struct sync_peer *peer)
{
	uint64_t every_ns = peer->sync->params.config.every_ns, wait_ns = SYNC_RETRY_NS;

	for (unsigned i = 1; i < peer->failure_cnt && wait_ns < every_ns; i++)
		wait_ns *= 2;
	return wait_ns < every_ns ? wait_ns : every_ns;
}

/* A tenth more or less, so that peers that met at one moment do not ask at one moment. */
static void peer_plan(struct sync_peer *peer, bool is_good, uint64_t now_ns)
{
	struct sync *sync = peer->sync;
	const struct sync_parts *parts = &sync->params.parts;
	uint64_t wait_ns;

	peer->failure_cnt = is_good ? 0 : peer->failure_cnt + 1;
	wait_ns = is_good ? sync->params.config.every_ns : retry_ns(peer);
	wait_ns -= random_below(sync->params.ground->random,
				(uint32_t)(wait_ns / 10 / NS_PER_MS) + 1) *
		   NS_PER_MS;
	peer->due_ns =
		parts->is_related(parts->ctx, peer->keys[0]) ? now_ns + wait_ns : TIMER_NEVER;
}

/* The one of the pull is still there. */
static bool has_session(const struct sync_peer *peer)
{
	uint8_t session[SYNC_SESSION_LEN];

	return sync_ops(peer->sync)->session(sync_mesh(peer->sync), peer->keys[0], session) == 0 &&
	       memcmp(session, peer->session, sizeof(session)) == 0;
}

static void pull_finish(struct sync_pull *pull, int err, uint64_t now_ns)
{
	struct sync *sync = pull->sync;
	const struct sync_parts *parts = &sync->params.parts;
	uint8_t key[MESH_KEY_LEN];
	bool is_whole;

	if (pull->request)
		sync_ops(sync)->cancel(pull->request);
	pull->request = NULL;
	pull->outcome.err = err;
	sync->stats.pulled_cnt += err == 0;
	sync->stats.failed_cnt += err < 0;
	pull->is_over = true;
	pull->peer->pull = NULL;
	/* One of a chosen peer that brought something goes on soon, as after its time was over. */
	if (pull->outcome.new_cnt && !pull->is_other)
		pull->peer->failure_cnt = 0;
	peer_plan(pull->peer, err == 0, now_ns);
	is_whole = err == 0 && !pull->has_author && has_session(pull->peer);
	memcpy(key, pull->peer->keys[0], sizeof(key));
	pull->peer = NULL;
	social_sync_waiters_tell(pull, now_ns);
	if (pull->open_cnt == 0)
		social_sync_pull_release(pull);
	social_sync_due(sync, now_ns);
	if (is_whole && parts->synced)
		parts->synced(parts->ctx, key, now_ns);
}

void social_sync_pull_cancel(struct sync_pull *pull, int err, uint64_t now_ns)
{
	pull_finish(pull, err, now_ns);
}

/* --- questions --- */

static int pull_ask(struct sync_pull *pull, unsigned type, size_t len, uint64_t now_ns)
{
	struct sync *sync = pull->sync;
	struct mesh_ask ask = {
		.type = type,
		.payload = sync->message,
		.payload_len = len,
		.reply_buf = pull->reply,
		.reply_cap = SYNC_REPLY_CAP,
		.timeout_ns = SYNC_TIMEOUT_NS,
		.progress_len = 64u << 10,
		.reply = on_reply,
		.arg = pull,
	};
	int err;

	if (!has_session(pull->peer))
		return WEFT_ECLOSED;
	if (++pull->message_cnt > SYNC_MESSAGES_MAX)
		return WEFT_EBUSY;
	if (now_ns >= pull->end_ns)
		return WEFT_ETIMEOUT;
	memcpy(ask.peer.key, pull->peer->keys[0], sizeof(ask.peer.key));
	pull->outcome.sent_len += (unsigned)len;
	err = sync_ops(sync)->ask(sync_mesh(sync), &ask, now_ns, &pull->request);
	if (err < 0)
		pull->request = NULL;
	return err;
}

/* Proofs of groups and personas, for this session alone. */
static void proofs_write(struct sync_pull *pull, struct sync_hello *hello, struct writer *w)
{
	const struct sync_parts *parts = &pull->sync->params.parts;
	struct sync_group_key keys[SYNC_PROOFS_MAX];
	unsigned cnt = parts->group_keys(parts->ctx, keys);
	const struct node_key *persona;

	for (unsigned i = 1; (persona = parts->persona(parts->ctx, i)); i++) {
		const struct sync_proof proof = {.is_group = false};
		const uint8_t *at = w->pos;

		if (hello->proof_cnt == SYNC_PROOFS_MAX)
			return;
		social_sync_proof_write(w, &proof, pull->peer->session, persona);
		hello->proofs[hello->proof_cnt++] = (struct sync_bytes){at, (size_t)(w->pos - at)};
	}
	for (unsigned i = 0; i < cnt && hello->proof_cnt < SYNC_PROOFS_MAX; i++) {
		struct sync_proof proof = {.is_group = true, .epoch = keys[i].epoch};
		const uint8_t *at = w->pos;

		memcpy(proof.group, keys[i].group, sizeof(proof.group));
		social_sync_proof_write(w, &proof, pull->peer->session, keys[i].key);
		hello->proofs[hello->proof_cnt++] = (struct sync_bytes){at, (size_t)(w->pos - at)};
	}
}

/* Follows and proofs go to peers alone that this node chose. */
static int greet_send(struct sync_pull *pull, uint64_t now_ns)
{
	struct sync *sync = pull->sync;
	const struct sync_parts *parts = &sync->params.parts;
	struct writer w = writer_of(sync->message, sizeof(sync->message));
	uint8_t proofs[SYNC_PROOFS_MAX * SYNC_PROOF_LEN_MAX];
	struct writer p = writer_of(proofs, sizeof(proofs));
	struct sync_hello *hello = &sync->hello;
	unsigned cnt;

	*hello = (struct sync_hello){.question = SYNC_GREET};
	pull->stage = SYNC_GREETING;
	if (parts->is_chosen(parts->ctx, pull->peer->keys[0])) {
		cnt = parts->follows(parts->ctx, sync->own_follows, SYNC_FOLLOWS_MAX);
		hello->more = pull->told_cnt > 0;
		hello->follows = sync->own_follows[pull->told_cnt < cnt ? pull->told_cnt : 0];
		cnt = pull->told_cnt < cnt ? cnt - pull->told_cnt : 0;
		if (cnt > SYNC_FOLLOWS_PER_HELLO)
			cnt = SYNC_FOLLOWS_PER_HELLO;
		hello->follows_len = cnt * NODE_KEY_LEN;
		pull->told_cnt += cnt;
		proofs_write(pull, hello, &p);
	}
	social_sync_hello_write(&w, hello);
	return w.bad || p.bad ? WEFT_ETOOLARGE
			      : pull_ask(pull, MESH_SOCIAL_HELLO, writer_len(&w), now_ns);
}

/* Whether follows are left to say. */
static bool has_more_follows(const struct sync_pull *pull)
{
	struct sync *sync = pull->sync;
	const struct sync_parts *parts = &sync->params.parts;

	return parts->is_chosen(parts->ctx, pull->peer->keys[0]) &&
	       parts->follows(parts->ctx, sync->own_follows, SYNC_FOLLOWS_MAX) > pull->told_cnt;
}

static bool pull_may_have(void *ctx, const struct post_row *row)
{
	struct sync_pull *pull = ctx;

	return social_sync_compares(pull->sync, pull->peer, row);
}

/*
 * The peer says that it has it. What is public and here counts from now on. What else is here may be a
 * post that the peer may not have and guesses at: to count it would be to say it.
 */
static void pull_lacking(void *ctx, const uint8_t row[static RANGE_ROW_LEN])
{
	struct sync_pull *pull = ctx;
	const struct sync_parts *parts = &pull->sync->params.parts;
	struct post_row held;

	if (parts->row(parts->ctx, row, &held) && held.audience == SYNC_AUDIENCE_PUBLIC)
		social_sync_holding_note(pull->sync, row, true);
	social_sync_pull_want(pull, row);
}

static void pull_said(void *ctx, const struct post_row *row)
{
	social_sync_holding_note(((struct sync_pull *)ctx)->sync, row->id, false);
}

static struct range_posts pull_posts(struct sync_pull *pull)
{
	return (struct range_posts){.index = pull->sync->params.parts.index,
				    .may_have = pull_may_have,
				    .lacking = pull_lacking,
				    .said = pull_said,
				    .ctx = pull};
}

static int look_send(struct sync_pull *pull, uint64_t now_ns)
{
	struct sync *sync = pull->sync;
	struct writer w = writer_of(sync->message, sizeof(sync->message));
	struct writer ranges = writer_of(sync->ranges, sizeof(sync->ranges));
	const struct range_posts posts = pull_posts(pull);
	struct sync_hello *hello = &sync->hello;

	*hello = (struct sync_hello){.question = pull->is_listing ? SYNC_LIST : SYNC_RANGES};
	pull->stage = SYNC_LOOKING;
	if (pull->is_listing) {
		hello->author = pull->has_author ? pull->author : NULL;
		hello->cursor = pull->cursor;
	} else if (pull->next_len) {
		hello->ranges = pull->next;
		hello->ranges_len = pull->next_len;
	} else {
		social_sync_compare(sync, pull->peer);
		social_ranges_open(&posts, &ranges);
		hello->ranges = sync->ranges;
		hello->ranges_len = writer_len(&ranges);
	}
	social_sync_hello_write(&w, hello);
	return w.bad ? WEFT_ETOOLARGE : pull_ask(pull, MESH_SOCIAL_HELLO, writer_len(&w), now_ns);
}

/* The ids of the next page, all of one kind; what came in another way meanwhile is passed over. */
static int fetch_send(struct sync_pull *pull, uint64_t now_ns)
{
	struct sync *sync = pull->sync;
	const struct sync_parts *parts = &sync->params.parts;
	struct writer w = writer_of(sync->message, sizeof(sync->message));
	uint8_t ids[SYNC_GET_MAX][POST_ID_LEN];
	struct sync_get get = {.author = pull->has_author ? pull->author : NULL};
	struct post_row held;
	bool has_post;
	size_t len;

	while (pull->wanted_at < pull->wanted_cnt && !pull->wanted[pull->wanted_at].has_post &&
	       parts->row(parts->ctx, pull->wanted[pull->wanted_at].id, &held))
		pull->wanted_at++;
	if (pull->wanted_at == pull->wanted_cnt)
		return 0;
	has_post = pull->wanted[pull->wanted_at].has_post;
	pull->stage = SYNC_FETCHING;
	pull->asked_cnt = 0;
	while (pull->asked_cnt < SYNC_GET_MAX &&
	       pull->wanted_at + pull->asked_cnt < pull->wanted_cnt &&
	       pull->wanted[pull->wanted_at + pull->asked_cnt].has_post == has_post) {
		memcpy(ids[pull->asked_cnt], pull->wanted[pull->wanted_at + pull->asked_cnt].id,
		       POST_ID_LEN);
		pull->asked_cnt++;
	}
	len = pull->asked_cnt * POST_ID_LEN;
	if (has_post) {
		get.visibilities = ids[0];
		get.visibilities_len = len;
	} else {
		get.posts = ids[0];
		get.posts_len = len;
	}
	social_sync_get_write(&w, &get);
	return w.bad ? WEFT_ETOOLARGE : pull_ask(pull, MESH_POST_GET, writer_len(&w), now_ns);
}

/* --- answers --- */

static struct sync_take object_take(const struct sync_peer *peer, const struct sync_bytes *object)
{
	return (struct sync_take){.post = *object, .from = peer->keys[0]};
}

static int on_greeting(struct sync_pull *pull, const struct sync_answer *answer, uint64_t now_ns)
{
	const struct sync_parts *parts = &pull->sync->params.parts;
	struct sync_peer *peer = pull->peer;

	for (unsigned i = 0; i < answer->profile_cnt; i++) {
		const struct sync_take take = object_take(peer, &answer->profiles[i]);

		parts->take_profile(parts->ctx, &take, now_ns);
	}
	/* Behind the profiles: by these an anchor is one. */
	for (unsigned i = 0; parts->take_record && i < answer->record_cnt; i++)
		parts->take_record(parts->ctx, peer->keys[0], &answer->records[i], now_ns);
	if (answer->follows &&
	    !social_sync_follows_take(peer, answer->follows, answer->follows_len, false, now_ns))
		return WEFT_EFULL;
	peer->has_greeted = !has_more_follows(pull);
	return 0;
}

static int on_ranges(struct sync_pull *pull, const struct sync_answer *answer)
{
	const struct range_posts posts = pull_posts(pull);
	struct writer w = writer_of(pull->next, RANGE_MESSAGE_MAX);
	int more = 0;

	social_sync_compare(pull->sync, pull->peer);
	if (answer->ranges)
		more = social_ranges_answer(&posts, answer->ranges, answer->ranges_len, &w);
	pull->has_looked = more <= 0;
	pull->next_len = more > 0 ? writer_len(&w) : 0;
	return more < 0 ? more : 0;
}

/* Pages of a list have rows, and each begins below the one before: no list goes on for ever. */
static bool is_next_cursor(const struct sync_pull *pull, const struct sync_answer *answer)
{
	const struct sync_cursor *from = &pull->cursor, *to = &answer->cursor;

	if (!to->is_set)
		return true;
	if (answer->rows_len == 0)
		return false;
	if (!from->is_set || to->time_ms != from->time_ms)
		return !from->is_set || to->time_ms < from->time_ms;
	return memcmp(to->id, from->id, sizeof(to->id)) < 0;
}

static int on_look(struct sync_pull *pull, const struct sync_answer *answer, uint64_t now_ns)
{
	const struct sync_parts *parts = &pull->sync->params.parts;

	for (unsigned i = 0; i < answer->deletion_cnt; i++) {
		const struct sync_take take = object_take(pull->peer, &answer->deletions[i]);

		parts->take_deletion(parts->ctx, &take, now_ns);
	}
	if (!pull->is_listing)
		return on_ranges(pull, answer);
	if (!is_next_cursor(pull, answer))
		return WEFT_EMALFORMED;
	for (size_t at = 0; at < answer->rows_len; at += SYNC_ROW_LEN)
		social_sync_pull_want(pull, answer->rows + at);
	pull->has_looked = !answer->cursor.is_set;
	pull->cursor = answer->cursor;
	return 0;
}

/* What has no room now, or cannot be kept now, may be at the next pull. */
static bool is_final(enum intake_verdict verdict)
{
	return verdict != INTAKE_TAKEN && verdict != INTAKE_KNOWN && verdict != INTAKE_FULL &&
	       verdict != INTAKE_BUSY && verdict != INTAKE_FAILED;
}

/* By what people of this node want, which changes by their acts alone. */
static bool is_unwanted(enum intake_verdict verdict)
{
	return verdict == INTAKE_REFUSED || verdict == INTAKE_BLOCKED;
}

static void take_done(void *arg, enum intake_verdict verdict, const uint8_t *id)
{
	struct sync_pull *pull = arg;
	struct sync *sync = pull->sync;
	bool is_new = verdict == INTAKE_TAKEN;

	if (sync->is_stopped)
		return;
	sync->stats.taken_cnt += is_new;
	sync->stats.refused_cnt += !is_new && verdict != INTAKE_KNOWN;
	pull->outcome.new_cnt += is_new;
	/*
	 * While a page is taken it is known which one it is, also where its bytes are no post. Then other
	 * peers may have the post.
	 */
	if (is_unwanted(verdict) && id)
		social_sync_refuse_id(sync, NULL, id, sync->now_ns + SYNC_UNWANTED_NS);
	else if (is_final(verdict) && (pull->is_in_page || id))
		social_sync_refuse_id(sync, pull->peer, pull->is_in_page ? pull->taking : id,
				      sync->now_ns + SYNC_REFUSED_NS);
	if (--pull->open_cnt || pull->is_in_page)
		return;
	if (pull->is_over)
		social_sync_pull_release(pull);
	else
		social_sync_pull_go_on(pull, sync->now_ns);
}

static void post_take(struct sync_pull *pull, const struct sync_post *post, bool has_post,
		      uint64_t now_ns)
{
	const struct sync_parts *parts = &pull->sync->params.parts;
	struct sync_take take = {.post = post->post,
				 .claim = post->claim,
				 .visibility = post->visibility,
				 .from = pull->peer->keys[0],
				 .done = take_done,
				 .arg = pull};

	pull->open_cnt++;
	pull->taking = post->id;
	if (has_post) {
		take.post = post->visibility;
		parts->take_visibility(parts->ctx, &take, now_ns);
	} else {
		parts->take_post(parts->ctx, &take, now_ns);
	}
}

/* Those asked for that are not there, up to the one at end. */
static void useless_note(struct sync_pull *pull, unsigned from, unsigned end, uint64_t now_ns)
{
	for (; from < end; from++) {
		const struct sync_wanted *wanted = &pull->wanted[pull->wanted_at + from];

		pull->useless_cnt++;
		pull->sync->stats.useless_cnt++;
		/* A visibility is not given for a moment while it is on its way to the disk. */
		if (!wanted->has_post)
			social_sync_refuse_id(pull->sync, pull->peer, wanted->id,
					      now_ns + SYNC_REFUSED_NS);
	}
}

/* Posts come in the order in which they were asked for. */
static int on_page(struct sync_pull *pull, const struct sync_page *page, uint64_t now_ns)
{
	unsigned at = 0;

	if (page->has_rest && page->post_cnt == 0)
		return WEFT_EMALFORMED;
	pull->is_in_page = true;
	for (unsigned i = 0; i < page->post_cnt; i++) {
		const struct sync_post *post = &page->posts[i];
		const struct sync_wanted *wanted = pull->wanted + pull->wanted_at;
		unsigned to = at;

		while (to < pull->asked_cnt &&
		       memcmp(wanted[to].id, post->id, sizeof(wanted[to].id)) != 0)
			to++;
		if (to == pull->asked_cnt || wanted[to].has_post != (post->post.len == 0)) {
			pull->sync->stats.unasked_cnt++;
			continue;
		}
		useless_note(pull, at, to, now_ns);
		at = to + 1;
		post_take(pull, post, wanted[to].has_post, now_ns);
	}
	if (!page->has_rest) {
		useless_note(pull, at, pull->asked_cnt, now_ns);
		at = pull->asked_cnt;
	}
	pull->is_in_page = false;
	pull->wanted_at += at;
	pull->asked_cnt = 0;
	/* A page of nothing that was asked for, and a rest: it would go on for ever. */
	return at == 0 || pull->useless_cnt > SYNC_USELESS_MAX ? WEFT_EBUSY : 0;
}

static int on_answer(struct sync_pull *pull, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct sync *sync = pull->sync;

	if (pull->stage == SYNC_FETCHING) {
		if (social_sync_page_parse(reply->payload, reply->payload_len, &sync->page) < 0)
			return WEFT_EMALFORMED;
		return on_page(pull, &sync->page, now_ns);
	}
	if (social_sync_answer_parse(reply->payload, reply->payload_len, &sync->answer) < 0)
		return WEFT_EMALFORMED;
	return pull->stage == SYNC_GREETING ? on_greeting(pull, &sync->answer, now_ns)
					    : on_look(pull, &sync->answer, now_ns);
}

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct sync_pull *pull = arg;
	struct sync *sync = pull->sync;
	size_t len = reply->err == 0 ? reply->payload_len : reply->received_len;
	int err = reply->err;

	sync->now_ns = now_ns;
	pull->request = NULL;
	pull->outcome.received_len += (unsigned)len;
	sync->stats.taken_len += len;
	if (err == 0)
		err = on_answer(pull, reply, now_ns);
	if (err < 0)
		pull_finish(pull, err, now_ns);
	else if (pull->open_cnt == 0)
		social_sync_pull_go_on(pull, now_ns);
}

/* What comes next: greet, look until enough is wanted, fetch, look on. */
void social_sync_pull_go_on(struct sync_pull *pull, uint64_t now_ns)
{
	unsigned wanted_cnt = pull->wanted_cnt - pull->wanted_at;
	int err = 0;

	if (!pull->peer->has_greeted && !pull->has_author) {
		err = greet_send(pull, now_ns);
	} else if (wanted_cnt && (wanted_cnt >= SYNC_WANTED_HIGH || pull->has_looked)) {
		err = fetch_send(pull, now_ns);
	} else if (!pull->has_looked) {
		err = look_send(pull, now_ns);
	}
	if (err < 0) {
		pull_finish(pull, err, now_ns);
		return;
	}
	if (pull->request)
		return;
	if (pull->has_looked)
		pull_finish(pull, 0, now_ns);
	else if ((err = look_send(pull, now_ns)) < 0)
		pull_finish(pull, err, now_ns);
}

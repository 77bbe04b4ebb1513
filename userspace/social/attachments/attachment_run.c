/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetching: a run fetches the pieces of one post from nodes in session that may have them. No node is
 * dialled or looked for. A piece is asked of one node after the other, and each is verified before it is
 * stored. So what is here is right, and a restart goes on with the next piece.
 *
 * A node that has not got a piece, is silent, or sends other bytes is asked nothing more in that run. When
 * none is left, the post waits longer and longer, and for its author's next session.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "social/attachments/attachments_state.h"
#include "social/holders/post_holders.h"

#define ASK_TIMEOUT_NS (30 * NS_PER_S)
#define ASK_STALL_NS   (10 * NS_PER_S)
#define RETRY_MIN_NS   (30 * NS_PER_S) /* doubles with each failure */
#define RETRY_MAX_NS   (3600 * NS_PER_S)
#define ALONE_NS       (300 * NS_PER_S)
#define SHUN_SILENT_NS (60 * NS_PER_S)
#define SHUN_BAD_NS    (3600 * NS_PER_S)
#define BEGIN_LOOKS    256u /* posts that wait, in one go */

static const struct social_ground *ground_of(const struct attachments *attachments)
{
	return attachments->params.ground;
}

/* --- nodes --- */

void social_attachments_shun(struct attachments *attachments, const uint8_t *key, uint64_t until_ns)
{
	struct attachment_shunned *shunned = NULL;

	for (unsigned i = 0; i < ATTACHMENT_SHUNNED_MAX && !shunned; i++)
		if (memcmp(attachments->shunned[i].key, key, MESH_KEY_LEN) == 0)
			shunned = &attachments->shunned[i];
	/* A new session pardons a node that was silent, and not one that sent wrong bytes. */
	if (!until_ns && (!shunned || shunned->until_ns > attachments->now_ns + SHUN_SILENT_NS))
		return;
	if (!shunned)
		shunned = &attachments->shunned[attachments->shunned_at++ % ATTACHMENT_SHUNNED_MAX];
	memcpy(shunned->key, key, MESH_KEY_LEN);
	shunned->until_ns = until_ns;
}

static bool is_shunned(const struct attachments *attachments, const uint8_t *key)
{
	for (unsigned i = 0; i < ATTACHMENT_SHUNNED_MAX; i++)
		if (attachments->shunned[i].until_ns > attachments->now_ns &&
		    memcmp(attachments->shunned[i].key, key, MESH_KEY_LEN) == 0)
			return true;
	return false;
}

static void source_add(struct attachment_run *run, const uint8_t *key)
{
	struct attachments *attachments = run->of->attachments;
	const struct social_ground *ground = ground_of(attachments);
	uint8_t session[MESH_SESSION_ID_LEN];

	for (unsigned i = 0; i < run->source_cnt; i++)
		if (memcmp(run->sources[i], key, MESH_KEY_LEN) == 0)
			return;
	if (run->source_cnt == ATTACHMENT_SOURCES_MAX || is_shunned(attachments, key) ||
	    memcmp(key, node_key_public(ground->key), MESH_KEY_LEN) == 0 ||
	    ground->mesh.ops->session(ground->mesh.mesh, key, session) < 0)
		return;
	memcpy(run->sources[run->source_cnt++], key, MESH_KEY_LEN);
}

static void source_drop(struct attachment_run *run, const uint8_t *key)
{
	for (unsigned i = 0; i < run->source_cnt; i++)
		if (memcmp(run->sources[i], key, MESH_KEY_LEN) == 0)
			memmove(run->sources[i], run->sources[--run->source_cnt], MESH_KEY_LEN);
}

static bool on_holder(void *arg, const struct post_holder *holder)
{
	struct attachment_run *run = arg;

	if (holder->flags & HOLDER_HAS)
		source_add(run, holder->person);
	return run->source_cnt < ATTACHMENT_SOURCES_MAX;
}

/* The node of the author first, then those that say to have the post, then others in session. */
static void sources_find(struct attachment_run *run)
{
	struct attached *of = run->of;
	struct attachments *attachments = of->attachments;
	const struct attachment_people *people = &attachments->params.people;
	const struct social_ground *ground = ground_of(attachments);
	struct mesh_neighbour neighbour;
	struct mesh_walk walk = {NULL};

	run->source_cnt = 0;
	source_add(run, of->author);
	if (of->has_hint)
		source_add(run, of->hint);
	(void)social_holders_each(attachments->params.holders, of->post, on_holder, run);
	while (run->source_cnt < ATTACHMENT_SOURCES_MAX &&
	       ground->neighbours->next(ground->mesh.mesh, &walk, &neighbour) &&
	       neighbour.is_connected)
		if (people->is_related(people->ctx, neighbour.key))
			source_add(run, neighbour.key);
}

/* --- the end --- */

static bool is_idle(const struct attachment_run *run)
{
	for (unsigned i = 0; i < ATTACHMENT_ASKS_MAX; i++)
		if (run->asking[i].request || run->asking[i].is_storing)
			return false;
	return true;
}

static void run_free(struct attachment_run *run)
{
	struct attachments *attachments = run->of->attachments;

	run->of->run = NULL;
	social_post_copy_free(run->copy);
	pool_release(&attachments->runs, run);
}

static uint64_t retry_ns(unsigned failure_cnt)
{
	uint64_t wait_ns = RETRY_MIN_NS;

	while (--failure_cnt && wait_ns < RETRY_MAX_NS)
		wait_ns *= 2;
	return wait_ns < RETRY_MAX_NS ? wait_ns : RETRY_MAX_NS;
}

static void run_end(struct attachment_run *run)
{
	struct attached *of = run->of;
	struct attachments *attachments = of->attachments;

	if (run->err == 0)
		social_attached_recount(of, &run->post);
	if (run->err < 0) {
		of->failure_cnt++;
		of->due_ns = attachments->now_ns + retry_ns(of->failure_cnt);
		attachments->stats.failed_cnt++;
	}
	run_free(run);
	if (of->is_gone) {
		social_attached_drop(of, attachments->now_ns);
		return;
	}
	if (of->wanted)
		list_push_back(&attachments->waiting, &of->waiting);
	social_attachments_due(attachments, attachments->now_ns);
}

static void run_stop(struct attachment_run *run, int err)
{
	if (!run->is_ending)
		run->err = err;
	run->is_ending = true;
}

bool social_run_cancel(struct attachment_run *run)
{
	const struct social_ground *ground = ground_of(run->of->attachments);

	for (unsigned i = 0; i < ATTACHMENT_ASKS_MAX; i++) {
		struct attachment_asking *asking = &run->asking[i];

		if (asking->request)
			ground->mesh.ops->cancel(asking->request);
		asking->request = NULL;
	}
	run_stop(run, WEFT_ECANCELLED);
	if (!is_idle(run))
		return false;
	run_free(run);
	return true;
}

/* --- pieces --- */

static bool is_asked_for(const struct attachment_run *run, uint32_t piece, bool is_list)
{
	for (unsigned i = 0; i < ATTACHMENT_ASKS_MAX; i++) {
		const struct attachment_asking *asking = &run->asking[i];

		if ((asking->request || asking->is_storing) &&
		    asking->attachment == run->attachment && asking->is_list == is_list &&
		    (is_list || asking->piece == piece))
			return true;
	}
	return false;
}

enum next_piece { NEXT_NONE, NEXT_PIECE, NEXT_LIST };

/* It came for this post, or a person here wrote that. */
static bool is_here(const struct attachment_run *run, struct store_snapshot *snapshot,
		    uint32_t piece)
{
	return run->of->share == POST_OWN ||
	       social_mark_find(snapshot, run->of->post, run->attachment, piece) == 0;
}

/* The next piece of the attachment at hand that is missing; behind its last one: NEXT_NONE. */
static enum next_piece piece_next(struct attachment_run *run, struct store_snapshot *snapshot,
				  const struct attachment_pieces *pieces)
{
	uint8_t blob[BLAKE3_HASH_LEN];
	const uint8_t *list;

	if (social_pieces_have_list(pieces) &&
	    (!is_here(run, snapshot, PIECE_LIST) || social_list_get(snapshot, pieces, &list) < 0))
		return is_asked_for(run, 0, true) ? NEXT_NONE : NEXT_LIST;
	for (; run->piece < pieces->cnt; run->piece++)
		if (!is_asked_for(run, run->piece, false) &&
		    (!is_here(run, snapshot, run->piece) ||
		     social_piece_find(snapshot, pieces, run->piece, blob) < 0))
			return NEXT_PIECE;
	return NEXT_NONE;
}

/* One attachment after the other. An attachment is whole when nothing of it is missing or asked for. */
static enum next_piece run_next(struct attachment_run *run, struct store_snapshot *snapshot)
{
	struct attached *of = run->of;

	for (; run->attachment < run->post.attachment_cnt; run->attachment++, run->piece = 0) {
		struct attachment_pieces pieces;
		enum next_piece next;

		if (!(of->wanted & 1u << run->attachment))
			continue;
		if (!social_pieces_of(&run->post.attachments[run->attachment], of->is_public,
				      &pieces)) {
			of->wanted &= ~(1u << run->attachment);
			continue;
		}
		next = piece_next(run, snapshot, &pieces);
		if (next != NEXT_NONE || !is_idle(run))
			return next;
		of->wanted &= ~(1u << run->attachment);
		of->attachments->stats.whole_cnt++;
	}
	return NEXT_NONE;
}

static void run_go_on(struct attachment_run *run);

/* The piece is looked for again, from another node. */
static void asking_fail(struct attachment_asking *asking, int err)
{
	struct attachment_run *run = asking->run;

	source_drop(run, asking->source);
	if (asking->attachment <= run->attachment) {
		run->piece = asking->attachment < run->attachment || asking->piece < run->piece
				     ? asking->piece
				     : run->piece;
		run->attachment = asking->attachment;
	}
	if (!run->source_cnt)
		run_stop(run, err);
	run_go_on(run);
}

static void on_stored(void *arg, int err)
{
	struct attachment_asking *asking = arg;
	struct attachment_run *run = asking->run;
	struct attached *of = run->of;
	struct attachments *attachments = of->attachments;

	attachments->job_cnt--;
	attachments->params.ways.release(attachments->params.ways.ctx);
	asking->is_storing = false;
	if (err < 0) {
		run_stop(run, err);
	} else if (!asking->is_list) {
		social_attached_stored(of, asking->len);
		attachments->stats.fetched_cnt++;
		attachments->stats.fetched_len += asking->len;
	}
	of->failure_cnt = 0;
	run_go_on(run);
}

static int asking_store(struct attachment_asking *asking, const struct attachment_pieces *pieces,
			const uint8_t *bytes, size_t len)
{
	struct attachments *attachments = asking->run->of->attachments;
	struct store *store = ground_of(attachments)->store;
	const struct attachment_ways *ways = &attachments->params.ways;
	struct store_batch *batch;
	int err = ways->hold(ways->ctx);

	if (err < 0)
		return err;
	if ((batch = store_batch_new(store))) {
		if (asking->is_list)
			social_list_put(batch, pieces->ids, bytes, pieces->cnt);
		else
			social_piece_put(batch, pieces, asking->piece, bytes, len);
		social_mark_put(batch, asking->run->of->post, asking->attachment,
				asking->is_list ? PIECE_LIST : asking->piece);
	}
	err = batch ? store_submit(store, batch, on_stored, asking) : -ENOMEM;
	if (err < 0) {
		store_batch_free(batch);
		ways->release(ways->ctx);
		return err;
	}
	asking->len = len;
	asking->is_storing = true;
	attachments->job_cnt++;
	return 0;
}

static bool asking_verify(const struct attachment_asking *asking,
			  const struct attachment_pieces *pieces, const uint8_t *bytes, size_t len)
{
	struct attachments *attachments = asking->run->of->attachments;
	struct store_snapshot *snapshot;
	const uint8_t *list = NULL;
	bool is_right;

	if (asking->is_list)
		return social_list_verify(pieces, bytes, len);
	if (!social_pieces_have_list(pieces))
		return social_piece_verify(pieces, NULL, asking->piece, bytes, len);
	if (store_snapshot_open(ground_of(attachments)->store, &snapshot) < 0)
		return false;
	is_right = social_list_get(snapshot, pieces, &list) == 0 &&
		   social_piece_verify(pieces, list, asking->piece, bytes, len);
	store_snapshot_close(snapshot);
	return is_right;
}

static void answer_take(struct attachment_asking *asking, const struct mesh_reply *reply)
{
	struct attachment_run *run = asking->run;
	struct attachments *attachments = run->of->attachments;
	struct attachment_pieces pieces;
	const uint8_t *bytes = NULL;
	size_t len = 0;
	int err;

	if (!social_pieces_of(&run->post.attachments[asking->attachment], run->of->is_public,
			      &pieces) ||
	    social_attachment_data_parse(reply->payload, reply->payload_len, &bytes, &len) < 0 ||
	    !asking_verify(asking, &pieces, bytes, len)) {
		attachments->stats.bad_cnt++;
		social_attachments_shun(attachments, asking->source,
					attachments->now_ns + SHUN_BAD_NS);
		asking_fail(asking, WEFT_EDAMAGED);
		return;
	}
	if ((err = asking_store(asking, &pieces, bytes, len)) < 0) {
		run_stop(run, err);
		run_go_on(run);
	}
}

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct attachment_asking *asking = arg;
	struct attachments *attachments = asking->run->of->attachments;

	asking->request = NULL;
	attachments->now_ns = now_ns;
	if (reply->err == 0) {
		answer_take(asking, reply);
		return;
	}
	attachments->stats.missed_cnt++;
	if (reply->err == WEFT_ETIMEOUT)
		social_attachments_shun(attachments, asking->source, now_ns + SHUN_SILENT_NS);
	asking_fail(asking, reply->err);
}

static int asking_send(struct attachment_run *run, struct attachment_asking *asking,
		       enum next_piece next)
{
	const struct social_ground *ground = ground_of(run->of->attachments);
	struct attachment_get get = {.attachment = run->attachment, .is_list = next == NEXT_LIST};
	uint8_t payload[64];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_ask ask = {
		.type = ATTACHMENT_GET,
		.payload = payload,
		.reply_buf = asking->reply,
		.reply_cap = sizeof(asking->reply),
		.timeout_ns = ASK_TIMEOUT_NS,
		.stall_ns = ASK_STALL_NS,
		.reply = on_reply,
		.arg = asking,
	};
	uint8_t session[MESH_SESSION_ID_LEN];
	int err;

	asking->run = run;
	asking->is_list = get.is_list;
	asking->attachment = run->attachment;
	asking->piece = get.piece = get.is_list ? 0 : run->piece;
	memcpy(asking->source, run->sources[run->source_at++ % run->source_cnt], MESH_KEY_LEN);
	memcpy(get.post, run->of->post, POST_ID_LEN);
	memcpy(ask.peer.key, asking->source, MESH_KEY_LEN);
	social_attachment_get_write(&w, &get);
	ask.payload_len = writer_len(&w);
	/* Without a session it would be dialled. */
	if ((err = ground->mesh.ops->session(ground->mesh.mesh, asking->source, session)) < 0)
		return WEFT_ECLOSED;
	err = ground->mesh.ops->ask(ground->mesh.mesh, &ask, run->of->attachments->now_ns,
				    &asking->request);
	if (err < 0)
		asking->request = NULL;
	return err;
}

/* false: there is nothing to ask for now. */
static bool run_ask(struct attachment_run *run, struct attachment_asking *asking)
{
	struct attachments *attachments = run->of->attachments;
	struct store_snapshot *snapshot;
	enum next_piece next;
	int err = store_snapshot_open(ground_of(attachments)->store, &snapshot);

	if (err < 0) {
		run_stop(run, err);
		return false;
	}
	next = run_next(run, snapshot);
	store_snapshot_close(snapshot);
	if (next == NEXT_NONE)
		return false;
	if (!social_attached_has_room(run->of, PIECE_LEN_MAX)) {
		attachments->stats.full_cnt++;
		run_stop(run, WEFT_EFULL);
		return false;
	}
	while (run->source_cnt) {
		if (asking_send(run, asking, next) == 0)
			return true;
		source_drop(run, asking->source);
	}
	run_stop(run, WEFT_EUNREACHABLE);
	return false;
}

static void run_go_on(struct attachment_run *run)
{
	for (unsigned i = 0; i < ATTACHMENT_ASKS_MAX && !run->is_ending; i++) {
		struct attachment_asking *asking = &run->asking[i];

		if (!asking->request && !asking->is_storing && !run_ask(run, asking))
			break;
	}
	if (is_idle(run))
		run_end(run);
}

/* --- the beginning --- */

static bool has_place(const struct attachments *attachments, const struct attached *of)
{
	const struct attachment_run *run = NULL;
	unsigned other_cnt = 0, author_cnt = 0;

	while ((run = pool_next(&attachments->runs, run))) {
		other_cnt += run->of->share > POST_WANTED;
		author_cnt += memcmp(run->of->author, of->author, NODE_KEY_LEN) == 0;
	}
	return attachments->runs.used_cnt < ATTACHMENT_RUNS_MAX &&
	       author_cnt < ATTACHMENT_AUTHORS_MAX &&
	       (of->share <= POST_WANTED || other_cnt < ATTACHMENT_OTHERS_MAX);
}

static int run_read(struct attachment_run *run)
{
	int err = social_posts_read(run->of->attachments->params.posts, run->of->post, &run->copy);

	return err < 0 ? err
		       : social_post_parse(run->copy->parts.post, run->copy->parts.post_len,
					   &run->post);
}

static void run_begin(struct attached *of)
{
	struct attachments *attachments = of->attachments;
	struct attachment_run *run = pool_acquire(&attachments->runs);

	if (!run)
		return;
	run->of = of;
	sources_find(run);
	/* No node is there: that is no failure of one. */
	if (!run->source_cnt) {
		of->due_ns = attachments->now_ns + ALONE_NS;
		pool_release(&attachments->runs, run);
		return;
	}
	list_unlink(&of->waiting);
	of->run = run;
	attachments->stats.run_cnt++;
	if ((run->err = run_read(run)) < 0)
		run_end(run);
	else
		run_go_on(run);
}

void social_runs_begin(struct attachments *attachments, uint64_t now_ns)
{
	struct list_node *first = NULL;

	attachments->now_ns = now_ns;
	for (unsigned i = 0; i < BEGIN_LOOKS && !list_is_empty(&attachments->waiting) &&
			     attachments->runs.used_cnt < ATTACHMENT_RUNS_MAX;
	     i++) {
		struct list_node *at = attachments->waiting.next;
		struct attached *of = container_of(at, struct attached, waiting);

		if (at == first)
			return;
		first = first ? first : at;
		/* It goes behind the others, so that each is looked at. */
		list_unlink(at);
		list_push_back(&attachments->waiting, at);
		if (of->due_ns <= now_ns && has_place(attachments, of))
			run_begin(of);
	}
}

void social_runs_stop(struct attachments *attachments)
{
	struct attachment_run *run = NULL, *next = pool_next(&attachments->runs, NULL);

	while ((run = next)) {
		next = pool_next(&attachments->runs, run);
		(void)social_run_cancel(run);
	}
}

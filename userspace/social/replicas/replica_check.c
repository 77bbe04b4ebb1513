/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CHECK and STATUS. The asker goes over its posts, newest first, a few at each sync
 * with a peer. The peer answers with a note for each that it has and may show. What
 * is not in the answer is not there, for the asker.
 */
#include <string.h>

#include "base/random.h"
#include "social/replicas/replicas_state.h"

/* --- the asker --- */

struct choosing {
	struct replicas *replicas;
	struct replica_peer *peer;
	unsigned load_cnt;
	/* Own posts that the peer may not read, and may keep. */
	uint8_t others[REPLICA_LOADS_MAX][POST_ID_LEN];
	unsigned other_cnt;
};

/* It took a copy for this node, which it may not read. */
static bool keeps(struct choosing *choosing, const struct post_view *view)
{
	struct post_holder holder;

	return view->share == POST_OWN &&
	       social_holders_find(choosing->replicas->params.holders, view->id,
				   choosing->peer->key, &holder) == 0 &&
	       (holder.flags & HOLDER_HAS);
}

/*
 * Whether peer may have the post, and may hear that this node has it. Public posts of others show which
 * people are followed here, so acquainted peers alone are asked after them.
 */
static bool is_for(struct choosing *choosing, const struct post_view *view)
{
	const struct replica_ways *ways = &choosing->replicas->params.ways;
	struct replica_post post;
	bool is;

	if (view->share == POST_HOSTED || view->share == POST_ADDRESSED ||
	    (view->flags & POST_SUPERSEDED))
		return false;
	if (view->kind == VISIBILITY_PUBLIC)
		return view->share == POST_OWN ||
		       ways->is_acquainted(ways->ctx, choosing->peer->key);
	choosing->load_cnt++;
	if (social_replica_load(choosing->replicas, view, &post) < 0)
		return false;
	is = social_replica_may_know(choosing->replicas, &post, choosing->peer->key) ||
	     keeps(choosing, view);
	social_replica_fini(&post);
	return is;
}

static bool choose(void *arg, const struct post_view *view)
{
	struct choosing *choosing = arg;
	struct replica_peer *peer = choosing->peer;

	peer->has_cursor = true;
	peer->cursor.time_ms = view->time_ms;
	memcpy(peer->cursor.id, view->id, POST_ID_LEN);
	if (is_for(choosing, view))
		memcpy(peer->asked.posts[peer->asked.post_cnt++], view->id, POST_ID_LEN);
	else if (peer->is_met && view->share == POST_OWN && !(view->flags & POST_SUPERSEDED) &&
		 choosing->other_cnt < REPLICA_LOADS_MAX)
		memcpy(choosing->others[choosing->other_cnt++], view->id, POST_ID_LEN);
	return peer->asked.post_cnt < REPLICA_CHECK_MAX && choosing->load_cnt < REPLICA_LOADS_MAX;
}

bool social_replica_is_chosen(const struct replicas *replicas, const uint8_t *key)
{
	const struct social_ground *ground = replicas->params.ground;

	return ground->class_of && ground->class_of(ground->ctx, key) == FAIR_CHOSEN;
}

bool social_replica_note_open(struct replicas *replicas, const struct replica_row *row,
			      struct replica_note *out_note)
{
	struct replica_post post;
	struct post_view view;
	size_t len;
	bool is;

	if (social_replica_read(row->note, row->note_len, out_note) < 0) {
		if (social_posts_look(replicas->params.posts, row->post, &view) < 0 ||
		    social_replica_load(replicas, &view, &post) < 0)
			return false;
		is = post.has_key &&
		     social_replica_open(post.key, row->note, row->note_len, replicas->clear,
					 &len) == 0 &&
		     social_replica_read(replicas->clear, len, out_note) == 0;
		social_replica_fini(&post);
		if (!is)
			return false;
	}
	return memcmp(out_note->post, row->post, POST_ID_LEN) == 0;
}

/* The note of peer on the post of said, if the answer has one. */
static void row_find(struct replicas *replicas, const struct replica_peer *peer,
		     struct holder_said *said)
{
	const struct replica_status *status = &replicas->status;
	uint64_t wall_ms = said->noted_ms;

	for (unsigned k = 0; k < status->row_cnt; k++) {
		const struct replica_row *row = &status->rows[k];
		struct replica_note note;

		if (memcmp(row->post, said->post, POST_ID_LEN) != 0)
			continue;
		if (!social_replica_note_open(replicas, row, &note)) {
			replicas->stats.bad_note_cnt++;
			continue;
		}
		/* That of another holder waits for the next sync: one of a post in each batch. */
		if (memcmp(note.holder, peer->key, MESH_KEY_LEN) != 0)
			continue;
		said->has = note.state == REPLICA_HAS;
		said->noted_ms = note.time_ms < wall_ms ? note.time_ms : wall_ms;
		said->note = row->note;
		said->note_len = row->note_len;
	}
}

/* What peer says of each post that it was asked after; without a row it has it no more. */
static unsigned said_collect(struct replicas *replicas, const struct replica_peer *peer)
{
	struct holder_said *said = replicas->said;
	unsigned cnt = 0;
	uint64_t wall_ms = social_wall_ms(replicas->params.ground);

	for (unsigned i = 0; i < peer->asked.post_cnt; i++) {
		said[cnt] = (struct holder_said){
			.post = peer->asked.posts[i],
			.person = peer->key,
			.noted_ms = wall_ms,
			.is_chosen = social_replica_is_chosen(replicas, peer->key)};
		row_find(replicas, peer, &said[cnt]);
		/* One that is behind is heard of when it has heard (replica_tell.c). */
		cnt += !said[cnt].has ||
		       !social_replica_is_behind(replicas, said[cnt].post, peer->key);
	}
	explicit_bzero(replicas->clear, sizeof(replicas->clear));
	return cnt;
}

static void on_status(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct replica_peer *peer = arg;
	struct replicas *replicas = peer->replicas;
	int cnt;

	peer->check = NULL;
	replicas->now_ns = now_ns;
	if (reply->err < 0 ||
	    social_status_parse(reply->payload, reply->payload_len, &replicas->status) < 0) {
		if (reply->err < 0 && reply->code == MESH_CODE_UNKNOWN)
			social_replica_rest(replicas, peer->key);
		replicas->stats.malformed_cnt += reply->err == 0;
		return;
	}
	peer->reply_at = reply->payload;
	peer->reply_len = reply->payload_len;
	cnt = social_holders_note(replicas->params.holders, replicas->said,
				  said_collect(replicas, peer));
	replicas->stats.noted_cnt += cnt > 0 ? (unsigned)cnt : 0;
	for (unsigned i = 0; i < peer->asked.post_cnt; i++)
		social_replica_restore(replicas, peer->asked.posts[i], now_ns);
}

void social_replica_check(struct replicas *replicas, struct replica_peer *peer, uint64_t now_ns)
{
	struct choosing choosing = {.replicas = replicas, .peer = peer};
	struct post_walk walk = {.from = peer->has_cursor ? &peer->cursor : NULL,
				 .visit_max = REPLICA_VISITS_MAX};
	struct post_cursor next, from = peer->cursor;
	struct writer w = writer_of(replicas->message, sizeof(replicas->message));
	struct mesh_ask ask = {.type = MESH_REPLICA_CHECK,
			       .reply_buf = peer->reply,
			       .reply_cap = sizeof(peer->reply),
			       .timeout_ns = REPLICA_TIMEOUT_NS,
			       .reply = on_status,
			       .arg = peer};
	int err;

	if (!social_has_session(replicas->params.ground, peer->key))
		return;
	walk.from = peer->has_cursor ? &from : NULL;
	peer->asked.post_cnt = 0;
	err = social_posts_walk(replicas->params.posts, &walk, choose, &choosing, &next);
	if (err == 0)
		peer->has_cursor = false; /* the next round begins with the newest again */
	for (unsigned i = 0; err >= 0 && i < choosing.other_cnt; i++)
		social_replica_restore(replicas, choosing.others[i], now_ns);
	if (err < 0 || !peer->asked.post_cnt)
		return;
	social_check_write(&w, &peer->asked);
	memcpy(ask.peer.key, peer->key, MESH_KEY_LEN);
	ask.payload = replicas->message;
	ask.payload_len = writer_len(&w);
	if (replica_ops(replicas)->ask(replicas->params.ground->mesh.mesh, &ask, now_ns,
				       &peer->check) < 0)
		peer->check = NULL;
	else
		replicas->stats.checked_cnt += peer->asked.post_cnt;
}

/* --- the answerer --- */

/* The note of this node on a post that is here, sealed if it is private and this node can. */
static size_t note_make(struct replicas *replicas, const struct replica_post *post,
			uint8_t out[static REPLICA_STORED_LEN_MAX])
{
	const struct social_ground *ground = replicas->params.ground;
	struct replica_note note = {.post = post->view.id,
				    .holder = node_key_public(ground->key),
				    .state = REPLICA_HAS,
				    .time_ms = social_wall_ms(ground)};
	uint8_t clear[REPLICA_NOTE_LEN_MAX], nonce[CONTENT_NONCE_LEN];
	struct writer c = writer_of(clear, sizeof(clear));
	struct writer w = writer_of(out, REPLICA_STORED_LEN_MAX);

	social_replica_write(&c, &note, ground->key);
	random_fill(ground->random, nonce, sizeof(nonce));
	if (post->has_key)
		social_replica_seal(&w, post->key, nonce, clear, writer_len(&c));
	else
		writer_bytes(&w, clear, writer_len(&c));
	return w.bad || c.bad ? 0 : writer_len(&w);
}

static void row_add(struct replicas *replicas, const uint8_t *id, const uint8_t *asker)
{
	struct replica_status *status = &replicas->status;
	struct replica_row *row = &status->rows[status->row_cnt];
	uint8_t *note = replicas->notes[status->row_cnt];
	struct replica_post post;
	struct post_view view;

	if (social_posts_look(replicas->params.posts, id, &view) < 0 ||
	    social_replica_load(replicas, &view, &post) < 0)
		return;
	if (social_replica_may_know(replicas, &post, asker)) {
		memcpy(row->post, id, POST_ID_LEN);
		row->note = note;
		row->note_len = note_make(replicas, &post, note);
		status->row_cnt += row->note_len > 0;
	}
	social_replica_fini(&post);
}

/* An asker that takes no answers holds so many, and the mesh gives up those that are not taken. */
#define ANSWERS_PER_ASKER 2u

static void status_sent(void *arg)
{
	struct replica_answer *answer = arg;

	answer->is_lent = false;
}

static struct replica_answer *answer_acquire(struct replicas *replicas, const uint8_t *asker)
{
	struct replica_answer *free_one = NULL;
	unsigned held_cnt = 0;

	for (unsigned i = 0; i < REPLICA_ANSWERS_CAP; i++) {
		struct replica_answer *answer = &replicas->answers[i];

		if (!answer->is_lent)
			free_one = answer;
		else
			held_cnt += memcmp(answer->asker, asker, MESH_KEY_LEN) == 0;
	}
	if (!free_one || held_cnt >= ANSWERS_PER_ASKER)
		return NULL;
	memcpy(free_one->asker, asker, MESH_KEY_LEN);
	return free_one;
}

/* The answer is in message. */
static void status_send(struct replicas *replicas, const struct mesh_call *call, size_t len)
{
	const struct mesh_ops *ops = replica_ops(replicas);
	struct replica_answer *answer;

	if (len <= REPLICA_SHORT_LEN) {
		(void)ops->answer(call->incoming, MESH_REPLICA_STATUS, replicas->message, len,
				  NULL);
		return;
	}
	answer = answer_acquire(replicas, call->peer_key);
	if (!answer) {
		ops->answer_error(call->incoming, MESH_CODE_BUSY, "answers are on their way", 1000);
		return;
	}
	memcpy(answer->bytes, replicas->message, len);
	answer->is_lent = true;
	if (ops->answer(call->incoming, MESH_REPLICA_STATUS, NULL, 0,
			&(struct transport_span){answer->bytes, len, status_sent, answer}) < 0)
		answer->is_lent = false;
}

void social_replica_on_check(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct replicas *replicas = ctx;
	const struct social_ground *ground = replicas->params.ground;
	struct replica_check check;
	struct writer w = writer_of(replicas->message, sizeof(replicas->message));

	if (ground->admit && !ground->admit(ground->ctx, call, now_ns))
		return;
	if (social_check_parse(call->payload, call->payload_len, &check) < 0) {
		replicas->stats.malformed_cnt++;
		ground->mesh.ops->answer_error(call->incoming, MESH_CODE_MALFORMED, "no check", 0);
		return;
	}
	replicas->status.row_cnt = 0;
	for (unsigned i = 0; i < check.post_cnt; i++)
		row_add(replicas, check.posts[i], call->peer_key);
	replicas->stats.answered_cnt += replicas->status.row_cnt;
	social_replica_notes_pass(replicas, &check, call->peer_key);
	social_status_write(&w, &replicas->status);
	status_send(replicas, call, writer_len(&w));
}

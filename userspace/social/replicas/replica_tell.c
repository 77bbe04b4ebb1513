/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New readers and deletions for nodes that keep a post and may not read it: no sync brings them there. They
 * go at once to holders in session, and to the others behind a later sync. A holder is heard of again
 * when it has answered, so what a crash takes is found by the next round. A node passes on what is
 * new to it, once to each holder that it knows: what is known is passed on by none.
 */
#include <string.h>

#include "social/replicas/replicas_state.h"
#include "social/sync/sync_message.h"

static void telling_end(struct replica_telling *telling)
{
	telling->request = NULL;
	telling->replicas = NULL;
}

static void on_told(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct replica_telling *telling = arg;
	struct replicas *replicas = telling->replicas;
	struct replica_peer *peer = social_replica_peer(replicas, telling->peer);
	const struct holder_said said = {.post = telling->post,
					 .person = telling->peer,
					 .has = !telling->is_deletion,
					 .noted_ms = social_wall_ms(replicas->params.ground),
					 .is_chosen =
						 social_replica_is_chosen(replicas, telling->peer)};

	replicas->now_ns = now_ns;
	if (reply->err == 0)
		(void)social_holders_note(replicas->params.holders, &said, 1);
	telling_end(telling);
	if (reply->err == 0 && peer && peer->has_told)
		social_replica_tell(replicas, peer, now_ns);
}

static bool is_under_way(const struct replicas *replicas, const uint8_t *peer, const uint8_t *post)
{
	for (unsigned i = 0; i < REPLICA_TELLINGS_MAX; i++)
		if (replicas->tellings[i].replicas &&
		    memcmp(replicas->tellings[i].peer, peer, MESH_KEY_LEN) == 0 &&
		    memcmp(replicas->tellings[i].post, post, POST_ID_LEN) == 0)
			return true;
	return false;
}

/* The deletion, or the visibility, as a message in message: its length, or 0. */
static size_t object_write(struct replicas *replicas, const uint8_t *post, bool is_deletion)
{
	struct writer w = writer_of(replicas->message, sizeof(replicas->message));
	struct writer deletion = writer_of(replicas->piece, sizeof(replicas->piece));
	struct post_copy *copy = NULL;
	int err = is_deletion ? social_posts_deletion(replicas->params.posts, post, &deletion)
			      : social_posts_read(replicas->params.posts, post, &copy);

	if (err < 0)
		return 0;
	if (is_deletion)
		social_sync_object_write(&w, replicas->piece, writer_len(&deletion));
	else
		social_sync_object_write(&w, copy->parts.visibility, copy->parts.visibility_len);
	social_post_copy_free(copy);
	return w.bad ? 0 : writer_len(&w);
}

/* false: there is no place for it, or the mesh takes none. */
static bool telling_send(struct replicas *replicas, const uint8_t *key, const uint8_t *post,
			 uint64_t now_ns)
{
	const struct mesh_seam *mesh = &replicas->params.ground->mesh;
	struct replica_telling *telling = NULL;
	struct mesh_ask ask = {
		.payload = replicas->message, .timeout_ns = REPLICA_TIMEOUT_NS, .reply = on_told};

	for (unsigned i = 0; i < REPLICA_TELLINGS_MAX && !telling; i++)
		if (!replicas->tellings[i].replicas)
			telling = &replicas->tellings[i];
	if (!telling)
		return false;
	telling->is_deletion = social_posts_known(replicas->params.posts, post) == POST_GONE;
	ask.type = telling->is_deletion ? MESH_POST_DELETE : MESH_VISIBILITY_UPDATE;
	ask.payload_len = object_write(replicas, post, telling->is_deletion);
	ask.reply_buf = telling->reply;
	ask.reply_cap = sizeof(telling->reply);
	ask.arg = telling;
	memcpy(ask.peer.key, key, MESH_KEY_LEN);
	memcpy(telling->peer, key, MESH_KEY_LEN);
	memcpy(telling->post, post, POST_ID_LEN);
	if (!ask.payload_len || mesh->ops->ask(mesh->mesh, &ask, now_ns, &telling->request) < 0)
		return false;
	telling->replicas = replicas;
	replicas->stats.told_cnt++;
	return true;
}

/* --- what a holder is to hear --- */

static bool is_in_session(const struct replicas *replicas, const uint8_t *key)
{
	return social_has_session(replicas->params.ground, key) &&
	       !social_replica_blocks(replicas, key);
}

/* It may not read the post, so that its own syncs bring it nothing of it. */
static bool is_keeper(struct replicas *replicas, const uint8_t *post, const uint8_t *key)
{
	struct replica_post loaded;
	struct post_view view;
	bool is = false;

	if (social_posts_known(replicas->params.posts, post) == POST_GONE)
		return true;
	if (social_posts_look(replicas->params.posts, post, &view) < 0 ||
	    social_replica_load(replicas, &view, &loaded) < 0)
		return false;
	is = view.kind != VISIBILITY_PUBLIC && !social_replica_may_know(replicas, &loaded, key);
	social_replica_fini(&loaded);
	return is;
}

struct behind {
	const uint8_t *key;
	bool has;
	uint64_t heard_ms, revoked_ms; /* of key; of any */
};

static bool behind_look(void *arg, const struct post_holder *holder)
{
	struct behind *behind = arg;

	if (holder->flags & HOLDER_REVOKED && holder->revoked_ms > behind->revoked_ms)
		behind->revoked_ms = holder->revoked_ms;
	if (holder->flags & HOLDER_HAS && memcmp(holder->person, behind->key, MESH_KEY_LEN) == 0) {
		behind->has = true;
		behind->heard_ms = holder->heard_ms;
	}
	return true;
}

bool social_replica_is_behind(struct replicas *replicas, const uint8_t post[static POST_ID_LEN],
			      const uint8_t key[static MESH_KEY_LEN])
{
	struct behind behind = {.key = key};

	(void)social_holders_each(replicas->params.holders, post, behind_look, &behind);
	if (!behind.has)
		return false;
	return social_posts_known(replicas->params.posts, post) == POST_GONE ||
	       (behind.revoked_ms && behind.revoked_ms >= behind.heard_ms &&
		is_keeper(replicas, post, key));
}

/* --- at once --- */

struct keepers {
	uint8_t keys[HOLDERS_PER_POST][MESH_KEY_LEN];
	unsigned cnt;
};

static bool keeper_note(void *arg, const struct post_holder *holder)
{
	struct keepers *keepers = arg;

	if (holder->flags & HOLDER_HAS)
		memcpy(keepers->keys[keepers->cnt++], holder->person, MESH_KEY_LEN);
	return keepers->cnt < HOLDERS_PER_POST;
}

void social_replicas_changed(struct replicas *replicas, const uint8_t post[static POST_ID_LEN],
			     const uint8_t *from, uint64_t now_ns)
{
	struct keepers keepers = {.cnt = 0};

	if (!replicas || replicas->is_stopped)
		return;
	(void)social_holders_each(replicas->params.holders, post, keeper_note, &keepers);
	for (unsigned i = 0; i < keepers.cnt; i++)
		if ((!from || memcmp(from, keepers.keys[i], MESH_KEY_LEN) != 0) &&
		    is_in_session(replicas, keepers.keys[i]) &&
		    is_keeper(replicas, post, keepers.keys[i]) &&
		    !is_under_way(replicas, keepers.keys[i], post))
			(void)telling_send(replicas, keepers.keys[i], post, now_ns);
}

/* --- behind a sync --- */

/* Rows of one peer, read before they are looked at: one reads the disk at a time. */
#define ROUND_ROWS 16u
struct round {
	const struct replica_peer *peer;
	uint8_t posts[ROUND_ROWS][POST_ID_LEN];
	unsigned cnt;
};

static bool round_note(void *arg, const struct post_holder *holder)
{
	struct round *round = arg;

	if (!(holder->flags & HOLDER_HAS) ||
	    memcmp(holder->person, round->peer->key, MESH_KEY_LEN) != 0)
		return true;
	memcpy(round->posts[round->cnt++], holder->post, POST_ID_LEN);
	return round->cnt < ROUND_ROWS;
}

void social_replica_tell(struct replicas *replicas, struct replica_peer *peer, uint64_t now_ns)
{
	struct round round = {.peer = peer};
	int more;

	if (!is_in_session(replicas, peer->key))
		return;
	more = social_holders_walk(replicas->params.holders, &peer->told, REPLICA_TELL_VISITS,
				   round_note, &round);
	peer->has_told = more > 0;
	for (unsigned i = 0; i < round.cnt; i++)
		if (social_replica_is_behind(replicas, round.posts[i], peer->key) &&
		    !is_under_way(replicas, peer->key, round.posts[i]) &&
		    !telling_send(replicas, peer->key, round.posts[i], now_ns))
			return;
}

void social_replica_tell_stop(struct replicas *replicas)
{
	for (unsigned i = 0; i < REPLICA_TELLINGS_MAX; i++) {
		struct replica_telling *telling = &replicas->tellings[i];

		if (telling->replicas)
			replica_ops(replicas)->cancel(telling->request);
		telling_end(telling);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The map of a post's holders goes from reader to reader. Behind its own notes an answer to CHECK has those
 * of other holders, the latest one for each post. A note goes to a peer once. One that a peer gave counts
 * where its holder reads the post, or is acquainted. Keys are free, and invented holders would hide that
 * copies are few.
 */
#include <string.h>

#include "base/siphash_bytes.h"
#include "social/replicas/replicas_state.h"

/* --- out --- */

struct latest {
	const uint8_t *peer;
	struct replicas *replicas;
	uint64_t wall_ms;
	bool has;
	uint64_t noted_ms, name;
	uint8_t note[REPLICA_STORED_LEN_MAX];
	size_t note_len;
};

static uint64_t name_of(const struct replicas *replicas, const uint8_t *peer,
			const struct post_holder *holder)
{
	uint8_t bytes[2 * MESH_KEY_LEN + POST_ID_LEN];

	memcpy(bytes, peer, MESH_KEY_LEN);
	memcpy(bytes + MESH_KEY_LEN, holder->person, MESH_KEY_LEN);
	memcpy(bytes + 2 * MESH_KEY_LEN, holder->post, POST_ID_LEN);
	return siphash(replicas->secret, bytes, sizeof(bytes));
}

static struct replica_passed *passed_at(struct replicas *replicas, uint64_t name)
{
	return &replicas->passed[name % REPLICA_PASSED_MAX];
}

static bool latest_look(void *arg, const struct post_holder *holder)
{
	struct latest *latest = arg;
	uint64_t name = name_of(latest->replicas, latest->peer, holder);
	const struct replica_passed *passed = passed_at(latest->replicas, name);

	if (!holder->note_len || !social_holder_is_live(holder, latest->wall_ms) ||
	    memcmp(holder->person, latest->peer, MESH_KEY_LEN) == 0 ||
	    (passed->name == name && passed->noted_ms >= holder->noted_ms) ||
	    (latest->has && latest->noted_ms >= holder->noted_ms))
		return true;
	latest->has = true;
	latest->noted_ms = holder->noted_ms;
	latest->name = name;
	latest->note_len = holder->note_len;
	memcpy(latest->note, holder->note, holder->note_len);
	return true;
}

static bool is_reader(struct replicas *replicas, const uint8_t *id, const uint8_t *key)
{
	struct replica_post post;
	struct post_view view;
	bool is;

	if (social_posts_look(replicas->params.posts, id, &view) < 0 ||
	    social_replica_load(replicas, &view, &post) < 0)
		return false;
	is = social_replica_may_know(replicas, &post, key);
	social_replica_fini(&post);
	return is;
}

void social_replica_notes_pass(struct replicas *replicas, const struct replica_check *check,
			       const uint8_t peer[static MESH_KEY_LEN])
{
	struct replica_status *status = &replicas->status;

	for (unsigned i = 0; i < check->post_cnt && status->row_cnt < REPLICA_CHECK_MAX; i++) {
		struct latest latest = {.peer = peer,
					.replicas = replicas,
					.wall_ms = social_wall_ms(replicas->params.ground)};
		struct replica_row *row = &status->rows[status->row_cnt];
		uint8_t *note = replicas->notes[status->row_cnt];

		(void)social_holders_each(replicas->params.holders, check->posts[i], latest_look,
					  &latest);
		if (!latest.has || !is_reader(replicas, check->posts[i], peer))
			continue;
		memcpy(row->post, check->posts[i], POST_ID_LEN);
		memcpy(note, latest.note, latest.note_len);
		row->note = note;
		row->note_len = latest.note_len;
		status->row_cnt++;
		*passed_at(replicas, latest.name) =
			(struct replica_passed){latest.name, latest.noted_ms};
		replicas->stats.passed_cnt++;
	}
}

/* --- in --- */

/* Its word counts: it reads the post, or is acquainted; it is no node of here. */
static bool counts(struct replicas *replicas, const struct replica_note *note)
{
	const struct replica_ways *ways = &replicas->params.ways;
	struct post_view view;

	if (social_replica_own(replicas, note->holder) || note->state != REPLICA_HAS ||
	    social_posts_look(replicas->params.posts, note->post, &view) < 0)
		return false;
	return ways->is_acquainted(ways->ctx, note->holder) ||
	       (view.kind != VISIBILITY_PUBLIC && is_reader(replicas, note->post, note->holder));
}

void social_replica_notes_take(struct replicas *replicas, struct replica_peer *peer)
{
	static const struct replica_note none;
	const struct replica_status *status = &replicas->status;
	uint64_t wall_ms = social_wall_ms(replicas->params.ground);
	uint8_t holders[REPLICA_CHECK_MAX][MESH_KEY_LEN];
	unsigned cnt = 0;

	if (!peer->reply_len ||
	    social_status_parse(peer->reply_at, peer->reply_len, &replicas->status) < 0)
		return;
	peer->reply_len = 0;
	for (unsigned i = 0; i < status->row_cnt; i++) {
		struct replica_note note = none;

		if (!social_replica_note_open(replicas, &status->rows[i], &note) ||
		    memcmp(note.holder, peer->key, MESH_KEY_LEN) == 0 || !counts(replicas, &note))
			continue;
		memcpy(holders[cnt], note.holder, MESH_KEY_LEN);
		replicas->said[cnt] = (struct holder_said){
			.post = status->rows[i].post,
			.person = holders[cnt],
			.has = true,
			.noted_ms = note.time_ms < wall_ms ? note.time_ms : wall_ms,
			.is_passed = true,
			.note = status->rows[i].note,
			.note_len = status->rows[i].note_len};
		cnt++;
	}
	explicit_bzero(replicas->clear, sizeof(replicas->clear));
	if (cnt && social_holders_note(replicas->params.holders, replicas->said, cnt) > 0)
		replicas->stats.heard_cnt++;
}

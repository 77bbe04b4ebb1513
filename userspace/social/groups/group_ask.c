/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks members that have a session for what is new in a shard. The question has the hashes of the
 * states here. So the answer begins at the newest one that both have, on either side of a fork.
 */
#include "base/assert.h"
#include "social/groups/groups_state.h"

#define PAGES_MAX 64u

static struct group_row *row_of(const struct groups *groups, const struct group_waiting *what)
{
	const struct group *group = social_groups_lookup(groups, what->group);

	return group ? social_groups_row(group, what->shard) : NULL;
}

static void asking_free(struct group_asking *asking)
{
	pool_release(&asking->groups->asks, asking);
}

/*
 * The states here, the newest first. One without its secret key is left out where this node should have
 * that: so it comes once more, with the key.
 */
static void heads_write(struct groups *groups, const struct group_row *row,
			struct group_ask_message *ask)
{
	const struct group_member *own = social_group_member(row->now.state, row->group->person);
	bool wants_key = own && !own->is_visitor && !row->secret;
	unsigned cnt = row->past_cnt;

	if (wants_key && cnt > 1)
		cnt--;
	ask->epoch = row->past[cnt - 1].epoch;
	for (unsigned i = cnt; i-- > 0 && ask->head_cnt < GROUP_HEADS_MAX;)
		memcpy(ask->heads[ask->head_cnt++], row->past[i].hash, GROUP_HASH_LEN);
	(void)groups;
}

/* A person of this node that has another key than the node proves itself by the key of an epoch. */
static void member_write(struct groups *groups, const struct group_row *row, const uint8_t *peer,
			 struct writer *proof, struct group_ask_message *ask)
{
	const struct social_ground *ground = &groups->params.ground;
	uint8_t session[GROUP_SESSION_LEN];

	if (memcmp(row->group->person, node_key_public(ground->key), NODE_KEY_LEN) == 0)
		return;
	ask->member = row->group->person;
	if (ground->mesh.ops->session(ground->mesh.mesh, peer, session) < 0 ||
	    !social_group_proof_make(groups, row->group->id, session, proof))
		return;
	ask->proof = (struct group_span){proof->start, writer_len(proof)};
}

static void leave_write(struct groups *groups, const struct group_row *row, struct writer *note,
			struct group_ask_message *ask)
{
	const struct group_leave leave = {.group = row->group->id,
					  .time_ms = social_wall_ms(&groups->params.ground)};
	const struct node_key *own = groups_own(groups, row->group->person);

	if (!row->group->is_leaving || !own)
		return;
	social_leave_write(note, &leave, own);
	ask->notes[ask->note_cnt++] = (struct group_span){note->start, writer_len(note)};
}

/* Hides that came of late: a member that has a session for long would ask for them in its next round. */
static void hides_write(struct groups *groups, const struct group_row *row,
			struct store_snapshot *snapshot, struct group_ask_message *ask)
{
	uint64_t now_ms = social_wall_ms(&groups->params.ground);
	struct group_page_message *page = &groups->page;

	*page = (struct group_page_message){0};
	social_groups_hides(groups, row->group,
			    now_ms > GROUP_FRESH_MS ? now_ms - GROUP_FRESH_MS : 0, snapshot, page);
	for (unsigned i = 0; i < page->hide_cnt && ask->note_cnt < GROUP_NOTES_MAX; i++)
		ask->notes[ask->note_cnt++] = page->hides[i];
}

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns);

static bool asking_send(struct group_asking *asking, uint64_t after, uint64_t now_ns)
{
	struct groups *groups = asking->groups;
	const struct group_row *row = row_of(groups, &asking->what);
	struct group_ask_message *message = &groups->ask;
	struct store_snapshot *snapshot = NULL;
	uint8_t proof[GROUP_NOTE_LEN_MAX], note[GROUP_NOTE_LEN_MAX];
	struct writer w = writer_of(groups->made, sizeof(groups->made)),
		      p = writer_of(proof, sizeof(proof)), n = writer_of(note, sizeof(note));
	struct mesh_ask ask = {
		.type = MESH_GROUP_STATE,
		.payload = groups->made,
		.reply_buf = asking->reply,
		.reply_cap = sizeof(asking->reply),
		.timeout_ns = GROUP_TIMEOUT_NS,
		.reply = on_reply,
		.arg = asking,
	};

	if (!row || row->past_cnt == 0 || !social_groups_has_session(groups, asking->what.peer))
		return false;
	*message = (struct group_ask_message){.group = row->group->id,
					      .shard = row->shard,
					      .after = after,
					      .hides_sum = row->group->hides_sum};
	heads_write(groups, row, message);
	member_write(groups, row, asking->what.peer, &p, message);
	leave_write(groups, row, &n, message);
	if (after == 0 && row->group->hide_cnt > 0 &&
	    social_group_member(row->now.state, asking->what.peer) &&
	    store_snapshot_open(groups->params.ground.store, &snapshot) == 0)
		hides_write(groups, row, snapshot, message);
	social_group_ask_write(&w, message);
	if (snapshot)
		store_snapshot_close(snapshot);
	weft_assert(!w.bad);
	ask.payload_len = writer_len(&w);
	memcpy(ask.peer.key, asking->what.peer, MESH_KEY_LEN);
	return groups_ops(groups)->ask(groups->params.ground.mesh.mesh, &ask, now_ns,
				       &asking->request) == 0;
}

/* --- answers --- */

/* How many of the changes brought something new; *out_stuck: the rest is of no use. */
static unsigned changes_take(struct groups *groups, const struct group_page_message *page,
			     bool *out_stuck)
{
	unsigned took_cnt = 0;

	*out_stuck = false;
	for (unsigned i = 0; i < page->change_cnt && !*out_stuck; i++) {
		struct group_row *row;
		enum group_outcome outcome = social_groups_take_change(
			groups, page->changes[i].bytes, page->changes[i].len, &row);

		took_cnt += outcome == GROUP_TOOK;
		*out_stuck = outcome != GROUP_TOOK && outcome != GROUP_KNOWN;
	}
	return took_cnt;
}

static void page_take(struct group_asking *asking, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct groups *groups = asking->groups;
	struct group_row *row = row_of(groups, &asking->what);
	struct group_page_message *page = &groups->page;
	uint64_t next, epoch;
	unsigned took_cnt;
	bool is_stuck;

	if (!row || social_group_page_read(reply->payload, reply->payload_len, page) < 0) {
		groups->stats.forged_cnt++;
		asking_free(asking);
		return;
	}
	next = page->next;
	epoch = page->epoch;
	took_cnt = changes_take(groups, page, &is_stuck);
	for (unsigned i = 0; i < page->hide_cnt; i++)
		social_groups_note_take(groups, row->group, page->hides[i].bytes,
					page->hides[i].len, now_ns);
	social_groups_redo(groups, row, now_ns);
	if ((next == 0 && (is_stuck || took_cnt == 0 || row->now.state->epoch >= epoch)) ||
	    ++asking->page_cnt == PAGES_MAX || !asking_send(asking, next, now_ns))
		asking_free(asking);
}

/* A member that was away when it was invited, or that missed more than is kept, gets the whole state. */
static void absent_hear(struct groups *groups, const struct group_waiting *what, uint64_t now_ns)
{
	struct group_row *row = row_of(groups, what);

	if (!row)
		return;
	row->absent_ns = now_ns;
	social_groups_push_whole(groups, row, what->peer, now_ns);
}

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct group_asking *asking = arg;
	struct groups *groups = asking->groups;

	asking->request = NULL;
	groups->now_ns = now_ns;
	if (reply->err == 0) {
		page_take(asking, reply, now_ns);
	} else {
		if (reply->err == WEFT_EABSENT)
			absent_hear(groups, &asking->what, now_ns);
		asking_free(asking);
	}
	social_groups_ask_run(groups, now_ns);
}

/* --- the queue --- */

void social_groups_ask_run(struct groups *groups, uint64_t now_ns)
{
	while (!groups->is_stopped && groups->waiting_cnt > 0 &&
	       groups->asks.used_cnt < GROUP_ASKS_MAX) {
		struct group_asking *asking = pool_acquire(&groups->asks);

		asking->groups = groups;
		asking->what = groups->waiting[groups->waiting_at];
		groups->waiting_at = (groups->waiting_at + 1) % GROUP_WAITING_MAX;
		groups->waiting_cnt--;
		if (!asking_send(asking, 0, now_ns))
			asking_free(asking);
	}
}

static bool is_waiting(const struct groups *groups, const struct group_waiting *what)
{
	for (unsigned i = 0; i < groups->waiting_cnt; i++)
		if (memcmp(&groups->waiting[(groups->waiting_at + i) % GROUP_WAITING_MAX], what,
			   sizeof(*what)) == 0)
			return true;
	return false;
}

void social_groups_ask(struct groups *groups, const struct group_row *row, const uint8_t *peer,
		       uint64_t now_ns)
{
	struct group_waiting what;

	memset(&what, 0, sizeof(what));
	memcpy(what.group, row->group->id, sizeof(what.group));
	memcpy(what.peer, peer, sizeof(what.peer));
	what.shard = row->shard;
	/* One that finds no room is asked in a later round. */
	if (groups->waiting_cnt == GROUP_WAITING_MAX || is_waiting(groups, &what))
		return;
	groups->waiting[(groups->waiting_at + groups->waiting_cnt++) % GROUP_WAITING_MAX] = what;
	social_groups_ask_run(groups, now_ns);
}

void social_groups_ask_stop(struct groups *groups)
{
	struct group_asking *asking;

	while ((asking = groups->asks.objects ? pool_next(&groups->asks, NULL) : NULL)) {
		if (asking->request)
			groups_ops(groups)->cancel(asking->request);
		asking_free(asking);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages 640 to 642. What is new in a shard is for those that were its members in the newest state that
 * both sides have. A member that is gone since hears so much that it is gone. To any other node a group
 * that is here is one that is not. The hash of a state is known to members alone, so what names
 * one that is here is judged.
 */
#include <errno.h>

#include "social/groups/groups_state.h"

#define LAG_MS		  1000u
#define ANSWERS_PER_ASKER 2u

static void refuse(struct groups *groups, const struct mesh_call *call, enum mesh_code code,
		   const char *why)
{
	groups_ops(groups)->answer_error(call->incoming, code, why, 0);
}

static bool is_admitted(struct groups *groups, const struct mesh_call *call, uint64_t now_ns)
{
	const struct social_ground *ground = &groups->params.ground;

	groups->now_ns = now_ns;
	return !ground->admit || ground->admit(ground->ctx, call, now_ns);
}

static void ack(struct groups *groups, const struct mesh_call *call, uint64_t epoch)
{
	uint8_t bytes[32];
	struct writer w = writer_of(bytes, sizeof(bytes));

	social_group_ack_write(&w, epoch);
	(void)groups_ops(groups)->answer(call->incoming, call->type, bytes, writer_len(&w), NULL);
}

/* --- 640 --- */

/* A shard that there was not, of a group that is here: its admin is one of another shard's. */
static int shard_take(struct groups *groups, struct group *group,
		      const struct group_key_message *message)
{
	const struct group_state *state = &groups->read;
	struct node_key *secret;
	struct store_batch *batch;
	struct group_row *row;
	enum group_role role;
	int err;

	if (!social_groups_role(group, state->admin, &role) || role != GROUP_ADMIN ||
	    !social_group_member(state, group->person)) {
		groups->stats.refused_cnt++;
		return social_groups_invite_unheard(groups);
	}
	row = social_groups_row_add(groups, group, state->shard);
	if (!row)
		return WEFT_EFULL;
	secret = social_groups_unseal(groups, state, message->wrapped, message->wrapped_by);
	batch = store_batch_new(groups->params.ground.store);
	err = social_groups_begin_row(groups, row, &message->state, secret, batch);
	if (err < 0) {
		store_batch_free(batch);
		node_key_free(secret);
		social_groups_row_drop(groups, row);
		return err;
	}
	return social_groups_submit(groups, batch, NULL, NULL);
}

/* A state that follows none here, of an admin that is not known, by a node that is no member. */
static bool is_strange(const struct group *group, const uint8_t *from, const uint8_t *admin,
		       enum group_outcome outcome)
{
	enum group_role role;

	return outcome == GROUP_MISSING && !(from && social_groups_role(group, from, &role)) &&
	       !(admin && social_groups_role(group, admin, &role));
}

/* A 640 of from; NULL: it was left here. */
static int key_hear(struct groups *groups, const uint8_t *from, const struct group_span *bytes,
		    uint64_t *out_epoch)
{
	struct group_key_message *message = &groups->key_message;
	struct group_state *state = &groups->read;
	struct group *group;
	struct group_row *row;
	enum group_outcome outcome;
	int err;

	if (social_group_key_read(bytes->bytes, bytes->len, message) < 0) {
		groups->stats.forged_cnt++;
		return WEFT_EMALFORMED;
	}
	err = social_group_read(message->state.bytes, message->state.len, state);
	if (err < 0) {
		groups->stats.forged_cnt += err == WEFT_EDAMAGED;
		groups->stats.forged_cnt += err == WEFT_EMALFORMED || err == WEFT_ETOOLARGE;
		return err;
	}
	*out_epoch = state->epoch;
	group = social_groups_lookup(groups, state->group);
	row = group ? social_groups_row(group, state->shard) : NULL;
	if (group && !row && social_groups_row_home(group, group->person))
		return shard_take(groups, group, message);
	if (!row || !social_group_member(row->now.state, group->person))
		return social_groups_invite_note(groups, from ? from : state->admin, bytes);
	outcome = social_groups_take(
		groups, row, message->state.bytes, message->state.len,
		social_groups_unseal(groups, state, message->wrapped, message->wrapped_by));
	if (is_strange(group, from, state->admin, outcome))
		return social_groups_invite_unheard(groups);
	*out_epoch = row->now.state->epoch;
	/* Where both sides lack what the other has, neither goes on. */
	if (outcome == GROUP_MISSING && from &&
	    (row->absent_ns == 0 || groups->now_ns - row->absent_ns > GROUP_ABSENT_NS))
		social_groups_ask(groups, row, from, groups->now_ns);
	social_groups_redo(groups, row, groups->now_ns);
	return outcome == GROUP_REFUSED ? WEFT_EREFUSED : 0;
}

static void answer_err(struct groups *groups, const struct mesh_call *call, int err)
{
	switch (err) {
	case WEFT_EMALFORMED:
	case WEFT_EDAMAGED:
	case WEFT_ETOOLARGE:
		refuse(groups, call, MESH_CODE_MALFORMED, "no state of a group");
		break;
	case WEFT_EFULL:
	case WEFT_EBUSY:
	case -ENOMEM:
		groups_ops(groups)->answer_error(call->incoming, MESH_CODE_BUSY,
						 "no room for more groups", LAG_MS);
		break;
	default:
		refuse(groups, call, MESH_CODE_ABSENT, "no such group");
	}
}

static void on_key(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	const struct group_span bytes = {call->payload, call->payload_len};
	struct groups *groups = ctx;
	uint64_t epoch;
	int err;

	if (!is_admitted(groups, call, now_ns))
		return;
	err = key_hear(groups, call->peer_key, &bytes, &epoch);
	if (err < 0)
		answer_err(groups, call, err);
	else
		ack(groups, call, epoch);
}

/* --- 641 --- */

static void on_rekey(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct groups *groups = ctx;
	struct group_row *row;
	enum group_outcome outcome;

	if (!is_admitted(groups, call, now_ns))
		return;
	outcome = social_groups_take_change(groups, call->payload, call->payload_len, &row);
	if (!row || is_strange(row->group, call->peer_key, NULL, outcome)) {
		answer_err(groups, call, WEFT_EABSENT);
		return;
	}
	if (outcome == GROUP_MISSING)
		social_groups_ask(groups, row, call->peer_key, now_ns);
	social_groups_redo(groups, row, now_ns);
	ack(groups, call, row->now.state->epoch);
}

int social_groups_left(struct groups *groups, unsigned type, const void *bytes, size_t len,
		       uint64_t now_ns)
{
	const struct group_span span = {bytes, len};
	enum group_outcome outcome;
	struct group_row *row;
	uint64_t epoch;

	if (groups->is_stopped)
		return WEFT_EBUSY;
	groups->now_ns = now_ns;
	if (type == MESH_GROUP_KEY)
		return key_hear(groups, NULL, &span, &epoch);
	outcome = social_groups_take_change(groups, bytes, len, &row);
	if (!row)
		return WEFT_EABSENT;
	social_groups_redo(groups, row, now_ns);
	if (outcome == GROUP_BUSY)
		return WEFT_EBUSY;
	return outcome == GROUP_REFUSED ? WEFT_EREFUSED : 0;
}

/* --- 642 --- */

/* The newest state that both have, as its place in row->past; -1: none. */
static int common_of(const struct group_row *row, const struct group_ask_message *ask)
{
	for (unsigned h = 0; h < ask->head_cnt; h++)
		for (unsigned i = row->past_cnt; i-- > 0;)
			if (row->past[i].epoch == ask->epoch - h &&
			    memcmp(row->past[i].hash, ask->heads[h], GROUP_HASH_LEN) == 0)
				return (int)i;
	return -1;
}

/* The asker is member, or has the key of one of the epochs here. */
static bool is_proved(struct groups *groups, const struct mesh_call *call,
		      const struct group_row *row, const struct group_ask_message *ask)
{
	uint8_t session[GROUP_SESSION_LEN];
	struct group_proof proof;

	if (!ask->member || memcmp(ask->member, call->peer_key, NODE_KEY_LEN) == 0)
		return true;
	groups_ops(groups)->asker_session(call->incoming, session);
	if (ask->proof.len == 0 ||
	    social_proof_read(ask->proof.bytes, ask->proof.len, &proof) < 0 ||
	    memcmp(proof.group, ask->group, GROUP_ID_LEN) != 0 ||
	    memcmp(proof.session, session, sizeof(session)) != 0)
		return false;
	for (unsigned i = 0; i < row->past_cnt; i++)
		if (memcmp(row->past[i].key, proof.signer, NODE_KEY_LEN) == 0)
			return true;
	return false;
}

static struct group_answer *answer_acquire(struct groups *groups, const struct mesh_call *call)
{
	struct group_answer *answer = NULL;
	unsigned held_cnt = 0;

	while ((answer = pool_next(&groups->answers, answer)))
		held_cnt += memcmp(answer->asker, call->peer_key, NODE_KEY_LEN) == 0;
	if (groups->answers.used_cnt >= GROUP_ANSWERS_MAX / 2 && groups_ops(groups)->hurry)
		groups_ops(groups)->hurry(groups->params.ground.mesh.mesh);
	answer = held_cnt < ANSWERS_PER_ASKER ? pool_acquire(&groups->answers) : NULL;
	if (!answer)
		return NULL;
	answer->groups = groups;
	memcpy(answer->asker, call->peer_key, NODE_KEY_LEN);
	return answer;
}

static void answer_sent(void *arg)
{
	struct group_answer *answer = arg;

	pool_release(&answer->groups->answers, answer);
}

/* The secret key of state for member, where both have a right to it. */
static bool key_seal(struct groups *groups, const struct group_state *state, const uint8_t *member,
		     uint8_t out[static GROUP_KEY_WRAPPED_LEN])
{
	const struct group_member *is = social_group_member(state, member);
	const struct node_key *secret = social_groups_secret(groups, state->group, state->key);

	return is && !is->is_visitor && secret &&
	       social_groups_wrap(groups, state, secret, member, out);
}

/* One change behind the page's others; they share room. false: no room, or member was none before. */
static bool change_add(struct groups *groups, const struct group_row *row, unsigned at,
		       const uint8_t *member, struct writer *room)
{
	struct group_held was = {0}, is = {0};
	struct group_page_message *page = &groups->page;
	struct group_change *change = &groups->change;
	uint8_t wrapped[GROUP_KEY_WRAPPED_LEN], *start = room->pos;
	bool is_added = false;

	if (social_groups_load_state(groups, row, row->past[at - 1].epoch, &was) < 0 ||
	    social_groups_load_state(groups, row, row->past[at].epoch, &is) < 0 ||
	    !social_group_member(was.state, member))
		goto free_both;
	social_change_make(was.state, is.state, change);
	if (key_seal(groups, is.state, member, wrapped)) {
		change->wrapped = wrapped;
		change->wrapped_by = row->group->person;
	}
	social_change_write(room, change);
	is_added = !room->bad;
	if (is_added)
		page->changes[page->change_cnt++] =
			(struct group_span){start, (size_t)(room->pos - start)};
free_both:
	social_group_held_free(&was);
	social_group_held_free(&is);
	return is_added;
}

static void page_fill(struct groups *groups, const struct group_row *row, int common,
		      const uint8_t *member, struct store_snapshot *snapshot)
{
	const struct group_ask_message *ask = &groups->ask;
	struct group_page_message *page = &groups->page;
	struct writer room = writer_of(groups->made, GROUP_PAGE_LEN_MAX - (20u << 10));

	*page = (struct group_page_message){.epoch = row->now.state->epoch};
	for (unsigned at = (unsigned)common + 1;
	     at < row->past_cnt && page->change_cnt < GROUP_CHANGES_MAX; at++)
		if (!change_add(groups, row, at, member, &room))
			break;
	/* A member that is gone has no more to do with what is hidden. */
	if (social_group_member(row->now.state, member) &&
	    memcmp(ask->hides_sum, row->group->hides_sum, GROUP_HASH_LEN) != 0)
		social_groups_hides(groups, row->group, ask->after, snapshot, page);
}

static void page_send(struct groups *groups, const struct mesh_call *call,
		      const struct group_row *row, int common, const uint8_t *member)
{
	struct group_answer *answer = answer_acquire(groups, call);
	struct store_snapshot *snapshot;
	struct transport_span span;
	struct writer w;

	if (!answer || store_snapshot_open(groups->params.ground.store, &snapshot) < 0) {
		if (answer)
			answer_sent(answer);
		groups_ops(groups)->answer_error(call->incoming, MESH_CODE_BUSY,
						 "too many answers are on their way", LAG_MS);
		return;
	}
	w = writer_of(answer->bytes, sizeof(answer->bytes));
	page_fill(groups, row, common, member, snapshot);
	social_group_page_write(&w, &groups->page);
	store_snapshot_close(snapshot);
	span = (struct transport_span){
		.data = answer->bytes, .len = writer_len(&w), .done = answer_sent, .arg = answer};
	if (groups_ops(groups)->answer(call->incoming, MESH_GROUP_STATE, NULL, 0, &span) < 0)
		answer_sent(answer);
}

/* That member was one when both sides had the same state. */
static bool was_member(struct groups *groups, const struct group_row *row, int common,
		       const uint8_t *member)
{
	struct group_held held = {0};
	bool was = social_groups_load_state(groups, row, row->past[common].epoch, &held) == 0 &&
		   social_group_member(held.state, member);

	social_group_held_free(&held);
	return was;
}

static void on_state(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct groups *groups = ctx;
	struct group_ask_message *ask = &groups->ask;
	struct group *group;
	struct group_row *row;
	const uint8_t *member;
	int common;

	if (!is_admitted(groups, call, now_ns))
		return;
	if (social_group_ask_read(call->payload, call->payload_len, ask) < 0) {
		groups->stats.forged_cnt++;
		refuse(groups, call, MESH_CODE_MALFORMED, "no question for a group");
		return;
	}
	group = social_groups_lookup(groups, ask->group);
	row = group ? social_groups_row(group, ask->shard) : NULL;
	common = row ? common_of(row, ask) : -1;
	member = ask->member ? ask->member : call->peer_key;
	if (common < 0 || !is_proved(groups, call, row, ask) ||
	    !was_member(groups, row, common, member)) {
		refuse(groups, call, MESH_CODE_ABSENT, "no such group");
		return;
	}
	for (unsigned i = 0; i < ask->note_cnt; i++)
		social_groups_note_take(groups, group, ask->notes[i].bytes, ask->notes[i].len,
					now_ns);
	page_send(groups, call, row, common, member);
}

int social_groups_answer_init(struct groups *groups)
{
	const struct mesh_seam *mesh = &groups->params.ground.mesh;
	int err;

	if ((err = mesh->ops->handle(mesh->mesh, MESH_GROUP_KEY, on_key, groups)) < 0 ||
	    (err = mesh->ops->handle(mesh->mesh, MESH_GROUP_REKEY, on_rekey, groups)) < 0)
		return err;
	return mesh->ops->handle(mesh->mesh, MESH_GROUP_STATE, on_state, groups);
}

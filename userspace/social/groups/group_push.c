/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A state that was made here goes to its members at once. New ones get the whole state, the others what
 * changed. For members without a session it is left where messages can be. They ask when they are back.
 * Those that are gone hear that, and no key.
 */
#include "base/random.h"
#include "social/groups/groups_state.h"

bool social_groups_wrap(struct groups *groups, const struct group_state *state,
			const struct node_key *secret, const uint8_t *member,
			uint8_t out[static GROUP_KEY_WRAPPED_LEN])
{
	const struct group *group = social_groups_lookup(groups, state->group);
	const struct node_key *person = group ? groups_own(groups, group->person) : NULL;
	struct group_wrap wrap = {.group = state->group, .member = member, .epoch = state->epoch};
	uint8_t nonce[12];

	if (!person)
		return false;
	wrap.admin = node_key_public(person);
	random_fill(groups->params.ground.random, nonce, sizeof(nonce));
	if (social_group_wrap(&wrap, person, node_key_seed(secret), nonce, out) < 0)
		return false;
	groups->stats.wrapped_cnt++;
	return true;
}

/* --- one message --- */

/* Member rows are first, then those of the state before that are no longer there. */
static const struct group_member *member_at(const struct group_row *row, unsigned at)
{
	const struct group_state *now = row->now.state, *before = row->before.state;

	if (at < now->member_cnt)
		return &now->members[at];
	at -= now->member_cnt;
	return before && at < before->member_cnt ? &before->members[at] : NULL;
}

static bool is_gone(const struct group_row *row, const struct group_member *member)
{
	return !social_group_member(row->now.state, member->key);
}

static bool has_key_of(const struct group_row *row, const struct group_member *member)
{
	return !member->is_visitor && !is_gone(row, member) && row->secret &&
	       memcmp(node_key_public(row->secret), row->now.state->key, NODE_KEY_LEN) == 0;
}

/* The person here, where it is not the signer. */
static const uint8_t *wrapper(const struct group_row *row)
{
	bool is_signer = memcmp(row->group->person, row->now.state->admin, NODE_KEY_LEN) == 0;

	return is_signer ? NULL : row->group->person;
}

static size_t change_write(struct groups *groups, const struct group_row *row,
			   const uint8_t *wrapped)
{
	struct writer w = writer_of(groups->made, sizeof(groups->made));

	social_change_make(row->before.state, row->now.state, &groups->change);
	groups->change.wrapped = wrapped;
	groups->change.wrapped_by = wrapped ? wrapper(row) : NULL;
	social_change_write(&w, &groups->change);
	return w.bad ? 0 : writer_len(&w);
}

static size_t state_write(struct groups *groups, const struct group_row *row,
			  const uint8_t *wrapped)
{
	struct writer w = writer_of(groups->made, sizeof(groups->made));
	struct group_key_message *message = &groups->key_message;

	*message = (struct group_key_message){.state = {row->now.bytes, row->now.len},
					      .wrapped = wrapped,
					      .wrapped_by = wrapped ? wrapper(row) : NULL};
	memcpy(message->name, row->group->name, sizeof(message->name));
	social_group_key_write(&w, message);
	return w.bad ? 0 : writer_len(&w);
}

/* Writes what member needs into groups->made. Returns its length; 0: nothing. */
static size_t message_write(struct groups *groups, const struct group_row *row,
			    const struct group_member *member, unsigned *out_type)
{
	const struct group_state *now = row->now.state, *before = row->before.state;
	const struct group_member *was = before ? social_group_member(before, member->key) : NULL;
	uint8_t wrapped[GROUP_KEY_WRAPPED_LEN];
	bool has_new_key = !before || !was || was->is_visitor ||
			   memcmp(before->key, now->key, NODE_KEY_LEN) != 0;
	bool wraps = has_key_of(row, member) && has_new_key;

	wraps = wraps && social_groups_wrap(groups, now, row->secret, member->key, wrapped);
	*out_type = was ? MESH_GROUP_REKEY : MESH_GROUP_KEY;
	return was ? change_write(groups, row, wraps ? wrapped : NULL)
		   : state_write(groups, row, wraps ? wrapped : NULL);
}

/* --- sends --- */

static void send_free(struct group_send *send)
{
	pool_release(&send->groups->sends, send);
}

/* What member needs, in groups->made; of length 0: nothing. */
static struct group_word word_of(struct groups *groups, const struct group_row *row,
				 const struct group_member *member)
{
	struct group_word word = {.group = row->group->id,
				  .member = member->key,
				  .epoch = row->now.state->epoch,
				  .shard = row->shard,
				  .bytes = groups->made};

	word.len = message_write(groups, row, member, &word.type);
	return word;
}

static bool may_leave(const struct groups_params *params, const uint8_t *member)
{
	return params->leave && (!params->may_leave || params->may_leave(params->ctx, member));
}

/* The session was one of a node that is off by now. A newer state says more, and to all. */
static void send_failed(struct groups *groups, const struct group_send *send, uint64_t now_ns)
{
	const struct group *group = social_groups_lookup(groups, send->group);
	const struct group_row *row = group ? social_groups_row(group, send->shard) : NULL;
	const struct group_member *member;
	struct group_word word;

	if (!row || row->now.state->epoch != send->epoch || !may_leave(&groups->params, send->peer))
		return;
	member = social_group_member(row->now.state, send->peer);
	if (!member && row->before.bytes)
		member = social_group_member(row->before.state, send->peer);
	if (!member)
		return;
	word = word_of(groups, row, member);
	if (word.len > 0)
		groups->params.leave(groups->params.ctx, &word, now_ns);
}

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct group_send *send = arg;
	struct groups *groups = send->groups;
	const struct group_send was = *send;

	/* A member that answers, and lacks something before it, asks by itself. */
	send_free(send);
	if (reply->err == WEFT_ETIMEOUT || reply->err == WEFT_ECLOSED ||
	    reply->err == WEFT_EUNREACHABLE)
		send_failed(groups, &was, now_ns);
	social_groups_push_run(groups, now_ns);
}

/* false: too much is on its way. */
static bool send_begin(struct groups *groups, const struct group_word *word, uint64_t now_ns)
{
	struct group_send *send = pool_acquire(&groups->sends);
	struct mesh_ask ask = {
		.type = word->type,
		.payload = word->bytes,
		.payload_len = word->len,
		.timeout_ns = GROUP_TIMEOUT_NS,
		.reply = on_reply,
		.arg = send,
	};

	if (!send)
		return false;
	send->groups = groups;
	memcpy(send->peer, word->member, sizeof(send->peer));
	memcpy(send->group, word->group, sizeof(send->group));
	send->shard = word->shard;
	send->epoch = word->epoch;
	memcpy(ask.peer.key, word->member, sizeof(send->peer));
	ask.reply_buf = send->reply;
	ask.reply_cap = sizeof(send->reply);
	if (groups_ops(groups)->ask(groups->params.ground.mesh.mesh, &ask, now_ns, &send->request) <
	    0) {
		send_free(send);
		return false;
	}
	return true;
}

/* false: it has to wait for a place. */
static bool member_push(struct groups *groups, struct group_row *row,
			const struct group_member *member, uint64_t now_ns)
{
	const struct groups_params *params = &groups->params;
	bool has_session = social_groups_has_session(groups, member->key);
	struct group_word word;

	if (groups_own(groups, member->key) || (!has_session && !may_leave(params, member->key)))
		return true;
	if (has_session && groups->sends.used_cnt == GROUP_SENDS_MAX)
		return false;
	word = word_of(groups, row, member);
	if (word.len == 0 || (has_session && send_begin(groups, &word, now_ns)))
		return true;
	if (may_leave(params, member->key))
		params->leave(params->ctx, &word, now_ns);
	return true;
}

void social_groups_push_whole(struct groups *groups, const struct group_row *row,
			      const uint8_t *peer, uint64_t now_ns)
{
	const struct group_member *member = social_group_member(row->now.state, peer);
	struct group_word word = {.group = row->group->id,
				  .member = peer,
				  .epoch = row->now.state->epoch,
				  .shard = row->shard,
				  .type = MESH_GROUP_KEY,
				  .bytes = groups->made};
	uint8_t wrapped[GROUP_KEY_WRAPPED_LEN];
	enum group_role role;
	bool wraps;

	if (!member || !social_groups_role(row->group, row->group->person, &role) ||
	    role != GROUP_ADMIN)
		return;
	wraps = has_key_of(row, member) &&
		social_groups_wrap(groups, row->now.state, row->secret, peer, wrapped);
	word.len = state_write(groups, row, wraps ? wrapped : NULL);
	if (word.len > 0)
		(void)send_begin(groups, &word, now_ns);
}

void social_groups_push_run(struct groups *groups, uint64_t now_ns)
{
	struct group_row *row;

	while (!groups->is_stopped && (row = list_first(&groups->pushes, struct group_row, push))) {
		const struct group_member *member = member_at(row, row->push_at);

		if (!member) {
			list_unlink(&row->push);
			continue;
		}
		/* Of the state before, the remaining members have had it. */
		if ((row->push_at < row->now.state->member_cnt || is_gone(row, member)) &&
		    !member_push(groups, row, member, now_ns))
			return;
		row->push_at++;
	}
}

void social_groups_push(struct groups *groups, struct group_row *row, uint64_t now_ns)
{
	list_unlink(&row->push);
	row->push_at = 0;
	list_push_back(&groups->pushes, &row->push);
	social_groups_push_run(groups, now_ns);
}

static bool is_fresh(const struct groups *groups, const struct group_row *row)
{
	uint64_t at_ms = row->past_cnt ? row->past[row->past_cnt - 1].at_ms : 0;

	return groups_own(groups, row->now.state->admin) &&
	       at_ms + GROUP_AGAIN_MS > social_wall_ms(&groups->params.ground);
}

void social_groups_leave_again(struct groups *groups, uint64_t now_ns)
{
	for (struct list_node *at = groups->all.next; at != &groups->all; at = at->next) {
		struct group_row *row = NULL;

		while ((row = social_groups_row_next(container_of(at, struct group, link), row)))
			if (is_fresh(groups, row))
				social_groups_push(groups, row, now_ns);
	}
}

void social_groups_push_stop(struct groups *groups)
{
	struct group_send *send;

	while ((send = groups->sends.objects ? pool_next(&groups->sends, NULL) : NULL)) {
		groups_ops(groups)->cancel(send->request);
		send_free(send);
	}
}

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

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct group_send *send = arg;
	struct groups *groups = send->groups;

	/* A member that lacks something before it asks by itself. */
	(void)reply;
	send_free(send);
	social_groups_push_run(groups, now_ns);
}

/* false: too much is on its way. */
static bool send_begin(struct groups *groups, const uint8_t *peer, unsigned type, size_t len,
		       uint64_t now_ns)
{
	struct group_send *send = pool_acquire(&groups->sends);
	struct mesh_ask ask = {
		.type = type,
		.payload = groups->made,
		.payload_len = len,
		.timeout_ns = GROUP_TIMEOUT_NS,
		.reply = on_reply,
		.arg = send,
	};

	if (!send)
		return false;
	send->groups = groups;
	memcpy(send->peer, peer, sizeof(send->peer));
	memcpy(ask.peer.key, peer, sizeof(send->peer));
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
	unsigned type;
	size_t len;

	if (groups_own(groups, member->key) || (!has_session && !params->leave))
		return true;
	if (has_session && groups->sends.used_cnt == GROUP_SENDS_MAX)
		return false;
	len = message_write(groups, row, member, &type);
	if (len == 0)
		return true;
	if (has_session && send_begin(groups, member->key, type, len, now_ns))
		return true;
	if (params->leave) {
		params->leave(params->ctx, member->key, type, groups->made, len, now_ns);
	}
	return true;
}

void social_groups_push_whole(struct groups *groups, const struct group_row *row,
			      const uint8_t *peer, uint64_t now_ns)
{
	const struct group_member *member = social_group_member(row->now.state, peer);
	uint8_t wrapped[GROUP_KEY_WRAPPED_LEN];
	enum group_role role;
	bool wraps;
	size_t len;

	if (!member || !social_groups_role(row->group, row->group->person, &role) ||
	    role != GROUP_ADMIN)
		return;
	wraps = has_key_of(row, member) &&
		social_groups_wrap(groups, row->now.state, row->secret, peer, wrapped);
	len = state_write(groups, row, wraps ? wrapped : NULL);
	if (len > 0)
		(void)send_begin(groups, peer, MESH_GROUP_KEY, len, now_ns);
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

void social_groups_push_stop(struct groups *groups)
{
	struct group_send *send;

	while ((send = groups->sends.objects ? pool_next(&groups->sends, NULL) : NULL)) {
		groups_ops(groups)->cancel(send->request);
		send_free(send);
	}
}

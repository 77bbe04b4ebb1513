/* SPDX-License-Identifier: Apache-2.0 */
/* Posts that moderators hide, and members that go. */
#include <errno.h>
#include <stdlib.h>

#include "social/groups/groups_state.h"

/* --- hides --- */

static int hide_take(struct groups *groups, struct group *group, const struct group_hide *hide,
		     const struct group_span *bytes, const struct group_put_done *done)
{
	const struct groups_params *params = &groups->params;
	enum group_role role;
	int err;

	if (memcmp(hide->group, group->id, GROUP_ID_LEN) != 0)
		return WEFT_EMALFORMED;
	if (!social_groups_role(group, hide->signer, &role) ||
	    !social_role_may(role, GROUP_ACT_HIDE))
		return WEFT_EREFUSED;
	if ((err = social_groups_put_hide(groups, group, hide, bytes, done)) < 0)
		return err;
	if (params->hidden)
		params->hidden(params->ctx, hide, groups->now_ns);
	return 0;
}

/* --- leaves --- */

/* A person of this node that may remove the leaver. */
static const uint8_t *remover_of(const struct groups *groups, const struct group *group,
				 const uint8_t *leaver)
{
	enum group_role role, theirs;

	if (!groups_own(groups, group->person) ||
	    !social_groups_role(group, group->person, &role) ||
	    !social_groups_role(group, leaver, &theirs))
		return NULL;
	return social_role_may(role,
			       theirs > GROUP_POSTER ? GROUP_ACT_REMOVE_STAFF : GROUP_ACT_REMOVE)
		       ? group->person
		       : NULL;
}

static void leave_take(struct groups *groups, struct group *group, const struct group_leave *leave,
		       uint64_t now_ns)
{
	uint8_t leaver[1][NODE_KEY_LEN];
	struct group_ask ask = {.group = group->id,
				.members = (const uint8_t(*)[NODE_KEY_LEN])leaver,
				.member_cnt = 1};

	if (memcmp(leave->group, group->id, GROUP_ID_LEN) != 0 || groups_own(groups, leave->signer))
		return;
	memcpy(leaver[0], leave->signer, NODE_KEY_LEN);
	ask.person = remover_of(groups, group, leave->signer);
	/* What cannot be done now is asked for again: the leaver says it each time that it asks. */
	if (ask.person && social_group_remove(groups, &ask, now_ns) < 0)
		groups->stats.refused_cnt++;
}

void social_groups_note_take(struct groups *groups, struct group *group, const uint8_t *bytes,
			     size_t len, uint64_t now_ns)
{
	const struct group_span span = {bytes, len};
	const struct group_put_done none = {0};
	struct group_leave leave;
	struct group_hide hide;

	/* The tag is signed and not sent, so one of the two fits. */
	if (social_hide_read(bytes, len, &hide) == 0)
		(void)hide_take(groups, group, &hide, &span, &none);
	else if (social_leave_read(bytes, len, &leave) == 0)
		leave_take(groups, group, &leave, now_ns);
	else
		groups->stats.forged_cnt++;
}

/* --- what persons do --- */

/* Members that have a session are asked what is new, and hear with that what is new here. */
static void tell(struct groups *groups, const struct group *group, uint64_t now_ns)
{
	for (const struct list_node *at = group->rows.next; at != &group->rows; at = at->next) {
		const struct group_row *row = container_of(at, struct group_row, link);

		for (unsigned i = 0; i < row->now.state->member_cnt; i++) {
			const uint8_t *key = row->now.state->members[i].key;

			if (!groups_own(groups, key) && social_groups_has_session(groups, key))
				social_groups_ask(groups, row, key, now_ns);
		}
	}
}

struct hide_wait {
	struct groups *groups;
	uint8_t group[GROUP_ID_LEN];
	void (*done)(void *arg, int err);
	void *arg;
};

static void hide_durable(void *arg, int err)
{
	struct hide_wait wait = *(struct hide_wait *)arg;
	struct groups *groups = wait.groups;
	const struct group *group = social_groups_lookup(groups, wait.group);

	free(arg);
	groups->stats.failed_cnt += err < 0;
	if (groups->is_stopped)
		return;
	if (err == 0 && group)
		tell(groups, group, groups->now_ns);
	if (wait.done)
		wait.done(wait.arg, err);
}

int social_group_hide_post(struct groups *groups, const struct group_ask *ask,
			   const struct group_hide *what, uint64_t now_ns)
{
	struct group *group = social_groups_lookup(groups, ask->group);
	const struct node_key *person;
	struct group_hide hide = {.group = ask->group,
				  .author = what->author,
				  .logical_id = what->logical_id,
				  .is_hidden = what->is_hidden,
				  .time_ms = social_wall_ms(&groups->params.ground)};
	uint8_t bytes[GROUP_NOTE_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct group_put_done done = {.done = hide_durable};
	struct hide_wait *wait;
	int err;

	groups->now_ns = now_ns;
	if (!group || group->row_cnt == 0)
		return WEFT_EABSENT;
	person = groups_own(groups, ask->person ? ask->person : group->person);
	if (!person)
		return WEFT_EABSENT;
	hide.signer = node_key_public(person);
	social_hide_write(&w, &hide, person);
	if (!(done.arg = wait = malloc(sizeof(*wait))))
		return -ENOMEM;
	*wait = (struct hide_wait){.groups = groups, .done = ask->done, .arg = ask->arg};
	memcpy(wait->group, group->id, sizeof(wait->group));
	err = hide_take(groups, group, &hide, &(struct group_span){bytes, writer_len(&w)}, &done);
	if (err < 0)
		free(wait);
	return err;
}

static bool is_only_admin(const struct group *group, const uint8_t *person)
{
	enum group_role role;

	if (!social_groups_role(group, person, &role) || role != GROUP_ADMIN)
		return false;
	for (const struct list_node *at = group->rows.next; at != &group->rows; at = at->next) {
		const struct group_row *row = container_of(at, struct group_row, link);

		for (unsigned i = 0; i < row->now.state->member_cnt; i++)
			if (row->now.state->members[i].role == GROUP_ADMIN &&
			    memcmp(row->now.state->members[i].key, person, NODE_KEY_LEN) != 0)
				return false;
	}
	return true;
}

int social_group_leave(struct groups *groups, const struct group_ask *ask, uint64_t now_ns)
{
	struct group *group = social_groups_lookup(groups, ask->group);
	struct store_batch *batch;
	int err;

	groups->now_ns = now_ns;
	if (!group || group->row_cnt == 0 || !groups_own(groups, group->person))
		return WEFT_EABSENT;
	if (is_only_admin(group, group->person))
		return WEFT_EREFUSED;
	group->is_leaving = true;
	batch = store_batch_new(groups->params.ground.store);
	social_groups_put_group(batch, group);
	if ((err = social_groups_submit_for(groups, batch, ask)) < 0) {
		group->is_leaving = false;
		return err;
	}
	tell(groups, group, now_ns);
	return 0;
}

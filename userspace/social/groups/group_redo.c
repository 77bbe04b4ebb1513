/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What persons of this node did in a state that lost a fork. It is collected while the state is undone.
 * Then members are added, removed and given roles again in the state that won. What the other admin did
 * stays.
 */
#include <stdlib.h>

#include "social/groups/groups_state.h"

/* --- what a fork undoes --- */

static void redo_set(struct group_redo *redo, const struct group_member *member, bool is_new)
{
	unsigned i = 0;

	while (i < redo->set_cnt && memcmp(redo->set[i].key, member->key, NODE_KEY_LEN) != 0)
		i++;
	if (i == GROUP_ROWS_MAX)
		return;
	redo->is_new[i] = i < redo->set_cnt ? redo->is_new[i] : is_new;
	redo->set[i] = *member;
	redo->set_cnt += i == redo->set_cnt;
}

static void redo_gone(struct group_redo *redo, const uint8_t *key)
{
	for (unsigned i = 0; i < redo->set_cnt; i++)
		if (memcmp(redo->set[i].key, key, NODE_KEY_LEN) == 0) {
			redo->set[i] = redo->set[--redo->set_cnt];
			redo->is_new[i] = redo->is_new[redo->set_cnt];
		}
	if (redo->gone_cnt < GROUP_ROWS_MAX)
		memcpy(redo->gone[redo->gone_cnt++], key, NODE_KEY_LEN);
}

/* One state that a person of this node made, and that is undone. */
void social_groups_redo_add(struct groups *groups, struct group_row *row, uint64_t epoch)
{
	struct group_held was = {0}, is = {0};
	struct group_change *change = malloc(sizeof(*change));

	if (!change || social_groups_load_state(groups, row, epoch - 1, &was) < 0 ||
	    social_groups_load_state(groups, row, epoch, &is) < 0 ||
	    !groups_own(groups, is.state->admin))
		goto free_all;
	if (!row->redo && !(row->redo = calloc(1, sizeof(*row->redo))))
		goto free_all;
	memcpy(row->redo->person, is.state->admin, NODE_KEY_LEN);
	social_change_make(was.state, is.state, change);
	for (unsigned i = 0; i < change->set_cnt; i++)
		redo_set(row->redo, &change->set[i],
			 !social_group_member(was.state, change->set[i].key));
	for (unsigned i = 0; i < change->gone_cnt; i++)
		redo_gone(row->redo, change->gone[i]);
	row->redo->rekeys |= change->key != NULL;
free_all:
	social_group_held_free(&was);
	social_group_held_free(&is);
	free(change);
}

/* --- again --- */

/* What is left to do of it in the state that won. */
static void redo_filter(struct group_redo *redo, const struct group_state *now)
{
	unsigned set_cnt = 0, gone_cnt = 0;

	for (unsigned i = 0; i < redo->set_cnt; i++) {
		const struct group_member *is = social_group_member(now, redo->set[i].key);

		/* One that the other admin removed is not added again by a change of role. */
		if (is ? is->role != redo->set[i].role || is->is_visitor != redo->set[i].is_visitor
		       : redo->is_new[i])
			redo->set[set_cnt++] = redo->set[i];
	}
	for (unsigned i = 0; i < redo->gone_cnt; i++)
		if (social_group_member(now, redo->gone[i]))
			memmove(redo->gone[gone_cnt++], redo->gone[i], NODE_KEY_LEN);
	redo->set_cnt = set_cnt;
	redo->gone_cnt = gone_cnt;
}

void social_groups_redo(struct groups *groups, struct group_row *row, uint64_t now_ns)
{
	struct group_redo *redo = row->redo;
	struct group_edit edit;
	const struct node_key *person;
	struct group_op *op;
	int err;

	if (!redo || row->is_busy || groups->is_stopped)
		return;
	groups->now_ns = now_ns;
	row->redo = NULL;
	redo_filter(redo, row->now.state);
	edit = (struct group_edit){redo->set, redo->set_cnt,
				   (const uint8_t(*)[NODE_KEY_LEN])redo->gone, redo->gone_cnt};
	person = groups_own(groups, redo->person);
	op = person ? social_groups_op_new(groups, row->group->id, person, 1) : NULL;
	err = op ? social_groups_op_edit(op, row, &edit, redo->rekeys) : WEFT_EABSENT;
	if (err == 0 && op->step_cnt > 0) {
		err = social_groups_op_submit(op, row->group, NULL, NULL);
	} else {
		social_groups_op_free(op);
	}
	/* The disk may keep up with the next round. */
	if (err == WEFT_EBUSY && !row->redo)
		row->redo = redo;
	else
		free(redo);
}

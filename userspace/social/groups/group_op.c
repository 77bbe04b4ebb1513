/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New states on their way to the disk. An edit makes one of each shard that it touches. All of them are
 * durable before any is taken or sent, so a node that ends in between makes no second state of one epoch.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/random.h"
#include "social/groups/groups_state.h"

void social_groups_op_free(struct group_op *op)
{
	if (!op)
		return;
	for (unsigned i = 0; i < op->step_cnt; i++) {
		if (op->steps[i].row)
			op->steps[i].row->is_busy = false;
		free(op->steps[i].bytes);
		node_key_free(op->steps[i].secret);
	}
	free(op->steps);
	free(op);
}

struct group_op *social_groups_op_new(struct groups *groups, const uint8_t *group,
				      const struct node_key *person, unsigned step_cap)
{
	struct group_op *op = calloc(1, sizeof(*op));

	if (!op)
		return NULL;
	op->groups = groups;
	op->person = person;
	memcpy(op->group, group, sizeof(op->group));
	op->step_cap = step_cap;
	op->steps = calloc(step_cap, sizeof(*op->steps));
	if (op->steps)
		return op;
	free(op);
	return NULL;
}

int social_groups_secret_draw(struct groups *groups, struct node_key **out_key)
{
	uint8_t seed[NODE_KEY_SEED_LEN];
	int err;

	random_fill(groups->params.ground.random, seed, sizeof(seed));
	err = node_key_from_seed(seed, out_key);
	explicit_bzero(seed, sizeof(seed));
	return err;
}

/* Signs state, and adds it to op. secret is op's from here on. */
int social_groups_op_add(struct group_op *op, struct group_row *row, struct group_state *state,
			 struct node_key *secret)
{
	struct group_step *step = &op->steps[op->step_cnt];
	struct writer w;

	if (op->step_cnt == op->step_cap || !(step->bytes = malloc(GROUP_LEN_MAX))) {
		node_key_free(secret);
		return op->step_cnt == op->step_cap ? WEFT_EFULL : -ENOMEM;
	}
	op->step_cnt++;
	step->row = row;
	step->shard = state->shard;
	step->secret = secret;
	if (row)
		row->is_busy = true;
	if (secret)
		state->key = node_key_public(secret);
	w = writer_of(step->bytes, GROUP_LEN_MAX);
	social_group_write(&w, state, op->person);
	step->len = writer_len(&w);
	return w.bad ? WEFT_EFULL : 0;
}

/* The state that follows the row's with edit; nothing is added where nothing changes. */
int social_groups_op_edit(struct group_op *op, struct group_row *row, const struct group_edit *edit,
			  bool rekeys)
{
	struct groups *groups = op->groups;
	struct group_state *next = &groups->edited;
	struct node_key *secret = NULL;
	int err;

	if (edit->set_cnt == 0 && edit->gone_cnt == 0 && !rekeys)
		return 0;
	if (row->is_busy)
		return WEFT_EBUSY;
	if ((err = social_group_edit(row->now.state, edit, next)) < 0)
		return err;
	next->previous = row->now.hash;
	next->admin = node_key_public(op->person);
	if (rekeys || social_group_needs_key(row->now.state, next)) {
		if ((err = social_groups_secret_draw(groups, &secret)) < 0)
			return err;
		next->key = node_key_public(secret);
	}
	if (social_group_judge(row->now.state, row->now.hash, next) != GROUP_VERDICT_NEXT) {
		node_key_free(secret);
		return WEFT_EREFUSED;
	}
	return social_groups_op_add(op, row, next, secret);
}

/* --- outcomes --- */

static struct group_row *shard_begin(struct group_op *op, struct group *group,
				     struct group_step *step)
{
	struct groups *groups = op->groups;
	const struct group_span state = {step->bytes, step->len};
	struct group_row *row = social_groups_row_add(groups, group, step->shard);
	struct store_batch *batch = store_batch_new(groups->params.ground.store);

	if (row && social_groups_begin_row(groups, row, &state, step->secret, batch) == 0) {
		step->secret = NULL;
		(void)social_groups_submit(groups, batch, NULL, NULL);
		return row;
	}
	store_batch_free(batch);
	if (row)
		social_groups_row_drop(groups, row);
	return NULL;
}

static void step_take(struct group_op *op, struct group *group, struct group_step *step)
{
	struct group_row *row = step->row;
	struct node_key *secret = step->secret;

	if (!row) {
		row = shard_begin(op, group, step);
	} else {
		/* Another state may have come meanwhile: then this one is a fork of it. */
		row->is_busy = false;
		step->row = NULL;
		step->secret = NULL;
		if (social_groups_take(op->groups, row, step->bytes, step->len, secret) !=
		    GROUP_TOOK) {
			social_groups_redo(op->groups, row, op->groups->now_ns);
			return;
		}
	}
	if (!row)
		return;
	op->groups->stats.made_cnt++;
	social_groups_push(op->groups, row, op->groups->now_ns);
	social_groups_redo(op->groups, row, op->groups->now_ns);
}

static void op_done(void *arg, int err)
{
	struct group_op *op = arg;
	struct groups *groups = op->groups;
	struct group *group = social_groups_lookup(groups, op->group);
	void (*done)(void *arg, int err) = groups->is_stopped ? NULL : op->done;
	void *done_arg = op->arg;

	groups->stats.failed_cnt += err < 0;
	for (unsigned i = 0; err == 0 && group && i < op->step_cnt; i++)
		step_take(op, group, &op->steps[i]);
	/* A group that was never durable is none. */
	if (err < 0 && group && group->row_cnt == 0)
		social_groups_drop(groups, group);
	social_groups_op_free(op);
	if (done)
		done(done_arg, err);
}

int social_groups_op_submit(struct group_op *op, struct group *group,
			    void (*done)(void *arg, int err), void *arg)
{
	struct groups *groups = op->groups;
	struct store_batch *batch = store_batch_new(groups->params.ground.store);
	int err;

	op->done = done;
	op->arg = arg;
	if (group->row_cnt == 0)
		social_groups_put_group(batch, group);
	for (unsigned i = 0; i < op->step_cnt; i++) {
		const struct group_step *step = &op->steps[i];
		const struct group_row at = {.group = group, .shard = step->shard};
		struct group_past past = {.at_ms = social_wall_ms(&groups->params.ground)};
		struct group_held held = {.bytes = step->bytes, .len = step->len};

		if (social_group_parse(step->bytes, step->len, &groups->read) < 0)
			continue;
		past.epoch = groups->read.epoch;
		social_groups_put_state(batch, &at, &past, &held);
		if (step->secret) {
			social_groups_put_secret(groups, batch, &at, past.epoch, step->secret);
			groups->stats.wrapped_cnt++;
		}
	}
	err = social_groups_submit(groups, batch, op_done, op);
	if (err < 0)
		social_groups_op_free(op);
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is durable of groups, in STORE_GROUPS. A row's key is a kind, 32 bytes and a number:
 *
 *	G group 0		person 32 | is it leaving? u8 | name
 *	S group shard,epoch	when u64be | state
 *	K public key 0		group 32 | shard,epoch u64be | secret key, sealed to this node 60
 *	H group when		a hide, as its moderator signed it
 *	P hide's name 0		group 32 | when u64be | is it hidden? u8
 *	I group shard,epoch	when u64be | from 32 | message 640
 *	R zeros place		when u64be | group 32 | from 32: an invitation that was refused
 *
 * A shard is in the upper 16 bits of the number, an epoch in the lower ones.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/random.h"
#include "social/groups/groups_state.h"

#define GROUP_VALUE_LEN	 (NODE_KEY_LEN + 1u + GROUP_NAME_CAP)
#define SECRET_VALUE_LEN (GROUP_ID_LEN + 8u + GROUP_KEY_WRAPPED_LEN)
#define POST_VALUE_LEN	 (GROUP_ID_LEN + 9u)

static struct store_key key_of(uint8_t bytes[static GROUP_KEY_BYTES], char kind, const uint8_t *id,
			       uint64_t number)
{
	struct writer w = writer_of(bytes, GROUP_KEY_BYTES);

	writer_u8(&w, (uint8_t)kind);
	writer_bytes(&w, id, GROUP_ID_LEN);
	writer_be64(&w, number);
	return store_key(bytes, GROUP_KEY_BYTES);
}

static uint64_t number_of(uint32_t shard, uint64_t epoch)
{
	return (uint64_t)shard << GROUP_EPOCH_BITS | epoch;
}

/* --- writing --- */

void social_groups_put_group(struct store_batch *batch, const struct group *group)
{
	uint8_t key[GROUP_KEY_BYTES], value[GROUP_VALUE_LEN];
	struct writer w = writer_of(value, sizeof(value));

	writer_bytes(&w, group->person, sizeof(group->person));
	writer_u8(&w, group->is_leaving);
	writer_bytes(&w, group->name, strlen(group->name));
	store_batch_put(batch, STORE_GROUPS, key_of(key, GROUP_KIND_GROUP, group->id, 0), value,
			writer_len(&w));
}

void social_groups_put_state(struct store_batch *batch, const struct group_row *row,
			     const struct group_past *past, const struct group_held *held)
{
	uint8_t key[GROUP_KEY_BYTES], value[8 + GROUP_LEN_MAX];
	struct writer w = writer_of(value, sizeof(value));

	writer_be64(&w, past->at_ms);
	writer_bytes(&w, held->bytes, held->len);
	weft_assert(!w.bad);
	store_batch_put(
		batch, STORE_GROUPS,
		key_of(key, GROUP_KIND_STATE, row->group->id, number_of(row->shard, past->epoch)),
		value, writer_len(&w));
}

void social_groups_drop_state(struct store_batch *batch, const struct group_row *row,
			      uint64_t epoch)
{
	uint8_t key[GROUP_KEY_BYTES];

	store_batch_delete(
		batch, STORE_GROUPS,
		key_of(key, GROUP_KIND_STATE, row->group->id, number_of(row->shard, epoch)));
}

/* To this node as an admin would seal it to a member: a file alone opens no post. */
static struct group_wrap own_wrap(const struct groups *groups, const uint8_t *group,
				  uint64_t number)
{
	const uint8_t *own = node_key_public(groups->params.ground.key);

	return (struct group_wrap){.group = group, .admin = own, .member = own, .epoch = number};
}

void social_groups_put_secret(struct groups *groups, struct store_batch *batch,
			      const struct group_row *row, uint64_t epoch,
			      const struct node_key *secret)
{
	const struct social_ground *ground = &groups->params.ground;
	uint64_t number = number_of(row->shard, epoch);
	struct group_wrap wrap = own_wrap(groups, row->group->id, number);
	uint8_t key[GROUP_KEY_BYTES], value[SECRET_VALUE_LEN], nonce[12],
		wrapped[GROUP_KEY_WRAPPED_LEN];
	struct writer w = writer_of(value, sizeof(value));

	random_fill(ground->random, nonce, sizeof(nonce));
	if (social_group_wrap(&wrap, ground->key, node_key_seed(secret), nonce, wrapped) < 0)
		return;
	writer_bytes(&w, row->group->id, GROUP_ID_LEN);
	writer_be64(&w, number);
	writer_bytes(&w, wrapped, sizeof(wrapped));
	store_batch_put(batch, STORE_GROUPS,
			key_of(key, GROUP_KIND_SECRET, node_key_public(secret), 0), value,
			writer_len(&w));
}

void social_groups_forget(struct groups *groups, struct store_batch *batch, struct group *group)
{
	uint8_t key[GROUP_KEY_BYTES];

	store_batch_delete(batch, STORE_GROUPS, key_of(key, GROUP_KIND_GROUP, group->id, 0));
	for (const struct list_node *at = group->rows.next; at != &group->rows; at = at->next) {
		const struct group_row *row = container_of(at, struct group_row, link);

		for (unsigned i = 0; i < row->past_cnt; i++)
			social_groups_drop_state(batch, row, row->past[i].epoch);
	}
	social_groups_drop(groups, group);
}

static struct store_key invite_key(uint8_t *key, const struct group_invite *invite)
{
	return key_of(key, GROUP_KIND_INVITE, invite->group,
		      number_of(invite->shard, invite->epoch));
}

void social_groups_put_invite(struct store_batch *batch, const struct group_invite *invite)
{
	uint8_t key[GROUP_KEY_BYTES], value[8 + NODE_KEY_LEN + GROUP_KEY_LEN_MAX];
	struct writer w = writer_of(value, sizeof(value));

	writer_be64(&w, invite->time_ms);
	writer_bytes(&w, invite->from, sizeof(invite->from));
	writer_bytes(&w, invite->bytes, invite->len);
	weft_assert(!w.bad);
	store_batch_put(batch, STORE_GROUPS, invite_key(key, invite), value, writer_len(&w));
}

void social_groups_drop_invite(struct store_batch *batch, const struct group_invite *invite)
{
	uint8_t key[GROUP_KEY_BYTES];

	store_batch_delete(batch, STORE_GROUPS, invite_key(key, invite));
}

void social_groups_put_refusal(struct store_batch *batch, const struct group_refusal *refusal,
			       unsigned place)
{
	static const uint8_t zeros[GROUP_ID_LEN];
	uint8_t key[GROUP_KEY_BYTES], value[8 + GROUP_ID_LEN + NODE_KEY_LEN];
	struct writer w = writer_of(value, sizeof(value));

	writer_be64(&w, refusal->at_ms);
	writer_bytes(&w, refusal->group, sizeof(refusal->group));
	writer_bytes(&w, refusal->from, sizeof(refusal->from));
	store_batch_put(batch, STORE_GROUPS, key_of(key, GROUP_KIND_REFUSED, zeros, place), value,
			writer_len(&w));
}

static void count_failed(void *arg, int err)
{
	((struct groups *)arg)->stats.failed_cnt += err < 0;
}

int social_groups_submit(struct groups *groups, struct store_batch *batch,
			 void (*done)(void *arg, int err), void *arg)
{
	int err = store_submit(groups->params.ground.store, batch, done ? done : count_failed,
			       done ? arg : groups);

	if (err < 0) {
		store_batch_free(batch);
		groups->stats.failed_cnt++;
	}
	return err == WEFT_EFULL ? WEFT_EBUSY : err;
}

struct person_wait {
	struct groups *groups;
	void (*done)(void *arg, int err);
	void *arg;
};

static void person_done(void *arg, int err)
{
	struct person_wait wait = *(struct person_wait *)arg;

	free(arg);
	wait.groups->stats.failed_cnt += err < 0;
	if (wait.done && !wait.groups->is_stopped)
		wait.done(wait.arg, err);
}

int social_groups_submit_for(struct groups *groups, struct store_batch *batch,
			     const struct group_ask *ask)
{
	struct person_wait *wait = malloc(sizeof(*wait));
	int err;

	if (!wait) {
		store_batch_free(batch);
		return -ENOMEM;
	}
	*wait = (struct person_wait){groups, ask->done, ask->arg};
	err = social_groups_submit(groups, batch, person_done, wait);
	if (err < 0)
		free(wait);
	return err;
}

/* --- reading --- */

static int state_load(const struct group_held *from, struct group_held *out_held)
{
	return social_group_held_set(out_held, from->bytes, from->len);
}

int social_groups_load_state(struct groups *groups, const struct group_row *row, uint64_t epoch,
			     struct group_held *out_held)
{
	uint8_t key[GROUP_KEY_BYTES];
	struct store_snapshot *snapshot;
	const void *value;
	size_t len;
	int err;

	if (row->now.state->epoch == epoch)
		return state_load(&row->now, out_held);
	if (row->before.bytes && row->before.state->epoch == epoch)
		return state_load(&row->before, out_held);
	if ((err = store_snapshot_open(groups->params.ground.store, &snapshot)) < 0)
		return err;
	err = store_get(snapshot, STORE_GROUPS,
			key_of(key, GROUP_KIND_STATE, row->group->id, number_of(row->shard, epoch)),
			&value, &len);
	if (err == 0)
		err = len <= 8 ? WEFT_EDAMAGED
			       : social_group_held_set(out_held, (const uint8_t *)value + 8,
						       len - 8);
	store_snapshot_close(snapshot);
	return err;
}

/* --- secrets --- */

static struct node_key *secret_open(struct groups *groups, const uint8_t *value, size_t len,
				    const uint8_t *public)
{
	struct cursor c = cursor_of(value, len);
	const uint8_t *group = cursor_bytes(&c, GROUP_ID_LEN);
	uint64_t number = cursor_be64(&c);
	const uint8_t *wrapped = cursor_bytes(&c, GROUP_KEY_WRAPPED_LEN);
	struct node_key *key = NULL;
	struct group_wrap wrap;
	uint8_t seed[NODE_KEY_SEED_LEN];

	if (c.bad)
		return NULL;
	wrap = own_wrap(groups, group, number);
	if (social_group_unwrap(&wrap, groups->params.ground.key, wrapped, seed) < 0 ||
	    node_key_from_seed(seed, &key) < 0)
		key = NULL;
	explicit_bzero(seed, sizeof(seed));
	if (key && memcmp(node_key_public(key), public, NODE_KEY_LEN) != 0) {
		node_key_free(key);
		key = NULL;
	}
	return key;
}

struct node_key *social_groups_secret_take(struct groups *groups, const uint8_t *public)
{
	uint8_t key[GROUP_KEY_BYTES];
	struct store_snapshot *snapshot;
	struct node_key *secret = NULL;
	const void *value;
	size_t len;

	if (store_snapshot_open(groups->params.ground.store, &snapshot) < 0)
		return NULL;
	if (store_get(snapshot, STORE_GROUPS, key_of(key, GROUP_KIND_SECRET, public, 0), &value,
		      &len) == 0)
		secret = secret_open(groups, value, len, public);
	store_snapshot_close(snapshot);
	return secret;
}

/* The place that was used longest ago. */
static struct group_secret *secret_place(struct groups *groups)
{
	struct group_secret *place = &groups->secrets[0];

	for (unsigned i = 0; i < GROUP_SECRETS_CAP; i++)
		if (groups->secrets[i].used < place->used)
			place = &groups->secrets[i];
	return place;
}

const struct node_key *social_groups_secret(struct groups *groups, const uint8_t *group,
					    const uint8_t *key)
{
	const struct group *held = social_groups_lookup(groups, group);
	struct group_secret *place;
	struct node_key *secret;

	for (unsigned i = 0; i < GROUP_SECRETS_CAP; i++) {
		place = &groups->secrets[i];
		if (place->key && memcmp(node_key_public(place->key), key, NODE_KEY_LEN) == 0) {
			place->used = ++groups->secret_use;
			return place->key;
		}
	}
	for (const struct list_node *at = held ? held->rows.next : NULL; held && at != &held->rows;
	     at = at->next) {
		const struct group_row *row = container_of(at, struct group_row, link);

		if (row->secret && memcmp(row->now.state->key, key, NODE_KEY_LEN) == 0)
			return row->secret;
	}
	secret = social_groups_secret_take(groups, key);
	if (!secret)
		return NULL;
	place = secret_place(groups);
	node_key_free(place->key);
	*place = (struct group_secret){secret, ++groups->secret_use};
	return secret;
}

void social_groups_secrets_fini(struct groups *groups)
{
	for (unsigned i = 0; i < GROUP_SECRETS_CAP; i++)
		node_key_free(groups->secrets[i].key);
}

/* --- hides --- */

static bool post_read(struct store_snapshot *snapshot, const uint8_t *name,
		      uint8_t out_value[static POST_VALUE_LEN])
{
	uint8_t key[GROUP_KEY_BYTES];
	const void *value;
	size_t len;

	if (store_get(snapshot, STORE_GROUPS, key_of(key, GROUP_KIND_POST, name, 0), &value, &len) <
		    0 ||
	    len != POST_VALUE_LEN)
		return false;
	memcpy(out_value, value, POST_VALUE_LEN);
	return true;
}

bool social_group_is_hidden(struct groups *groups, const struct group_hide *what)
{
	uint8_t value[POST_VALUE_LEN], name[GROUP_HIDE_NAME_LEN];
	struct store_snapshot *snapshot;
	bool is_hidden;

	if (store_snapshot_open(groups->params.ground.store, &snapshot) < 0)
		return false;
	social_hide_name(what, name);
	is_hidden = post_read(snapshot, name, value) && value[POST_VALUE_LEN - 1];
	store_snapshot_close(snapshot);
	return is_hidden;
}

/* What was said of the post before: 0 with when that came, or 0; WEFT_EEXISTS: it is as new. */
static int hide_former(struct groups *groups, struct group *group, const struct group_hide *hide,
		       uint64_t *out_came_ms)
{
	uint8_t value[POST_VALUE_LEN], key[GROUP_KEY_BYTES], name[GROUP_HIDE_NAME_LEN];
	struct store_snapshot *snapshot;
	struct group_hide former;
	const void *bytes;
	size_t len;
	int err = store_snapshot_open(groups->params.ground.store, &snapshot);

	*out_came_ms = 0;
	if (err < 0)
		return err;
	social_hide_name(hide, name);
	if (post_read(snapshot, name, value)) {
		struct cursor c = cursor_of(value + GROUP_ID_LEN, 8);
		uint64_t came_ms = cursor_be64(&c);

		if (store_get(snapshot, STORE_GROUPS,
			      key_of(key, GROUP_KIND_HIDE, group->id, came_ms), &bytes,
			      &len) == 0 &&
		    social_hide_read(bytes, len, &former) == 0 && former.time_ms >= hide->time_ms)
			err = WEFT_EEXISTS;
		else
			*out_came_ms = came_ms;
	}
	store_snapshot_close(snapshot);
	return err;
}

/* The sum has what the later one takes the place of no longer. */
static void sum_replace(struct groups *groups, struct group *group, uint64_t former_ms,
			const void *bytes, size_t len)
{
	uint8_t key[GROUP_KEY_BYTES];
	struct store_snapshot *snapshot;
	const void *former;
	size_t former_len;

	social_group_sum_add(group, bytes, len);
	if (former_ms == 0 || store_snapshot_open(groups->params.ground.store, &snapshot) < 0)
		return;
	if (store_get(snapshot, STORE_GROUPS, key_of(key, GROUP_KIND_HIDE, group->id, former_ms),
		      &former, &former_len) == 0)
		social_group_sum_add(group, former, former_len);
	store_snapshot_close(snapshot);
}

int social_groups_put_hide(struct groups *groups, struct group *group,
			   const struct group_hide *hide, const struct group_span *bytes,
			   const struct group_put_done *done)
{
	uint64_t now_ms = social_wall_ms(&groups->params.ground), former_ms;
	uint8_t key[GROUP_KEY_BYTES], value[POST_VALUE_LEN], name[GROUP_HIDE_NAME_LEN];
	struct writer w = writer_of(value, sizeof(value));
	struct store_batch *batch;
	int err = hide_former(groups, group, hide, &former_ms);

	if (err < 0)
		return err;
	if (former_ms == 0 && group->hide_cnt == GROUP_HIDES_MAX)
		return WEFT_EFULL;
	/* No two of a group come at one time, so a time is a cursor. */
	if (now_ms <= group->hidden_ms)
		now_ms = group->hidden_ms + 1;
	sum_replace(groups, group, former_ms, bytes->bytes, bytes->len);
	batch = store_batch_new(groups->params.ground.store);
	if (former_ms)
		store_batch_delete(batch, STORE_GROUPS,
				   key_of(key, GROUP_KIND_HIDE, group->id, former_ms));
	store_batch_put(batch, STORE_GROUPS, key_of(key, GROUP_KIND_HIDE, group->id, now_ms),
			bytes->bytes, bytes->len);
	writer_bytes(&w, group->id, GROUP_ID_LEN);
	writer_be64(&w, now_ms);
	writer_u8(&w, hide->is_hidden);
	social_hide_name(hide, name);
	store_batch_put(batch, STORE_GROUPS, key_of(key, GROUP_KIND_POST, name, 0), value,
			writer_len(&w));
	if ((err = social_groups_submit(groups, batch, done->done, done->arg)) < 0)
		return err;
	group->hide_cnt += former_ms == 0;
	group->hidden_ms = now_ms;
	return 0;
}

void social_groups_hides(struct groups *groups, const struct group *group, uint64_t after,
			 struct store_snapshot *snapshot, struct group_page_message *page)
{
	uint8_t key[GROUP_KEY_BYTES];
	struct store_iter iter = store_iter(snapshot, STORE_GROUPS,
					    key_of(key, GROUP_KIND_HIDE, group->id, after + 1));
	struct store_item item;

	while (store_iter_next(&iter, &item) && item.key[0] == GROUP_KIND_HIDE &&
	       memcmp(item.key + 1, group->id, GROUP_ID_LEN) == 0) {
		if (page->hide_cnt == GROUP_NOTES_MAX) {
			page->next = after;
			break;
		}
		after = cursor_be64(&(struct cursor){item.key + 33, item.key + 41, false});
		page->hides[page->hide_cnt++] = (struct group_span){item.value, item.value_len};
	}
	groups->stats.failed_cnt += store_iter_end(&iter) < 0;
}

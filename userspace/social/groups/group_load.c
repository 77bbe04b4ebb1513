/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what is durable of groups when the node starts. group_store.c has the rows. */
#include <errno.h>

#include "crypto/blake3/blake3.h"
#include "social/groups/groups_state.h"

void social_group_sum_add(struct group *group, const void *bytes, size_t len)
{
	uint8_t hash[GROUP_HASH_LEN];

	blake3_hash(bytes, len, hash);
	for (unsigned i = 0; i < GROUP_HASH_LEN; i++)
		group->hides_sum[i] ^= hash[i];
}

static int group_load(struct groups *groups, const uint8_t *id, struct cursor *value)
{
	struct group *group = social_groups_add(groups, id);
	size_t name_len;

	if (!group)
		return WEFT_EFULL;
	cursor_copy(value, group->person, sizeof(group->person));
	group->is_leaving = cursor_u8(value);
	name_len = cursor_left(value);
	if (name_len >= sizeof(group->name))
		return WEFT_EDAMAGED;
	cursor_copy(value, group->name, name_len);
	return value->bad ? WEFT_EDAMAGED : 0;
}

static int state_load(struct groups *groups, const uint8_t *id, uint64_t number,
		      struct cursor *value)
{
	struct group *group = social_groups_lookup(groups, id);
	uint32_t shard = (uint32_t)(number >> GROUP_EPOCH_BITS);
	struct group_row *row = group ? social_groups_row(group, shard) : NULL;
	uint64_t at_ms = cursor_be64(value);
	struct group_past *past;
	struct group_held held = {0};
	size_t len = cursor_left(value);
	int err;

	if (!group || value->bad)
		return WEFT_EDAMAGED;
	if (!row && !(row = social_groups_row_add(groups, group, shard)))
		return WEFT_EFULL;
	if ((err = social_group_held_set(&held, value->pos, len)) < 0)
		return err;
	/* Rows ascend, so each is newer than the one before. */
	social_group_held_free(&row->before);
	row->before = row->now;
	row->now = held;
	if (row->past_cnt == GROUP_STATES_KEPT)
		memmove(row->past, row->past + 1, --row->past_cnt * sizeof(row->past[0]));
	past = &row->past[row->past_cnt++];
	*past = (struct group_past){.epoch = held.state->epoch, .at_ms = at_ms};
	memcpy(past->hash, held.hash, sizeof(past->hash));
	memcpy(past->key, held.state->key, sizeof(past->key));
	return 0;
}

static void hide_load(struct groups *groups, const uint8_t *id, uint64_t number,
		      const struct cursor *value)
{
	struct group *group = social_groups_lookup(groups, id);

	if (!group)
		return;
	group->hide_cnt++;
	group->hidden_ms = number;
	social_group_sum_add(group, value->pos, cursor_left(value));
}

static int item_load(struct groups *groups, const struct store_item *item)
{
	struct cursor key = cursor_of(item->key, item->key_len);
	struct cursor value = cursor_of(item->value, item->value_len);
	char kind = (char)cursor_u8(&key);
	const uint8_t *id = cursor_bytes(&key, GROUP_ID_LEN);
	uint64_t number = cursor_be64(&key);

	if (key.bad)
		return WEFT_EDAMAGED;
	switch (kind) {
	case GROUP_KIND_GROUP:
		return group_load(groups, id, &value);
	case GROUP_KIND_STATE:
		return state_load(groups, id, number, &value);
	case GROUP_KIND_HIDE:
		hide_load(groups, id, number, &value);
		return 0;
	case GROUP_KIND_INVITE:
		return social_groups_invite_load(groups, item->value, item->value_len);
	case GROUP_KIND_REFUSED:
		return social_groups_refusal_load(groups, number, &value);
	default:
		return 0; /* read where it is needed */
	}
}

/* Secrets are read once all states are here; a group without any is none. */
static void settle(struct groups *groups)
{
	struct list_node *next;

	for (struct list_node *at = groups->all.next; at != &groups->all; at = next) {
		struct group *group = container_of(at, struct group, link);

		next = at->next;
		for (struct list_node *r = group->rows.next; r != &group->rows; r = r->next) {
			struct group_row *row = container_of(r, struct group_row, link);

			row->secret = social_groups_secret_take(groups, row->now.state->key);
		}
		if (group->row_cnt == 0) {
			groups->stats.failed_cnt++;
			social_groups_drop(groups, group);
		}
	}
}

int social_groups_load(struct groups *groups)
{
	struct store_iter iter =
		store_iter_fresh(groups->params.ground.store, STORE_GROUPS, STORE_ALL);
	struct store_item item;
	int err;

	while (store_iter_next(&iter, &item)) {
		err = item_load(groups, &item);
		if (err == -ENOMEM) {
			iter.err = err;
			break;
		}
		groups->stats.failed_cnt += err < 0;
	}
	err = store_iter_end(&iter);
	if (err == WEFT_EDAMAGED) {
		groups->stats.failed_cnt++;
		err = 0;
	}
	if (err == 0)
		settle(groups);
	return err;
}

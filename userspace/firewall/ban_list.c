/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of bans. A change takes effect in memory at once and goes to the store as a batch of its
 * own, whose outcome the asker gets. Expired bans are deleted from the store without a wait: if
 * that is lost, the next start finds them expired.
 */
#include "ban_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "base/byte_cursor.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory/pool.h"
#include "store/store.h"

struct ban_list {
	struct store *store;
	struct arena arena;
	struct pool pool;
	struct map by_id;
	struct list_node changes; /* with an outcome not known yet */
};

/* A change on its way to the disk, and what to go back to. */
struct change {
	struct list_node node; /* of list->changes */
	struct ban_list *list;
	struct ban before, after;
	bool was_there, is_there;
	ban_done_fn done;
	void *arg;
};

static int list_lay_out(struct ban_list *list)
{
	/* Only those that may ban choose ids, so the hash needs no secret. */
	static const uint64_t secret[2] = {0x62616e, 0x6c697374};
	int err = arena_open(&list->arena, ARENA_GROWS);

	if (err == 0)
		err = pool_init(&list->pool, &list->arena, sizeof(struct ban), BAN_LIST_CAP);
	if (err == 0)
		err = map_init(&list->by_id, &list->arena, BAN_ID_LEN, BAN_LIST_CAP, secret);
	arena_fit(&list->arena);
	return err;
}

size_t firewall_ban_list_footprint(void)
{
	struct ban_list list = {0};
	size_t len = list_lay_out(&list) < 0 ? 0 : list.arena.used_len;

	arena_close(&list.arena);
	return len;
}

static struct ban *list_lookup(const struct ban_list *list, const struct ban_target *target)
{
	uint8_t id[BAN_ID_LEN];

	firewall_ban_target_id(target, id);
	return map_lookup(&list->by_id, id);
}

static int list_set(struct ban_list *list, const struct ban *ban)
{
	struct ban *slot = list_lookup(list, &ban->target);
	uint8_t id[BAN_ID_LEN];

	if (slot) {
		*slot = *ban;
		return 0;
	}
	slot = pool_acquire(&list->pool);
	if (!slot)
		return WEFT_EFULL;
	firewall_ban_target_id(&ban->target, id);
	if (map_put(&list->by_id, id, slot) < 0) {
		pool_release(&list->pool, slot);
		return WEFT_EFULL;
	}
	*slot = *ban;
	return 0;
}

static void list_unset(struct ban_list *list, const struct ban_target *target)
{
	uint8_t id[BAN_ID_LEN];
	struct ban *slot;

	firewall_ban_target_id(target, id);
	slot = map_delete(&list->by_id, id);
	if (slot)
		pool_release(&list->pool, slot);
}

/* Sent without an answer: an expired ban that stays is found again by the next start. */
static void batch_send(struct ban_list *list, struct store_batch *batch)
{
	if (batch && store_submit(list->store, batch, NULL, NULL) < 0)
		store_batch_free(batch);
}

static int list_load(struct ban_list *list, uint64_t wall_s)
{
	struct store_iter iter = store_iter_fresh(list->store, STORE_BANS, STORE_ALL);
	struct store_batch *expired = NULL;
	struct store_item item;
	struct ban ban;

	while (store_iter_next(&iter, &item)) {
		int err = firewall_ban_record_parse(item.key, item.value, item.value_len, &ban);

		/* A record that cannot be read bans no peer, and does not hinder a start. */
		if (err < 0 && err != WEFT_EABSENT)
			continue;
		if (err == 0 && !firewall_ban_is_expired(&ban, wall_s)) {
			iter.err = list_set(list, &ban);
			continue;
		}
		if (!expired)
			expired = store_batch_new(list->store);
		store_batch_delete(expired, STORE_BANS, store_key(item.key, item.key_len));
	}
	batch_send(list, expired);
	return store_iter_end(&iter);
}

int firewall_ban_list_open(struct store *store, uint64_t wall_s, struct ban_list **out_list)
{
	struct ban_list *list = calloc(1, sizeof(*list));
	int err;

	if (!list)
		return -ENOMEM;
	list_init(&list->changes);
	list->store = store;
	if ((err = list_lay_out(list)) < 0 || (err = list_load(list, wall_s)) < 0) {
		firewall_ban_list_free(list);
		return err;
	}
	*out_list = list;
	return 0;
}

void firewall_ban_list_free(struct ban_list *list)
{
	struct change *change;

	if (!list)
		return;
	while ((change = list_first(&list->changes, struct change, node))) {
		list_unlink(&change->node);
		free(change);
	}
	arena_close(&list->arena);
	free(list);
}

static struct store_batch *batch_of(const struct ban_list *list, const struct ban_target *target,
				    const struct ban *ban)
{
	struct store_batch *batch = store_batch_new(list->store);
	uint8_t id[BAN_ID_LEN], value[BAN_RECORD_LEN_MAX];
	struct writer w = writer_of(value, sizeof(value));

	firewall_ban_target_id(target, id);
	if (!batch)
		return NULL;
	if (ban) {
		firewall_ban_record_write(&w, ban);
		store_batch_put(batch, STORE_BANS, store_key(id, sizeof(id)), value,
				writer_len(&w));
	} else {
		store_batch_delete(batch, STORE_BANS, store_key(id, sizeof(id)));
	}
	return batch;
}

static bool ban_equal(const struct ban *a, const struct ban *b)
{
	return a->added_s == b->added_s && a->expires_s == b->expires_s &&
	       strcmp(a->reason, b->reason) == 0;
}

/* True when the ban is as the change made it: no later change came. */
static bool change_stands(const struct change *change)
{
	const struct ban *now = list_lookup(change->list, &change->after.target);

	return change->is_there ? now && ban_equal(now, &change->after) : !now;
}

static void change_done(void *arg, int err)
{
	struct change *change = arg;

	if (err < 0 && change_stands(change)) {
		if (change->was_there)
			(void)list_set(change->list, &change->before);
		else
			list_unset(change->list, &change->after.target);
	}
	list_unlink(&change->node);
	change->done(change->arg, err);
	free(change);
}

/* Submits first, so that a refusal leaves the list as it is. */
static int list_change(struct ban_list *list, const struct change *wanted)
{
	struct change *change = malloc(sizeof(*change));
	struct store_batch *batch =
		batch_of(list, &wanted->after.target, wanted->is_there ? &wanted->after : NULL);
	int err;

	if (!change || !batch) {
		store_batch_free(batch);
		free(change);
		return -ENOMEM;
	}
	*change = *wanted;
	err = store_submit(list->store, batch, change_done, change);
	if (err < 0) {
		store_batch_free(batch);
		free(change);
		return err;
	}
	list_push_back(&list->changes, &change->node);
	/* There is room: put looked before. */
	if (wanted->is_there)
		(void)list_set(list, &wanted->after);
	else
		list_unset(list, &wanted->after.target);
	return 0;
}

static bool list_is_full_for(const struct ban_list *list, const struct ban *ban)
{
	if (ban->is_automatic && firewall_ban_list_auto_cnt(list) >= BAN_LIST_AUTO_CAP)
		return true;
	return list->pool.used_cnt == list->pool.cap_cnt;
}

int firewall_ban_list_put(struct ban_list *list, const struct ban *ban, ban_done_fn done, void *arg)
{
	const struct ban *before = list_lookup(list, &ban->target);
	struct change change = {
		.list = list, .after = *ban, .is_there = true, .done = done, .arg = arg};

	if (!before && list_is_full_for(list, ban))
		return WEFT_EFULL;
	change.was_there = before != NULL;
	if (before)
		change.before = *before;
	return list_change(list, &change);
}

int firewall_ban_list_delete(struct ban_list *list, const struct ban_target *target,
			     ban_done_fn done, void *arg)
{
	const struct ban *before = list_lookup(list, target);
	struct change change = {.list = list, .was_there = true, .done = done, .arg = arg};

	if (!before)
		return WEFT_EABSENT;
	change.before = *before;
	change.after.target = *target;
	return list_change(list, &change);
}

unsigned firewall_ban_list_expire(struct ban_list *list, uint64_t wall_s,
				  void (*fn)(void *arg, const struct ban *ban), void *arg)
{
	struct store_batch *batch = NULL;
	const struct ban *ban = NULL;
	uint8_t id[BAN_ID_LEN];
	unsigned cnt = 0;

	while ((ban = firewall_ban_list_next(list, ban))) {
		const struct ban ended = *ban;

		if (!firewall_ban_is_expired(&ended, wall_s))
			continue;
		if (!batch)
			batch = store_batch_new(list->store);
		firewall_ban_target_id(&ended.target, id);
		store_batch_delete(batch, STORE_BANS, store_key(id, sizeof(id)));
		list_unset(list, &ended.target);
		if (fn)
			fn(arg, &ended);
		cnt++;
	}
	batch_send(list, batch);
	return cnt;
}

void firewall_ban_list_drop(struct ban_list *list, const struct ban_target *target)
{
	batch_send(list, batch_of(list, target, NULL));
	list_unset(list, target);
}

uint64_t firewall_ban_list_next_s(const struct ban_list *list)
{
	uint64_t next_s = UINT64_MAX;
	const struct ban *ban = NULL;

	while ((ban = firewall_ban_list_next(list, ban)))
		if (ban->expires_s && ban->expires_s < next_s)
			next_s = ban->expires_s;
	return next_s;
}

unsigned firewall_ban_list_cnt(const struct ban_list *list)
{
	return list->pool.used_cnt;
}

unsigned firewall_ban_list_auto_cnt(const struct ban_list *list)
{
	const struct ban *ban = NULL;
	unsigned cnt = 0;

	while ((ban = firewall_ban_list_next(list, ban)))
		cnt += ban->is_automatic;
	return cnt;
}

const struct ban *firewall_ban_list_lookup(const struct ban_list *list,
					   const struct ban_target *target)
{
	return list_lookup(list, target);
}

/* A limit keeps no source out, so it says less than any ban. */
static bool match_is_better(const struct ban *ban, const struct ban *than)
{
	if (!than || ban->is_limit != than->is_limit)
		return !than || than->is_limit;
	return ban->target.prefix_len > than->target.prefix_len;
}

const struct ban *firewall_ban_list_match(const struct ban_list *list, const struct addr *addr)
{
	const struct ban *longest = NULL, *ban = NULL;

	while ((ban = firewall_ban_list_next(list, ban)))
		if (firewall_ban_target_has(&ban->target, addr) && match_is_better(ban, longest))
			longest = ban;
	return longest;
}

const struct ban *firewall_ban_list_next(const struct ban_list *list, const struct ban *ban)
{
	return pool_next(&list->pool, ban);
}

struct ban_set *firewall_ban_list_copy(const struct ban_list *list, uint64_t wall_s,
				       uint64_t now_ns)
{
	struct ban_set *set =
		malloc(sizeof(*set) + firewall_ban_list_cnt(list) * sizeof(set->rules[0]));
	const struct ban *ban = NULL;

	if (!set)
		return NULL;
	set->cnt = 0;
	while ((ban = firewall_ban_list_next(list, ban))) {
		struct ban_rule *rule = &set->rules[set->cnt];

		set->cnt++;
		rule->target = ban->target;
		rule->is_limit = ban->is_limit;
		rule->expires_ns = 0;
		/* 1 is long ago, and not 0. */
		if (ban->expires_s)
			rule->expires_ns = ban->expires_s > wall_s
						   ? now_ns + (ban->expires_s - wall_s) * NS_PER_S
						   : 1;
	}
	return set;
}

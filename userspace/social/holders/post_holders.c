/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of posts and persons, read where they are asked for and written in
 * batches of their own. Only what waits for its batch is in memory.
 */
#include "social/holders/post_holders.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/list.h"
#include "store/store.h"

#define ROW_LAYOUT   1u
#define ROW_KEY_LEN  (POST_ID_LEN + NODE_KEY_LEN)
#define ROW_HEAD_LEN (2u + 4 * 8 + POST_ID_LEN)
#define ROW_LEN_MAX  (ROW_HEAD_LEN + REPLICA_STORED_LEN_MAX)
#define WAITING_MAX  1024u
#define PERSISTENT   (HOLDER_GIVEN | HOLDER_REVOKED)

struct post_holders {
	const struct social_ground *ground;
	struct list_node waiting;
	unsigned waiting_cnt;
	unsigned noting_cnt, giving_cnt, revoking_cnt; /* of them, by what they are of */
};

/* Marks on their way to the disk. */
struct waiting {
	struct list_node link;
	struct post_holders *holders;
	unsigned *cnt; /* that of its kind */
	void (*done)(void *arg, int err);
	void *arg;
};

/* --- rows --- */

struct row {
	uint8_t key[ROW_KEY_LEN];
	struct post_holder holder;
	uint8_t replaced_by[POST_ID_LEN];
	uint8_t note[REPLICA_STORED_LEN_MAX];
};

static const uint8_t zeros[POST_ID_LEN];

static void row_init(struct row *row, const uint8_t *post, const uint8_t *person)
{
	*row = (struct row){.holder = {.flags = 0}};
	memcpy(row->key, post, POST_ID_LEN);
	memcpy(row->key + POST_ID_LEN, person, NODE_KEY_LEN);
	row->holder.post = row->key;
	row->holder.person = row->key + POST_ID_LEN;
}

/* Borrows key and value. 0 or WEFT_EDAMAGED. */
static int row_parse(const uint8_t *key, const uint8_t *value, size_t len,
		     struct post_holder *out_holder)
{
	struct cursor c = cursor_of(value, len);
	struct post_holder holder = {.post = key, .person = key + POST_ID_LEN};
	uint8_t layout = cursor_u8(&c);

	holder.flags = cursor_u8(&c);
	holder.given_ms = cursor_be64(&c);
	holder.heard_ms = cursor_be64(&c);
	holder.noted_ms = cursor_be64(&c);
	holder.revoked_ms = cursor_be64(&c);
	holder.replaced_by = cursor_bytes(&c, POST_ID_LEN);
	if (c.bad || layout != ROW_LAYOUT || cursor_left(&c) > REPLICA_STORED_LEN_MAX)
		return WEFT_EDAMAGED;
	if (memcmp(holder.replaced_by, zeros, POST_ID_LEN) == 0)
		holder.replaced_by = NULL;
	holder.note_len = cursor_left(&c);
	if (holder.note_len)
		holder.note = c.pos;
	*out_holder = holder;
	return 0;
}

static void row_put(struct store_batch *batch, const struct row *row)
{
	uint8_t value[ROW_LEN_MAX];
	struct writer w = writer_of(value, sizeof(value));
	const struct post_holder *holder = &row->holder;

	writer_u8(&w, ROW_LAYOUT);
	writer_u8(&w, (uint8_t)holder->flags);
	writer_be64(&w, holder->given_ms);
	writer_be64(&w, holder->heard_ms);
	writer_be64(&w, holder->noted_ms);
	writer_be64(&w, holder->revoked_ms);
	writer_bytes(&w, holder->replaced_by ? holder->replaced_by : zeros, POST_ID_LEN);
	writer_bytes(&w, holder->note, holder->note_len);
	store_batch_put(batch, STORE_REPLICAS, store_key(row->key, ROW_KEY_LEN), value,
			writer_len(&w));
}

/* A row as it is, copied; a new one where there is none. */
static int row_load(struct store_snapshot *snapshot, const uint8_t *post, const uint8_t *person,
		    struct row *out_row)
{
	struct post_holder found;
	const void *value;
	size_t len;
	int err;

	row_init(out_row, post, person);
	err = store_get(snapshot, STORE_REPLICAS, store_key(out_row->key, ROW_KEY_LEN), &value,
			&len);
	if (err == WEFT_EABSENT)
		return 0;
	if (err == 0)
		err = row_parse(out_row->key, value, len, &found);
	if (err < 0)
		return err;
	if (found.replaced_by) {
		memcpy(out_row->replaced_by, found.replaced_by, POST_ID_LEN);
		found.replaced_by = out_row->replaced_by;
	}
	if (found.note) {
		memcpy(out_row->note, found.note, found.note_len);
		found.note = out_row->note;
	}
	out_row->holder = found;
	return 0;
}

bool social_holder_is_live(const struct post_holder *holder, uint64_t wall_ms)
{
	return (holder->flags & HOLDER_HAS) && holder->heard_ms + HOLDER_SILENT_MS > wall_ms;
}

/* --- batches --- */

static void on_durable(void *arg, int err)
{
	struct waiting *waiting = arg;
	void (*done)(void *arg, int err) = waiting->done;
	void *done_arg = waiting->arg;

	waiting->holders->waiting_cnt--;
	--*waiting->cnt;
	list_unlink(&waiting->link);
	free(waiting);
	if (done)
		done(done_arg, err);
}

/* Takes batch in every case; cnt is the number of its kind that wait. */
static int submit(struct post_holders *holders, struct store_batch *batch, unsigned *cnt,
		  void (*done)(void *arg, int err), void *arg)
{
	struct waiting *waiting = calloc(1, sizeof(*waiting));
	int err = waiting ? 0 : -ENOMEM;

	if (err == 0 && holders->waiting_cnt == WAITING_MAX)
		err = WEFT_EFULL;
	if (err == 0) {
		*waiting =
			(struct waiting){.holders = holders, .cnt = cnt, .done = done, .arg = arg};
		err = store_submit(holders->ground->store, batch, on_durable, waiting);
	}
	if (err < 0) {
		store_batch_free(batch);
		free(waiting);
		return err;
	}
	list_push_back(&holders->waiting, &waiting->link);
	holders->waiting_cnt++;
	++*cnt;
	return 0;
}

/* --- marks --- */

int social_holders_give(struct post_holders *holders, const struct holders_give *give)
{
	uint64_t wall_ms = social_wall_ms(holders->ground);
	struct store_snapshot *snapshot;
	struct store_batch *batch;
	unsigned fresh_cnt = 0;
	int err;

	if (give->post_cnt > HOLDERS_GIVEN_MAX)
		return WEFT_EFULL;
	if ((err = store_snapshot_open(holders->ground->store, &snapshot)) < 0)
		return err;
	batch = store_batch_new(holders->ground->store);
	for (unsigned i = 0; i < give->post_cnt && err == 0; i++) {
		struct row row;

		err = row_load(snapshot, give->posts[i], give->person, &row);
		if (err < 0 || (row.holder.flags & HOLDER_GIVEN))
			continue;
		row.holder.flags |= HOLDER_GIVEN;
		row.holder.given_ms = wall_ms;
		row_put(batch, &row);
		fresh_cnt++;
	}
	store_snapshot_close(snapshot);
	if (err == 0 && fresh_cnt)
		return submit(holders, batch, &holders->giving_cnt, give->done, give->arg);
	store_batch_free(batch);
	if (err == 0)
		give->done(give->arg, 0);
	return err;
}

bool social_holders_is_giving(const struct post_holders *holders)
{
	return holders->giving_cnt > 0;
}

int social_holders_revoked(struct post_holders *holders, const struct holder_revoked *revoked)
{
	struct store_snapshot *snapshot;
	struct store_batch *batch;
	struct row row;
	int err = store_snapshot_open(holders->ground->store, &snapshot);

	if (err < 0)
		return err;
	err = row_load(snapshot, revoked->post, revoked->person, &row);
	store_snapshot_close(snapshot);
	if (err < 0)
		return err;
	row.holder.flags |= HOLDER_REVOKED;
	row.holder.revoked_ms = social_wall_ms(holders->ground);
	if (revoked->replaced_by)
		row.holder.replaced_by = revoked->replaced_by;
	batch = store_batch_new(holders->ground->store);
	row_put(batch, &row);
	return submit(holders, batch, &holders->revoking_cnt, revoked->done, revoked->arg);
}

/* --- walks --- */

int social_holders_each(struct post_holders *holders, const uint8_t post[static POST_ID_LEN],
			bool (*fn)(void *arg, const struct post_holder *holder), void *arg)
{
	struct store_iter iter = store_iter_fresh(holders->ground->store, STORE_REPLICAS,
						  store_key(post, POST_ID_LEN));
	struct store_item item;

	while (store_iter_next(&iter, &item) && memcmp(item.key, post, POST_ID_LEN) == 0) {
		struct post_holder holder;

		iter.err = row_parse(item.key, item.value, item.value_len, &holder);
		if (iter.err < 0 || !fn(arg, &holder))
			break;
	}
	return store_iter_end(&iter);
}

/* The rows of revocations (revoke.c) lie under 31 zeros, and are none of a holder. */
static bool is_holder_key(const struct store_item *item)
{
	return item->key_len == ROW_KEY_LEN && memcmp(item->key, zeros, POST_ID_LEN - 1) != 0;
}

int social_holders_walk(struct post_holders *holders, struct holder_walk *walk, unsigned visit_max,
			bool (*fn)(void *arg, const struct post_holder *holder), void *arg)
{
	struct store_iter iter =
		store_iter_fresh(holders->ground->store, STORE_REPLICAS,
				 store_key(walk->from, walk->has_from ? ROW_KEY_LEN : 0));
	struct store_item item;
	bool goes_on = true;
	int err;

	while (goes_on && visit_max && store_iter_next(&iter, &item)) {
		struct post_holder holder;

		if (!is_holder_key(&item) ||
		    (walk->has_from && memcmp(item.key, walk->from, ROW_KEY_LEN) == 0))
			continue;
		visit_max--;
		walk->has_from = true;
		memcpy(walk->from, item.key, ROW_KEY_LEN);
		iter.err = row_parse(item.key, item.value, item.value_len, &holder);
		if (iter.err < 0)
			break;
		goes_on = fn(arg, &holder);
	}
	err = store_iter_end(&iter);
	if (err < 0)
		return err;
	walk->has_from = !goes_on || !visit_max;
	return walk->has_from;
}

int social_holders_find(struct post_holders *holders, const uint8_t post[static POST_ID_LEN],
			const uint8_t person[static NODE_KEY_LEN], struct post_holder *out_holder)
{
	struct store_snapshot *snapshot;
	struct row row;
	int err = store_snapshot_open(holders->ground->store, &snapshot);

	if (err < 0)
		return err;
	err = row_load(snapshot, post, person, &row);
	store_snapshot_close(snapshot);
	if (err == 0 && !row.holder.flags && !row.holder.heard_ms)
		err = WEFT_EABSENT;
	if (err < 0)
		return err;
	row.holder.post = row.holder.person = row.holder.replaced_by = row.holder.note = NULL;
	row.holder.note_len = 0;
	*out_holder = row.holder;
	return 0;
}

struct counting {
	uint64_t wall_ms;
	unsigned live_cnt;
};

static bool count_live(void *arg, const struct post_holder *holder)
{
	struct counting *counting = arg;

	counting->live_cnt += social_holder_is_live(holder, counting->wall_ms);
	return true;
}

unsigned social_holders_cnt(struct post_holders *holders, const uint8_t post[static POST_ID_LEN])
{
	struct counting counting = {.wall_ms = social_wall_ms(holders->ground)};

	(void)social_holders_each(holders, post, count_live, &counting);
	return counting.live_cnt;
}

/* --- what holders say --- */

/* The rows of a post that say they have it, and the one that gives way first. */
struct map {
	unsigned cnt;
	bool knows; /* the holder that speaks is among them */
	const uint8_t *speaker;
	bool has_last;
	uint64_t last_ms;
	bool last_is_chosen;
	uint8_t last[NODE_KEY_LEN];
};

static bool map_look(void *arg, const struct post_holder *holder)
{
	struct map *map = arg;
	bool is_chosen = holder->flags & HOLDER_CHOSEN;

	if (!(holder->flags & HOLDER_HAS))
		return true;
	map->cnt++;
	map->knows |= memcmp(holder->person, map->speaker, NODE_KEY_LEN) == 0;
	if (map->has_last &&
	    (is_chosen > map->last_is_chosen ||
	     (is_chosen == map->last_is_chosen && holder->heard_ms >= map->last_ms)))
		return true;
	map->has_last = true;
	map->last_ms = holder->heard_ms;
	map->last_is_chosen = is_chosen;
	memcpy(map->last, holder->person, NODE_KEY_LEN);
	return true;
}

/* The row stays if this node's person made it. */
static void row_leave(struct store_batch *batch, struct row *row)
{
	row->holder.flags &= PERSISTENT;
	row->holder.note = NULL;
	row->holder.note_len = 0;
	if (row->holder.flags)
		row_put(batch, row);
	else
		store_batch_delete(batch, STORE_REPLICAS, store_key(row->key, ROW_KEY_LEN));
}

/*
 * Makes room for a holder that is new to its post: true, or the map stays as it is. While others are
 * on their way to the disk, the map cannot be counted, and newcomers say it again later.
 */
static bool make_room(struct post_holders *holders, struct store_snapshot *snapshot,
		      struct store_batch *batch, const struct holder_said *said)
{
	uint64_t wall_ms = social_wall_ms(holders->ground);
	struct map map = {.speaker = said->person};
	struct row row;

	if (social_holders_each(holders, said->post, map_look, &map) < 0)
		return false;
	if (map.knows)
		return true;
	if (holders->noting_cnt)
		return false;
	if (map.cnt < HOLDERS_PER_POST)
		return true;
	if (map.last_ms + HOLDER_SILENT_MS > wall_ms && (map.last_is_chosen || !said->is_chosen))
		return false;
	if (row_load(snapshot, said->post, map.last, &row) < 0)
		return false;
	row_leave(batch, &row);
	return true;
}

/* 1: taken; 0: passed over; or the store's error. */
static int said_take(struct post_holders *holders, struct store_snapshot *snapshot,
		     struct store_batch *batch, const struct holder_said *said)
{
	uint64_t wall_ms = social_wall_ms(holders->ground);
	struct row row;
	int err;

	if (said->note_len > REPLICA_STORED_LEN_MAX)
		return 0;
	if ((err = row_load(snapshot, said->post, said->person, &row)) < 0)
		return err;
	if (said->noted_ms < row.holder.noted_ms)
		return 0;
	/* One that goes round and round keeps no holder alive. */
	if (said->is_passed &&
	    (said->noted_ms == row.holder.noted_ms || said->noted_ms + HOLDER_SILENT_MS <= wall_ms))
		return 0;
	if (!said->has && !(row.holder.flags & HOLDER_HAS))
		return 0;
	if (said->has && !make_room(holders, snapshot, batch, said))
		return 0;
	row.holder.heard_ms = said->is_passed ? said->noted_ms : wall_ms;
	row.holder.noted_ms = said->noted_ms;
	row.holder.note = said->note;
	row.holder.note_len = said->note_len;
	row.holder.flags &= ~(unsigned)(HOLDER_HAS | HOLDER_CHOSEN);
	if (!said->has) {
		row_leave(batch, &row);
		return 1;
	}
	row.holder.flags |= HOLDER_HAS | (said->is_chosen ? HOLDER_CHOSEN : 0);
	row_put(batch, &row);
	return 1;
}

int social_holders_note(struct post_holders *holders, const struct holder_said *said, unsigned cnt)
{
	struct store_snapshot *snapshot;
	struct store_batch *batch;
	int taken_cnt = 0, err;

	if (cnt > HOLDERS_SAID_MAX)
		return WEFT_EFULL;
	if ((err = store_snapshot_open(holders->ground->store, &snapshot)) < 0)
		return err;
	batch = store_batch_new(holders->ground->store);
	for (unsigned i = 0; i < cnt && err >= 0; i++) {
		/* One of a post in each batch: the map of the next would not be the stored one. */
		if (i && taken_cnt && memcmp(said[i - 1].post, said[i].post, POST_ID_LEN) == 0)
			continue;
		err = said_take(holders, snapshot, batch, &said[i]);
		taken_cnt += err > 0;
	}
	store_snapshot_close(snapshot);
	if (err >= 0 && taken_cnt) {
		err = submit(holders, batch, &holders->noting_cnt, NULL, NULL);
		return err < 0 ? err : taken_cnt;
	}
	store_batch_free(batch);
	return err < 0 ? err : 0;
}

struct forgetting {
	struct store_batch *batch;
	bool has_any;
};

static bool forget_one(void *arg, const struct post_holder *holder)
{
	struct forgetting *forgetting = arg;
	uint8_t key[ROW_KEY_LEN];

	if (holder->flags & HOLDER_REVOKED)
		return true;
	memcpy(key, holder->post, POST_ID_LEN);
	memcpy(key + POST_ID_LEN, holder->person, NODE_KEY_LEN);
	store_batch_delete(forgetting->batch, STORE_REPLICAS, store_key(key, sizeof(key)));
	forgetting->has_any = true;
	return true;
}

void social_holders_forget(struct post_holders *holders, const uint8_t post[static POST_ID_LEN])
{
	struct forgetting forgetting = {.batch = store_batch_new(holders->ground->store)};

	(void)social_holders_each(holders, post, forget_one, &forgetting);
	if (forgetting.has_any)
		(void)submit(holders, forgetting.batch, &holders->noting_cnt, NULL, NULL);
	else
		store_batch_free(forgetting.batch);
}

/* --- life --- */

int social_holders_open(const struct social_ground *ground, struct post_holders **out_holders)
{
	struct post_holders *holders = calloc(1, sizeof(*holders));

	if (!holders)
		return -ENOMEM;
	holders->ground = ground;
	list_init(&holders->waiting);
	*out_holders = holders;
	return 0;
}

void social_holders_stop(struct post_holders *holders)
{
	if (!holders || list_is_empty(&holders->waiting))
		return;
	for (struct list_node *node = holders->waiting.next; node != &holders->waiting;
	     node = node->next)
		container_of(node, struct waiting, link)->done = NULL;
	store_flush(holders->ground->store);
}

void social_holders_close(struct post_holders *holders)
{
	social_holders_stop(holders);
	free(holders);
}

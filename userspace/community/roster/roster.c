/* SPDX-License-Identifier: Apache-2.0 */
#include "roster.h"

#include <string.h>

#include "base/memory/arena.h"
#include "base/byte_cursor.h"
#include "crypto/blake3/blake3.h"

#define KEY_LEN	      (COMMUNITY_ID_LEN + ROSTER_KEY_LEN)
#define EVENT_KEY_LEN (COMMUNITY_ID_LEN + 8)
/* event u64be | until u64be | is live u8 | length u16be | record | text */
#define ROW_HEAD_LEN 19u
#define ROW_CAP	     (ROW_HEAD_LEN + COMMUNITY_SHARE_LEN_MAX + ROSTER_TEXT_CAP)
#define SWEEP_MAX    1024u /* rows looked at by one sweep */

static enum store_db db_of(enum roster_kind kind)
{
	return kind == ROSTER_MEMBER ? STORE_MEMBERS : STORE_COMMUNITY_SHARES;
}

static void key_make(const uint8_t *id, const uint8_t *key, uint8_t out[static KEY_LEN])
{
	memcpy(out, id, COMMUNITY_ID_LEN);
	memcpy(out + COMMUNITY_ID_LEN, key, ROSTER_KEY_LEN);
}

static void event_key_make(const uint8_t *id, uint64_t event, uint8_t out[static EVENT_KEY_LEN])
{
	struct writer w = writer_of(out, EVENT_KEY_LEN);

	writer_bytes(&w, id, COMMUNITY_ID_LEN);
	writer_be64(&w, event);
}

static uint64_t digest_of(const uint8_t *record, size_t len)
{
	uint8_t hash[BLAKE3_HASH_LEN];
	struct cursor c = cursor_of(hash, sizeof(hash));

	blake3_hash(record, len, hash);
	return cursor_be64(&c);
}

/* --- rows --- */

static int row_parse(const uint8_t *key, const void *value, size_t len, struct roster_row *out_row)
{
	struct cursor c = cursor_of(value, len);
	struct roster_row row = {.key = key};

	row.event = cursor_be64(&c);
	row.until_s = cursor_be64(&c);
	row.is_live = cursor_u8(&c);
	row.len = cursor_be16(&c);
	row.record = cursor_bytes(&c, row.len);
	if (c.bad)
		return WEFT_EDAMAGED;
	row.text_len = cursor_left(&c);
	row.text = (const char *)c.pos;
	*out_row = row;
	return 0;
}

static size_t row_write(const struct roster_entry *entry, uint64_t event,
			uint8_t out[static ROW_CAP])
{
	struct writer w = writer_of(out, ROW_CAP);

	writer_be64(&w, event);
	writer_be64(&w, entry->until_s);
	writer_u8(&w, entry->is_live);
	writer_be16(&w, (uint16_t)entry->len);
	writer_bytes(&w, entry->record, entry->len);
	writer_bytes(&w, entry->text, entry->text_len);
	return w.bad ? 0 : writer_len(&w);
}

int community_roster_get(struct store_snapshot *snapshot, const uint8_t *id, enum roster_kind kind,
			 const uint8_t *key, struct roster_row *out_row)
{
	uint8_t db_key[KEY_LEN];
	const void *value;
	size_t len;
	int err;

	key_make(id, key, db_key);
	err = store_get(snapshot, db_of(kind), store_key(db_key, sizeof(db_key)), &value, &len);
	return err < 0 ? err : row_parse(key, value, len, out_row);
}

void community_roster_walk(struct roster_iter *iter, struct store_snapshot *snapshot,
			   const uint8_t *id, enum roster_kind kind, const uint8_t *from)
{
	*iter = (struct roster_iter){.id = id};
	if (from)
		key_make(id, from, iter->from);
	iter->rows =
		store_iter(snapshot, db_of(kind),
			   from ? store_key(iter->from, KEY_LEN) : store_key(id, COMMUNITY_ID_LEN));
}

static bool row_next(struct roster_iter *iter, struct roster_row *out_row)
{
	struct store_item item;

	while (store_iter_next(&iter->rows, &item) &&
	       memcmp(item.key, iter->id, COMMUNITY_ID_LEN) == 0 &&
	       (!iter->has_wrapped || memcmp(item.key, iter->from, KEY_LEN) < 0))
		/* A damaged row is as good as none: its record comes again from others. */
		if (row_parse(item.key + COMMUNITY_ID_LEN, item.value, item.value_len, out_row) ==
		    0)
			return true;
	return false;
}

bool community_roster_next(struct roster_iter *iter, struct roster_row *out_row)
{
	struct store_iter first = store_iter(iter->rows.snapshot, iter->rows.db,
					     store_key(iter->id, COMMUNITY_ID_LEN));

	if (row_next(iter, out_row))
		return true;
	if (!iter->wraps || iter->has_wrapped || iter->rows.err < 0)
		return false;
	(void)!store_iter_end(&iter->rows);
	iter->rows = first;
	iter->has_wrapped = true;
	return row_next(iter, out_row);
}

void community_roster_events(struct roster_iter *iter, struct store_snapshot *snapshot,
			     const uint8_t *id, uint64_t from)
{
	*iter = (struct roster_iter){.id = id};
	event_key_make(id, from, iter->from);
	iter->rows =
		store_iter(snapshot, STORE_COMMUNITY_EVENTS, store_key(iter->from, EVENT_KEY_LEN));
}

bool community_roster_event_next(struct roster_iter *iter, struct roster_event *out_event)
{
	struct store_item item;

	while (store_iter_next(&iter->rows, &item)) {
		struct cursor key = cursor_of(item.key, item.key_len);
		struct cursor value = cursor_of(item.value, item.value_len);
		const uint8_t *id = cursor_bytes(&key, COMMUNITY_ID_LEN);

		out_event->number = cursor_be64(&key);
		out_event->kind = (enum roster_kind)cursor_u8(&value);
		out_event->key = cursor_bytes(&value, ROSTER_KEY_LEN);
		if (key.bad || memcmp(id, iter->id, COMMUNITY_ID_LEN) != 0)
			return false;
		if (!value.bad &&
		    (out_event->kind == ROSTER_MEMBER || out_event->kind == ROSTER_SHARE))
			return true;
	}
	return false;
}

int community_roster_end(struct roster_iter *iter)
{
	return store_iter_end(&iter->rows);
}

/* --- shares announced by each node --- */

/* Peers choose their keys: the secret keeps them from choosing the slot. */
static uint64_t tag_of(const struct roster *roster, const uint8_t *key)
{
	struct cursor c = cursor_of(key, COMMUNITY_KEY_LEN);
	uint64_t tag = (cursor_be64(&c) ^ roster->secret) * 0x9e3779b97f4a7c15ull;

	tag = (tag ^ tag >> 29 ^ cursor_be64(&c)) * (roster->secret | 1);
	tag ^= tag >> 32;
	return tag ? tag : 1;
}

static struct roster_tally *tally_find(const struct roster *roster, uint64_t tag, bool adds)
{
	struct roster_tally *free_slot = NULL;

	for (uint32_t i = 0; i < roster->tally_cap; i++) {
		struct roster_tally *tally = &roster->tallies[(tag + i) & (roster->tally_cap - 1)];

		if (tally->tag == tag)
			return tally;
		if (!tally->cnt && !free_slot)
			free_slot = tally;
		if (!tally->tag)
			break;
	}
	if (!adds || !free_slot)
		return NULL;
	free_slot->tag = tag;
	free_slot->cnt = 0;
	return free_slot;
}

static void tally_change(struct roster *roster, uint64_t tag, int delta)
{
	struct roster_tally *tally = tag ? tally_find(roster, tag, delta > 0) : NULL;

	if (tally && delta > 0)
		tally->cnt++;
	else if (tally && tally->cnt > 0)
		tally->cnt--;
}

bool community_roster_is_expelled(const struct roster *roster,
				  const uint8_t key[static ROSTER_KEY_LEN])
{
	return roster->revocations && community_revocations_has(roster->revocations, key);
}

uint32_t community_roster_share_cnt(const struct roster *roster, const uint8_t *key)
{
	const struct roster_tally *tally = tally_find(roster, tag_of(roster, key), false);

	return tally ? tally->cnt : 0;
}

static uint64_t announcer_tag(const struct roster *roster, const struct roster_row *row)
{
	struct community_share share;

	if (community_share_parse(row->record, row->len, &share) < 0)
		return 0;
	return tag_of(roster, share.key);
}

/* --- life --- */

static uint32_t tally_cap_of(const struct roster_limits *limits)
{
	uint32_t cap = 64;

	while (cap < 2 * limits->member_cap)
		cap *= 2;
	return cap;
}

int community_roster_init(struct roster *roster, struct arena *arena,
			  const struct roster_limits *limits, uint64_t secret)
{
	roster->limits = limits;
	roster->secret = secret;
	roster->tally_cap = tally_cap_of(limits);
	roster->tallies = arena_alloc(arena, roster->tally_cap * sizeof(*roster->tallies));
	return roster->tallies ? 0 : WEFT_EFULL;
}

static struct community_digests *digests_of(struct roster *roster, enum roster_kind kind)
{
	return kind == ROSTER_MEMBER ? &roster->members : &roster->shares;
}

static void count_row(struct roster *roster, enum roster_kind kind, int row_delta, int live_delta)
{
	uint32_t *rows = kind == ROSTER_MEMBER ? &roster->member_cnt : &roster->share_cnt;
	uint32_t *live = kind == ROSTER_MEMBER ? &roster->joined_cnt : &roster->bound_cnt;

	*rows += (uint32_t)row_delta;
	*live += (uint32_t)live_delta;
}

static int rows_open(struct roster *roster, struct store_snapshot *snapshot, enum roster_kind kind)
{
	struct roster_iter iter;
	struct roster_row row;

	community_roster_walk(&iter, snapshot, roster->id, kind, NULL);
	while (community_roster_next(&iter, &row)) {
		count_row(roster, kind, 1, row.is_live);
		digests_of(roster, kind)->buckets[row.key[0]] += digest_of(row.record, row.len);
		if (row.event > roster->event)
			roster->event = row.event;
		if (kind == ROSTER_SHARE)
			tally_change(roster, announcer_tag(roster, &row), 1);
	}
	return community_roster_end(&iter);
}

int community_roster_open(struct roster *roster, struct store *store,
			  const uint8_t id[static COMMUNITY_ID_LEN])
{
	struct store_snapshot *snapshot;
	int err = store_snapshot_open(store, &snapshot);

	if (err < 0)
		return err;
	memcpy(roster->id, id, sizeof(roster->id));
	roster->member_cnt = roster->share_cnt = roster->joined_cnt = roster->bound_cnt = 0;
	roster->event = 0;
	memset(&roster->members, 0, sizeof(roster->members));
	memset(&roster->shares, 0, sizeof(roster->shares));
	memset(roster->tallies, 0, roster->tally_cap * sizeof(*roster->tallies));
	roster->sweep_kind = ROSTER_MEMBER;
	memset(roster->sweep_key, 0, sizeof(roster->sweep_key));
	err = rows_open(roster, snapshot, ROSTER_MEMBER);
	if (err == 0)
		err = rows_open(roster, snapshot, ROSTER_SHARE);
	store_snapshot_close(snapshot);
	return err;
}

/* --- changes --- */

void community_roster_draft_begin(struct roster_draft *draft, struct roster *roster,
				  struct store_batch *batch)
{
	draft->roster = roster;
	draft->batch = batch;
	draft->event = roster->event;
	draft->change_cnt = 0;
}

static struct roster_change *change_new(struct roster_draft *draft, enum roster_kind kind,
					uint8_t bucket)
{
	struct roster_change *change = &draft->changes[draft->change_cnt++];

	*change = (struct roster_change){.kind = kind, .bucket = bucket};
	return change;
}

/* The row of before goes from counts and events. */
static void change_undo(struct roster_draft *draft, struct roster_change *change,
			const struct roster_row *row)
{
	uint8_t event_key[EVENT_KEY_LEN];

	change->digest -= digest_of(row->record, row->len);
	change->row_delta--;
	change->live_delta -= row->is_live;
	if (change->kind == ROSTER_SHARE)
		change->off_tag = announcer_tag(draft->roster, row);
	event_key_make(draft->roster->id, row->event, event_key);
	store_batch_delete(draft->batch, STORE_COMMUNITY_EVENTS,
			   store_key(event_key, sizeof(event_key)));
}

int community_roster_draft_put(struct roster_draft *draft, struct store_snapshot *snapshot,
			       const struct roster_entry *entry)
{
	uint8_t value[ROW_CAP], db_key[KEY_LEN], event_key[EVENT_KEY_LEN];
	uint8_t event_value[1 + ROSTER_KEY_LEN] = {(uint8_t)entry->kind};
	const struct roster *roster = draft->roster;
	struct roster_change *change;
	struct roster_row former;
	size_t len = row_write(entry, draft->event + 1, value);
	int err;

	if (draft->change_cnt == ROSTER_DRAFT_MAX || !len)
		return WEFT_EFULL;
	err = community_roster_get(snapshot, roster->id, entry->kind, entry->key, &former);
	if (err < 0 && err != WEFT_EABSENT && err != WEFT_EDAMAGED)
		return err;
	draft->event++;
	change = change_new(draft, entry->kind, entry->key[0]);
	if (err == 0)
		change_undo(draft, change, &former);
	change->digest += digest_of(entry->record, entry->len);
	change->row_delta++;
	change->live_delta += entry->is_live;
	if (entry->kind == ROSTER_SHARE)
		change->on_tag = tag_of(roster, entry->announcer);

	key_make(roster->id, entry->key, db_key);
	store_batch_put(draft->batch, db_of(entry->kind), store_key(db_key, sizeof(db_key)), value,
			len);
	memcpy(event_value + 1, entry->key, ROSTER_KEY_LEN);
	event_key_make(roster->id, draft->event, event_key);
	store_batch_put(draft->batch, STORE_COMMUNITY_EVENTS,
			store_key(event_key, sizeof(event_key)), event_value, sizeof(event_value));
	return 0;
}

int community_roster_draft_drop(struct roster_draft *draft, const struct roster_row *row,
				enum roster_kind kind)
{
	uint8_t db_key[KEY_LEN];

	if (draft->change_cnt == ROSTER_DRAFT_MAX)
		return WEFT_EFULL;
	change_undo(draft, change_new(draft, kind, row->key[0]), row);
	key_make(draft->roster->id, row->key, db_key);
	store_batch_delete(draft->batch, db_of(kind), store_key(db_key, sizeof(db_key)));
	return 0;
}

void community_roster_draft_apply(struct roster_draft *draft)
{
	struct roster *roster = draft->roster;

	for (unsigned i = 0; i < draft->change_cnt; i++) {
		const struct roster_change *change = &draft->changes[i];

		count_row(roster, change->kind, change->row_delta, change->live_delta);
		digests_of(roster, change->kind)->buckets[change->bucket] += change->digest;
		tally_change(roster, change->off_tag, -1);
		tally_change(roster, change->on_tag, 1);
	}
	roster->event = draft->event;
}

/* --- sweeping --- */

static bool row_is_over(const struct roster *roster, const struct roster_row *row, uint64_t wall_s)
{
	return row->until_s <= wall_s || (roster->sweep_kind == ROSTER_MEMBER &&
					  community_roster_is_expelled(roster, row->key));
}

bool community_roster_sweep(struct roster_draft *draft, struct store_snapshot *snapshot,
			    uint64_t wall_s)
{
	struct roster *roster = draft->roster;
	bool was_shares = roster->sweep_kind == ROSTER_SHARE, is_cut = false;
	struct roster_iter iter;
	struct roster_row row;
	unsigned seen_cnt = 0;

	community_roster_walk(&iter, snapshot, roster->id, roster->sweep_kind, roster->sweep_key);
	while (!is_cut && community_roster_next(&iter, &row)) {
		is_cut = seen_cnt++ == SWEEP_MAX || draft->change_cnt == ROSTER_DRAFT_MAX;
		if (is_cut)
			memcpy(roster->sweep_key, row.key, ROSTER_KEY_LEN);
		else if (row_is_over(roster, &row, wall_s) &&
			 community_roster_draft_drop(draft, &row, roster->sweep_kind) < 0)
			break;
	}
	if (community_roster_end(&iter) < 0 || is_cut)
		return false;
	memset(roster->sweep_key, 0, sizeof(roster->sweep_key));
	roster->sweep_kind = was_shares ? ROSTER_MEMBER : ROSTER_SHARE;
	return was_shares;
}

/* --- own shares --- */

unsigned community_own_shares_find(const struct own_shares *own, const uint8_t *from)
{
	unsigned low = 0, high = own->cnt;

	while (low < high) {
		unsigned mid = (low + high) / 2;

		if (memcmp(own->ids[mid], from, ROSTER_KEY_LEN) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void community_own_shares_set(struct own_shares *own, const uint8_t *id, bool is_own)
{
	unsigned at = community_own_shares_find(own, id);
	bool is_there = at < own->cnt && memcmp(own->ids[at], id, ROSTER_KEY_LEN) == 0;

	if (is_there == is_own || (is_own && own->cnt == own->cap))
		return;
	if (is_own) {
		memmove(own->ids[at + 1], own->ids[at], (own->cnt - at) * ROSTER_KEY_LEN);
		memcpy(own->ids[at], id, ROSTER_KEY_LEN);
		own->cnt++;
	} else {
		own->cnt--;
		memmove(own->ids[at], own->ids[at + 1], (own->cnt - at) * ROSTER_KEY_LEN);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The anchors of this node: those that its person's profiles name, and the last resort. One that was
 * disabled or enabled has a row: 'a' and the key -> {0: enabled, 1: changed at, in ms}.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/cbor_fields.h"
#include "social/anchors/anchors_state.h"
#include "store/store.h"

#define ROW_KIND    'a'
#define ROW_KEY_LEN (1 + NODE_KEY_LEN)

struct row {
	bool is_enabled;
	uint64_t changed_ms;
};
static const struct cbor_field row_fields[] = {
	{0, CBOR_FIELD_BOOL, CBOR_NEEDED, CBOR_AT(struct row, is_enabled)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct row, changed_ms)},
};
static const struct cbor_table row_table = {CBOR_FIELDS(row_fields)};

/* --- the list --- */

static struct anchor_entry *entry_find(struct social_anchors *anchors, const uint8_t *key)
{
	for (unsigned i = 0; i < anchors->entry_cnt; i++)
		if (memcmp(anchors->entries[i].shown.key, key, NODE_KEY_LEN) == 0)
			return &anchors->entries[i];
	return NULL;
}

static bool has_last_resort(const struct social_anchors *anchors)
{
	return anchors->entry_cnt && anchors->entries[anchors->entry_cnt - 1].shown.is_last_resort;
}

static void entry_quiet(struct anchor_entry *entry)
{
	const struct mesh_ops *ops = entry->anchors->params.ground->mesh.ops;

	if (entry->request)
		ops->cancel(entry->request);
	entry->request = NULL;
}

/* The reply of a request that is out lies in its entry: entries that move have none. */
static void entries_quiet_from(struct social_anchors *anchors, unsigned idx, uint64_t now_ns)
{
	for (unsigned i = idx; i < anchors->entry_cnt; i++) {
		if (anchors->entries[i].request)
			anchors->entries[i].due_ns = now_ns;
		entry_quiet(&anchors->entries[i]);
	}
}

/* The last resort stays the last. */
static struct anchor_entry *entry_make(struct social_anchors *anchors, const uint8_t *key,
				       bool is_last_resort, uint64_t now_ns)
{
	unsigned at = anchors->entry_cnt - (has_last_resort(anchors) && !is_last_resort);
	struct anchor_entry *entry = &anchors->entries[at];

	entries_quiet_from(anchors, at, now_ns);
	memmove(entry + 1, entry, (anchors->entry_cnt - at) * sizeof(*entry));
	*entry = (struct anchor_entry){.anchors = anchors, .due_ns = now_ns};
	memcpy(entry->shown.key, key, NODE_KEY_LEN);
	entry->shown.is_enabled = true;
	entry->shown.is_last_resort = is_last_resort;
	anchors->entry_cnt++;
	return entry;
}

static void entry_remove(struct social_anchors *anchors, struct anchor_entry *entry,
			 uint64_t now_ns)
{
	unsigned at = (unsigned)(entry - anchors->entries);

	entries_quiet_from(anchors, at, now_ns);
	anchors->entry_cnt--;
	memmove(entry, entry + 1, (anchors->entry_cnt - at) * sizeof(*entry));
}

static bool is_full(const struct social_anchors *anchors)
{
	return anchors->entry_cnt - has_last_resort(anchors) == SOCIAL_OWN_ANCHORS_MAX;
}

/* --- the disk --- */

struct saving {
	struct social_anchors *anchors;
	void (*done)(void *arg, int err);
	void *arg;
};

static void saved(void *arg, int err)
{
	struct saving *saving = arg;

	if (err < 0)
		saving->anchors->stats.failed_cnt++;
	if (saving->done)
		saving->done(saving->arg, err);
	free(saving);
}

/* row NULL: that of the key goes. */
static int row_save(struct social_anchors *anchors, const struct anchor_change *change,
		    const struct row *row)
{
	struct store *store = anchors->params.ground->store;
	struct store_batch *batch = store_batch_new(store);
	struct saving *saving = malloc(sizeof(*saving));
	uint8_t key[ROW_KEY_LEN] = {ROW_KIND}, value[32];
	struct writer w = writer_of(value, sizeof(value));
	int err = saving ? 0 : -ENOMEM;

	memcpy(key + 1, change->key, NODE_KEY_LEN);
	if (row) {
		cbor_fields_write(&w, &row_table, row);
		store_batch_put(batch, STORE_ROUTES, store_key(key, sizeof(key)), value,
				writer_len(&w));
	} else {
		store_batch_delete(batch, STORE_ROUTES, store_key(key, sizeof(key)));
	}
	if (saving)
		*saving = (struct saving){anchors, change->done, change->arg};
	if (err == 0)
		err = store_submit(store, batch, saved, saving);
	if (err == 0)
		return 0;
	store_batch_free(batch);
	free(saving);
	return WEFT_EBUSY;
}

/* One that no profile names goes when the profiles are known. */
static void row_take(struct social_anchors *anchors, const uint8_t *key, const struct row *row,
		     uint64_t now_ns)
{
	struct anchor_entry *entry = entry_find(anchors, key);

	if (!entry && !is_full(anchors))
		entry = entry_make(anchors, key, false, now_ns);
	if (!entry)
		return;
	entry->shown.is_enabled = row->is_enabled;
	entry->has_row = true;
}

/* The entry that the package set, "KEY@ADDRESS". */
static void last_resort_take(struct social_anchors *anchors, uint64_t now_ns)
{
	const char *text = anchors->params.config.last_resort;
	struct peer_places places = {.addr_cnt = 1};
	uint8_t key[NODE_KEY_LEN];

	if (!*text || social_last_resort_parse(text, key, &places.addrs[0]) < 0)
		return;
	(void)entry_make(anchors, key, true, now_ns);
	social_route_note_anchor(anchors->params.routes, key, &places, now_ns);
}

int social_own_anchors_load(struct social_anchors *anchors, uint64_t now_ns)
{
	static const uint8_t first = ROW_KIND;
	struct store_iter iter =
		store_iter_fresh(anchors->params.ground->store, STORE_ROUTES, store_key(&first, 1));
	struct store_item item;

	last_resort_take(anchors, now_ns);
	while (store_iter_next(&iter, &item) && item.key[0] == ROW_KIND) {
		struct row row;

		if (cbor_fields_parse(item.value, item.value_len, &row_table, &row) == 0)
			row_take(anchors, item.key + 1, &row, now_ns);
	}
	return store_iter_end(&iter);
}

/* --- changes --- */

static bool is_named(const uint8_t *key, const uint8_t (*keys)[NODE_KEY_LEN], unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++)
		if (memcmp(keys[i], key, NODE_KEY_LEN) == 0)
			return true;
	return false;
}

/* A route that a person followed introduced, or is of one, stays. */
static void entry_drop(struct social_anchors *anchors, struct anchor_entry *entry, uint64_t now_ns)
{
	struct anchor_change change = {.key = entry->shown.key};
	struct social_route route;

	/* A row that stays is dropped when the list is read again. */
	if (entry->has_row)
		(void)!row_save(anchors, &change, NULL);
	if (social_route_look(anchors->params.routes, entry->shown.key, &route) &&
	    route.tier == SOCIAL_TIER_ANCHOR && !route.is_introduced)
		social_route_drop(anchors->params.routes, entry->shown.key, now_ns);
	entry_remove(anchors, entry, now_ns);
}

void social_own_anchors_set(struct social_anchors *anchors, const uint8_t (*keys)[NODE_KEY_LEN],
			    unsigned cnt, uint64_t now_ns)
{
	for (unsigned i = anchors->entry_cnt; i-- > 0;) {
		struct anchor_entry *entry = &anchors->entries[i];

		entry->shown.is_listed = is_named(entry->shown.key, keys, cnt);
		if (!entry->shown.is_listed && !entry->shown.is_last_resort)
			entry_drop(anchors, entry, now_ns);
	}
	for (unsigned i = 0; i < cnt; i++) {
		struct anchor_entry *entry = entry_find(anchors, keys[i]);

		if (!entry && !is_full(anchors)) {
			entry = entry_make(anchors, keys[i], false, now_ns);
			entry->shown.is_listed = true;
		}
		if (entry)
			social_route_note_anchor(anchors->params.routes, keys[i], NULL, now_ns);
	}
	social_anchors_due(anchors, now_ns);
}

int social_anchor_enable(struct social_anchors *anchors, const struct anchor_change *change,
			 uint64_t now_ns)
{
	struct anchor_entry *entry = entry_find(anchors, change->key);
	const struct row row = {change->is_enabled, social_wall_ms(anchors->params.ground)};
	int err;

	if (!entry)
		return WEFT_EABSENT;
	if (entry->shown.is_enabled == change->is_enabled)
		return WEFT_EEXISTS;
	if ((err = row_save(anchors, change, &row)) < 0)
		return err;
	entry->has_row = true;
	entry->shown.is_enabled = change->is_enabled;
	entry_quiet(entry);
	entry->due_ns = now_ns;
	social_anchors_due(anchors, now_ns);
	return 0;
}

const struct own_anchor *social_own_anchor(const struct social_anchors *anchors, unsigned idx)
{
	return idx < anchors->entry_cnt ? &anchors->entries[idx].shown : NULL;
}

const struct own_anchor *social_own_anchor_of(const struct social_anchors *anchors,
					      const uint8_t *key)
{
	struct anchor_entry *entry = entry_find((struct social_anchors *)(uintptr_t)anchors, key);

	return entry ? &entry->shown : NULL;
}

bool social_anchor_is_own(const struct social_anchors *anchors, const uint8_t *key)
{
	return social_own_anchor_of(anchors, key) != NULL;
}

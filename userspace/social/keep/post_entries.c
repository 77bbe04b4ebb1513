/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Posts by id, the numbers of authors, and editions. Buckets lead to chains of
 * indices, under a keyed hash: authors choose what their ids are.
 *
 * Of editions one is shown. An edition that another one names as replaced
 * comes after all others. Of the rest, one that this node opens comes
 * first. A post to a large group has an edition for each shard, and a reader is
 * in one. Then the later one does, then the one with the higher id.
 */
#include <string.h>

#include "base/assert.h"
#include "base/siphash_bytes.h"
#include "social/keep/post_store_state.h"

static uint32_t bucket_cnt_of(uint32_t entry_cap)
{
	uint32_t cnt = 1024;

	while (cnt < entry_cap / 2)
		cnt *= 2;
	return cnt;
}

int social_posts_entries_init(struct post_store *posts)
{
	struct arena *arena = &posts->arena;

	/* One more than there may be, for a newcomer whose room is not free yet, and one for index 0. */
	posts->entry_cap = posts->params.config.post_cap + POSTS_GONE_MAX + 2;
	posts->bucket_cnt = bucket_cnt_of(posts->entry_cap);
	posts->entries = arena_alloc(arena, posts->entry_cap * sizeof(*posts->entries));
	posts->ids = arena_alloc(arena, posts->bucket_cnt * sizeof(uint32_t));
	posts->editions = arena_alloc(arena, posts->bucket_cnt * sizeof(uint32_t));
	posts->authors = arena_alloc(arena, POSTS_AUTHORS_MAX * sizeof(*posts->authors));
	posts->author_buckets = arena_alloc(arena, POSTS_AUTHORS_MAX * sizeof(uint32_t));
	posts->entry_used = posts->author_used = 1;
	return posts->entries && posts->ids && posts->editions && posts->authors &&
			       posts->author_buckets
		       ? 0
		       : WEFT_EFULL;
}

/* --- authors --- */

static uint32_t *author_bucket(const struct post_store *posts, const uint8_t *key)
{
	return &posts->author_buckets[siphash(posts->secret, key, NODE_KEY_LEN) %
				      POSTS_AUTHORS_MAX];
}

uint32_t social_posts_author_number(const struct post_store *posts,
				    const uint8_t author[static NODE_KEY_LEN])
{
	uint32_t idx = *author_bucket(posts, author);

	while (idx && memcmp(posts->authors[idx].key, author, NODE_KEY_LEN) != 0)
		idx = posts->authors[idx].next;
	return idx;
}

/* 0: there is no place. */
static uint32_t author_acquire(struct post_store *posts, const uint8_t *key)
{
	uint32_t idx = social_posts_author_number(posts, key), *bucket = author_bucket(posts, key);

	if (!idx) {
		idx = posts->author_free;
		if (idx)
			posts->author_free = posts->authors[idx].next;
		else if (posts->author_used < POSTS_AUTHORS_MAX)
			idx = posts->author_used++;
		else
			return 0;
		posts->authors[idx] = (struct post_author){.next = *bucket};
		memcpy(posts->authors[idx].key, key, NODE_KEY_LEN);
		*bucket = idx;
		posts->stats.author_cnt++;
	}
	posts->authors[idx].ref_cnt++;
	return idx;
}

static void author_release(struct post_store *posts, uint32_t idx)
{
	struct post_author *author = &posts->authors[idx];
	uint32_t *link = author_bucket(posts, author->key);

	if (--author->ref_cnt)
		return;
	while (*link != idx)
		link = &posts->authors[*link].next;
	*link = author->next;
	author->next = posts->author_free;
	posts->author_free = idx;
	posts->stats.author_cnt--;
}

const uint8_t *social_posts_author(const struct post_store *posts, const struct post_row *row)
{
	return posts->authors[row->author].key;
}

/* --- entries --- */

static uint32_t *id_bucket(const struct post_store *posts, const uint8_t *id)
{
	return &posts->ids[siphash(posts->secret, id, POST_ID_LEN) & (posts->bucket_cnt - 1)];
}

static uint32_t index_of(const struct post_store *posts, const struct post_entry *entry)
{
	return (uint32_t)(entry - posts->entries);
}

struct post_entry *social_posts_entry(const struct post_store *posts, const uint8_t *id)
{
	uint32_t idx = *id_bucket(posts, id);

	while (idx && memcmp(posts->entries[idx].id, id, POST_ID_LEN) != 0)
		idx = posts->entries[idx].id_next;
	return idx ? &posts->entries[idx] : NULL;
}

static struct post_entry *entry_acquire(struct post_store *posts)
{
	uint32_t idx = posts->entry_free;

	if (idx)
		posts->entry_free = posts->entries[idx].id_next;
	else if (posts->entry_used < posts->entry_cap)
		idx = posts->entry_used++;
	else
		return NULL;
	posts->entries[idx] = (struct post_entry){0};
	return &posts->entries[idx];
}

static void entry_release(struct post_store *posts, struct post_entry *entry)
{
	*entry = (struct post_entry){.id_next = posts->entry_free};
	posts->entry_free = index_of(posts, entry);
}

struct post_entry *social_posts_entry_add(struct post_store *posts, const uint8_t *id,
					  const uint8_t *author)
{
	struct post_entry *entry = entry_acquire(posts);
	uint32_t *bucket = id_bucket(posts, id);

	if (!entry)
		return NULL;
	entry->author = author_acquire(posts, author);
	if (!entry->author) {
		entry_release(posts, entry);
		return NULL;
	}
	memcpy(entry->id, id, POST_ID_LEN);
	entry->id_next = *bucket;
	*bucket = index_of(posts, entry);
	return entry;
}

void social_posts_entry_remove(struct post_store *posts, struct post_entry *entry)
{
	uint32_t idx = index_of(posts, entry), *link = id_bucket(posts, entry->id);

	while (*link != idx)
		link = &posts->entries[*link].id_next;
	*link = entry->id_next;
	author_release(posts, entry->author);
	entry_release(posts, entry);
}

/* --- editions --- */

uint64_t social_posts_edition_name(const struct post_store *posts, const uint8_t *author,
				   const uint8_t *logical_id)
{
	uint8_t name[NODE_KEY_LEN + POST_LOGICAL_ID_LEN];

	memcpy(name, author, NODE_KEY_LEN);
	memcpy(name + NODE_KEY_LEN, logical_id, POST_LOGICAL_ID_LEN);
	return siphash(posts->secret, name, sizeof(name));
}

static uint32_t *edition_bucket(const struct post_store *posts, uint64_t edition)
{
	return &posts->editions[edition & (posts->bucket_cnt - 1)];
}

/* The first of edition at idx or behind it. */
static struct post_entry *of_edition(const struct post_store *posts, uint32_t idx, uint64_t edition)
{
	while (idx && posts->entries[idx].edition != edition)
		idx = posts->entries[idx].edition_next;
	return idx ? &posts->entries[idx] : NULL;
}

static struct post_entry *edition_first(const struct post_store *posts, uint64_t edition)
{
	return of_edition(posts, *edition_bucket(posts, edition), edition);
}

static struct post_entry *edition_next(const struct post_store *posts,
				       const struct post_entry *entry)
{
	return of_edition(posts, entry->edition_next, entry->edition);
}

void social_posts_edition_add(struct post_store *posts, struct post_entry *entry)
{
	uint32_t *bucket = edition_bucket(posts, entry->edition);

	entry->edition_next = *bucket;
	*bucket = index_of(posts, entry);
}

void social_posts_edition_remove(struct post_store *posts, struct post_entry *entry)
{
	uint32_t idx = index_of(posts, entry), *link = edition_bucket(posts, entry->edition);

	while (*link && *link != idx)
		link = &posts->entries[*link].edition_next;
	if (*link)
		*link = entry->edition_next;
	entry->edition_next = 0;
}

uint32_t social_posts_edition_cnt(const struct post_store *posts, uint64_t edition)
{
	uint32_t cnt = 0;

	for (struct post_entry *entry = edition_first(posts, edition);
	     entry && cnt < POSTS_EDITIONS_MAX; entry = edition_next(posts, entry))
		cnt++;
	return cnt;
}

static bool comes_before(const struct post_entry *a, const struct post_entry *b)
{
	if (a->is_replaced != b->is_replaced)
		return b->is_replaced;
	if (a->is_readable != b->is_readable)
		return a->is_readable;
	if (a->time_ms != b->time_ms)
		return a->time_ms > b->time_ms;
	return memcmp(a->id, b->id, POST_ID_LEN) > 0;
}

struct post_entry *social_posts_edition_shown(const struct post_store *posts, uint64_t edition)
{
	struct post_entry *shown = edition_first(posts, edition);

	for (struct post_entry *entry = shown; entry; entry = edition_next(posts, entry))
		if (comes_before(entry, shown))
			shown = entry;
	return shown;
}

static uint32_t name_of(const uint8_t *id)
{
	struct cursor c = cursor_of(id, POST_ID_LEN);

	return cursor_be32(&c) | 1;
}

static void replaced_mark(const struct post_store *posts, const struct post_entry *by)
{
	for (struct post_entry *entry = edition_first(posts, by->edition); entry;
	     entry = edition_next(posts, entry))
		if (entry != by && name_of(entry->id) == by->supersedes)
			entry->is_replaced = true;
}

void social_posts_edition_settle(struct post_store *posts, uint64_t edition)
{
	struct post_entry *first = edition_first(posts, edition), *shown;

	for (struct post_entry *entry = first; entry; entry = edition_next(posts, entry))
		entry->is_replaced = false;
	for (struct post_entry *entry = first; entry; entry = edition_next(posts, entry))
		if (entry->supersedes)
			replaced_mark(posts, entry);
	shown = social_posts_edition_shown(posts, edition);
	for (struct post_entry *entry = first; entry; entry = edition_next(posts, entry)) {
		struct post_row *row;

		if (entry->is_superseded == (entry != shown))
			continue;
		entry->is_superseded = entry != shown;
		row = social_posts_row(posts, entry);
		weft_assert(row != NULL);
		row->flags = (uint16_t)((row->flags & ~POST_SUPERSEDED) |
					(entry->is_superseded ? POST_SUPERSEDED : 0));
	}
}

int social_posts_edition(const struct post_store *posts, const uint8_t author[static NODE_KEY_LEN],
			 const uint8_t logical_id[static POST_LOGICAL_ID_LEN],
			 uint8_t out_id[static POST_ID_LEN])
{
	uint64_t edition = social_posts_edition_name(posts, author, logical_id);
	const struct post_entry *shown = social_posts_edition_shown(posts, edition);

	if (!shown)
		return WEFT_EABSENT;
	memcpy(out_id, shown->id, POST_ID_LEN);
	return 0;
}

void social_posts_editions(const struct post_store *posts,
			   const uint8_t author[static NODE_KEY_LEN],
			   const uint8_t logical_id[static POST_LOGICAL_ID_LEN],
			   struct post_editions *out_editions)
{
	uint64_t edition = social_posts_edition_name(posts, author, logical_id);

	out_editions->cnt = 0;
	for (struct post_entry *entry = edition_first(posts, edition);
	     entry && out_editions->cnt < POSTS_EDITIONS_MAX; entry = edition_next(posts, entry))
		memcpy(out_editions->ids[out_editions->cnt++], entry->id, POST_ID_LEN);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of readers. Posts to one circle have equal ones, so a set has a number. What a peer may have is
 * found once a set and not once a post. A set is named by a hash of its readers, which is in the
 * row of each post. Its readers are read from some post of it when they are asked for first.
 *
 * Unknown people fill half of the table at most; behind that, their posts have no number.
 */
#include <stdlib.h>
#include <string.h>

#include "base/siphash_bytes.h"
#include "crypto/blake3/blake3.h"
#include "social/keep/post_store_state.h"

#define CONTEXT "mesh/distsoc/audience/v2"

int social_posts_audience_init(struct post_store *posts)
{
	struct post_audiences *audiences = &posts->audiences;

	audiences->rows =
		arena_alloc(&posts->arena, POSTS_AUDIENCES_MAX * sizeof(*audiences->rows));
	if (!audiences->rows)
		return WEFT_EFULL;
	for (uint16_t i = POSTS_AUDIENCES_MAX - 1; i > POST_AUDIENCE_PUBLIC; i--)
		audiences->free[audiences->free_cnt++] = i;
	return map_init(&audiences->by_digest, &posts->arena, POST_AUDIENCE_LEN,
			POSTS_AUDIENCES_MAX, posts->secret);
}

static void readers_drop(struct post_audiences *audiences, struct post_audience_row *row)
{
	audiences->reader_cnt -= row->cnt;
	free(row->readers);
	row->readers = NULL;
	row->cnt = 0;
}

static void all_readers_drop(struct post_audiences *audiences)
{
	for (unsigned i = 0; audiences->rows && i < POSTS_AUDIENCES_MAX; i++)
		readers_drop(audiences, &audiences->rows[i]);
}

void social_posts_audience_fini(struct post_store *posts)
{
	all_readers_drop(&posts->audiences);
}

void social_posts_audience_name(const struct visibility *visibility,
				uint8_t out_digest[static POST_AUDIENCE_LEN])
{
	uint8_t kind = (uint8_t)visibility->kind, epoch[8];
	struct writer w = writer_of(epoch, sizeof(epoch));
	struct blake3 hash;

	blake3_init_derive_key(&hash, CONTEXT);
	blake3_update(&hash, &kind, 1);
	for (unsigned i = 0; kind == VISIBILITY_RECIPIENTS && i < visibility->recipient_cnt; i++)
		blake3_update(&hash, visibility->recipients[i].reader, NODE_KEY_LEN);
	if (kind == VISIBILITY_GROUP) {
		writer_be64(&w, visibility->group.epoch);
		blake3_update(&hash, visibility->group.group, sizeof(visibility->group.group));
		blake3_update(&hash, epoch, sizeof(epoch));
		/* Any author may name any key with them, and a proof of one key opens that key's posts alone. */
		blake3_update(&hash, visibility->group.key, sizeof(visibility->group.key));
	}
	blake3_final(&hash, out_digest, POST_AUDIENCE_LEN);
}

/* --- numbers --- */

uint16_t social_posts_audience_number(struct post_store *posts, const struct post_record *record)
{
	struct post_audiences *audiences = &posts->audiences;
	struct post_audience_row *row = map_lookup(&audiences->by_digest, record->audience);
	const struct post_view *view = &record->view;
	bool is_of_others = view->share == POST_HOSTED || view->share == POST_ADDRESSED;

	if (view->kind == VISIBILITY_PUBLIC)
		return POST_AUDIENCE_PUBLIC;
	if (!row) {
		if (audiences->free_cnt <= (is_of_others ? POSTS_AUDIENCES_MAX / 2 : 0))
			return POST_AUDIENCE_OTHER;
		row = &audiences->rows[audiences->free[audiences->free_cnt - 1]];
		if (map_put(&audiences->by_digest, record->audience, row) < 0)
			return POST_AUDIENCE_OTHER;
		audiences->free_cnt--;
		*row = (struct post_audience_row){.of = {.kind = view->kind, .epoch = view->epoch}};
		memcpy(row->digest, record->audience, POST_AUDIENCE_LEN);
		memcpy(row->of.group, view->group, sizeof(row->of.group));
	}
	row->ref_cnt++;
	return (uint16_t)(row - audiences->rows);
}

void social_posts_audience_release(struct post_store *posts, uint16_t number)
{
	struct post_audiences *audiences = &posts->audiences;
	struct post_audience_row *row;

	if (number == POST_AUDIENCE_PUBLIC || number == POST_AUDIENCE_OTHER)
		return;
	row = &audiences->rows[number];
	if (--row->ref_cnt)
		return;
	readers_drop(audiences, row);
	(void)map_delete(&audiences->by_digest, row->digest);
	audiences->free[audiences->free_cnt++] = number;
}

/* --- readers --- */

static int hash_order(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

static int readers_keep(struct post_store *posts, struct post_audience_row *row,
			const struct visibility *visibility)
{
	struct post_audiences *audiences = &posts->audiences;
	uint32_t cnt = visibility->recipient_cnt;

	if (audiences->reader_cnt + cnt > POSTS_AUDIENCE_READERS)
		all_readers_drop(audiences);
	row->readers = malloc((cnt ? cnt : 1) * sizeof(*row->readers));
	if (!row->readers)
		return WEFT_EBUSY;
	for (uint32_t i = 0; i < cnt; i++)
		row->readers[i] =
			siphash(posts->secret, visibility->recipients[i].reader, NODE_KEY_LEN);
	qsort(row->readers, cnt, sizeof(*row->readers), hash_order);
	row->cnt = cnt;
	audiences->reader_cnt += cnt;
	return 0;
}

/* The bytes of a post's visibility, and what its row says. */
static int post_find(struct post_store *posts, const struct post_row *of,
		     struct store_snapshot **io_snapshot, struct post_record *out_record,
		     struct post_parts *out_parts)
{
	const struct post_entry *entry = social_posts_entry(posts, of->id);
	int err;

	if (!entry)
		return WEFT_EABSENT;
	if (entry->is_body_changing)
		return WEFT_EBUSY;
	err = social_posts_row_read_in(posts, io_snapshot, entry, out_record);
	return err < 0 ? err : social_posts_body_in(posts, io_snapshot, out_record, out_parts);
}

static int readers_read(struct post_store *posts, const struct post_row *of,
			struct post_audience_row *row)
{
	struct visibility *visibility = malloc(sizeof(*visibility));
	struct store_snapshot *snapshot = NULL;
	struct post_record record;
	struct post_parts parts;
	int err = visibility ? post_find(posts, of, &snapshot, &record, &parts) : WEFT_EBUSY;

	if (err == 0)
		err = social_visibility_read(parts.visibility, parts.visibility_len, visibility);
	if (err == 0)
		err = readers_keep(posts, row, visibility);
	store_snapshot_close(snapshot);
	free(visibility);
	return err;
}

/* A row without a number. A key that is found among the bytes may be no reader: the filter says. */
static int one_audience(struct post_store *posts, const struct post_row *of, const uint8_t *key,
			struct post_audience *out_audience)
{
	struct store_snapshot *snapshot = NULL;
	struct post_record record;
	struct post_parts parts;
	int err = post_find(posts, of, &snapshot, &record, &parts);

	if (err == 0) {
		*out_audience = (struct post_audience){
			.kind = record.view.kind,
			.epoch = record.view.epoch,
			.is_reader =
				record.view.kind == VISIBILITY_RECIPIENTS &&
				memmem(parts.visibility, parts.visibility_len, key, NODE_KEY_LEN)};
		memcpy(out_audience->group, record.view.group, sizeof(out_audience->group));
	}
	store_snapshot_close(snapshot);
	return err;
}

int social_posts_audience(struct post_store *posts, const struct post_row *row,
			  const uint8_t key[static NODE_KEY_LEN],
			  struct post_audience *out_audience)
{
	struct post_audience_row *at;
	uint64_t hash;
	int err = 0;

	if (row->audience == POST_AUDIENCE_PUBLIC) {
		*out_audience = (struct post_audience){.kind = VISIBILITY_PUBLIC};
		return 0;
	}
	if (row->audience == POST_AUDIENCE_OTHER)
		return one_audience(posts, row, key, out_audience);
	at = &posts->audiences.rows[row->audience];
	if (at->of.kind == VISIBILITY_RECIPIENTS && !at->readers)
		err = readers_read(posts, row, at);
	if (err < 0)
		return err;
	*out_audience = at->of;
	hash = siphash(posts->secret, key, NODE_KEY_LEN);
	out_audience->is_reader =
		at->readers && bsearch(&hash, at->readers, at->cnt, sizeof(hash), hash_order);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "social/read/custom_feeds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/cbor_fields.h"
#include "codec/text/utf8.h"
#include "social/ground/social_ground.h"
#include "social/read/social_read_state.h"
#include "store/store.h"

#define KEY_LEN	    16u
#define ROW_LEN_MAX 1024u

static const struct cbor_field fields[] = {
	{0, CBOR_FIELD_TEXT, CBOR_NEEDED, CBOR_AT(struct custom_feed, name)},
	{1, CBOR_FIELD_TEXT, CBOR_NEEDED, CBOR_AT(struct custom_feed, filter)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct custom_feed, made_ms)},
};
static const struct cbor_table table = {CBOR_FIELDS(fields)};

/* --- rows --- */

static struct store_key key_of(const char *name, uint8_t key[static BLAKE3_HASH_LEN])
{
	blake3_hash(name, strlen(name), key);
	return store_key(key, KEY_LEN);
}

/* false: it is a row of another kind. */
static bool row_is_feed(const uint8_t *value, size_t len)
{
	return len && value[0] == CUSTOM_FEED_ROW;
}

static int row_read(const uint8_t *value, size_t len, struct custom_feed *out_feed)
{
	*out_feed = (struct custom_feed){.made_ms = 0};
	return cbor_fields_parse(value + 1, len - 1, &table, out_feed) < 0 ? WEFT_EDAMAGED : 0;
}

int social_feeds_each(struct social_read *read,
		      void (*fn)(void *arg, const struct custom_feed *feed), void *arg)
{
	struct store_iter iter =
		store_iter_fresh(read->params.ground->store, STORE_DRAFTS, STORE_ALL);
	struct custom_feed feed;
	struct store_item item;

	while (store_iter_next(&iter, &item)) {
		if (!row_is_feed(item.value, item.value_len))
			continue;
		if ((iter.err = row_read(item.value, item.value_len, &feed)) < 0)
			break;
		fn(arg, &feed);
	}
	return store_iter_end(&iter);
}

int social_feeds_find(struct social_read *read, const char *name, struct custom_feed *out_feed)
{
	uint8_t hash[BLAKE3_HASH_LEN];
	struct store_snapshot *snapshot;
	const void *value;
	size_t len;
	int err = store_snapshot_open(read->params.ground->store, &snapshot);

	if (err < 0)
		return err;
	err = store_get(snapshot, STORE_DRAFTS, key_of(name, hash), &value, &len);
	if (err == 0)
		err = row_is_feed(value, len) ? row_read(value, len, out_feed) : WEFT_EABSENT;
	store_snapshot_close(snapshot);
	return err;
}

/* --- changes --- */

static void feed_count(void *arg, const struct custom_feed *feed)
{
	(void)feed;
	++*(unsigned *)arg;
}

static int feed_judge(struct social_read *read, const struct custom_feed *feed)
{
	struct feed_filter *filter;
	struct custom_feed former;
	const char *bad;
	unsigned cnt = 0;
	int err;

	if (!feed->name[0] || !utf8_is_plain(feed->name, strlen(feed->name)))
		return WEFT_EMALFORMED;
	if (!(filter = malloc(sizeof(*filter))))
		return -ENOMEM;
	err = social_filter_parse(feed->filter, strlen(feed->filter), filter, &bad);
	free(filter);
	if (err < 0 || (err = social_feeds_find(read, feed->name, &former)) != WEFT_EABSENT)
		return err;
	err = social_feeds_each(read, feed_count, &cnt);
	return err == 0 && cnt >= CUSTOM_FEEDS_MAX ? WEFT_EFULL : err;
}

static int submit(struct social_read *read, struct store_batch *batch, struct post_change_done done)
{
	int err = store_submit(read->params.ground->store, batch, done.done, done.arg);

	if (err < 0)
		store_batch_free(batch);
	return err == WEFT_EFULL ? WEFT_EBUSY : err;
}

int social_feeds_put(struct social_read *read, const struct custom_feed *feed,
		     struct post_change_done done)
{
	uint8_t row[ROW_LEN_MAX], hash[BLAKE3_HASH_LEN];
	struct writer w = writer_of(row, sizeof(row));
	struct store_batch *batch;
	int err = feed_judge(read, feed);

	if (err < 0)
		return err;
	writer_u8(&w, CUSTOM_FEED_ROW);
	cbor_fields_write(&w, &table, feed);
	if (w.bad)
		return WEFT_ETOOLARGE;
	batch = store_batch_new(read->params.ground->store);
	store_batch_put(batch, STORE_DRAFTS, key_of(feed->name, hash), row, writer_len(&w));
	return submit(read, batch, done);
}

int social_feeds_remove(struct social_read *read, const char *name, struct post_change_done done)
{
	uint8_t hash[BLAKE3_HASH_LEN];
	struct custom_feed feed;
	struct store_batch *batch;
	int err = social_feeds_find(read, name, &feed);

	if (err < 0)
		return err;
	batch = store_batch_new(read->params.ground->store);
	store_batch_delete(batch, STORE_DRAFTS, key_of(name, hash));
	return submit(read, batch, done);
}

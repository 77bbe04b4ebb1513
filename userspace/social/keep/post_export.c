/* SPDX-License-Identifier: Apache-2.0 */
#include "social/keep/post_export.h"

#include <string.h>

#include "social/keep/post_record.h"
#include "store/store.h"

/* Whether the slice has room for one more, and whether item is behind its beginning. */
struct slicing {
	struct posts_export *slice;
	unsigned cnt;
	size_t len;
};

static bool slicing_is_over(const struct slicing *slicing)
{
	return slicing->cnt >= slicing->slice->cnt_max || slicing->len >= slicing->slice->len_max;
}

/* false: it is the one that the slice begins behind. */
static bool slicing_take(struct slicing *slicing, const struct store_item *item, size_t len)
{
	struct posts_export *slice = slicing->slice;

	if (slice->has_from && memcmp(item->key, slice->from, POST_ID_LEN) == 0)
		return false;
	memcpy(slice->from, item->key, POST_ID_LEN);
	slice->has_from = true;
	slicing->cnt++;
	slicing->len += len;
	return true;
}

/* first is where the slice begins; the caller keeps it while it walks. */
static struct store_key slice_key(const struct posts_export *slice,
				  uint8_t first[static POST_ID_LEN])
{
	memcpy(first, slice->from, POST_ID_LEN);
	return slice->has_from ? store_key(first, POST_ID_LEN) : STORE_ALL;
}

static int post_give(struct store_snapshot *snapshot, const struct store_item *item,
		     struct slicing *slicing, posts_export_fn fn, void *arg)
{
	struct post_record record;
	struct post_parts parts;
	const void *body;
	size_t len;
	int err = social_post_record_parse(item->key, item->value, item->value_len, &record);

	if (err < 0)
		return WEFT_EDAMAGED;
	if (!(slicing->slice->shares & 1u << record.view.share) &&
	    !(slicing->slice->has_pinned && record.view.flags & POST_PINNED))
		return 0;
	err = store_get(snapshot, STORE_POST_BODIES, store_key(item->key, POST_ID_LEN), &body,
			&len);
	if (err == 0)
		err = social_post_body_split(&record, body, len, &parts);
	if (err < 0)
		return err == WEFT_EABSENT ? WEFT_EDAMAGED : err;
	fn(arg, &record.view, &parts);
	slicing->len += len;
	return 0;
}

int social_posts_export(struct store *store, struct posts_export *slice, posts_export_fn fn,
			void *arg)
{
	uint8_t first[POST_ID_LEN];
	struct slicing slicing = {.slice = slice};
	struct store_snapshot *snapshot;
	struct store_iter iter;
	struct store_item item;
	int err = store_snapshot_open(store, &snapshot);

	if (err < 0)
		return err;
	iter = store_iter(snapshot, STORE_POSTS, slice_key(slice, first));
	while (iter.err == 0 && !slicing_is_over(&slicing) && store_iter_next(&iter, &item))
		if (slicing_take(&slicing, &item, 0))
			iter.err = post_give(snapshot, &item, &slicing, fn, arg);
	err = store_iter_end(&iter);
	store_snapshot_close(snapshot);
	return err < 0 ? err : slicing_is_over(&slicing);
}

int social_posts_export_gone(struct store *store, struct posts_export *slice,
			     posts_export_gone_fn fn, void *arg)
{
	struct slicing slicing = {.slice = slice};
	uint8_t first[POST_ID_LEN];
	struct store_iter iter;
	struct store_item item;
	int err;

	iter = store_iter_fresh(store, STORE_POST_GONE, slice_key(slice, first));
	while (iter.err == 0 && !slicing_is_over(&slicing) && store_iter_next(&iter, &item)) {
		if (item.value_len < POST_GONE_HEAD_LEN)
			iter.err = WEFT_EDAMAGED;
		else if (slicing_take(&slicing, &item, item.value_len))
			fn(arg, item.key, item.value + POST_GONE_HEAD_LEN,
			   item.value_len - POST_GONE_HEAD_LEN);
	}
	err = store_iter_end(&iter);
	return err < 0 ? err : slicing_is_over(&slicing);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ShowSeeding, ListShareItems: what goes out, to which peers, and of what.
 */
#include <stdlib.h>
#include <string.h>

#include "blobs/serve/servers.h"
#include "api/methods.h"
#include "api/content/collection_place.h"

/* Rows of each table that are listed, the busiest first. */
#define SEEDING_ROWS   50u
#define ITEMS_PER_PAGE 1000u

/* --- what is seeded --- */

struct usage_list {
	unsigned cnt;
	struct blobs_usage rows[BLOBS_USAGE_MAX];
};

static int by_rate(const void *a, const void *b)
{
	const struct blobs_usage *left = a, *right = b;

	if (left->per_s != right->per_s)
		return left->per_s < right->per_s ? 1 : -1;
	return left->byte_cnt < right->byte_cnt ? 1 : left->byte_cnt > right->byte_cnt ? -1 : 0;
}

/* The busiest of kind, sorted; the caller frees it. NULL without memory. */
static struct usage_list *usages_read(const struct api *api, enum blobs_usage_kind kind,
				      uint64_t now_ns)
{
	struct blobs_usage_iter iter = {
		.content = api->home->content, .kind = kind, .now_ns = now_ns};
	struct usage_list *list = calloc(1, sizeof(*list));

	if (!list)
		return NULL;
	while (list->cnt < BLOBS_USAGE_MAX && blobs_usages_next(&iter, &list->rows[list->cnt]))
		list->cnt++;
	qsort(list->rows, list->cnt, sizeof(list->rows[0]), by_rate);
	if (list->cnt > SEEDING_ROWS)
		list->cnt = SEEDING_ROWS;
	return list;
}

static void peers_add(struct varlink_blocks *blocks, const struct api *api, uint64_t now_ns,
		      struct api_seeded_peer_list *rows)
{
	struct usage_list *list = usages_read(api, BLOBS_USAGE_PEER, now_ns);

	for (unsigned i = 0; list && i < list->cnt; i++)
		varlink_push(blocks, rows,
			     {.node_id = api_id(blocks, list->rows[i].key),
			      .bytes = api_uint(list->rows[i].byte_cnt),
			      .chunks = api_uint(list->rows[i].chunk_cnt),
			      .per_s = api_uint(list->rows[i].per_s)});
	free(list);
}

static void contents_add(struct varlink_blocks *blocks, const struct api *api, uint64_t now_ns,
			 struct api_seeded_content_list *rows)
{
	struct usage_list *list = usages_read(api, BLOBS_USAGE_CONTENT, now_ns);
	char path[BLOBS_PATH_CAP];

	for (unsigned i = 0; list && i < list->cnt; i++) {
		const struct blobs_usage *usage = &list->rows[i];
		bool has_path = blobs_path_of(api->home->content, usage->key, path);

		varlink_push(
			blocks, rows,
			{.content_id = api_id(blocks, usage->key),
			 .path = has_path ? varlink_text(blocks, path) : NULL,
			 .bytes = api_uint(usage->byte_cnt),
			 .chunks = api_uint(usage->chunk_cnt),
			 .per_s = api_uint(usage->per_s),
			 .seeders = api_uint(blobs_member_cnt(api->home->content, usage->key))});
	}
	free(list);
}

void api_show_seeding(struct api *api, struct control_call *call,
		      const struct api_show_seeding_in *in, uint64_t now_ns)
{
	struct blobs_traffic traffic = api_traffic(api, now_ns);
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_show_seeding_out out;
	struct blobs_stats stats;

	(void)in;
	blobs_stats(api->home->content, &stats);
	for (unsigned i = 1; api->workers && i <= workers_cnt(api->workers); i++) {
		const struct blobs_stats *of = blobs_servers_stats(api->servers, i);

		stats.served_byte_cnt += of->served_byte_cnt;
		stats.served_chunk_cnt += of->served_chunk_cnt;
		stats.shared_read_cnt += of->shared_read_cnt;
		stats.read_byte_cnt += of->read_byte_cnt;
	}
	out = (struct api_show_seeding_out){
		.sum = {.sent_bytes = api_uint(stats.served_byte_cnt),
			.sent_chunks = api_uint(stats.served_chunk_cnt),
			.shared_chunks = api_uint(stats.shared_read_cnt),
			.read_bytes = api_uint(stats.read_byte_cnt),
			.per_s = api_uint(traffic.upload_per_s),
			.slots = api_uint(traffic.upload_slot_cnt),
			.waiting = api_uint(traffic.upload_waiting_cnt),
			.refused = api_uint(traffic.upload_refused_cnt)}};
	peers_add(blocks, api, now_ns, &out.peers);
	contents_add(blocks, api, now_ns, &out.contents);
	control_reply(call, api_show_seeding_out_write(&out));
}

/* --- the items of a share --- */

struct item_list {
	struct varlink_blocks *blocks;
	struct api_share_item_list rows;
};

static void item_collect(void *arg, const struct blobs_item *item)
{
	struct item_list *list = arg;

	varlink_push(list->blocks, &list->rows,
		     {.content_id = api_id(list->blocks, item->content_id),
		      .path = varlink_text(list->blocks, item->path),
		      .bytes = api_uint(item->size)});
}

static void items_fail(struct control_call *call, const char *name, int err)
{
	if (err == WEFT_EABSENT)
		control_fail(call, err, name, "its list of files is not here",
			     "weft get fetches it; weft share list shows what is here");
	else
		control_fail(call, err, name, weft_err_text(err), "weft store check looks closer");
}

/* A share by its name, or a collection as api_share_read takes it. */
static bool items_named(struct api *api, struct control_call *call, const char *name,
			uint8_t manifest_id[static 32])
{
	struct api_place place;
	int err = api_place_called(api, name, &place);

	if (err == WEFT_EABSENT)
		return api_share_read(api, call, name, manifest_id);
	if (err < 0) {
		items_fail(call, name, err);
		return false;
	}
	memcpy(manifest_id, place.manifest_id, sizeof(place.manifest_id));
	return true;
}

void api_list_share_items(struct api *api, struct control_call *call,
			  const struct api_list_share_items_in *in, uint64_t now_ns)
{
	struct item_list list = {.blocks = control_blocks(call)};
	struct blobs_items items = {.first = in->first > 0 ? (uint64_t)in->first : 0,
				    .cnt_max = ITEMS_PER_PAGE,
				    .fn = item_collect,
				    .arg = &list};
	uint8_t manifest_id[32];
	int err;

	(void)now_ns;
	if (!items_named(api, call, in->share, manifest_id))
		return;
	err = blobs_items_each(api->home->content, manifest_id, &items);
	if (err < 0)
		items_fail(call, in->share, err);
	else
		api_reply(call, list_share_items, .collection_id = api_id(list.blocks, manifest_id),
			  .total = api_uint(items.total_cnt),
			  .seeders = api_uint(blobs_member_cnt(api->home->content, manifest_id)),
			  .items = list.rows);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ShowSeeding, ListShareItems: what goes out, to whom, and of what.
 */
#include <stdlib.h>
#include <string.h>

#include "blobs/blobs.h"
#include "api/methods.h"
#include "node/sharing/sharing_place.h"

/* Rows of each table that are told, the busiest first. */
#define SEEDING_ROWS   50u
#define ITEMS_PER_PAGE 1000u

/* --- what is seeded --- */

struct usage_list {
	unsigned cnt;
	struct blobs_usage rows[BLOBS_USAGE_MAX];
};

static void usage_collect(void *arg, const struct blobs_usage *usage)
{
	struct usage_list *list = arg;

	if (list->cnt < BLOBS_USAGE_MAX)
		list->rows[list->cnt++] = *usage;
}

static int by_rate(const void *a, const void *b)
{
	const struct blobs_usage *left = a, *right = b;

	if (left->per_s != right->per_s)
		return left->per_s < right->per_s ? 1 : -1;
	return left->byte_cnt < right->byte_cnt ? 1 : left->byte_cnt > right->byte_cnt ? -1 : 0;
}

static json_t *usage_json(struct node *node, const struct blobs_usage *usage)
{
	char path[BLOBS_PATH_CAP];
	json_t *json = json_pack(
		"{s:o, s:o, s:o, s:o}", usage->kind == BLOBS_USAGE_PEER ? "node_id" : "content_id",
		api_json_id(usage->key), "bytes", api_json_uint(usage->byte_cnt), "chunks",
		api_json_uint(usage->chunk_cnt), "per_s", api_json_uint(usage->per_s));

	if (usage->kind == BLOBS_USAGE_CONTENT) {
		if (blobs_path_of(node->home.content, usage->key, path))
			json_object_set_new(json, "path", json_string(path));
		json_object_set_new(
			json, "seeders",
			api_json_uint(blobs_member_cnt(node->home.content, usage->key)));
	}
	return json;
}

static json_t *usages_json(struct node *node, enum blobs_usage_kind kind, uint64_t now_ns)
{
	struct usage_list *list = calloc(1, sizeof(*list));
	json_t *json = json_array();

	if (!list)
		return json;
	blobs_usage_each(node->home.content, kind, now_ns, usage_collect, list);
	qsort(list->rows, list->cnt, sizeof(list->rows[0]), by_rate);
	for (unsigned i = 0; i < list->cnt && i < SEEDING_ROWS; i++)
		json_array_append_new(json, usage_json(node, &list->rows[i]));
	free(list);
	return json;
}

void api_show_seeding(void *ctx, struct control_call *call, const json_t *parameters,
		      uint64_t now_ns)
{
	struct node *node = ctx;
	struct blobs_traffic traffic = api_traffic(node, now_ns);
	struct blobs_stats stats;

	(void)parameters;
	blobs_stats(node->home.content, &stats);
	for (unsigned i = 1; node->workers && i <= workers_cnt(node->workers); i++) {
		const struct blobs_stats *of = &workers_figures(node->workers, i)->content;

		stats.served_byte_cnt += of->served_byte_cnt;
		stats.served_chunk_cnt += of->served_chunk_cnt;
		stats.shared_read_cnt += of->shared_read_cnt;
		stats.read_byte_cnt += of->read_byte_cnt;
	}
	control_reply(call, json_pack("{s:{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}, s:o, s:o}",
				      "sum", "sent_bytes", api_json_uint(stats.served_byte_cnt),
				      "sent_chunks", api_json_uint(stats.served_chunk_cnt),
				      "shared_chunks", api_json_uint(stats.shared_read_cnt),
				      "read_bytes", api_json_uint(stats.read_byte_cnt), "per_s",
				      api_json_uint(traffic.upload_per_s), "slots",
				      api_json_uint(traffic.upload_slot_cnt), "waiting",
				      api_json_uint(traffic.upload_waiting_cnt), "refused",
				      api_json_uint(traffic.upload_refused_cnt), "peers",
				      usages_json(node, BLOBS_USAGE_PEER, now_ns), "contents",
				      usages_json(node, BLOBS_USAGE_CONTENT, now_ns)));
}

/* --- the items of a share --- */

static void item_collect(void *arg, const struct blobs_item *item)
{
	json_array_append_new(arg, json_pack("{s:o, s:s, s:o}", "content_id",
					     api_json_id(item->content_id), "path", item->path,
					     "bytes", api_json_uint(item->size)));
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
static bool items_named(struct node *node, struct control_call *call, const char *name,
			uint8_t manifest_id[static 32])
{
	struct sharing_place place;
	int err = node_sharing_place_called(node, name, &place);

	if (err == WEFT_EABSENT)
		return api_share_read(node, call, name, manifest_id);
	if (err < 0) {
		items_fail(call, name, err);
		return false;
	}
	memcpy(manifest_id, place.manifest_id, sizeof(place.manifest_id));
	return true;
}

void api_list_share_items(void *ctx, struct control_call *call, const json_t *parameters,
			  uint64_t now_ns)
{
	struct node *node = ctx;
	const char *name = json_string_value(json_object_get(parameters, "share"));
	json_int_t first = json_integer_value(json_object_get(parameters, "first"));
	uint8_t manifest_id[32];
	struct blobs_items items = {.first = first > 0 ? (uint64_t)first : 0,
				    .cnt_max = ITEMS_PER_PAGE,
				    .fn = item_collect,
				    .arg = json_array()};
	int err;

	(void)now_ns;
	if (!items_named(node, call, name, manifest_id)) {
		json_decref(items.arg);
		return;
	}
	err = blobs_items_each(node->home.content, manifest_id, &items);
	if (err < 0) {
		json_decref(items.arg);
		items_fail(call, name, err);
		return;
	}
	control_reply(call,
		      json_pack("{s:o, s:o, s:o, s:o}", "collection_id", api_json_id(manifest_id),
				"total", api_json_uint(items.total_cnt), "seeders",
				api_json_uint(blobs_member_cnt(node->home.content, manifest_id)),
				"items", items.arg));
}

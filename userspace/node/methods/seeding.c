/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ListTrafficLimits, SetTrafficLimit, ShowSeeding, ListShareItems: what goes
 * out, to whom, of what, and how much of it may.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "content/content.h"
#include "node/config/config_table.h"
#include "node/methods/methods.h"
#include "node/sharing/place.h"

/* Rows of each table that are told, the busiest first. */
#define SEEDING_ROWS   50u
#define ITEMS_PER_PAGE 1000u
#define VALUE_CAP      32u

/* --- limits --- */

static struct content_traffic traffic_of_all(struct node *node, uint64_t now_ns)
{
	struct content_traffic sum;

	content_traffic(node->home.content, now_ns, &sum);
	for (unsigned i = 1; node->crew && i <= crew_cnt(node->crew); i++) {
		const struct content_traffic *of = &crew_figures(node->crew, i)->traffic;

		sum.upload_per_s += of->upload_per_s;
		sum.upload_slot_cnt += of->upload_slot_cnt;
		sum.upload_waiting_cnt += of->upload_waiting_cnt;
		sum.upload_refused_cnt += of->upload_refused_cnt;
		if (of->peer_upload_per_s > sum.peer_upload_per_s)
			sum.peer_upload_per_s = of->peer_upload_per_s;
	}
	return sum;
}

static uint64_t used_of(const struct content_traffic *traffic, enum content_limit which)
{
	switch (which) {
	case CONTENT_LIMIT_UPLOAD:
		return traffic->upload_per_s;
	case CONTENT_LIMIT_DOWNLOAD:
		return traffic->download_per_s;
	case CONTENT_LIMIT_UPLOAD_PEER:
		return traffic->peer_upload_per_s;
	case CONTENT_LIMIT_UPLOAD_SLOTS:
		return traffic->upload_slot_cnt;
	default:
		return 0;
	}
}

static bool limit_is_rate(enum content_limit which)
{
	return which != CONTENT_LIMIT_UPLOAD_SLOTS;
}

static const char *value_format(enum content_limit which, uint64_t value,
				char text[static VALUE_CAP])
{
	if (limit_is_rate(which) && value)
		return config_rate_format(value, text, VALUE_CAP);
	snprintf(text, VALUE_CAP, value ? "%" PRIu64 : "none", value);
	return text;
}

static json_t *limit_json(struct node *node, enum content_limit which,
			  const struct content_traffic *traffic)
{
	char value[VALUE_CAP], configured[VALUE_CAP];
	uint64_t used = used_of(traffic, which);
	struct content_limit_view view;
	json_t *json;

	content_limit_show(node->home.content, which, &view);
	json = json_pack("{s:s, s:s, s:o, s:s, s:s, s:b, s:o}", "name", content_limit_name(which),
			 "unit", limit_is_rate(which) ? "bytes_per_s" : "peers", "limit",
			 method_json_uint(view.value), "value",
			 value_format(which, view.value, value), "configured",
			 value_format(which, view.configured, configured), "kept", view.is_kept,
			 "used", method_json_uint(used));
	if (view.value)
		json_object_set_new(json, "fill_percent",
				    method_json_uint(used * 100 / view.value));
	return json;
}

void method_list_traffic_limits(void *ctx, struct control_call *call, const json_t *parameters,
				uint64_t now_ns)
{
	struct content_traffic traffic = traffic_of_all(ctx, now_ns);
	json_t *list = json_array();

	(void)parameters;
	for (unsigned i = 0; i < CONTENT_LIMIT_CNT; i++)
		json_array_append_new(list, limit_json(ctx, (enum content_limit)i, &traffic));
	control_reply(call, json_pack("{s:o, s:o, s:o}", "limits", list, "waiting",
				      method_json_uint(traffic.upload_waiting_cnt), "refused",
				      method_json_uint(traffic.upload_refused_cnt)));
}

struct setting {
	struct node *node;
	struct control_call *call; /* NULL: the caller left */
	enum content_limit which;
};

static void setting_caller_left(void *arg)
{
	((struct setting *)arg)->call = NULL;
}

static void setting_done(void *arg, int err)
{
	struct setting *setting = arg;
	struct content_traffic traffic;

	if (setting->call && err < 0) {
		control_fail(setting->call, err, content_limit_name(setting->which),
			     weft_err_text(err),
			     "it is in force until a restart: mend the store and set it again");
	} else if (setting->call) {
		traffic = traffic_of_all(setting->node, setting->node->home.now_ns);
		control_reply(setting->call,
			      json_pack("{s:o}", "limit",
					limit_json(setting->node, setting->which, &traffic)));
	}
	free(setting);
}

static bool limit_find(struct control_call *call, const char *name, enum content_limit *out_which)
{
	for (unsigned i = 0; i < CONTENT_LIMIT_CNT; i++) {
		if (strcmp(content_limit_name((enum content_limit)i), name) == 0) {
			*out_which = (enum content_limit)i;
			return true;
		}
	}
	control_fail(call, WEFT_EUNKNOWN, name, "there is no limit of that name",
		     "weft limits list shows those there are");
	return false;
}

static bool value_read(struct control_call *call, enum content_limit which, const char *text,
		       uint64_t *out_value)
{
	char *end;

	if (strcmp(text, "none") == 0 || strcmp(text, "0") == 0) {
		*out_value = 0;
		return true;
	}
	if (limit_is_rate(which) && config_rate_parse(text, out_value) && *out_value)
		return true;
	if (!limit_is_rate(which) && text[0] >= '0' && text[0] <= '9') {
		*out_value = strtoull(text, &end, 10);
		if (!*end)
			return true;
	}
	control_fail(call, WEFT_EMALFORMED, content_limit_name(which),
		     limit_is_rate(which) ? "that is not a rate" : "that is not a number",
		     limit_is_rate(which) ? "give it as 10mbit, 500kbit, 2gbit, 125000B or none"
					  : "give a number of peers, or none");
	return false;
}

static void setting_refuse(struct control_call *call, enum content_limit which, int err)
{
	control_fail(call, err, content_limit_name(which),
		     err == WEFT_ETOOLARGE ? "that is more than there can be" : weft_err_text(err),
		     err == WEFT_ETOOLARGE ? "give less, or none for no limit" : "try again");
}

void method_set_traffic_limit(void *ctx, struct control_call *call, const json_t *parameters,
			      uint64_t now_ns)
{
	struct node *node = ctx;
	const char *text = json_string_value(json_object_get(parameters, "value"));
	struct setting *setting;
	enum content_limit which;
	uint64_t value = 0;
	int err;

	(void)now_ns;
	if (!limit_find(call, json_string_value(json_object_get(parameters, "name")), &which) ||
	    (text && !value_read(call, which, text, &value)))
		return;
	setting = calloc(1, sizeof(*setting));
	if (!setting) {
		setting_refuse(call, which, -ENOMEM);
		return;
	}
	*setting = (struct setting){node, call, which};
	control_on_gone(call, setting_caller_left, setting);
	err = text ? content_limit_set(node->home.content, which, value, setting_done, setting)
		   : content_limit_reset(node->home.content, which, setting_done, setting);
	if (err == 0)
		return;
	control_on_gone(call, NULL, NULL);
	setting_refuse(call, which, err);
	free(setting);
}

/* --- what is seeded --- */

struct usage_list {
	unsigned cnt;
	struct content_usage rows[CONTENT_USAGE_MAX];
};

static void usage_collect(void *arg, const struct content_usage *usage)
{
	struct usage_list *list = arg;

	if (list->cnt < CONTENT_USAGE_MAX)
		list->rows[list->cnt++] = *usage;
}

static int by_rate(const void *a, const void *b)
{
	const struct content_usage *left = a, *right = b;

	if (left->per_s != right->per_s)
		return left->per_s < right->per_s ? 1 : -1;
	return left->byte_cnt < right->byte_cnt ? 1 : left->byte_cnt > right->byte_cnt ? -1 : 0;
}

static json_t *usage_json(struct node *node, const struct content_usage *usage)
{
	char path[CONTENT_PATH_CAP];
	json_t *json = json_pack(
		"{s:o, s:o, s:o, s:o}",
		usage->kind == CONTENT_USAGE_PEER ? "node_id" : "content_id",
		method_json_id(usage->key), "bytes", method_json_uint(usage->byte_cnt), "chunks",
		method_json_uint(usage->chunk_cnt), "per_s", method_json_uint(usage->per_s));

	if (usage->kind == CONTENT_USAGE_CONTENT) {
		if (content_path_of(node->home.content, usage->key, path))
			json_object_set_new(json, "path", json_string(path));
		json_object_set_new(
			json, "seeders",
			method_json_uint(content_member_cnt(node->home.content, usage->key)));
	}
	return json;
}

static json_t *usages_json(struct node *node, enum content_usage_kind kind, uint64_t now_ns)
{
	struct usage_list *list = calloc(1, sizeof(*list));
	json_t *json = json_array();

	if (!list)
		return json;
	content_usage_each(node->home.content, kind, now_ns, usage_collect, list);
	qsort(list->rows, list->cnt, sizeof(list->rows[0]), by_rate);
	for (unsigned i = 0; i < list->cnt && i < SEEDING_ROWS; i++)
		json_array_append_new(json, usage_json(node, &list->rows[i]));
	free(list);
	return json;
}

void method_show_seeding(void *ctx, struct control_call *call, const json_t *parameters,
			 uint64_t now_ns)
{
	struct node *node = ctx;
	struct content_traffic traffic = traffic_of_all(node, now_ns);
	struct content_stats stats;

	(void)parameters;
	content_stats(node->home.content, &stats);
	for (unsigned i = 1; node->crew && i <= crew_cnt(node->crew); i++) {
		const struct content_stats *of = &crew_figures(node->crew, i)->content;

		stats.served_byte_cnt += of->served_byte_cnt;
		stats.served_chunk_cnt += of->served_chunk_cnt;
		stats.shared_read_cnt += of->shared_read_cnt;
		stats.read_byte_cnt += of->read_byte_cnt;
	}
	control_reply(call, json_pack("{s:{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}, s:o, s:o}",
				      "sum", "sent_bytes", method_json_uint(stats.served_byte_cnt),
				      "sent_chunks", method_json_uint(stats.served_chunk_cnt),
				      "shared_chunks", method_json_uint(stats.shared_read_cnt),
				      "read_bytes", method_json_uint(stats.read_byte_cnt), "per_s",
				      method_json_uint(traffic.upload_per_s), "slots",
				      method_json_uint(traffic.upload_slot_cnt), "waiting",
				      method_json_uint(traffic.upload_waiting_cnt), "refused",
				      method_json_uint(traffic.upload_refused_cnt), "peers",
				      usages_json(node, CONTENT_USAGE_PEER, now_ns), "contents",
				      usages_json(node, CONTENT_USAGE_CONTENT, now_ns)));
}

/* --- the items of a share --- */

static void item_collect(void *arg, const struct content_item *item)
{
	json_array_append_new(arg, json_pack("{s:o, s:s, s:o}", "content_id",
					     method_json_id(item->content_id), "path", item->path,
					     "bytes", method_json_uint(item->size)));
}

static void items_fail(struct control_call *call, const char *name, int err)
{
	if (err == WEFT_EABSENT)
		control_fail(call, err, name, "its list of files is not here",
			     "weft get fetches it; weft share list shows what is here");
	else
		control_fail(call, err, name, weft_err_text(err), "weft store check looks closer");
}

/* A share by its name, or a collection as method_share_read takes it. */
static bool items_named(struct node *node, struct control_call *call, const char *name,
			uint8_t manifest_id[static 32])
{
	struct sharing_place place;
	int err = sharing_place_called(node, name, &place);

	if (err == WEFT_EABSENT)
		return method_share_read(node, call, name, manifest_id);
	if (err < 0) {
		items_fail(call, name, err);
		return false;
	}
	memcpy(manifest_id, place.manifest_id, sizeof(place.manifest_id));
	return true;
}

void method_list_share_items(void *ctx, struct control_call *call, const json_t *parameters,
			     uint64_t now_ns)
{
	struct node *node = ctx;
	const char *name = json_string_value(json_object_get(parameters, "share"));
	json_int_t first = json_integer_value(json_object_get(parameters, "first"));
	uint8_t manifest_id[32];
	struct content_items items = {.first = first > 0 ? (uint64_t)first : 0,
				      .cnt_max = ITEMS_PER_PAGE,
				      .fn = item_collect,
				      .arg = json_array()};
	int err;

	(void)now_ns;
	if (!items_named(node, call, name, manifest_id)) {
		json_decref(items.arg);
		return;
	}
	err = content_items_each(node->home.content, manifest_id, &items);
	if (err < 0) {
		json_decref(items.arg);
		items_fail(call, name, err);
		return;
	}
	control_reply(
		call,
		json_pack("{s:o, s:o, s:o, s:o}", "collection_id", method_json_id(manifest_id),
			  "total", method_json_uint(items.total_cnt), "seeders",
			  method_json_uint(content_member_cnt(node->home.content, manifest_id)),
			  "items", items.arg));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ListTrafficLimits, SetTrafficLimit: how much is sent and fetched, how much of
 * it may be, and by which timetable.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "blobs/blobs.h"
#include "node/config/config_table.h"
#include "api/methods.h"

#define VALUE_CAP 32u

struct blobs_traffic api_traffic(struct node *node, uint64_t now_ns)
{
	struct blobs_traffic sum;

	blobs_traffic(node->home.content, now_ns, &sum);
	for (unsigned i = 1; node->workers && i <= workers_cnt(node->workers); i++) {
		const struct blobs_traffic *of = &workers_figures(node->workers, i)->traffic;

		sum.upload_per_s += of->upload_per_s;
		sum.upload_slot_cnt += of->upload_slot_cnt;
		sum.upload_waiting_cnt += of->upload_waiting_cnt;
		sum.upload_refused_cnt += of->upload_refused_cnt;
		if (of->peer_upload_per_s > sum.peer_upload_per_s)
			sum.peer_upload_per_s = of->peer_upload_per_s;
	}
	return sum;
}

static uint64_t used_of(const struct blobs_traffic *traffic, enum blobs_limit which)
{
	switch (which) {
	case BLOBS_LIMIT_UPLOAD:
		return traffic->upload_per_s;
	case BLOBS_LIMIT_DOWNLOAD:
		return traffic->download_per_s;
	case BLOBS_LIMIT_UPLOAD_PEER:
		return traffic->peer_upload_per_s;
	case BLOBS_LIMIT_UPLOAD_SLOTS:
		return traffic->upload_slot_cnt;
	default:
		return 0;
	}
}

static bool limit_is_month(enum blobs_limit which)
{
	return which >= BLOBS_LIMIT_UPLOAD_MONTH;
}

static bool limit_is_rate(enum blobs_limit which)
{
	return which != BLOBS_LIMIT_UPLOAD_SLOTS && !limit_is_month(which);
}

static const char *limit_unit(enum blobs_limit which)
{
	return limit_is_month(which) ? "bytes" : limit_is_rate(which) ? "bytes_per_s" : "peers";
}

static const char *value_format(enum blobs_limit which, uint64_t value, char text[static VALUE_CAP])
{
	if (limit_is_rate(which) && value)
		return node_config_rate_format(value, text, VALUE_CAP);
	if (limit_is_month(which) && value)
		return node_config_size_format(value, text, VALUE_CAP);
	snprintf(text, VALUE_CAP, value ? "%" PRIu64 : "none", value);
	return text;
}

static bool month_find(const struct node *node, enum blobs_limit which,
		       struct blobs_month_view *out_view)
{
	for (unsigned d = 0; d < BLOBS_DIRECTION_CNT; d++) {
		for (unsigned z = 0; z < BLOBS_ZONE_CNT; z++) {
			if (blobs_month_limit((enum blobs_direction)d, (enum blobs_zone)z) != which)
				continue;
			blobs_month_show(node->home.content, (enum blobs_direction)d,
					 (enum blobs_zone)z, out_view);
			return true;
		}
	}
	return false;
}

/* Of a month's cap: the glide's rate, and when the month ends. */
static void month_set(const struct node *node, enum blobs_limit which, json_t *json)
{
	struct blobs_month_view month;
	char rate[VALUE_CAP];

	if (!month_find(node, which, &month) || !json_integer_value(json_object_get(json, "limit")))
		return;
	if (month.glide_per_s)
		json_object_set_new(
			json, "in_force",
			json_string(value_format(BLOBS_LIMIT_UPLOAD, month.glide_per_s, rate)));
	else
		json_object_set_new(json, "in_force",
				    json_string(month.is_reached ? "reached" : "none"));
	if (month.end_s)
		json_object_set_new(json, "next_at", api_json_uint(month.end_s));
}

static json_t *limit_json(struct node *node, enum blobs_limit which,
			  const struct blobs_traffic *traffic)
{
	char value[VALUE_CAP], configured[VALUE_CAP];
	uint64_t used = used_of(traffic, which);
	struct blobs_month_view month;
	struct blobs_limit_view view;
	json_t *json;

	if (month_find(node, which, &month))
		used = month.used;
	blobs_limit_show(node->home.content, which, &view);
	json = json_pack("{s:s, s:s, s:o, s:s, s:s, s:b, s:o}", "name", blobs_limit_name(which),
			 "unit", limit_unit(which), "limit", api_json_uint(view.value), "value",
			 value_format(which, view.value, value), "configured",
			 value_format(which, view.configured, configured), "kept", view.is_kept,
			 "used", api_json_uint(used));
	if (view.in_force)
		json_object_set_new(json, "fill_percent",
				    api_json_uint(used * 100 / view.in_force));
	json_object_set_new(json, "in_force",
			    json_string(value_format(which, view.in_force, value)));
	month_set(node, which, json);
	return json;
}

static const char *text_or_none(const char *text)
{
	return text[0] ? text : "none";
}

/* Rows of uploads and of downloads use what is used of their limits. */
static json_t *timetable_json(struct node *node, enum blobs_direction direction,
			      const struct blobs_traffic *traffic)
{
	uint64_t used =
		direction == BLOBS_UPLOADS ? traffic->upload_per_s : traffic->download_per_s;
	struct blobs_timetable_view view;
	char rate[VALUE_CAP];
	json_t *json;

	blobs_timetable_show(node->home.content, direction, &view);
	json = json_pack("{s:s, s:s, s:o, s:s, s:s, s:b, s:o, s:s}", "name",
			 blobs_timetable_name(direction), "unit", "bytes_per_s", "limit",
			 api_json_uint(view.per_s), "value", text_or_none(view.text), "configured",
			 text_or_none(view.configured), "kept", view.is_kept, "used",
			 api_json_uint(used), "in_force",
			 value_format(BLOBS_LIMIT_UPLOAD, view.per_s, rate));
	if (view.per_s)
		json_object_set_new(json, "fill_percent", api_json_uint(used * 100 / view.per_s));
	if (view.entry)
		json_object_set_new(json, "entry", json_stringn(view.entry, view.entry_len));
	if (view.next_s)
		json_object_set_new(json, "next_at", api_json_uint(view.next_s));
	json_object_set_new(json, "utc_offset_s", json_integer((json_int_t)view.utc_offset_s));
	return json;
}

json_t *api_json_rates(struct node *node, uint64_t now_ns)
{
	struct blobs_traffic traffic = api_traffic(node, now_ns);
	struct blobs_timetable_view view;
	json_t *list = json_array();

	for (unsigned i = BLOBS_LIMIT_UPLOAD_MONTH; i < BLOBS_LIMIT_CNT; i++) {
		struct blobs_limit_view limit;

		blobs_limit_show(node->home.content, (enum blobs_limit)i, &limit);
		if (limit.value)
			json_array_append_new(list,
					      limit_json(node, (enum blobs_limit)i, &traffic));
	}
	for (unsigned i = 0; i < BLOBS_DIRECTION_CNT; i++) {
		blobs_timetable_show(node->home.content, (enum blobs_direction)i, &view);
		if (view.text[0])
			json_array_append_new(
				list, timetable_json(node, (enum blobs_direction)i, &traffic));
	}
	return list;
}

void api_list_traffic_limits(void *ctx, struct control_call *call, const json_t *parameters,
			     uint64_t now_ns)
{
	struct blobs_traffic traffic = api_traffic(ctx, now_ns);
	json_t *list = json_array();

	(void)parameters;
	for (unsigned i = 0; i < BLOBS_LIMIT_CNT; i++)
		json_array_append_new(list, limit_json(ctx, (enum blobs_limit)i, &traffic));
	for (unsigned i = 0; i < BLOBS_DIRECTION_CNT; i++)
		json_array_append_new(list, timetable_json(ctx, (enum blobs_direction)i, &traffic));
	control_reply(call, json_pack("{s:o, s:o, s:o}", "limits", list, "waiting",
				      api_json_uint(traffic.upload_waiting_cnt), "refused",
				      api_json_uint(traffic.upload_refused_cnt)));
}

/* What is set: a limit, or with which at BLOBS_LIMIT_CNT the timetable of direction. */
struct setting {
	struct node *node;
	struct control_call *call; /* NULL: the caller left */
	enum blobs_limit which;
	enum blobs_direction direction;
};

static const char *setting_name(const struct setting *setting)
{
	return setting->which == BLOBS_LIMIT_CNT ? blobs_timetable_name(setting->direction)
						 : blobs_limit_name(setting->which);
}

static void setting_caller_left(void *arg)
{
	((struct setting *)arg)->call = NULL;
}

static void setting_done(void *arg, int err)
{
	struct setting *setting = arg;
	struct blobs_traffic traffic;

	if (setting->call && err < 0) {
		control_fail(setting->call, err, setting_name(setting), weft_err_text(err),
			     "nothing was changed: mend the store (weft status says more) and "
			     "set it again");
	} else if (setting->call) {
		traffic = api_traffic(setting->node, setting->node->home.now_ns);
		control_reply(
			setting->call,
			json_pack("{s:o}", "limit",
				  setting->which == BLOBS_LIMIT_CNT
					  ? timetable_json(setting->node, setting->direction,
							   &traffic)
					  : limit_json(setting->node, setting->which, &traffic)));
	}
	free(setting);
}

static bool limit_find(struct control_call *call, const char *name, struct setting *out_setting)
{
	for (unsigned i = 0; i < BLOBS_LIMIT_CNT; i++) {
		if (strcmp(blobs_limit_name((enum blobs_limit)i), name) == 0) {
			out_setting->which = (enum blobs_limit)i;
			return true;
		}
	}
	out_setting->which = BLOBS_LIMIT_CNT;
	for (unsigned i = 0; i < BLOBS_DIRECTION_CNT; i++) {
		if (strcmp(blobs_timetable_name((enum blobs_direction)i), name) == 0) {
			out_setting->direction = (enum blobs_direction)i;
			return true;
		}
	}
	control_fail(call, WEFT_EUNKNOWN, name, "there is no limit of that name",
		     "weft limits list shows those there are");
	return false;
}

static bool timetable_check(struct control_call *call, const struct setting *setting,
			    const char *text)
{
	struct timetable_fault fault;
	struct timetable table;
	char why[256];

	if (blobs_timetable_parse(text, &table, &fault) == 0)
		return true;
	snprintf(why, sizeof(why), "\"%.*s\": %s", fault.len < 80 ? (int)fault.len : 80, fault.at,
		 fault.why);
	control_fail(call, WEFT_EMALFORMED, setting_name(setting), why,
		     "give entries apart by semicolons, as in weft.conf(5), or none");
	return false;
}

static bool value_read(struct control_call *call, enum blobs_limit which, const char *text,
		       uint64_t *out_value)
{
	char *end;

	if (strcmp(text, "none") == 0 || strcmp(text, "0") == 0) {
		*out_value = 0;
		return true;
	}
	if (limit_is_rate(which) && node_config_rate_parse(text, out_value) && *out_value)
		return true;
	if (limit_is_month(which) && node_config_size_parse(text, out_value) && *out_value)
		return true;
	if (which == BLOBS_LIMIT_UPLOAD_SLOTS && text[0] >= '0' && text[0] <= '9') {
		*out_value = strtoull(text, &end, 10);
		if (!*end)
			return true;
	}
	if (limit_is_month(which))
		control_fail(call, WEFT_EMALFORMED, blobs_limit_name(which),
			     "that is not a number of bytes", "give it as 500G, 2T or none");
	else
		control_fail(call, WEFT_EMALFORMED, blobs_limit_name(which),
			     limit_is_rate(which) ? "that is not a rate" : "that is not a number",
			     limit_is_rate(which)
				     ? "give it as 10mbit, 500kbit, 2gbit, 125000B or none"
				     : "give a number of peers, or none");
	return false;
}

static void setting_refuse(struct control_call *call, const struct setting *setting, int err)
{
	control_fail(call, err, setting_name(setting),
		     err == WEFT_ETOOLARGE ? "that is more than there can be" : weft_err_text(err),
		     err == WEFT_ETOOLARGE ? "give less, or none for no limit" : "try again");
}

/* text NULL: back to what is configured. */
static int setting_begin(struct setting *setting, const char *text, uint64_t value)
{
	struct blobs *content = setting->node->home.content;

	if (setting->which == BLOBS_LIMIT_CNT)
		return blobs_timetable_set(content, setting->direction, text, setting_done,
					   setting);
	return text ? blobs_limit_set(content, setting->which, value, setting_done, setting)
		    : blobs_limit_reset(content, setting->which, setting_done, setting);
}

void api_set_traffic_limit(void *ctx, struct control_call *call, const json_t *parameters,
			   uint64_t now_ns)
{
	const char *text = json_string_value(json_object_get(parameters, "value"));
	struct setting wanted = {.node = ctx, .call = call}, *setting;
	uint64_t value = 0;
	int err;

	(void)now_ns;
	if (!limit_find(call, json_string_value(json_object_get(parameters, "name")), &wanted))
		return;
	if (text && wanted.which == BLOBS_LIMIT_CNT) {
		text = strcmp(text, "none") == 0 ? "" : text;
		if (!timetable_check(call, &wanted, text))
			return;
	} else if (text && !value_read(call, wanted.which, text, &value)) {
		return;
	}
	setting = malloc(sizeof(*setting));
	if (!setting) {
		setting_refuse(call, &wanted, -ENOMEM);
		return;
	}
	*setting = wanted;
	control_on_gone(call, setting_caller_left, setting);
	err = setting_begin(setting, text, value);
	if (err == 0)
		return;
	control_on_gone(call, NULL, NULL);
	setting_refuse(call, setting, err);
	free(setting);
}

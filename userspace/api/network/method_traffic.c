/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ListTrafficLimits, SetTrafficLimit: how much is sent and fetched, how much of
 * it may be, and by which timetable.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "blobs/serve/servers.h"
#include "config/config_table.h"
#include "api/methods.h"

#define VALUE_CAP 32u

struct blobs_traffic api_traffic(struct api *api, uint64_t now_ns)
{
	struct blobs_traffic sum;

	blobs_traffic(api->home->content, now_ns, &sum);
	for (unsigned i = 1; api->workers && i <= workers_cnt(api->workers); i++) {
		const struct blobs_traffic *of = blobs_servers_traffic(api->servers, i);

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

static enum api_traffic_limit_unit limit_unit(enum blobs_limit which)
{
	if (limit_is_month(which))
		return API_TRAFFIC_LIMIT_UNIT_BYTES;
	return limit_is_rate(which) ? API_TRAFFIC_LIMIT_UNIT_BYTES_PER_S
				    : API_TRAFFIC_LIMIT_UNIT_PEERS;
}

static const char *value_format(struct varlink_blocks *blocks, enum blobs_limit which,
				uint64_t value)
{
	char text[VALUE_CAP];

	if (limit_is_rate(which) && value)
		return varlink_text(blocks, config_rate_format(value, text, VALUE_CAP));
	if (limit_is_month(which) && value)
		return varlink_text(blocks, config_size_format(value, text, VALUE_CAP));
	return value ? varlink_format(blocks, "%" PRIu64, value) : "none";
}

static bool month_find(const struct api *api, enum blobs_limit which,
		       struct blobs_month_view *out_view)
{
	for (unsigned d = 0; d < BLOBS_DIRECTION_CNT; d++) {
		for (unsigned z = 0; z < BLOBS_ZONE_CNT; z++) {
			if (blobs_month_limit((enum blobs_direction)d, (enum blobs_zone)z) != which)
				continue;
			blobs_month_show(api->home->content, (enum blobs_direction)d,
					 (enum blobs_zone)z, out_view);
			return true;
		}
	}
	return false;
}

/* A month's cap: the glide's rate, and when the month ends. */
static void month_set(struct varlink_blocks *blocks, const struct blobs_month_view *month,
		      struct api_traffic_limit *row)
{
	if (!row->limit)
		return;
	if (month->glide_per_s)
		row->in_force = value_format(blocks, BLOBS_LIMIT_UPLOAD, month->glide_per_s);
	else
		row->in_force = month->is_reached ? "reached" : "none";
	if (month->end_s)
		API_SET(row, next_at, api_uint(month->end_s));
}

static struct api_traffic_limit limit_row(struct varlink_blocks *blocks, struct api *api,
					  enum blobs_limit which,
					  const struct blobs_traffic *traffic)
{
	struct blobs_month_view month;
	struct blobs_limit_view view;
	bool has_month = month_find(api, which, &month);
	uint64_t used = has_month ? month.used : used_of(traffic, which);
	struct api_traffic_limit row;

	blobs_limit_show(api->home->content, which, &view);
	row = (struct api_traffic_limit){
		.name = blobs_limit_name(which),
		.unit = limit_unit(which),
		.limit = api_uint(view.value),
		.value = value_format(blocks, which, view.value),
		.configured = value_format(blocks, which, view.configured),
		.kept = view.is_kept,
		.used = api_uint(used),
		API_IF(fill_percent, view.in_force, api_uint(used * 100 / view.in_force)),
		.in_force = value_format(blocks, which, view.in_force),
	};
	if (has_month)
		month_set(blocks, &month, &row);
	return row;
}

static const char *text_or_none(struct varlink_blocks *blocks, const char *text)
{
	return text[0] ? varlink_text(blocks, text) : "none";
}

/* Rows of uploads and of downloads use what is used of their limits. */
static struct api_traffic_limit timetable_row(struct varlink_blocks *blocks, struct api *api,
					      enum blobs_direction direction,
					      const struct blobs_traffic *traffic)
{
	uint64_t used =
		direction == BLOBS_UPLOADS ? traffic->upload_per_s : traffic->download_per_s;
	struct blobs_timetable_view view;

	blobs_timetable_show(api->home->content, direction, &view);
	return (struct api_traffic_limit){
		.name = blobs_timetable_name(direction),
		.unit = API_TRAFFIC_LIMIT_UNIT_BYTES_PER_S,
		.limit = api_uint(view.per_s),
		.value = text_or_none(blocks, view.text),
		.configured = text_or_none(blocks, view.configured),
		.kept = view.is_kept,
		.used = api_uint(used),
		.in_force = value_format(blocks, BLOBS_LIMIT_UPLOAD, view.per_s),
		API_IF(fill_percent, view.per_s, api_uint(used * 100 / view.per_s)),
		.entry = view.entry
				 ? varlink_format(blocks, "%.*s", (int)view.entry_len, view.entry)
				 : NULL,
		API_IF(next_at, view.next_s, api_uint(view.next_s)),
		API_IF(utc_offset_s, true, view.utc_offset_s),
	};
}

struct api_traffic_limit_list api_rates(struct varlink_blocks *blocks, struct api *api,
					uint64_t now_ns)
{
	struct blobs_traffic traffic = api_traffic(api, now_ns);
	struct api_traffic_limit_list rows = {0};
	struct blobs_timetable_view view;
	struct blobs_limit_view limit;

	for (enum blobs_limit i = BLOBS_LIMIT_UPLOAD_MONTH; i < BLOBS_LIMIT_CNT; i++) {
		blobs_limit_show(api->home->content, i, &limit);
		if (limit.value)
			varlink_push(blocks, &rows, limit_row(blocks, api, i, &traffic));
	}
	for (enum blobs_direction i = 0; i < BLOBS_DIRECTION_CNT; i++) {
		blobs_timetable_show(api->home->content, i, &view);
		if (view.text[0])
			varlink_push(blocks, &rows, timetable_row(blocks, api, i, &traffic));
	}
	return rows;
}

void api_list_traffic_limits(struct api *api, struct control_call *call,
			     const struct api_list_traffic_limits_in *in, uint64_t now_ns)
{
	struct blobs_traffic traffic = api_traffic(api, now_ns);
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_traffic_limit_list rows = {0};

	(void)in;
	for (enum blobs_limit i = 0; i < BLOBS_LIMIT_CNT; i++)
		varlink_push(blocks, &rows, limit_row(blocks, api, i, &traffic));
	for (enum blobs_direction i = 0; i < BLOBS_DIRECTION_CNT; i++)
		varlink_push(blocks, &rows, timetable_row(blocks, api, i, &traffic));
	api_reply(call, list_traffic_limits, .limits = rows,
		  .waiting = api_uint(traffic.upload_waiting_cnt),
		  .refused = api_uint(traffic.upload_refused_cnt));
}

/*
 * The target of the setting: a limit, or with which at BLOBS_LIMIT_CNT the
 * timetable of direction.
 */
struct setting {
	struct api *api;
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
		struct varlink_blocks *blocks = control_blocks(setting->call);

		traffic = api_traffic(setting->api, setting->api->home->now_ns);
		api_reply(setting->call, set_traffic_limit,
			  .limit = setting->which == BLOBS_LIMIT_CNT
					   ? timetable_row(blocks, setting->api, setting->direction,
							   &traffic)
					   : limit_row(blocks, setting->api, setting->which,
						       &traffic));
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
	if (limit_is_rate(which) && config_rate_parse(text, out_value) && *out_value)
		return true;
	if (limit_is_month(which) && config_size_parse(text, out_value) && *out_value)
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
	struct blobs *content = setting->api->home->content;

	if (setting->which == BLOBS_LIMIT_CNT)
		return blobs_timetable_set(content, setting->direction, text, setting_done,
					   setting);
	return text ? blobs_limit_set(content, setting->which, value, setting_done, setting)
		    : blobs_limit_reset(content, setting->which, setting_done, setting);
}

void api_set_traffic_limit(struct api *api, struct control_call *call,
			   const struct api_set_traffic_limit_in *in, uint64_t now_ns)
{
	const char *text = in->value;
	struct setting wanted = {.api = api, .call = call}, *setting;
	uint64_t value = 0;
	int err;

	(void)now_ns;
	if (!limit_find(call, in->name, &wanted))
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

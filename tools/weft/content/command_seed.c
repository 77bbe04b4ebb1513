/* SPDX-License-Identifier: Apache-2.0 */
/* weft seed top|list|stop|start|set, weft limits list|set|reset, weft share items. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/daemon_client.h"
#include "command/command.h"
#include "command/command_show.h"
#include "print/output_table.h"
#include "print/text.h"

void print_limits_list(const struct invocation *inv, const json_t *reply)
{
	table_print(inv, json_object_get(reply, "limits"), api_view_traffic_limit_list,
		    "no limits");
	if (inv->has_terminal_out)
		printf("%" PRIu64 " requests wait, %" PRIu64 " were told to come back\n",
		       field_uint(reply, "waiting"), field_uint(reply, "refused"));
}

void print_limits_set(const struct invocation *inv, const json_t *reply)
{
	json_t *limits = json_array();

	json_array_append(limits, json_object_get(reply, "limit"));
	table_print(inv, limits, api_view_traffic_limit_list, "");
	json_decref(limits);
}

void print_seed_top(const struct invocation *inv, const json_t *reply)
{
	fields_print(inv, json_object_get(reply, "sum"), api_view_seeding_sum_show);
	if (inv->has_terminal_out)
		printf("\n");
	show_part(inv, "peer", json_object_get(reply, "peers"), api_view_seeded_peer_list);
	show_part(inv, "content", json_object_get(reply, "contents"), api_view_seeded_content_list);
}

/* --- what gets brought --- */

/* The bounds in a table, for people and pipes alike. */
static void seed_texts_set(json_t *get)
{
	static const char *const ends[][2] = {
		{"asked", "stopped"}, {"ratio", "ratio reached"}, {"time", "time over"}};
	uint64_t size = field_uint(get, "bytes"), percent = field_uint(get, "seed_percent");
	double ratio = size ? (double)field_uint(get, "bytes_counted") / (double)size : 0;
	const char *state = field_text(get, "state");
	char text[48], bound[32] = "", elapsed[TEXT_SHORT_CAP];

	if (strcmp(state, "finished") == 0)
		state = "seeding";
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (strcmp(field_text(get, "seed_end"), ends[i][0]) == 0)
			state = ends[i][1];
	json_object_set_new(get, "seeding", json_string(state));
	if (percent)
		snprintf(bound, sizeof(bound), " of %.2f", (double)percent / 100);
	snprintf(text, sizeof(text), "%.2f%s", ratio, bound);
	json_object_set_new(get, "ratio", json_string(text));
	if (field_uint(get, "seed_for_s"))
		json_object_set_new(
			get, "for",
			json_string(text_elapsed(field_uint(get, "seed_for_s") * 1000, elapsed)));
}

void print_seed_list(const struct invocation *inv, const json_t *reply)
{
	static const struct column columns[] = {
		{"ID", "get_id", COLUMN_COUNT},	      {"SEEDING", "seeding", COLUMN_TEXT},
		{"SENT", "bytes_sent", COLUMN_BYTES}, {"SIZE", "bytes", COLUMN_BYTES},
		{"RATIO", "ratio", COLUMN_TEXT},      {"SINCE", "seeded_since_s", COLUMN_TIME},
		{"FOR", "for", COLUMN_TEXT},	      {"TITLE", "title", COLUMN_TEXT},
		{"TARGET", "target", COLUMN_TEXT},    {0},
	};
	json_t *gets = json_object_get(reply, "transfers"), *get;
	size_t i;

	json_array_foreach(gets, i, get)
	{
		seed_texts_set(get);
	}
	table_print(inv, gets, columns,
		    "nothing was got; weft get LINK --to DIR fetches something");
}

static void seed_print(const struct invocation *inv, const json_t *reply)
{
	json_t *gets = json_array(), *list;

	json_array_append(gets, json_object_get(reply, "transfer"));
	list = json_pack("{s:o}", "transfers", gets);
	print_seed_list(inv, list);
	json_decref(list);
}

/* Adds what is to change; get_id must be a number. */
static int seed_call(struct invocation *inv, json_t *parameters)
{
	uint64_t id;

	if (!text_parse_count(inv->args[0], &id)) {
		json_decref(parameters);
		return client_say_error(STATUS_USAGE, inv->args[0], "not the number of a get",
					"weft seed list shows the numbers.");
	}
	json_object_set_new(parameters, "get_id", json_integer((json_int_t)id));
	return client_show(inv, "SetSeeding", parameters, seed_print);
}

int run_seed_stop(struct invocation *inv)
{
	return seed_call(inv, json_pack("{s:b}", "seeded", 0));
}

int run_seed_start(struct invocation *inv)
{
	return seed_call(inv, json_pack("{s:b}", "seeded", 1));
}

/* "2", "1.5", "none": in percent. */
static bool ratio_parse(const char *text, uint64_t *out_percent)
{
	char *end;
	double ratio;

	if (strcmp(text, "none") == 0) {
		*out_percent = 0;
		return true;
	}
	if (text[0] < '0' || text[0] > '9')
		return false;
	ratio = strtod(text, &end);
	*out_percent = (uint64_t)(ratio * 100 + 0.5);
	return *end == '\0' && ratio <= 1000000 && *out_percent > 0;
}

int run_seed_set(struct invocation *inv)
{
	const char *ratio = invocation_option(inv, "ratio"), *time = invocation_option(inv, "for");
	bool is_default = invocation_option(inv, "default") != NULL;
	uint64_t percent = 0, for_s = 0;
	json_t *parameters;

	if (!ratio && !time && !is_default)
		return client_say_error(STATUS_USAGE, "seed set", "nothing is to change",
					"give --ratio, --for or --default");
	if (ratio && !ratio_parse(ratio, &percent))
		return client_say_error(STATUS_USAGE, "--ratio", "not a ratio",
					"give 2, 1.5 or none; at most 1000000");
	if (time && strcmp(time, "none") != 0 && !text_parse_seconds(time, &for_s))
		return client_say_error(STATUS_USAGE, "--for", "not a time",
					"give 12h, 7d or none");
	parameters = json_object();
	if (ratio || is_default)
		json_object_set_new(parameters, "percent",
				    json_integer(ratio ? (json_int_t)percent : -1));
	if (time || is_default)
		json_object_set_new(parameters, "for_s",
				    json_integer(time ? (json_int_t)for_s : -1));
	return seed_call(inv, parameters);
}

static void items_print(const struct invocation *inv, const json_t *reply)
{
	static const struct column columns[] = {
		{"CONTENT", "content_id", COLUMN_ID},
		{"SIZE", "bytes", COLUMN_BYTES},
		{"SEEDERS", "seeders", COLUMN_COUNT},
		{"PATH", "path", COLUMN_TEXT},
		{0},
	};
	json_t *items = json_object_get(reply, "items"), *item;
	size_t idx;

	json_array_foreach(items, idx, item)
	{
		json_object_set(item, "seeders", json_object_get(reply, "seeders"));
	}
	table_print(inv, items, columns, "no items");
}

int run_share_items(struct invocation *inv)
{
	const char *first = invocation_option(inv, "from");
	json_t *parameters = json_pack("{s:s}", "share", inv->args[0]);
	uint64_t number;

	if (first && !text_parse_count(first, &number)) {
		json_decref(parameters);
		return client_say_error(STATUS_USAGE, "--from", "that is not a number",
					"give the number of the first item, from 0");
	}
	if (first)
		json_object_set_new(parameters, "first", json_integer((json_int_t)number));
	return client_show(inv, "ListShareItems", parameters, items_print);
}

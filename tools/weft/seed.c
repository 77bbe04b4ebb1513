/* SPDX-License-Identifier: Apache-2.0 */
/* weft seed top, weft limits list|set|reset, weft share items. */
#include <inttypes.h>
#include <stdio.h>

#include "client.h"
#include "command.h"
#include "show.h"
#include "table.h"
#include "text.h"

static const struct column limit_columns[] = {
	{"NAME", "name", COLUMN_TEXT},
	{"LIMIT", "value", COLUMN_TEXT},
	{"USED", "used", COLUMN_QUANTITY},
	{"FILL %", "fill_percent", COLUMN_COUNT},
	{"SET", "kept", COLUMN_BOOL},
	{"CONFIGURED", "configured", COLUMN_TEXT},
	{0},
};

static void limits_print(const struct invocation *inv, const json_t *reply)
{
	table_print(inv, json_object_get(reply, "limits"), limit_columns, "no limits");
	if (inv->has_terminal_out)
		printf("%" PRIu64 " requests wait, %" PRIu64 " were told to come back\n",
		       field_uint(reply, "waiting"), field_uint(reply, "refused"));
}

int run_limits_list(struct invocation *inv)
{
	return client_show(inv, "ListTrafficLimits", NULL, limits_print);
}

static void limit_print(const struct invocation *inv, const json_t *reply)
{
	json_t *limits = json_array();

	json_array_append(limits, json_object_get(reply, "limit"));
	table_print(inv, limits, limit_columns, "");
	json_decref(limits);
}

int run_limits_set(struct invocation *inv)
{
	return client_set(inv, "SetTrafficLimit",
			  json_pack("{s:s, s:s}", "name", inv->args[0], "value", inv->args[1]),
			  limit_print);
}

int run_limits_reset(struct invocation *inv)
{
	return client_set(inv, "SetTrafficLimit", json_pack("{s:s}", "name", inv->args[0]),
			  limit_print);
}

static void seeding_print(const struct invocation *inv, const json_t *reply)
{
	static const struct field sums[] = {
		{"per_s", "sent per second", "per_s", COLUMN_BYTES},
		{"sent", "sent", "sent_bytes", COLUMN_BYTES},
		{"chunks", "chunks", "sent_chunks", COLUMN_COUNT},
		{"shared", "of one read", "shared_chunks", COLUMN_COUNT},
		{"read", "read from files", "read_bytes", COLUMN_BYTES},
		{"peers", "peers served", "slots", COLUMN_COUNT},
		{"waiting", "requests that wait", "waiting", COLUMN_COUNT},
		{"refused", "told to come back", "refused", COLUMN_COUNT},
		{0},
	};
	static const struct column peers[] = {
		{"", "line", COLUMN_PIPE},	    {"PEER", "node_id", COLUMN_ID},
		{"PER S", "per_s", COLUMN_BYTES},   {"SENT", "bytes", COLUMN_BYTES},
		{"CHUNKS", "chunks", COLUMN_COUNT}, {0},
	};
	static const struct column contents[] = {
		{"", "line", COLUMN_PIPE},	    {"CONTENT", "content_id", COLUMN_ID},
		{"PER S", "per_s", COLUMN_BYTES},   {"SENT", "bytes", COLUMN_BYTES},
		{"CHUNKS", "chunks", COLUMN_COUNT}, {"SEEDERS", "seeders", COLUMN_COUNT},
		{"PATH", "path", COLUMN_TEXT},	    {0},
	};

	fields_print(inv, json_object_get(reply, "sum"), sums);
	if (inv->has_terminal_out)
		printf("\n");
	show_part(inv, "peer", json_object_get(reply, "peers"), peers);
	show_part(inv, "content", json_object_get(reply, "contents"), contents);
}

int run_seed_top(struct invocation *inv)
{
	return client_show(inv, "ShowSeeding", NULL, seeding_print);
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

/* SPDX-License-Identifier: Apache-2.0 */
/* weft seed: list, stop, start, set; weft limits: list, set, reset. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/daemon_client.h"
#include "print/output_table.h"
#include "print/text.h"

void print_limits_list(const struct invocation *inv, const void *reply)
{
	const struct api_list_traffic_limits_out *out = reply;

	table_print(inv, TABLE_ROWS(out->limits), api_view_traffic_limit_list, "no limits");
	if (inv->has_terminal_out)
		printf("%" PRId64 " requests wait, %" PRId64 " were deferred\n", out->waiting,
		       out->refused);
}

void print_limits_set(const struct invocation *inv, const void *reply)
{
	const struct api_set_traffic_limit_out *out = reply;

	table_print(inv, TABLE_ROW(&out->limit), api_view_traffic_limit_list, "");
}

/* --- what gets brought --- */

/* A get with its bounds, for people and pipes alike. */
struct seed_row {
	struct api_get_info get;
	const char *seeding, *ratio, *time; /* time NULL: no bound */
};

static const char *seeding_text(const struct api_get_info *get)
{
	static const char *const ends[][2] = {
		{"asked", "stopped"}, {"ratio", "ratio reached"}, {"time", "time over"}};

	for (size_t i = 0; i < VARLINK_CNT_OF(ends); i++)
		if (strcmp(get->seed_end, ends[i][0]) == 0)
			return ends[i][1];
	return get->state == API_GET_STATE_FINISHED ? "seeding"
						    : api_get_state_type.words[get->state];
}

static struct seed_row seed_row(const struct invocation *inv, const struct api_get_info *get)
{
	double ratio = get->bytes ? (double)get->bytes_counted / (double)get->bytes : 0;
	char elapsed[TEXT_SHORT_CAP];
	struct seed_row row = {.get = *get, .seeding = seeding_text(get)};

	row.ratio = get->seed_percent ? varlink_format(inv->blocks, "%.2f of %.2f", ratio,
						       (double)get->seed_percent / 100)
				      : varlink_format(inv->blocks, "%.2f", ratio);
	if (get->seed_for_s)
		row.time = varlink_text(inv->blocks,
					text_elapsed((uint64_t)get->seed_for_s * 1000, elapsed));
	return row;
}

static void seeds_print(const struct invocation *inv, const struct api_get_info *gets, size_t cnt)
{
	static const struct column columns[] = {
		COLUMN_OF("ID", seed_row, get.get_id, int, COUNT),
		COLUMN_OF("SEEDING", seed_row, seeding, string, TEXT),
		COLUMN_OF("SENT", seed_row, get.bytes_sent, int, BYTES),
		COLUMN_OF("SIZE", seed_row, get.bytes, int, BYTES),
		COLUMN_OF("RATIO", seed_row, ratio, string, TEXT),
		COLUMN_IF("SINCE", seed_row, get, seeded_since_s, int, TIME),
		COLUMN_OF("FOR", seed_row, time, string, TEXT),
		COLUMN_OF("TITLE", seed_row, get.title, string, TEXT),
		COLUMN_OF("TARGET", seed_row, get.target, string, TEXT),
		{0},
	};
	struct seed_row *rows = varlink_alloc(inv->blocks, (cnt + 1) * sizeof(*rows));

	for (size_t i = 0; rows && i < cnt; i++)
		rows[i] = seed_row(inv, &gets[i]);
	table_print(inv, (struct table_rows){rows, rows ? cnt : 0, sizeof(*rows)}, columns,
		    "nothing was got; weft get LINK --to DIR fetches something");
}

void print_seed_list(const struct invocation *inv, const void *reply)
{
	const struct api_list_gets_out *out = reply;

	seeds_print(inv, out->gets.rows, out->gets.cnt);
}

void print_seed_set(const struct invocation *inv, const void *reply)
{
	seeds_print(inv, &((const struct api_set_seeding_out *)reply)->get, 1);
}

/* Shared by stop and start. */
int fill_seed_switch(const struct invocation *inv, void *parameters)
{
	struct api_set_seeding_in *in = parameters;

	API_SET(in, seeded, strcmp(inv->command->verb, "start") == 0);
	return STATUS_OK;
}

/* "2", "1.5", "none": in percent. */
static bool ratio_parse(const char *text, int64_t *out_percent)
{
	char *end;
	double ratio;

	*out_percent = 0;
	if (strcmp(text, "none") == 0)
		return true;
	if (text[0] < '0' || text[0] > '9')
		return false;
	ratio = strtod(text, &end);
	if (*end != '\0' || ratio > 1000000)
		return false;
	*out_percent = (int64_t)(ratio * 100 + 0.5);
	return *out_percent > 0;
}

int fill_seed_set(const struct invocation *inv, void *parameters)
{
	const char *ratio = invocation_option(inv, "ratio"), *time = invocation_option(inv, "for");
	bool is_default = invocation_option(inv, "default") != NULL;
	struct api_set_seeding_in *in = parameters;
	int64_t percent = -1;
	uint64_t for_s = 0;

	if (!ratio && !time && !is_default)
		return client_say_error(STATUS_USAGE, "seed set", "nothing is to change",
					"give --ratio, --for or --default");
	if (ratio && !ratio_parse(ratio, &percent))
		return client_say_error(STATUS_USAGE, "--ratio", "not a ratio",
					"give 2, 1.5 or none; at most 1000000");
	if (time && strcmp(time, "none") != 0 && !text_parse_seconds(time, &for_s))
		return client_say_error(STATUS_USAGE, "--for", "not a time",
					"give 12h, 7d or none");
	if (ratio || is_default)
		API_SET(in, percent, percent);
	if (time || is_default)
		API_SET(in, for_s, time ? (int64_t)for_s : -1);
	return STATUS_OK;
}

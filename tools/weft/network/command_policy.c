/* SPDX-License-Identifier: Apache-2.0 */
/* weft policy: show, test. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command/daemon_client.h"
#include "command/command_show.h"
#include "print/text.h"

/* Of one kind: a terminal has a table for each. */
static void print_kind(const struct invocation *inv, const json_t *limits, const char *kind,
		       const struct column *columns)
{
	json_t *rows = json_array(), *row;
	size_t idx;

	json_array_foreach(limits, idx, row) if (strcmp(field_text(row, "kind"), kind) == 0)
		json_array_append(rows, row);
	table_print(inv, rows, columns, "");
	if (inv->has_terminal_out)
		printf("\n");
	json_decref(rows);
}

static void print_policy(const struct invocation *inv, const json_t *reply)
{
	const json_t *limits = json_object_get(reply, "limits");
	char since[TEXT_SHORT_CAP];

	print_kind(inv, limits, "rate", api_view_policy_limit_rates);
	print_kind(inv, limits, "threshold", api_view_policy_limit_others);
	print_kind(inv, limits, "table", api_view_policy_limit_others);
	if (inv->has_terminal_out)
		printf("Mode %s; counted since %s.\n", field_text(reply, "mode"),
		       text_time(field_uint(reply, "since_s"), since));
}

int run_policy_show(struct invocation *inv)
{
	return client_show(inv, "ShowPolicy", NULL, print_policy);
}

static void print_modes(const json_t *reply)
{
	const json_t *was = json_object_get(reply, "modes");
	const json_t *then = json_object_get(reply, "modes_then");

	if (json_equal(was, then))
		return;
	printf("Mode pressured %" PRIu64 " s instead of %" PRIu64 " s, flood %" PRIu64
	       " s instead of %" PRIu64 " s.\n",
	       field_uint(then, "pressured"), field_uint(was, "pressured"),
	       field_uint(then, "flood"), field_uint(was, "flood"));
}

static void print_test(const struct invocation *inv, const json_t *reply)
{
	char known[TEXT_SHORT_CAP];

	show_part(inv, "class", json_object_get(reply, "classes"), api_view_policy_class_list);
	show_part(inv, "source", json_object_get(reply, "sources"), api_view_policy_source_list);
	show_part(inv, "period", json_object_get(reply, "periods"), api_view_policy_period_list);
	if (!inv->has_terminal_out)
		return;
	print_modes(reply);
	if (!json_array_size(json_object_get(reply, "classes")))
		printf("No unvalidated source sent in that time.\n");
	else if (!json_array_size(json_object_get(reply, "periods")))
		printf("Nobody would have been met otherwise.\n");
	printf("Tried on a record of %s; nothing was changed.\n",
	       text_seconds(field_uint(reply, "known"), known));
}

int run_policy_test(struct invocation *inv)
{
	const char *since = invocation_option(inv, "since");
	json_t *changes = json_object(), *parameters;
	uint64_t since_s = 0;

	for (unsigned i = 0; i < inv->arg_cnt; i++) {
		const char *equals = strchr(inv->args[i], '=');
		char name[64];

		if (!equals || equals == inv->args[i] ||
		    (size_t)(equals - inv->args[i]) >= sizeof(name)) {
			json_decref(changes);
			return client_say_error(STATUS_USAGE, inv->args[i], "not SECTION.KEY=VALUE",
						"weft policy test limits.krpc_rate=50");
		}
		snprintf(name, sizeof(name), "%.*s", (int)(equals - inv->args[i]), inv->args[i]);
		json_object_set_new(changes, name, json_string(equals + 1));
	}
	parameters = json_pack("{s:o}", "changes", changes);
	if (since && !text_parse_seconds(since, &since_s)) {
		json_decref(parameters);
		return client_say_error(STATUS_USAGE, "--since", "not a length of time",
					"for example 10m, 1h or 1d");
	}
	if (since)
		json_object_set_new(parameters, "since", json_integer((json_int_t)since_s));
	return client_show(inv, "TestPolicy", parameters, print_test);
}

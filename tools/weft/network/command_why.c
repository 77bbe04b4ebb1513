/* SPDX-License-Identifier: Apache-2.0 */
/* weft drops, weft why and weft policy: what was dropped and refused, and by which rule. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command/daemon_client.h"
#include "print/output_table.h"
#include "print/text.h"

/* --- drops --- */

static void print_sources(const struct invocation *inv, const void *reply)
{
	const struct api_list_drop_sources_out *out = reply;

	table_print(inv, TABLE_ROWS(out->sources), api_view_drop_source_list,
		    "no source was dropped in the last 24 hours");
}

static void print_reasons(const struct invocation *inv, const void *reply)
{
	const struct api_list_drops_out *out = reply;
	char since[TEXT_SHORT_CAP];

	table_print(inv, TABLE_ROWS(out->drops), api_view_drop_list, "nothing was dropped");
	if (inv->has_terminal_out)
		printf("Since %s.\n", text_time((uint64_t)out->since_s, since));
}

int run_drops(struct invocation *inv)
{
	const char *by = invocation_option(inv, "by");

	if (by && strcmp(by, "source") == 0)
		return client_show(inv, api_list_drop_sources_request(NULL), print_sources);
	if (by && strcmp(by, "reason") != 0)
		return client_say_error(STATUS_USAGE, "--by", "neither reason nor source",
					"weft drops --by source");
	return client_show(inv, api_list_drops_request(NULL), print_reasons);
}

/* --- why --- */

/* A table would cut the sentences. */
void print_relayed(const struct invocation *inv, const struct api_relayed_reason *relayed)
{
	if (relayed && inv->has_terminal_out)
		fields_print(inv, relayed, api_view_relayed_reason_show);
	else if (relayed)
		show_part(inv, "relayed", TABLE_ROW(relayed), api_view_relayed_reason_why);
}

void print_why(const struct invocation *inv, const void *reply)
{
	static const struct column reputations[] = {
		COLUMN_OF("REPUTATION", api_show_why_out, reputation, string, TEXT), {0}};
	static const struct column relays[] = {
		COLUMN_OF("NO RELAY LEFT", api_show_why_out, no_relay, string, TEXT), {0}};
	const struct api_show_why_out *why = reply;

	if (why->ban)
		show_part(inv, "ban", TABLE_ROW(why->ban), api_view_ban_why);
	print_relayed(inv, why->relayed);
	if (why->no_relay)
		show_part(inv, "relay", TABLE_ROW(why), relays);
	if (why->reputation)
		show_part(inv, "reputation", TABLE_ROW(why), reputations);
	show_part(inv, "incident", TABLE_ROWS(why->incidents), api_view_incident_list);
	show_part(inv, "refusal", TABLE_ROWS(why->refusals), api_view_refusal_why);
	show_part(inv, "drop", TABLE_ROWS(why->drops), api_view_drop_source_why);
	if (inv->has_terminal_out && !why->ban && !why->reputation && !why->relayed &&
	    !why->no_relay && !why->incidents.cnt && !why->refusals.cnt && !why->drops.cnt)
		printf("Nothing is known of it in the last 24 hours.\n");
}

/* --- policy --- */

/* The rows of one kind: a terminal has a table for each. */
static void print_kind(const struct invocation *inv, const struct api_policy_limit_list *limits,
		       enum api_policy_limit_kind kind, const struct column *columns)
{
	struct api_policy_limit_list rows = {0};

	for (size_t i = 0; i < limits->cnt; i++)
		if (limits->rows[i].kind == kind)
			varlink_push(inv->blocks, &rows, limits->rows[i]);
	table_print(inv, TABLE_ROWS(rows), columns, "");
	if (inv->has_terminal_out)
		printf("\n");
}

void print_policy(const struct invocation *inv, const void *reply)
{
	const struct api_show_policy_out *out = reply;
	char since[TEXT_SHORT_CAP];

	print_kind(inv, &out->limits, API_POLICY_LIMIT_KIND_RATE, api_view_policy_limit_rates);
	print_kind(inv, &out->limits, API_POLICY_LIMIT_KIND_THRESHOLD,
		   api_view_policy_limit_others);
	print_kind(inv, &out->limits, API_POLICY_LIMIT_KIND_TABLE, api_view_policy_limit_others);
	if (inv->has_terminal_out)
		printf("Mode %s; counted since %s.\n", api_mode_type.words[out->mode],
		       text_time((uint64_t)out->since_s, since));
}

void print_policy_test(const struct invocation *inv, const void *reply)
{
	const struct api_test_policy_out *out = reply;
	const struct api_policy_modes *was = &out->modes, *then = &out->modes_then;
	char known[TEXT_SHORT_CAP];

	show_part(inv, "class", TABLE_ROWS(out->classes), api_view_policy_class_list);
	show_part(inv, "source", TABLE_ROWS(out->sources), api_view_policy_source_list);
	show_part(inv, "period", TABLE_ROWS(out->periods), api_view_policy_period_list);
	if (!inv->has_terminal_out)
		return;
	if (memcmp(was, then, sizeof(*was)) != 0)
		printf("Mode pressured %" PRId64 " s instead of %" PRId64 " s, flood %" PRId64
		       " s instead of %" PRId64 " s.\n",
		       then->pressured, was->pressured, then->flood, was->flood);
	if (!out->classes.cnt)
		printf("No unvalidated source sent in that time.\n");
	else if (!out->periods.cnt)
		printf("No source would have been treated otherwise.\n");
	printf("Tried on a record of %s; nothing was changed.\n",
	       text_seconds((uint64_t)out->known, known));
}

int fill_policy_test(const struct invocation *inv, void *parameters)
{
	struct api_test_policy_in *in = parameters;

	for (unsigned i = 0; i < inv->arg_cnt; i++) {
		const char *equals = strchr(inv->args[i], '=');

		if (!equals || equals == inv->args[i] || equals - inv->args[i] >= 64)
			return client_say_error(STATUS_USAGE, inv->args[i], "not SECTION.KEY=VALUE",
						"weft policy test limits.krpc_rate=50");
		varlink_push(inv->blocks, &in->changes,
			     {varlink_format(inv->blocks, "%.*s", (int)(equals - inv->args[i]),
					     inv->args[i]),
			      equals + 1});
	}
	return STATUS_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* weft drops: by reason, by source. */
#include <stdio.h>
#include <string.h>

#include "command/daemon_client.h"
#include "command/command_show.h"
#include "print/text.h"

static int show_sources(struct invocation *inv)
{
	return show_list(inv, "ListDropSources", "sources", api_view_drop_source_list,
			 "nobody was dropped in the last 24 hours");
}

static void print_reasons(const struct invocation *inv, const json_t *reply)
{
	char since[TEXT_SHORT_CAP];

	table_print(inv, json_object_get(reply, "drops"), api_view_drop_list,
		    "nothing was dropped");
	if (inv->has_terminal_out)
		printf("Since %s.\n", text_time(field_uint(reply, "since_s"), since));
}

int run_drops(struct invocation *inv)
{
	const char *by = invocation_option(inv, "by");
	json_t *reply;
	int status;

	if (by && strcmp(by, "source") == 0)
		return show_sources(inv);
	if (by && strcmp(by, "reason") != 0)
		return client_say_error(STATUS_USAGE, "--by", "neither reason nor source",
					"weft drops --by source");
	status = client_ask(inv, "ListDrops", NULL, &reply);
	if (status != STATUS_OK)
		return status;
	if (inv->is_json)
		text_print_json(reply);
	else
		print_reasons(inv, reply);
	json_decref(reply);
	return STATUS_OK;
}

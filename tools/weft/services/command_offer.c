/* SPDX-License-Identifier: Apache-2.0 */
/* weft schema show, weft offer find. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "command/daemon_client.h"
#include "print/output_table.h"

void print_schema(const struct invocation *inv, const void *reply)
{
	const struct api_show_schema_out *out = reply;

	if (invocation_option(inv, "text")) {
		fputs(out->text, stdout);
		return;
	}
	fields_print(inv, &out->schema, api_view_schema_show);
	show_part(inv, "field", TABLE_ROWS(out->fields), api_view_schema_field_list);
	show_part(inv, "filter", TABLE_ROWS(out->filters), api_view_schema_filter_list);
}

/* The daemon counts no more of them. */
#define LEFT_OUT_MAX 100

static void print_found(const struct invocation *inv, const void *reply)
{
	const struct api_find_offers_out *out = reply;

	table_print(inv, TABLE_ROWS(out->offers), api_view_offer_list, "No offer fits.");
	table_tell_more(out->cursor);
	if (out->left_out)
		fprintf(stderr,
			"%s%" PRId64 " offers more fit, whose providers are of a lower level\n"
			"  --level 0 shows them, and weft offer show OFFER says why\n",
			out->left_out >= LEFT_OUT_MAX ? "at least " : "", out->left_out);
}

/* Answers come by up to four hops, within this time. */
#define MESH_WAIT_S 2

/* Asks the nodes around; their answers are then among what this node keeps. */
static int mesh_ask(const struct invocation *inv, const struct api_find_offers_in *in)
{
	const struct api_ask_offers_in ask = {.schema = in->schema, .filters = in->filters};
	struct timespec wait = {.tv_sec = MESH_WAIT_S};
	const struct api_ask_offers_out *out;
	int status = client_ask(inv, api_ask_offers_request(&ask), &out);

	if (status != STATUS_OK)
		return status;
	if (out->neighbours == 0)
		fprintf(stderr, "no neighbour keeps offers, so only this node is asked\n"
				"  weft peer connect NODE ADDR:PORT meets one\n");
	else
		while (nanosleep(&wait, &wait) < 0)
			;
	return STATUS_OK;
}

int run_offer_find(struct invocation *inv)
{
	struct api_find_offers_in in = {0};
	struct client_call call = {.request = api_find_offers_request(&in)};
	const struct api_find_offers_out *out;
	int status = command_fill(inv, API_FIND_OFFERS, &in);

	if (status == STATUS_OK && invocation_option(inv, "mesh"))
		status = mesh_ask(inv, &in);
	if (status == STATUS_OK)
		status = client_show_call(inv, &call, print_found);
	out = call.last.out;
	return status == STATUS_OK && out && !out->offers.cnt ? STATUS_NOT_FOUND : status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* weft schema show, weft offer find. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "command/daemon_client.h"
#include "services/command_offer_table.h"
#include "print/output_table.h"
#include "print/text.h"

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

static void left_out_tell(uint64_t cnt)
{
	char text[TEXT_COUNT_CAP];

	fprintf(stderr,
		"%s%s would fit, but for the level of %s\n"
		"  --level 0 shows %s, and weft offer show OFFER says why\n",
		cnt >= LEFT_OUT_MAX ? "at least " : "",
		text_count(cnt, "more offer", "more offers", text),
		cnt == 1 ? "its provider" : "their providers", cnt == 1 ? "it" : "them");
}

static void print_found(const struct invocation *inv, const void *reply)
{
	const struct api_find_offers_out *out = reply;

	offer_table_print(inv, &out->offers, "No offer fits.");
	table_tell_more(out->cursor);
	if (out->left_out)
		left_out_tell((uint64_t)out->left_out);
}

void print_reservations(const struct invocation *inv, const void *reply)
{
	const struct api_list_reservations_out *out = reply;

	table_print(inv, TABLE_ROWS(out->reservations), api_view_reservation_list,
		    "No reservation: weft offer reserve OFFER asks for one");
	table_tell_more(out->cursor);
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

static int find(const struct invocation *inv, const struct api_find_offers_in *in,
		const struct api_find_offers_out **out)
{
	struct client_call call = {.request = api_find_offers_request(in)};
	int status = client_show_call(inv, &call, print_found);

	*out = call.last.out;
	return status;
}

/* offer find --watch: what is there, and then each new one. */
struct watching {
	const struct invocation *inv;
	const struct api_find_offers_in *in;
	const struct api_find_offers_out *there; /* NULL: not looked at */
	int status;
};

static bool is_there(const struct watching *watching, const struct api_offer *offer)
{
	const struct api_find_offers_out *out = watching->there;

	for (size_t i = 0; out && i < out->offers.cnt; i++)
		if (strcmp(out->offers.rows[i].offer_id, offer->offer_id) == 0)
			return true;
	return false;
}

/* On a terminal a row has no heading; words of other nodes cannot steer it. */
static void print_new(const struct invocation *inv, const struct api_offer *offer)
{
	char clean[256];

	if (inv->has_terminal_out)
		printf("%.8s  %s  %s\n", offer->offer_id, offer->schema,
		       text_clean(offer->summary, clean, sizeof(clean)));
	else
		table_print(inv, TABLE_ROW(offer), api_view_offer_list, "");
}

static bool watch_reply(void *arg, const struct client_reply *reply)
{
	struct watching *watching = arg;
	const struct api_watch_offers_out *out = reply->out;
	char cnt[TEXT_COUNT_CAP];

	/* A reader of JSON looks at what is there itself. */
	if (watching->inv->is_json) {
		text_print_json_line(reply->json);
		return fflush(stdout) == 0;
	}
	if (out->lost)
		fprintf(stderr, "weft: left out %s\n",
			text_count((uint64_t)out->lost, "offer", "offers", cnt));
	/* From the first reply on none is missed, so what is there is complete with what comes. */
	if (!out->offer)
		watching->status = find(watching->inv, watching->in, &watching->there);
	else if (!is_there(watching, out->offer))
		print_new(watching->inv, out->offer);
	/* Each as it comes, also into a pipe; a reader that left ends the watch. */
	return fflush(stdout) == 0 && watching->status == STATUS_OK;
}

static int watch(const struct invocation *inv, const struct api_find_offers_in *in)
{
	const struct api_watch_offers_in watched = {.schema = in->schema,
						    .filters = in->filters,
						    .has_level = in->has_level,
						    .level = in->level};
	struct watching watching = {.inv = inv, .in = in};
	struct client_call call = {.request = api_watch_offers_request(&watched),
				   .wants_more = true,
				   .reply = watch_reply,
				   .arg = &watching};
	int status = client_call(inv, &call);

	return watching.status == STATUS_OK ? status : watching.status;
}

int run_offer_find(struct invocation *inv)
{
	const struct api_find_offers_out *out = NULL;
	struct api_find_offers_in in = {0};
	int status = command_fill(inv, API_FIND_OFFERS, &in);

	if (status == STATUS_OK && invocation_option(inv, "mesh"))
		status = mesh_ask(inv, &in);
	if (status == STATUS_OK && invocation_option(inv, "watch"))
		return watch(inv, &in);
	if (status == STATUS_OK)
		status = find(inv, &in, &out);
	return status == STATUS_OK && out && !out->offers.cnt ? STATUS_NOT_FOUND : status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* weft dht: status, get, put, lookup, announce, peers; weft route: find, publish; overlay status. */
#include <inttypes.h>
#include <stdio.h>

#include "command/daemon_client.h"
#include "print/output_table.h"
#include "print/text.h"

/* --- status; a terminal leaves out counters of zero --- */

void print_dht_status(const struct invocation *inv, const void *reply)
{
	const struct api_dht *dht = &((const struct api_show_dht_out *)reply)->dht;
	struct api_dht_reason_list seen = {0};

	if (!dht->enabled) {
		printf("The DHT is switched off (dht.enabled in weft.conf).\n");
		return;
	}
	show_part(inv, "network", TABLE_ROWS(dht->networks), api_view_dht_network_list);
	show_part(inv, "fill", TABLE_ROWS(dht->fills), api_view_fill_list);
	for (size_t i = 0; i < dht->reasons.cnt; i++)
		if (!inv->has_terminal_out || dht->reasons.rows[i].datagrams)
			varlink_push(inv->blocks, &seen, dht->reasons.rows[i]);
	show_part(inv, "reason", TABLE_ROWS(seen), api_view_dht_reason_list);
}

void print_overlay_status(const struct invocation *inv, const void *reply)
{
	const struct api_overlay *overlay = &((const struct api_show_overlay_out *)reply)->overlay;
	struct api_overlay_reason_list seen = {0};

	fields_print(inv, overlay, api_view_overlay_show);
	if (inv->has_terminal_out)
		printf("\n");
	show_part(inv, "fill", TABLE_ROWS(overlay->fills), api_view_fill_list);
	for (size_t i = 0; i < overlay->reasons.cnt; i++)
		if (!inv->has_terminal_out || overlay->reasons.rows[i].times)
			varlink_push(inv->blocks, &seen, overlay->reasons.rows[i]);
	show_part(inv, "reason", TABLE_ROWS(seen), api_view_overlay_reason_list);
}

/* --- lookups, whose steps are printed as they happen --- */

static void print_step(const struct invocation *inv, const struct api_dht_step *step)
{
	char time[TEXT_SHORT_CAP], address[96], by[24] = "-";

	text_clean(step->address, address, sizeof(address));
	if (step->has_told_by)
		snprintf(by, sizeof(by), "%" PRId64, step->told_by);
	if (!inv->has_terminal_out)
		printf("%s\t%" PRId64 "\t%s\t%" PRId64 "\t%s\t%" PRId64 "\t%s\n", step->what,
		       step->place, by, step->after_us, address, step->common_bits, step->id);
	else
		printf("%-8s  %3" PRId64 "  told by %-3s  %9s  %3" PRId64 " bits  %-24s %.16s\n",
		       step->what, step->place, by, text_rtt((uint64_t)step->after_us, time),
		       step->common_bits, address, step->id);
	fflush(stdout);
}

struct looking {
	const struct invocation *inv;
	struct client_call call;
};

static bool lookup_reply(void *arg, const struct client_reply *reply)
{
	const struct looking *looking = arg;
	const struct api_dht_step *step =
		varlink_part(looking->call.request.method->out, &api_dht_step_type, reply->out);

	if (looking->inv->is_json)
		text_print_json(reply->json);
	else if (step)
		print_step(looking->inv, step);
	return true;
}

static void print_outcome(const struct api_dht_outcome *outcome)
{
	char time[TEXT_SHORT_CAP];

	printf("%" PRId64 " of %" PRId64 " nodes answered", outcome->answered, outcome->asked);
	if (outcome->stored)
		printf(", %" PRId64 " have it now", outcome->stored);
	printf(", in %s.\n", text_rtt((uint64_t)outcome->took_us, time));
}

/* The view of all commands that look something up: the row says what of the last reply is shown. */
int run_dht_lookup(struct invocation *inv)
{
	const struct varlink_method *method = inv->command->call.method;
	struct looking looking = {.inv = inv,
				  .call = {.wants_more = invocation_option(inv, "trace") != NULL,
					   .is_long = true,
					   .reply = lookup_reply,
					   .arg = &looking}};
	void *in = varlink_alloc(inv->blocks, method->in->len);
	const struct api_dht_outcome *outcome;
	int status = in ? command_fill(inv, method, in) : STATUS_FAILED;

	looking.call.request = (struct varlink_request){method, in};
	if (status == STATUS_OK)
		status = client_call(inv, &looking.call);
	if (status != STATUS_OK || inv->is_json || !looking.call.last.is_last)
		return status;
	command_show(inv, looking.call.last.out);
	outcome = varlink_part(method->out, &api_dht_outcome_type, looking.call.last.out);
	if (inv->has_terminal_out && outcome)
		print_outcome(outcome);
	return STATUS_OK;
}

int fill_dht_lookup(const struct invocation *inv, void *in)
{
	if (invocation_option(inv, "ipv6"))
		((struct api_lookup_dht_in *)in)->network = "ipv6";
	return STATUS_OK;
}

void print_dht_item(const struct invocation *inv, const void *reply)
{
	const struct api_get_dht_item_out *out = reply;

	fields_print(inv, out->item, api_view_dht_item_show);
}

void print_dht_peers(const struct invocation *inv, const void *reply)
{
	const struct api_string_list *peers =
		&((const struct api_find_dht_peers_out *)reply)->peers;
	char text[96];

	if (!peers->cnt && inv->has_terminal_out)
		printf("No node announced it.\n");
	for (size_t i = 0; i < peers->cnt; i++)
		printf("%s\n", text_clean(peers->rows[i], text, sizeof(text)));
}

/* --- routes --- */

void print_route(const struct invocation *inv, const void *reply)
{
	const struct api_address_record *record =
		varlink_part(inv->command->call.method->out, &api_address_record_type, reply);

	fields_print(inv, record, api_view_address_record_show);
	if (!record)
		return;
	texts_print(inv, "address", "address", TABLE_ROWS(record->addresses));
	texts_print(inv, "relay", "relay", TABLE_ROWS(record->relays));
}

int run_route_publish(struct invocation *inv)
{
	/* Their replies are alike. */
	return client_show(inv,
			   invocation_option(inv, "dry-run") ? api_show_published_request(NULL)
							     : api_publish_route_request(NULL),
			   command_show);
}

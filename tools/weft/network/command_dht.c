/* SPDX-License-Identifier: Apache-2.0 */
/* weft dht: status, nodes, get, put, lookup, announce, peers. weft route: find, publish. */
#include <stdio.h>
#include <string.h>

#include "command/daemon_client.h"
#include "command/command_show.h"
#include "print/text.h"

/* A terminal leaves out counters of zero. */
static json_t *reasons_seen(const struct invocation *inv, const json_t *reasons)
{
	json_t *seen = json_array(), *reason;
	size_t i;

	json_array_foreach((json_t *)reasons, i,
			   reason) if (!inv->has_terminal_out || field_uint(reason, "datagrams"))
		json_array_append(seen, reason);
	return seen;
}

void print_dht_status(const struct invocation *inv, const json_t *reply)
{
	const json_t *dht = json_object_get(reply, "dht");
	json_t *seen;

	if (!json_is_true(json_object_get(dht, "enabled"))) {
		printf("The DHT is switched off (dht.enabled in weft.conf).\n");
		return;
	}
	show_part(inv, "network", json_object_get(dht, "networks"), api_view_dht_network_list);
	show_part(inv, "fill", json_object_get(dht, "fills"), api_view_fill_list);
	seen = reasons_seen(inv, json_object_get(dht, "reasons"));
	show_part(inv, "reason", seen, api_view_dht_reason_list);
	json_decref(seen);
}

/* A search whose steps are printed as they happen. */
struct searching {
	const struct invocation *inv;
	json_t *last;
};

static void print_step(const struct invocation *inv, const json_t *step)
{
	char time[TEXT_SHORT_CAP], address[96], by[24] = "-";
	const json_t *told_by = json_object_get(step, "told_by");

	text_clean(field_text(step, "address"), address, sizeof(address));
	if (told_by)
		snprintf(by, sizeof(by), "%d", (int)json_integer_value(told_by));
	if (!inv->has_terminal_out)
		printf("%s\t%ju\t%s\t%ju\t%s\t%ju\t%s\n", field_text(step, "what"),
		       (uintmax_t)field_uint(step, "place"), by,
		       (uintmax_t)field_uint(step, "after_us"), address,
		       (uintmax_t)field_uint(step, "common_bits"), field_text(step, "id"));
	else
		printf("%-8s  %3ju  told by %-3s  %9s  %3ju bits  %-24s %.16s\n",
		       field_text(step, "what"), (uintmax_t)field_uint(step, "place"), by,
		       text_rtt(field_uint(step, "after_us"), time),
		       (uintmax_t)field_uint(step, "common_bits"), address, field_text(step, "id"));
	fflush(stdout);
}

static bool search_reply(void *arg, json_t *reply, bool is_last)
{
	struct searching *searching = arg;
	const json_t *step = json_object_get(reply, "step");

	if (searching->inv->is_json)
		text_print_json(reply);
	else if (json_is_object(step))
		print_step(searching->inv, step);
	if (is_last)
		searching->last = json_incref(reply);
	return true;
}

static void print_outcome(const struct invocation *inv, const json_t *reply)
{
	const json_t *outcome = json_object_get(reply, "outcome");
	char time[TEXT_SHORT_CAP];

	if (!inv->has_terminal_out)
		return;
	printf("%ju of %ju nodes answered", (uintmax_t)field_uint(outcome, "answered"),
	       (uintmax_t)field_uint(outcome, "asked"));
	if (field_uint(outcome, "stored"))
		printf(", %ju have it now", (uintmax_t)field_uint(outcome, "stored"));
	printf(", in %s.\n", text_rtt(field_uint(outcome, "took_us"), time));
}

/* parameters is taken; print_last shows the reply that ended it. */
static int search(struct invocation *inv, const char *method, json_t *parameters, bool is_traced,
		  client_print_fn *print_last)
{
	struct searching searching = {.inv = inv};
	struct client_call call = {.method = method,
				   .parameters = parameters,
				   .wants_more = is_traced,
				   .is_long = true,
				   .reply = search_reply,
				   .arg = &searching};
	int status = client_call(inv, &call);

	if (status == STATUS_OK && searching.last && !inv->is_json) {
		print_last(inv, searching.last);
		print_outcome(inv, searching.last);
	}
	json_decref(searching.last);
	return status;
}

static void print_item(const struct invocation *inv, const json_t *reply)
{
	fields_print(inv, json_object_get(reply, "item"), api_view_dht_item_show);
}

int run_dht_get(struct invocation *inv)
{
	return search(inv, "GetDhtItem", command_parameters(inv, "GetDhtItem", "key"),
		      invocation_option(inv, "trace") != NULL, print_item);
}

int run_dht_put(struct invocation *inv)
{
	json_t *parameters = command_parameters(inv, "PutDhtItem", "text");
	const char *cas = invocation_option(inv, "cas");
	uint64_t seq;

	if (cas && (!text_parse_count(cas, &seq) || seq > INT64_MAX)) {
		json_decref(parameters);
		return client_say_error(STATUS_USAGE, "--cas", "not a sequence number",
					"weft dht get KEY --salt SALT shows the one to replace");
	}
	if (cas)
		json_object_set_new(parameters, "cas", json_integer((json_int_t)seq));
	return search(inv, "PutDhtItem", parameters, false, print_item);
}

static void print_contacts(const struct invocation *inv, const json_t *reply)
{
	table_print(inv, json_object_get(reply, "nodes"), api_view_dht_contact_list,
		    "nobody answered");
}

int run_dht_lookup(struct invocation *inv)
{
	json_t *parameters = json_pack("{s:s}", "target", inv->args[0]);

	if (invocation_option(inv, "ipv6"))
		json_object_set_new(parameters, "network", json_string("ipv6"));
	return search(inv, "LookupDht", parameters, invocation_option(inv, "trace") != NULL,
		      print_contacts);
}

static void print_peers(const struct invocation *inv, const json_t *reply)
{
	const json_t *peers = json_object_get(reply, "peers"), *peer;
	char text[96];
	size_t i;

	if (!json_array_size(peers) && inv->has_terminal_out)
		printf("Nobody announced it.\n");
	json_array_foreach((json_t *)peers, i, peer)
		printf("%s\n", text_clean(json_string_value(peer), text, sizeof(text)));
}

int run_dht_peers(struct invocation *inv)
{
	return search(inv, "FindDhtPeers", json_pack("{s:s}", "info_hash", inv->args[0]), false,
		      print_peers);
}

static void print_nothing(const struct invocation *inv, const json_t *reply)
{
	(void)inv, (void)reply;
}

int run_dht_announce(struct invocation *inv)
{
	json_t *parameters = json_pack("{s:s}", "info_hash", inv->args[0]);
	const char *text = invocation_option(inv, "port");
	uint64_t port;

	if (text && (!text_parse_count(text, &port) || !port || port > UINT16_MAX)) {
		json_decref(parameters);
		return client_say_error(STATUS_USAGE, "--port", "not a number from 1 to 65535",
					"without it, the port that this node's datagrams come from "
					"is announced");
	}
	if (text)
		json_object_set_new(parameters, "port", json_integer((json_int_t)port));
	return search(inv, "AnnounceDht", parameters, false, print_nothing);
}

static void print_list(const char *title, const json_t *list)
{
	const json_t *word;
	char text[512];
	size_t i;

	json_array_foreach((json_t *)list, i, word)
		printf("%-*s %s\n", FIELD_TITLE_WIDTH, i ? "" : title,
		       text_clean(json_string_value(word), text, sizeof(text)));
}

static void print_record(const struct invocation *inv, const json_t *reply)
{
	const json_t *record = json_object_get(reply, "record");
	const json_t *word;
	size_t i;

	fields_print(inv, record, api_view_address_record_show);
	if (inv->has_terminal_out) {
		print_list("address", json_object_get(record, "addresses"));
		print_list("relay", json_object_get(record, "relays"));
		return;
	}
	json_array_foreach(json_object_get(record, "addresses"), i, word)
		printf("address\t%s\n", json_string_value(word));
	json_array_foreach(json_object_get(record, "relays"), i, word)
		printf("relay\t%s\n", json_string_value(word));
}

int run_route_find(struct invocation *inv)
{
	return search(inv, "FindRoute", json_pack("{s:s}", "node_id", inv->args[0]),
		      invocation_option(inv, "trace") != NULL, print_record);
}

int run_route_publish(struct invocation *inv)
{
	bool is_dry = invocation_option(inv, "dry-run") != NULL;

	return client_show(inv, is_dry ? "ShowPublished" : "PublishRoute", NULL, print_record);
}

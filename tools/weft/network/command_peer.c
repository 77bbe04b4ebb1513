/* SPDX-License-Identifier: Apache-2.0 */
/* weft peer: list, show, set, connect, ping. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command/daemon_client.h"
#include "command/command_show.h"
#include "print/text.h"

#define CONNECT_TIMEOUT_MS 10000
#define PING_COUNT_MAX	   1000000 /* the daemon's own bound */

int run_conns(struct invocation *inv)
{
	json_t *reply, *peers;
	int status = client_ask(inv, "ListPeers", NULL, &reply);

	if (status != STATUS_OK)
		return status;
	peers = json_object_get(reply, "peers");
	for (size_t i = json_array_size(peers); i-- > 0;)
		if (!json_is_true(json_object_get(json_array_get(peers, i), "connected")))
			json_array_remove(peers, i);
	if (inv->is_json)
		text_print_json(reply);
	else
		table_print(inv, peers, api_view_peer_conns,
			    "no connections; weft peer connect NODE ADDR:PORT opens one");
	json_decref(reply);
	return STATUS_OK;
}

static void peer_print(const struct invocation *inv, const json_t *reply)
{
	fields_print(inv, json_object_get(reply, "peer"), api_view_peer_show);
}

int run_peer_set(struct invocation *inv)
{
	static const char *const names[] = {"share", "reputation"};
	const char *text = inv->args[1];
	uint64_t number;

	/* The daemon says which numbers there are. */
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t len = strlen(names[i]);

		if (strncmp(text, names[i], len) == 0 && text[len] == '=' &&
		    text_parse_count(text + len + 1, &number) && number <= INT32_MAX)
			return client_set(inv, "SetPeer",
					  json_pack("{s:s, s:I}", "node_id", inv->args[0], names[i],
						    (json_int_t)number),
					  peer_print);
	}
	return client_say_error(
		STATUS_USAGE, text,
		"that is neither share=N with N from 1 to 64 nor reputation=N, from 0 to 100",
		"for example: weft peer set NODE share=8");
}

static bool connect_reply(void *arg, json_t *reply, bool is_last)
{
	const struct invocation *inv = arg;

	(void)is_last;
	if (inv->is_json)
		text_print_json(reply);
	else
		fields_print(inv, json_object_get(reply, "peer"), api_view_peer_show);
	return true;
}

int run_peer_connect(struct invocation *inv)
{
	uint64_t timeout_ms = inv->timeout_ms ? inv->timeout_ms : CONNECT_TIMEOUT_MS;
	json_t *addresses = json_array();
	struct client_call call = {
		.method = "ConnectPeer", .is_long = true, .reply = connect_reply, .arg = inv};

	for (unsigned i = 1; i < inv->arg_cnt; i++)
		(void)json_array_append_new(addresses, json_string(inv->args[i]));
	call.parameters = json_pack("{s:s, s:o, s:I}", "node_id", inv->args[0], "addresses",
				    addresses, "timeout_ms", (json_int_t)timeout_ms);
	return client_call(inv, &call);
}

struct pinging {
	struct invocation *inv;
	json_t *last;
};

static void ping_print_one(const json_t *ping)
{
	const json_t *rtt_us = json_object_get(ping, "rtt_us");
	char rtt[TEXT_SHORT_CAP], address[64];

	if (rtt_us)
		printf("answer to %" PRIu64 " from %s: %s\n", field_uint(ping, "sent"),
		       text_clean(field_text(ping, "address"), address, sizeof(address)),
		       text_rtt((uint64_t)json_integer_value(rtt_us), rtt));
	else
		printf("no answer to %" PRIu64 "\n", field_uint(ping, "sent"));
	fflush(stdout);
}

static bool ping_reply(void *arg, json_t *reply, bool is_last)
{
	struct pinging *pinging = arg;
	const struct invocation *inv = pinging->inv;

	if (inv->has_terminal_out && !inv->is_json)
		ping_print_one(json_object_get(reply, "ping"));
	if (is_last)
		pinging->last = json_incref(reply);
	return true;
}

static void ping_print_all(const struct invocation *inv, const json_t *ping)
{
	static const struct field fields[] = {
		{"node", "node", "node_id", COLUMN_TEXT},
		{"address", "address", "address", COLUMN_TEXT},
		{"session", "session", "session_id", COLUMN_TEXT},
		{"sent", "sent", "sent", COLUMN_COUNT},
		{"answered", "answered", "answered", COLUMN_COUNT},
		{"lost_percent", "lost, percent", "lost_percent", COLUMN_COUNT},
		{"min_us", "shortest", "min_us", COLUMN_RTT},
		{"avg_us", "average", "avg_us", COLUMN_RTT},
		{"max_us", "longest", "max_us", COLUMN_RTT},
		{0},
	};
	uint64_t sent = field_uint(ping, "sent"), answered = field_uint(ping, "answered");
	json_t *whole = json_copy((json_t *)ping);

	(void)json_object_set_new(
		whole, "lost_percent",
		json_integer(sent ? (json_int_t)(100 * (sent - answered) / sent) : 0));
	if (inv->has_terminal_out)
		printf("\n");
	fields_print(inv, whole, fields);
	json_decref(whole);
}

int run_peer_ping(struct invocation *inv)
{
	const char *count = invocation_option(inv, "count");
	struct pinging pinging = {.inv = inv};
	struct client_call call = {
		.method = "PingPeer", .wants_more = true, .reply = ping_reply, .arg = &pinging};
	const json_t *ping;
	uint64_t cnt = 4;
	int status;

	if (count && (!text_parse_count(count, &cnt) || !cnt || cnt > PING_COUNT_MAX))
		return client_say_error(STATUS_USAGE, "--count", "not a number from 1 to 1000000",
					"for example: weft peer ping NODE --count 10");
	call.parameters =
		json_pack("{s:s, s:I}", "node_id", inv->args[0], "count", (json_int_t)cnt);
	status = client_call(inv, &call);
	if (status != STATUS_OK || !pinging.last)
		return status;
	ping = json_object_get(pinging.last, "ping");
	if (inv->is_json)
		text_print_json(pinging.last);
	else
		ping_print_all(inv, ping);
	if (!field_uint(ping, "answered"))
		status = STATUS_TIMEOUT;
	json_decref(pinging.last);
	return status;
}

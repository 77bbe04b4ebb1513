/* SPDX-License-Identifier: Apache-2.0 */
/* weft conns; weft peer: set, connect, ping. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command/daemon_client.h"
#include "print/output_table.h"
#include "print/text.h"

#define CONNECT_TIMEOUT_MS 10000

int run_conns(struct invocation *inv)
{
	struct client_call call = {.request = api_list_peers_request(NULL)};
	const struct api_list_peers_out *out;
	struct api_peer_list connected = {0};
	json_t *peers;
	int status = client_call(inv, &call);

	if (status != STATUS_OK)
		return status;
	out = call.last.out;
	peers = json_object_get(call.last.json, "peers");
	for (size_t i = 0; i < out->peers.cnt; i++) {
		if (out->peers.rows[i].connected)
			varlink_push(inv->blocks, &connected, out->peers.rows[i]);
		else
			(void)json_array_remove(peers, connected.cnt);
	}
	if (inv->is_json)
		text_print_json(call.last.json);
	else
		table_print(inv, TABLE_ROWS(connected), api_view_peer_conns,
			    "no connections; weft peer connect NODE ADDR:PORT opens one");
	return STATUS_OK;
}

void print_peer_paths(const struct invocation *inv, const void *reply)
{
	const struct api_list_peer_paths_out *out = reply;

	show_part(inv, "path", TABLE_ROWS(out->paths), api_view_peer_path_list);
	print_relayed(inv, out->relayed);
}

int fill_peer_set(const struct invocation *inv, void *parameters)
{
	struct api_set_peer_in *in = parameters;
	const char *text = inv->args[1], *equals = strchr(text, '=');
	uint64_t number;

	/* The daemon says which numbers there are. */
	if (equals && text_parse_count(equals + 1, &number) && number <= INT32_MAX) {
		if (strncmp(text, "share=", strlen("share=")) == 0)
			API_SET(in, share, (int64_t)number);
		if (strncmp(text, "reputation=", strlen("reputation=")) == 0)
			API_SET(in, reputation, (int64_t)number);
	}
	if (in->has_share || in->has_reputation)
		return STATUS_OK;
	return client_say_error(
		STATUS_USAGE, text,
		"that is neither share=N with N from 1 to 64 nor reputation=N, from 0 to 100",
		"for example: weft peer set NODE share=8");
}

int fill_peer_connect(const struct invocation *inv, void *parameters)
{
	struct api_connect_peer_in *in = parameters;

	in->has_addresses = true;
	API_SET(in, timeout_ms, inv->timeout_ms ? (int64_t)inv->timeout_ms : CONNECT_TIMEOUT_MS);
	return STATUS_OK;
}

/* --- ping --- */

static bool ping_reply(void *arg, const struct client_reply *reply)
{
	const struct api_ping *ping = &((const struct api_ping_peer_out *)reply->out)->ping;
	const struct invocation *inv = arg;
	char rtt[TEXT_SHORT_CAP], address[64];

	if (!inv->has_terminal_out || inv->is_json)
		return true;
	if (ping->has_rtt_us)
		printf("answer to %" PRId64 " from %s: %s\n", ping->sent,
		       text_clean(ping->address ? ping->address : "", address, sizeof(address)),
		       text_rtt((uint64_t)ping->rtt_us, rtt));
	else
		printf("no answer to %" PRId64 "\n", ping->sent);
	fflush(stdout);
	return true;
}

/* The results of the pings. */
struct ping_sum {
	struct api_ping ping;
	int64_t lost_percent;
};

static void ping_print_all(const struct invocation *inv, const struct api_ping *ping)
{
	static const struct field fields[] = {
		{"node", COLUMN_OF("node", ping_sum, ping.node_id, string, TEXT)},
		{"address", COLUMN_OF("address", ping_sum, ping.address, string, TEXT)},
		{"session", COLUMN_OF("session", ping_sum, ping.session_id, string, TEXT)},
		{"sent", COLUMN_OF("sent", ping_sum, ping.sent, int, COUNT)},
		{"answered", COLUMN_OF("answered", ping_sum, ping.answered, int, COUNT)},
		{"lost_percent", COLUMN_OF("lost, percent", ping_sum, lost_percent, int, COUNT)},
		{"min_us", COLUMN_IF("shortest", ping_sum, ping, min_us, int, RTT)},
		{"avg_us", COLUMN_IF("average", ping_sum, ping, avg_us, int, RTT)},
		{"max_us", COLUMN_IF("longest", ping_sum, ping, max_us, int, RTT)},
		{0},
	};
	const struct ping_sum sum = {
		.ping = *ping,
		.lost_percent = ping->sent ? 100 * (ping->sent - ping->answered) / ping->sent : 0};

	if (inv->has_terminal_out)
		printf("\n");
	fields_print(inv, &sum, fields);
}

int run_peer_ping(struct invocation *inv)
{
	struct api_ping_peer_in in = {.has_count = true, .count = 4};
	struct client_call call = {.request = api_ping_peer_request(&in),
				   .wants_more = true,
				   .reply = ping_reply,
				   .arg = inv};
	const struct api_ping *ping;
	int status = command_fill(inv, API_PING_PEER, &in);

	if (status == STATUS_OK)
		status = client_call(inv, &call);
	if (status != STATUS_OK || !call.last.is_last)
		return status;
	ping = &((const struct api_ping_peer_out *)call.last.out)->ping;
	if (inv->is_json)
		text_print_json(call.last.json);
	else
		ping_print_all(inv, ping);
	return ping->answered ? STATUS_OK : STATUS_TIMEOUT;
}

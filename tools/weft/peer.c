/* SPDX-License-Identifier: Apache-2.0 */
/* weft peer: list, show, connect. */
#include "client.h"
#include "show.h"
#include "text.h"

#define CONNECT_TIMEOUT_MS 10000

int run_peer_list(struct invocation *inv)
{
	static const struct column columns[] = {
		{"NODE", "node_id", COLUMN_ID},
		{"CONNECTED", "connected", COLUMN_BOOL},
		{"ADDRESS", "address", COLUMN_TEXT},
		{"RTT", "rtt_us", COLUMN_RTT},
		{"SENT", "sent_bytes", COLUMN_BYTES},
		{"RECEIVED", "received_bytes", COLUMN_BYTES},
		{"LAST SEEN", "last_seen_s", COLUMN_TIME},
		{"AGENT", "agent", COLUMN_TEXT},
		{0},
	};

	return show_list(inv, "ListPeers", "peers", columns,
			 "no peers yet; weft peer connect NODE ADDR:PORT meets one");
}

static const struct field peer_fields[] = {
	{"node", "node", "node_id", COLUMN_TEXT},
	{"connected", "connected", "connected", COLUMN_BOOL},
	{"address", "address", "address", COLUMN_TEXT},
	{"agent", "agent", "agent", COLUMN_TEXT},
	{"first_seen", "first seen", "first_seen_s", COLUMN_TIME},
	{"last_seen", "last seen", "last_seen_s", COLUMN_TIME},
	{"clock_skew_s", "its clock is ahead", "clock_skew_s", COLUMN_SECONDS},
	{"dialled_by_us", "dialled by us", "dialled_by_us", COLUMN_BOOL},
	{"resumed", "resumed session", "resumed", COLUMN_BOOL},
	{"rtt_us", "round trip", "rtt_us", COLUMN_RTT},
	{"mtu", "datagram size", "mtu", COLUMN_BYTES},
	{"sent", "sent", "sent_bytes", COLUMN_BYTES},
	{"received", "received", "received_bytes", COLUMN_BYTES},
	{"lost_packets", "packets lost", "lost_packets", COLUMN_COUNT},
	{0},
};

int run_peer_show(struct invocation *inv)
{
	return show_fields(inv, "ShowPeer", json_pack("{s:s}", "node_id", inv->args[0]), "peer",
			   peer_fields);
}

static bool connect_reply(void *arg, json_t *reply, bool is_last)
{
	const struct invocation *inv = arg;

	(void)is_last;
	if (inv->is_json)
		text_print_json(reply);
	else
		fields_print(inv, json_object_get(reply, "peer"), peer_fields);
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

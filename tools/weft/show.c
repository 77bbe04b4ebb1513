/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that show what the daemon knows, and its housekeeping. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client.h"
#include "text.h"

/* show_list asks method and prints the array at field as a table. */
static int show_list(struct invocation *inv, const char *method, const char *field,
		     const struct column *columns, const char *empty)
{
	json_t *reply;
	int status = client_ask(inv, method, NULL, &reply);

	if (status != STATUS_OK)
		return status;
	if (inv->is_json)
		text_print_json(reply);
	else
		table_print(inv, json_object_get(reply, field), columns, empty);
	json_decref(reply);
	return STATUS_OK;
}

/* show_fields asks method and prints the object at field (NULL: the reply itself). */
static int show_fields(struct invocation *inv, const char *method, json_t *parameters,
		       const char *field, const struct column *columns)
{
	json_t *reply;
	int status = client_ask(inv, method, parameters, &reply);

	if (status != STATUS_OK)
		return status;
	if (inv->is_json)
		text_print_json(reply);
	else
		fields_print(inv, field ? json_object_get(reply, field) : reply, columns);
	json_decref(reply);
	return STATUS_OK;
}

static void print_side(const json_t *status, const char *side)
{
	const json_t *packets = json_object_get(status, side);
	char bytes[TEXT_SHORT_CAP], reason[128];

	printf("%-18s %s, %s in %" PRIu64 " datagrams (%s)\n", side, field_text(packets, "backend"),
	       text_bytes(field_uint(packets, "bytes"), bytes), field_uint(packets, "datagrams"),
	       text_clean(field_text(packets, "reason"), reason, sizeof(reason)));
}

static void print_status(const struct invocation *inv, const json_t *status)
{
	static const struct column columns[] = {
		{"node", "node_id", COLUMN_TEXT},
		{"version", "version", COLUMN_TEXT},
		{"state", "state", COLUMN_TEXT},
		{"uptime_s", "uptime_s", COLUMN_COUNT},
		{"connections", "connections", COLUMN_COUNT},
		{"handshakes", "handshakes", COLUMN_COUNT},
		{"sessions", "sessions", COLUMN_COUNT},
		{"peers", "peers", COLUMN_COUNT},
		{"shares", "shares", COLUMN_COUNT},
		{"imports", "imports", COLUMN_COUNT},
		{"gets", "gets", COLUMN_COUNT},
		{"gets_active", "gets_active", COLUMN_COUNT},
		{"served", "served_bytes", COLUMN_BYTES},
		{"received", "received_bytes", COLUMN_BYTES},
		{"bad_chunks", "bad_chunks", COLUMN_COUNT},
		{"stored", "store_bytes", COLUMN_BYTES},
		{"hashing", "hash_backend", COLUMN_TEXT},
		{0},
	};
	json_t *address;
	size_t idx;

	fields_print(inv, status, columns);
	json_array_foreach(json_object_get(status, "listen"), idx, address)
		printf(inv->has_terminal_out ? "%-18s %s\n" : "%s\t%s\n", "listen",
		       json_string_value(address));
	if (inv->has_terminal_out) {
		print_side(status, "receive");
		print_side(status, "send");
	}
}

int run_status(struct invocation *inv)
{
	json_t *reply;
	int status = client_ask(inv, "Status", NULL, &reply);

	if (status != STATUS_OK)
		return status;
	if (inv->is_json)
		text_print_json(reply);
	else
		print_status(inv, reply);
	json_decref(reply);
	return STATUS_OK;
}

int run_node_id(struct invocation *inv)
{
	json_t *reply;
	int status = client_ask(inv, "GetNodeId", NULL, &reply);

	if (status != STATUS_OK)
		return status;
	if (inv->is_json)
		text_print_json(reply);
	else
		printf("%s\n", field_text(reply, "node_id"));
	json_decref(reply);
	return STATUS_OK;
}

int run_limits_show(struct invocation *inv)
{
	static const struct column columns[] = {
		{"NAME", "name", COLUMN_TEXT},	      {"LIMIT", "limit", COLUMN_COUNT},
		{"USED", "used", COLUMN_COUNT},	      {"PEAK", "peak", COLUMN_COUNT},
		{"REFUSED", "refused", COLUMN_COUNT}, {0},
	};

	return show_list(inv, "ShowLimits", "limits", columns, "no limits");
}

int run_config_show(struct invocation *inv)
{
	static const struct column columns[] = {
		{"SECTION", "section", COLUMN_TEXT},
		{"KEY", "key", COLUMN_TEXT},
		{"VALUE", "value", COLUMN_TEXT},
		{"FROM", "source", COLUMN_TEXT},
		{0},
	};

	return show_list(inv, "ShowConfig", "settings", columns, "no settings");
}

int run_memory_show(struct invocation *inv)
{
	static const struct column columns[] = {
		{"NAME", "name", COLUMN_TEXT},
		{"PLANNED", "planned_bytes", COLUMN_BYTES},
		{"USED", "used_bytes", COLUMN_BYTES},
		{"PEAK", "peak_bytes", COLUMN_BYTES},
		{0},
	};
	char rss[TEXT_SHORT_CAP];
	json_t *reply;
	int status = client_ask(inv, "ShowMemory", NULL, &reply);

	if (status != STATUS_OK)
		return status;
	if (inv->is_json) {
		text_print_json(reply);
	} else {
		table_print(inv, json_object_get(reply, "regions"), columns, "no tables");
		if (inv->has_terminal_out)
			printf("resident now: %s\n",
			       text_bytes(field_uint(reply, "rss_bytes"), rss));
		else
			printf("resident\t-\t%" PRIu64 "\t-\n", field_uint(reply, "rss_bytes"));
	}
	json_decref(reply);
	return STATUS_OK;
}

int run_daemon_stop(struct invocation *inv)
{
	json_t *reply;
	int status = client_ask(inv, "Shutdown", NULL, &reply);

	if (status != STATUS_OK)
		return status;
	if (inv->is_json)
		text_print_json(reply);
	else if (inv->has_terminal_out)
		printf("the daemon is draining and will end\n");
	json_decref(reply);
	return STATUS_OK;
}

static void print_names(const json_t *names, const char *text)
{
	json_t *name;
	size_t idx;

	json_array_foreach(names, idx, name) printf("%s\t%s\n", json_string_value(name), text);
}

int run_daemon_reload(struct invocation *inv)
{
	json_t *reply;
	int status = client_ask(inv, "Reload", NULL, &reply);

	if (status != STATUS_OK)
		return status;
	if (inv->is_json) {
		text_print_json(reply);
	} else {
		print_names(json_object_get(reply, "applied"), "applied");
		print_names(json_object_get(reply, "pending"), "waits for a restart");
	}
	json_decref(reply);
	return STATUS_OK;
}

/* --- peers --- */

int run_peer_list(struct invocation *inv)
{
	static const struct column columns[] = {
		{"NODE", "node_id", COLUMN_ID},
		{"CONNECTED", "connected", COLUMN_BOOL},
		{"ADDRESS", "address", COLUMN_TEXT},
		{"RTT_US", "rtt_us", COLUMN_COUNT},
		{"SENT", "sent_bytes", COLUMN_BYTES},
		{"RECEIVED", "received_bytes", COLUMN_BYTES},
		{"LAST SEEN", "last_seen_s", COLUMN_TIME},
		{"AGENT", "agent", COLUMN_TEXT},
		{0},
	};

	return show_list(inv, "ListPeers", "peers", columns, "no peers yet");
}

static const struct column peer_columns[] = {
	{"node", "node_id", COLUMN_TEXT},
	{"connected", "connected", COLUMN_BOOL},
	{"address", "address", COLUMN_TEXT},
	{"agent", "agent", COLUMN_TEXT},
	{"first_seen", "first_seen_s", COLUMN_TIME},
	{"last_seen", "last_seen_s", COLUMN_TIME},
	{"clock_skew_s", "clock_skew_s", COLUMN_COUNT},
	{"dialled_by_us", "dialled_by_us", COLUMN_BOOL},
	{"resumed", "resumed", COLUMN_BOOL},
	{"rtt_us", "rtt_us", COLUMN_COUNT},
	{"mtu", "mtu", COLUMN_COUNT},
	{"sent", "sent_bytes", COLUMN_BYTES},
	{"received", "received_bytes", COLUMN_BYTES},
	{"lost_packets", "lost_packets", COLUMN_COUNT},
	{0},
};

int run_peer_show(struct invocation *inv)
{
	return show_fields(inv, "ShowPeer", json_pack("{s:s}", "node_id", inv->args[0]), "peer",
			   peer_columns);
}

int run_peer_connect(struct invocation *inv)
{
	const char *timeout = invocation_option(inv, "timeout");
	json_t *parameters = json_pack("{s:s}", "node_id", inv->args[0]);
	json_t *addresses = json_array();
	uint64_t seconds = 10;

	if (timeout && !text_parse_count(timeout, &seconds)) {
		json_decref(parameters);
		json_decref(addresses);
		return client_say_error(STATUS_USAGE, "--timeout", "not a number of seconds", NULL);
	}
	for (unsigned i = 1; i < inv->arg_cnt; i++)
		(void)json_array_append_new(addresses, json_string(inv->args[i]));
	(void)json_object_set_new(parameters, "addresses", addresses);
	(void)json_object_set_new(parameters, "timeout_ms",
				  json_integer((json_int_t)(seconds * 1000)));
	return show_fields(inv, "ConnectPeer", parameters, "peer", peer_columns);
}

/* --- what is stored --- */

static const struct column unreferenced_columns[] = {
	{"objects", "objects", COLUMN_COUNT},
	{"blobs", "blobs", COLUMN_COUNT},
	{"paths", "paths", COLUMN_COUNT},
	{"bytes", "bytes", COLUMN_BYTES},
	{0},
};

int run_gc_plan(struct invocation *inv)
{
	return show_fields(inv, "PlanGc", NULL, "unreferenced", unreferenced_columns);
}

int run_gc_run(struct invocation *inv)
{
	return show_fields(inv, "RunGc", NULL, "freed", unreferenced_columns);
}

struct checking {
	struct invocation *inv;
	int status;
};

static bool check_reply(void *arg, json_t *reply, bool is_last)
{
	static const struct column columns[] = {
		{"blobs", "blobs", COLUMN_COUNT},	{"bad blobs", "blobs_bad", COLUMN_COUNT},
		{"items", "items", COLUMN_COUNT},	{"bad items", "items_bad", COLUMN_COUNT},
		{"repaired", "repaired", COLUMN_COUNT}, {0},
	};
	struct checking *checking = arg;
	const json_t *result = json_object_get(reply, "result");
	const char *finding = json_string_value(json_object_get(reply, "finding"));
	char clean[1024];

	(void)is_last;
	if (checking->inv->is_json)
		text_print_json(reply);
	if (finding && !checking->inv->is_json)
		fprintf(stderr, "%s\n", text_clean(finding, clean, sizeof(clean)));
	if (!result)
		return true;
	if (!checking->inv->is_json)
		fields_print(checking->inv, result, columns);
	if (field_uint(result, "blobs_bad") + field_uint(result, "items_bad") >
	    field_uint(result, "repaired"))
		checking->status = STATUS_NOT_VERIFIED;
	return true;
}

int run_store_check(struct invocation *inv)
{
	struct checking checking = {inv, STATUS_OK};
	struct client_call call = {
		.method = "CheckStore",
		.parameters =
			json_pack("{s:b}", "repair", invocation_option(inv, "repair") != NULL),
		.wants_more = true,
		.reply = check_reply,
		.arg = &checking,
	};
	int status = client_call(inv, &call);

	return status == STATUS_OK ? checking.status : status;
}

/* --- events --- */

static void print_event(const struct invocation *inv, const json_t *event)
{
	char *fields =
		json_dumps(json_object_get(event, "fields"), JSON_COMPACT | JSON_ENSURE_ASCII);
	time_t at = (time_t)field_uint(event, "at_s");
	char when[TEXT_SHORT_CAP] = "", kind[64];
	struct tm tm;

	text_clean(field_text(event, "kind"), kind, sizeof(kind));
	if (inv->has_terminal_out && localtime_r(&at, &tm)) {
		strftime(when, sizeof(when), "%H:%M:%S", &tm);
		printf("%s  #%-6" PRIu64 " %-18s %s\n", when, field_uint(event, "seq"), kind,
		       fields ? fields : "");
	} else {
		printf("%" PRIu64 "\t%" PRIu64 "\t%s\t%s\n", field_uint(event, "seq"),
		       field_uint(event, "at_s"), kind, fields ? fields : "");
	}
	free(fields);
}

static bool event_reply(void *arg, json_t *reply, bool is_last)
{
	const struct invocation *inv = arg;
	const json_t *event = json_object_get(reply, "event");

	(void)is_last;
	if (inv->is_json) {
		json_dumpf(reply, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
		printf("\n");
	} else if (event && !json_is_null(event)) {
		print_event(inv, event);
	} else {
		fprintf(stderr, "weft: %" PRIu64 " events were missed\n", field_uint(reply, "gap"));
	}
	/* Each as it happens, also into a pipe; a reader that left ends the watch. */
	return fflush(stdout) == 0;
}

int run_event_watch(struct invocation *inv)
{
	const char *since = invocation_option(inv, "since");
	uint64_t seq = 0;
	struct client_call call = {
		.method = "WatchEvents", .wants_more = true, .reply = event_reply, .arg = inv};

	if (since && !text_parse_count(since, &seq))
		return client_say_error(STATUS_USAGE, "--since", "not an event number", NULL);
	call.parameters = json_pack("{s:I}", "since", (json_int_t)seq);
	return client_call(inv, &call);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft top: what makes the node work, redrawn in place below the prompt. The
 * daemon sends sums; what they grew by between two replies is reckoned here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command/daemon_client.h"
#include "print/output_table.h"
#include "print/terminal.h"
#include "print/text.h"

#define INTERVAL_S 1
/* Up to the top of what was drawn, and nothing below; lines are cut, not folded. */
#define TERMINAL_BEGIN "\033[?7l\033[?25l"
#define TERMINAL_END   "\033[?7h\033[?25h"

struct top {
	const struct invocation *inv;
	json_t *last; /* reply before; NULL: the first is awaited */
	bool is_once;
	bool has_counters; /* they are shown, and nothing else */
	bool is_drawing;
	unsigned drawn_cnt; /* lines that stand */
	unsigned room;	    /* lines that may still be drawn */
};

/* A sum of a row, and what it is called as a rate. */
struct rate {
	const char *sum;
	const char *rate;
};

static const struct rate session_rates[] = {{"received_bytes", "in_per_s"},
					    {"sent_bytes", "out_per_s"},
					    {"lost_packets", "lost_per_s"},
					    {0}};
static const struct rate worker_rates[] = {
	{"received_datagrams", "in_per_s"}, {"sent_datagrams", "out_per_s"},
	{"turns", "turns_per_s"},	    {"cpu_ms", "cpu_ms_per_s"},
	{"handed_in", "handed_in_per_s"},   {0}};
static const struct rate device_rates[] = {
	{"received", "in_per_s"}, {"sent", "out_per_s"}, {"lost", "lost_per_s"}, {0}};
static const struct rate transfer_rates[] = {{"bytes_done", "per_s"}, {0}};

static const struct rate counter_rates[] = {{"value", "per_s"}, {0}};

/* The row of the reply before that is about the same, most often at the same place; NULL: it is new. */
static const json_t *row_before(const json_t *rows, const json_t *row, size_t at, const char *name)
{
	const json_t *other = json_array_get(rows, at);
	size_t idx;

	if (other && json_equal(json_object_get(other, name), json_object_get(row, name)))
		return other;
	json_array_foreach((json_t *)rows, idx,
			   other) if (json_equal(json_object_get(other, name),
						 json_object_get(row, name))) return other;
	return NULL;
}

static void rows_rate(const struct top *top, json_t *reply, const char *member, const char *name,
		      const struct rate *rates)
{
	uint64_t span_ms = field_uint(reply, "at_ms") - field_uint(top->last, "at_ms");
	const json_t *last = json_object_get(top->last, member);
	json_t *row;
	size_t idx;

	json_array_foreach(json_object_get(reply, member), idx, row)
	{
		const json_t *before = row_before(last, row, idx, name);

		for (const struct rate *rate = rates; rate->sum; rate++) {
			uint64_t now = field_uint(row, rate->sum);
			uint64_t grown = before ? now - field_uint(before, rate->sum) : 0;

			if (grown > now || !span_ms)
				grown = 0; /* it began anew */
			json_object_set_new(
				row, rate->rate,
				json_integer((json_int_t)(span_ms ? grown * 1000 / span_ms : 0)));
		}
	}
}

/* A device's queues together. */
static void devices_sum(json_t *reply)
{
	json_t *device, *side, *frames;
	size_t idx, queue;

	json_array_foreach(json_object_get(reply, "devices"), idx, device)
	{
		uint64_t sum = 0;

		json_array_foreach(json_object_get(device, "receive"), queue, side) sum +=
			field_uint(side, "datagrams");
		json_object_set_new(device, "received", json_integer((json_int_t)sum));
		frames = json_object_get(device, "frames");
		json_object_set(device, "filling", json_object_get(frames, "filling"));
		json_object_set(device, "sending", json_object_get(frames, "sending"));
	}
}

static void workers_load(json_t *reply)
{
	json_t *worker;
	size_t idx;

	json_array_foreach(json_object_get(reply, "workers"), idx, worker) json_object_set_new(
		worker, "load_percent",
		json_integer((json_int_t)(field_uint(worker, "cpu_ms_per_s") / 10)));
}

static bool row_is_kind(const json_t *row, const char *kind)
{
	return strcmp(field_text(row, "kind"), kind) == 0;
}

/* What there is now has no rate; unit: how output_table.h shows a value. */
static void counters_rate(const struct top *top, json_t *reply)
{
	json_t *row;
	size_t idx;

	rows_rate(top, reply, "counters", "name", counter_rates);
	json_array_foreach(json_object_get(reply, "counters"), idx, row)
	{
		if (!row_is_kind(row, "counter"))
			json_object_del(row, "per_s");
		json_object_set_new(row, "unit",
				    json_string(row_is_kind(row, "bytes") ? "bytes" : "count"));
	}
}

static void rates_add(const struct top *top, json_t *reply)
{
	rows_rate(top, reply, "sessions", "node_id", session_rates);
	rows_rate(top, reply, "workers", "worker", worker_rates);
	rows_rate(top, reply, "devices", "device", device_rates);
	rows_rate(top, reply, "transfers", "get_id", transfer_rates);
	counters_rate(top, reply);
	workers_load(reply);
}

/* A table of those rows there is room for, none without rows. */
static void part_print(struct top *top, const char *kind, const json_t *rows,
		       const struct column *columns)
{
	json_t *shown = json_array(), *row;
	size_t idx;

	json_array_foreach((json_t *)rows, idx, row)
	{
		if (top->inv->has_terminal_out && json_array_size(shown) + 2 > top->room)
			break;
		json_array_append(shown, row);
	}
	if (json_array_size(shown)) {
		table_print_part(top->inv, kind, shown, columns);
		top->drawn_cnt += (unsigned)json_array_size(shown) + 1;
		top->room -= top->inv->has_terminal_out ? (unsigned)json_array_size(shown) + 1 : 0;
	}
	json_decref(shown);
}

static void head_print(struct top *top, const json_t *reply)
{
	char resident[TEXT_SHORT_CAP], heap[TEXT_SHORT_CAP];

	if (!top->inv->has_terminal_out) {
		printf("node\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n",
		       field_text(reply, "mode"), field_uint(reply, "unvalidated_rate"),
		       field_uint(reply, "handshakes"), field_uint(reply, "rss_bytes"),
		       field_uint(reply, "heap_bytes"));
		return;
	}
	printf("mode %s, unvalidated %" PRIu64 "/s, handshakes %" PRIu64
	       ", memory %s, QUIC heap %s\n",
	       field_text(reply, "mode"), field_uint(reply, "unvalidated_rate"),
	       field_uint(reply, "handshakes"),
	       text_bytes(field_uint(reply, "rss_bytes"), resident),
	       text_bytes(field_uint(reply, "heap_bytes"), heap));
	top->drawn_cnt++;
	top->room--;
}

static void parts_print(struct top *top, const json_t *reply)
{
	static const struct column workers[] = {
		{"WORKER", "worker", COLUMN_COUNT},
		{"LOAD %", "load_percent", COLUMN_COUNT},
		{"TURNS/S", "turns_per_s", COLUMN_COUNT},
		{"SESSIONS", "sessions", COLUMN_COUNT},
		{"IN, DATAGRAMS/S", "in_per_s", COLUMN_COUNT},
		{"OUT/S", "out_per_s", COLUMN_COUNT},
		{"HANDED IN/S", "handed_in_per_s", COLUMN_COUNT},
		{"LOST ON THE WAY", "handover_dropped", COLUMN_COUNT},
		{"CHUNKS HELD", "chunk_buffers_used", COLUMN_COUNT},
		{0},
	};
	static const struct column devices[] = {
		{"DEVICE", "device", COLUMN_TEXT},
		{"MODE", "mode", COLUMN_TEXT},
		{"IN, DATAGRAMS/S", "in_per_s", COLUMN_COUNT},
		{"OUT/S", "out_per_s", COLUMN_COUNT},
		{"LOST/S", "lost_per_s", COLUMN_COUNT},
		{"FRAMES TO FILL", "filling", COLUMN_COUNT},
		{"TO SEND", "sending", COLUMN_COUNT},
		{0},
	};
	static const struct column transfers[] = {
		{"GET", "get_id", COLUMN_COUNT},
		{"STATE", "state", COLUMN_TEXT},
		{"PER S", "per_s", COLUMN_BYTES},
		{"DONE", "bytes_done", COLUMN_BYTES},
		{"OF", "bytes", COLUMN_BYTES},
		{"TITLE", "title", COLUMN_TEXT},
		{0},
	};
	static const struct column sessions[] = {
		{"SESSION", "node_id", COLUMN_ID},
		{"IN/S", "in_per_s", COLUMN_BYTES},
		{"OUT/S", "out_per_s", COLUMN_BYTES},
		{"LOST/S", "lost_per_s", COLUMN_COUNT},
		{"RTT", "rtt_us", COLUMN_RTT},
		{"WHERE", "address", COLUMN_TEXT},
		{0},
	};

	head_print(top, reply);
	part_print(top, "worker", json_object_get(reply, "workers"), workers);
	part_print(top, "device", json_object_get(reply, "devices"), devices);
	part_print(top, "drop", json_object_get(reply, "drops"), api_view_drop_top);
	part_print(top, "get", json_object_get(reply, "transfers"), transfers);
	part_print(top, "session", json_object_get(reply, "sessions"), sessions);
}

/* What a screen shows first: counters that grew, then what there is, then all else. */
static unsigned counter_rank(const json_t *row)
{
	if (field_uint(row, "per_s"))
		return 0;
	return row_is_kind(row, "counter") || !field_uint(row, "value") ? 2 : 1;
}

static void counters_print(struct top *top, const json_t *reply)
{
	static const struct column columns[] = {
		{"COUNTER", "name", COLUMN_TEXT},
		{"PER S", "per_s", COLUMN_COUNT},
		{"NOW", "value", COLUMN_QUANTITY},
		{0},
	};
	json_t *ranked = json_array(), *row;
	size_t idx;

	for (unsigned rank = 0; rank <= 2; rank++)
		json_array_foreach(json_object_get(reply, "counters"), idx,
				   row) if (!top->inv->has_terminal_out ? rank == 0
									: counter_rank(row) == rank)
			json_array_append(ranked, row);
	head_print(top, reply);
	part_print(top, "counter", ranked, columns);
	json_decref(ranked);
}

static void draw(struct top *top, const json_t *reply)
{
	bool is_in_place = top->inv->has_terminal_out && !top->is_once && terminal_moves();

	if (is_in_place && !top->is_drawing)
		printf(TERMINAL_BEGIN);
	if (is_in_place && top->drawn_cnt)
		printf("\033[%uA\033[J", top->drawn_cnt);
	top->is_drawing |= is_in_place;
	top->drawn_cnt = 0;
	/* The prompt has one. */
	top->room = terminal_rows(STDOUT_FILENO) - 1;
	if (top->has_counters)
		counters_print(top, reply);
	else
		parts_print(top, reply);
}

static bool load_reply(void *arg, json_t *reply, bool is_last)
{
	struct top *top = arg;
	bool is_first = !top->last;

	(void)is_last;
	devices_sum(reply);
	if (!is_first)
		rates_add(top, reply);
	json_decref(top->last);
	top->last = json_deep_copy(reply);
	/* Rates need two. */
	if (is_first)
		return true;
	if (top->inv->is_json) {
		json_dumpf(reply, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
		printf("\n");
	} else {
		draw(top, reply);
	}
	return fflush(stdout) == 0 && !top->is_once;
}

int run_top(struct invocation *inv)
{
	const char *interval = invocation_option(inv, "interval");
	struct top top = {.inv = inv,
			  .is_once = invocation_option(inv, "once") != NULL,
			  .has_counters = invocation_option(inv, "counters") != NULL};
	struct client_call call = {
		.method = "WatchLoad", .wants_more = true, .reply = load_reply, .arg = &top};
	uint64_t interval_s = INTERVAL_S;
	int status;

	if (interval &&
	    (!text_parse_seconds(interval, &interval_s) || !interval_s || interval_s > 3600))
		return client_say_error(STATUS_USAGE, "--interval", "not a time from 1s to 60m",
					"for example 1s, 5s or 1m");
	if (!inv->has_terminal_out && !inv->is_json)
		top.is_once = true;
	call.parameters = json_pack("{s:I,s:b}", "interval_ms", (json_int_t)(interval_s * 1000),
				    "counters", top.has_counters || inv->is_json);
	client_catch_interrupt();
	if (inv->has_terminal_out && !top.is_once)
		terminal_keys_begin();
	status = client_call(inv, &call);
	terminal_keys_end();
	if (top.is_drawing) {
		printf(TERMINAL_END);
		(void)fflush(stdout);
	}
	json_decref(top.last);
	/* Ctrl-C and q are how it is meant to end. */
	return status == STATUS_INTERRUPTED && inv->has_terminal_out ? STATUS_OK : status;
}

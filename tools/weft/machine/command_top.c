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

#define INTERVAL_MS 1000
/* Up to the top of what was drawn, and nothing below; lines are cut, not folded. */
#define TERMINAL_BEGIN "\033[?7l\033[?25l"
#define TERMINAL_END   "\033[?7h\033[?25h"

/* Rows of a list of the reply, each with what is reckoned here behind it. */
struct loads {
	char *rows;
	size_t cnt;
};
#define LOADS_CNT 5

/* A reply and its rows, as they are needed until the one after the next. */
struct look {
	struct varlink_blocks blocks;
	int64_t at_ms;
	struct loads loads[LOADS_CNT];
};

struct top {
	const struct invocation *inv;
	struct look looks[2]; /* in turn */
	json_t *json[2];      /* that their texts are in */
	unsigned look_cnt;
	bool is_once;
	bool has_counters; /* they are shown, and nothing else */
	bool is_drawing;
	unsigned drawn_cnt; /* lines that stand */
	unsigned room;	    /* lines that may still be drawn */
};

/* --- rates --- */

struct session_load {
	struct api_peer session;
	int64_t in_per_s, out_per_s, lost_per_s;
};

struct worker_load {
	struct api_worker worker;
	int64_t in_per_s, out_per_s, turns_per_s, cpu_ms_per_s, handed_in_per_s, load_percent;
};

/* received: of its queues together. */
struct device_load {
	struct api_xdp_device device;
	int64_t received, filling, sending, in_per_s, out_per_s, lost_per_s;
};

struct get_load {
	struct api_get_info get;
	int64_t per_s;
};

/* A fill has no rate. */
struct counter_load {
	struct api_counter counter;
	bool has_per_s;
	int64_t per_s;
};

/* A sum of a row, and what it is called as a rate. */
struct rate {
	const char *name;
	size_t off, sum_off;
};
#define RATE(load, rate, sum) {#rate, offsetof(struct load, rate), offsetof(struct load, sum)}

#define LOADS(list, row, load, key)                                                                \
	#list, offsetof(struct api_watch_load_out, list), sizeof(struct row), sizeof(struct load), \
		offsetof(struct row, key)

static const struct load_kind {
	const char *member;
	size_t list_off, row_len, len; /* len: with what is behind the row */
	size_t key_off;
	bool has_text_key;
	struct rate rates[6]; /* until name NULL */
} load_kinds[LOADS_CNT] = {
	{LOADS(sessions, api_peer, session_load, node_id),
	 true,
	 {RATE(session_load, in_per_s, session.received_bytes),
	  RATE(session_load, out_per_s, session.sent_bytes),
	  RATE(session_load, lost_per_s, session.lost_packets)}},
	{LOADS(workers, api_worker, worker_load, worker),
	 false,
	 {RATE(worker_load, in_per_s, worker.received_datagrams),
	  RATE(worker_load, out_per_s, worker.sent_datagrams),
	  RATE(worker_load, turns_per_s, worker.turns),
	  RATE(worker_load, cpu_ms_per_s, worker.cpu_ms),
	  RATE(worker_load, handed_in_per_s, worker.handed_in)}},
	{LOADS(devices, api_xdp_device, device_load, device),
	 true,
	 {RATE(device_load, in_per_s, received), RATE(device_load, out_per_s, device.sent),
	  RATE(device_load, lost_per_s, device.lost)}},
	{LOADS(gets, api_get_info, get_load, get_id),
	 false,
	 {RATE(get_load, per_s, get.bytes_done)}},
	{LOADS(counters, api_counter, counter_load, name),
	 true,
	 {RATE(counter_load, per_s, counter.value)}},
};
enum { LOADS_SESSIONS, LOADS_WORKERS, LOADS_DEVICES, LOADS_GETS, LOADS_COUNTERS };

static int64_t number_at(const char *row, size_t off)
{
	return *(const int64_t *)(row + off);
}

static bool is_same(const struct load_kind *kind, const char *a, const char *b)
{
	if (!kind->has_text_key)
		return number_at(a, kind->key_off) == number_at(b, kind->key_off);
	return strcmp(*(const char *const *)(a + kind->key_off),
		      *(const char *const *)(b + kind->key_off)) == 0;
}

/* The row of the reply before that is about the same, most often at the same place; NULL: it is new. */
static const char *row_before(const struct load_kind *kind, const struct loads *last,
			      const char *row, size_t at)
{
	if (at < last->cnt && is_same(kind, last->rows + at * kind->len, row))
		return last->rows + at * kind->len;
	for (size_t i = 0; i < last->cnt; i++)
		if (is_same(kind, last->rows + i * kind->len, row))
			return last->rows + i * kind->len;
	return NULL;
}

/* JSON has what is reckoned here, too. */
static void reckon(json_t *json, int64_t *number, const char *name, int64_t value)
{
	*number = value;
	json_object_set_new(json, name, json_integer(value));
}

static void row_rate(const struct load_kind *kind, const char *before, char *row, json_t *json,
		     int64_t span_ms)
{
	for (const struct rate *rate = kind->rates; rate->name; rate++) {
		int64_t now = number_at(row, rate->sum_off);
		int64_t grown = before ? now - number_at(before, rate->sum_off) : 0;

		/* It may have begun anew. */
		reckon(json, (int64_t *)(row + rate->off), rate->name,
		       grown > 0 && span_ms > 0 ? grown * 1000 / span_ms : 0);
	}
}

static int64_t map_number(const struct api_int_map *map, const char *key)
{
	for (size_t i = 0; i < map->cnt; i++)
		if (strcmp(map->rows[i].key, key) == 0)
			return map->rows[i].value;
	return 0;
}

static void device_sum(struct device_load *load, json_t *json)
{
	int64_t sum = 0;

	for (size_t i = 0; i < load->device.receive.cnt; i++)
		sum += load->device.receive.rows[i].datagrams;
	reckon(json, &load->received, "received", sum);
	reckon(json, &load->filling, "filling", map_number(&load->device.frames, "filling"));
	reckon(json, &load->sending, "sending", map_number(&load->device.frames, "sending"));
}

/* Parts of a row that are no rate; the counters' unit is for readers of the JSON. */
static void row_finish(unsigned kind, char *row, json_t *json)
{
	struct worker_load *worker = (void *)row;
	struct counter_load *counter = (void *)row;

	if (kind == LOADS_WORKERS)
		reckon(json, &worker->load_percent, "load_percent", worker->cpu_ms_per_s / 10);
	if (kind != LOADS_COUNTERS)
		return;
	counter->has_per_s = counter->counter.kind == API_COUNTER_KIND_COUNTER;
	if (!counter->has_per_s)
		json_object_del(json, "per_s");
	json_object_set_new(
		json, "unit",
		json_string(counter->counter.kind == API_COUNTER_KIND_BYTES ? "bytes" : "count"));
}

static void loads_make(struct look *look, const struct look *last,
		       const struct api_watch_load_out *out, json_t *json)
{
	for (unsigned k = 0; k < LOADS_CNT; k++) {
		const struct load_kind *kind = &load_kinds[k];
		const struct varlink_list *list =
			(const void *)((const char *)out + kind->list_off);
		json_t *rows = json_object_get(json, kind->member);
		struct loads *loads = &look->loads[k];

		loads->rows = varlink_alloc(&look->blocks, (list->cnt + 1) * kind->len);
		loads->cnt = loads->rows ? list->cnt : 0;
		for (size_t i = 0; i < loads->cnt; i++) {
			char *row = loads->rows + i * kind->len;
			json_t *json_row = json_array_get(rows, i);

			memcpy(row, (const char *)list->rows + i * kind->row_len, kind->row_len);
			if (k == LOADS_DEVICES)
				device_sum((void *)row, json_row);
			row_rate(kind, row_before(kind, &last->loads[k], row, i), row, json_row,
				 look->at_ms - last->at_ms);
			row_finish(k, row, json_row);
		}
	}
}

/* --- drawing --- */

/* A table of those rows there is room for, none without rows. */
static void part_print(struct top *top, const char *kind, struct table_rows rows,
		       const struct column *columns)
{
	bool is_bound = top->inv->has_terminal_out;

	if (is_bound && rows.cnt + 1 > top->room)
		rows.cnt = top->room > 1 ? top->room - 1 : 0;
	if (!rows.cnt)
		return;
	table_print_part(top->inv, kind, rows, columns);
	top->drawn_cnt += (unsigned)rows.cnt + 1;
	top->room -= is_bound ? (unsigned)rows.cnt + 1 : 0;
}

static void head_print(struct top *top, const struct api_watch_load_out *out)
{
	const char *mode = api_mode_type.words[out->mode];
	char resident[TEXT_SHORT_CAP], heap[TEXT_SHORT_CAP];

	if (!top->inv->has_terminal_out) {
		printf("node\t%s\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\n", mode,
		       out->unvalidated_rate, out->handshakes, out->rss_bytes, out->heap_bytes);
		return;
	}
	printf("mode %s, unvalidated %" PRId64 "/s, handshakes %" PRId64
	       ", memory %s, QUIC heap %s\n",
	       mode, out->unvalidated_rate, out->handshakes,
	       text_bytes((uint64_t)out->rss_bytes, resident),
	       text_bytes((uint64_t)out->heap_bytes, heap));
	top->drawn_cnt++;
	top->room--;
}

static void loads_print(struct top *top, const char *name, unsigned kind,
			const struct column *columns)
{
	const struct loads *loads = &top->looks[top->look_cnt % 2].loads[kind];

	part_print(top, name, (struct table_rows){loads->rows, loads->cnt, load_kinds[kind].len},
		   columns);
}

static void parts_print(struct top *top, const struct api_watch_load_out *out)
{
	static const struct column workers[] = {
		COLUMN_OF("WORKER", worker_load, worker.worker, int, COUNT),
		COLUMN_OF("LOAD %", worker_load, load_percent, int, COUNT),
		COLUMN_OF("TURNS/S", worker_load, turns_per_s, int, COUNT),
		COLUMN_OF("SESSIONS", worker_load, worker.sessions, int, COUNT),
		COLUMN_OF("IN, DATAGRAMS/S", worker_load, in_per_s, int, COUNT),
		COLUMN_OF("OUT/S", worker_load, out_per_s, int, COUNT),
		COLUMN_OF("HANDED IN/S", worker_load, handed_in_per_s, int, COUNT),
		COLUMN_OF("LOST ON THE WAY", worker_load, worker.handover_dropped, int, COUNT),
		COLUMN_OF("CHUNKS HELD", worker_load, worker.chunk_buffers_used, int, COUNT),
		{0},
	};
	static const struct column devices[] = {
		COLUMN_OF("DEVICE", device_load, device.device, string, TEXT),
		COLUMN_OF("MODE", device_load, device.mode, xdp_mode, TEXT),
		COLUMN_OF("IN, DATAGRAMS/S", device_load, in_per_s, int, COUNT),
		COLUMN_OF("OUT/S", device_load, out_per_s, int, COUNT),
		COLUMN_OF("LOST/S", device_load, lost_per_s, int, COUNT),
		COLUMN_OF("FRAMES TO FILL", device_load, filling, int, COUNT),
		COLUMN_OF("TO SEND", device_load, sending, int, COUNT),
		{0},
	};
	static const struct column gets[] = {
		COLUMN_OF("GET", get_load, get.get_id, int, COUNT),
		COLUMN_OF("STATE", get_load, get.state, get_state, TEXT),
		COLUMN_OF("PER S", get_load, per_s, int, BYTES),
		COLUMN_OF("DONE", get_load, get.bytes_done, int, BYTES),
		COLUMN_OF("OF", get_load, get.bytes, int, BYTES),
		COLUMN_OF("TITLE", get_load, get.title, string, TEXT),
		{0},
	};
	static const struct column sessions[] = {
		COLUMN_OF("SESSION", session_load, session.node_id, string, ID),
		COLUMN_OF("IN/S", session_load, in_per_s, int, BYTES),
		COLUMN_OF("OUT/S", session_load, out_per_s, int, BYTES),
		COLUMN_OF("LOST/S", session_load, lost_per_s, int, COUNT),
		COLUMN_IF("RTT", session_load, session, rtt_us, int, RTT),
		COLUMN_OF("WHERE", session_load, session.address, string, TEXT),
		{0},
	};

	head_print(top, out);
	loads_print(top, "worker", LOADS_WORKERS, workers);
	loads_print(top, "device", LOADS_DEVICES, devices);
	part_print(top, "drop", TABLE_ROWS(out->drops), api_view_drop_top);
	loads_print(top, "get", LOADS_GETS, gets);
	loads_print(top, "session", LOADS_SESSIONS, sessions);
}

/* The order of a screen: counters that grew, then fills, then all else. */
static unsigned counter_rank(const struct counter_load *row)
{
	if (row->has_per_s && row->per_s)
		return 0;
	return row->has_per_s || !row->counter.value ? 2 : 1;
}

static void counters_print(struct top *top, const struct api_watch_load_out *out)
{
	static const struct varlink_field unit =
		VARLINK_NEEDED(counter_load, "", counter.kind, api_counter_kind_type);
	static const struct column columns[] = {
		COLUMN_OF("COUNTER", counter_load, counter.name, string, TEXT),
		{"PER S",
		 {"", &api_int_type, offsetof(struct counter_load, per_s),
		  offsetof(struct counter_load, has_per_s), true},
		 COLUMN_COUNT,
		 NULL},
		{"NOW", VARLINK_NEEDED(counter_load, "", counter.value, api_int_type),
		 COLUMN_QUANTITY, &unit},
		{0},
	};
	struct look *look = &top->looks[top->look_cnt % 2];
	const struct loads *loads = &look->loads[LOADS_COUNTERS];
	const struct counter_load *rows = (const void *)loads->rows;
	struct {
		struct counter_load *rows;
		size_t cnt, cap;
	} ranked = {0};

	for (unsigned rank = 0; rank <= 2; rank++)
		for (size_t i = 0; i < loads->cnt; i++)
			if (!top->inv->has_terminal_out ? rank == 0
							: counter_rank(&rows[i]) == rank)
				varlink_push(&look->blocks, &ranked, rows[i]);
	head_print(top, out);
	part_print(top, "counter", TABLE_ROWS(ranked), columns);
}

static void draw(struct top *top, const struct api_watch_load_out *out)
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
		counters_print(top, out);
	else
		parts_print(top, out);
}

static bool load_reply(void *arg, const struct client_reply *reply)
{
	struct top *top = arg;
	const struct look *last = &top->looks[top->look_cnt % 2];
	struct look *look = &top->looks[++top->look_cnt % 2];
	const struct api_watch_load_out *out;

	varlink_blocks_free(&look->blocks);
	*look = (struct look){0};
	json_decref(top->json[top->look_cnt % 2]);
	top->json[top->look_cnt % 2] = json_incref(reply->json);
	out = api_watch_load_out_read(reply->json, &look->blocks);
	if (!out)
		return false;
	look->at_ms = out->at_ms;
	loads_make(look, last, out, reply->json);
	/* Rates need two. */
	if (top->look_cnt == 1)
		return true;
	if (top->inv->is_json)
		text_print_json_line(reply->json);
	else
		draw(top, out);
	return fflush(stdout) == 0 && !top->is_once;
}

int run_top(struct invocation *inv)
{
	struct top top = {.inv = inv,
			  .is_once = invocation_option(inv, "once") != NULL,
			  .has_counters = invocation_option(inv, "counters") != NULL};
	struct api_watch_load_in in = {.has_interval_ms = true, .interval_ms = INTERVAL_MS};
	struct client_call call = {.request = api_watch_load_request(&in),
				   .wants_more = true,
				   .reply = load_reply,
				   .arg = &top};
	int status = command_fill(inv, API_WATCH_LOAD, &in);

	if (status != STATUS_OK)
		return status;
	API_SET(&in, counters, top.has_counters || inv->is_json);
	if (!inv->has_terminal_out && !inv->is_json)
		top.is_once = true;
	client_catch_interrupt();
	if (inv->has_terminal_out && !top.is_once)
		terminal_keys_begin();
	status = client_call(inv, &call);
	terminal_keys_end();
	if (top.is_drawing) {
		printf(TERMINAL_END);
		(void)fflush(stdout);
	}
	for (unsigned i = 0; i < VARLINK_CNT_OF(top.looks); i++) {
		varlink_blocks_free(&top.looks[i].blocks);
		json_decref(top.json[i]);
	}
	/* Ctrl-C and q are how it is meant to end. */
	return status == STATUS_INTERRUPTED && inv->has_terminal_out ? STATUS_OK : status;
}

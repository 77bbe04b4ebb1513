/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /metrics: Prometheus' text format, version 0.0.4. It reports what Status and ShowLimits
 * report. Tables of this program decide which names and labels there are, never a peer. Home
 * worker.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/figures.h"
#include "api/methods.h"
#include "web_metrics.h"
#include "web_routes_state.h"
#include "store/store.h"
#include "weft/version.h"

#define NAME_CAP 128

/* name_write makes a metric's name of a counter's: "quic.conn_cnt" -> "weft_quic_conn_cnt". */
static void name_write(char name[static NAME_CAP], const char *ours, const char *suffix)
{
	snprintf(name, NAME_CAP, "weft_%s%s", ours, suffix);
	for (char *c = name; *c; c++)
		if (*c == '.' || *c == '-')
			*c = '_';
}

void api_metric_family_write(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void number_write(FILE *out, const char *name, const char *type, const char *help,
			 uint64_t value)
{
	api_metric_family_write(out, name, type, help);
	fprintf(out, "%s %llu\n", name, (unsigned long long)value);
}

/* The numbers of Status that stand by themselves. */
static void status_write(FILE *out, const struct api_status_out *status)
{
	const struct {
		int64_t value;
		const char *name, *type, *help;
	} rows[] = {
		{status->uptime_s, "weft_uptime_seconds", "gauge",
		 "Seconds since the daemon began."},
		{status->connections, "weft_connections", "gauge",
		 "QUIC connections that are open."},
		{status->handshakes, "weft_handshakes", "gauge",
		 "Connections still in their handshake."},
		{status->sessions, "weft_sessions", "gauge", "Sessions with peers."},
		{status->peers, "weft_peers", "gauge", "Peers that are remembered."},
		{status->shares, "weft_shares", "gauge", "Shares."},
		{status->imports, "weft_imports", "gauge", "Imports that run."},
		{status->gets, "weft_gets", "gauge", "Gets that are remembered."},
		{status->gets_active, "weft_gets_active", "gauge", "Gets that run."},
		{status->served_bytes, "weft_served_bytes_total", "counter",
		 "Content sent to peers."},
		{status->received_bytes, "weft_received_bytes_total", "counter",
		 "Content received and verified."},
		{status->streamed_bytes, "weft_streamed_bytes_total", "counter",
		 "Content received that no get kept: it was handed on as it came."},
		{status->bad_chunks, "weft_bad_chunks_total", "counter",
		 "Chunks that did not match their hash."},
		{status->store_bytes, "weft_store_bytes", "gauge", "Bytes of the store."},
		{status->store_max_bytes, "weft_store_max_bytes", "gauge",
		 "Bytes that its index may grow to."},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		number_write(out, rows[i].name, rows[i].type, rows[i].help,
			     (uint64_t)rows[i].value);
}

/* A figure of a module, by its name. */
static void figure_write(FILE *out, const struct figure *figure)
{
	bool is_counter = figure->kind == FIGURE_COUNTER;
	char name[NAME_CAP];

	name_write(name, figure->name, is_counter ? "_total" : "");
	number_write(out, name, is_counter ? "counter" : "gauge", figure->meaning, figure->value);
}

static void limits_write(FILE *out, struct api *api)
{
	static const struct {
		const char *name, *type, *help;
	} rows[] = {
		{"weft_limit", "gauge", "How much there may be of it."},
		{"weft_limit_used", "gauge", "How much there is."},
		{"weft_limit_peak", "gauge", "How much there ever was."},
		{"weft_limit_refused_total", "counter", "Observations that found no room."},
	};
	struct api_limit_list limits = {0};
	struct varlink_blocks blocks = {0};

	api_limits(&blocks, api, &limits);
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		api_metric_family_write(out, rows[row].name, rows[row].type, rows[row].help);
		for (size_t i = 0; i < limits.cnt; i++) {
			const struct api_limit *limit = &limits.rows[i];
			const bool is_kept[] = {true, true, limit->has_peak, limit->has_refused};
			const int64_t values[] = {limit->limit, limit->used, limit->peak,
						  limit->refused};

			if (is_kept[row])
				fprintf(out, "%s{limit=\"%s\"} %llu\n", rows[row].name, limit->name,
					(unsigned long long)values[row]);
		}
	}
	varlink_blocks_free(&blocks);
}

static void replies_write(FILE *out, const struct gateway_stats *stats)
{
	static const char replies[] = "weft_gateway_replies_total";

	api_metric_family_write(out, replies, "counter", "Replies by the class of their status.");
	for (unsigned class = 1; class < 6; class ++)
		fprintf(out, "%s{class=\"%uxx\"} %llu\n", replies, class,
			(unsigned long long)stats->class_cnt[class]);
}

/* The least of limit and timetable; a rate that has none is left out. */
static void rates_write(FILE *out, const struct api *api)
{
	static const char name[] = "weft_rate_bytes_per_second";
	static const enum blobs_limit rates[] = {BLOBS_LIMIT_UPLOAD, BLOBS_LIMIT_DOWNLOAD};
	struct blobs_limit_view view;

	api_metric_family_write(out, name, "gauge", "Rate in force of what is sent and fetched.");
	for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		blobs_limit_show(api->home->content, rates[i], &view);
		if (view.in_force)
			fprintf(out, "%s{limit=\"%s\"} %llu\n", name, blobs_limit_name(rates[i]),
				(unsigned long long)view.in_force);
	}
}

static void metrics_write(FILE *out, struct api *api, const struct api_status_out *status)
{
	struct figures figures;
	struct figure_iter iter = {.figures = &figures};
	struct figure figure;

	api_metric_family_write(out, "weft_info", "gauge", "The version that runs.");
	fprintf(out, "weft_info{version=\"%s\"} 1\n", WEFT_VERSION);
	status_write(out, status);
	api_figures_read(api, &figures);
	while (api_figures_next(&iter, &figure))
		figure_write(out, &figure);
	limits_write(out, api);
	replies_write(out, &figures.gateway);
	rates_write(out, api);
	if (api->service)
		api_metrics_fabric_write(out, api, &figures);
}

struct metrics_ask {
	struct api *api;
	FILE *out;
};

static void status_answered(void *arg, const char *error, const json_t *parameters)
{
	struct metrics_ask *ask = arg;
	struct varlink_blocks blocks = {0};
	const struct api_status_out *status =
		error ? NULL
		      : varlink_read(&api_status_out_type, (json_t *)parameters, &blocks, NULL);

	if (status)
		metrics_write(ask->out, ask->api, status);
	varlink_blocks_free(&blocks);
}

static void metrics_handle(void *ctx, struct gateway_exchange *exchange,
			   const struct gateway_request *request, uint64_t now_ns)
{
	static const struct gateway_error busy = {503, "gateway_busy",
						  "Too many calls are under way; try again.", 1};
	struct api *api = ctx;
	char *text = NULL;
	size_t len = 0;
	struct metrics_ask metrics = {.api = api, .out = open_memstream(&text, &len)};
	json_t *parameters = json_object();
	/* Status answers in the call. */
	struct control_ask ask = {.role = CONTROL_VIEW,
				  .method = "Status",
				  .parameters = parameters,
				  .answered = status_answered,
				  .arg = &metrics};
	struct control_call *call = NULL;
	struct gateway_reply reply = {.status = 200,
				      .type = "text/plain; version=0.0.4; charset=utf-8"};
	int err = -1;

	(void)request;
	if (metrics.out) {
		err = control_ask(api->control, &ask, now_ns, &call);
		fclose(metrics.out);
	}
	json_decref(parameters);
	reply.body = text;
	reply.body_len = len;
	if (err == 0 && len)
		gateway_reply(exchange, &reply, now_ns);
	else
		gateway_reply_error(exchange, &busy, now_ns);
	free(text);
}

struct gateway_route api_http_metrics_route(struct api *api)
{
	return (struct gateway_route){
		.path = "/metrics",
		.methods = GATEWAY_GET,
		.access = GATEWAY_OPEN,
		.handle = metrics_handle,
		.ctx = api,
	};
}

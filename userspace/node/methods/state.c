/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Status, GetNodeId, ShowLimits, ShowMemory: what the modules count, by
 * tables of names and fields.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "content/content.h"
#include "dht/dht.h"
#include "crypto/blake3.h"
#include "mesh/mesh.h"
#include "node/memory.h"
#include "node/methods/methods.h"
#include "node/sharing/sharing_state.h"
#include "weft/version.h"
#include "quic/quic.h"
#include "store/store.h"

/* All modules' figures of one moment, over all workers. */
struct figures {
	struct quic_stats quic;
	struct mesh_stats mesh;
	struct content_stats content;
	struct stream_relay_stats worker_streams;
	struct packet_counters rx, tx;
	uint64_t turn_cnt, unknown_flow_cnt;
	struct store_stats store;
	struct control_stats control;
};

struct figure {
	const char *name;
	size_t off;
	size_t len; /* of the field: 4 or 8 */
};
#define FIGURE(section, field)                                                                     \
	{#section "." #field, offsetof(struct figures, section.field),                             \
	 sizeof(((struct figures *)0)->section.field)}

static const struct figure counters[] = {
	FIGURE(quic, accepted_cnt),
	FIGURE(quic, dialled_cnt),
	FIGURE(quic, resumed_cnt),
	FIGURE(quic, completed_cnt),
	FIGURE(quic, refused_full_cnt),
	FIGURE(quic, refused_prefix_cnt),
	FIGURE(quic, refused_key_cnt),
	FIGURE(quic, refused_stranger_cnt),
	FIGURE(quic, refused_heap_cnt),
	FIGURE(quic, refused_alpn_cnt),
	FIGURE(quic, handshake_timeout_cnt),
	FIGURE(quic, idle_timeout_cnt),
	FIGURE(quic, retry_sent_cnt),
	FIGURE(quic, version_sent_cnt),
	FIGURE(quic, reset_sent_cnt),
	FIGURE(quic, close_sent_cnt),
	FIGURE(quic, bad_tag_cnt),
	FIGURE(quic, garbage_cnt),
	FIGURE(quic, bad_token_cnt),
	FIGURE(quic, migrated_cnt),
	FIGURE(quic, key_update_cnt),
	FIGURE(mesh, frame_in_cnt),
	FIGURE(mesh, frame_out_cnt),
	FIGURE(mesh, malformed_cnt),
	FIGURE(mesh, unknown_type_cnt),
	FIGURE(mesh, refused_cnt),
	FIGURE(mesh, timeout_cnt),
	FIGURE(mesh, hello_cnt),
	FIGURE(mesh, skew_cnt),
	FIGURE(content, served_chunk_cnt),
	FIGURE(content, refused_busy_cnt),
	FIGURE(content, changed_cnt),
	FIGURE(worker_streams, refused_cnt),
	FIGURE(store, commit_cnt),
	FIGURE(store, batch_cnt),
	FIGURE(store, failed_cnt),
	FIGURE(control, call_cnt),
	FIGURE(control, refused_cnt),
	FIGURE(control, malformed_cnt),
	FIGURE(control, dropped_slow_cnt),
	FIGURE(control, event_cnt),
};

/* Fills and sums that Status and ShowLimits show in places of their own. */
static const struct figure fills[] = {
	FIGURE(quic, conn_cnt),
	FIGURE(quic, conn_peak_cnt),
	FIGURE(quic, handshake_cnt),
	FIGURE(quic, stranger_cnt),
	FIGURE(quic, stranger_cap),
	FIGURE(quic, stream_cnt),
	FIGURE(quic, stream_peak_cnt),
	FIGURE(quic, heap_used_len),
	FIGURE(quic, heap_peak_len),
	FIGURE(mesh, session_cnt),
	FIGURE(mesh, request_cnt),
	FIGURE(mesh, incoming_cnt),
	FIGURE(mesh, stream_cnt),
	FIGURE(content, chunk_buffer_used_cnt),
	FIGURE(content, served_byte_cnt),
	FIGURE(worker_streams, used_len),
	FIGURE(worker_streams, peak_len),
	FIGURE(rx, dgram_cnt),
	FIGURE(rx, byte_cnt),
	FIGURE(rx, call_cnt),
	FIGURE(rx, dropped_cnt),
	FIGURE(tx, dgram_cnt),
	FIGURE(tx, byte_cnt),
	FIGURE(tx, call_cnt),
	FIGURE(tx, dropped_cnt),
};

static uint64_t figure_value(const struct figures *figures, const struct figure *figure)
{
	const char *at = (const char *)figures + figure->off;
	uint32_t narrow;
	uint64_t wide;

	if (figure->len == sizeof(wide)) {
		memcpy(&wide, at, sizeof(wide));
		return wide;
	}
	memcpy(&narrow, at, sizeof(narrow));
	return narrow;
}

static void figure_add(struct figures *sum, const struct figures *more, const struct figure *figure)
{
	uint64_t value = figure_value(sum, figure) + figure_value(more, figure);
	uint32_t narrow = (uint32_t)value;

	memcpy((char *)sum + figure->off,
	       figure->len == sizeof(value) ? (const void *)&value : (const void *)&narrow,
	       figure->len);
}

static void figures_add(struct figures *sum, const struct worker_figures *worker)
{
	const struct figures more = {
		.quic = worker->quic,
		.mesh = worker->mesh,
		.content = worker->content,
		.worker_streams = worker->worker_streams,
		.rx = worker->rx,
		.tx = worker->tx,
	};

	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		figure_add(sum, &more, &counters[i]);
	for (size_t i = 0; i < sizeof(fills) / sizeof(fills[0]); i++)
		figure_add(sum, &more, &fills[i]);
	sum->turn_cnt += worker->turn_cnt;
	sum->unknown_flow_cnt += worker->unknown_flow_cnt;
}

static void figures_read(struct node *node, struct figures *figures)
{
	struct worker_figures home;

	worker_figures_read(&node->home, &home);
	*figures = (struct figures){
		.quic = home.quic,
		.mesh = home.mesh,
		.content = home.content,
		.rx = home.rx,
		.tx = home.tx,
		.turn_cnt = home.turn_cnt,
		.unknown_flow_cnt = home.unknown_flow_cnt,
	};
	store_stats(node->store, &figures->store);
	control_stats(node->control, &figures->control);
	for (unsigned i = 1; node->crew && i <= crew_cnt(node->crew); i++)
		figures_add(figures, crew_figures(node->crew, i));
}

/* As "eth0:3". A device may have gone since the worker told. */
static json_t *queues_json(const struct node *node, const struct worker_figures *figures)
{
	json_t *json = json_array();

	for (unsigned i = 0; i < figures->queue_cnt; i++) {
		const struct queue_figures *queue = &figures->queues[i];
		const struct xdp_device_info *info =
			xdp_device_info(node->fastpath.xdp, queue->device);

		if (info)
			json_array_append_new(json, json_sprintf("%s:%u", info->name, queue->idx));
	}
	return json;
}

static json_t *worker_json(const struct node *node, unsigned idx,
			   const struct worker_figures *figures)
{
	uint64_t order_lost_cnt = idx ? crew_order_lost_cnt(node->crew, idx) : 0;

	return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "worker", (int)idx, "cpu_ms",
			 method_json_uint(figures->cpu_ns / NS_PER_MS), "turns",
			 method_json_uint(figures->turn_cnt), "chunk_buffers_used",
			 method_json_uint(figures->content.chunk_buffer_used_cnt), "connections",
			 method_json_uint(figures->quic.conn_cnt), "sessions",
			 method_json_uint(figures->mesh.session_cnt), "received_datagrams",
			 method_json_uint(figures->rx.dgram_cnt), "sent_datagrams",
			 method_json_uint(figures->tx.dgram_cnt), "served_bytes",
			 method_json_uint(figures->content.served_byte_cnt), "handed_in",
			 method_json_uint(figures->handed_in_cnt), "handover_dropped",
			 method_json_uint(figures->handover_dropped_cnt), "lost_reports",
			 method_json_uint(figures->report_lost_cnt), "lost_orders",
			 method_json_uint(order_lost_cnt), "queues", queues_json(node, figures));
}

json_t *method_json_workers(const struct node *node)
{
	json_t *json = json_array();
	struct worker_figures home;

	worker_figures_read(&node->home, &home);
	json_array_append_new(json, worker_json(node, 0, &home));
	for (unsigned i = 1; node->crew && i <= crew_cnt(node->crew); i++)
		json_array_append_new(json, worker_json(node, i, crew_figures(node->crew, i)));
	return json;
}

static json_t *counters_json(const struct figures *figures)
{
	json_t *json = json_object();

	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		json_object_set_new(json, counters[i].name,
				    method_json_uint(figure_value(figures, &counters[i])));
	json_object_set_new(json, "node.turn_cnt", method_json_uint(figures->turn_cnt));
	json_object_set_new(json, "node.unknown_flow_cnt",
			    method_json_uint(figures->unknown_flow_cnt));
	return json;
}

json_t *method_json_side(const char *backend, const char *reason,
			 const struct packet_counters *counts)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "backend", backend, "reason", reason,
			 "datagrams", method_json_uint(counts->dgram_cnt), "bytes",
			 method_json_uint(counts->byte_cnt), "system_calls",
			 method_json_uint(counts->call_cnt), "dropped",
			 method_json_uint(counts->dropped_cnt));
}

static json_t *listen_json(const struct node *node)
{
	json_t *json = json_array();
	char text[ADDR_TEXT_CAP];

	for (unsigned i = 0; i < node->home.bound_cnt; i++)
		json_array_append_new(json, json_string(addr_format(&node->home.bound[i], text)));
	return json;
}

void method_status(void *ctx, struct control_call *call, const json_t *parameters, uint64_t now_ns)
{
	struct node *node = ctx;
	struct figures f;
	json_t *json;

	(void)parameters;
	figures_read(node, &f);
	json = json_pack("{s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:s}", "node_id",
			 method_json_id(node->own_key), "version", WEFT_VERSION, "state",
			 node->is_stopping ? "draining" : "running", "uptime_s",
			 method_json_uint((now_ns - node->started_ns) / NS_PER_S), "listen",
			 listen_json(node), "receive",
			 method_json_side(node->home.rx->backend, node->home.rx->reason, &f.rx),
			 "send",
			 method_json_side(node->home.tx->backend, node->home.tx->reason, &f.tx),
			 "hash_backend", blake3_backend_name());
	json_object_update_new(
		json, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o,"
				" s:o}",
				"connections", method_json_uint(f.quic.conn_cnt), "handshakes",
				method_json_uint(f.quic.handshake_cnt), "sessions",
				method_json_uint(f.mesh.session_cnt), "peers",
				method_json_uint(f.mesh.peer_cnt), "shares",
				method_json_uint(f.content.share_cnt), "imports",
				method_json_uint(f.content.import_cnt), "gets",
				method_json_uint(f.content.get_cnt), "gets_active",
				method_json_uint(f.content.get_active_cnt), "served_bytes",
				method_json_uint(f.content.served_byte_cnt), "received_bytes",
				method_json_uint(f.content.received_byte_cnt), "bad_chunks",
				method_json_uint(f.content.bad_chunk_cnt), "store_bytes",
				method_json_uint(f.store.map_used_len + f.store.segment_len),
				"store_max_bytes", method_json_uint(f.store.map_len_max),
				"counters", counters_json(&f)));
	json_object_set_new(json, "workers", method_json_workers(node));
	control_reply(call, json);
}

void method_get_node_id(void *ctx, struct control_call *call, const json_t *parameters,
			uint64_t now_ns)
{
	struct node *node = ctx;

	(void)parameters, (void)now_ns;
	control_reply(call, json_pack("{s:o}", "node_id", method_json_id(node->own_key)));
}

struct limit_row {
	const char *name;
	uint64_t limit;
	uint64_t used;
	int64_t peak;	 /* -1: not kept */
	int64_t refused; /* -1: not counted */
};

static bool limit_is_bytes(const char *name)
{
	return strcmp(name, "quic.heap") == 0 || strcmp(name, "store.map_max") == 0 ||
	       strcmp(name, "gateway.memory") == 0 || strcmp(name, "sharing.search_index_max") == 0;
}

static json_t *limit_json(const struct limit_row *row)
{
	json_t *json = json_pack("{s:s, s:s, s:o, s:o}", "name", row->name, "unit",
				 limit_is_bytes(row->name) ? "bytes" : "count", "limit",
				 method_json_uint(row->limit), "used", method_json_uint(row->used));

	if (row->peak >= 0)
		json_object_set_new(json, "peak", json_integer(row->peak));
	if (row->refused >= 0)
		json_object_set_new(json, "refused", json_integer(row->refused));
	return json;
}

json_t *method_json_limits(struct node *node)
{
	const struct node_config *config = config_live(node->config);
	json_t *limits = json_array();
	uint64_t worker_cnt = config->worker_cnt; /* each has tables of its own */
	const struct dht_config *mainline = &config->mainline.dht;
	struct dht_stats dht = {0};
	struct gateway_stats web = {0};
	struct follows_stats follows = {0};
	struct search_stats search = {0};
	uint32_t published_cnt = 0;
	struct figures f;

	figures_read(node, &f);
	web_stats(node->web, &web);
	if (node->home.dht)
		dht_stats(node->home.dht, node->home.now_ns, &dht);
	if (node->sharing) {
		published_cnt = publisher_cnt(node->sharing->publisher);
		follows_stats(node->sharing->follows, &follows);
		search_stats(node->sharing->search, &search);
	}
	const struct limit_row rows[] = {
		{"quic.conn_cap", worker_cnt * config->quic.conn_cap, f.quic.conn_cnt,
		 f.quic.conn_peak_cnt, (int64_t)f.quic.refused_full_cnt},
		{"quic.conn_per_prefix_cap", config->quic.conn_per_prefix_cap, f.quic.handshake_cnt,
		 -1, (int64_t)f.quic.refused_prefix_cnt},
		{"quic.conn_per_key_cap", config->quic.conn_per_key_cap, 0, -1,
		 (int64_t)f.quic.refused_key_cnt},
		/* What the reserve leaves to strangers. */
		{"quic.known_reserve", f.quic.stranger_cap, f.quic.stranger_cnt, -1,
		 (int64_t)f.quic.refused_stranger_cnt},
		{"quic.stream_cap", worker_cnt * config->quic.stream_cap, f.quic.stream_cnt,
		 f.quic.stream_peak_cnt, -1},
		{"quic.heap", worker_cnt * config->quic.heap_cap, f.quic.heap_used_len,
		 (int64_t)f.quic.heap_peak_len, (int64_t)f.quic.refused_heap_cnt},
		{"mesh.session_cap", worker_cnt * config->mesh.session_cap, f.mesh.session_cnt, -1,
		 -1},
		{"mesh.request_cap", config->mesh.request_cap, f.mesh.request_cnt, -1, -1},
		{"mesh.incoming_cap", worker_cnt * config->mesh.incoming_cap, f.mesh.incoming_cnt,
		 -1, (int64_t)f.mesh.refused_cnt},
		/* Our own, and as many of peers. */
		{"mesh.stream_cap", 2 * worker_cnt * config->mesh.stream_cap, f.mesh.stream_cnt, -1,
		 -1},
		{"mesh.peer_cap", config->mesh.peer_cap, f.mesh.peer_cnt, -1, -1},
		{"content.share_cap", config->content.share_cap, f.content.share_cnt, -1, -1},
		{"content.get_cap", config->content.get_cap, f.content.get_cnt, -1, -1},
		{"content.get_active_cap", config->content.get_active_cap, f.content.get_active_cnt,
		 -1, -1},
		{"content.chunk_buffers", worker_cnt * config->content.chunk_buffer_cnt,
		 f.content.chunk_buffer_used_cnt, -1, (int64_t)f.content.refused_busy_cnt},
		{"sharing.publish_cap", config->sharing.publisher.share_cap, published_cnt, -1, -1},
		{"dht.item_cap", mainline->item_cap, dht.item_cnt, -1,
		 (int64_t)dht.reasons[DHT_STORE_FULL]},
		{"dht.peer_cap", mainline->peer_cap, dht.peer_cnt, -1, -1},
		{"dht.query_cap", mainline->query_cap, dht.query_cnt, -1, -1},
		{"dht.search_cap", mainline->search_cap, dht.search_cnt, -1, -1},
		{"dht.own_cap", mainline->own_cap, dht.own_cnt, -1, -1},
		{"gateway.connections", config->web.gateway.conn_cap, web.conn_cnt,
		 web.conn_peak_cnt, (int64_t)web.refused_cnt},
		{"gateway.sockets", config->web.gateway.socket_cap, web.socket_cnt,
		 web.socket_peak_cnt, -1},
		{"gateway.memory", config->web.gateway.memory_cap, web.memory_used_len,
		 (int64_t)web.memory_peak_len, (int64_t)web.memory_refused_cnt},
		{"gateway.rate", config->web.gateway.request_rate_per_s, 0, -1,
		 (int64_t)web.limited_cnt},
		{"sharing.follow_cap", config->sharing.follow.follow_cap, follows.follow_cnt, -1,
		 -1},
		{"sharing.sync_cap", config->sharing.follow.sync_cap, follows.sync_cnt, -1, -1},
		{"sharing.search_index_max", config->sharing.search.index_len_max, search.index_len,
		 -1, -1},
		{"sharing.search_queries", config->sharing.search.query_cap, search.query_cnt, -1,
		 (int64_t)search.refused_cnt},
		{"store.map_max", f.store.map_len_max, f.store.map_used_len, -1, -1},
		{"store.batch_cap", f.store.batch_cap, f.store.batch_waiting, -1, -1},
		{"store.reader_cap", f.store.reader_cap, f.store.reader_cnt, -1, -1},
		{"control.client_cap", f.control.client_cap, f.control.client_cnt,
		 f.control.client_peak_cnt, (int64_t)f.control.refused_cnt},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		json_array_append_new(limits, limit_json(&rows[i]));
	return limits;
}

void method_show_limits(void *ctx, struct control_call *call, const json_t *parameters,
			uint64_t now_ns)
{
	(void)parameters, (void)now_ns;
	control_reply(call, json_pack("{s:o}", "limits", method_json_limits(ctx)));
}

/* Resident bytes of this process, 0 when /proc is not there. */
uint64_t method_resident_len(void)
{
	unsigned long pages = 0;
	FILE *statm = fopen("/proc/self/statm", "re");

	if (statm) {
		if (fscanf(statm, "%*u %lu", &pages) != 1)
			pages = 0;
		fclose(statm);
	}
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static json_t *used_json(uint64_t used_len, uint64_t peak_len)
{
	return json_pack("{s:o, s:o}", "used_bytes", method_json_uint(used_len), "peak_bytes",
			 method_json_uint(peak_len));
}

void method_show_memory(void *ctx, struct control_call *call, const json_t *parameters,
			uint64_t now_ns)
{
	struct node *node = ctx;
	struct memory_region regions[MEMORY_REGION_CAP];
	unsigned cnt = memory_plan(config_live(node->config), regions);
	json_t *list = json_array();
	struct figures f;

	(void)parameters, (void)now_ns;
	figures_read(node, &f);
	for (unsigned i = 0; i < cnt; i++) {
		json_t *region = json_pack("{s:s, s:o}", "name", regions[i].name, "planned_bytes",
					   method_json_uint(regions[i].len));

		if (regions[i].use == MEMORY_QUIC_HEAP)
			json_object_update_new(
				region, used_json(f.quic.heap_used_len, f.quic.heap_peak_len));
		else if (regions[i].use == MEMORY_WORKER_STREAMS)
			json_object_update_new(region, used_json(f.worker_streams.used_len,
								 f.worker_streams.peak_len));
		json_array_append_new(list, region);
	}
	control_reply(call, json_pack("{s:o, s:o}", "rss_bytes",
				      method_json_uint(method_resident_len()), "regions", list));
}

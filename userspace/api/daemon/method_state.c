/* SPDX-License-Identifier: Apache-2.0 */
/* Status, GetNodeId, ShowMemory. */
#include <stdio.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "base/process/sandbox.h"
#include "crypto/blake3.h"
#include "node/last_crash.h"
#include "node/memory_plan.h"
#include "method_figures.h"
#include "api/methods.h"
#include "weft/version.h"

/* As "eth0:3". A device may have gone since the worker told. */
static json_t *queues_json(const struct node *node, const struct worker_figures *figures)
{
	json_t *json = json_array();

	for (unsigned i = 0; i < figures->queue_cnt; i++) {
		const struct queue_figures *queue = &figures->queues[i];
		const struct xdp_device_info *info =
			net_xdp_device_info(node->fastpath.xdp, queue->device);

		if (info)
			json_array_append_new(json, json_sprintf("%s:%u", info->name, queue->idx));
	}
	return json;
}

static json_t *worker_json(const struct node *node, unsigned idx,
			   const struct worker_figures *figures)
{
	uint64_t order_lost_cnt = idx ? workers_order_lost_cnt(node->workers, idx) : 0;

	return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "worker", (int)idx, "cpu_ms", api_json_uint(figures->cpu_ns / NS_PER_MS),
			 "turns", api_json_uint(figures->turn_cnt), "chunk_buffers_used",
			 api_json_uint(figures->content.chunk_buffer_used_cnt), "connections",
			 api_json_uint(figures->quic.conn_cnt), "sessions",
			 api_json_uint(figures->mesh.session_cnt), "received_datagrams",
			 api_json_uint(figures->rx.dgram_cnt), "sent_datagrams",
			 api_json_uint(figures->tx.dgram_cnt), "served_bytes",
			 api_json_uint(figures->content.served_byte_cnt), "handed_in",
			 api_json_uint(figures->handed_in_cnt), "handover_dropped",
			 api_json_uint(figures->handover_dropped_cnt), "lost_reports",
			 api_json_uint(figures->report_lost_cnt), "lost_orders",
			 api_json_uint(order_lost_cnt), "queues", queues_json(node, figures));
}

json_t *api_json_workers(const struct node *node)
{
	json_t *json = json_array();
	struct worker_figures home;

	worker_figures_read(&node->home, &home);
	json_array_append_new(json, worker_json(node, 0, &home));
	for (unsigned i = 1; node->workers && i <= workers_cnt(node->workers); i++)
		json_array_append_new(json,
				      worker_json(node, i, workers_figures(node->workers, i)));
	return json;
}

struct api_packet_side api_side(const char *backend, const char *reason,
				const struct packet_counters *counts)
{
	return (struct api_packet_side){
		.backend = backend,
		.reason = reason,
		.datagrams = api_uint(counts->dgram_cnt),
		.bytes = api_uint(counts->byte_cnt),
		.system_calls = api_uint(counts->call_cnt),
		.dropped = api_uint(counts->dropped_cnt),
	};
}

json_t *api_json_side(const char *backend, const char *reason, const struct packet_counters *counts)
{
	const struct api_packet_side side = api_side(backend, reason, counts);

	return api_packet_side_write(&side);
}

static json_t *listen_json(const struct node *node)
{
	json_t *json = json_array();
	char text[ADDR_TEXT_CAP];

	for (unsigned i = 0; i < node->home.bound_cnt; i++)
		json_array_append_new(json, json_string(addr_format(&node->home.bound[i], text)));
	return json;
}

static json_t *last_crash_json(const struct last_crash *crash)
{
	char text[LAST_CRASH_TEXT_CAP];

	return json_pack("{s:o, s:s, s:s, s:s, s:s, s:s}", "died_at_s",
			 api_json_uint(crash->died_at_s), "signal", crash->signal, "thread",
			 crash->thread, "version", crash->version, "build_id", crash->build, "text",
			 node_last_crash_format(crash, text));
}

static json_t *sandbox_json(void)
{
	struct sandbox_report report;
	json_t *json;

	sandbox_read_report(&report);
	json = json_pack("{s:s, s:s, s:o}", "calls", report.calls, "files", report.files, "refused",
			 api_json_uint(report.refused_cnt));
	if (report.refused_cnt)
		json_object_set_new(json, "last", json_integer(report.refused_last));
	return json;
}

static json_t *transports_json(const struct node *node)
{
	const struct node_config *config = node_config_live(node->config);
	char text[MESH_WAYS_TEXT_CAP];
	json_t *json = json_array();

	for (unsigned i = 0; i < MESH_NETWORK_CNT; i++)
		json_array_append_new(
			json, json_pack("{s:s, s:s}", "network", mesh_network_name(i), "dialled",
					mesh_ways_format(&config->mesh.ways[i], text)));
	return json;
}

void api_status(void *ctx, struct control_call *call, const json_t *parameters, uint64_t now_ns)
{
	struct node *node = ctx;
	struct figures f;
	json_t *json;

	(void)parameters;
	api_figures_read(node, &f);
	json = json_pack(
		"{s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:s}", "node_id", api_json_id(node->own_key),
		"version", WEFT_VERSION, "state", node->is_stopping ? "draining" : "running",
		"uptime_s", api_json_uint((now_ns - node->started_ns) / NS_PER_S), "listen",
		listen_json(node), "receive",
		api_json_side(node->home.rx->backend, node->home.rx->reason, &f.rx), "send",
		api_json_side(node->home.tx->backend, node->home.tx->reason, &f.tx), "hash_backend",
		blake3_backend_name());
	json_object_update_new(
		json, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o,"
				" s:o, s:o}",
				"connections", api_json_uint(f.quic.conn_cnt), "handshakes",
				api_json_uint(f.quic.handshake_cnt), "sessions",
				api_json_uint(f.mesh.session_cnt), "peers",
				api_json_uint(f.mesh.peer_cnt), "shares",
				api_json_uint(f.content.share_cnt), "imports",
				api_json_uint(f.content.import_cnt), "gets",
				api_json_uint(f.content.get_cnt), "gets_active",
				api_json_uint(f.content.get_active_cnt), "served_bytes",
				api_json_uint(f.content.served_byte_cnt), "received_bytes",
				api_json_uint(f.content.received_byte_cnt), "streamed_bytes",
				api_json_uint(f.content.streamed_byte_cnt), "bad_chunks",
				api_json_uint(f.content.bad_chunk_cnt), "store_bytes",
				api_json_uint(f.store.map_used_len + f.store.segment_len),
				"store_max_bytes", api_json_uint(f.store.map_len_max), "counters",
				api_figures_json_counters(&f)));
	json_object_set_new(json, "health", api_json_health(node, &f, now_ns));
	json_object_set_new(json, "workers", api_json_workers(node));
	json_object_set_new(json, "sandbox", sandbox_json());
	json_object_set_new(json, "rates", api_json_rates(node, now_ns));
	json_object_set_new(json, "transports", transports_json(node));
	if (node->last_crash)
		json_object_set_new(json, "last_crash", last_crash_json(node->last_crash));
	control_reply(call, json);
}

void api_get_node_id(void *ctx, struct control_call *call, const json_t *parameters,
		     uint64_t now_ns)
{
	struct node *node = ctx;

	(void)parameters, (void)now_ns;
	control_reply(call, json_pack("{s:o}", "node_id", api_json_id(node->own_key)));
}

/* Resident bytes of this process, 0 when /proc is not there. */
uint64_t api_resident_len(void)
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
	return json_pack("{s:o, s:o}", "used_bytes", api_json_uint(used_len), "peak_bytes",
			 api_json_uint(peak_len));
}

void api_show_memory(void *ctx, struct control_call *call, const json_t *parameters,
		     uint64_t now_ns)
{
	struct node *node = ctx;
	struct memory_region regions[MEMORY_REGION_CAP];
	unsigned cnt = node_memory_plan(node_config_live(node->config), regions);
	json_t *list = json_array();
	struct figures f;

	(void)parameters, (void)now_ns;
	api_figures_read(node, &f);
	for (unsigned i = 0; i < cnt; i++) {
		json_t *region = json_pack("{s:s, s:o}", "name", regions[i].name, "planned_bytes",
					   api_json_uint(regions[i].len));

		if (regions[i].use == MEMORY_QUIC_HEAP)
			json_object_update_new(
				region, used_json(f.quic.heap_used_len, f.quic.heap_peak_len));
		else if (regions[i].use == MEMORY_WORKER_STREAMS)
			json_object_update_new(region, used_json(f.worker_streams.used_len,
								 f.worker_streams.peak_len));
		json_array_append_new(list, region);
	}
	control_reply(call, json_pack("{s:o, s:o}", "rss_bytes", api_json_uint(api_resident_len()),
				      "regions", list));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Status, GetNodeId, ShowMemory. */
#include <stdio.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "base/process/sandbox.h"
#include "crypto/blake3/blake3.h"
#include "base/process/last_crash.h"
#include "blobs/serve/servers.h"
#include "api/daemon/memory_plan.h"
#include "api/figures.h"
#include "api/methods.h"
#include "weft/version.h"

static struct api_worker worker_row(struct varlink_blocks *blocks, const struct api *api,
				    unsigned idx, const struct worker_figures *figures,
				    const struct blobs_stats *content)
{
	uint64_t order_lost_cnt = idx ? workers_order_lost_cnt(api->workers, idx) : 0;
	struct api_worker row = {
		.worker = idx,
		.cpu_ms = api_uint(figures->cpu_ns / NS_PER_MS),
		.turns = api_uint(figures->turn_cnt),
		.chunk_buffers_used = api_uint(content->chunk_buffer_used_cnt),
		.connections = api_uint(figures->quic.conn_cnt),
		.sessions = api_uint(figures->mesh.session_cnt),
		.received_datagrams = api_uint(figures->rx.dgram_cnt),
		.sent_datagrams = api_uint(figures->tx.dgram_cnt),
		.served_bytes = api_uint(content->served_byte_cnt),
		.handed_in = api_uint(figures->handed_in_cnt),
		.handover_dropped = api_uint(figures->handover_dropped_cnt),
		.lost_reports = api_uint(figures->report_lost_cnt),
		.lost_orders = api_uint(order_lost_cnt),
	};

	for (unsigned i = 0; i < figures->queue_cnt; i++) {
		const struct queue_figures *queue = &figures->queues[i];
		const struct xdp_device_info *info =
			net_xdp_device_info(api->fastpath->xdp, queue->device);

		/* A device may have gone since the worker reported. */
		if (info)
			varlink_push(blocks, &row.queues,
				     varlink_format(blocks, "%s:%u", info->name, queue->idx));
	}
	return row;
}

void api_workers(struct varlink_blocks *blocks, const struct api *api,
		 struct api_worker_list *out_workers)
{
	struct worker_figures home;
	struct blobs_stats content;

	worker_figures_read(api->home, &home);
	blobs_stats(api->home->content, &content);
	varlink_push(blocks, out_workers, worker_row(blocks, api, 0, &home, &content));
	for (unsigned i = 1; api->workers && i <= workers_cnt(api->workers); i++)
		varlink_push(blocks, out_workers,
			     worker_row(blocks, api, i, workers_figures(api->workers, i),
					blobs_servers_stats(api->servers, i)));
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

static const struct api_crash *crash_row(struct varlink_blocks *blocks,
					 const struct last_crash *crash)
{
	struct api_crash *row = crash ? varlink_alloc(blocks, sizeof(*row)) : NULL;
	char text[LAST_CRASH_TEXT_CAP];

	if (row)
		*row = (struct api_crash){
			.died_at_s = api_uint(crash->died_at_s),
			.signal = crash->signal,
			.thread = crash->thread,
			.version = crash->version,
			.build_id = crash->build,
			.text = varlink_text(blocks, last_crash_format(crash, text)),
		};
	return row;
}

static struct api_sandbox sandbox_row(struct varlink_blocks *blocks)
{
	struct sandbox_report report;

	sandbox_read_report(&report);
	return (struct api_sandbox){
		.calls = varlink_text(blocks, report.calls),
		.files = varlink_text(blocks, report.files),
		.refused = api_uint(report.refused_cnt),
		API_IF(last, report.refused_cnt, report.refused_last),
	};
}

static void status_add_lists(struct varlink_blocks *blocks, const struct api *api,
			     struct api_status_out *out)
{
	const struct mesh_config *mesh = &config_live(api->config)->mesh;
	char text[MESH_WAYS_TEXT_CAP];

	for (unsigned i = 0; i < api->home->bound_cnt; i++)
		varlink_push(blocks, &out->listen, api_addr(blocks, &api->home->bound[i]));
	for (unsigned i = 0; i < MESH_NETWORK_CNT; i++)
		varlink_push(blocks, &out->transports,
			     {(enum api_transport_policy_network)i,
			      varlink_text(blocks, mesh_ways_format(&mesh->ways[i], text))});
	api_workers(blocks, api, &out->workers);
}

static void figures_add_to(struct varlink_blocks *blocks, const struct figures *figures,
			   struct api_status_out *out)
{
	struct figure_iter iter = {.figures = figures};
	struct figure figure;

	while (api_figures_next(&iter, &figure))
		varlink_push(blocks, figure.kind == FIGURE_COUNTER ? &out->counters : &out->fills,
			     {figure.name, api_uint(figure.value)});
}

void api_status(struct api *api, struct control_call *call, const struct api_status_in *in,
		uint64_t now_ns)
{
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_status_out out;
	struct figures f;

	(void)in;
	api_figures_read(api, &f);
	out = (struct api_status_out){
		.node_id = api_id(blocks, api->own_key),
		.version = WEFT_VERSION,
		.state = api->is_stopping ? API_STATUS_OUT_STATE_DRAINING
					  : API_STATUS_OUT_STATE_RUNNING,
		.uptime_s = api_uint((now_ns - api->started_ns) / NS_PER_S),
		.receive = api_side(api->home->rx->backend, api->home->rx->reason, &f.rx),
		.send = api_side(api->home->tx->backend, api->home->tx->reason, &f.tx),
		.hash_backend = blake3_backend_name(),
		.connections = api_uint(f.quic.conn_cnt),
		.handshakes = api_uint(f.quic.handshake_cnt),
		.sessions = api_uint(f.mesh.session_cnt),
		.peers = api_uint(f.mesh.peer_cnt),
		.shares = api_uint(f.content.share_cnt),
		.imports = api_uint(f.content.import_cnt),
		.gets = api_uint(f.content.get_cnt),
		.gets_active = api_uint(f.content.get_active_cnt),
		.served_bytes = api_uint(f.content.served_byte_cnt),
		.received_bytes = api_uint(f.content.received_byte_cnt),
		.streamed_bytes = api_uint(f.content.streamed_byte_cnt),
		.bad_chunks = api_uint(f.content.bad_chunk_cnt),
		.store_bytes = api_uint(f.store.map_used_len + f.store.segment_len),
		.store_max_bytes = api_uint(f.store.map_len_max),
		.health = api_health(blocks, api, &f, now_ns),
		.sandbox = sandbox_row(blocks),
		.rates = api_rates(blocks, api, now_ns),
		.last_crash = crash_row(blocks, api->last_crash),
	};
	figures_add_to(blocks, &f, &out);
	status_add_lists(blocks, api, &out);
	control_reply(call, api_status_out_write(&out));
}

void api_get_node_id(struct api *api, struct control_call *call,
		     const struct api_get_node_id_in *in, uint64_t now_ns)
{
	(void)in, (void)now_ns;
	api_reply(call, get_node_id, .node_id = api_id(control_blocks(call), api->own_key));
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

static struct api_memory memory_row(const struct memory_region *region, const struct figures *f)
{
	struct api_memory row = {.name = region->name, .planned_bytes = api_uint(region->len)};

	if (region->use == MEMORY_QUIC_HEAP) {
		API_SET(&row, used_bytes, api_uint(f->quic.heap_used_len));
		API_SET(&row, peak_bytes, api_uint(f->quic.heap_peak_len));
	} else if (region->use == MEMORY_WORKER_STREAMS) {
		API_SET(&row, used_bytes, api_uint(f->worker_streams.used_len));
		API_SET(&row, peak_bytes, api_uint(f->worker_streams.peak_len));
	}
	return row;
}

void api_show_memory(struct api *api, struct control_call *call,
		     const struct api_show_memory_in *in, uint64_t now_ns)
{
	struct memory_region regions[MEMORY_REGION_CAP];
	unsigned cnt = api_memory_plan(config_live(api->config), regions);
	struct api_memory_list rows = {0};
	struct figures f;

	(void)in, (void)now_ns;
	api_figures_read(api, &f);
	for (unsigned i = 0; i < cnt; i++)
		varlink_push(control_blocks(call), &rows, memory_row(&regions[i], &f));
	api_reply(call, show_memory, .rss_bytes = api_uint(api_resident_len()), .regions = rows);
}

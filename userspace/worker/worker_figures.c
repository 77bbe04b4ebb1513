/* SPDX-License-Identifier: Apache-2.0 */
#include "worker_figures.h"

#include <string.h>

#include "base/monotonic.h"
#include "net/udp/handover.h"
#include "firewall/ingress.h"
#include "worker_lines.h"

static void queues_read(const struct worker *worker, struct worker_figures *figures)
{
	for (unsigned i = 0; i < worker->queue_cap; i++) {
		const struct xdp_queue *queue = worker->queues[i].queue;
		struct queue_figures *out = &figures->queues[figures->queue_cnt];

		if (!queue)
			continue;
		out->device = queue->device;
		out->idx = queue->idx;
		out->counters = queue->rx->counters;
		out->sent_cnt = net_xdp_queue_sent_cnt(queue);
		net_xdp_queue_frames(queue, out->frames);
		figures->queue_cnt++;
	}
}

void worker_figures_read(const struct worker *worker, struct worker_figures *out_figures)
{
	*out_figures = (struct worker_figures){
		.rx = worker->rx->counters,
		.tx = worker->tx->counters,
		.turn_cnt = worker->turn_cnt,
		.cpu_ns = clock_thread_ns(),
		.unknown_flow_cnt = worker->unknown_flow_cnt,
		.can_rotate_cids = quic_engine_can_rotate_cids(worker->quic),
	};
	if (worker->fast_tx)
		out_figures->fast_tx = worker->fast_tx->counters;
	queues_read(worker, out_figures);
	(void)load_networks(&worker->load, worker->now_ns, out_figures->networks);
	out_figures->refusal_cnt = refusals_newest(&worker->load.refusals, out_figures->refusals);
	quic_engine_stats(worker->quic, &out_figures->quic);
	if (worker->tcp)
		tcp_engine_stats(worker->tcp, &out_figures->tcp);
	worker_lines_stats(worker->lines, &out_figures->line);
	mesh_stats(worker->mesh, &out_figures->mesh);
	if (worker->ingress)
		memcpy(out_figures->judged, firewall_ingress_counters(worker->ingress),
		       sizeof(out_figures->judged));
	if (!worker->handover)
		return;
	out_figures->handed_in_cnt =
		net_handover_rx(worker->handover, worker->idx)->counters.dgram_cnt;
	out_figures->handover_dropped_cnt = net_handover_dropped_cnt(worker->handover, worker->idx);
}

const struct queue_figures *worker_figures_queue(const struct worker_figures *figures,
						 unsigned device, unsigned idx)
{
	for (unsigned i = 0; i < figures->queue_cnt; i++)
		if (figures->queues[i].device == device && figures->queues[i].idx == idx)
			return &figures->queues[i];
	return NULL;
}

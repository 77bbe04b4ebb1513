/* SPDX-License-Identifier: Apache-2.0 */
#include "node/worker_figures.h"

#include <string.h>

#include "net/handover.h"
#include "node/gate.h"
#include "node/worker.h"

void worker_figures_read(const struct worker *worker, struct worker_figures *out_figures)
{
	*out_figures = (struct worker_figures){
		.rx = worker->rx->counters,
		.tx = worker->tx->counters,
		.turn_cnt = worker->turn_cnt,
		.unknown_flow_cnt = worker->unknown_flow_cnt,
		.can_rotate_cids = quic_engine_can_rotate_cids(worker->quic),
	};
	quic_engine_stats(worker->quic, &out_figures->quic);
	mesh_stats(worker->mesh, &out_figures->mesh);
	content_stats(worker->content, &out_figures->content);
	if (worker->gate)
		memcpy(out_figures->judged, gate_counters(worker->gate),
		       sizeof(out_figures->judged));
	if (!worker->handover)
		return;
	out_figures->handed_in_cnt = handover_rx(worker->handover, worker->idx)->counters.dgram_cnt;
	out_figures->handover_dropped_cnt = handover_dropped_cnt(worker->handover, worker->idx);
}

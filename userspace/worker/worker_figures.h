/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_WORKER_WORKER_FIGURES_H
#define WEFT_WORKER_WORKER_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/figure.h"
#include "mesh/mesh.h"
#include "net/packet_io.h"
#include "net/xdp/xdp.h"
#include "worker.h"
#include "stream_relay.h"
#include "quic/quic.h"
#include "tcp/tcp.h"
#include "weft/xdp_maps.h"

/* The figures of one queue of an attached device that the worker serves. */
struct queue_figures {
	uint8_t device, idx;
	struct packet_counters counters; /* of its receive side */
	uint64_t sent_cnt;
	uint32_t frames[XDP_FRAME_OWNER_CNT]; /* by owner */
};

/* A worker's report on itself. */
struct worker_figures {
#define FIGURE FIGURE_FIELD
#include "worker/worker_counters.def"
	struct quic_stats quic;
	struct tcp_stats tcp;
	struct tcp_line_stats line;
	struct mesh_stats mesh;
	struct stream_relay_stats worker_streams; /* between it and home */
	struct packet_counters rx, tx;		  /* of its kernel sockets */
	struct packet_counters fast_tx;		  /* what it sends by AF_XDP now; zeros: nothing */
	uint64_t cpu_ns;			  /* of its thread */
	bool can_rotate_cids;
	struct load_network networks[LOAD_NETWORK_CNT]; /* that cost most; prefix_len 0: no more */
	unsigned refusal_cnt;
	struct refusal refusals[REFUSALS_NEWER_CNT]; /* the newest first */
	struct weft_counter judged[WEFT_REASON_CNT]; /* at its sockets */
	unsigned queue_cnt;
	struct queue_figures queues[WORKER_QUEUE_MAX];
};

/* worker_figures_read: of a worker of the calling thread; of reports and worker_streams the caller tells. */
void worker_figures_read(const struct worker *worker, struct worker_figures *out_figures);
/* worker_figures_queue: of one queue, or NULL: the worker has not got it. */
const struct queue_figures *worker_figures_queue(const struct worker_figures *figures,
						 unsigned device, unsigned idx);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_DAEMON_METHOD_FIGURES_H
#define WEFT_API_DAEMON_METHOD_FIGURES_H

#include "api/node.h"
#include "blobs/blobs.h"
#include "base/fair/load.h"
#include "control/control.h"
#include "mesh/mesh.h"
#include "net/packet_io.h"
#include "worker/stream_relay.h"
#include "quic/quic.h"
#include "store/store.h"

struct node;

/* All modules' figures of one moment, over all workers. */
struct figures {
	struct quic_stats quic;
	struct mesh_stats mesh;
	struct blobs_stats content;
	struct stream_relay_stats worker_streams;
	struct packet_counters rx, tx;
	uint64_t turn_cnt, unknown_flow_cnt;
	struct load_network networks[LOAD_NETWORK_CNT]; /* that cost most; prefix_len 0: no more */
	struct store_stats store;
	struct control_stats control;
};

/* api_figures_read: home worker. */
void api_figures_read(struct node *node, struct figures *out_figures);
/* api_figures_counters: what only grows, by the names of its module and its field. */
struct api_int_map api_figures_counters(struct api_blocks *blocks, const struct figures *figures);

#endif

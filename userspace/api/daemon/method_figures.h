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

struct api;

/* All modules' figures of one moment, over all workers. */
struct figures {
	struct quic_stats quic;
	struct mesh_stats mesh;
	struct blobs_stats content;
	struct stream_relay_stats worker_streams;
	struct packet_counters rx, tx;
	struct {
		uint64_t turn_cnt, unknown_flow_cnt;
	} node;
	struct load_network networks[LOAD_NETWORK_CNT]; /* that cost most; prefix_len 0: no more */
	struct store_stats store;
	struct control_stats control;
};

/* api_figures_read: home worker. */
void api_figures_read(struct api *api, struct figures *out_figures);
/* api_figures_each: fn for each counter; its name is that of its module and its field. */
typedef void (*api_counter_fn)(void *arg, const char *name, const char *meaning, uint64_t value);
void api_figures_each(const struct figures *figures, api_counter_fn fn, void *arg);

#endif

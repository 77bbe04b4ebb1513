/* SPDX-License-Identifier: Apache-2.0 */
/* What workers use of the configuration, and of the features above them (worker/worker.h). */
#include "community/blinding.h"
#include "community/community_access.h"
#include "dht/dht.h"
#include "node/node_state.h"
#include "node/port_probe.h"

_Static_assert(NODE_WHAT_CAP == WORKER_WHAT_CAP, "a worker names the object at fault");

struct worker_config node_worker_config(const struct node_config *config)
{
	return (struct worker_config){
		.udp = &config->udp,
		.quic = &config->quic,
		.mesh = &config->mesh,
		.content = &config->content,
		.store_dir = config->store.dir,
		.worker_cnt = config->worker_cnt,
		.job_threads = config->job_threads,
		.job_cap = config->job_cap,
		.session_cap = config->fastpath.xdp.session_cap,
		.local_watch_cap = config->control.client_cap + config->web.gateway.conn_cap +
				   node_fabric_watch_cap(&config->fabric) + PORT_PROBE_CNT,
		.drain_timeout_ns = config->drain_timeout_ns,
		.relays_streams = config->fabric.is_on,
		.admits = community_admits,
		.hides = community_hides,
		.blind_keys = community_blind_keys,
	};
}

static void krpc_input(void *ctx, const struct dgram *dgram, uint64_t now_ns)
{
	dht_input(ctx, dgram, now_ns);
}

static void krpc_flush(void *ctx, uint64_t now_ns)
{
	dht_flush(ctx, now_ns);
}

static void krpc_expire(void *ctx, uint64_t now_ns)
{
	dht_expire(ctx, now_ns);
}

static uint64_t krpc_next_ns(const void *ctx)
{
	return dht_next_ns(ctx);
}

static void krpc_set_sink(void *ctx, struct dgram_sink *sink)
{
	dht_set_sink(ctx, sink);
}

static const struct worker_krpc krpc_ops = {
	.input = krpc_input,
	.flush = krpc_flush,
	.expire = krpc_expire,
	.next_ns = krpc_next_ns,
	.set_sink = krpc_set_sink,
};

void node_attach_dht(struct node *node, struct dht *dht)
{
	node->home.krpc = dht ? &krpc_ops : NULL;
	node->home.krpc_ctx = dht;
}

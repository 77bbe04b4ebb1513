/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration for workers, and the features above them (worker/worker.h). */
#include <stdio.h>

#include "base/monotonic.h"
#include "base/thread/mailbox.h"
#include "blobs/serve/servers.h"
#include "community/access/blinding.h"
#include "community/access/community_access.h"
#include "crypto/node_key.h"
#include "dht/dht.h"
#include "node/node_state.h"
#include "net/port_probe.h"

_Static_assert(NODE_WHAT_CAP == WORKER_WHAT_CAP, "a worker names the object at fault");

/* Simulated time carries its own wall clock. */
static uint64_t wall_s(void *ctx)
{
	const struct node *node = ctx;

	if (!node->home->is_simulated)
		return clock_wall_s();
	return node->wall->started_s + (node->home->now_ns - node->wall->started_ns) / NS_PER_S;
}

/* Simulated time is in UTC. */
static int64_t utc_offset_s(void *ctx, uint64_t at_s)
{
	const struct node *node = ctx;

	return node->home->is_simulated ? 0 : clock_utc_offset_s(at_s);
}

static void on_served_changed(void *ctx)
{
	struct node *node = ctx;

	node->threads->is_served_due = node->threads->workers != NULL;
	node_sharing_content_changed(node->sharing, NULL, node->home->now_ns);
}

static void on_limits_changed(void *ctx)
{
	struct node *node = ctx;

	if (node->threads->servers)
		blobs_servers_limits_changed(node->threads->servers);
}

static void on_member(void *ctx, const struct blobs_member *member)
{
	struct node *node = ctx;

	if (node->threads->servers)
		blobs_servers_spread_member(node->threads->servers, member);
}

/* Context: home's thread with the node as params->ctx; the worker's with what reports on others. */
static int content_open(struct worker *worker, const struct worker_params *params, char *what)
{
	struct blobs_params content = {
		.config = *params->config->content,
		.own_key = node_key_public(params->key),
		.store = params->store,
		.jobs = worker->jobs,
		.timers = &worker->timers,
		.random = params->random,
		.mesh = mesh_seam_of(worker->mesh),
		.now_ns = params->now_ns,
		.admits = community_admits,
		.hides = community_hides,
		.blind_keys = community_blind_keys,
		.seal = worker->seal,
		.ctx = params->ctx,
	};

	snprintf(what, WORKER_WHAT_CAP, "content tables in %s", params->config->store_dir);
	if (worker->idx > 0) {
		content.report = worker_report_content;
		content.worker_idx = worker->idx;
		return blobs_server_new(&content, &worker->content);
	}
	content.wall_s = wall_s;
	content.utc_offset_s = utc_offset_s;
	content.own_addrs = node_own_addrs;
	content.on_event = node_on_content;
	content.on_verified = node_on_verified;
	content.on_sent = node_on_sent;
	content.on_served_changed = on_served_changed;
	content.on_limits_changed = on_limits_changed;
	content.on_member = on_member;
	if (params->is_simulated)
		content.config.import_threads = 0;
	return blobs_new(&content, &worker->content);
}

static const struct worker_content_ops content_ops = {
	.open = content_open,
	.close = blobs_free,
	.fd = blobs_fd,
	.reap = blobs_reap,
	.is_busy = blobs_is_hashing,
	.report = blobs_server_report,
};

struct worker_config node_worker_config(const struct node_config *config)
{
	return (struct worker_config){
		.udp = &config->udp,
		.quic = &config->quic,
		.tcp = &config->tcp,
		.mesh = &config->mesh,
		.content_ops = &content_ops,
		.content = &config->content,
		.store_dir = config->store.dir,
		.worker_cnt = config->worker_cnt,
		.job_threads = config->job_threads,
		.job_cap = config->job_cap,
		.session_cap = config->fastpath.xdp.session_cap,
		.local_watch_cap =
			config->control.client_cap + config->web.gateway.conn_cap +
			config_fabric_watch_cap(&config->fabric) + PORT_PROBE_CNT +
			PORT_MAPPING_WATCHES + 1 /* punch_params.c */ +
			(node_has_relay_web(config) ? config->relay_web.client_cap + 1 : 0) +
			(node_has_relay_web_end(config) ? RELAY_WEB_END_CAP : 0),
		.drain_timeout_ns = config->drain_timeout_ns,
		.relays_streams = config->fabric.is_on,
		.passes_http = node_has_relay_web(config),
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
	node->home->krpc = dht ? &krpc_ops : NULL;
	node->home->krpc_ctx = dht;
}

static bool server_order(void *ctx, unsigned idx, const struct mailbox_message *message)
{
	return workers_order_content(((struct node *)ctx)->threads->workers, idx, message);
}

static bool server_is_crowded(void *ctx, unsigned idx)
{
	return workers_is_crowded(((struct node *)ctx)->threads->workers, idx);
}

int node_open_servers(struct node *node)
{
	const struct blobs_servers_params params = {
		.home = node->home->content,
		.timers = &node->home->timers,
		.cnt = node->threads->config.worker_cnt - 1,
		.order = server_order,
		.is_crowded = server_is_crowded,
		.ctx = node,
	};

	return blobs_servers_new(&params, &node->threads->servers);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other workers, as home sees them: how they are opened and what they report. An order for
 * which a mailbox had no room is sent again. Home worker.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/monotonic.h"
#include "blobs/serve/servers.h"
#include "firewall/ingress.h"
#include "mesh/mesh.h"
#include "node/node_state.h"
#include "quic/quic.h"

/* Ids of a generation are honoured for at least three of these (weft/cid.h). */
#define CID_KEY_LIFE_NS (3600 * NS_PER_S)

uint32_t node_cid_epoch(const struct node_params *params)
{
	return (uint32_t)(params->wall_s * NS_PER_S / CID_KEY_LIFE_NS);
}

static void on_workers_session(void *ctx, const struct mesh_peer_info *peer, bool is_up)
{
	struct node *node = ctx;

	mesh_note_peer(node->home->mesh, peer, node->home->now_ns);
	node_on_session(node, peer, is_up);
}

/* The path's datagrams outside a connection come to home's sockets, where the source counts as validated. */
static void on_workers_path(void *ctx, const struct addr *remote)
{
	struct node *node = ctx;

	firewall_ingress_prove(node->home->ingress, remote, node->home->now_ns);
	worker_fastpath_on_path(node->fastpath, remote);
}

static void on_arrivals(void *ctx, unsigned idx, const struct arrivals_changes *changes)
{
	firewall_record_take(&((struct node *)ctx)->firewall->record, idx, changes);
}

static void on_queue_left(void *ctx, const struct workers_queue *left, int err)
{
	worker_fastpath_on_queue_left(((struct node *)ctx)->fastpath, left, err);
}

/* Its share of the datagrams would go nowhere: the supervisor starts weftd again. */
static void on_workers_ended(void *ctx, unsigned idx, int err)
{
	struct node *node = ctx;

	log_error("worker %u: event loop: %s; stopping", idx, weft_err_text(err));
	node->threads->failure = err;
	node_stop(node);
}

static bool tell_shares(struct node *node)
{
	uint32_t cnt = mesh_shares(node->home->mesh, NULL, 0);
	struct mesh_share *shares = calloc(cnt + 1, sizeof(*shares));
	bool is_told = false;

	if (shares) {
		cnt = mesh_shares(node->home->mesh, shares, cnt);
		is_told = workers_spread_shares(node->threads->workers, shares, cnt);
	}
	free(shares);
	return is_told;
}

static bool tell_config(struct node *node)
{
	const struct worker_config live = node_worker_config(config_live(node->config));

	return workers_configure(node->threads->workers, &live) &&
	       blobs_servers_configure(node->threads->servers, live.content);
}

/* A message that found no room goes with the next turn. */
void node_tell_workers(struct node *node, uint64_t now_ns)
{
	struct threads *threads = node->threads;
	uint64_t keepalive_ns = reachability_keepalive_ns(node->reachability, ADDR_NONE);

	if (threads->is_served_due)
		threads->is_served_due = !blobs_servers_spread_served(threads->servers);
	if (threads->is_bans_due)
		threads->is_bans_due = !workers_spread_bans(
			threads->workers, node->firewall->bans.list, clock_wall_s(), now_ns);
	if (threads->is_config_due)
		threads->is_config_due = !tell_config(node);
	if (threads->is_addrs_due)
		threads->is_addrs_due = !workers_spread_addrs(
			threads->workers, node->machine->hello.addrs, node->machine->hello.cnt);
	if (threads->is_shares_due)
		threads->is_shares_due = !tell_shares(node);
	if (threads->is_policy_due)
		threads->is_policy_due =
			!workers_spread_policy(threads->workers, &node->fastpath->part);
	if (threads->told_keepalive_ns != keepalive_ns &&
	    workers_spread_keepalive(threads->workers, keepalive_ns))
		threads->told_keepalive_ns = keepalive_ns;
	if (threads->told_caps != mesh_caps(node->home->mesh) &&
	    workers_spread_caps(threads->workers, mesh_caps(node->home->mesh)))
		threads->told_caps = mesh_caps(node->home->mesh);
}

int node_open_workers(struct node *node, const struct node_params *params, char *what)
{
	struct threads *threads = node->threads;
	struct workers_params workers = {
		.config = &threads->config,
		.key = params->key,
		.store = node->store,
		.mesh = node->home->mesh,
		.handover = threads->handover,
		.listen = node->home->bound,
		.cid_epoch = threads->cid_epoch,
		.hello = node->machine->hello.addrs,
		.hello_cnt = node->machine->hello.cnt,
		.on_session = on_workers_session,
		.on_failure = node_on_failure,
		.on_path = on_workers_path,
		.on_sample = node_on_sample,
		.on_passed = node_on_passed,
		.on_arrivals = on_arrivals,
		.on_queue_left = on_queue_left,
		.on_ended = on_workers_ended,
		.ctx = node,
	};
	int err;

	if (!threads->handover)
		return 0;
	if ((err = node_open_servers(node)) < 0)
		return err;
	workers.content = threads->servers;
	if ((err = workers_new(&workers, &threads->workers, what)) < 0)
		return err;
	node->api->workers = node->fastpath->workers = threads->workers;
	node->api->servers = threads->servers;
	threads->is_served_due = true;
	threads->is_bans_due = true;
	threads->is_shares_due = true;
	node_tell_workers(node, params->now_ns);
	blobs_servers_start(threads->servers, params->now_ns);
	if ((err = workers_start(threads->workers, what)) < 0)
		return err;
	return worker_watch(node->home, &threads->workers_watch, workers_fd(threads->workers));
}

void node_rotate_cids(struct node *node, uint64_t now_ns)
{
	struct threads *threads = node->threads;

	if (now_ns - threads->cids_rotated_ns < CID_KEY_LIFE_NS ||
	    !quic_engine_can_rotate_cids(node->home->quic) ||
	    (threads->workers && !workers_try_rotate_cids(threads->workers)))
		return;
	threads->cids_rotated_ns = now_ns;
	worker_rotate_cids(node->home);
	worker_fastpath_cids_rotated(node->fastpath);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The node's functions for locate (locate/locate.h). Home worker. */
#include "api/events/events.h"
#include "crypto/node_key.h"
#include "firewall/ingress.h"
#include "mesh/mesh.h"
#include "node/node_state.h"

_Static_assert(NODE_WHAT_CAP >= LOCATE_WHAT_CAP, "what locate_open names fits");

static uint64_t on_wall_us(void *ctx)
{
	return node_wall_us(ctx);
}

static struct xdp *on_xdp(void *ctx)
{
	return ((struct node *)ctx)->fastpath->xdp;
}

static unsigned on_own_addrs(void *ctx, struct addr addrs[static MESH_PEER_ADDRS_MAX])
{
	return node_own_addrs(ctx, addrs);
}

static unsigned on_vias(void *ctx, struct peer_via vias[static PEER_VIAS_MAX])
{
	const struct node *node = ctx;

	return node->relay_end ? relay_end_kept(node->relay_end, vias) : 0;
}

/* The simulator's nodes have no ingress. */
static void on_reply_keys(void *ctx, const struct weft_krpc_reply_keys *keys)
{
	struct node *node = ctx;

	if (node->home->ingress)
		firewall_ingress_set_reply_keys(node->home->ingress, keys);
}

static int on_dial(void *ctx, const struct mesh_peer *peer, uint64_t timeout_ns,
		   mesh_connect_fn dialled, void *arg)
{
	struct node *node = ctx;

	return mesh_connect(
		node->home->mesh,
		&(struct mesh_connect){
			.peer = peer, .timeout_ns = timeout_ns, .done = dialled, .arg = arg},
		node->home->now_ns);
}

static bool is_alone(void *ctx)
{
	const struct node *node = ctx;
	struct mesh_stats stats;

	mesh_stats(node->home->mesh, &stats);
	return !stats.session_cnt &&
	       (!node->threads->workers || !workers_session_next(node->threads->workers, NULL));
}

static int on_watch(void *ctx, struct poller_watch *watch, int fd)
{
	return worker_watch(((struct node *)ctx)->home, watch, fd);
}

static void on_event(void *ctx, const struct locate_event *event)
{
	api_tell_dht(((struct node *)ctx)->api, event);
}

int node_open_locate(struct node *node, char *what)
{
	const struct node_config *config = node->config;
	const struct locate_params params = {
		.mainline = &config->mainline,
		.publish = &config->publish,
		.pkarr_client = &config->pkarr_client,
		.signaling = &config->signaling,
		.key = node->key,
		.random = node->random,
		.store = node->store,
		.timers = &node->home->timers,
		.poller = node->home->poller,
		.jobs = node->home->jobs,
		.load = &node->home->load,
		.sink = &node->home->tx->sink,
		.bound = node->home->bound,
		.bound_cnt = node->home->bound_cnt,
		.site = config->mesh.site,
		.caps = mesh_config_caps(&config->mesh),
		.has_given_addrs = config->advertise_cnt > 0,
		.now_ns = &node->home->now_ns,
		.wall_us = on_wall_us,
		.xdp = on_xdp,
		.outer_addrs = node_outer_addrs,
		.own_addrs = on_own_addrs,
		.vias = on_vias,
		.reply_keys = on_reply_keys,
		.dial = on_dial,
		.is_alone = is_alone,
		.watch = on_watch,
		.on_event = on_event,
		.ctx = node,
	};
	struct locate *locate = node->locate;
	int err = locate_open(locate, &params, what);

	for (unsigned i = 0; err == 0 && i < locate->locator_cnt; i++)
		err = mesh_add_locator(node->home->mesh, &locate->locators[i]);
	node_attach_dht(node, locate->dht);
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The node's functions for the firewall and the fast path. Home worker. */
#include "firewall/firewall.h"

#include "api/events/events.h"
#include "node/node_state.h"

static uint64_t on_wall_us(void *ctx)
{
	return node_wall_us(ctx);
}

static struct xdp *on_xdp(void *ctx)
{
	return ((struct node *)ctx)->fastpath->xdp;
}

static void on_socket_counters(void *ctx, struct weft_counter *out_counters)
{
	worker_fastpath_socket_counters(((struct node *)ctx)->fastpath, out_counters);
}

static void on_counters(void *ctx, struct weft_counter *out_counters)
{
	worker_fastpath_counters(((struct node *)ctx)->fastpath, out_counters);
}

static void on_enforce(void *ctx, struct ban_set *set, uint64_t now_ns)
{
	struct node *node = ctx;

	worker_take_bans(node->home, set, now_ns);
	node_expel_relays(node, now_ns);
	node->threads->is_bans_due = node->threads->workers != NULL;
}

static void on_ban_changed(void *ctx, const struct ban_target *target)
{
	worker_fastpath_ban_changed(((struct node *)ctx)->fastpath, target);
}

static void on_bans_push(void *ctx)
{
	worker_fastpath_bans_push(((struct node *)ctx)->fastpath);
}

static void on_ban(void *ctx, enum incident_kind kind, const struct ban *ban)
{
	api_tell_ban(((struct node *)ctx)->api, kind, ban);
}

static void on_policy_changed(void *ctx)
{
	struct node *node = ctx;

	node->threads->is_policy_due = node->threads->handover != NULL;
}

static void on_device(void *ctx, const char *kind, const char *device, const char *text)
{
	api_tell_device(((struct node *)ctx)->api, kind, device, text);
}

static struct pressure_config pressure_config_of(const struct node_config *config)
{
	return (struct pressure_config){
		.pressured_from = config->quic.retry_above_cnt,
		.flood_above = config->fastpath.flood_above,
	};
}

int node_open_fastpath(struct node *node)
{
	const struct fastpath_params params = {
		.config = &node->config->fastpath,
		.pressure = pressure_config_of(node->config),
		.home = node->home,
		.bans = &node->firewall->bans,
		.random = node->random,
		.worker_cnt = node->config->worker_cnt,
		.relay = node->threads->config.relay,
		.policy_changed = on_policy_changed,
		.event = on_device,
		.ctx = node,
	};

	return worker_fastpath_open(node->fastpath, &params);
}

void node_configure_fastpath(struct node *node, const struct node_config *config)
{
	const struct pressure_config pressure = pressure_config_of(config);

	worker_fastpath_configure(node->fastpath, &config->fastpath, &pressure);
}

void node_on_sample(void *ctx, const struct weft_sample *sample)
{
	firewall_drops_sample(&((struct node *)ctx)->firewall->drops, sample);
}

struct firewall_params node_firewall_params(struct node *node)
{
	return (struct firewall_params){
		.store = node->store,
		.random = node->random,
		.timers = &node->home->timers,
		.now_ns = &node->home->now_ns,
		.started_ns = node->wall->started_ns,
		.started_s = node->wall->started_s,
		.ingress = node->home->ingress,
		.policy = &node->fastpath->policy,
		.part = &node->fastpath->part,
		.pressure = &node->fastpath->pressure,
		.worker_cnt = node->config->worker_cnt,
		.wall_us = on_wall_us,
		.xdp = on_xdp,
		.socket_counters = on_socket_counters,
		.counters = on_counters,
		.enforce = on_enforce,
		.ban_changed = on_ban_changed,
		.bans_push = on_bans_push,
		.on_ban = on_ban,
		.ctx = node,
	};
}

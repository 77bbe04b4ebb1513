/* SPDX-License-Identifier: Apache-2.0 */
/* What the firewall uses of the node (firewall/firewall.h). Home worker. */
#include "firewall/firewall.h"

#include <jansson.h>

#include "node/node_state.h"

static uint64_t on_wall_us(void *ctx)
{
	return node_wall_us(ctx);
}

static struct xdp *on_xdp(void *ctx)
{
	return ((struct node *)ctx)->fastpath.xdp;
}

static void on_socket_counters(void *ctx, struct weft_counter *out_counters)
{
	node_fastpath_socket_counters(&((struct node *)ctx)->fastpath, out_counters);
}

static void on_counters(void *ctx, struct weft_counter *out_counters)
{
	node_fastpath_counters(&((struct node *)ctx)->fastpath, out_counters);
}

static void on_enforce(void *ctx, struct ban_set *set, uint64_t now_ns)
{
	struct node *node = ctx;

	worker_take_bans(&node->home, set, now_ns);
	node->is_bans_due = node->workers != NULL;
}

static void on_ban_changed(void *ctx, const struct ban_target *target)
{
	node_fastpath_ban_changed(&((struct node *)ctx)->fastpath, target);
}

static void on_bans_push(void *ctx)
{
	node_fastpath_bans_push(&((struct node *)ctx)->fastpath);
}

/* A caller that may only look learns no address. */
static void on_ban(void *ctx, enum incident_kind kind, const struct ban *ban)
{
	static const char *const events[] = {[INCIDENT_BANNED] = "ban.added",
					     [INCIDENT_BAN_REMOVED] = "ban.removed",
					     [INCIDENT_BAN_ENDED] = "ban.ended"};
	char key[BAN_TARGET_TEXT_CAP];

	firewall_ban_target_format(&ban->target, key);
	node_tell(ctx, events[kind],
		  ban->target.kind == BAN_KEY ? json_pack("{s:s}", "peer", key) : json_object());
}

void node_firewall_params(struct node *node)
{
	node->firewall = (struct firewall_params){
		.store = node->store,
		.random = node->random,
		.timers = &node->home.timers,
		.now_ns = &node->home.now_ns,
		.started_ns = node->started_ns,
		.started_s = node->started_wall_s,
		.incidents = &node->incidents,
		.ingress = node->home.ingress,
		.policy = &node->fastpath.policy,
		.part = &node->fastpath.part,
		.pressure = &node->fastpath.pressure,
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

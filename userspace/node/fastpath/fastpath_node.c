/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast path's life: the program's tables follow what the node knows,
 * faults become events, and once a second the load is measured.
 */
#include "node/fastpath/fastpath_node.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/log.h"
#include "base/random.h"
#include "firewall/ingress.h"
#include "node/node_state.h"
#include "quic/quic.h"
#include "weft/token.h"

#define TICK_NS NS_PER_S
/* How late the policy notices a wall clock that was set, and a new day's keys. */
#define CLOCK_TICKS 30
#define LOCAL_MAX   64
/* Beyond this, datagrams of unvalidated sources cost more than they can be worth. */
#define FLOOD_ABOVE_DEFAULT 50000

void node_fastpath_config_defaults(struct fastpath_config *config)
{
	*config = (struct fastpath_config){.flood_above = FLOOD_ABOVE_DEFAULT};
	net_xdp_config_defaults(&config->xdp);
	firewall_limits_config_defaults(&config->limits);
}

/* A failed write to a table leaves it as it was: logged, and tried again by the next tick. */
static void table_check(const char *table, int err)
{
	if (err < 0)
		log_warn("XDP table of %s: %s; it stays as it was", table, weft_err_text(err));
}

void node_fastpath_config_push(struct fastpath *fastpath)
{
	struct node *node = fastpath->node;

	fastpath->policy.wall_offset_ns =
		clock_wall_s() * NS_PER_S - clock_monotonic_ns() / NS_PER_S * NS_PER_S;
	fastpath->part = fastpath->policy;
	firewall_ingress_share(&fastpath->part, node->config->worker_cnt);
	firewall_ingress_configure(node->home.ingress, &fastpath->part);
	node->is_policy_due = node->handover != NULL;
	table_check("limits", net_xdp_set_config(fastpath->xdp, &fastpath->policy));
}

void node_fastpath_cids_rotated(struct fastpath *fastpath)
{
	if (fastpath->xdp)
		table_check("connection id keys",
			    net_xdp_set_cid_keys(fastpath->xdp,
						 quic_engine_cid_keys(fastpath->node->home.quic)));
}

/* Those of today and of the days around it. */
static void token_keys_push(struct fastpath *fastpath)
{
	struct weft_token_keys keys;
	int err = quic_engine_token_keys(fastpath->node->home.quic, &keys);

	if (err == 0)
		err = net_xdp_set_token_keys(fastpath->xdp, &keys);
	table_check("token keys", err);
}

/* A full table refuses: such a path has an unvalidated source's limits until there is room. */
static void session_push(void *ctx, const struct weft_endpoint *source,
			 const struct weft_session *entry)
{
	struct fastpath *fastpath = ctx;

	(void)!net_xdp_session_put(fastpath->xdp, source, entry);
}

void node_fastpath_on_path(void *ctx, const struct addr *remote)
{
	struct fastpath *fastpath = &((struct node *)ctx)->fastpath;
	const struct weft_session entry = {.expires_ns =
						   clock_monotonic_ns() + INGRESS_PATH_LIFE_NS};
	struct weft_endpoint endpoint = addr_endpoint(remote);

	if (fastpath->xdp)
		session_push(fastpath, &endpoint, &entry);
}

void node_fastpath_event(struct fastpath *fastpath, const char *kind, const char *device,
			 const char *text)
{
	struct node *node = fastpath->node;

	if (node->control)
		node_tell(node, kind, json_pack("{s:s, s:s}", "device", device, "text", text));
}

static void on_fault(void *ctx, unsigned device, enum xdp_fault fault, const char *detail)
{
	struct fastpath *fastpath = ctx;
	const struct xdp_device_info *info = net_xdp_device_info(fastpath->xdp, device);
	char kind[40];

	snprintf(kind, sizeof(kind), "xdp.%s", net_xdp_fault_name(fault));
	if (fault == XDP_LINK_UP)
		log_info("%s", detail);
	else
		log_warn("%s", detail);
	node_fastpath_event(fastpath, kind, info->name, detail);
	if (fault == XDP_MTU_CHANGED)
		node_fastpath_tell_mtu(fastpath, device);
}

void node_fastpath_tables_push(struct fastpath *fastpath)
{
	node_fastpath_bans_push(fastpath);
	node_fastpath_cids_rotated(fastpath);
	token_keys_push(fastpath);
	firewall_ingress_each_session(fastpath->node->home.ingress, session_push, fastpath);
}

static void watch_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct fastpath *fastpath = container_of(watch, struct fastpath, watch);

	(void)events, (void)now_ns;
	net_xdp_check(fastpath->xdp);
	node_fastpath_devices_check(fastpath);
}

static void counters_add(struct weft_counter *sum, const struct weft_counter *more)
{
	for (unsigned i = 0; i < WEFT_REASON_CNT; i++) {
		sum[i].packet_cnt += more[i].packet_cnt;
		sum[i].byte_cnt += more[i].byte_cnt;
	}
}

void node_fastpath_socket_counters(const struct fastpath *fastpath,
				   struct weft_counter out_counters[static WEFT_REASON_CNT])
{
	const struct node *node = fastpath->node;

	memset(out_counters, 0, WEFT_REASON_CNT * sizeof(out_counters[0]));
	counters_add(out_counters, firewall_ingress_counters(node->home.ingress));
	for (unsigned i = 1; node->workers && i <= workers_cnt(node->workers); i++)
		counters_add(out_counters, workers_figures(node->workers, i)->judged);
}

void node_fastpath_counters(const struct fastpath *fastpath,
			    struct weft_counter out_counters[static WEFT_REASON_CNT])
{
	struct weft_counter sockets[WEFT_REASON_CNT];

	net_xdp_counters(fastpath->xdp, out_counters);
	node_fastpath_socket_counters(fastpath, sockets);
	counters_add(out_counters, sockets);
}

/* What unproven sources bring, to the program and to the sockets of every worker. */
static struct pressure_load load_measure(const struct fastpath *fastpath)
{
	const struct node *node = fastpath->node;
	struct weft_counter counters[WEFT_REASON_CNT];
	struct pressure_load load;
	struct quic_stats quic;

	quic_engine_stats(node->home.quic, &quic);
	load.handshake_cnt = quic.handshake_cnt;
	for (unsigned i = 1; node->workers && i <= workers_cnt(node->workers); i++)
		load.handshake_cnt += workers_figures(node->workers, i)->quic.handshake_cnt;
	node_fastpath_counters(fastpath, counters);
	load.unvalidated_cnt = firewall_pressure_unvalidated_cnt(counters);
	load.initial_cnt = counters[WEFT_REASON_INITIAL].packet_cnt +
			   counters[WEFT_REASON_RETRY_SENT].packet_cnt +
			   counters[WEFT_REASON_INITIAL_LIMIT].packet_cnt;
	return load;
}

static void mode_move(struct fastpath *fastpath, uint64_t now_ns)
{
	const struct pressure_load load = load_measure(fastpath);
	enum weft_mode mode;

	mode = firewall_pressure_measure(&fastpath->pressure, &load, now_ns);
	if (mode == fastpath->policy.mode)
		return;
	log_notice("mode %s after %s: %u handshakes under way, %llu with the Initials of "
		   "a second, %llu datagrams of unvalidated sources a second",
		   firewall_pressure_mode_name(mode),
		   firewall_pressure_mode_name(fastpath->policy.mode), load.handshake_cnt,
		   (unsigned long long)fastpath->pressure.half_open_cnt,
		   (unsigned long long)fastpath->pressure.unvalidated_rate);
	fastpath->policy.mode = mode;
	node_fastpath_config_push(fastpath);
	node_fastpath_event(fastpath, "xdp.mode", "", firewall_pressure_mode_name(mode));
}

void node_fastpath_force(struct fastpath *fastpath, enum weft_mode mode)
{
	if (mode == WEFT_MODE_CNT)
		firewall_pressure_release(&fastpath->pressure);
	else
		firewall_pressure_force(&fastpath->pressure, mode);
	mode_move(fastpath, clock_monotonic_ns());
}

void node_fastpath_addresses_changed(struct fastpath *fastpath)
{
	struct addr locals[LOCAL_MAX];
	unsigned cnt;

	if (!fastpath->xdp)
		return;
	cnt = node_fastpath_locals(fastpath, locals, LOCAL_MAX);
	table_check("own addresses", net_xdp_set_locals(fastpath->xdp, locals, cnt));
}

static void tick_fire(struct timer *timer, uint64_t now_ns)
{
	struct fastpath *fastpath = container_of(timer, struct fastpath, tick);
	struct node *node = fastpath->node;

	fastpath->tick_cnt++;
	net_xdp_check(fastpath->xdp);
	node_fastpath_devices_check(fastpath);
	node_fastpath_devices_repeat(fastpath);
	mode_move(fastpath, now_ns);
	(void)net_xdp_session_sweep(fastpath->xdp, now_ns);
	if (fastpath->tick_cnt % CLOCK_TICKS == 0) {
		node_fastpath_config_push(fastpath);
		token_keys_push(fastpath);
	}
	timer_set(&node->home.timers, timer, now_ns + TICK_NS);
}

static struct pressure_config pressure_config_of(const struct node_config *config)
{
	return (struct pressure_config){
		.pressured_from = config->quic.retry_above_cnt,
		.flood_above = config->fastpath.flood_above,
	};
}

void node_fastpath_configure(struct fastpath *fastpath, const struct node_config *config)
{
	if (!fastpath->xdp)
		return;
	fastpath->pressure.config = pressure_config_of(config);
	firewall_limits_apply(&config->fastpath.limits, &fastpath->policy);
	node_fastpath_config_push(fastpath);
}

int node_fastpath_open(struct fastpath *fastpath, struct node *node)
{
	const struct fastpath_config *config = &node->config->fastpath;
	const struct xdp_params params = {.on_fault = on_fault, .ctx = fastpath};
	const struct pressure_config pressure = pressure_config_of(node->config);
	int err;

	fastpath->node = node;
	firewall_pressure_init(&fastpath->pressure, &pressure);
	node_fastpath_policy_defaults(&fastpath->policy);
	firewall_limits_apply(&config->limits, &fastpath->policy);
	random_fill(node->random, fastpath->policy.salt, sizeof(fastpath->policy.salt));
	for (unsigned i = 0; i < XDP_DEVICE_MAX; i++) {
		fastpath->devices[i].fastpath = fastpath;
		fastpath->devices[i].number = i;
	}
	for (unsigned i = 0; i < WEFT_QUEUE_CNT; i++)
		fastpath->policy.queue_workers[i] = (__u8)node_fastpath_queue_worker(fastpath, i);
	if ((err = net_xdp_new(&params, &fastpath->xdp)) < 0)
		return err;
	node_fastpath_config_push(fastpath);
	fastpath->watch.fd = net_xdp_watch_fd(fastpath->xdp);
	fastpath->watch.ready = watch_ready;
	if ((err = poller_add(node->home.poller, &fastpath->watch, POLLER_IN)) < 0)
		return err;
	timer_init(&fastpath->tick, tick_fire);
	timer_set(&node->home.timers, &fastpath->tick, node->home.now_ns + TICK_NS);
	node_fastpath_attach_named(fastpath);
	return 0;
}

void node_fastpath_close(struct fastpath *fastpath)
{
	if (!fastpath->xdp)
		return;
	node_fastpath_attach_abandon(fastpath);
	node_fastpath_devices_close(fastpath);
	timer_cancel(&fastpath->node->home.timers, &fastpath->tick);
	if (fastpath->watch.fd >= 0)
		poller_remove(fastpath->node->home.poller, &fastpath->watch);
	net_xdp_free(fastpath->xdp);
	fastpath->xdp = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast path's life: the program's tables follow what the node knows,
 * faults become events, and once a second the load is measured.
 */
#include "worker/fastpath/fastpath.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/log.h"
#include "base/random.h"
#include "firewall/ingress.h"
#include "firewall/bans.h"
#include "quic/quic.h"
#include "weft/token.h"
#include "worker/worker.h"
#include "worker/workers.h"

#define TICK_NS NS_PER_S
/* How late the policy notices a wall clock that was set, and a new day's keys. */
#define CLOCK_TICKS 30
#define LOCAL_MAX   64
/* Beyond this, datagrams of unvalidated sources cost more than they can be worth. */
#define FLOOD_ABOVE_DEFAULT 50000

void worker_fastpath_config_defaults(struct fastpath_config *config)
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

void worker_fastpath_config_push(struct fastpath *fastpath)
{
	fastpath->policy.wall_offset_ns =
		clock_wall_s() * NS_PER_S - clock_monotonic_ns() / NS_PER_S * NS_PER_S;
	fastpath->part = fastpath->policy;
	firewall_ingress_share(&fastpath->part, fastpath->params.worker_cnt);
	firewall_ingress_configure(fastpath->params.home->ingress, &fastpath->part);
	fastpath->params.policy_changed(fastpath->params.ctx);
	table_check("limits", net_xdp_set_config(fastpath->xdp, &fastpath->policy));
}

void worker_fastpath_cids_rotated(struct fastpath *fastpath)
{
	if (fastpath->xdp)
		table_check(
			"connection id keys",
			net_xdp_set_cid_keys(fastpath->xdp,
					     quic_engine_cid_keys(fastpath->params.home->quic)));
}

/* Those of today and of the days around it. */
static void token_keys_push(struct fastpath *fastpath)
{
	struct weft_token_keys keys;
	int err = quic_engine_token_keys(fastpath->params.home->quic, &keys);

	if (err == 0)
		err = net_xdp_set_token_keys(fastpath->xdp, &keys);
	table_check("token keys", err);
}

/* A full table refuses: such a path has an unvalidated source's limits until there is room. */
void worker_fastpath_on_path(struct fastpath *fastpath, const struct addr *remote)
{
	const struct weft_session entry = {.expires_ns =
						   clock_monotonic_ns() + INGRESS_PATH_LIFE_NS};
	struct weft_endpoint endpoint = addr_endpoint(remote);

	if (fastpath->xdp)
		(void)!net_xdp_session_put(fastpath->xdp, &endpoint, &entry);
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
	fastpath->params.event(fastpath->params.ctx, kind, info->name, detail);
	if (fault == XDP_MTU_CHANGED)
		worker_fastpath_tell_mtu(fastpath, device);
}

void worker_fastpath_tables_push(struct fastpath *fastpath)
{
	const struct ingress *ingress = fastpath->params.home->ingress;
	const struct ingress_session *session = NULL;

	worker_fastpath_bans_push(fastpath);
	worker_fastpath_cids_rotated(fastpath);
	token_keys_push(fastpath);
	while ((session = firewall_ingress_session_next(ingress, session)))
		(void)!net_xdp_session_put(fastpath->xdp, &session->source, &session->entry);
}

static void watch_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct fastpath *fastpath = container_of(watch, struct fastpath, watch);

	(void)events, (void)now_ns;
	net_xdp_check(fastpath->xdp);
	worker_fastpath_devices_check(fastpath);
}

static void counters_add(struct weft_counter *sum, const struct weft_counter *more)
{
	for (unsigned i = 0; i < WEFT_REASON_CNT; i++) {
		sum[i].packet_cnt += more[i].packet_cnt;
		sum[i].byte_cnt += more[i].byte_cnt;
	}
}

void worker_fastpath_socket_counters(const struct fastpath *fastpath,
				     struct weft_counter out_counters[static WEFT_REASON_CNT])
{
	const struct workers *workers = fastpath->workers;

	memset(out_counters, 0, WEFT_REASON_CNT * sizeof(out_counters[0]));
	counters_add(out_counters, firewall_ingress_counters(fastpath->params.home->ingress));
	for (unsigned i = 1; workers && i <= workers_cnt(workers); i++)
		counters_add(out_counters, workers_figures(workers, i)->judged);
}

void worker_fastpath_counters(const struct fastpath *fastpath,
			      struct weft_counter out_counters[static WEFT_REASON_CNT])
{
	struct weft_counter sockets[WEFT_REASON_CNT];

	net_xdp_counters(fastpath->xdp, out_counters);
	worker_fastpath_socket_counters(fastpath, sockets);
	counters_add(out_counters, sockets);
}

/* The traffic of unproven sources, to the program and to the sockets of every worker. */
static struct pressure_load load_measure(const struct fastpath *fastpath)
{
	const struct workers *workers = fastpath->workers;
	struct weft_counter counters[WEFT_REASON_CNT];
	struct pressure_load load;
	struct quic_stats quic;

	quic_engine_stats(fastpath->params.home->quic, &quic);
	load.handshake_cnt = quic.handshake_cnt;
	for (unsigned i = 1; workers && i <= workers_cnt(workers); i++)
		load.handshake_cnt += workers_figures(workers, i)->quic.handshake_cnt;
	worker_fastpath_counters(fastpath, counters);
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
	worker_fastpath_config_push(fastpath);
	fastpath->params.event(fastpath->params.ctx, "xdp.mode", "",
			       firewall_pressure_mode_name(mode));
}

void worker_fastpath_force(struct fastpath *fastpath, enum weft_mode mode)
{
	if (mode == WEFT_MODE_CNT)
		firewall_pressure_release(&fastpath->pressure);
	else
		firewall_pressure_force(&fastpath->pressure, mode);
	mode_move(fastpath, clock_monotonic_ns());
}

/* Loopback's own addresses count where its device is attached, and nowhere else. */
static bool has_loopback(const struct fastpath *fastpath)
{
	for (unsigned i = 0; i < XDP_DEVICE_MAX; i++) {
		const struct xdp_device_info *info = net_xdp_device_info(fastpath->xdp, i);

		if (info && info->is_loopback)
			return true;
	}
	return false;
}

static unsigned wildcard_expand(const struct addr *wildcard, const struct ifaddrs *list,
				bool is_loopback_wanted, struct addr *out_addrs, unsigned cap)
{
	unsigned cnt = 0;

	for (; list && cnt < cap; list = list->ifa_next) {
		struct addr addr;

		if (!list->ifa_addr || addr_from_sockaddr(list->ifa_addr, &addr) < 0 ||
		    addr.family != wildcard->family ||
		    (addr_is_loopback(&addr) && !is_loopback_wanted))
			continue;
		addr.port = wildcard->port;
		out_addrs[cnt++] = addr;
	}
	return cnt;
}

static unsigned locals_list(const struct fastpath *fastpath, struct addr *out_addrs, unsigned cap)
{
	const struct worker *home = fastpath->params.home;
	bool is_loopback_wanted = has_loopback(fastpath);
	struct ifaddrs *list = NULL;
	unsigned cnt = 0;

	if (getifaddrs(&list) < 0)
		list = NULL;
	for (unsigned i = 0; i < home->bound_cnt && cnt < cap; i++) {
		const struct addr *bound = &home->bound[i];

		if (addr_is_wildcard(bound))
			cnt += wildcard_expand(bound, list, is_loopback_wanted, out_addrs + cnt,
					       cap - cnt);
		else if (!addr_is_loopback(bound) || is_loopback_wanted)
			out_addrs[cnt++] = *bound;
	}
	freeifaddrs(list);
	return cnt;
}

void worker_fastpath_addresses_changed(struct fastpath *fastpath)
{
	struct addr locals[LOCAL_MAX];
	unsigned cnt;

	if (!fastpath->xdp)
		return;
	cnt = locals_list(fastpath, locals, LOCAL_MAX);
	table_check("own addresses", net_xdp_set_locals(fastpath->xdp, locals, cnt));
}

static void tick_fire(struct timer *timer, uint64_t now_ns)
{
	struct fastpath *fastpath = container_of(timer, struct fastpath, tick);
	fastpath->tick_cnt++;
	net_xdp_check(fastpath->xdp);
	worker_fastpath_devices_check(fastpath);
	worker_fastpath_devices_repeat(fastpath);
	mode_move(fastpath, now_ns);
	(void)net_xdp_session_sweep(fastpath->xdp, now_ns);
	if (fastpath->tick_cnt % CLOCK_TICKS == 0) {
		worker_fastpath_config_push(fastpath);
		token_keys_push(fastpath);
	}
	timer_set(&fastpath->params.home->timers, timer, now_ns + TICK_NS);
}

void worker_fastpath_configure(struct fastpath *fastpath, const struct fastpath_config *config,
			       const struct pressure_config *pressure)
{
	if (!fastpath->xdp)
		return;
	fastpath->pressure.config = *pressure;
	firewall_limits_apply(&config->limits, &fastpath->policy);
	worker_fastpath_config_push(fastpath);
}

struct fastpath *worker_fastpath_new(void)
{
	return calloc(1, sizeof(struct fastpath));
}

void worker_fastpath_free(struct fastpath *fastpath)
{
	free(fastpath);
}

int worker_fastpath_open(struct fastpath *fastpath, const struct fastpath_params *params)
{
	const struct xdp_params xdp = {.on_fault = on_fault, .ctx = fastpath};
	struct worker *home = params->home;
	int err;

	fastpath->params = *params;
	firewall_pressure_init(&fastpath->pressure, &params->pressure);
	firewall_policy_defaults(&fastpath->policy);
	firewall_limits_apply(&params->config->limits, &fastpath->policy);
	random_fill(params->random, fastpath->policy.salt, sizeof(fastpath->policy.salt));
	for (unsigned i = 0; i < XDP_DEVICE_MAX; i++) {
		fastpath->devices[i].fastpath = fastpath;
		fastpath->devices[i].number = i;
	}
	for (unsigned i = 0; i < WEFT_QUEUE_CNT; i++)
		fastpath->policy.queue_workers[i] = (__u8)worker_fastpath_queue_worker(fastpath, i);
	if ((err = net_xdp_new(&xdp, &fastpath->xdp)) < 0)
		return err;
	if (params->relay)
		net_xdp_set_relay(fastpath->xdp, params->relay);
	worker_fastpath_config_push(fastpath);
	fastpath->watch.fd = net_xdp_watch_fd(fastpath->xdp);
	fastpath->watch.ready = watch_ready;
	if ((err = poller_add(home->poller, &fastpath->watch, POLLER_IN)) < 0)
		return err;
	timer_init(&fastpath->tick, tick_fire);
	timer_set(&home->timers, &fastpath->tick, home->now_ns + TICK_NS);
	worker_fastpath_attach_named(fastpath);
	return 0;
}

void worker_fastpath_close(struct fastpath *fastpath)
{
	if (!fastpath->xdp)
		return;
	worker_fastpath_attach_abandon(fastpath);
	worker_fastpath_devices_close(fastpath);
	timer_cancel(&fastpath->params.home->timers, &fastpath->tick);
	if (fastpath->watch.fd >= 0)
		poller_remove(fastpath->params.home->poller, &fastpath->watch);
	net_xdp_free(fastpath->xdp);
	fastpath->xdp = NULL;
}

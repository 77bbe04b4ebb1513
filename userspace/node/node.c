/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The composition root. Start-up order is the order of dependence: store,
 * home worker (worker.c: packet I/O, QUIC, mesh, content), control;
 * teardown is its reverse.
 */
#include "node/node.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/log.h"
#include "base/random.h"
#include "base/thread/jobs.h"
#include "blobs/serve/servers.h"
#include "crypto/node_key.h"
#include "dht/items/pkarr.h"
#include "mesh/mesh.h"
#include "net/udp/handover.h"
#include "firewall/ingress.h"
#include "node/node_state.h"
#include "base/process/last_crash.h"
#include "provider/exec/launcher.h"
#include "quic/quic.h"
#include "store/store.h"
#include "api/http/web.h"

static int node_open_store(struct node *node, const struct node_params *params, char *what)
{
	struct store_config config = params->config->store;
	char finding[STORE_FINDING_CAP] = "";
	struct rlimit space;
	int err;

	config.is_inline = params->is_simulated;
	config.stop_fd = params->stop_fd > 0 ? params->stop_fd : -1;
	config.finding = finding;
	err = store_open(&config, &node->store);
	if (err == -ENOMEM && getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY)
		snprintf(what, NODE_WHAT_CAP,
			 "state directory %.80s: the address space may have %llu MiB (ulimit -v, "
			 "LimitAS) and store.map_max = %llu MiB are laid out of it: raise the one "
			 "or "
			 "lower the other",
			 config.dir, (unsigned long long)space.rlim_cur >> 20,
			 (unsigned long long)config.map_len_max >> 20);
	else if ((err == WEFT_EDAMAGED || err == WEFT_ENEWER) && finding[0])
		snprintf(what, NODE_WHAT_CAP, "state directory %.80s: %s", config.dir, finding);
	else
		snprintf(what, NODE_WHAT_CAP, "state directory %s", config.dir);
	return err;
}

uint64_t node_wall_us(const struct node *node)
{
	if (!node->home.is_simulated)
		return clock_wall_us();
	return node->started_wall_s * 1000000 + (node->home.now_ns - node->started_ns) / NS_PER_US;
}

/* An administrator or NTP may set the clock; HELLO's times follow within this. */
#define WALL_CHECK_NS (60 * NS_PER_S)

static void wall_tell(struct node *node, uint64_t now_ns)
{
	uint64_t wall_us = node_wall_us(node), wall_s = wall_us / 1000000;

	worker_set_wall(&node->home, wall_s, now_ns);
	if (node->locate.dht)
		dht_set_wall(node->locate.dht, wall_us, now_ns);
	node_fabric_set_wall(node->fabric, wall_s, now_ns);
	if (node->workers)
		workers_set_wall(node->workers, wall_s, now_ns);
}

static void wall_check(struct timer *timer, uint64_t now_ns)
{
	struct node *node = container_of(timer, struct node, wall_timer);

	wall_tell(node, now_ns);
	timer_set(&node->home.timers, timer, now_ns + WALL_CHECK_NS);
}

static void node_on_sample(void *ctx, const struct weft_sample *sample)
{
	firewall_drops_sample(&((struct node *)ctx)->drops, sample);
}

unsigned node_own_addrs(void *ctx, struct addr addrs[static MESH_PEER_ADDRS_MAX])
{
	const struct node *node = ctx;

	memcpy(addrs, node->advertised.addrs, node->advertised.cnt * sizeof(addrs[0]));
	return node->advertised.cnt;
}

static void node_on_path(void *ctx, const struct addr *remote)
{
	worker_fastpath_on_path(&((struct node *)ctx)->fastpath, remote);
}

static int node_open_home(struct node *node, const struct node_params *params, char *what)
{
	struct worker_params worker = {
		.config = &node->worker_config,
		.key = params->key,
		.random = params->random,
		.store = node->store,
		.rx = params->rx,
		.tx = params->tx,
		.is_simulated = params->is_simulated,
		.has_locals = params->has_locals,
		.now_ns = params->now_ns,
		.wall_s = params->wall_s,
		.on_session = node_on_session,
		.on_step = node_on_step,
		.on_failure = node_on_failure,
		.choices = node_choices,
		.port_probe = params->is_simulated ? NULL : node_port_probe,
		.on_sample = node_on_sample,
		.handover = node->handover,
		.cid_epoch = node->cid_epoch,
		.on_path = node_on_path,
		.ctx = node,
	};
	int err = worker_listen(&node->home, &worker, what);

	if (err < 0)
		return err;
	node_advertise(node);
	worker.advertised = node->advertised.addrs;
	worker.advertised_cnt = node->advertised.cnt;
	if ((err = worker_open(&node->home, &worker, what)) < 0 ||
	    (err = node_open_locate(node, what)) < 0 ||
	    (err = node_open_reachability(node, what)) < 0 ||
	    (err = node_fabric_open(node, what)) < 0 || (err = node_sharing_open(node, what)) < 0 ||
	    (err = node_fabric_start(node->fabric, what)) < 0)
		return err;
	node_wire_api(node);
	if (params->is_simulated)
		return params->has_locals ? api_http_open(&node->api, what) : 0;
	if ((err = worker_watch(&node->home, &node->store_watch, store_fd(node->store))) < 0)
		return err;
	if ((err = node_watch_machine(node)) < 0)
		return err;
	node_firewall_params(node);
	firewall_drops_open(&node->drops, &node->firewall);
	snprintf(what, NODE_WHAT_CAP, "bans in %s", params->config->store.dir);
	if ((err = firewall_bans_open(&node->bans, &node->firewall)) < 0 ||
	    (err = api_http_open(&node->api, what)) < 0)
		return err;
	snprintf(what, NODE_WHAT_CAP, "fast path");
	if ((err = node_open_fastpath(node)) < 0)
		return err;
	snprintf(what, NODE_WHAT_CAP, "record of the last day");
	return firewall_record_open(&node->record, &node->firewall);
}

static void node_on_workers_session(void *ctx, const struct mesh_peer_info *peer, bool is_up)
{
	struct node *node = ctx;

	mesh_note_peer(node->home.mesh, peer, node->home.now_ns);
	node_on_session(node, peer, is_up);
}

/* The path's datagrams outside a connection come to home's sockets, where the source counts as validated. */
static void node_on_workers_path(void *ctx, const struct addr *remote)
{
	struct node *node = ctx;

	firewall_ingress_prove(node->home.ingress, remote, node->home.now_ns);
	worker_fastpath_on_path(&node->fastpath, remote);
}

static void node_on_arrivals(void *ctx, unsigned idx, const struct arrivals_changes *changes)
{
	firewall_record_take(&((struct node *)ctx)->record, idx, changes);
}

static void node_on_queue_left(void *ctx, const struct workers_queue *left, int err)
{
	worker_fastpath_on_queue_left(&((struct node *)ctx)->fastpath, left, err);
}

/* Its share of the datagrams would go nowhere: the supervisor starts weftd again. */
static void node_on_workers_ended(void *ctx, unsigned idx, int err)
{
	struct node *node = ctx;

	log_error("worker %u: event loop: %s; stopping", idx, weft_err_text(err));
	node->failure = err;
	node_stop(node);
}

static bool node_tell_shares(struct node *node)
{
	uint32_t cnt = mesh_shares(node->home.mesh, NULL, 0);
	struct mesh_share *shares = calloc(cnt + 1, sizeof(*shares));
	bool is_told = false;

	if (shares) {
		cnt = mesh_shares(node->home.mesh, shares, cnt);
		is_told = workers_spread_shares(node->workers, shares, cnt);
	}
	free(shares);
	return is_told;
}

static bool node_tell_config(struct node *node)
{
	const struct worker_config live = node_worker_config(config_live(node->config));

	return workers_configure(node->workers, &live) &&
	       blobs_servers_configure(node->servers, live.content);
}

/* A message that found no room goes with the next turn. */
static void node_tell_workers(struct node *node, uint64_t now_ns)
{
	if (node->is_served_due)
		node->is_served_due = !blobs_servers_spread_served(node->servers);
	if (node->is_bans_due)
		node->is_bans_due = !workers_spread_bans(node->workers, node->bans.list,
							 clock_wall_s(), now_ns);
	if (node->is_config_due)
		node->is_config_due = !node_tell_config(node);
	if (node->is_shares_due)
		node->is_shares_due = !node_tell_shares(node);
	if (node->is_policy_due)
		node->is_policy_due = !workers_spread_policy(node->workers, &node->fastpath.part);
	if (node->told_caps != mesh_caps(node->home.mesh) &&
	    workers_spread_caps(node->workers, mesh_caps(node->home.mesh)))
		node->told_caps = mesh_caps(node->home.mesh);
}

static int node_open_workers(struct node *node, const struct node_params *params, char *what)
{
	struct workers_params workers = {
		.config = &node->worker_config,
		.key = params->key,
		.store = node->store,
		.mesh = node->home.mesh,
		.handover = node->handover,
		.listen = node->home.bound,
		.cid_epoch = node->cid_epoch,
		.advertised = node->advertised.addrs,
		.advertised_cnt = node->advertised.cnt,
		.on_session = node_on_workers_session,
		.on_failure = node_on_failure,
		.on_path = node_on_workers_path,
		.on_sample = node_on_sample,
		.on_arrivals = node_on_arrivals,
		.on_queue_left = node_on_queue_left,
		.on_ended = node_on_workers_ended,
		.ctx = node,
	};
	int err;

	if (!node->handover)
		return 0;
	if ((err = node_open_servers(node)) < 0)
		return err;
	workers.content = node->servers;
	if ((err = workers_new(&workers, &node->workers, what)) < 0)
		return err;
	node->api.workers = node->fastpath.workers = node->workers;
	node->api.servers = node->servers;
	node->is_served_due = true;
	node->is_bans_due = true;
	node->is_shares_due = true;
	node_tell_workers(node, params->now_ns);
	blobs_servers_start(node->servers, params->now_ns);
	if ((err = workers_start(node->workers, what)) < 0)
		return err;
	return worker_watch(&node->home, &node->workers_watch, workers_fd(node->workers));
}

/* Programs that the launcher starts shall not command the daemon. */
static pid_t barred_ancestor(void *ctx)
{
	const struct node *node = container_of((struct api *)ctx, struct node, api);

	return provider_launcher_ancestor(node->launcher);
}

static int node_open_control(struct node *node, const struct node_params *params, char *what)
{
	struct control_params control = {
		.config = params->config->control,
		.methods = api_methods,
		.upgrades = api_upgrades,
		.ctx = &node->api,
		.poller = node->home.poller,
		.timers = &node->home.timers,
		.load = &node->home.load,
		.now_ns = params->now_ns,
		.barred_ancestor = barred_ancestor,
	};

	snprintf(what, NODE_WHAT_CAP, "control socket %s", control.config.path);
	return control_open(&control, &node->api.control);
}

/* Ids of a generation are honoured for at least three of these (weft/cid.h). */
#define CID_KEY_LIFE_NS (3600 * NS_PER_S)
/* For telling that services are gone, and for calls in hand, before a stop. */
#define LEAVE_MAX_NS (2 * NS_PER_S)

int node_new(const struct node_params *params, struct node **out_node, char what[NODE_WHAT_CAP])
{
	struct node *node = calloc(1, sizeof(*node));
	int err;

	if (!node)
		return -ENOMEM;
	node->config = params->config;
	node->worker_config = node_worker_config(params->config);
	node->key = params->key;
	node->launcher = params->launcher;
	node->own_key = node_key_public(params->key);
	node->random = params->random;
	if (params->last_crash && params->last_crash->died_at_s)
		node->last_crash = params->last_crash;
	node->started_ns = params->now_ns;
	node->started_wall_s = params->wall_s;
	node->cid_epoch = (uint32_t)(params->wall_s * NS_PER_S / CID_KEY_LIFE_NS);
	node->cids_rotated_ns = params->now_ns;
	if (!params->is_simulated && params->config->worker_cnt > 1 &&
	    (err = net_handover_new(params->config->worker_cnt, &node->handover)) < 0)
		goto free_node;
	if ((err = node_open_store(node, params, what)) < 0 ||
	    (err = node_open_home(node, params, what)) < 0 ||
	    (err = node_open_workers(node, params, what)) < 0)
		goto free_node;
	if (node->home.poller && (err = node_open_control(node, params, what)) < 0)
		goto free_node;
	timer_init(&node->wall_timer, wall_check);
	if (!params->is_simulated)
		timer_set(&node->home.timers, &node->wall_timer, params->now_ns + WALL_CHECK_NS);
	*out_node = node;
	return 0;
free_node:
	node_free(node);
	return err;
}

static void node_free_above_store(struct node *node)
{
	store_hurry(node->store);
	node_unwatch_machine(node);
	api_http_close(node->api.web);
	node->api.web = NULL;
	control_close(node->api.control);
	node->api.control = NULL;
	api_forget(&node->api);
	blobs_servers_free(node->servers);
	node->servers = node->api.servers = NULL;
	workers_free(node->workers);
	node->workers = node->api.workers = node->fastpath.workers = NULL;
	worker_fastpath_close(&node->fastpath);
	firewall_bans_close(&node->bans);
	firewall_drops_close(&node->drops);
	firewall_record_close(&node->record);
	mesh_forget_locators(node->home.mesh);
	locate_close(&node->locate);
	node_sharing_stop(node->sharing);
	node_fabric_stop(node->fabric);
	locate_stop(&node->locate);
	node_attach_dht(node, NULL);
	node_close_reachability(node);
	worker_close(&node->home);
	node_sharing_free(node->sharing);
	api_share_calls_forget(&node->api);
	node_fabric_free(node->fabric);
	locate_free(&node->locate);
	net_handover_free(node->handover);
}

void node_free(struct node *node)
{
	if (!node)
		return;
	node_free_above_store(node);
	store_close(node->store);
	free(node);
}

void node_crash(struct node *node)
{
	/* First, or blobs/ would make durable what waits as it is freed. */
	store_freeze(node->store);
	node_free_above_store(node);
	store_crash(node->store);
	free(node);
}

static void node_rotate_cids(struct node *node, uint64_t now_ns)
{
	if (now_ns - node->cids_rotated_ns < CID_KEY_LIFE_NS ||
	    !quic_engine_can_rotate_cids(node->home.quic) ||
	    (node->workers && !workers_try_rotate_cids(node->workers)))
		return;
	node->cids_rotated_ns = now_ns;
	worker_rotate_cids(&node->home);
	worker_fastpath_cids_rotated(&node->fastpath);
}

/* Damage found while weftd runs: by the reading behind the start, or by a caller's read. */
static void node_tell_damage(struct node *node)
{
	const char *damage = node->is_damage_told ? NULL : store_damage(node->store);

	if (!damage)
		return;
	node->is_damage_told = true;
	log_error("store: %s; what is there is not read. " API_DAMAGE_NEXT, damage);
}

bool node_turn(struct node *node, uint64_t now_ns)
{
	bool is_busy = store_reap(node->store) > 0;

	if (node->home.is_simulated && node->home.poller)
		is_busy |= poller_poll(node->home.poller, now_ns) > 0;
	node_tell_damage(node);
	if (node->workers) {
		is_busy |= workers_reap(node->workers, now_ns);
		node_tell_workers(node, now_ns);
	}
	node_rotate_cids(node, now_ns);
	is_busy |= locate_turn(&node->locate);
	node_fabric_turn(node->fabric, now_ns);
	node_sharing_turn(node->sharing, now_ns);
	is_busy |= worker_turn(&node->home, now_ns);
	if (node->workers)
		is_busy |= workers_flush(node->workers);
	return is_busy;
}

uint64_t node_next_ns(const struct node *node)
{
	uint64_t next_ns, sharing_ns, worker_ns;

	/* Without threads, commits run in the next turn. */
	if (node->home.is_simulated && store_is_pending(node->store))
		return node->home.now_ns;
	next_ns = node_fabric_next_ns(node->fabric);
	sharing_ns = node_sharing_next_ns(node->sharing);
	next_ns = sharing_ns < next_ns ? sharing_ns : next_ns;
	worker_ns = worker_next_ns(&node->home);
	return next_ns < worker_ns ? next_ns : worker_ns;
}

/*
 * Callers are to find others, and calls in hand to end, while there are still sessions for that. Half
 * of the drain's time at most: a call may last longer than that.
 */
static void node_leave(struct node *node)
{
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t budget_ns = config_live(node->config)->drain_timeout_ns / 2;
	uint64_t deadline_ns = now_ns + (budget_ns < LEAVE_MAX_NS ? budget_ns : LEAVE_MAX_NS);

	node_fabric_leave(node->fabric, now_ns);
	while (now_ns < deadline_ns && !node_fabric_has_left(node->fabric)) {
		(void)node_turn(node, now_ns);
		if (poller_wait(node->home.poller, now_ns + NS_PER_MS) < 0)
			return;
		now_ns = clock_monotonic_ns();
	}
}

/* Bounded: what the disks do not finish in time is found again at start. */
static void node_drain(struct node *node)
{
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t deadline_ns = now_ns + config_live(node->config)->drain_timeout_ns;

	if (node->workers)
		workers_stop(node->workers);
	locate_mainline_drain(node->locate.mainline);
	worker_goodbye(&node->home, now_ns);
	do {
		(void)node_turn(node, now_ns);
		if (poller_wait(node->home.poller, now_ns + NS_PER_MS) < 0)
			break;
		now_ns = clock_monotonic_ns();
	} while (now_ns < deadline_ns &&
		 (worker_is_draining(&node->home) || store_is_pending(node->store)));
	store_flush(node->store);
}

/* What a look at the log should answer first: where it is, and what it tells others. */
static void tell_start(const struct node *node)
{
	static const char *const published[] = {
		[PKARR_OFF] = "published nowhere",
		[PKARR_RELAY_ONLY] = "not published, only the relays through which it is reached",
		[PKARR_DIRECT] = "published under its key",
	};
	char addr[ADDR_TEXT_CAP];

	for (unsigned i = 0; i < node->home.bound_cnt; i++)
		log_info("listening on %s", addr_format(&node->home.bound[i], addr));
	log_info("DHT %s; its address is %s", node->locate.mainline ? "on" : "off",
		 published[node->config->publish.policy.publish]);
}

int node_run(struct node *node)
{
	tell_start(node);
	while (!node->api.is_stopping) {
		bool is_busy = node_turn(node, clock_monotonic_ns());
		int err = poller_wait(node->home.poller, is_busy ? 0 : node_next_ns(node));

		if (err < 0)
			return err;
	}
	node_leave(node);
	node_drain(node);
	return node->failure;
}

void node_stop(struct node *node)
{
	node->api.is_stopping = true;
	store_hurry(node->store);
}

struct poller *node_poller(struct node *node)
{
	return node->home.poller;
}

struct timer_wheel *node_timers(struct node *node)
{
	return &node->home.timers;
}

bool node_is_called(const struct node *node)
{
	return node->home.poller && poller_is_ready(node->home.poller);
}

void node_adopt(struct node *node, int fd, const struct addr *remote, uint64_t now_ns)
{
	api_http_adopt(node->api.web, fd, remote, now_ns);
}

void node_set_wall(struct node *node, uint64_t wall_s, uint64_t now_ns)
{
	node->started_wall_s = wall_s - (now_ns - node->started_ns) / NS_PER_S;
	wall_tell(node, now_ns);
}

struct fabric *node_fabric(struct node *node)
{
	return node->fabric;
}

struct blobs *node_content(struct node *node)
{
	return node->home.content;
}

struct mesh *node_mesh(struct node *node)
{
	return node->home.mesh;
}

struct quic_engine *node_quic(struct node *node)
{
	return node->home.quic;
}

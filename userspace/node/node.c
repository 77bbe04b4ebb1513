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
#include "blobs/serve/servers.h"
#include "dht/items/pkarr.h"
#include "mesh/mesh.h"
#include "net/packet_io.h"
#include "net/udp/handover.h"
#include "node/node_state.h"
#include "provider/exec/launcher.h"
#include "quic/quic.h"
#include "tcp/tcp_sockets.h"
#include "store/store.h"
#include "api/http/web_routes.h"

/* Rows that the step to a new schema could not read. They stay on the disk. */
static void store_tell_skipped(struct store *store)
{
	struct store_stats stats;

	store_stats(store, &stats);
	if (stats.skipped_cnt)
		log_warn("store: %llu rows are damaged and were left out as the databases were "
			 "brought to schema %d; the other rows are there. To have them again, "
			 "restore "
			 "a backup of before",
			 (unsigned long long)stats.skipped_cnt, STORE_SCHEMA_VERSION);
}

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
	if (err == 0)
		store_tell_skipped(node->store);
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
	if (!node->home->is_simulated)
		return clock_wall_us();
	return node->wall->started_s * 1000000 +
	       (node->home->now_ns - node->wall->started_ns) / NS_PER_US;
}

/* An administrator or NTP may set the clock; HELLO's times follow within this. */
#define WALL_CHECK_NS (60 * NS_PER_S)

static void wall_tell(struct node *node, uint64_t now_ns)
{
	uint64_t wall_us = node_wall_us(node), wall_s = wall_us / 1000000;

	worker_set_wall(node->home, wall_s, now_ns);
	if (node->locate->dht)
		dht_set_wall(node->locate->dht, wall_us, now_ns);
	node_fabric_set_wall(node->fabric, wall_s, now_ns);
	if (node->threads->workers)
		workers_set_wall(node->threads->workers, wall_s, now_ns);
}

static void wall_check(struct timer *timer, uint64_t now_ns)
{
	struct node *node = container_of(timer, struct wall_clock, timer)->node;

	wall_tell(node, now_ns);
	timer_set(&node->home->timers, timer, now_ns + WALL_CHECK_NS);
}

unsigned node_own_addrs(void *ctx, struct addr addrs[static MESH_PEER_ADDRS_MAX])
{
	const struct node *node = ctx;

	memcpy(addrs, node->machine->advertised.addrs,
	       node->machine->advertised.cnt * sizeof(addrs[0]));
	return node->machine->advertised.cnt;
}

static void node_on_path(void *ctx, const struct addr *remote)
{
	worker_fastpath_on_path(((struct node *)ctx)->fastpath, remote);
}

/* How this node is found and reached. */
static int open_ways(struct node *node, const struct node_params *params, char *what)
{
	int err;

	if ((err = node_open_locate(node, what)) < 0 ||
	    (err = node_open_reachability(node, params, what)) < 0 ||
	    (err = node_open_punch(node, params, what)) < 0 ||
	    (err = node_open_port_mapping(node, what)) < 0 ||
	    (err = node_open_relay_broker(node, what)) < 0 ||
	    (err = node_open_relay_receipts(node, what)) < 0 ||
	    (err = node_open_relay_slots(node, what)) < 0 ||
	    (err = node_open_relay_end(node, what)) < 0)
		return err;
	return node_open_relay_web(node, what);
}

static int node_open_home(struct node *node, const struct node_params *params, char *what)
{
	struct worker_params worker = {
		.config = &node->threads->config,
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
		.on_moved = node_on_moved,
		.on_step = node_on_step,
		.on_failure = node_on_failure,
		.choices = node_choices,
		.find_path = node_find_path,
		.is_unsought = node_is_unsought,
		.on_barred = node_on_barred,
		.port_probe = params->is_simulated ? NULL : node_port_probe,
		.stun_ask = node_stun_ask,
		.on_sample = node_on_sample,
		.on_passed = node_on_passed,
		.on_line = node_on_line,
		.handover = node->threads->handover,
		.cid_epoch = node->threads->cid_epoch,
		.on_path = node_on_path,
		.ctx = node,
	};
	struct firewall_params firewall;
	int err = worker_listen(node->home, &worker, what);

	if (err < 0)
		return err;
	node_advertise(node);
	worker.hello = node->machine->hello.addrs;
	worker.hello_cnt = node->machine->hello.cnt;
	if ((err = worker_open(node->home, &worker, what)) < 0 ||
	    (err = open_ways(node, params, what)) < 0 || (err = node_fabric_open(node, what)) < 0 ||
	    (err = node_sharing_open(node, what)) < 0 ||
	    (err = node_open_deposits(node, what)) < 0 ||
	    (err = node_open_offers(node, what)) < 0 || (err = node_open_social(node, what)) < 0 ||
	    (err = node_sharing_open_schemas(node->sharing)) < 0 ||
	    (err = node_fabric_start(node->fabric, what)) < 0)
		return err;
	node_wire_api(node, params->last_crash);
	if (params->is_simulated)
		return params->has_locals ? api_http_open(node->api, what) : 0;
	if ((err = worker_watch(node->home, &node->threads->store_watch, store_fd(node->store))) <
		    0 ||
	    (err = node_watch_machine(node)) < 0)
		return err;
	snprintf(what, NODE_WHAT_CAP, "bans in %s", params->config->store.dir);
	firewall = node_firewall_params(node);
	if ((err = firewall_open(node->firewall, &firewall)) < 0 ||
	    (err = api_http_open(node->api, what)) < 0)
		return err;
	snprintf(what, NODE_WHAT_CAP, "fast path");
	if ((err = node_open_fastpath(node)) < 0)
		return err;
	snprintf(what, NODE_WHAT_CAP, "record of the last day");
	return firewall_record_open(&node->firewall->record, &node->firewall->params);
}

/* Programs that the launcher starts shall not command the daemon. */
static pid_t barred_ancestor(void *ctx)
{
	const struct node *node = ((const struct api *)ctx)->ctx;

	return provider_launcher_ancestor(node->launcher);
}

static int node_open_control(struct node *node, const struct node_params *params, char *what)
{
	struct control_params control = {
		.config = params->config->control,
		.methods = api_methods,
		.upgrades = api_upgrades,
		.ctx = node->api,
		.poller = node->home->poller,
		.timers = &node->home->timers,
		.load = &node->home->load,
		.now_ns = params->now_ns,
		.barred_ancestor = barred_ancestor,
	};

	snprintf(what, NODE_WHAT_CAP, "control socket %s", control.config.path);
	return control_open(&control, &node->api->control);
}

/* For telling that services are gone, and for calls in hand, before a stop. */
#define LEAVE_MAX_NS (2 * NS_PER_S)

static void node_free_above_store(struct node *node)
{
	store_hurry(node->store);
	node_unwatch_machine(node);
	api_http_close(node->api->web);
	node->api->web = NULL;
	control_close(node->api->control);
	node->api->control = NULL;
	api_forget(node->api);
	node->api->relay_held = NULL;
	blobs_servers_free(node->threads->servers);
	node->threads->servers = node->api->servers = NULL;
	workers_free(node->threads->workers);
	node->threads->workers = node->api->workers = node->fastpath->workers = NULL;
	worker_fastpath_close(node->fastpath);
	firewall_close(node->firewall);
	port_mapping_close(node->port_mapping);
	node->port_mapping = node->api->port_mapping = NULL;
	mesh_forget_locators(node->home->mesh);
	locate_close(node->locate);
	reachability_stop(node->reachability);
	punch_stop(node->punch);
	relay_end_stop(node->relay_end);
	/* They call offers and social no more. */
	node_stop_deposits(node);
	node_stop_social(node);
	node_close_offers(node);
	node_sharing_stop(node->sharing);
	node_fabric_stop(node->fabric);
	locate_stop(node->locate);
	node_attach_dht(node, NULL);
	node_close_reachability(node);
	node_close_punch(node);
	node_close_relay_web(node);
	node_close_relay_role(node);
	relay_broker_stop(node->relay_broker);
	relay_pool_stop(node->relay_pool);
	relay_receipts_stop(node->relay_receipts);
	relay_slots_stop(node->relay_slots);
	node_close_relay_end(node);
	/* The receipts ask the mesh where an owner of flows is. */
	relay_settle(node->relay);
	worker_close(node->home);
	node_close_deposits(node);
	node_close_social(node);
	relay_end_free(node->relay_end);
	relay_slots_free(node->relay_slots);
	relay_receipts_free(node->relay_receipts);
	node->relay_receipts = NULL;
	node_sharing_free(node->sharing);
	api_share_calls_forget(node->api);
	node_fabric_free(node->fabric);
	locate_free(node->locate);
	node->locate = NULL;
	relay_broker_free(node->relay_broker);
	relay_pool_free(node->relay_pool);
	relay_messages_free(node->relay_messages);
	relay_honoured_free(node->relay_honoured);
	free(node->relay_held);
	node->relay_held = NULL;
	relay_free(node->relay);
	net_handover_free(node->threads->handover);
}

/* Each closed; each _free takes NULL. */
static bool node_make_rooms(struct node *node)
{
	node->wall = calloc(1, sizeof(*node->wall));
	node->threads = calloc(1, sizeof(*node->threads));
	node->machine = calloc(1, sizeof(*node->machine));
	node->home = worker_new();
	node->fastpath = worker_fastpath_new();
	node->firewall = firewall_new();
	node->locate = locate_new();
	node->api = api_new();
	return node->wall && node->threads && node->machine && node->home && node->fastpath &&
	       node->firewall && node->locate && node->api;
}

static void node_free_rooms(struct node *node)
{
	api_free(node->api);
	locate_free(node->locate);
	firewall_free(node->firewall);
	worker_fastpath_free(node->fastpath);
	worker_free(node->home);
	free(node->machine);
	free(node->threads);
	free(node->wall);
	free(node);
}

/* For a failure before the home worker has them. */
static void close_packet_io(const struct node_params *params)
{
	packet_tx_close(params->tx);
	packet_rx_close(params->rx);
}

int node_new(const struct node_params *params, struct node **out_node, char what[NODE_WHAT_CAP])
{
	struct node *node = calloc(1, sizeof(*node));
	int err;

	snprintf(what, NODE_WHAT_CAP, "node");
	if (!node || !node_make_rooms(node)) {
		if (node)
			node_free_rooms(node);
		close_packet_io(params);
		return -ENOMEM;
	}
	node->config = params->config;
	node->key = params->key;
	node->random = params->random;
	node->launcher = params->launcher;
	*node->wall = (struct wall_clock){
		.node = node, .started_ns = params->now_ns, .started_s = params->wall_s};
	node->threads->config = node_worker_config(params->config);
	node->threads->config.proxy_user = params->proxy_user;
	node->threads->cid_epoch = node_cid_epoch(params);
	node->threads->cids_rotated_ns = params->now_ns;
	if (!params->is_simulated && params->config->worker_cnt > 1 &&
	    (err = net_handover_new(params->config->worker_cnt, &node->threads->handover)) < 0)
		goto free_node;
	if ((err = node_open_store(node, params, what)) < 0 ||
	    (err = node_open_relay(node, params, what)) < 0 ||
	    (err = node_open_home(node, params, what)) < 0 ||
	    (err = node_open_workers(node, params, what)) < 0)
		goto free_node;
	if (node->home->poller && (err = node_open_control(node, params, what)) < 0)
		goto free_node;
	timer_init(&node->wall->timer, wall_check);
	if (!params->is_simulated)
		timer_set(&node->home->timers, &node->wall->timer, params->now_ns + WALL_CHECK_NS);
	*out_node = node;
	return 0;
free_node:
	if (node->home->rx != params->rx)
		close_packet_io(params);
	node_free(node);
	return err;
}

void node_free(struct node *node)
{
	if (!node)
		return;
	node_free_above_store(node);
	store_close(node->store);
	node_free_rooms(node);
}

void node_crash(struct node *node)
{
	/* First, or blobs/ would make durable what waits as it is freed. */
	store_freeze(node->store);
	node_free_above_store(node);
	store_crash(node->store);
	node_free_rooms(node);
}

/* Damage found while weftd runs: by the reading behind the start, or by a caller's read. */
static void node_tell_damage(struct node *node)
{
	const char *damage = node->threads->is_damage_told ? NULL : store_damage(node->store);

	if (!damage)
		return;
	node->threads->is_damage_told = true;
	log_error("store: %s; what is there is not read. " API_DAMAGE_NEXT, damage);
}

bool node_turn(struct node *node, uint64_t now_ns)
{
	bool is_busy = store_reap(node->store) > 0;

	if (node->home->is_simulated && node->home->poller)
		is_busy |= poller_poll(node->home->poller, now_ns) > 0;
	node_tell_damage(node);
	if (node->threads->workers) {
		is_busy |= workers_reap(node->threads->workers, now_ns);
		node_tell_workers(node, now_ns);
	}
	node_rotate_cids(node, now_ns);
	is_busy |= locate_turn(node->locate);
	is_busy |= port_mapping_turn(node->port_mapping, now_ns);
	node_turn_relay(node, now_ns);
	relay_end_turn(node->relay_end, now_ns);
	node_turn_relay_receipts(node, now_ns);
	if (relay_slots_next_ns(node->relay_slots) <= now_ns)
		relay_slots_turn(node->relay_slots, now_ns);
	node_fabric_turn(node->fabric, now_ns);
	node_sharing_turn(node->sharing, now_ns);
	is_busy |= worker_turn(node->home, now_ns);
	node_turn_relay_web(node, now_ns);
	if (node->threads->workers)
		is_busy |= workers_flush(node->threads->workers);
	return is_busy;
}

uint64_t node_next_ns(const struct node *node)
{
	uint64_t next_ns, sharing_ns, worker_ns;

	/* Without threads, commits run in the next turn. */
	if (node->home->is_simulated && store_is_pending(node->store))
		return node->home->now_ns;
	next_ns = node_fabric_next_ns(node->fabric);
	if (node_relay_next_ns(node) < next_ns)
		next_ns = node_relay_next_ns(node);
	if (relay_end_next_ns(node->relay_end) < next_ns)
		next_ns = relay_end_next_ns(node->relay_end);
	if (relay_receipts_next_ns(node->relay_receipts) < next_ns)
		next_ns = relay_receipts_next_ns(node->relay_receipts);
	if (relay_slots_next_ns(node->relay_slots) < next_ns)
		next_ns = relay_slots_next_ns(node->relay_slots);
	if (node_relay_web_next_ns(node) < next_ns)
		next_ns = node_relay_web_next_ns(node);
	sharing_ns = node_sharing_next_ns(node->sharing);
	next_ns = sharing_ns < next_ns ? sharing_ns : next_ns;
	worker_ns = worker_next_ns(node->home);
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
		if (poller_wait(node->home->poller, now_ns + NS_PER_MS) < 0)
			return;
		now_ns = clock_monotonic_ns();
	}
}

/* Bounded: what the disks do not finish in time is found again at start. */
static void node_drain(struct node *node)
{
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t deadline_ns = now_ns + config_live(node->config)->drain_timeout_ns;

	if (node->threads->workers)
		workers_stop(node->threads->workers);
	locate_mainline_drain(node->locate->mainline);
	worker_goodbye(node->home, now_ns);
	node_drain_relay_web(node, now_ns);
	port_mapping_withdraw(node->port_mapping, now_ns);
	do {
		(void)node_turn(node, now_ns);
		if (poller_wait(node->home->poller, now_ns + NS_PER_MS) < 0)
			break;
		now_ns = clock_monotonic_ns();
	} while (now_ns < deadline_ns &&
		 (worker_is_draining(node->home) || store_is_pending(node->store) ||
		  port_mapping_is_withdrawing(node->port_mapping, now_ns)));
	store_flush(node->store);
}

static void tell_tcp(const struct tcp_sockets *sockets)
{
	struct addr bound[TCP_LISTEN_MAX], failed;
	unsigned cnt = sockets ? tcp_sockets_bound(sockets, bound) : 0;
	int err = sockets ? tcp_sockets_failed(sockets, &failed) : 0;
	char addr[ADDR_TEXT_CAP];

	for (unsigned i = 0; i < cnt; i++)
		log_info("listening on %s", addr_format(&bound[i], addr));
	if (err < 0)
		log_info("not listening on %s: %s; peers whose network lets no UDP through "
			 "cannot reach this node there, set tcp.port",
			 addr_format(&failed, addr), weft_err_text(err));
}

/* The start's line answers a reader's first questions: where the node is, and what it tells others. */
static void tell_start(const struct node *node)
{
	static const char *const published[] = {
		[PKARR_OFF] = "published nowhere",
		[PKARR_RELAY_ONLY] = "not published, only the relays through which it is reached",
		[PKARR_DIRECT] = "published under its key",
	};
	char addr[ADDR_TEXT_CAP];

	for (unsigned i = 0; i < node->home->bound_cnt; i++)
		log_info("listening on %s", addr_format(&node->home->bound[i], addr));
	tell_tcp(node->home->sockets);
	log_info("DHT %s; its address is %s", node->locate->mainline ? "on" : "off",
		 published[node->config->publish.policy.publish]);
}

int node_run(struct node *node)
{
	tell_start(node);
	while (!node->api->is_stopping) {
		bool is_busy = node_turn(node, clock_monotonic_ns());
		int err = poller_wait(node->home->poller, is_busy ? 0 : node_next_ns(node));

		if (err < 0)
			return err;
	}
	node_leave(node);
	node_drain(node);
	return node->threads->failure;
}

void node_stop(struct node *node)
{
	node->api->is_stopping = true;
	store_hurry(node->store);
}

struct poller *node_poller(struct node *node)
{
	return node->home->poller;
}

struct timer_wheel *node_timers(struct node *node)
{
	return &node->home->timers;
}

bool node_is_called(const struct node *node)
{
	return node->home->poller && poller_is_ready(node->home->poller);
}

void node_adopt(struct node *node, int fd, const struct addr *remote, uint64_t now_ns)
{
	api_http_adopt(node->api->web, fd, remote, now_ns);
}

void node_set_wall(struct node *node, uint64_t wall_s, uint64_t now_ns)
{
	node->wall->started_s = wall_s - (now_ns - node->wall->started_ns) / NS_PER_S;
	wall_tell(node, now_ns);
}

struct fabric *node_fabric(struct node *node)
{
	return node->fabric;
}

struct blobs *node_content(struct node *node)
{
	return node->home->content;
}

struct reachability *node_reachability(struct node *node)
{
	return node->reachability;
}

struct mesh *node_mesh(struct node *node)
{
	return node->home->mesh;
}

struct quic_engine *node_quic(struct node *node)
{
	return node->home->quic;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One worker: how it is put together, and what home orders of it. Its turns
 * are worker_turn.c.
 *
 * Every module gets its own section of the configuration, and its
 * neighbours only as seams:
 *
 *	packet_tx's dgram_sink   -> quic     (struct dgram_sink_ops)
 *	mesh_transport_events    -> quic     (struct transport_events)
 *	quic's and tcp's transport -> mesh   (struct transport_ops, carriers.c)
 *	worker_content_ops       -> content  (given by node)
 */
#include "worker.h"
#include "worker_lines.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/thread/jobs.h"
#include "base/random.h"
#include "crypto/key_seal.h"
#include "crypto/node_key.h"
#include "mesh/mesh.h"
#include "net/udp/handover.h"
#include "net/packet_io.h"
#include "net/xdp/xdp.h"
#include "firewall/ingress.h"
#include "quic/quic.h"
#include "tcp/tcp.h"
#include "tcp/tcp_sockets.h"
#include "tcp_legs.h"
#include "weft/token.h"

/* GOODBYE reason: the daemon is shutting down (docs/wire/frames.md). */
#define GOODBYE_SHUTDOWN 1
/* Peers may redial a restarted daemon after this: one that is back at once is missed no longer. */
#define GOODBYE_NOT_BEFORE_MS 700
_Static_assert(WORKER_QUEUE_MAX == XDP_DEVICE_MAX * XDP_QUEUE_MAX, "one worker may serve all");

/* Twice before a path is forgotten. */
#define PATHS_TELL_NS (INGRESS_PATH_LIFE_NS / 3)
/* Descriptors of its own: sockets, mailboxes, signals, netlink, queues. */
#define OWN_WATCHES (16 + WORKER_QUEUE_MAX)

struct worker *worker_new(void)
{
	return calloc(1, sizeof(struct worker));
}

void worker_free(struct worker *worker)
{
	free(worker);
}

int worker_listen(struct worker *worker, const struct worker_params *params, char *what)
{
	struct udp_config udp = *params->config->udp;
	char text[ADDR_TEXT_CAP];
	unsigned failed_idx = 0;
	int err = 0;

	worker->idx = params->idx;
	worker->is_simulated = params->is_simulated;
	worker->handover = params->handover;
	udp.worker_idx = params->idx;
	udp.worker_cnt = params->config->worker_cnt;
	if (params->listen)
		memcpy(udp.listen, params->listen, udp.listen_cnt * sizeof(udp.listen[0]));
	if (params->rx) {
		worker->rx = params->rx;
		worker->tx = params->tx;
	} else {
		err = net_udp_open(&udp, &worker->rx, &worker->tx, &failed_idx);
	}
	if (err < 0) {
		snprintf(what, WORKER_WHAT_CAP, "UDP address %s",
			 addr_format(&udp.listen[failed_idx], text));
		return err;
	}
	worker->bound_cnt = udp.listen_cnt;
	memcpy(worker->bound, udp.listen, udp.listen_cnt * sizeof(udp.listen[0]));
	return 0;
}

static int worker_open_jobs(struct worker *worker, const struct worker_params *params, char *what)
{
	unsigned thread_cnt = params->is_simulated ? 0 : params->config->job_threads;

	snprintf(what, WORKER_WHAT_CAP, "disk threads");
	return jobs_new(thread_cnt, params->config->job_cap, &worker->jobs);
}

static int worker_open_ingress(struct worker *worker, const struct worker_params *params,
			       char *what)
{
	struct ingress_params ingress = {
		.session_cap = params->config->session_cap,
		.on_sample = params->on_sample,
		.ctx = params->ctx,
	};
	int err;

	/* A relay forwards by these tables, in the simulator too. */
	if (params->is_simulated && !params->config->relay)
		return 0;
	snprintf(what, WORKER_WHAT_CAP, "tables of limits and bans");
	random_fill(params->random, ingress.secret, sizeof(ingress.secret));
	err = firewall_ingress_new(&ingress, &worker->ingress);
	if (err == 0)
		worker->judge = firewall_ingress_judge(worker->ingress);
	if (err == 0 && params->config->relay)
		firewall_ingress_set_relay(worker->ingress, params->config->relay);
	relay_forward_init(&worker->relay, &worker->tx->sink);
	worker->relay.send_leg = worker_leg_send;
	worker->relay.leg_ctx = worker;
	return err;
}

static int worker_open_xdp(struct worker *worker, const struct worker_params *params, char *what)
{
	uint64_t secret[2];

	if (params->is_simulated)
		return 0;
	snprintf(what, WORKER_WHAT_CAP, "table of links");
	random_fill(params->random, secret, sizeof(secret));
	return net_xdp_worker_new(worker->tx, secret, &worker->xdp_worker);
}

/* A source that returned our token counts as validated at these sockets, and where the owner reports it. */
static void worker_on_path(void *ctx, const struct addr *remote)
{
	struct worker *worker = ctx;

	/* The leg to the relay is proved by its own session. */
	if (addr_is_relayed(remote))
		return;
	if (worker->ingress)
		firewall_ingress_prove(worker->ingress, remote, worker->now_ns);
	if (worker->on_path)
		worker->on_path(worker->ctx, remote);
}

static size_t worker_relayed_len_max(void *ctx, const struct addr *label)
{
	const struct worker *worker = ctx;

	return worker->relay_end ? worker->relay_end->len_max(worker->relay_end_ctx, label) : 0;
}

static void worker_ask_relayed(void *ctx, const struct addr *label)
{
	const struct worker *worker = ctx;

	if (worker->relay_end)
		worker->relay_end->ask(worker->relay_end_ctx, label);
}

static void worker_leg_silent(void *ctx, const struct addr *label)
{
	const struct worker *worker = ctx;

	if (worker->relay_end)
		worker->relay_end->leg_silent(worker->relay_end_ctx, label);
}

static bool worker_relabel(void *ctx, struct addr *label)
{
	const struct worker *worker = ctx;

	return worker->relay_end && worker->relay_end->relabel(worker->relay_end_ctx, label);
}

static void paths_tell(struct timer *timer, uint64_t now_ns)
{
	struct worker *worker = container_of(timer, struct worker, paths_timer);
	const struct quic_conn *conn = NULL;
	const struct addr *remote;

	firewall_ingress_sweep(worker->ingress);
	while ((remote = quic_engine_path_next(worker->quic, &conn)))
		worker_on_path(worker, remote);
	quic_engine_review(worker->quic);
	if (worker->tcp)
		tcp_engine_review(worker->tcp);
	timer_set(&worker->timers, timer, now_ns + PATHS_TELL_NS);
}

/* All workers have the same keys, so each takes its own engine's. */
static void worker_push_keys(struct worker *worker)
{
	struct weft_token_keys keys;

	if (!worker->ingress)
		return;
	firewall_ingress_set_cid_keys(worker->ingress, quic_engine_cid_keys(worker->quic));
	if (quic_engine_token_keys(worker->quic, &keys) == 0)
		firewall_ingress_set_token_keys(worker->ingress, &keys);
}

static int worker_open_load(struct worker *worker, const struct worker_params *params, char *what)
{
	uint64_t secret[2];
	int err;

	snprintf(what, WORKER_WHAT_CAP, "table of load accounts");
	err = arena_open(&worker->arena, ARENA_GROWS);
	if (err < 0)
		return err;
	random_fill(params->random, secret, sizeof(secret));
	err = load_init(&worker->load, &worker->arena, LOAD_LINE_CNT, secret);
	arena_fit(&worker->arena);
	worker->load.paths.site = params->config->mesh->site;
	return err;
}

static int worker_open_protocols(struct worker *worker, const struct worker_params *params,
				 char *what)
{
	struct quic_engine_params quic = {
		.config = *params->config->quic,
		.key = params->key,
		.events = &mesh_transport_events,
		.random = params->random,
		.sink = &worker->tx->sink,
		.cid_epoch = params->cid_epoch,
		.on_path = worker_on_path,
		.relayed_len_max = worker_relayed_len_max,
		.ask_relayed = worker_ask_relayed,
		.leg_silent = worker_leg_silent,
		.relabel = worker_relabel,
		.path_ctx = worker,
		.key_class = worker_carriers_key_class,
		.class_ctx = worker,
		.load = &worker->load,
		.is_limited = worker->ingress ? firewall_ingress_limits : NULL,
		.limited_ctx = worker->ingress,
		.now_ns = params->now_ns,
		.wall_s = params->wall_s,
	};
	struct mesh_params mesh = {
		.config = *params->config->mesh,
		.own_key = node_key_public(params->key),
		.store = worker->idx == 0 ? params->store : NULL,
		.timers = &worker->timers,
		.random = params->random,
		.now_ns = params->now_ns,
		.wall_s = params->wall_s,
		.on_session = params->on_session,
		.on_step = params->on_step,
		.on_failure = params->on_failure,
		.choices = worker->idx == 0 ? params->choices : NULL,
		.on_moved = worker->idx == 0 ? params->on_moved : NULL,
		.find_path = worker->idx == 0 ? params->find_path : NULL,
		.is_unsought = worker->idx == 0 ? params->is_unsought : NULL,
		.on_barred = worker->idx == 0 ? params->on_barred : NULL,
		.port_probe = worker->idx == 0 ? params->port_probe : NULL,
		.stun_ask = worker->idx == 0 ? params->stun_ask : NULL,
		.ctx = params->ctx,
		.load = &worker->load,
		.refuses = worker->ingress ? firewall_ingress_refuses : NULL,
		.is_limited = worker->ingress ? firewall_ingress_limits : NULL,
		.refuses_ctx = worker->ingress,
	};
	int err;

	snprintf(what, WORKER_WHAT_CAP, "session tables");
	if ((err = mesh_new(&mesh, &worker->mesh)) < 0)
		return err;
	mesh_set_addrs(worker->mesh, params->hello, params->hello_cnt);
	snprintf(what, WORKER_WHAT_CAP, "QUIC engine");
	quic.ctx = worker->mesh;
	quic.config.worker = (uint16_t)worker->idx;
	quic.config.site = params->config->mesh->site;
	if ((err = quic_engine_new(&quic, &worker->quic)) < 0)
		return err;
	worker_push_keys(worker);
	if (!params->is_simulated &&
	    (params->config->tcp->is_on || (!worker->idx && params->config->tcp->line_cnt)) &&
	    (err = worker_carriers_open_tcp(worker, params, what)) < 0)
		return err;
	mesh_set_transport(worker->mesh, worker_carriers_init(worker, params->config->tcp));
	return 0;
}

static void watch_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	/* The next turn looks everywhere; waking was all that was wanted. */
	(void)watch, (void)events, (void)now_ns;
}

int worker_watch(struct worker *worker, struct poller_watch *watch, int fd)
{
	if (fd < 0)
		return 0;
	watch->fd = fd;
	watch->ready = watch_ready;
	return poller_add(worker->poller, watch, POLLER_IN);
}

static int worker_open_poller(struct worker *worker, const struct worker_params *params, char *what)
{
	int err;

	snprintf(what, WORKER_WHAT_CAP, "event loop");
	if ((err = poller_new(params->config->local_watch_cap + OWN_WATCHES + SIDE_PORT_CAP +
				      (worker->tcp ? tcp_config_link_cap(params->config->tcp) : 0) +
				      params->config->tcp->line_cnt,
			      &worker->poller)) < 0 ||
	    (err = worker_watch(worker, &worker->rx_watch, worker->rx->fd)) < 0 ||
	    (err = worker_watch(worker, &worker->jobs_watch, jobs_fd(worker->jobs))) < 0)
		return err;
	if (worker->handover &&
	    (err = worker_watch(worker, &worker->handover_watch,
				net_handover_rx(worker->handover, worker->idx)->fd)) < 0)
		return err;
	if ((err = worker_watch(worker, &worker->content_watch,
				worker->content_ops->fd(worker->content))) < 0)
		return err;
	if ((err = worker_carriers_listen(worker, params, what)) < 0)
		return err;
	return worker_lines_open(worker, params, what);
}

int worker_open(struct worker *worker, const struct worker_params *params, char *what)
{
	int err;

	worker->now_ns = params->now_ns;
	worker->on_path = params->on_path;
	worker->ctx = params->ctx;
	worker->content_ops = params->config->content_ops;
	timer_wheel_init(&worker->timers, params->now_ns);
	worker_ports_init(&worker->ports, &worker->tx->sink);
	if ((err = worker_open_jobs(worker, params, what)) < 0 ||
	    (err = worker_open_ingress(worker, params, what)) < 0 ||
	    (err = worker_open_xdp(worker, params, what)) < 0 ||
	    (err = worker_open_load(worker, params, what)) < 0 ||
	    (err = worker_open_protocols(worker, params, what)) < 0 ||
	    (err = key_seal_new(params->key, &worker->seal)) < 0 ||
	    (err = worker->content_ops->open(worker, params, what)) < 0)
		return err;
	if (params->is_simulated)
		return params->has_locals ? worker_open_poller(worker, params, what) : 0;
	timer_init(&worker->paths_timer, paths_tell);
	timer_set(&worker->timers, &worker->paths_timer, params->now_ns + PATHS_TELL_NS);
	return worker_open_poller(worker, params, what);
}

void worker_close(struct worker *worker)
{
	if (worker->content_ops)
		worker->content_ops->close(worker->content);
	key_seal_free(worker->seal);
	mesh_free(worker->mesh);
	worker_ports_close(worker);
	quic_engine_free(worker->quic);
	tcp_engine_free(worker->tcp);
	tcp_sockets_close(worker->sockets);
	worker_lines_close(worker->lines);
	firewall_ingress_free(worker->ingress);
	net_xdp_worker_free(worker->xdp_worker);
	packet_tx_close(worker->tx);
	packet_rx_close(worker->rx);
	jobs_free(worker->jobs);
	arena_close(&worker->arena);
	poller_free(worker->poller);
}

static void worker_set_quic_sink(struct worker *worker)
{
	struct packet_tx *tx = worker->fast_tx ? worker->fast_tx : worker->tx;
	struct dgram_sink *sink = &tx->sink;

	sink = worker_ports_sink(&worker->ports, sink);
	if (worker->relay_end)
		sink = worker->relay_end->wrap(worker->relay_end_ctx, sink);
	quic_engine_set_sink(worker->quic, sink);
}

void worker_set_relay_end(struct worker *worker, const struct worker_relay_end *ops, void *ctx)
{
	worker->relay_end = ops;
	worker->relay_end_ctx = ctx;
	worker_set_quic_sink(worker);
}

/* Sends by tx, or by the kernel's sockets again (NULL). */
static void worker_set_tx(struct worker *worker, struct packet_tx *tx)
{
	struct packet_tx *before = worker->fast_tx ? worker->fast_tx : worker->tx;
	struct packet_tx *after = tx ? tx : worker->tx;

	if (before == after)
		return;
	(void)packet_tx_flush(before);
	worker->fast_tx = tx;
	worker_set_quic_sink(worker);
	relay_forward_set_sink(&worker->relay, &after->sink);
	if (worker->krpc)
		worker->krpc->set_sink(worker->krpc_ctx, &after->sink);
	if (worker->reachability)
		worker->reachability->set_sink(worker->reachability_ctx, &worker->ports.sink);
}

int worker_add_queue(struct worker *worker, struct xdp_queue *queue)
{
	unsigned i = 0;
	int err;

	while (i < WORKER_QUEUE_MAX && worker->queues[i].queue)
		i++;
	if (i == WORKER_QUEUE_MAX)
		return WEFT_EFULL;
	err = worker_watch(worker, &worker->queues[i].watch, queue->rx->fd);
	if (err < 0)
		return err;
	worker->queues[i].queue = queue;
	if (worker->queue_cap <= i)
		worker->queue_cap = i + 1;
	worker_set_tx(worker, NULL);
	net_xdp_worker_add(worker->xdp_worker, queue);
	worker_set_tx(worker, net_xdp_worker_tx(worker->xdp_worker));
	return 0;
}

void worker_remove_queue(struct worker *worker, struct xdp_queue *queue)
{
	for (unsigned i = 0; i < worker->queue_cap; i++) {
		if (worker->queues[i].queue != queue)
			continue;
		while (worker_receive_queue(worker, queue->rx))
			;
		poller_remove(worker->poller, &worker->queues[i].watch);
		worker->queues[i].queue = NULL;
		/* Its frames may be in the send side's hands: that is changed first. */
		worker_set_tx(worker, NULL);
		net_xdp_worker_remove(worker->xdp_worker, queue);
		worker_set_tx(worker, net_xdp_worker_tx(worker->xdp_worker));
	}
}

void worker_set_mtu(struct worker *worker, unsigned device, uint32_t mtu)
{
	net_xdp_worker_set_mtu(worker->xdp_worker, device, mtu);
}

void worker_take_bans(struct worker *worker, struct ban_set *set, uint64_t now_ns)
{
	firewall_ingress_take(worker->ingress, set);
	firewall_ingress_turn(worker->ingress, now_ns);
	(void)mesh_expel(worker->mesh, now_ns);
	(void)quic_engine_expel(worker->quic, firewall_ingress_refuses_addr, worker->ingress,
				now_ns);
	if (worker->tcp)
		(void)tcp_engine_expel(worker->tcp, now_ns);
}

void worker_rotate_cids(struct worker *worker)
{
	quic_engine_rotate_cids(worker->quic);
	worker_push_keys(worker);
}

void worker_set_wall(struct worker *worker, uint64_t wall_s, uint64_t now_ns)
{
	mesh_set_wall(worker->mesh, wall_s, now_ns);
	quic_engine_set_wall(worker->quic, wall_s, now_ns);
	worker_push_keys(worker);
}

void worker_wake(struct worker *worker, uint64_t now_ns)
{
	if (quic_engine_wake(worker->quic, now_ns))
		mesh_wake(worker->mesh, now_ns);
}

void worker_hold(struct worker *worker, const struct udp_hold *hold)
{
	net_udp_tx_hold(worker->tx, hold);
	worker_ports_hold(&worker->ports, hold);
	worker->carriers.is_held = hold->cnt > 0;
}

void worker_goodbye(struct worker *worker, uint64_t now_ns)
{
	quic_engine_drain(worker->quic);
	if (worker->tcp)
		tcp_engine_drain(worker->tcp);
	mesh_goodbye(worker->mesh, GOODBYE_SHUTDOWN, GOODBYE_NOT_BEFORE_MS, now_ns);
}

bool worker_is_draining(const struct worker *worker)
{
	return jobs_in_flight(worker->jobs) || worker->is_tx_waiting;
}

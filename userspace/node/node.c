/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The composition root. Start-up order is the order of dependence: store,
 * jobs, packet I/O, QUIC, mesh, content, control; teardown is its reverse.
 * Every module gets its own section of the configuration, and its
 * neighbours only as seams:
 *
 *	packet_tx's dgram_sink   -> quic     (struct dgram_sink_ops)
 *	mesh_transport_events    -> quic     (struct transport_events)
 *	quic's transport         -> mesh     (struct transport_ops)
 *	mesh_seam_of(mesh)       -> content  (struct mesh_ops)
 */
#include "node/node.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/jobs.h"
#include "content/content.h"
#include "crypto/node_key.h"
#include "mesh/mesh.h"
#include "node/methods.h"
#include "quic/quic.h"
#include "store/store.h"

static int node_open_store(struct node *node, const struct node_params *params, char *what)
{
	struct store_config config = params->config->store;
	unsigned job_threads = params->is_simulated ? 0 : params->config->job_threads;
	int err;

	snprintf(what, NODE_WHAT_CAP, "state directory %s", config.dir);
	config.is_inline = params->is_simulated;
	if ((err = store_open(&config, &node->store)) < 0)
		return err;
	snprintf(what, NODE_WHAT_CAP, "disk threads");
	return jobs_new(job_threads, params->config->job_cap, &node->jobs);
}

static int node_open_packet_io(struct node *node, const struct node_params *params, char *what)
{
	struct udp_config udp = params->config->udp;
	char text[ADDR_TEXT_CAP];
	unsigned failed_idx = 0;
	int err = 0;

	if (params->rx) {
		node->rx = params->rx;
		node->tx = params->tx;
	} else {
		err = udp_open(&udp, &node->rx, &node->tx, &failed_idx);
	}
	if (err < 0)
		snprintf(what, NODE_WHAT_CAP, "UDP address %s",
			 addr_format(&udp.listen[failed_idx], text));
	if (err < 0)
		return err;
	node->bound_cnt = udp.listen_cnt;
	memcpy(node->bound, udp.listen, udp.listen_cnt * sizeof(udp.listen[0]));
	node_advertise(node);
	return 0;
}

static int node_open_protocols(struct node *node, const struct node_params *params, char *what)
{
	struct quic_engine_params quic = {
		.config = params->config->quic,
		.key = params->key,
		.events = &mesh_transport_events,
		.random = node->random,
		.sink = &node->tx->sink,
		.now_ns = params->now_ns,
	};
	struct mesh_params mesh = {
		.config = params->config->mesh,
		.own_key = node->own_key,
		.store = node->store,
		.timers = &node->timers,
		.random = node->random,
		.now_ns = params->now_ns,
		.wall_s = params->wall_s,
		.on_session = node_on_session,
		.ctx = node,
	};
	int err;

	snprintf(what, NODE_WHAT_CAP, "session tables");
	for (unsigned i = 0; i < node->advertised_cnt; i++)
		mesh.config.addrs[i] = node->advertised[i];
	mesh.config.addr_cnt = node->advertised_cnt;
	if ((err = mesh_new(&mesh, &node->mesh)) < 0)
		return err;
	snprintf(what, NODE_WHAT_CAP, "QUIC engine");
	quic.ctx = node->mesh;
	if ((err = quic_engine_new(&quic, &node->quic)) < 0)
		return err;
	mesh_set_transport(node->mesh, quic_engine_transport(node->quic));
	return 0;
}

/* Simulated time carries its own wall clock. */
static uint64_t node_wall_s(void *ctx)
{
	const struct node *node = ctx;

	if (node->poller)
		return clock_wall_s();
	return node->started_wall_s + (node->now_ns - node->started_ns) / NS_PER_S;
}

/* An administrator or NTP may set the clock; HELLO's times follow within this. */
#define WALL_CHECK_NS (60 * NS_PER_S)

static void wall_check(struct timer *timer, uint64_t now_ns)
{
	struct node *node = (struct node *)((char *)timer - offsetof(struct node, wall_timer));

	mesh_set_wall(node->mesh, clock_wall_s(), now_ns);
	timer_set(&node->timers, timer, now_ns + WALL_CHECK_NS);
}

static int node_open_content(struct node *node, const struct node_params *params, char *what)
{
	struct content_params content = {
		.config = params->config->content,
		.own_key = node->own_key,
		.store = node->store,
		.jobs = node->jobs,
		.timers = &node->timers,
		.mesh = mesh_seam_of(node->mesh),
		.now_ns = params->now_ns,
		.wall_s = node_wall_s,
		.on_event = node_on_content,
		.ctx = node,
	};

	snprintf(what, NODE_WHAT_CAP, "content tables in %s", params->config->store.dir);
	if (params->is_simulated)
		content.config.import_threads = 0;
	return content_new(&content, &node->content);
}

static int node_open_control(struct node *node, const struct node_params *params, char *what)
{
	struct control_params control = {
		.config = params->config->control,
		.methods = node_methods,
		.ctx = node,
		.poller = node->poller,
		.timers = &node->timers,
		.now_ns = params->now_ns,
	};

	snprintf(what, NODE_WHAT_CAP, "control socket %s", control.config.path);
	return control_open(&control, &node->control);
}

static void rx_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	/* The next turn receives; waking was all that was wanted. */
	(void)watch, (void)events, (void)now_ns;
}

static int node_watch(struct node *node, struct poller_watch *watch, int fd)
{
	if (fd < 0)
		return 0;
	watch->fd = fd;
	watch->ready = rx_ready;
	return poller_add(node->poller, watch, POLLER_IN);
}

static int node_open_poller(struct node *node, const struct node_params *params, char *what)
{
	int err;

	snprintf(what, NODE_WHAT_CAP, "event loop");
	if ((err = poller_new(params->config->control.client_cap + 16, &node->poller)) < 0 ||
	    (err = node_watch(node, &node->rx_watch, node->rx->fd)) < 0 ||
	    (err = node_watch(node, &node->store_watch, store_fd(node->store))) < 0 ||
	    (err = node_watch(node, &node->jobs_watch, jobs_fd(node->jobs))) < 0)
		return err;
	if ((err = node_watch(node, &node->content_watch, content_fd(node->content))) < 0)
		return err;
	return node_watch_addresses(node);
}

int node_new(const struct node_params *params, struct node **out_node, char what[NODE_WHAT_CAP])
{
	struct node *node = calloc(1, sizeof(*node));
	int err;

	if (!node)
		return -ENOMEM;
	node->config = params->config;
	node->own_key = node_key_public(params->key);
	node->random = params->random;
	node->now_ns = node->started_ns = params->now_ns;
	node->started_wall_s = params->wall_s;
	timer_wheel_init(&node->timers, params->now_ns);
	if ((err = node_open_store(node, params, what)) < 0 ||
	    (err = node_open_packet_io(node, params, what)) < 0 ||
	    (err = node_open_protocols(node, params, what)) < 0 ||
	    (err = node_open_content(node, params, what)) < 0)
		goto free_node;
	if (!params->is_simulated && ((err = node_open_poller(node, params, what)) < 0 ||
				      (err = node_open_control(node, params, what)) < 0))
		goto free_node;
	timer_init(&node->wall_timer, wall_check);
	if (!params->is_simulated)
		timer_set(&node->timers, &node->wall_timer, params->now_ns + WALL_CHECK_NS);
	*out_node = node;
	return 0;
free_node:
	node_free(node);
	return err;
}

static void node_free_above_store(struct node *node)
{
	node_unwatch_addresses(node);
	control_close(node->control);
	method_imports_forget(node);
	method_get_watches_forget(node);
	content_free(node->content);
	mesh_free(node->mesh);
	quic_engine_free(node->quic);
	packet_tx_close(node->tx);
	packet_rx_close(node->rx);
	jobs_free(node->jobs);
}

void node_free(struct node *node)
{
	if (!node)
		return;
	node_free_above_store(node);
	store_close(node->store);
	poller_free(node->poller);
	free(node);
}

void node_crash(struct node *node)
{
	/* First, or content/ would make durable what waits as it is freed. */
	store_freeze(node->store);
	node_free_above_store(node);
	store_crash(node->store);
	free(node);
}

struct poller *node_poller(struct node *node)
{
	return node->poller;
}

struct timer_wheel *node_timers(struct node *node)
{
	return &node->timers;
}

struct content *node_content(struct node *node)
{
	return node->content;
}

struct mesh *node_mesh(struct node *node)
{
	return node->mesh;
}

struct quic_engine *node_quic(struct node *node)
{
	return node->quic;
}

struct store *node_store(struct node *node)
{
	return node->store;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's functions for hole punching (punch/punch.h), and the sockets of a search of ports. These
 * share one descriptor of the loop, by which the ICMP errors of what they sent come as well. One that is
 * hit becomes a side port of home (worker/side_ports.h); the others are closed with the search.
 * Home worker.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/container_of.h"
#include "mesh/mesh.h"
#include "node/node_state.h"
#include "quic/quic.h"
#include "reachability/observed.h"

_Static_assert(ADVERTISED_MAX <= PUNCH_CANDIDATES_MAX, "all addresses have room");

/* Others see this node at one or two addresses of a family. What is older helps less. */
#define OBSERVED_MAX 4u

#define EVENTS_MAX 64
#define READ_MAX   8
#define LEN_MAX	   548 /* of STUN; a probe is shorter */

/* A single voter counts: a lie costs one probe. */
static void observed_add(const struct node *node, struct advertised *all)
{
	unsigned cnt_max = all->cnt + OBSERVED_MAX;
	uint64_t now_ns = node->home->now_ns;
	struct observation row;

	for (unsigned at = 0; reachability_seen(node->reachability, at, &row); at++)
		if (all->cnt < cnt_max && now_ns - row.at_ns < OBSERVED_LIFE_NS)
			net_advertised_add(all, &row.seen);
}

static bool is_mapped(const struct node *node, const struct addr *addr)
{
	const struct reachability_view *view = reachability_show(node->reachability);
	struct addr mapped;

	return (view->kind == REACHABILITY_MAPPED && addr_equal(&view->addr, addr)) ||
	       (port_mapping_external(node->port_mapping, ADDR_UDP, &mapped) &&
		addr_equal(&mapped, addr));
}

/* Proved and mapped ones, then what others see, then the machine's own. */
static unsigned on_candidates(void *ctx, struct addr out[static PUNCH_CANDIDATES_MAX],
			      uint64_t *out_mapped)
{
	const struct node *node = ctx;
	const struct advertised *own = &node->machine->advertised;
	struct advertised all = {.cnt = 0};

	for (unsigned i = 0; i < node->machine->outer_cnt; i++)
		net_advertised_add(&all, &own->addrs[i]);
	observed_add(node, &all);
	for (unsigned i = node->machine->outer_cnt; i < own->cnt; i++)
		net_advertised_add(&all, &own->addrs[i]);
	memcpy(out, all.addrs, all.cnt * sizeof(out[0]));
	*out_mapped = 0;
	for (unsigned i = 0; i < all.cnt; i++)
		*out_mapped |= (uint64_t)is_mapped(node, &all.addrs[i]) << i;
	return all.cnt;
}

/* How ports change is known sooner than whether others can write first. */
static enum punch_nat on_nat(void *ctx)
{
	const struct node *node = ctx;
	bool differ;

	switch (reachability_show(node->reachability)->kind) {
	case REACHABILITY_DIRECT:
	case REACHABILITY_MAPPED:
		return PUNCH_NAT_NONE;
	case REACHABILITY_PUNCHABLE:
		return PUNCH_NAT_EASY;
	case REACHABILITY_HARD:
		return PUNCH_NAT_HARD;
	case REACHABILITY_BLOCKED:
		return PUNCH_NAT_BLOCKED;
	default:
		if (!reachability_ports(node->reachability, node->home->now_ns, &differ))
			return PUNCH_NAT_UNKNOWN;
		return differ ? PUNCH_NAT_HARD : PUNCH_NAT_EASY;
	}
}

static bool on_refuses(void *ctx, const uint8_t *key, const struct addr *addr)
{
	return mesh_may_not_dial(((const struct node *)ctx)->home->mesh, key, addr);
}

static void on_account(void *ctx, const uint8_t *key, const struct punch_path *path,
		       struct fair_path *out_account)
{
	const struct node *node = ctx;

	mesh_neighbour_ops.account(node->home->mesh, key, &path->remote, out_account);
}

static int on_probe_key(void *ctx, const uint8_t *key, uint8_t out[static 32])
{
	const struct node *node = ctx;

	return mesh_session_export(node->home->mesh, key, PUNCH_EXPORTER_LABEL, out, 32);
}

static bool on_path(void *ctx, const uint8_t *key, struct punch_path *out_path)
{
	const struct node *node = ctx;
	struct mesh_path path;

	if (!mesh_neighbour_ops.path(node->home->mesh, key, &path) ||
	    path.local.family == ADDR_NONE)
		return false;
	*out_path = (struct punch_path){.local = path.local,
					.remote = path.remote,
					.is_direct = path.remote.transport == ADDR_UDP,
					.is_dialled = path.is_dialled,
					.is_used = path.is_used};
	return true;
}

static bool on_move(void *ctx, const uint8_t *key, const struct addr *local,
		    const struct addr *remote)
{
	struct node *node = ctx;
	struct mesh_path path;

	return mesh_neighbour_ops.path(node->home->mesh, key, &path) &&
	       path.remote.transport != ADDR_TCP && !addr_equal(&path.remote, remote) &&
	       quic_engine_move(node->home->quic, &path.remote, local, remote, node->home->now_ns);
}

static void on_spare(void *ctx, const struct addr *from, const struct addr *local,
		     const struct addr *remote)
{
	quic_engine_fall_back_on(((struct node *)ctx)->home->quic, from, local, remote);
}

/* A relay that this node dialled, now or before, is believed. So no peer brings a witness along. */
static bool is_witness(const struct node *node, const uint8_t *relay)
{
	struct mesh_neighbour neighbour;

	return relay && mesh_neighbour_ops.find(node->home->mesh, relay, &neighbour) &&
	       (neighbour.is_dialled || neighbour.is_proved);
}

static void on_leg(void *arg, const struct relay_end_leg *leg, uint64_t now_ns)
{
	const struct punch_question *question = arg;

	question->done(question->arg, leg->host, leg->relay, now_ns);
}

static int on_witness(void *ctx, const struct punch_question *question)
{
	struct node *node = ctx;
	struct mesh_path path;
	struct relay_end_leg_ask asked = {
		.label = &path.remote,
		.addrs = question->addrs,
		.addr_cnt = question->addr_cnt,
		.done = on_leg,
		.arg = &node->punch_question,
	};

	if (!node->relay_end || !mesh_neighbour_ops.path(node->home->mesh, question->key, &path) ||
	    !addr_is_relayed(&path.remote) ||
	    !is_witness(node, relay_end_relay_of(node->relay_end, &path.remote)))
		return WEFT_EABSENT;
	node->punch_question = *question;
	return relay_end_ask_leg(node->relay_end, &asked);
}

static void on_unask(void *ctx)
{
	relay_end_cancel_leg(((struct node *)ctx)->relay_end);
}

/* --- sockets of searches --- */

static int ports_begin(struct punch_ports *ports)
{
	int fd = epoll_create1(EPOLL_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	ports->watch.fd = fd;
	err = poller_add(ports->node->home->poller, &ports->watch, POLLER_IN);
	if (err == 0)
		return 0;
	close(fd);
	ports->watch.fd = -1;
	return err;
}

static int port_open(void *ctx)
{
	struct punch_ports *ports = ctx;
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = ports->cnt};
	int fd, err;

	if (ports->cnt == PUNCH_SEARCH_SOCKETS_MAX)
		return WEFT_EFULL;
	if (ports->watch.fd < 0 && (err = ports_begin(ports)) < 0)
		return err;
	fd = net_udp_port_open();
	if (fd < 0)
		return fd;
	if (epoll_ctl(ports->watch.fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	ports->fds[ports->cnt] = fd;
	return (int)ports->cnt++;
}

static void port_send(void *ctx, unsigned idx, const struct addr *to, const uint8_t *data,
		      size_t len)
{
	const struct punch_ports *ports = ctx;
	const struct dgram_route route = {.remote = *to};

	if (ports->fds[idx] >= 0 && !net_udp_hold_has(&ports->node->nat_ports[0].hold, &route))
		net_udp_port_send(ports->fds[idx], to, data, len);
}

static struct side_port_owner owner_of(const struct punch_port_owner *from)
{
	return (struct side_port_owner){.is_unknown = from->is_unknown, .network = from->network};
}

static bool port_keep(void *ctx, unsigned idx, const struct punch_port_owner *owner,
		      uint64_t now_ns)
{
	struct punch_ports *ports = ctx;
	struct worker *home = ports->node->home;
	struct side_port port = {.owner = owner_of(owner)};
	int fd = ports->fds[idx];

	if (!worker_port_room(home, &port.owner) ||
	    epoll_ctl(ports->watch.fd, EPOLL_CTL_DEL, fd, NULL) < 0)
		return false;
	ports->fds[idx] = -1;
	if (net_udp_port_adopt(fd, &port.rx, &port.tx, &port.bound) < 0) {
		close(fd);
		return false;
	}
	if (worker_add_port(home, &port, now_ns) == 0)
		return true;
	packet_tx_close(port.tx);
	packet_rx_close(port.rx);
	return false;
}

static void ports_close(void *ctx)
{
	struct punch_ports *ports = ctx;

	if (ports->watch.fd < 0)
		return;
	for (unsigned i = 0; i < ports->cnt; i++)
		if (ports->fds[i] >= 0)
			close(ports->fds[i]);
	ports->cnt = 0;
	poller_remove(ports->node->home->poller, &ports->watch);
	close(ports->watch.fd);
	ports->watch.fd = -1;
}

static unsigned ports_room(void *ctx, const struct punch_port_owner *owner)
{
	const struct side_port_owner of = owner_of(owner);

	return worker_port_room(((struct punch_ports *)ctx)->node->home, &of);
}

static const struct punch_ports_ops ports_ops = {
	.open = port_open,
	.send = port_send,
	.keep = port_keep,
	.close = ports_close,
	.room = ports_room,
};

/* Any datagram may end the search, and a kept socket is home's: so each look is at fds. */
static void port_read(struct punch_ports *ports, unsigned idx, uint64_t now_ns)
{
	uint8_t data[LEN_MAX];
	struct dgram dgram;

	for (unsigned i = 0; i < READ_MAX && idx < ports->cnt && ports->fds[idx] >= 0; i++) {
		if (!net_udp_port_receive(ports->fds[idx], data, sizeof(data), &dgram))
			return;
		punch_port_input(ports->node->punch, idx, &dgram, now_ns);
	}
}

static void on_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct punch_ports *ports = container_of(watch, struct punch_ports, watch);
	struct epoll_event ready[EVENTS_MAX];
	int cnt = epoll_wait(watch->fd, ready, EVENTS_MAX, 0);

	(void)events;
	for (int i = 0; i < cnt; i++) {
		unsigned idx = ready[i].data.u32;

		if (idx >= ports->cnt || ports->fds[idx] < 0)
			continue;
		if (ready[i].events & EPOLLERR && net_udp_port_complains(ports->fds[idx]))
			punch_port_complained(ports->node->punch, now_ns);
		port_read(ports, idx, now_ns);
	}
}

static void ports_init(struct node *node)
{
	node->punch_ports =
		(struct punch_ports){.node = node, .watch = {.ready = on_ready, .fd = -1}};
}

/* --- the whole --- */

void node_find_path(void *ctx, const uint8_t *key)
{
	struct node *node = ctx;

	if (node->punch)
		punch_begin(node->punch, key, node->home->now_ns);
}

int node_open_punch(struct node *node, const struct node_params *from, char *what)
{
	const struct punch_params params = {
		.config = node->config->punch,
		.sink = &node->home->ports.sink,
		.timers = &node->home->timers,
		.random = node->random,
		.mesh = mesh_seam_of(node->home->mesh),
		.site = node->config->mesh.site,
		.candidates = on_candidates,
		.nat = on_nat,
		.refuses = on_refuses,
		.account = on_account,
		.probe_key = on_probe_key,
		.path = on_path,
		.move = on_move,
		.spare = on_spare,
		.witness = on_witness,
		.unask = on_unask,
		.ports = from->is_simulated ? from->ports : &ports_ops,
		.ports_ctx = from->is_simulated ? from->ports_ctx : &node->punch_ports,
		.ctx = node,
	};

	ports_init(node);

	snprintf(what, NODE_WHAT_CAP, "hole punching");
	return punch_new(&params, &node->punch);
}

void node_close_punch(struct node *node)
{
	punch_free(node->punch);
	node->punch = NULL;
}

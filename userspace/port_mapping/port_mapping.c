/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mapper's inputs and outputs. The default router comes from the kernel's routes. One socket is
 * connected to its port 5351, another one hears its announcements, and one job of UPnP runs at a time.
 *
 * look -> router_set -> mapper_begin; socket_ready -> mapper_input; announced_ready ->
 * mapper_announced; upnp_done -> mapper_upnp_ended. Home worker.
 */
#include "port_mapping/port_mapping.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/thread/poller.h"
#include "net/local/default_router.h"
#include "upnp.h"

#define FIRST_LOOK_NS (100 * NS_PER_MS)
#define LOOK_NS	      NS_PER_S /* after a change, of which many come together */
/* The router is looked for again, in case no event came. */
#define LOOK_AGAIN_NS	(60 * NS_PER_S)
#define LIFETIME_NS	(600 * NS_PER_S)
#define WITHDRAW_MAX_NS (1 * NS_PER_S)
/* Datagrams of one turn: a router that sends more is read on in the next. */
#define READ_MAX 16

struct port_mapping {
	struct poller_watch socket;    /* fd -1: none */
	struct poller_watch announced; /* datagrams of the group; fd -1: none */
	struct port_mapping_params params;
	struct mapper mapper;
	struct timer look_timer;
	struct addr router, client; /* family ADDR_NONE: none */
	const char *no_router;	    /* why nothing is asked; NULL: it is */
	struct jobs *jobs;	    /* NULL: not by UPnP */
	struct poller_watch jobs_watch;
	struct upnp upnp;
	bool is_upnp_running;
	bool is_upnp_stale;   /* the round that runs is of another router */
	bool is_withdraw_due; /* when it has ended */
	uint64_t withdraw_until_ns;
	uint64_t now_ns; /* of the call that runs */
};

static const char *const method_words[PORT_MAPPING_METHOD_CNT] = {
	[PORT_MAPPING_AUTO] = "auto",	    [PORT_MAPPING_PCP] = "pcp",
	[PORT_MAPPING_NAT_PMP] = "nat-pmp", [PORT_MAPPING_UPNP] = "upnp",
	[PORT_MAPPING_OFF] = "off",
};
static const char *const state_words[PORT_MAPPING_STATE_CNT] = {
	[PORT_MAPPING_ASKING] = "asking",   [PORT_MAPPING_MAPPED] = "mapped",
	[PORT_MAPPING_PRIVATE] = "private", [PORT_MAPPING_FOREIGN] = "foreign",
	[PORT_MAPPING_FAILED] = "failed",
};

const char *port_mapping_method_word(enum port_mapping_method method)
{
	return method_words[method];
}

const char *port_mapping_state_word(enum port_mapping_state state)
{
	return state_words[state];
}

void port_mapping_config_defaults(struct port_mapping_config *config)
{
	*config = (struct port_mapping_config){.method = PORT_MAPPING_AUTO,
					       .lifetime_ns = LIFETIME_NS};
}

/* --- the router's port 5351 --- */

static void socket_close(struct port_mapping *mapping, struct poller_watch *socket)
{
	if (socket->fd < 0)
		return;
	poller_remove(mapping->params.poller, socket);
	close(socket->fd);
	socket->fd = -1;
}

/* Connected: the kernel lets datagrams of the router's port alone in, and tells what ICMP says of it. */
static void socket_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct port_mapping *mapping = container_of(watch, struct port_mapping, socket);
	uint8_t data[PCP_LEN_MAX + 1];

	(void)events;
	mapping->now_ns = now_ns;
	for (unsigned i = 0; i < READ_MAX && watch->fd >= 0; i++) {
		ssize_t len = recv(watch->fd, data, sizeof(data), MSG_DONTWAIT);

		if (len < 0 && errno == ECONNREFUSED)
			port_mapping_mapper_no_server(&mapping->mapper, now_ns);
		if (len < 0)
			return;
		port_mapping_mapper_input(&mapping->mapper, data, (size_t)len, now_ns);
	}
}

static int socket_open(struct port_mapping *mapping)
{
	struct sockaddr_storage local, router;
	struct addr server = mapping->router;
	unsigned local_len, router_len;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err = 0;

	if (fd < 0)
		return -errno;
	server.port = PCP_PORT;
	local_len = addr_to_sockaddr(&mapping->client, &local);
	router_len = addr_to_sockaddr(&server, &router);
	mapping->socket.fd = fd;
	mapping->socket.ready = socket_ready;
	if (bind(fd, (struct sockaddr *)&local, local_len) < 0 ||
	    connect(fd, (struct sockaddr *)&router, router_len) < 0)
		err = -errno;
	else
		err = poller_add(mapping->params.poller, &mapping->socket, POLLER_IN);
	if (err < 0) {
		close(fd);
		mapping->socket.fd = -1;
	}
	return err;
}

/* Any host can write to the group; all but the router are passed over. */
static void announced_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct port_mapping *mapping = container_of(watch, struct port_mapping, announced);
	uint8_t data[PCP_LEN_MAX + 1];

	(void)events;
	mapping->now_ns = now_ns;
	for (unsigned i = 0; i < READ_MAX; i++) {
		struct sockaddr_in from;
		socklen_t from_len = sizeof(from);
		ssize_t len = recvfrom(watch->fd, data, sizeof(data), MSG_DONTWAIT,
				       (struct sockaddr *)&from, &from_len);

		if (len < 0)
			return;
		if (from_len == sizeof(from) && from.sin_port == htons(PCP_PORT) &&
		    memcmp(&from.sin_addr, mapping->router.ip, 4) == 0)
			port_mapping_mapper_announced(&mapping->mapper, data, (size_t)len, now_ns);
	}
}

/*
 * RFC 6887 14.1.3: the port is shared with other clients of this host. All hosts are members of the
 * group. Where the port cannot be had, a restart of the router shows at the next renewal.
 */
static void announced_open(struct port_mapping *mapping)
{
	struct sockaddr_in group = {
		.sin_family = AF_INET,
		.sin_port = htons(PCP_CLIENT_PORT),
		.sin_addr.s_addr = htonl(INADDR_ALLHOSTS_GROUP),
	};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return;
	mapping->announced.fd = fd;
	mapping->announced.ready = announced_ready;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
	    bind(fd, (struct sockaddr *)&group, sizeof(group)) < 0 ||
	    poller_add(mapping->params.poller, &mapping->announced, POLLER_IN) < 0) {
		close(fd);
		mapping->announced.fd = -1;
	}
}

static void op_send(void *ctx, const uint8_t *data, size_t len)
{
	struct port_mapping *mapping = ctx;

	/* An error is what the last datagram met; what waits is sent again. */
	if (mapping->socket.fd >= 0 &&
	    send(mapping->socket.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	    errno == ECONNREFUSED)
		(void)!send(mapping->socket.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* --- UPnP --- */

static bool upnp_begin(struct port_mapping *mapping, bool is_withdrawal);

static void upnp_done(struct job *job)
{
	struct port_mapping *mapping = container_of(job, struct port_mapping, upnp.job);

	mapping->is_upnp_running = false;
	if (mapping->is_withdraw_due) {
		mapping->is_withdraw_due = false;
		if (upnp_begin(mapping, true))
			return;
	}
	if (mapping->is_upnp_stale)
		mapping->upnp.end.why = "the router is another one";
	port_mapping_mapper_upnp_ended(&mapping->mapper, &mapping->upnp.end, mapping->now_ns);
}

static bool upnp_begin(struct port_mapping *mapping, bool is_withdrawal)
{
	struct upnp *upnp = &mapping->upnp;
	const struct mapper *mapper = &mapping->mapper;

	if (!addr_equal(&upnp->router, &mapping->router))
		upnp->control_url[0] = '\0';
	upnp->job = (struct job){.run = port_mapping_upnp_run, .done = upnp_done};
	upnp->router = mapping->router;
	upnp->client = mapping->client;
	upnp->port_cnt = mapping->params.port_cnt;
	upnp->lifetime_s = (uint32_t)(mapping->params.config.lifetime_ns / NS_PER_S);
	upnp->is_withdrawal = is_withdrawal;
	upnp->stop_fd = jobs_stop_fd(mapping->jobs);
	for (unsigned i = 0; i < upnp->port_cnt; i++) {
		upnp->ports[i] = mapping->params.ports[i];
		upnp->external_ports[i] = mapper->mappings[i].external.port;
	}
	mapping->is_upnp_stale = false;
	mapping->is_upnp_running = jobs_submit(mapping->jobs, &upnp->job) == 0;
	return mapping->is_upnp_running;
}

static bool op_upnp(void *ctx, bool is_withdrawal)
{
	struct port_mapping *mapping = ctx;

	if (!mapping->is_upnp_running)
		return upnp_begin(mapping, is_withdrawal);
	mapping->is_withdraw_due |= is_withdrawal;
	return is_withdrawal;
}

static void op_changed(void *ctx, uint64_t now_ns)
{
	const struct port_mapping *mapping = ctx;

	mapping->params.changed(mapping->params.ctx, now_ns);
}

static const struct mapper_ops mapper_ops = {
	.send = op_send,
	.upnp = op_upnp,
	.changed = op_changed,
};

/* --- the router --- */

static void router_none(struct port_mapping *mapping, const char *why, uint64_t now_ns)
{
	mapping->no_router = why;
	mapping->router = mapping->client = (struct addr){.family = ADDR_NONE};
	mapping->is_upnp_stale = true;
	socket_close(mapping, &mapping->socket);
	socket_close(mapping, &mapping->announced);
	port_mapping_mapper_stop(&mapping->mapper, now_ns);
}

static void router_set(struct port_mapping *mapping, const struct addr *router,
		       const struct addr *client, uint64_t now_ns)
{
	if (addr_equal(router, &mapping->router) && addr_equal(client, &mapping->client))
		return;
	mapping->router = *router;
	mapping->client = *client;
	mapping->no_router = NULL;
	mapping->is_upnp_stale = true;
	socket_close(mapping, &mapping->socket);
	if (socket_open(mapping) < 0) {
		router_none(mapping, "no socket to the router can be opened", now_ns);
		return;
	}
	if (mapping->announced.fd < 0)
		announced_open(mapping);
	port_mapping_mapper_begin(&mapping->mapper, client, now_ns);
}

static void look(struct timer *timer, uint64_t now_ns)
{
	struct port_mapping *mapping = container_of(timer, struct port_mapping, look_timer);
	struct addr router, client;

	mapping->now_ns = now_ns;
	timer_set(mapping->params.timers, timer, now_ns + LOOK_AGAIN_NS);
	if (!net_default_router(&router, &client))
		router_none(mapping, "this machine has no default router of IPv4", now_ns);
	else if (addr_is_global(&client))
		router_none(mapping, "this machine's own address is public", now_ns);
	else
		router_set(mapping, &router, &client, now_ns);
}

/* --- life --- */

static int upnp_open(struct port_mapping *mapping)
{
	enum port_mapping_method method = mapping->params.config.method;
	int err;

	if (method != PORT_MAPPING_AUTO && method != PORT_MAPPING_UPNP)
		return 0;
	if ((err = jobs_new_as(SANDBOX_LOOKUP, 1, 1, &mapping->jobs)) < 0)
		return err;
	random_init_system(&mapping->upnp.random);
	return mapping->params.watch(mapping->params.ctx, &mapping->jobs_watch,
				     jobs_fd(mapping->jobs));
}

int port_mapping_open(const struct port_mapping_params *params, struct port_mapping **out_mapping)
{
	struct port_mapping *mapping = calloc(1, sizeof(*mapping));
	struct mapper_params mapper;
	int err;

	if (!mapping)
		return -ENOMEM;
	mapping->params = *params;
	mapping->socket.fd = mapping->announced.fd = -1;
	mapper = (struct mapper_params){
		.config = params->config,
		.ports = mapping->params.ports,
		.port_cnt = params->port_cnt,
		.timers = params->timers,
		.random = params->random,
		.ops = &mapper_ops,
		.ctx = mapping,
	};
	port_mapping_mapper_init(&mapping->mapper, &mapper);
	timer_init(&mapping->look_timer, look);
	if ((err = upnp_open(mapping)) < 0) {
		port_mapping_close(mapping);
		return err;
	}
	timer_set(params->timers, &mapping->look_timer, params->now_ns + FIRST_LOOK_NS);
	*out_mapping = mapping;
	return 0;
}

static void changed_nothing(void *ctx, uint64_t now_ns)
{
	(void)ctx, (void)now_ns;
}

void port_mapping_close(struct port_mapping *mapping)
{
	if (!mapping)
		return;
	mapping->params.changed = changed_nothing;
	timer_cancel(mapping->params.timers, &mapping->look_timer);
	port_mapping_mapper_stop(&mapping->mapper, 0);
	socket_close(mapping, &mapping->socket);
	socket_close(mapping, &mapping->announced);
	if (mapping->jobs_watch.ready)
		poller_remove(mapping->params.poller, &mapping->jobs_watch);
	jobs_free(mapping->jobs);
	free(mapping);
}

bool port_mapping_turn(struct port_mapping *mapping, uint64_t now_ns)
{
	if (!mapping || !mapping->jobs)
		return false;
	mapping->now_ns = now_ns;
	return jobs_reap(mapping->jobs) > 0;
}

void port_mapping_changed(struct port_mapping *mapping, uint64_t now_ns)
{
	if (mapping && !mapping->mapper.is_withdrawing &&
	    mapping->look_timer.at_ns > now_ns + LOOK_NS)
		timer_set(mapping->params.timers, &mapping->look_timer, now_ns + LOOK_NS);
}

void port_mapping_withdraw(struct port_mapping *mapping, uint64_t now_ns)
{
	if (!mapping)
		return;
	mapping->now_ns = now_ns;
	mapping->withdraw_until_ns = now_ns + WITHDRAW_MAX_NS;
	timer_cancel(mapping->params.timers, &mapping->look_timer);
	port_mapping_mapper_withdraw(&mapping->mapper, now_ns);
}

bool port_mapping_is_withdrawing(const struct port_mapping *mapping, uint64_t now_ns)
{
	return mapping && port_mapping_mapper_is_withdrawing(&mapping->mapper) &&
	       now_ns < mapping->withdraw_until_ns;
}

/* --- what is shown --- */

static enum port_mapping_state state_of(const struct port_mapping *mapping,
					const struct mapping *port)
{
	struct addr observed;

	if (port->external.family == ADDR_NONE)
		return port->is_failed || mapping->no_router ? PORT_MAPPING_FAILED
							     : PORT_MAPPING_ASKING;
	if (!addr_is_global(&port->external) && !mapping->params.allows_private)
		return PORT_MAPPING_PRIVATE;
	/* Where the router lies, or more than one leads out, most others see another address. */
	if (mapping->params.observed(mapping->params.ctx, &observed) &&
	    !addr_is_same_host(&observed, &port->external))
		return PORT_MAPPING_FOREIGN;
	return PORT_MAPPING_MAPPED;
}

bool port_mapping_external(const struct port_mapping *mapping, enum addr_transport transport,
			   struct addr *out_addr)
{
	for (unsigned i = 0; mapping && i < mapping->params.port_cnt; i++) {
		const struct mapping *port = &mapping->mapper.mappings[i];

		if (port->port.transport != transport || mapping->mapper.is_withdrawing ||
		    state_of(mapping, port) != PORT_MAPPING_MAPPED)
			continue;
		*out_addr = port->external;
		return true;
	}
	return false;
}

static void why_write(const struct port_mapping *mapping, const struct mapping *port,
		      struct port_mapping_row *row)
{
	row->why[0] = '\0';
	if (mapping->no_router)
		snprintf(row->why, sizeof(row->why), "%s", mapping->no_router);
	else if (row->state == PORT_MAPPING_PRIVATE)
		snprintf(row->why, sizeof(row->why),
			 "the router's address is private: another NAT lies beyond it");
	else if (row->state == PORT_MAPPING_FOREIGN)
		snprintf(row->why, sizeof(row->why), "other nodes see this one at another address");
	else if (row->state != PORT_MAPPING_MAPPED)
		port_mapping_mapper_why(&mapping->mapper, port, row->why);
}

bool port_mapping_row(const struct port_mapping *mapping, unsigned at, uint64_t now_ns,
		      struct port_mapping_row *out_row)
{
	const struct mapping *port;
	struct port_mapping_row row = {.method = PORT_MAPPING_AUTO};

	if (!mapping || at >= mapping->params.port_cnt)
		return false;
	port = &mapping->mapper.mappings[at];
	row.port = port->port;
	row.state = state_of(mapping, port);
	row.method = mapping->mapper.method;
	row.external = port->external;
	if (port->external.family != ADDR_NONE && port->until_ns > now_ns)
		row.lifetime_s = (port->until_ns - now_ns) / NS_PER_S;
	why_write(mapping, port, &row);
	*out_row = row;
	return true;
}

struct addr port_mapping_router(const struct port_mapping *mapping)
{
	return mapping ? mapping->router : (struct addr){.family = ADDR_NONE};
}

void port_mapping_stats(const struct port_mapping *mapping, struct port_mapping_stats *out_stats)
{
	*out_stats = (struct port_mapping_stats){0};
	if (!mapping)
		return;
	*out_stats = mapping->mapper.stats;
	for (unsigned i = 0; i < mapping->params.port_cnt; i++)
		out_stats->mapping_cnt += mapping->mapper.mappings[i].external.family != ADDR_NONE;
}

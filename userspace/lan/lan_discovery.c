/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The LAN's sockets and interfaces. A node that is heard is dialled. When it proves its key it is a
 * neighbour, and proven is called. The finder gives the nodes heard to swarms. Home worker.
 */
#include "lan/lan_discovery.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/log.h"
#include "base/thread/poller.h"
#include "blobs/swarm/finder.h"
#include "lan/lan.h"
#include "lan/lan_proof.h"
#include "net/udp/group_socket.h"
#include "lan/lan_discovery.h"

#define SOURCE_MAX 8 /* nodes of one address: so many run on one machine */
#define FINDS_MAX  64
/* Datagrams of one turn from one socket: a flood must not hold the worker. */
#define TURN_MAX 32
/* The longest of mDNS, and a byte that shows a longer one. */
#define DNSSD_PACKET_CAP 9001

static const struct {
	enum group_kind kind;
	uint16_t port;
	enum lan_way way;
} ways[] = {
	{GROUP_MDNS_IPV4, LAN_DNSSD_PORT, LAN_DNSSD},
	{GROUP_MDNS_IPV6, LAN_DNSSD_PORT, LAN_DNSSD},
	{GROUP_BROADCAST, LAN_BEACON_PORT, LAN_BEACON},
};
#define WAY_CNT (sizeof(ways) / sizeof(ways[0]))

struct lan_socket {
	struct poller_watch watch; /* first */
	struct group_socket group;
	struct lan_discovery *part;
	enum lan_way way;
};

struct lan_find {
	bool is_on;
	struct swarm_find asked;
};

struct lan_discovery {
	struct lan_discovery_params params;
	struct lan *lan;
	struct lan_proof *proof;
	struct lan_socket sockets[WAY_CNT];
	struct lan_find finds[FINDS_MAX];
	bool has_finds;
	char interfaces[LAN_INTERFACES_TEXT_CAP];
	uint64_t services_version;
	uint32_t joined[LAN_INTERFACE_CAP];
	unsigned joined_cnt;
	uint8_t packet[DNSSD_PACKET_CAP];
};

void lan_discovery_config_defaults(struct lan_discovery_config *config)
{
	*config = (struct lan_discovery_config){.node_cap = 256};
}

static void on_found(void *ctx, const struct lan_node *found, uint64_t now_ns)
{
	struct lan_discovery *part = ctx;
	struct mesh_peer peer = {.addrs = &found->addr, .addr_cnt = 1};

	if (!found->has_key || !found->addr.port)
		return;
	memcpy(peer.key, found->key, sizeof(peer.key));
	if (!part->params.has_session(part->params.ctx, peer.key)) {
		/* No more are remembered than lan does, which counts those it has no room for. */
		(void)lan_proof_add(part->proof, &peer, now_ns);
		return;
	}
	part->params.proven(part->params.ctx, &peer, now_ns);
	if (found->services)
		part->params.relays(part->params.ctx, peer.key, now_ns);
}

/* --- sources of content --- */

static void lan_node_tell(const struct swarm_find *asked, const struct lan_node *heard)
{
	struct mesh_peer peer = {.addrs = &heard->addr, .addr_cnt = 1};

	if (heard->has_key && heard->addr.port) {
		memcpy(peer.key, heard->key, sizeof(peer.key));
		asked->found(asked->arg, &peer);
	}
}

static int finder_find(void *ctx, const struct swarm_find *asked, uint64_t now_ns, void **out_run)
{
	struct lan_discovery *part = ctx;
	const struct lan_node *heard = NULL;
	struct lan_find *find = part->finds;

	(void)now_ns;
	while (find < part->finds + FINDS_MAX && find->is_on)
		find++;
	if (!part->lan || find == part->finds + FINDS_MAX)
		return WEFT_EFULL;
	*find = (struct lan_find){true, *asked};
	part->has_finds = true;
	while ((heard = lan_next(part->lan, heard)))
		lan_node_tell(asked, heard);
	*out_run = find;
	return 0;
}

static void finder_cancel(void *run)
{
	((struct lan_find *)run)->is_on = false;
}

static const struct swarm_finder_ops finder_ops = {
	.find = finder_find,
	.cancel = finder_cancel,
};

static void finds_end(struct lan_discovery *part, uint64_t now_ns)
{
	part->has_finds = false;
	for (unsigned i = 0; i < FINDS_MAX; i++) {
		struct lan_find *find = &part->finds[i];

		if (!find->is_on)
			continue;
		find->is_on = false;
		find->asked.done(find->asked.arg, now_ns);
	}
}

/* --- sockets --- */

/* A lost packet is repeated later. */
static void packet_send(void *ctx, const struct lan_packet *packet)
{
	struct lan_discovery *part = ctx;

	for (unsigned i = 0; i < WAY_CNT; i++) {
		const struct group_socket *group = &part->sockets[i].group;
		bool is_ipv6 = group->kind == GROUP_MDNS_IPV6;

		if (group->fd >= 0 && part->sockets[i].way == packet->way &&
		    is_ipv6 == (packet->family == ADDR_IPV6) &&
		    net_group_socket_send(group, packet->interface, packet->bytes, packet->len) < 0)
			return;
	}
}

static void socket_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct lan_socket *from = (struct lan_socket *)watch;
	struct lan_discovery *part = from->part;

	(void)events;
	for (unsigned i = 0; i < TURN_MAX; i++) {
		struct lan_packet packet = {.way = from->way, .bytes = part->packet};
		int len = net_group_socket_receive(&from->group, part->packet, sizeof(part->packet),
						   &packet.source, &packet.interface);

		if (len < 0)
			return;
		packet.len = (size_t)len;
		lan_input(part->lan, &packet, now_ns);
	}
}

static void sockets_close(struct lan_discovery *part)
{
	for (unsigned i = 0; i < WAY_CNT; i++) {
		struct lan_socket *socket = &part->sockets[i];

		if (socket->group.fd < 0)
			continue;
		poller_remove(part->params.poller, &socket->watch);
		net_group_socket_close(&socket->group);
	}
	part->joined_cnt = 0;
}

/* A family or port that is not to be had leaves the others. */
static void sockets_open(struct lan_discovery *part)
{
	for (unsigned i = 0; i < WAY_CNT; i++) {
		struct lan_socket *socket = &part->sockets[i];
		int err = net_group_socket_open(&socket->group, ways[i].kind, ways[i].port);

		socket->part = part;
		socket->way = ways[i].way;
		socket->watch.ready = socket_ready;
		if (err == 0) {
			socket->watch.fd = socket->group.fd;
			err = poller_add(part->params.poller, &socket->watch, POLLER_IN);
			if (err < 0)
				net_group_socket_close(&socket->group);
		}
		if (err < 0)
			log_warn("LAN: cannot use UDP port %u%s: %s; going on without it",
				 ways[i].port, i == 1 ? " over IPv6" : "", weft_err_text(err));
	}
}

/* --- interfaces --- */

static bool name_is_on(const char *list, const char *name)
{
	static const char apart[] = " ,";
	size_t name_len = strlen(name);

	while (*list) {
		size_t len = strcspn(list, apart);

		if ((len == name_len && memcmp(list, name, len) == 0) ||
		    (len == 3 && memcmp(list, "all", 3) == 0))
			return true;
		list += len;
		list += strspn(list, apart);
	}
	return false;
}

static struct lan_interface *interface_at(struct lan_interface *interfaces, unsigned *cnt,
					  const char *name)
{
	struct lan_interface *interface;

	for (unsigned i = 0; i < *cnt; i++)
		if (strcmp(interfaces[i].name, name) == 0)
			return &interfaces[i];
	if (*cnt == LAN_INTERFACE_CAP || strlen(name) >= sizeof(interface->name))
		return NULL;
	interface = &interfaces[(*cnt)++];
	*interface = (struct lan_interface){.index = if_nametoindex(name)};
	memcpy(interface->name, name, strlen(name) + 1);
	return interface;
}

static unsigned interfaces_list(const struct lan_discovery *part, struct lan_interface *interfaces)
{
	const unsigned needed = IFF_UP | IFF_RUNNING;
	struct ifaddrs *list, *at;
	unsigned cnt = 0;

	if (getifaddrs(&list) < 0)
		return 0;
	for (at = list; at; at = at->ifa_next) {
		struct lan_interface *interface;
		struct addr addr;

		if (!at->ifa_addr || (at->ifa_flags & needed) != needed ||
		    at->ifa_flags & IFF_LOOPBACK || !name_is_on(part->interfaces, at->ifa_name) ||
		    addr_from_sockaddr(at->ifa_addr, &addr) < 0)
			continue;
		interface = interface_at(interfaces, &cnt, at->ifa_name);
		if (interface && interface->addr_cnt < LAN_INTERFACE_ADDRS)
			interface->addrs[interface->addr_cnt++] = addr;
	}
	freeifaddrs(list);
	return cnt;
}

static void groups_join(struct lan_discovery *part, const struct lan_interface *interfaces,
			unsigned cnt)
{
	for (unsigned i = 0; i < WAY_CNT; i++) {
		const struct group_socket *group = &part->sockets[i].group;

		for (unsigned at = 0; at < part->joined_cnt && group->fd >= 0; at++)
			net_group_socket_leave(group, part->joined[at]);
		/* One without the family is heard in the other. */
		for (unsigned at = 0; at < cnt && group->fd >= 0; at++)
			if (net_group_socket_join(group, interfaces[at].index) < 0)
				continue;
	}
	part->joined_cnt = cnt;
	for (unsigned at = 0; at < cnt; at++)
		part->joined[at] = interfaces[at].index;
}

/* A node that becomes a relay, or relays another service, is announced so at once. */
static void self_follow(struct lan_discovery *part, uint64_t now_ns)
{
	struct lan_services services;

	lan_set_self(part->lan, part->params.port, part->params.caps(part->params.ctx), now_ns);
	if (part->params.services(part->params.ctx, &part->services_version, &services))
		lan_set_services(part->lan, &services, now_ns);
}

static void interfaces_follow(struct lan_discovery *part, uint64_t now_ns)
{
	struct lan_interface interfaces[LAN_INTERFACE_CAP];
	unsigned cnt = interfaces_list(part, interfaces);

	groups_join(part, interfaces, cnt);
	lan_set_interfaces(part->lan, interfaces, cnt, now_ns);
	self_follow(part, now_ns);
}

/* --- on and off --- */

static int part_begin(struct lan_discovery *part, uint64_t now_ns)
{
	const struct lan_params params = {
		.own_key = part->params.own_key,
		.port = part->params.port,
		.caps = part->params.caps(part->params.ctx),
		.random = part->params.random,
		.node_cap = part->params.config.node_cap,
		.source_max = SOURCE_MAX,
		.now_ns = now_ns,
		.send = packet_send,
		.found = on_found,
		.ctx = part,
	};
	int err = lan_new(&params, &part->lan);

	part->services_version = 0;
	if (err == 0)
		sockets_open(part);
	return err;
}

static void part_end(struct lan_discovery *part)
{
	lan_free(part->lan);
	part->lan = NULL;
	lan_proof_clear(part->proof);
	sockets_close(part);
}

static int part_apply(struct lan_discovery *part, const struct lan_discovery_config *config,
		      uint64_t now_ns)
{
	int err = 0;

	memcpy(part->interfaces, config->interfaces, sizeof(part->interfaces));
	if (!config->interfaces[0] && part->lan)
		part_end(part);
	else if (config->interfaces[0] && !part->lan)
		err = part_begin(part, now_ns);
	if (part->lan) {
		interfaces_follow(part, now_ns);
		lan_set_foreign(part->lan, config->browses_foreign, now_ns);
	}
	return err;
}

int lan_discovery_new(const struct lan_discovery_params *params, struct lan_discovery **out_part)
{
	const struct lan_proof_params proof = {
		.node_cap = params->config.node_cap,
		.random = params->random,
		.dial = params->dial,
		.proven = params->proven,
		.ctx = params->ctx,
	};
	struct lan_discovery *part = calloc(1, sizeof(*part));
	int err;

	if (!part)
		return -ENOMEM;
	part->params = *params;
	for (unsigned i = 0; i < WAY_CNT; i++)
		part->sockets[i].group.fd = -1;
	if ((err = lan_proof_new(&proof, &part->proof)) < 0 ||
	    (err = part_apply(part, &params->config, params->now_ns)) < 0) {
		lan_discovery_free(part);
		return err;
	}
	*out_part = part;
	return 0;
}

struct swarm_finder lan_discovery_finder(struct lan_discovery *part)
{
	return (struct swarm_finder){&finder_ops, part};
}

void lan_discovery_stop(struct lan_discovery *part)
{
	if (part)
		part_end(part);
}

void lan_discovery_free(struct lan_discovery *part)
{
	if (!part)
		return;
	lan_proof_free(part->proof);
	free(part);
}

void lan_discovery_turn(struct lan_discovery *part, uint64_t now_ns)
{
	if (!part)
		return;
	if (part->has_finds)
		finds_end(part, now_ns);
	if (part->lan)
		self_follow(part, now_ns);
	if (part->lan && now_ns >= lan_next_ns(part->lan))
		lan_expire(part->lan, now_ns);
	lan_proof_expire(part->proof, now_ns);
}

uint64_t lan_discovery_next_ns(const struct lan_discovery *part)
{
	uint64_t next_ns;

	if (!part)
		return UINT64_MAX;
	if (part->has_finds)
		return 0;
	next_ns = lan_proof_next_ns(part->proof);
	return part->lan && lan_next_ns(part->lan) < next_ns ? lan_next_ns(part->lan) : next_ns;
}

void lan_discovery_addresses_changed(struct lan_discovery *part, uint64_t now_ns)
{
	if (part && part->lan)
		interfaces_follow(part, now_ns);
}

void lan_discovery_configure(struct lan_discovery *part, const struct lan_discovery_config *config,
			     uint64_t now_ns)
{
	int err = part ? part_apply(part, config, now_ns) : 0;

	if (err < 0)
		log_warn("LAN: cannot switch discovery on: %s; it stays off", weft_err_text(err));
}

const struct lan *lan_discovery_lan(const struct lan_discovery *part)
{
	return part ? part->lan : NULL;
}

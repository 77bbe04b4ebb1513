/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The LAN: lan between its sockets and those who use what it hears. Who is
 * heard is dialled, which makes a session and a neighbour of him if he proves his key, and
 * then is told to the overlay; and he is asked for content (swarm's finder).
 */
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/log.h"
#include "blobs/blobs.h"
#include "blobs/swarm/finder.h"
#include "mesh/session/hello.h"
#include "lan/lan_proof.h"
#include "mesh/mesh.h"
#include "net/udp/group_socket.h"
#include "node/fabric/fabric.h"
#include "node/node_state.h"
#include "node/sharing/sharing_lan.h"
#include "node/sharing/sharing_state.h"

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
	struct sharing_lan *part;
	enum lan_way way;
};

struct lan_find {
	bool is_on;
	struct swarm_find asked;
};

struct sharing_lan {
	struct node *node;
	struct lan *lan;
	struct lan_proof *proof;
	struct lan_socket sockets[WAY_CNT];
	struct lan_find finds[FINDS_MAX];
	bool has_finds;
	char interfaces[LAN_INTERFACES_TEXT_CAP];
	uint32_t joined[LAN_INTERFACE_CAP];
	unsigned joined_cnt;
	uint8_t packet[DNSSD_PACKET_CAP];
};

void node_sharing_lan_config_defaults(struct sharing_lan_config *config)
{
	*config = (struct sharing_lan_config){.node_cap = 256};
}

/* --- who was heard --- */

static int node_dial(void *ctx, const struct mesh_peer *peer, uint64_t timeout_ns,
		     mesh_connect_fn done, void *arg, uint64_t now_ns)
{
	struct sharing_lan *part = ctx;

	return mesh_connect(part->node->home.mesh, peer, timeout_ns, done, arg, now_ns);
}

static void node_proven(void *ctx, const struct mesh_peer *peer, uint64_t now_ns)
{
	struct sharing_lan *part = ctx;

	if (part->node->fabric)
		overlay_know(node_fabric_overlay(part->node->fabric), peer, now_ns);
}

static void node_found(void *ctx, const struct lan_node *found, uint64_t now_ns)
{
	struct sharing_lan *part = ctx;
	struct mesh_peer peer = {.addrs = &found->addr, .addr_cnt = 1};
	uint8_t session[MESH_SESSION_ID_LEN];

	if (!found->has_key || !found->addr.port)
		return;
	memcpy(peer.key, found->key, sizeof(peer.key));
	if (mesh_session_id(part->node->home.mesh, peer.key, session) == 0)
		node_proven(part, &peer, now_ns);
	else
		/* No more are remembered than lan does, which counts those it has no room for. */
		(void)lan_proof_add(part->proof, &peer, now_ns);
}

/* --- sources of content --- */

static bool lan_node_tell(void *arg, const struct lan_node *heard)
{
	const struct swarm_find *asked = arg;
	struct mesh_peer peer = {.addrs = &heard->addr, .addr_cnt = 1};

	if (heard->has_key && heard->addr.port) {
		memcpy(peer.key, heard->key, sizeof(peer.key));
		asked->found(asked->arg, &peer);
	}
	return true;
}

static int finder_find(void *ctx, const struct swarm_find *asked, uint64_t now_ns, void **out_run)
{
	struct sharing_lan *part = ctx;
	struct lan_find *find = part->finds;

	(void)now_ns;
	while (find < part->finds + FINDS_MAX && find->is_on)
		find++;
	if (!part->lan || find == part->finds + FINDS_MAX)
		return WEFT_EFULL;
	*find = (struct lan_find){true, *asked};
	part->has_finds = true;
	lan_each(part->lan, lan_node_tell, (void *)asked);
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

static void finds_end(struct sharing_lan *part, uint64_t now_ns)
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

static void packet_send(void *ctx, enum lan_way way, uint8_t family,
			const struct lan_interface *interface, const void *bytes, size_t len)
{
	struct sharing_lan *part = ctx;

	for (unsigned i = 0; i < WAY_CNT; i++) {
		const struct group_socket *group = &part->sockets[i].group;
		bool is_ipv6 = group->kind == GROUP_MDNS_IPV6;

		if (group->fd < 0 || part->sockets[i].way != way ||
		    is_ipv6 != (family == ADDR_IPV6))
			continue;
		/* It is told again soon. */
		if (net_group_socket_send(group, interface->index, bytes, len) < 0)
			return;
	}
}

static void socket_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct lan_socket *from = (struct lan_socket *)watch;
	struct sharing_lan *part = from->part;

	(void)events;
	for (unsigned i = 0; i < TURN_MAX; i++) {
		struct addr source;
		uint32_t interface;
		int len = net_group_socket_receive(&from->group, part->packet, sizeof(part->packet),
						   &source, &interface);

		if (len < 0)
			return;
		lan_input(part->lan, from->way, interface, &source, part->packet, (size_t)len,
			  now_ns);
	}
}

static void sockets_close(struct sharing_lan *part)
{
	for (unsigned i = 0; i < WAY_CNT; i++) {
		struct lan_socket *socket = &part->sockets[i];

		if (socket->group.fd < 0)
			continue;
		poller_remove(part->node->home.poller, &socket->watch);
		net_group_socket_close(&socket->group);
	}
	part->joined_cnt = 0;
}

/* A family or port that is not to be had leaves the others. */
static void sockets_open(struct sharing_lan *part)
{
	for (unsigned i = 0; i < WAY_CNT; i++) {
		struct lan_socket *socket = &part->sockets[i];
		int err = net_group_socket_open(&socket->group, ways[i].kind, ways[i].port);

		socket->part = part;
		socket->way = ways[i].way;
		socket->watch.ready = socket_ready;
		if (err == 0) {
			socket->watch.fd = socket->group.fd;
			err = poller_add(part->node->home.poller, &socket->watch, POLLER_IN);
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

static unsigned interfaces_list(const struct sharing_lan *part, struct lan_interface *interfaces)
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

static void groups_join(struct sharing_lan *part, const struct lan_interface *interfaces,
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

static void interfaces_follow(struct sharing_lan *part, uint64_t now_ns)
{
	struct lan_interface interfaces[LAN_INTERFACE_CAP];
	unsigned cnt = interfaces_list(part, interfaces);

	groups_join(part, interfaces, cnt);
	lan_set_interfaces(part->lan, interfaces, cnt, now_ns);
	lan_set_self(part->lan, part->node->home.bound[0].port, mesh_caps(part->node->home.mesh),
		     now_ns);
}

/* --- on and off --- */

static int part_begin(struct sharing_lan *part, uint64_t now_ns)
{
	struct node *node = part->node;
	const struct lan_params params = {
		.own_key = node->own_key,
		.port = node->home.bound[0].port,
		.caps = mesh_caps(node->home.mesh),
		.random = node->random,
		.node_cap = node->config->sharing.lan.node_cap,
		.source_max = SOURCE_MAX,
		.now_ns = now_ns,
		.send = packet_send,
		.found = node_found,
		.ctx = part,
	};
	int err = lan_new(&params, &part->lan);

	if (err == 0)
		sockets_open(part);
	return err;
}

static void part_end(struct sharing_lan *part)
{
	lan_free(part->lan);
	part->lan = NULL;
	lan_proof_clear(part->proof);
	sockets_close(part);
}

static int part_apply(struct sharing_lan *part, const char *interfaces, uint64_t now_ns)
{
	int err = 0;

	memcpy(part->interfaces, interfaces, sizeof(part->interfaces));
	if (!interfaces[0] && part->lan)
		part_end(part);
	else if (interfaces[0] && !part->lan)
		err = part_begin(part, now_ns);
	if (part->lan)
		interfaces_follow(part, now_ns);
	return err;
}

int node_sharing_open_lan(struct sharing *sharing)
{
	struct node *node = sharing->node;
	struct lan_proof_params proof = {.node_cap = node->config->sharing.lan.node_cap,
					 .random = node->random,
					 .dial = node_dial,
					 .proven = node_proven};
	struct sharing_lan *part;
	struct swarm_finder finder;
	int err;

	/* The simulator has no LAN. */
	if (node->home.is_simulated)
		return 0;
	part = calloc(1, sizeof(*part));
	if (!part)
		return -ENOMEM;
	sharing->lan = part;
	part->node = node;
	for (unsigned i = 0; i < WAY_CNT; i++)
		part->sockets[i].group.fd = -1;
	proof.ctx = part;
	if ((err = lan_proof_new(&proof, &part->proof)) < 0)
		return err;
	finder = (struct swarm_finder){&finder_ops, part};
	err = blobs_add_finder(node->home.content, &finder);
	return err < 0 ? err
		       : part_apply(part, node->config->sharing.lan.interfaces, node->home.now_ns);
}

void node_sharing_stop_lan(struct sharing_lan *part)
{
	if (part)
		part_end(part);
}

void node_sharing_free_lan(struct sharing_lan *part)
{
	if (!part)
		return;
	lan_proof_free(part->proof);
	free(part);
}

void node_sharing_turn_lan(struct sharing_lan *part, uint64_t now_ns)
{
	if (!part)
		return;
	if (part->has_finds)
		finds_end(part, now_ns);
	if (part->lan && now_ns >= lan_next_ns(part->lan))
		lan_expire(part->lan, now_ns);
	lan_proof_expire(part->proof, now_ns);
}

uint64_t node_sharing_next_lan_ns(const struct sharing_lan *part)
{
	uint64_t next_ns;

	if (!part)
		return UINT64_MAX;
	if (part->has_finds)
		return 0;
	next_ns = lan_proof_next_ns(part->proof);
	return part->lan && lan_next_ns(part->lan) < next_ns ? lan_next_ns(part->lan) : next_ns;
}

void node_sharing_lan_addresses_changed(struct sharing_lan *part, uint64_t now_ns)
{
	if (part && part->lan)
		interfaces_follow(part, now_ns);
}

void node_sharing_lan_configure(struct sharing_lan *part, const struct sharing_lan_config *config,
				uint64_t now_ns)
{
	int err = part ? part_apply(part, config->interfaces, now_ns) : 0;

	if (err < 0)
		log_warn("LAN: cannot switch discovery on: %s; it stays off", weft_err_text(err));
}

const struct lan *node_sharing_lan_of(const struct sharing_lan *part)
{
	return part ? part->lan : NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ports of IPv4 and IPv6 by which the life of mappings is measured (reachability/nat_life.h), and the rows of
 * networks that were. The kernel chooses the ports, and nothing else is sent there. Without one nothing is
 * measured. Home worker.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/byte_cursor.h"
#include "base/container_of.h"
#include "base/monotonic.h"
#include "node/node_state.h"

#define READ_MAX 8

static void on_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct nat_port *port = container_of(watch, struct nat_port, watch);
	uint8_t data[REACHABILITY_LIFE_LEN_MAX + 1];

	(void)events;
	for (unsigned i = 0; i < READ_MAX; i++) {
		ssize_t len = recv(watch->fd, data, sizeof(data), MSG_DONTWAIT);

		if (len < 0)
			return;
		if ((size_t)len < sizeof(data))
			reachability_life_heard(port->node->reachability, port->family, data,
						(size_t)len, now_ns);
	}
}

void node_nat_port_send(void *ctx, const struct addr *to, const uint8_t *data, size_t len)
{
	struct nat_port *port = ctx;
	struct sockaddr_storage remote;
	unsigned remote_len = addr_to_sockaddr(to, &remote);

	if (net_udp_hold_has(&port->hold, &(struct dgram_route){.remote = *to}))
		return;
	(void)!sendto(port->watch.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL,
		      (struct sockaddr *)&remote, remote_len);
}

static bool port_bind(int fd, enum addr_family family)
{
	const struct addr any = {.family = (uint8_t)family};
	struct sockaddr_storage local;
	unsigned local_len = addr_to_sockaddr(&any, &local);
	int one = 1;

	if (family == ADDR_IPV6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0)
		return false;
	return bind(fd, (const struct sockaddr *)&local, local_len) == 0;
}

static bool port_open(struct node *node, struct nat_port *port, enum addr_family family)
{
	int fd = socket(family == ADDR_IPV6 ? AF_INET6 : AF_INET,
			SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	port->node = node;
	port->family = family;
	port->watch = (struct poller_watch){.ready = on_ready, .fd = fd};
	if (fd < 0)
		return false;
	if (port_bind(fd, family) && poller_add(node->home->poller, &port->watch, POLLER_IN) == 0)
		return true;
	close(fd);
	port->watch.fd = -1;
	return false;
}

void node_nat_ports_open(struct node *node, void *out_ports[static REACHABILITY_LIFE_FAMILIES])
{
	for (unsigned i = 0; i < REACHABILITY_LIFE_FAMILIES; i++)
		if (port_open(node, &node->nat_ports[i], i ? ADDR_IPV6 : ADDR_IPV4))
			out_ports[i] = &node->nat_ports[i];
}

void node_nat_ports_close(struct node *node)
{
	for (unsigned i = 0; i < REACHABILITY_LIFE_FAMILIES; i++) {
		struct nat_port *port = &node->nat_ports[i];

		if (!port->node || port->watch.fd < 0)
			continue;
		poller_remove(node->home->poller, &port->watch);
		close(port->watch.fd);
		port->watch.fd = -1;
	}
}

/* --- networks that were measured --- */

#define LIVES_KEY "nat-lives"
#define ROW_LEN	  (1 + 16 + 16 + 2 + 8) /* family, outside, inside, life in s, when in s since 1970 */
#define ROW_MAX	  (REACHABILITY_LIFE_FAMILIES * REACHABILITY_LIFE_NETWORKS)
/* A router may have been replaced since. */
#define KEPT_S (30ull * 86400)

static void row_load(struct node *node, struct cursor *c, uint64_t wall_s, uint64_t now_ns)
{
	struct reachability_life life = {.life_s = 0};
	uint8_t family = cursor_u8(c);
	uint64_t at_s;

	life.outside.family = life.inside.family = family;
	cursor_copy(c, life.outside.ip, sizeof(life.outside.ip));
	cursor_copy(c, life.inside.ip, sizeof(life.inside.ip));
	life.life_s = cursor_be16(c);
	at_s = cursor_be64(c);
	/* A clock that was ahead then says nothing of the age. */
	if (c->bad || (family != ADDR_IPV4 && family != ADDR_IPV6) || at_s > wall_s ||
	    wall_s - at_s > KEPT_S)
		return;
	life.age_ns = (wall_s - at_s) * NS_PER_S;
	reachability_life_load(node->reachability, &life, now_ns);
}

void node_nat_lives_load(struct node *node, uint64_t now_ns)
{
	uint64_t wall_s = node_wall_us(node) / 1000000;
	uint8_t bytes[ROW_MAX * ROW_LEN];
	size_t len = node_meta_read(node, LIVES_KEY, bytes, sizeof(bytes));
	struct cursor c = cursor_of(bytes, len);

	if (len % ROW_LEN != 0)
		return;
	for (size_t i = 0; i < len / ROW_LEN; i++)
		row_load(node, &c, wall_s, now_ns);
}

static void row_write(const struct reachability_life *life, uint64_t wall_s,
		      uint8_t out[static ROW_LEN])
{
	const size_t ip_len = sizeof(life->outside.ip);
	struct writer w = writer_of(out + 1 + 2 * ip_len, ROW_LEN - 1 - 2 * ip_len);
	uint64_t age_s = life->age_ns / NS_PER_S;

	out[0] = life->outside.family;
	memcpy(out + 1, life->outside.ip, ip_len);
	memcpy(out + 1 + ip_len, life->inside.ip, ip_len);
	writer_be16(&w, life->life_s);
	writer_be64(&w, age_s < wall_s ? wall_s - age_s : 0);
}

void node_nat_lives_save(void *ctx, uint64_t now_ns)
{
	struct node *node = ctx;
	uint64_t wall_s = node_wall_us(node) / 1000000;
	uint8_t bytes[ROW_MAX * ROW_LEN];
	struct reachability_life life;
	unsigned cnt = 0;

	while (cnt < ROW_MAX && reachability_life_at(node->reachability, cnt, now_ns, &life))
		row_write(&life, wall_s, bytes + cnt++ * ROW_LEN);
	/* Refused, they are written with the next network that is measured. */
	(void)node_meta_write(
		node, &(struct node_meta){.name = LIVES_KEY, .bytes = bytes, .len = cnt * ROW_LEN},
		NULL, NULL);
}

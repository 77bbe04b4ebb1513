/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The port of IPv4 by which the life of a NAT's mappings is measured (reachability/nat_life.h). The
 * kernel chooses it, and nothing else is sent there. Without it nothing is measured. Home worker.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/container_of.h"
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
			reachability_life_heard(port->node->reachability, data, (size_t)len,
						now_ns);
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

bool node_nat_port_open(struct node *node)
{
	const struct sockaddr_in any = {.sin_family = AF_INET};
	struct nat_port *port = &node->nat_port;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	port->node = node;
	port->watch = (struct poller_watch){.ready = on_ready, .fd = fd};
	if (fd < 0)
		return false;
	if (bind(fd, (const struct sockaddr *)&any, sizeof(any)) == 0 &&
	    poller_add(node->home->poller, &port->watch, POLLER_IN) == 0)
		return true;
	close(fd);
	port->watch.fd = -1;
	return false;
}

void node_nat_port_close(struct node *node)
{
	struct nat_port *port = &node->nat_port;

	if (!port->node || port->watch.fd < 0)
		return;
	poller_remove(node->home->poller, &port->watch);
	close(port->watch.fd);
	port->watch.fd = -1;
}

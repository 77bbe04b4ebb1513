/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_UDP_GROUP_SOCKET_H
#define WEFT_NET_UDP_GROUP_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "weft/err.h"

/*
 * A UDP socket that sends to all hosts of a LAN, interface by interface, and receives
 * from them. It is for multicast DNS in either family, or IPv4 broadcast. Others on
 * this machine may use the same port; each hears everything.
 */
enum group_kind { GROUP_MDNS_IPV4, GROUP_MDNS_IPV6, GROUP_BROADCAST };

struct group_socket {
	enum group_kind kind;
	uint16_t port;
	int fd; /* -1: closed */
};

/* net_group_socket_open: 0, or -errno with fd -1. net_group_socket_close takes a closed one. */
WEFT_MUST_CHECK
int net_group_socket_open(struct group_socket *socket, enum group_kind kind, uint16_t port);
void net_group_socket_close(struct group_socket *socket);
/* net_group_socket_join hears the group on an interface; again is no error. 0 or -errno. */
WEFT_MUST_CHECK
int net_group_socket_join(const struct group_socket *socket, uint32_t interface);
void net_group_socket_leave(const struct group_socket *socket, uint32_t interface);
/* net_group_socket_send: 0 or -errno; nothing is queued. */
WEFT_MUST_CHECK
int net_group_socket_send(const struct group_socket *socket, uint32_t interface, const void *bytes,
			  size_t len);
/*
 * net_group_socket_receive gives one datagram, its source and its interface. Returns its length,
 * which is cap for a longer one; -EAGAIN when there is none; or -errno. One that was sent to this
 * node alone came in on interface 0: it may be from behind routers (RFC 6762, 11).
 */
WEFT_MUST_CHECK
int net_group_socket_receive(const struct group_socket *socket, void *bytes, size_t cap,
			     struct addr *out_source, uint32_t *out_interface);

#endif

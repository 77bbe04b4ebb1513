/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Side ports: UDP sockets of IPv4 beside the node's own, for a search of ports (punch/). Most of them
 * send one datagram and are closed. One that is adopted has both sides of packet I/O, as the node's own
 * sockets have. Until then the kernel keeps the ICMP errors of what it sent (IP_RECVERR). Runs on the
 * worker that owns them.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Needs struct timespec. */
#include <linux/errqueue.h>

#include "udp_socket.h"

#define ERRORS_MAX 8 /* that one call reads */

static int option_set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

int net_udp_port_open(void)
{
	const struct sockaddr_in any = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP), err;

	if (fd < 0)
		return -errno;
	err = net_udp_ipv4_options(fd);
	if (err == 0)
		err = option_set(fd, IPPROTO_IP, IP_RECVERR, 1);
	if (err == 0 && bind(fd, (const struct sockaddr *)&any, sizeof(any)) < 0)
		err = -errno;
	if (err == 0)
		return fd;
	close(fd);
	return err;
}

void net_udp_port_send(int fd, const struct addr *to, const uint8_t *data, size_t len)
{
	struct sockaddr_storage remote;
	unsigned remote_len = addr_to_sockaddr(to, &remote);

	/* The first call returns the error that an ICMP message left. */
	for (unsigned i = 0; i < 2; i++)
		if (sendto(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&remote,
			   remote_len) >= 0)
			return;
}

static int bound_of(int fd, struct addr *out_bound)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return -errno;
	return addr_from_sockaddr((struct sockaddr *)&sa, out_bound) < 0 ? -EAFNOSUPPORT : 0;
}

bool net_udp_port_receive(int fd, uint8_t *data, size_t cap, struct dgram *out_dgram)
{
	_Alignas(struct cmsghdr) uint8_t control[UDP_CONTROL_LEN_MAX];
	struct sockaddr_storage name;
	struct iovec iov = {data, cap};
	struct msghdr msg = {.msg_name = &name,
			     .msg_namelen = sizeof(name),
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct udp_socket socket = {.fd = fd, .is_wildcard = true};
	struct udp_train train = {.data = data};
	ssize_t len = recvmsg(fd, &msg, MSG_DONTWAIT);

	/* One that is cut, or from nowhere, is none: the caller comes again. */
	if (len < 0 || msg.msg_flags & MSG_TRUNC || bound_of(fd, &socket.bound) < 0)
		return false;
	train.len = (size_t)len;
	if (!net_udp_train_parse(&socket, &name, control, msg.msg_controllen, &train))
		return false;
	return net_udp_train_take(&train, out_dgram, 1) == 1;
}

/* RFC 1122 3.2.2.1, RFC 1812 5.2.7.1. */
static bool is_complaint(const struct sock_extended_err *err)
{
	if (err->ee_origin != SO_EE_ORIGIN_ICMP || err->ee_type != ICMP_DEST_UNREACH)
		return false;
	return err->ee_code != ICMP_PORT_UNREACH && err->ee_code != ICMP_FRAG_NEEDED;
}

bool net_udp_port_complains(int fd)
{
	bool complains = false;

	for (unsigned i = 0; i < ERRORS_MAX; i++) {
		_Alignas(struct cmsghdr) uint8_t control[256];
		struct msghdr msg = {.msg_control = control, .msg_controllen = sizeof(control)};

		if (recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			break;
		for (struct cmsghdr *at = CMSG_FIRSTHDR(&msg); at; at = CMSG_NXTHDR(&msg, at)) {
			struct sock_extended_err err;

			if (at->cmsg_level != IPPROTO_IP || at->cmsg_type != IP_RECVERR)
				continue;
			memcpy(&err, CMSG_DATA(at), sizeof(err));
			complains |= is_complaint(&err);
		}
	}
	return complains;
}

/* The caller has fd still if this fails. */
static int sides_new(struct udp_sockets *sockets, struct packet_rx **out_rx,
		     struct packet_tx **out_tx)
{
	struct packet_rx *rx;
	int err = net_udp_mmsg_rx_new(sockets, &rx);

	if (err < 0)
		return err;
	err = net_udp_mmsg_tx_new(sockets, out_tx);
	if (err < 0) {
		packet_rx_close(rx);
		return err;
	}
	*out_rx = rx;
	return 0;
}

int net_udp_port_adopt(int fd, struct packet_rx **out_rx, struct packet_tx **out_tx,
		       struct addr *out_bound)
{
	struct udp_sockets *sockets = calloc(1, sizeof(*sockets));
	struct addr bound;
	int err;

	if (!sockets)
		return -ENOMEM;
	sockets->ref_cnt = 1;
	sockets->cnt = 1;
	sockets->sockets[0] = (struct udp_socket){.fd = fd, .is_wildcard = true};
	if ((err = option_set(fd, IPPROTO_IP, IP_RECVERR, 0)) == 0 &&
	    (err = option_set(fd, SOL_UDP, UDP_GRO, 1)) == 0 && (err = bound_of(fd, &bound)) == 0) {
		sockets->sockets[0].bound = bound;
		err = sides_new(sockets, out_rx, out_tx);
	}
	if (err < 0)
		sockets->cnt = 0; /* fd is the caller's */
	else
		*out_bound = bound;
	net_udp_sockets_release(sockets);
	return err;
}

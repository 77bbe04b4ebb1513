/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening the UDP sockets. One socket per listen address and family, so
 * that IPv4 peers never appear as mapped IPv6 addresses. Path MTU is
 * QUIC's business: DF is set and the kernel's own MTU cache is not asked
 * (IP_PMTUDISC_PROBE), or a forged ICMP message could stop a connection.
 */
#include "udp_socket.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BIND_PAUSE_NS	   (10 * 1000 * 1000)
#define BIND_RETRY_CNT	   100
#define OVERFLOW_BURST_CNT 64

struct socket_option {
	int level, name, value;
};

static const struct socket_option options_any[] = {
	{SOL_UDP, UDP_GRO, 1},
};

static const struct socket_option options_ipv4[] = {
	{IPPROTO_IP, IP_RECVTOS, 1},
	{IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE},
};

static const struct socket_option options_ipv6[] = {
	{IPPROTO_IPV6, IPV6_V6ONLY, 1},
	{IPPROTO_IPV6, IPV6_RECVTCLASS, 1},
	{IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE},
};

/* Which address a datagram was sent to is a question only where all of them lead here. */
static const struct socket_option option_wildcard_ipv4 = {IPPROTO_IP, IP_PKTINFO, 1};
static const struct socket_option option_wildcard_ipv6 = {IPPROTO_IPV6, IPV6_RECVPKTINFO, 1};

static int options_set(int fd, const struct socket_option *options, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++)
		if (setsockopt(fd, options[i].level, options[i].name, &options[i].value,
			       sizeof(options[i].value)) < 0)
			return -errno;
	return 0;
}

int net_udp_ipv4_options(int fd)
{
	int err = options_set(fd, options_ipv4, sizeof(options_ipv4) / sizeof(options_ipv4[0]));

	return err < 0 ? err : options_set(fd, &option_wildcard_ipv4, 1);
}

/* With privilege beyond the system's limit, without up to it: a request, not a demand. */
static void buffer_set(int fd, int force_name, int name, unsigned len)
{
	int value = len > INT32_MAX / 2 ? INT32_MAX / 2 : (int)len;

	if (!len || setsockopt(fd, SOL_SOCKET, force_name, &value, sizeof(value)) == 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, name, &value, sizeof(value));
}

/*
 * The kernel takes the io_uring of a killed process apart in the
 * background, in 6 to 16 ms on an idle machine (Linux 6.18). Its receives
 * hold the port for that time. A daemon that comes back must not fail over
 * that.
 */
static int bind_patiently(int fd, const struct sockaddr_storage *sa, socklen_t len)
{
	const struct timespec pause = {.tv_nsec = BIND_PAUSE_NS};

	for (unsigned tries = 0; bind(fd, (const struct sockaddr *)sa, len) < 0; tries++) {
		if (errno != EADDRINUSE || tries == BIND_RETRY_CNT)
			return -errno;
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

static int socket_bind(struct udp_socket *socket, struct addr *listen)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(listen, &sa);
	int err = bind_patiently(socket->fd, &sa, len);

	if (err < 0)
		return err;
	len = sizeof(sa);
	if (getsockname(socket->fd, (struct sockaddr *)&sa, &len) < 0)
		return -errno;
	if (addr_from_sockaddr((struct sockaddr *)&sa, &socket->bound) < 0)
		return -EAFNOSUPPORT;
	socket->is_wildcard = addr_is_wildcard(&socket->bound);
	listen->port = socket->bound.port;
	return 0;
}

static int udp_socket_open(struct udp_socket *sock, struct addr *listen,
			   const struct udp_config *config)
{
	bool is_ipv6 = listen->family == ADDR_IPV6;
	int err;

	sock->fd = socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			  IPPROTO_UDP);
	if (sock->fd < 0)
		return -errno;
	err = options_set(sock->fd, options_any, sizeof(options_any) / sizeof(options_any[0]));
	if (err < 0)
		return err;
	if (is_ipv6)
		err = options_set(sock->fd, options_ipv6,
				  sizeof(options_ipv6) / sizeof(options_ipv6[0]));
	else
		err = options_set(sock->fd, options_ipv4,
				  sizeof(options_ipv4) / sizeof(options_ipv4[0]));
	if (err < 0)
		return err;
	if (addr_is_wildcard(listen))
		err = options_set(sock->fd, is_ipv6 ? &option_wildcard_ipv6 : &option_wildcard_ipv4,
				  1);
	if (err < 0)
		return err;
	buffer_set(sock->fd, SO_RCVBUFFORCE, SO_RCVBUF, config->rx_buffer_len);
	buffer_set(sock->fd, SO_SNDBUFFORCE, SO_SNDBUF, config->tx_buffer_len);
	if (config->worker_idx > 0 && (err = net_udp_steer_join(sock->fd)) < 0)
		return err;
	err = socket_bind(sock, listen);
	if (err < 0 || config->worker_cnt < 2)
		return err;
	if (config->worker_idx == 0)
		return net_udp_steer_join(sock->fd);
	return config->worker_idx + 1 == config->worker_cnt
		       ? net_udp_steer_start(sock->fd, config->worker_cnt)
		       : 0;
}

int net_udp_sockets_new(struct udp_config *config, struct udp_sockets **out_sockets,
			unsigned *out_failed_idx)
{
	struct udp_sockets *sockets;
	int err;

	*out_failed_idx = 0;
	if (config->listen_cnt < 1 || config->listen_cnt > UDP_SOCKET_CNT_MAX)
		return -EINVAL;
	sockets = calloc(1, sizeof(*sockets));
	if (!sockets)
		return -ENOMEM;
	sockets->ref_cnt = 1;
	for (unsigned i = 0; i < config->listen_cnt; i++) {
		err = udp_socket_open(&sockets->sockets[i], &config->listen[i], config);
		if (sockets->sockets[i].fd >= 0)
			sockets->cnt++;
		if (err < 0) {
			*out_failed_idx = i;
			net_udp_sockets_release(sockets);
			return err;
		}
	}
	*out_sockets = sockets;
	return 0;
}

void net_udp_sockets_release(struct udp_sockets *sockets)
{
	if (--sockets->ref_cnt)
		return;
	for (unsigned i = 0; i < sockets->cnt; i++)
		close(sockets->sockets[i].fd);
	free(sockets);
}

static void count_overflow(struct udp_sockets *sockets, struct packet_counters *counters)
{
	if (++sockets->burst_cnt < OVERFLOW_BURST_CNT)
		return;
	sockets->burst_cnt = 0;
	for (unsigned i = 0; i < sockets->cnt; i++) {
		struct udp_socket *socket = &sockets->sockets[i];
		uint32_t info[SK_MEMINFO_VARS] = {0};
		socklen_t len = sizeof(info);

		if (getsockopt(socket->fd, SOL_SOCKET, SO_MEMINFO, info, &len) < 0)
			continue;
		/* The kernel's count is of 32 bits and wraps. */
		counters->dropped_cnt += (uint32_t)(info[SK_MEMINFO_DROPS] - socket->overflow_cnt);
		socket->overflow_cnt = info[SK_MEMINFO_DROPS];
	}
}

void net_udp_sockets_count_burst(struct udp_sockets *sockets, struct packet_counters *counters,
				 const struct dgram *dgrams, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++)
		counters->byte_cnt += dgrams[i].len;
	counters->dgram_cnt += cnt;
	count_overflow(sockets, counters);
}

bool net_udp_hold_has(const struct udp_hold *hold, const struct dgram_route *route)
{
	struct addr ip = {.family = route->remote.family};

	if (route->local.family == route->remote.family)
		memcpy(ip.ip, route->local.ip, sizeof(ip.ip));
	for (unsigned i = 0; i < hold->cnt; i++)
		if (hold->ips[i].family == ip.family &&
		    memcmp(hold->ips[i].ip, ip.ip, sizeof(ip.ip)) == 0)
			return true;
	return false;
}

int net_udp_sockets_choose(const struct udp_sockets *sockets, const struct addr *local,
			   const struct addr *remote)
{
	int fallback = -1;

	for (unsigned i = 0; i < sockets->cnt; i++) {
		const struct udp_socket *socket = &sockets->sockets[i];

		if (socket->bound.family != remote->family)
			continue;
		if (local->family == ADDR_NONE || addr_equal(&socket->bound, local))
			return (int)i;
		if (fallback < 0 || (socket->is_wildcard && socket->bound.port == local->port))
			fallback = (int)i;
	}
	return fallback;
}

/* --- control messages both ways, and cutting what GRO joined; pure --- */

#define ECN_BITS 3

/*
 * The traffic class comes as an int, or on some kernels as a byte
 * (IP_TOS). On a little-endian machine the low bits are in the same
 * place either way.
 */
static int control_int(const struct cmsghdr *msg)
{
	int value = 0;
	size_t len = msg->cmsg_len - CMSG_LEN(0);

	memcpy(&value, CMSG_DATA(msg), len < sizeof(value) ? len : sizeof(value));
	return value;
}

static void local_from_ipv6(const struct cmsghdr *msg, struct addr *local)
{
	struct in6_pktinfo info;

	memcpy(&info, CMSG_DATA(msg), sizeof(info));
	memcpy(local->ip, &info.ipi6_addr, sizeof(info.ipi6_addr));
	local->scope_id = addr_is_link_local(local) ? info.ipi6_ifindex : 0;
}

static void local_from_ipv4(const struct cmsghdr *msg, struct addr *local)
{
	struct in_pktinfo info;

	memcpy(&info, CMSG_DATA(msg), sizeof(info));
	memcpy(local->ip, &info.ipi_addr, sizeof(info.ipi_addr));
}

static void train_learn(const struct cmsghdr *msg, struct udp_train *train)
{
	switch (msg->cmsg_level) {
	case SOL_UDP:
		if (msg->cmsg_type == UDP_GRO && control_int(msg) > 0)
			train->segment_len = (size_t)control_int(msg);
		break;
	case IPPROTO_IP:
		if (msg->cmsg_type == IP_PKTINFO)
			local_from_ipv4(msg, &train->local);
		else if (msg->cmsg_type == IP_TOS)
			train->ecn = control_int(msg) & ECN_BITS;
		break;
	case IPPROTO_IPV6:
		if (msg->cmsg_type == IPV6_PKTINFO)
			local_from_ipv6(msg, &train->local);
		else if (msg->cmsg_type == IPV6_TCLASS)
			train->ecn = control_int(msg) & ECN_BITS;
		break;
	default:
		break;
	}
}

bool net_udp_train_parse(const struct udp_socket *socket, const void *name, void *control,
			 size_t control_len, struct udp_train *train)
{
	struct msghdr msg = {.msg_control = control, .msg_controllen = control_len};

	train->local = socket->bound;
	train->segment_len = train->len;
	train->ecn = 0;
	for (struct cmsghdr *at = CMSG_FIRSTHDR(&msg); at; at = CMSG_NXTHDR(&msg, at))
		train_learn(at, train);
	return train->len > 0 && addr_from_sockaddr(name, &train->remote) == 0;
}

unsigned net_udp_train_take(struct udp_train *train, struct dgram *out_dgrams, unsigned cap)
{
	unsigned cnt = 0;

	while (cnt < cap && train->len > 0) {
		size_t len = train->len < train->segment_len ? train->len : train->segment_len;

		out_dgrams[cnt++] = (struct dgram){.data = train->data,
						   .len = len,
						   .local = train->local,
						   .remote = train->remote,
						   .ecn = train->ecn};
		train->data += len;
		train->len -= len;
	}
	return cnt;
}

/* Room of UDP_CONTROL_LEN_MAX bytes, which all messages of a datagram fit in, and what is used. */
struct control {
	uint8_t *bytes;
	size_t len;
};

static void control_add(struct control *control, int level, int type, const void *value,
			size_t value_len)
{
	struct cmsghdr *msg = (void *)(control->bytes + control->len);

	msg->cmsg_level = level;
	msg->cmsg_type = type;
	msg->cmsg_len = CMSG_LEN(value_len);
	memcpy(CMSG_DATA(msg), value, value_len);
	control->len += CMSG_SPACE(value_len);
}

static void control_add_source(struct control *control, const struct addr *local)
{
	struct in6_pktinfo ipv6 = {.ipi6_ifindex = local->scope_id};
	struct in_pktinfo ipv4 = {0};

	if (local->family == ADDR_IPV6) {
		memcpy(&ipv6.ipi6_addr, local->ip, sizeof(ipv6.ipi6_addr));
		control_add(control, IPPROTO_IPV6, IPV6_PKTINFO, &ipv6, sizeof(ipv6));
	} else {
		memcpy(&ipv4.ipi_spec_dst, local->ip, sizeof(ipv4.ipi_spec_dst));
		control_add(control, IPPROTO_IP, IP_PKTINFO, &ipv4, sizeof(ipv4));
	}
}

size_t net_udp_control_write(const struct udp_socket *socket, const struct dgram_route *route,
			     size_t segment_len, uint8_t bytes[static UDP_CONTROL_LEN_MAX])
{
	bool is_ipv6 = socket->bound.family == ADDR_IPV6;
	uint16_t segment = (uint16_t)segment_len;
	int ecn = route->ecn & ECN_BITS;
	struct control control = {.bytes = bytes};

	if (socket->is_wildcard && route->local.family == socket->bound.family &&
	    !addr_is_wildcard(&route->local))
		control_add_source(&control, &route->local);
	if (ecn)
		control_add(&control, is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP,
			    is_ipv6 ? IPV6_TCLASS : IP_TOS, &ecn, sizeof(ecn));
	if (segment_len)
		control_add(&control, SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment));
	return control.len;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pure part of the udp backend: control messages both ways, and
 * cutting what GRO joined. Shared by the io_uring and the recvmmsg side.
 */
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "udp_socket.h"

#define ECN_BITS 3

/*
 * Traffic class comes as an int, or on some kernels as a byte (IP_TOS);
 * the low bits are where they are on a little-endian machine either way.
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

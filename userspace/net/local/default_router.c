/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One question to the kernel over rtnetlink: by which way it would send to an address that no host
 * has (RFC 5737). So rules and tables of routes count as they do for datagrams. Home worker.
 */
#include "net/local/default_router.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"

struct route_question {
	struct nlmsghdr head;
	struct rtmsg route;
	struct rtattr attribute;
	uint8_t destination[4];
};

static bool route_ask(int fd)
{
	const struct route_question question = {
		.head = {.nlmsg_len = sizeof(question),
			 .nlmsg_type = RTM_GETROUTE,
			 .nlmsg_flags = NLM_F_REQUEST},
		.route = {.rtm_family = AF_INET, .rtm_dst_len = 32},
		.attribute = {.rta_len = RTA_LENGTH(4), .rta_type = RTA_DST},
		.destination = {192, 0, 2, 1},
	};

	return send(fd, &question, sizeof(question), 0) == (ssize_t)sizeof(question);
}

static void addr_take(struct addr *out_addr, const struct rtattr *attribute)
{
	if (RTA_PAYLOAD(attribute) != 4)
		return;
	out_addr->family = ADDR_IPV4;
	memcpy(out_addr->ip, RTA_DATA(attribute), 4);
}

/* The kernel has answered when send returns. */
static bool route_read(int fd, struct addr *out_router, struct addr *out_local)
{
	_Alignas(struct nlmsghdr) char data[4096];
	ssize_t got = recv(fd, data, sizeof(data), MSG_DONTWAIT);
	const struct nlmsghdr *message = (const void *)data;
	struct addr router = {.family = ADDR_NONE}, local = router;
	const struct rtattr *attribute;
	size_t len;

	if (got < 0 || !NLMSG_OK(message, (size_t)got) || message->nlmsg_type != RTM_NEWROUTE)
		return false;
	attribute = RTM_RTA(NLMSG_DATA(message));
	len = RTM_PAYLOAD(message);
	for (; RTA_OK(attribute, len); attribute = RTA_NEXT(attribute, len)) {
		if (attribute->rta_type == RTA_GATEWAY)
			addr_take(&router, attribute);
		else if (attribute->rta_type == RTA_PREFSRC)
			addr_take(&local, attribute);
	}
	if (router.family == ADDR_NONE || local.family == ADDR_NONE)
		return false;
	*out_router = router;
	*out_local = local;
	return true;
}

bool net_default_router(struct addr *out_router, struct addr *out_local)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	bool is_found;

	if (fd < 0)
		return false;
	is_found = route_ask(fd) && route_read(fd, out_router, out_local);
	close(fd);
	return is_found;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include "net/udp/udp_socket.h"
#include "support/check.h"

static struct addr addr_of(const char *text)
{
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

struct control {
	_Alignas(struct cmsghdr) uint8_t bytes[UDP_CONTROL_LEN_MAX];
	size_t len;
};

static void control_put(struct control *control, int level, int type, const void *value, size_t len)
{
	struct cmsghdr *msg = (void *)(control->bytes + control->len);

	memset(msg, 0, CMSG_SPACE(len));
	msg->cmsg_level = level;
	msg->cmsg_type = type;
	msg->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(msg), value, len);
	control->len += CMSG_SPACE(len);
}

/* The peer is 192.0.2.9:4000 or [2001:db8::9]:4000. */
static bool parse(struct udp_socket *socket, struct control *control, struct udp_train *train)
{
	struct addr peer = addr_of(socket->bound.family == ADDR_IPV6 ? "[2001:db8::9]:4000"
								     : "192.0.2.9:4000");
	struct sockaddr_storage sa;

	(void)addr_to_sockaddr(&peer, &sa);
	return net_udp_train_parse(socket, &sa, control->bytes, control->len, train);
}

static void test_train_comes_apart_at_the_segment_length(void)
{
	static const struct {
		size_t len;
		int segment_len; /* 0: the kernel said none */
		unsigned cnt;
		size_t last_len;
	} rows[] = {
		{1, 0, 1, 1},
		{1400, 0, 1, 1400},
		{2800, 1400, 2, 1400},
		{2801, 1400, 3, 1},
		{1400, 1400, 1, 1400},
		{1399, 1400, 1, 1399},
		{65507, 1400, 47, 1107},
	};
	static uint8_t data[65536];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct udp_socket socket = {.bound = addr_of("192.0.2.1:7000")};
		struct udp_train train = {.data = data, .len = rows[i].len};
		struct control control = {.len = 0};
		struct dgram dgrams[64];

		if (rows[i].segment_len)
			control_put(&control, SOL_UDP, UDP_GRO, &rows[i].segment_len, sizeof(int));
		CHECK(parse(&socket, &control, &train));
		CHECK_EQ(net_udp_train_take(&train, dgrams, 64), rows[i].cnt);
		CHECK_EQ(dgrams[rows[i].cnt - 1].len, rows[i].last_len);
		CHECK(dgrams[rows[i].cnt - 1].data == data + rows[i].len - rows[i].last_len);
		CHECK_EQ(train.len, 0);
	}
}

static void test_train_is_taken_in_pieces_when_the_caller_is_full(void)
{
	uint8_t data[1000];
	struct udp_train train = {.data = data, .len = 1000, .segment_len = 100};
	struct dgram dgrams[7];

	CHECK_EQ(net_udp_train_take(&train, dgrams, 7), 7);
	CHECK_EQ(net_udp_train_take(&train, dgrams, 7), 3);
	CHECK(dgrams[0].data == data + 700);
	CHECK_EQ(net_udp_train_take(&train, dgrams, 7), 0);
}

static void test_empty_or_nameless_receive_is_refused(void)
{
	struct udp_socket socket = {.bound = addr_of("192.0.2.1:7000")};
	struct udp_train train = {.len = 0};
	struct sockaddr_storage sa = {.ss_family = AF_UNIX};
	struct control control = {.len = 0};

	CHECK(!parse(&socket, &control, &train));
	train.len = 1;
	CHECK(!net_udp_train_parse(&socket, &sa, control.bytes, 0, &train));
}

static void test_ipv4_control_has_local_address_and_ecn(void)
{
	struct udp_socket socket = {.bound = addr_of("0.0.0.0:7000"), .is_wildcard = true};
	struct addr want = addr_of("198.51.100.7:7000");
	struct in_pktinfo info = {.ipi_ifindex = 3};
	struct udp_train train = {.len = 10};
	struct control control = {.len = 0};
	uint8_t tos = 0xfe;

	memcpy(&info.ipi_addr, want.ip, 4);
	control_put(&control, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	control_put(&control, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
	CHECK(parse(&socket, &control, &train));
	CHECK(addr_equal(&train.local, &want));
	CHECK_EQ(train.ecn, 2);
	CHECK_EQ(train.remote.port, 4000);
}

static void test_ipv6_control_keeps_the_scope_of_link_local_only(void)
{
	static const struct {
		const char *text;
		uint32_t scope_id;
	} rows[] = {{"[fe80::1]:7000", 5}, {"[2001:db8::1]:7000", 0}};

	for (size_t i = 0; i < 2; i++) {
		struct udp_socket socket = {.bound = addr_of("[::]:7000"), .is_wildcard = true};
		struct addr want = addr_of(rows[i].text);
		struct in6_pktinfo info = {.ipi6_ifindex = 5};
		struct udp_train train = {.len = 10};
		struct control control = {.len = 0};
		int tclass = 3;

		memcpy(&info.ipi6_addr, want.ip, 16);
		control_put(&control, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
		control_put(&control, IPPROTO_IPV6, IPV6_TCLASS, &tclass, sizeof(tclass));
		CHECK(parse(&socket, &control, &train));
		want.scope_id = rows[i].scope_id;
		CHECK(addr_equal(&train.local, &want));
		CHECK_EQ(train.ecn, 3);
	}
}

static void test_written_control_is_what_the_route_needs(void)
{
	static const struct {
		const char *bound, *local;
		uint8_t ecn;
		size_t segment_len;
		bool has_source, has_ecn;
	} rows[] = {
		{"0.0.0.0:7000", NULL, 0, 0, false, false},
		{"0.0.0.0:7000", "192.0.2.5:7000", 0, 0, true, false},
		{"0.0.0.0:7000", "0.0.0.0:7000", 0, 0, false, false},
		{"192.0.2.5:7000", "192.0.2.5:7000", 2, 1200, false, true},
		{"[::]:7000", "[2001:db8::5]:7000", 1, 1452, true, true},
		{"[::]:7000", "192.0.2.5:7000", 0, 0, false, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct udp_socket socket = {.bound = addr_of(rows[i].bound)};
		struct dgram_route route = {.ecn = rows[i].ecn};
		struct control control;
		struct msghdr msg = {.msg_control = control.bytes};
		bool has_source = false, has_ecn = false, has_segment = false;

		socket.is_wildcard = addr_is_wildcard(&socket.bound);
		if (rows[i].local)
			route.local = addr_of(rows[i].local);
		msg.msg_controllen =
			net_udp_control_write(&socket, &route, rows[i].segment_len, control.bytes);
		CHECK(msg.msg_controllen <= UDP_CONTROL_LEN_MAX);
		for (struct cmsghdr *at = CMSG_FIRSTHDR(&msg); at; at = CMSG_NXTHDR(&msg, at)) {
			has_source |=
				(at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_PKTINFO) ||
				(at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_PKTINFO);
			has_ecn |= (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_TOS) ||
				   (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_TCLASS);
			has_segment |= at->cmsg_level == SOL_UDP && at->cmsg_type == UDP_SEGMENT;
		}
		CHECK_EQ(has_source, rows[i].has_source);
		CHECK_EQ(has_ecn, rows[i].has_ecn);
		CHECK_EQ(has_segment, rows[i].segment_len != 0);
	}
}

static void test_socket_is_chosen_by_local_address_then_family(void)
{
	static const struct {
		const char *local, *remote;
		int want;
	} rows[] = {
		{NULL, "192.0.2.9:1", 0},
		{NULL, "[2001:db8::9]:1", 2},
		{"192.0.2.2:7000", "192.0.2.9:1", 1},
		{"0.0.0.0:7000", "192.0.2.9:1", 0},
		{"198.51.100.1:7000", "192.0.2.9:1", 0},
		{"[2001:db8::1]:7000", "[2001:db8::9]:1", 2},
	};
	struct udp_sockets sockets = {.cnt = 3};

	sockets.sockets[0].bound = addr_of("0.0.0.0:7000");
	sockets.sockets[0].is_wildcard = true;
	sockets.sockets[1].bound = addr_of("192.0.2.2:7000");
	sockets.sockets[2].bound = addr_of("[::]:7000");
	sockets.sockets[2].is_wildcard = true;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr remote = addr_of(rows[i].remote), local = {0};

		if (rows[i].local)
			local = addr_of(rows[i].local);
		CHECK_EQ(net_udp_sockets_choose(&sockets, &local, &remote), rows[i].want);
	}
	sockets.cnt = 2;
	CHECK_EQ(net_udp_sockets_choose(&sockets, &(struct addr){0}, &sockets.sockets[2].bound),
		 -1);
}

int main(void)
{
	RUN(test_train_comes_apart_at_the_segment_length);
	RUN(test_train_is_taken_in_pieces_when_the_caller_is_full);
	RUN(test_empty_or_nameless_receive_is_refused);
	RUN(test_ipv4_control_has_local_address_and_ecn);
	RUN(test_ipv6_control_keeps_the_scope_of_link_local_only);
	RUN(test_written_control_is_what_the_route_needs);
	RUN(test_socket_is_chosen_by_local_address_then_family);
	return check_done();
}

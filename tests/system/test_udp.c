/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The udp backend on real sockets, both receive sides, both families. In a
 * network namespace of its own where that is allowed, else on the host's
 * loopback without the tests that change the interface.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/udp/udp_socket.h"
#include "support/check.h"
#include "support/uring_probe.h"

static bool has_namespace;

struct end {
	struct udp_config config;
	struct packet_rx *rx;
	struct packet_tx *tx;
};

static struct addr addr_of(const char *text)
{
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

static void end_open(struct end *end, bool refuse_io_uring, const char *listen)
{
	struct dgram dgram;
	unsigned failed_idx;

	memset(end, 0, sizeof(*end));
	end->config.listen[0] = addr_of(listen);
	end->config.listen_cnt = 1;
	end->config.rx_buffer_len = 4u << 20;
	end->config.tx_buffer_len = 4u << 20;
	end->config.refuse_io_uring = refuse_io_uring;
	if (net_udp_open(&end->config, &end->rx, &end->tx, &failed_idx) < 0)
		abort();
	(void)packet_rx_burst(end->rx, &dgram, 1);
}

static void end_close(struct end *end)
{
	packet_rx_close(end->rx);
	packet_tx_close(end->tx);
}

/* end_send writes len bytes, each its offset's low byte. */
static int end_send(struct end *end, const struct addr *local, const struct addr *remote,
		    size_t len, size_t segment_len, uint8_t ecn)
{
	struct dgram_sink *sink = &end->tx->sink;
	struct dgram_route route = {.remote = *remote, .segment_len = segment_len, .ecn = ecn};
	struct dgram_slot slot;

	if (local)
		route.local = *local;
	if (!sink->ops->reserve(sink, len, &slot))
		return WEFT_EFULL;
	for (size_t i = 0; i < len; i++)
		slot.data[i] = (uint8_t)i;
	sink->ops->commit(sink, &slot, len, &route);
	return packet_tx_flush(end->tx);
}

/* end_receive waits up to five seconds for the fd, then takes one burst. */
static unsigned end_receive(struct end *end, struct dgram *dgrams, unsigned cap)
{
	struct pollfd poll_fd = {.fd = end->rx->fd, .events = POLLIN};
	unsigned cnt = packet_rx_burst(end->rx, dgrams, cap);

	for (int tries = 0; !cnt && tries < 100 && poll(&poll_fd, 1, 5000) == 1; tries++)
		cnt = packet_rx_burst(end->rx, dgrams, cap);
	return cnt;
}

static unsigned end_count(struct end *end, unsigned want)
{
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt, total = 0;

	while (total < want && (cnt = end_receive(end, dgrams, PACKET_BURST_MAX)) > 0)
		total += cnt;
	return total;
}

static const struct {
	bool refuse_io_uring;
	const char *a, *b;
} pairs[] = {
	{false, "127.0.0.1:0", "127.0.0.2:0"},
	{true, "127.0.0.1:0", "127.0.0.2:0"},
	{false, "[::1]:0", "[::1]:0"},
	{true, "[::1]:0", "[::1]:0"},
};
#define PAIR_CNT (sizeof(pairs) / sizeof(pairs[0]))

static void test_run_arrives_whole_in_order_from_the_right_address(void)
{
	for (size_t i = 0; i < PAIR_CNT; i++) {
		struct end a, b;
		struct dgram dgrams[10];
		size_t off = 0;
		unsigned cnt;

		end_open(&a, pairs[i].refuse_io_uring, pairs[i].a);
		end_open(&b, pairs[i].refuse_io_uring, pairs[i].b);
		CHECK_EQ(end_send(&a, NULL, &b.config.listen[0], 44 * 1400 + 7, 1400, 2), 0);
		while (off < 44 * 1400 + 7 && (cnt = end_receive(&b, dgrams, 10)) > 0) {
			for (unsigned j = 0; j < cnt; j++) {
				CHECK_EQ(dgrams[j].len, off < 44 * 1400 ? 1400 : 7);
				CHECK_EQ(dgrams[j].data[0], (uint8_t)off);
				CHECK_EQ(dgrams[j].ecn, 2);
				CHECK(addr_equal(&dgrams[j].remote, &a.config.listen[0]));
				CHECK(addr_equal(&dgrams[j].local, &b.config.listen[0]));
				off += dgrams[j].len;
			}
		}
		CHECK_EQ(off, 44 * 1400 + 7);
		CHECK_EQ(b.rx->counters.dgram_cnt, 45);
		CHECK_EQ(a.tx->counters.dgram_cnt, 45);
		CHECK_EQ(a.tx->counters.call_cnt, 1);
		end_close(&a);
		end_close(&b);
	}
}

static void test_run_of_more_segments_than_the_kernel_cuts_arrives(void)
{
	for (size_t i = 0; i < PAIR_CNT; i++) {
		struct end a, b;

		end_open(&a, pairs[i].refuse_io_uring, pairs[i].a);
		end_open(&b, pairs[i].refuse_io_uring, pairs[i].b);
		CHECK_EQ(end_send(&a, NULL, &b.config.listen[0], 20000, 100, 0), 0);
		CHECK_EQ(end_count(&b, 200), 200);
		end_close(&a);
		end_close(&b);
	}
}

static void test_more_waiting_than_buffers_all_arrives(void)
{
	for (size_t i = 0; i < PAIR_CNT; i++) {
		struct end a, b;

		end_open(&a, pairs[i].refuse_io_uring, pairs[i].a);
		end_open(&b, pairs[i].refuse_io_uring, pairs[i].b);
		for (int j = 0; j < 300; j++)
			CHECK_EQ(end_send(&a, NULL, &b.config.listen[0], 50, 0, 0), 0);
		CHECK_EQ(end_count(&b, 300), 300);
		CHECK_EQ(b.rx->counters.dropped_cnt, 0);
		end_close(&a);
		end_close(&b);
	}
}

static void test_what_the_kernel_had_no_room_for_is_counted(void)
{
	for (size_t i = 0; i < PAIR_CNT; i++) {
		struct udp_config config = {.listen_cnt = 1, .rx_buffer_len = 4096};
		struct dgram dgrams[PACKET_BURST_MAX];
		struct end a, b = {.config = config};
		unsigned received, failed_idx;

		end_open(&a, pairs[i].refuse_io_uring, pairs[i].a);
		b.config.listen[0] = addr_of(pairs[i].b);
		b.config.refuse_io_uring = pairs[i].refuse_io_uring;
		CHECK_EQ(net_udp_open(&b.config, &b.rx, &b.tx, &failed_idx), 0);
		for (int j = 0; j < 100; j++)
			CHECK_EQ(end_send(&a, NULL, &b.config.listen[0], 500, 0, 0), 0);
		received = packet_rx_burst(b.rx, dgrams, PACKET_BURST_MAX);
		for (int j = 0; j < 100; j++)
			received += packet_rx_burst(b.rx, dgrams, PACKET_BURST_MAX);
		CHECK(received > 0 && received < 100);
		CHECK_EQ(b.rx->counters.dropped_cnt, 100 - received);
		end_close(&a);
		end_close(&b);
	}
}

static void test_idle_burst_gives_nothing(void)
{
	for (size_t i = 0; i < PAIR_CNT; i++) {
		struct pollfd poll_fd;
		struct dgram dgram;
		struct end a;

		end_open(&a, pairs[i].refuse_io_uring, pairs[i].a);
		poll_fd = (struct pollfd){.fd = a.rx->fd, .events = POLLIN};
		CHECK_EQ(poll(&poll_fd, 1, 0), 0);
		CHECK_EQ(packet_rx_burst(a.rx, &dgram, 1), 0);
		end_close(&a);
	}
}

static void test_wildcard_socket_answers_from_the_address_asked(void)
{
	static const struct {
		bool refuse_io_uring;
		const char *server, *client, *asked;
	} rows[] = {
		{false, "0.0.0.0:0", "127.0.0.1:0", "127.0.0.5:0"},
		{true, "0.0.0.0:0", "127.0.0.1:0", "127.0.0.5:0"},
		{false, "[::]:0", "[::1]:0", "[::1]:0"},
		{true, "[::]:0", "[::1]:0", "[::1]:0"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr asked = addr_of(rows[i].asked);
		struct dgram dgram;
		struct end server, client;

		end_open(&server, rows[i].refuse_io_uring, rows[i].server);
		end_open(&client, rows[i].refuse_io_uring, rows[i].client);
		asked.port = server.config.listen[0].port;
		CHECK_EQ(end_send(&client, NULL, &asked, 30, 0, 0), 0);
		CHECK_EQ(end_receive(&server, &dgram, 1), 1);
		CHECK(addr_equal(&dgram.local, &asked));
		CHECK_EQ(end_send(&server, &dgram.local, &dgram.remote, 30, 0, 0), 0);
		CHECK_EQ(end_receive(&client, &dgram, 1), 1);
		CHECK(addr_equal(&dgram.remote, &asked));
		end_close(&server);
		end_close(&client);
	}
}

static void test_several_addresses_share_one_side(void)
{
	for (int refuse = 0; refuse < 2; refuse++) {
		static const char *const texts[] = {"127.0.0.1:0", "127.0.0.2:0", "[::1]:0"};
		struct end client4, client6, server = {.config.listen_cnt = 3};
		struct dgram dgram;
		unsigned failed_idx;

		server.config.refuse_io_uring = refuse;
		for (int i = 0; i < 3; i++)
			server.config.listen[i] = addr_of(texts[i]);
		CHECK_EQ(net_udp_open(&server.config, &server.rx, &server.tx, &failed_idx), 0);
		(void)packet_rx_burst(server.rx, &dgram, 1);
		end_open(&client4, refuse, "127.0.0.1:0");
		end_open(&client6, refuse, "[::1]:0");
		for (int i = 0; i < 3; i++) {
			struct end *client = i == 2 ? &client6 : &client4;

			CHECK_EQ(end_send(client, NULL, &server.config.listen[i], 9, 0, 0), 0);
			CHECK_EQ(end_receive(&server, &dgram, 1), 1);
			CHECK(addr_equal(&dgram.local, &server.config.listen[i]));
			CHECK_EQ(end_send(&server, &dgram.local, &dgram.remote, 9, 0, 0), 0);
			CHECK_EQ(end_receive(client, &dgram, 1), 1);
			CHECK(addr_equal(&dgram.remote, &server.config.listen[i]));
		}
		end_close(&server);
		end_close(&client4);
		end_close(&client6);
	}
}

static void test_taken_port_names_the_address_at_fault(void)
{
	struct udp_config config = {.listen_cnt = 2};
	struct packet_rx *rx;
	struct packet_tx *tx;
	unsigned failed_idx = 9;
	struct end a;

	end_open(&a, false, "127.0.0.1:0");
	config.listen[0] = addr_of("127.0.0.2:0");
	config.listen[1] = a.config.listen[0];
	CHECK_EQ(net_udp_open(&config, &rx, &tx, &failed_idx), -EADDRINUSE);
	CHECK_EQ(failed_idx, 1);
	config.listen_cnt = 9;
	CHECK_EQ(net_udp_open(&config, &rx, &tx, &failed_idx), -EINVAL);
	end_close(&a);
}

static bool is_port_free(const struct addr *addr)
{
	struct sockaddr_storage sa;
	unsigned len = addr_to_sockaddr(addr, &sa);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool is_free = bind(fd, (struct sockaddr *)&sa, len) == 0;

	close(fd);
	return is_free;
}

static void test_port_is_free_as_soon_as_both_sides_are_closed(void)
{
	for (int refuse = 0; refuse < 2; refuse++) {
		for (int round = 0; round < 20; round++) {
			struct end a;

			end_open(&a, refuse, "127.0.0.1:0");
			end_close(&a);
			CHECK(is_port_free(&a.config.listen[0]));
		}
	}
}

static void test_port_of_a_killed_process_can_be_opened(void)
{
	for (int round = 0; round < 5; round++) {
		struct udp_config config = {.listen_cnt = 1};
		int pipe_fds[2], status;
		struct packet_rx *rx;
		struct packet_tx *tx;
		unsigned failed_idx;
		struct end a;
		pid_t child;

		CHECK_EQ(pipe(pipe_fds), 0);
		child = fork();
		CHECK(child >= 0);
		if (child == 0) {
			end_open(&a, false, "127.0.0.1:0");
			if (write(pipe_fds[1], &a.config.listen[0], sizeof(struct addr)) > 0)
				(void)pause();
			_exit(1);
		}
		CHECK_EQ(read(pipe_fds[0], &config.listen[0], sizeof(struct addr)),
			 sizeof(struct addr));
		close(pipe_fds[0]);
		close(pipe_fds[1]);
		CHECK_EQ(kill(child, SIGKILL), 0);
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK_EQ(net_udp_open(&config, &rx, &tx, &failed_idx), 0);
		packet_rx_close(rx);
		packet_tx_close(tx);
	}
}

/* The sockets are behind the seam, so look for a UDP socket among the descriptors. */
static void forbid_gso(void)
{
	for (int fd = 3; fd < 64; fd++) {
		int type, one = 1;
		socklen_t len = sizeof(type);

		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_DGRAM)
			(void)setsockopt(fd, SOL_SOCKET, SO_NO_CHECK, &one, sizeof(one));
	}
}

static void test_refused_gso_is_cut_here_and_remembered(void)
{
	struct end a, b;

	end_open(&a, true, "127.0.0.1:0");
	end_open(&b, true, "127.0.0.1:0");
	forbid_gso();
	CHECK_EQ(end_send(&a, NULL, &b.config.listen[0], 44 * 1400, 1400, 0), 0);
	CHECK_EQ(end_count(&b, 44), 44);
	CHECK_EQ(a.tx->counters.call_cnt, 2);
	CHECK_EQ(end_send(&a, NULL, &b.config.listen[0], 44 * 1400, 1400, 0), 0);
	CHECK_EQ(end_count(&b, 44), 44);
	CHECK_EQ(a.tx->counters.call_cnt, 3);
	CHECK_EQ(a.tx->counters.dgram_cnt, 88);
	CHECK_EQ(a.tx->counters.dropped_cnt, 0);
	end_close(&a);
	end_close(&b);
}

static void test_configuration_can_refuse_io_uring(void)
{
	struct end a;

	end_open(&a, true, "127.0.0.1:0");
	CHECK_STR(a.rx->backend, "udp/epoll");
	CHECK_STR(a.rx->reason, "io_uring is off by configuration");
	end_close(&a);
}

static int option_of(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, level, name, &value, &len) < 0 ? -errno : value;
}

/* What a datagram need not bring along is not asked for: each costs a control message. */
static void test_packet_info_is_asked_for_only_where_it_is_a_question(void)
{
	struct udp_config config = {.listen = {addr_of("127.0.0.1:0"), addr_of("0.0.0.0:0"),
					       addr_of("[::1]:0"), addr_of("[::]:0")},
				    .listen_cnt = 4};
	struct udp_sockets *sockets;
	unsigned failed_idx;

	CHECK_EQ(net_udp_sockets_new(&config, &sockets, &failed_idx), 0);
	for (unsigned i = 0; i < 4; i++) {
		int fd = sockets->sockets[i].fd;
		bool is_ipv6 = i >= 2;

		CHECK_EQ(option_of(fd, is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP,
				   is_ipv6 ? IPV6_RECVPKTINFO : IP_PKTINFO),
			 i % 2);
		CHECK_EQ(option_of(fd, SOL_SOCKET, SO_RXQ_OVFL), 0);
	}
	net_udp_sockets_release(sockets);
}

/* A sender that stays full asks at every turn; one wait and one wake are enough. */
static void test_room_is_waited_for_once_however_often_it_is_asked_for(void)
{
	struct udp_config config = {.listen = {addr_of("127.0.0.1:0")}, .listen_cnt = 1};
	struct udp_sockets *sockets;
	struct packet_rx *rx;
	struct dgram dgram;
	unsigned failed_idx;
	uint64_t wake_cnt = 0;

	CHECK_EQ(net_udp_sockets_new(&config, &sockets, &failed_idx), 0);
	if (net_udp_uring_rx_new(sockets, &rx) < 0) {
		printf("# no io_uring here\n");
		net_udp_sockets_release(sockets);
		return;
	}
	CHECK_EQ(packet_rx_burst(rx, &dgram, 1), 0);
	for (unsigned turn = 0; turn < 3; turn++) {
		for (unsigned i = 0; i < 1000; i++)
			sockets->await_writable(rx, 0);
		CHECK_EQ(read(rx->fd, &wake_cnt, sizeof(wake_cnt)), sizeof(wake_cnt));
		CHECK_EQ(wake_cnt, 1);
		CHECK_EQ(packet_rx_burst(rx, &dgram, 1), 0);
	}
	packet_rx_close(rx);
	net_udp_sockets_release(sockets);
}

static void test_the_ring_does_nothing_but_receive(void)
{
	struct dgram dgram;
	struct end a;

	end_open(&a, false, "127.0.0.1:0");
	if (strcmp(a.rx->backend, "udp/io_uring") == 0) {
		CHECK_EQ(packet_rx_burst(a.rx, &dgram, 1), 0);
		CHECK_EQ(uring_probe_refusal(), -EACCES);
	} else {
		printf("# no io_uring here\n");
	}
	end_close(&a);
}

static int child_without(unsigned call_number)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call_number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
	struct end a, b;
	bool is_good;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return 77;
	end_open(&a, false, "127.0.0.1:0");
	end_open(&b, false, "127.0.0.1:0");
	is_good = strcmp(a.rx->backend, "udp/epoll") == 0 &&
		  strstr(a.rx->reason, "io_uring refused: Operation not permitted") &&
		  end_send(&a, NULL, &b.config.listen[0], 14000, 1400, 0) == 0 &&
		  end_count(&b, 10) == 10;
	return is_good ? 0 : 1;
}

/* Refused as a whole, or only once the ring is there. */
static void test_system_without_io_uring_falls_back_and_says_so(void)
{
	static const unsigned call_numbers[] = {SYS_io_uring_setup, SYS_io_uring_register};

	for (size_t i = 0; i < sizeof(call_numbers) / sizeof(call_numbers[0]); i++) {
		int status = 0;
		pid_t child = fork();

		CHECK(child >= 0);
		if (child == 0)
			_exit(child_without(call_numbers[i]));
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK(WIFEXITED(status));
		if (WEXITSTATUS(status) == 77) {
			printf("# no seccomp filter here\n");
			return;
		}
		CHECK_EQ(WEXITSTATUS(status), 0);
	}
}

static bool loopback_set(int mtu)
{
	struct ifreq ifr = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool is_set;

	ifr.ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK;
	is_set = ioctl(fd, SIOCSIFFLAGS, &ifr) == 0;
	ifr.ifr_mtu = mtu;
	is_set = is_set && ioctl(fd, SIOCSIFMTU, &ifr) == 0;
	close(fd);
	return is_set;
}

static void test_datagram_above_the_mtu_is_counted_and_the_rest_goes(void)
{
	if (!has_namespace) {
		printf("# needs a network namespace of its own\n");
		return;
	}
	CHECK(loopback_set(1500));
	for (size_t i = 0; i < PAIR_CNT; i++) {
		size_t fits = pairs[i].a[0] == '[' ? 1452 : 1472;
		struct end a, b;

		end_open(&a, pairs[i].refuse_io_uring, pairs[i].a);
		end_open(&b, pairs[i].refuse_io_uring, pairs[i].b);
		CHECK_EQ(end_send(&a, NULL, &b.config.listen[0], fits + 1, 0, 0), 0);
		CHECK_EQ(a.tx->toobig_cnt, 1);
		CHECK_EQ(end_send(&a, NULL, &b.config.listen[0], fits, 0, 0), 0);
		CHECK_EQ(end_count(&b, 1), 1);
		/* A run of such datagrams: its short last one fits, and GSO is not blamed. */
		CHECK_EQ(end_send(&a, NULL, &b.config.listen[0], 2 * (fits + 1) + 8, fits + 1, 0),
			 0);
		CHECK_EQ(a.tx->toobig_cnt, 3);
		CHECK_EQ(end_count(&b, 1), 1);
		a.tx->counters.call_cnt = 0;
		CHECK_EQ(end_send(&a, NULL, &b.config.listen[0], 10 * fits, fits, 0), 0);
		CHECK_EQ(a.tx->counters.call_cnt, 1);
		CHECK_EQ(end_count(&b, 10), 10);
		end_close(&a);
		end_close(&b);
	}
	CHECK(loopback_set(65536));
}

static void test_unreachable_address_is_counted_and_the_rest_goes(void)
{
	struct addr nowhere = addr_of("192.0.2.1:9");
	struct end a, b;

	if (!has_namespace) {
		printf("# needs a network namespace of its own\n");
		return;
	}
	end_open(&a, false, "0.0.0.0:0");
	end_open(&b, false, "127.0.0.1:0");
	CHECK_EQ(end_send(&a, NULL, &nowhere, 10, 0, 0), 0);
	CHECK_EQ(a.tx->counters.dropped_cnt, 1);
	CHECK_EQ(end_send(&a, NULL, &b.config.listen[0], 10, 0, 0), 0);
	CHECK_EQ(end_count(&b, 1), 1);
	end_close(&a);
	end_close(&b);
}

int main(void)
{
	has_namespace = unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
	has_namespace = has_namespace && loopback_set(65536);
	RUN(test_run_arrives_whole_in_order_from_the_right_address);
	RUN(test_run_of_more_segments_than_the_kernel_cuts_arrives);
	RUN(test_more_waiting_than_buffers_all_arrives);
	RUN(test_what_the_kernel_had_no_room_for_is_counted);
	RUN(test_idle_burst_gives_nothing);
	RUN(test_wildcard_socket_answers_from_the_address_asked);
	RUN(test_several_addresses_share_one_side);
	RUN(test_taken_port_names_the_address_at_fault);
	RUN(test_port_is_free_as_soon_as_both_sides_are_closed);
	RUN(test_port_of_a_killed_process_can_be_opened);
	RUN(test_refused_gso_is_cut_here_and_remembered);
	RUN(test_configuration_can_refuse_io_uring);
	RUN(test_packet_info_is_asked_for_only_where_it_is_a_question);
	RUN(test_room_is_waited_for_once_however_often_it_is_asked_for);
	RUN(test_the_ring_does_nothing_but_receive);
	RUN(test_system_without_io_uring_falls_back_and_says_so);
	RUN(test_datagram_above_the_mtu_is_counted_and_the_rest_goes);
	RUN(test_unreachable_address_is_counted_and_the_rest_goes);
	return check_done();
}

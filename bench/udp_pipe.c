/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which way of moving datagrams is the cheapest: what bench/udp drives.
 *
 *   receive ADDR PORT uring|epoll            the two receive sides of net/
 *   send ADDR PORT SECONDS ours|uring        net/'s send side, or runs of the
 *                                            same size as io_uring sendmsg
 *
 * Runs of 44 datagrams of 1,400 bytes, cut by GSO. The receiver ends when
 * nothing came for a while and prints one line of JSON.
 */
#include <arpa/inet.h>
#include <liburing.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/monotonic.h"
#include "net/packet_io.h"

#define SEGMENT_LEN 1400
#define RUN_LEN	    (44 * SEGMENT_LEN)
#define RING_CNT    8 /* runs under way */
#define IDLE_MS	    500

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void side_open(const char *listen, bool refuse_io_uring, struct packet_rx **out_rx,
		      struct packet_tx **out_tx)
{
	struct udp_config config = {.listen_cnt = 1,
				    .rx_buffer_len = 4u << 20,
				    .tx_buffer_len = 4u << 20,
				    .refuse_io_uring = refuse_io_uring};
	unsigned failed_idx;

	if (addr_parse(listen, &config.listen[0]) < 0 ||
	    net_udp_open(&config, out_rx, out_tx, &failed_idx) < 0)
		die("udp_open");
}

static void receive(const char *addr, bool refuse_io_uring)
{
	uint64_t bytes = 0, dgrams = 0, first_ns = 0, last_ns = 0;
	struct dgram batch[PACKET_BURST_MAX];
	struct packet_rx *rx;
	struct packet_tx *tx;
	struct pollfd fd;
	unsigned cnt;

	side_open(addr, refuse_io_uring, &rx, &tx);
	fd = (struct pollfd){.fd = rx->fd, .events = POLLIN};
	for (;;) {
		cnt = packet_rx_burst(rx, batch, PACKET_BURST_MAX);
		if (cnt) {
			last_ns = clock_monotonic_ns();
			first_ns = first_ns ? first_ns : last_ns;
		}
		for (unsigned i = 0; i < cnt; i++)
			bytes += batch[i].len;
		dgrams += cnt;
		if (!cnt && poll(&fd, 1, first_ns ? IDLE_MS : 10000) == 0)
			break;
	}
	printf("{\"bytes\":%llu,\"dgrams\":%llu,\"ns\":%llu,\"backend\":\"%s\",\"calls\":%llu}\n",
	       (unsigned long long)bytes, (unsigned long long)dgrams,
	       (unsigned long long)(last_ns - first_ns), rx->backend,
	       (unsigned long long)rx->counters.call_cnt);
	packet_rx_close(rx);
	packet_tx_close(tx);
}

static void send_ours(const struct addr *remote, uint64_t stop_ns)
{
	struct dgram_route route = {.remote = *remote, .segment_len = SEGMENT_LEN};
	struct packet_rx *rx;
	struct packet_tx *tx;
	struct dgram_slot slot;

	side_open("0.0.0.0:0", true, &rx, &tx);
	while (clock_monotonic_ns() < stop_ns) {
		if (tx->sink.ops->reserve(&tx->sink, RUN_LEN, &slot)) {
			memset(slot.data, 1, RUN_LEN);
			tx->sink.ops->commit(&tx->sink, &slot, RUN_LEN, &route);
		}
		(void)packet_tx_flush(tx);
	}
}

struct uring_run {
	uint8_t data[RUN_LEN];
	struct iovec iov;
	struct msghdr msg;
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))];
};

static void run_init(struct uring_run *run, struct sockaddr_storage *remote, unsigned remote_len)
{
	const uint16_t segment_len = SEGMENT_LEN;
	struct cmsghdr *cmsg = (void *)run->control;

	cmsg->cmsg_level = SOL_UDP;
	cmsg->cmsg_type = UDP_SEGMENT;
	cmsg->cmsg_len = CMSG_LEN(sizeof(segment_len));
	memcpy(CMSG_DATA(cmsg), &segment_len, sizeof(segment_len));
	run->iov = (struct iovec){run->data, RUN_LEN};
	run->msg = (struct msghdr){.msg_name = remote,
				   .msg_namelen = remote_len,
				   .msg_iov = &run->iov,
				   .msg_iovlen = 1,
				   .msg_control = run->control,
				   .msg_controllen = sizeof(run->control)};
}

static void send_uring(const struct addr *remote, uint64_t stop_ns)
{
	static struct uring_run runs[RING_CNT];
	struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
						  IORING_SETUP_DEFER_TASKRUN};
	struct sockaddr_storage sa;
	unsigned sa_len = addr_to_sockaddr(remote, &sa);
	int fd = socket(AF_INET, SOCK_DGRAM, 0), size = 4 << 20;
	struct io_uring_cqe *cqe;
	struct io_uring ring;

	if (fd < 0 || io_uring_queue_init_params(2 * RING_CNT, &ring, &params) < 0)
		die("io_uring");
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	for (int i = 0; i < RING_CNT; i++)
		run_init(&runs[i], &sa, sa_len);
	while (clock_monotonic_ns() < stop_ns) {
		for (int i = 0; i < RING_CNT; i++) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

			memset(runs[i].data, 1, RUN_LEN);
			io_uring_prep_sendmsg(sqe, fd, &runs[i].msg, 0);
		}
		if (io_uring_submit_and_wait(&ring, RING_CNT) < 0)
			die("io_uring_submit_and_wait");
		for (int i = 0; i < RING_CNT && io_uring_peek_cqe(&ring, &cqe) == 0; i++)
			io_uring_cqe_seen(&ring, cqe);
	}
}

int main(int argc, char **argv)
{
	char text[ADDR_TEXT_CAP];
	struct addr remote;
	uint64_t stop_ns;

	if (argc < 5)
		return 2;
	snprintf(text, sizeof(text), "%s:%s", argv[2], argv[3]);
	if (strcmp(argv[1], "receive") == 0) {
		receive(text, strcmp(argv[4], "epoll") == 0);
		return 0;
	}
	if (argc < 6 || addr_parse(text, &remote) < 0)
		return 2;
	stop_ns = clock_monotonic_ns() + (unsigned)atoi(argv[4]) * NS_PER_S;
	if (strcmp(argv[5], "uring") == 0)
		send_uring(&remote, stop_ns);
	else
		send_ours(&remote, stop_ns);
	return 0;
}

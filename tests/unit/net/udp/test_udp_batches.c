/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The batches of net/udp/udp over a simulated kernel. sendmmsg and recvmmsg are the test's own,
 * so each row says what a call takes, refuses or brings. No datagram leaves the process; the
 * descriptors that epoll watches are eventfds.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/udp/udp_socket.h"
#include "support/check.h"

#define SENT_CAP 512
#define TELL_CAP 32

/* What the kernel says next: takes so many, or fails; without a row it takes all. */
struct tell {
	int cnt;
	int err;
};

struct sent {
	int fd;
	uint16_t port;
	uint16_t segment_len;
	size_t len;
	uint8_t first;
};

static struct tell tells[TELL_CAP];
static unsigned tell_cnt, told_cnt, call_cnt;
static struct sent sent[SENT_CAP];
static unsigned sent_cnt;

static uint16_t segment_of(const struct msghdr *msg)
{
	uint16_t segment_len = 0;

	for (struct cmsghdr *at = CMSG_FIRSTHDR(msg); at;
	     at = CMSG_NXTHDR((struct msghdr *)msg, at))
		if (at->cmsg_level == SOL_UDP && at->cmsg_type == UDP_SEGMENT)
			memcpy(&segment_len, CMSG_DATA(at), sizeof(segment_len));
	return segment_len;
}

int sendmmsg(int fd, struct mmsghdr *headers, unsigned cnt, int flags)
{
	struct tell tell =
		told_cnt < tell_cnt ? tells[told_cnt++] : (struct tell){.cnt = INT32_MAX};

	call_cnt++;
	if (!(flags & MSG_DONTWAIT))
		abort();
	if (tell.err) {
		errno = tell.err;
		return -1;
	}
	if ((unsigned)tell.cnt < cnt)
		cnt = (unsigned)tell.cnt;
	for (unsigned i = 0; i < cnt && sent_cnt < SENT_CAP; i++) {
		const struct msghdr *msg = &headers[i].msg_hdr;
		const struct sockaddr_in *name = msg->msg_name;

		sent[sent_cnt++] = (struct sent){.fd = fd,
						 .port = ntohs(name->sin_port),
						 .segment_len = segment_of(msg),
						 .len = msg->msg_iov->iov_len,
						 .first = *(uint8_t *)msg->msg_iov->iov_base};
	}
	return (int)cnt;
}

/* --- sending --- */

static struct udp_sockets sockets;
static struct packet_tx *tx;
static unsigned await_cnt, awaited_idx;

static void await_writable(struct packet_rx *rx, unsigned socket_idx)
{
	(void)rx;
	await_cnt++;
	awaited_idx = socket_idx;
}

static void kernel_tells(const struct tell *rows, unsigned cnt)
{
	memcpy(tells, rows, cnt * sizeof(*rows));
	tell_cnt = cnt;
	told_cnt = call_cnt = sent_cnt = 0;
}

#define KERNEL_TELLS(...)                                                                          \
	do {                                                                                       \
		const struct tell next[] = {__VA_ARGS__};                                          \
		kernel_tells(next, sizeof(next) / sizeof(next[0]));                                \
	} while (0)

static struct addr addr_of(const char *text)
{
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

static void sockets_init(void)
{
	memset(&sockets, 0, sizeof(sockets));
	sockets.sockets[0] = (struct udp_socket){.bound = addr_of("0.0.0.0:7000"),
						 .fd = eventfd(0, EFD_CLOEXEC),
						 .is_wildcard = true};
	sockets.sockets[1] = (struct udp_socket){
		.bound = addr_of("[::]:7000"), .fd = eventfd(0, EFD_CLOEXEC), .is_wildcard = true};
	sockets.cnt = 2;
	sockets.ref_cnt = 1; /* the test's */
}

static void tx_begin(void)
{
	sockets_init();
	sockets.await_writable = await_writable;
	await_cnt = 0;
	kernel_tells(tells, 0);
	if (net_udp_mmsg_tx_new(&sockets, &tx) < 0)
		abort();
}

static void tx_end(void)
{
	packet_tx_close(tx);
	CHECK_EQ(sockets.ref_cnt, 1);
	close(sockets.sockets[0].fd);
	close(sockets.sockets[1].fd);
}

/* A run of len bytes, each first, to a port of one of the two families. False: it has to wait. */
static bool send_run(size_t len, size_t segment_len, bool is_ipv6, uint16_t port, uint8_t first)
{
	struct dgram_route route = {.remote = addr_of(is_ipv6 ? "[2001:db8::9]:1" : "192.0.2.9:1"),
				    .segment_len = segment_len};
	struct dgram_slot slot;

	route.remote.port = port;
	if (!tx->sink.ops->reserve(&tx->sink, len ? len : 1, &slot))
		return false;
	memset(slot.data, first, len);
	tx->sink.ops->commit(&tx->sink, &slot, len, &route);
	return true;
}

static bool send_one(uint16_t port)
{
	return send_run(100, 0, false, port, (uint8_t)port);
}

static void test_64_datagrams_go_in_one_call_and_one_more_flushes_them(void)
{
	tx_begin();
	for (uint16_t i = 0; i < 64; i++)
		CHECK(send_one(i));
	CHECK_EQ(call_cnt, 0);
	CHECK(send_one(64));
	CHECK_EQ(call_cnt, 1);
	CHECK_EQ(sent_cnt, 64);
	CHECK_EQ(packet_tx_flush(tx), 0);
	CHECK_EQ(call_cnt, 2);
	CHECK_EQ(sent_cnt, 65);
	for (unsigned i = 0; i < 65; i++) {
		CHECK_EQ(sent[i].port, i);
		CHECK_EQ(sent[i].first, i);
		CHECK_EQ(sent[i].len, 100);
	}
	CHECK_EQ(tx->counters.dgram_cnt, 65);
	CHECK_EQ(tx->counters.byte_cnt, 6500);
	CHECK_EQ(tx->counters.call_cnt, 2);
	CHECK_EQ(packet_tx_flush(tx), 0); /* nothing: no call */
	CHECK_EQ(call_cnt, 2);
	tx_end();
}

static void test_a_run_is_one_message_that_the_kernel_cuts(void)
{
	tx_begin();
	CHECK(send_run(3500, 1000, false, 1, 1));
	CHECK(send_run(1000, 1000, false, 2, 2)); /* one datagram is no run */
	CHECK(send_run(999, 1000, false, 3, 3));
	CHECK(send_run(1001, 1000, false, 4, 4));
	CHECK_EQ(packet_tx_flush(tx), 0);
	CHECK_EQ(call_cnt, 1);
	CHECK_EQ(sent_cnt, 4);
	CHECK_EQ(sent[0].segment_len, 1000);
	CHECK_EQ(sent[1].segment_len, 0);
	CHECK_EQ(sent[2].segment_len, 0);
	CHECK_EQ(sent[3].segment_len, 1000);
	CHECK_EQ(tx->counters.dgram_cnt, 4 + 1 + 1 + 2);
	CHECK_EQ(tx->counters.byte_cnt, 3500 + 1000 + 999 + 1001);
	tx_end();
}

static void test_families_go_by_their_own_sockets_in_order(void)
{
	tx_begin();
	for (uint16_t i = 0; i < 6; i++)
		CHECK(send_run(50, 0, i == 2 || i == 3, i, (uint8_t)i));
	CHECK_EQ(packet_tx_flush(tx), 0);
	CHECK_EQ(call_cnt, 3);
	CHECK_EQ(sent_cnt, 6);
	for (unsigned i = 0; i < 6; i++) {
		CHECK_EQ(sent[i].port, i);
		CHECK_EQ(sent[i].fd, sockets.sockets[i == 2 || i == 3].fd);
	}
	tx_end();
}

static void test_what_a_full_kernel_leaves_is_sent_later_once(void)
{
	tx_begin();
	for (uint16_t i = 0; i < 10; i++)
		CHECK(send_run(50, 0, i >= 8, i, (uint8_t)i));
	KERNEL_TELLS({.cnt = 3}, {.err = EAGAIN}, {.cnt = 5}, {.err = EAGAIN});
	CHECK_EQ(packet_tx_flush(tx), WEFT_EBUSY);
	CHECK_EQ(sent_cnt, 3);
	CHECK_EQ(await_cnt, 1);
	CHECK_EQ(awaited_idx, 0);
	CHECK_EQ(packet_tx_flush(tx), WEFT_EBUSY);
	CHECK_EQ(await_cnt, 2);
	CHECK_EQ(awaited_idx, 1);
	CHECK_EQ(packet_tx_flush(tx), 0);
	CHECK_EQ(sent_cnt, 10);
	for (unsigned i = 0; i < 10; i++)
		CHECK_EQ(sent[i].port, i);
	CHECK_EQ(tx->counters.dgram_cnt, 10);
	CHECK_EQ(tx->counters.dropped_cnt, 0);
	/* Without a receive side nothing is awaited. */
	sockets.await_writable = NULL;
	CHECK(send_one(1));
	KERNEL_TELLS({.err = EAGAIN});
	CHECK_EQ(packet_tx_flush(tx), WEFT_EBUSY);
	CHECK_EQ(packet_tx_flush(tx), 0);
	tx_end();
}

static void test_a_full_buffer_refuses_only_while_the_kernel_does(void)
{
	struct dgram_slot slot;

	tx_begin();
	CHECK(!tx->sink.ops->reserve(&tx->sink, UDP_RUN_LEN_MAX + 1, &slot));
	CHECK(tx->sink.ops->reserve(&tx->sink, UDP_RUN_LEN_MAX, &slot));
	CHECK_EQ(slot.cap, UDP_RUN_LEN_MAX);
	tx->sink.ops->cancel(&tx->sink, &slot);
	for (uint16_t i = 0; i < 64; i++)
		CHECK(send_one(i));
	KERNEL_TELLS({.err = EAGAIN});
	CHECK(!send_one(64));
	CHECK(send_one(65));
	CHECK_EQ(packet_tx_flush(tx), 0);
	CHECK_EQ(sent_cnt, 65);
	CHECK_EQ(sent[64].port, 65);
	/* A long run leaves less room, and what is asked for is what there is at least. */
	CHECK(send_run(60000, 1000, false, 1, 1));
	CHECK(tx->sink.ops->reserve(&tx->sink, 5504, &slot));
	CHECK_EQ(slot.cap, 65536 - 60032);
	CHECK_EQ(call_cnt, 3);
	CHECK(tx->sink.ops->reserve(&tx->sink, 5505, &slot));
	CHECK_EQ(call_cnt, 4);
	CHECK_EQ(slot.cap, UDP_RUN_LEN_MAX);
	tx_end();
}

static void test_a_datagram_that_is_refused_is_counted_and_the_rest_goes(void)
{
	static const struct {
		int err;
		unsigned toobig_cnt, dropped_cnt;
	} rows[] = {{EMSGSIZE, 1, 0}, {EPERM, 0, 1}, {ENETUNREACH, 0, 1}, {EINVAL, 0, 1}};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		tx_begin();
		for (uint16_t port = 0; port < 3; port++)
			CHECK(send_one(port));
		KERNEL_TELLS({.err = EINTR}, {.err = rows[i].err});
		CHECK_EQ(packet_tx_flush(tx), 0);
		CHECK_EQ(sent_cnt, 2);
		CHECK_EQ(sent[0].port, 1);
		CHECK_EQ(tx->toobig_cnt, rows[i].toobig_cnt);
		CHECK_EQ(tx->counters.dropped_cnt, rows[i].dropped_cnt);
		CHECK_EQ(tx->counters.dgram_cnt, 2);
		CHECK(!sockets.sockets[0].is_gso_refused);
		tx_end();
	}
}

/* A device that cannot cut: this run and all that follow are cut here. */
static void test_a_run_that_a_device_cannot_cut_is_cut_by_us_from_then_on(void)
{
	static const int errors[] = {EIO, EINVAL};

	for (unsigned i = 0; i < 2; i++) {
		tx_begin();
		CHECK(send_run(2500, 1000, false, 1, 1));
		KERNEL_TELLS({.err = errors[i]});
		CHECK_EQ(packet_tx_flush(tx), 0);
		CHECK_EQ(sent_cnt, 3);
		CHECK_EQ(sent[0].len, 1000);
		CHECK_EQ(sent[2].len, 500);
		CHECK_EQ(sent[0].segment_len, 0);
		CHECK(sockets.sockets[0].is_gso_refused);
		CHECK(!sockets.sockets[1].is_gso_refused);
		CHECK_EQ(tx->counters.dgram_cnt, 3);
		CHECK_EQ(tx->counters.byte_cnt, 2500);
		/* The next one without asking, and where it stopped after a full kernel. */
		CHECK(send_run(2500, 1000, false, 2, 2));
		KERNEL_TELLS({.cnt = 1}, {.err = EINTR}, {.err = EAGAIN});
		CHECK_EQ(packet_tx_flush(tx), WEFT_EBUSY);
		CHECK_EQ(sent_cnt, 1);
		CHECK_EQ(packet_tx_flush(tx), 0);
		CHECK_EQ(sent_cnt, 3);
		CHECK_EQ(sent[1].len, 1000);
		CHECK_EQ(sent[2].len, 500);
		CHECK_EQ(tx->counters.dgram_cnt, 6);
		tx_end();
	}
}

/* One for which the path is too narrow says nothing of the device. */
static void test_a_run_too_large_for_its_path_is_cut_once(void)
{
	tx_begin();
	CHECK(send_run(2500, 1000, false, 1, 1));
	KERNEL_TELLS({.err = EMSGSIZE}, {.err = EMSGSIZE}, {.cnt = 9});
	CHECK_EQ(packet_tx_flush(tx), 0);
	CHECK_EQ(tx->toobig_cnt, 1);
	CHECK_EQ(sent_cnt, 2); /* behind the one refused */
	CHECK_EQ(sent[1].len, 500);
	CHECK(!sockets.sockets[0].is_gso_refused);
	/* As EIO, but then a datagram of it was too large: not the device's fault either. */
	CHECK(send_run(2500, 1000, false, 1, 1));
	KERNEL_TELLS({.err = EIO}, {.err = EMSGSIZE}, {.cnt = 9});
	CHECK_EQ(packet_tx_flush(tx), 0);
	CHECK(!sockets.sockets[0].is_gso_refused);
	/* Nor when nothing of it went either way. */
	CHECK(send_run(2500, 1000, false, 1, 1));
	KERNEL_TELLS({.err = EIO}, {.err = EPERM}, {.err = EPERM}, {.err = EPERM});
	CHECK_EQ(packet_tx_flush(tx), 0);
	CHECK_EQ(tx->counters.dropped_cnt, 3);
	CHECK(!sockets.sockets[0].is_gso_refused);
	tx_end();
}

static void test_a_run_of_more_than_64_is_cut_by_us(void)
{
	tx_begin();
	CHECK(send_run(64 * 100, 100, false, 1, 1));
	CHECK(send_run(64 * 100 + 1, 100, false, 2, 2));
	CHECK_EQ(packet_tx_flush(tx), 0);
	CHECK_EQ(sent_cnt, 1 + 65);
	CHECK_EQ(sent[0].segment_len, 100);
	CHECK_EQ(sent[65].len, 1);
	CHECK_EQ(call_cnt, 3); /* the run, 64 of the other, its last */
	tx_end();
}

static void test_what_has_no_way_out_is_dropped_and_counted(void)
{
	struct udp_hold hold = {.ips = {addr_of("192.0.2.1:0")}, .cnt = 1};
	struct dgram_route route = {.remote = addr_of("192.0.2.9:1"),
				    .local = addr_of("192.0.2.1:7000")};
	struct dgram_slot slot;

	tx_begin();
	CHECK(send_run(0, 0, false, 1, 1)); /* empty */
	CHECK_EQ(tx->counters.dropped_cnt, 1);
	sockets.cnt = 1;
	CHECK(send_run(10, 0, true, 1, 1)); /* no socket of its family */
	CHECK_EQ(tx->counters.dropped_cnt, 2);
	sockets.cnt = 2;
	hold.ips[0].port = 0;
	net_udp_tx_hold(tx, &hold);
	CHECK(tx->sink.ops->reserve(&tx->sink, 10, &slot));
	tx->sink.ops->commit(&tx->sink, &slot, 10, &route);
	CHECK_EQ(tx->counters.dropped_cnt, 3);
	route.local.ip[3] = 2; /* another own address is not held */
	CHECK(tx->sink.ops->reserve(&tx->sink, 10, &slot));
	tx->sink.ops->commit(&tx->sink, &slot, 10, &route);
	hold.cnt = 0;
	net_udp_tx_hold(tx, &hold);
	route.local.ip[3] = 1;
	CHECK(tx->sink.ops->reserve(&tx->sink, 10, &slot));
	tx->sink.ops->commit(&tx->sink, &slot, 10, &route);
	CHECK_EQ(packet_tx_flush(tx), 0);
	CHECK_EQ(sent_cnt, 2);
	CHECK_EQ(tx->counters.dropped_cnt, 3);
	tx_end();
}

/* --- receiving --- */

/* What one recvmmsg of a socket brings. */
struct brought {
	int fd;
	unsigned cnt;
	size_t len;
	int segment_len; /* 0: no GRO */
	int flags;
	bool has_no_name;
};

static struct brought brings[TELL_CAP];
static unsigned bring_cnt;

static void message_fill(struct mmsghdr *header, const struct brought *brought, uint8_t number)
{
	struct msghdr *msg = &header->msg_hdr;
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(4000)};
	struct cmsghdr *at = CMSG_FIRSTHDR(msg);

	name.sin_addr.s_addr = htonl(0xc0000209);
	if (brought->has_no_name)
		name.sin_family = AF_UNSPEC;
	memcpy(msg->msg_name, &name, sizeof(name));
	memset(msg->msg_iov->iov_base, number, brought->len);
	header->msg_len = (unsigned)brought->len;
	msg->msg_flags = brought->flags;
	msg->msg_controllen = 0;
	if (brought->segment_len) {
		at->cmsg_level = SOL_UDP;
		at->cmsg_type = UDP_GRO;
		at->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(at), &brought->segment_len, sizeof(int));
		msg->msg_controllen = CMSG_SPACE(sizeof(int));
	}
}

int recvmmsg(int fd, struct mmsghdr *headers, unsigned cap, int flags, struct timespec *timeout)
{
	static uint8_t number;

	(void)flags, (void)timeout;
	call_cnt++;
	for (unsigned i = 0; i < bring_cnt; i++) {
		struct brought *brought = &brings[i];
		unsigned cnt = brought->cnt < cap ? brought->cnt : cap;

		if (brought->fd != fd || !cnt)
			continue;
		for (unsigned k = 0; k < cnt; k++)
			message_fill(&headers[k], brought, number++);
		brought->cnt -= cnt;
		return (int)cnt;
	}
	errno = EAGAIN;
	return -1;
}

static struct packet_rx *rx;

static void rx_begin(void)
{
	sockets_init();
	bring_cnt = call_cnt = 0;
	if (net_udp_mmsg_rx_new(&sockets, &rx) < 0)
		abort();
}

/* Socket idx has something: its descriptor becomes readable. */
static void bring(unsigned idx, struct brought brought)
{
	const uint64_t one = 1;

	brought.fd = sockets.sockets[idx].fd;
	brings[bring_cnt++] = brought;
	if (write(brought.fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

static void rx_end(void)
{
	packet_rx_close(rx);
	CHECK_EQ(sockets.ref_cnt, 1);
	CHECK(!sockets.await_writable);
	close(sockets.sockets[0].fd);
	close(sockets.sockets[1].fd);
}

static void test_a_burst_takes_what_fits_and_the_next_goes_on(void)
{
	struct dgram dgrams[PACKET_BURST_MAX];

	rx_begin();
	CHECK_EQ(packet_rx_burst(rx, dgrams, 8), 0);
	bring(0, (struct brought){.cnt = 33, .len = 100});
	CHECK_EQ(packet_rx_burst(rx, dgrams, 20), 20);
	CHECK_EQ(packet_rx_burst(rx, dgrams, 20), 12); /* 32 of one call */
	CHECK_EQ(packet_rx_burst(rx, dgrams, 20), 1);
	CHECK_EQ(dgrams[0].len, 100);
	CHECK_EQ(dgrams[0].remote.port, 4000);
	CHECK_EQ(dgrams[0].local.port, 7000);
	CHECK_EQ(rx->counters.dgram_cnt, 33);
	CHECK_EQ(rx->counters.byte_cnt, 3300);
	CHECK_EQ(rx->counters.dropped_cnt, 0);
	rx_end();
}

static void test_a_coalesced_receive_is_taken_apart_across_bursts(void)
{
	struct dgram dgrams[PACKET_BURST_MAX];

	rx_begin();
	bring(0, (struct brought){.cnt = 2, .len = 2500, .segment_len = 1000});
	CHECK_EQ(packet_rx_burst(rx, dgrams, 2), 2);
	CHECK_EQ(dgrams[0].len, 1000);
	CHECK_EQ(packet_rx_burst(rx, dgrams, 2), 2);
	CHECK_EQ(dgrams[0].len, 500);
	CHECK_EQ(dgrams[1].len, 1000);
	CHECK(dgrams[0].data[0] != dgrams[1].data[0]);
	CHECK_EQ(packet_rx_burst(rx, dgrams, 64), 2);
	CHECK_EQ(dgrams[1].len, 500);
	CHECK_EQ(rx->counters.dgram_cnt, 6);
	CHECK_EQ(rx->counters.byte_cnt, 5000);
	rx_end();
}

static void test_what_is_cut_short_empty_or_from_nowhere_is_dropped(void)
{
	struct dgram dgrams[PACKET_BURST_MAX];

	rx_begin();
	bring(0, (struct brought){.cnt = 2, .len = 50, .flags = MSG_TRUNC});
	bring(0, (struct brought){.cnt = 1, .len = 0});
	bring(0, (struct brought){.cnt = 1, .len = 50, .has_no_name = true});
	bring(0, (struct brought){.cnt = 1, .len = 60});
	for (unsigned i = 0; i < 8 && rx->counters.dgram_cnt == 0; i++)
		(void)packet_rx_burst(rx, dgrams, 64);
	CHECK_EQ(rx->counters.dgram_cnt, 1);
	CHECK_EQ(dgrams[0].len, 60);
	CHECK_EQ(rx->counters.dropped_cnt, 4);
	rx_end();
}

static void test_sockets_are_asked_in_turn(void)
{
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned from[2] = {0};

	rx_begin();
	bring(0, (struct brought){.cnt = 64, .len = 10});
	bring(1, (struct brought){.cnt = 64, .len = 20});
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(packet_rx_burst(rx, dgrams, 64), 32);
		from[dgrams[0].len == 20]++;
	}
	CHECK_EQ(from[0], 1);
	CHECK_EQ(from[1], 1);
	CHECK_EQ(packet_rx_burst(rx, dgrams, 64) + packet_rx_burst(rx, dgrams, 64), 64);
	CHECK_EQ(packet_rx_burst(rx, dgrams, 64), 0);
	rx_end();
}

int main(void)
{
	RUN(test_64_datagrams_go_in_one_call_and_one_more_flushes_them);
	RUN(test_a_run_is_one_message_that_the_kernel_cuts);
	RUN(test_families_go_by_their_own_sockets_in_order);
	RUN(test_what_a_full_kernel_leaves_is_sent_later_once);
	RUN(test_a_full_buffer_refuses_only_while_the_kernel_does);
	RUN(test_a_datagram_that_is_refused_is_counted_and_the_rest_goes);
	RUN(test_a_run_that_a_device_cannot_cut_is_cut_by_us_from_then_on);
	RUN(test_a_run_too_large_for_its_path_is_cut_once);
	RUN(test_a_run_of_more_than_64_is_cut_by_us);
	RUN(test_what_has_no_way_out_is_dropped_and_counted);
	RUN(test_a_burst_takes_what_fits_and_the_next_goes_on);
	RUN(test_a_coalesced_receive_is_taken_apart_across_bursts);
	RUN(test_what_is_cut_short_empty_or_from_nowhere_is_dropped);
	RUN(test_sockets_are_asked_in_turn);
	return check_done();
}

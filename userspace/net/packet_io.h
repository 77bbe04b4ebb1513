/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_PACKET_IO_H
#define WEFT_NET_PACKET_IO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/dgram.h"
#include "base/figure.h"

/*
 * Receive and send sides of packet I/O are separate objects, chosen
 * separately: udp now, mem in the simulator, AF_XDP later. One worker owns
 * both. Callers may read what the structs show; the rest is the backend's.
 */
#define PACKET_BURST_MAX 64

struct packet_counters {
#define FIGURE FIGURE_FIELD
#include "net/packet_counters.def"
};

struct packet_rx;
struct packet_rx_ops {
	unsigned (*burst)(struct packet_rx *rx, struct dgram *out_dgrams, unsigned cap);
	void (*close)(struct packet_rx *rx);
};
struct packet_rx {
	const struct packet_rx_ops *ops;
	const char *backend; /* "udp/io_uring", "udp/epoll", "mem" */
	char reason[96];     /* why this backend: "io_uring refused: Operation not permitted" */
	int fd;		     /* readable when new datagrams arrived; -1: none */
	struct packet_counters counters;
};

struct packet_tx;
struct packet_tx_ops {
	int (*flush)(struct packet_tx *tx);
	void (*close)(struct packet_tx *tx);
};
struct packet_tx {
	struct dgram_sink sink; /* reserve, commit, cancel */
	const struct packet_tx_ops *ops;
	const char *backend;
	char reason[96];
	struct packet_counters counters;
	uint64_t toobig_cnt; /* datagrams the path's MTU refused */
};

/*
 * packet_rx_burst fills up to cap datagrams, whose data live until the
 * next burst. Returns how many; 0: nothing is waiting. Never blocks.
 */
static inline unsigned packet_rx_burst(struct packet_rx *rx, struct dgram *out_dgrams, unsigned cap)
{
	return rx->ops->burst(rx, out_dgrams, cap);
}

/*
 * packet_tx_flush hands everything committed to the kernel. Returns 0, or
 * WEFT_EBUSY when some of it waits for room: the receive side's fd becomes
 * readable when there is some, flush again then. Errors of single
 * datagrams are counted, not returned. reserve flushes by itself when the
 * send side is full, so it refuses only while the kernel does.
 */
static inline int packet_tx_flush(struct packet_tx *tx)
{
	return tx->ops->flush(tx);
}

static inline void packet_rx_close(struct packet_rx *rx)
{
	if (rx)
		rx->ops->close(rx);
}

static inline void packet_tx_close(struct packet_tx *tx)
{
	if (tx)
		tx->ops->close(tx);
}

/*
 * net_udp_open binds one UDP socket per listen address, 1 to 8. For port 0 the kernel chooses a
 * port, which is written back into listen. Both sides are made over the sockets: io_uring, else
 * epoll with recvmmsg and sendmmsg. Sockets have DF set, ECN and packet info on, GRO on, GSO used
 * when the kernel has it.
 *
 * Several workers listen on the same addresses. They open one after the other, worker_idx 0 to
 * worker_cnt - 1, each with the addresses that the first wrote back. Once the last has opened, the
 * kernel gives a QUIC datagram to the worker that its connection id names, and any other to the
 * first. A port that another process holds is refused to the first.
 *
 * Returns 0, or -errno with *out_failed_idx the address at fault.
 */
struct udp_config {
	struct addr listen[8];
	unsigned listen_cnt;
	unsigned worker_idx;
	unsigned worker_cnt;	/* 0 or 1: alone */
	unsigned rx_buffer_len; /* SO_RCVBUF, bytes */
	unsigned tx_buffer_len;
	bool refuse_io_uring; /* take the fallback, for tests and by configuration */
};
WEFT_MUST_CHECK
int net_udp_open(struct udp_config *config, struct packet_rx **out_rx, struct packet_tx **out_tx,
		 unsigned *out_failed_idx);

/*
 * A side port is a UDP port of IPv4 beside those of net_udp_open; the kernel chooses it. open returns its
 * descriptor, or -errno. send: a datagram that finds no room is lost. receive: one datagram into data,
 * with the address that it was sent to; false: none is waiting. complains: routers said by ICMP that
 * what was sent from it may not pass, or reaches no host. A port that nothing listens at is no
 * complaint. adopt makes both sides over it and takes fd, or returns -errno and leaves it.
 */
WEFT_MUST_CHECK
int net_udp_port_open(void);
void net_udp_port_send(int fd, const struct addr *to, const uint8_t *data, size_t len);
bool net_udp_port_receive(int fd, uint8_t *data, size_t cap, struct dgram *out_dgram);
bool net_udp_port_complains(int fd);
WEFT_MUST_CHECK
int net_udp_port_adopt(int fd, struct packet_rx **out_rx, struct packet_tx **out_tx,
		       struct addr *out_bound);

/*
 * net_udp_tx_hold: datagrams that tx, the send side of net_udp_open, would send from one of these
 * local addresses are dropped and counted, until the next call. A wildcard stands for all whose
 * source is the kernel's choice. Ports do not matter.
 */
#define UDP_HOLD_MAX 32
struct udp_hold {
	struct addr ips[UDP_HOLD_MAX];
	unsigned cnt;
};
void net_udp_tx_hold(struct packet_tx *tx, const struct udp_hold *hold);
/* net_udp_hold_has: hold keeps back what goes along route. */
bool net_udp_hold_has(const struct udp_hold *hold, const struct dgram_route *route);

#endif

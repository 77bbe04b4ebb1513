/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_UDP_UDP_SOCKET_H
#define WEFT_NET_UDP_UDP_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/packet_io.h"

/*
 * Private to net/: UDP sockets that a receive side and a send side
 * share, the meaning of control messages, and how a coalesced receive
 * is taken apart.
 */
#define UDP_SOCKET_CNT_MAX  8
#define UDP_SEGMENT_CNT_MAX 64	  /* kernel: UDP_MAX_SEGMENTS before 6.9 */
#define UDP_RUN_LEN_MAX	    65487 /* 65,535 less an IPv6 and a UDP header */
#define UDP_TRAIN_LEN_MAX   65536 /* the most that one receive returns */
#define UDP_CONTROL_LEN_MAX 128	  /* packet info, traffic class, segment length */

struct udp_socket {
	struct addr bound;
	int fd;
	bool is_wildcard;
	uint32_t overflow_cnt; /* the kernel's running count when last asked */
	bool is_gso_refused; /* a device could not cut runs: the send side cuts them from then on */
};

/*
 * Both sides hold a reference; the last one closes the sockets. A send side that finds a socket
 * full calls await_writable, and the receive side's fd becomes readable when there is room. NULL:
 * there is no receive side.
 */
struct udp_sockets {
	struct udp_socket sockets[UDP_SOCKET_CNT_MAX];
	unsigned cnt;
	unsigned ref_cnt;
	unsigned burst_cnt; /* since the kernel was last asked for overflows */
	void (*await_writable)(struct packet_rx *rx, unsigned socket_idx);
	struct packet_rx *rx;
};

/* net_udp_sockets_new opens and binds; the caller holds the first reference. As net_udp_open. */
WEFT_MUST_CHECK
int net_udp_sockets_new(struct udp_config *config, struct udp_sockets **out_sockets,
			unsigned *out_failed_idx);
void net_udp_sockets_release(struct udp_sockets *sockets);
/* net_udp_ipv4_options sets what each wildcard socket of IPv4 has; GRO aside. 0 or -errno. */
WEFT_MUST_CHECK
int net_udp_ipv4_options(int fd);
/*
 * Sockets of several workers on one port: net_udp_steer_join makes fd one of
 * them. The first socket joins after it is bound, so that a port in use is
 * noticed; the others join before. net_udp_steer_start, called on the last to
 * join, starts the steering. 0 or -errno.
 */
WEFT_MUST_CHECK
int net_udp_steer_join(int fd);
WEFT_MUST_CHECK
int net_udp_steer_start(int fd, unsigned worker_cnt);
/*
 * net_udp_sockets_count_burst adds what a burst brought, and to dropped_cnt what the kernel had no
 * room for. It asks for that only now and then: with every datagram (SO_RXQ_OVFL) the count took 2
 * % of a receiver's time.
 */
void net_udp_sockets_count_burst(struct udp_sockets *sockets, struct packet_counters *counters,
				 const struct dgram *dgrams, unsigned cnt);
/* net_udp_sockets_choose: which socket sends from local to remote, or -1: none of that family. */
int net_udp_sockets_choose(const struct udp_sockets *sockets, const struct addr *local,
			   const struct addr *remote);

/* One receive: datagrams of segment_len bytes, the last one maybe shorter. */
struct udp_train {
	uint8_t *data;
	size_t len;
	size_t segment_len;
	struct addr local;
	struct addr remote;
	uint8_t ecn;
};

/*
 * net_udp_train_parse reads what the kernel said about a receive on socket. name is a sockaddr of
 * the sender, control the control messages.
 *
 * Returns true, or false when the train is empty or its sender has an address of an unknown family.
 */
bool net_udp_train_parse(const struct udp_socket *socket, const void *name, void *control,
			 size_t control_len, struct udp_train *train);

/* net_udp_train_take moves up to cap datagrams out of train; len 0 says it is used up. */
unsigned net_udp_train_take(struct udp_train *train, struct dgram *out_dgrams, unsigned cap);

/*
 * net_udp_control_write writes what the kernel must know to send along route
 * from socket, and returns its length; segment_len 0: one datagram.
 */
size_t net_udp_control_write(const struct udp_socket *socket, const struct dgram_route *route,
			     size_t segment_len, uint8_t control[static UDP_CONTROL_LEN_MAX]);

/*
 * udp_{uring,mmsg}_rx_new and net_udp_mmsg_tx_new make one side each over
 * sockets and take a reference on success. 0 or -errno.
 */
WEFT_MUST_CHECK
int net_udp_uring_rx_new(struct udp_sockets *sockets, struct packet_rx **out_rx);
WEFT_MUST_CHECK
int net_udp_mmsg_rx_new(struct udp_sockets *sockets, struct packet_rx **out_rx);
WEFT_MUST_CHECK
int net_udp_mmsg_tx_new(struct udp_sockets *sockets, struct packet_tx **out_tx);

#endif

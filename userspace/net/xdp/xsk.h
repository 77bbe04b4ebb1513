/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_XDP_XSK_H
#define WEFT_NET_XDP_XSK_H

#include <stdbool.h>
#include <stdint.h>

#include "net/packet_io.h"
#include "umem.h"
#include "xsk_ring.h"

/*
 * Private to net/: one AF_XDP socket, bound to one receive queue of one device, with its umem and
 * rings. The receive side and the send side work on it; its opener closes it after both. One worker
 * has it in between.
 */
struct link_table;

#define XSK_RX_FRAME_CNT_MIN 256 /* of which one burst may hold 64 */
#define XSK_RX_FRAME_CNT_MAX 32768
#define XSK_TX_FRAME_CNT_MAX 32768

struct xsk_config {
	unsigned ifindex;
	unsigned queue_idx;
	const char *device_name;
	const char *mode_name; /* how the program is attached, for the reason */
	bool may_zero_copy;    /* try it before copying */
	uint32_t frame_len;    /* 2,048 or 4,096 */
	uint32_t rx_frame_cnt; /* power of two in [256, 32,768] */
	uint32_t tx_frame_cnt; /* 0: receive only; else a power of two up to 32,768 */
	uint8_t device;	       /* the opener's number, for the link table */
};

/*
 * Frames that the kernel did not hand over, by cause (struct xdp_statistics).
 */
struct xsk_losses {
	uint64_t rx_dropped_cnt;   /* no room, and everything else */
	uint64_t rx_ring_full_cnt; /* the worker was too slow to take */
	uint64_t fill_empty_cnt;   /* the worker was too slow to give back */
	uint64_t invalid_desc_cnt; /* descriptors of this node that the kernel refused: a defect */
};

struct xsk {
	int fd;
	unsigned ifindex, queue_idx;
	uint8_t device;
	bool is_zero_copy, is_busy_polled;
	uint32_t mtu;	       /* of the device: the send side goes by it */
	bool has_partial_sums; /* net_xdp_device_info */
	struct umem umem;
	struct xsk_ring fill, rx, completion, tx;
	uint64_t sent_cnt;	  /* datagrams passed to the kernel; the sender's */
	struct xsk_losses losses; /* the opener's */
	struct {
		void *at;
		size_t len;
	} maps[4]; /* of fill, completion, rx, tx */
	char reason[96];
};

/*
 * net_xsk_open makes and binds the socket and gives the kernel its frames to
 * fill. Nothing arrives before the socket stands in the program's map.
 * Returns 0, -EBUSY (another program holds the queue), -EINVAL (no such
 * queue), -ENODEV, -EPERM (CAP_NET_RAW), -ENOBUFS or -ENOMEM
 * (RLIMIT_MEMLOCK), or another -errno. *out_failed is the step that failed, as
 * text ("the size of the fill ring"); NULL after success.
 * Owns: net_xsk_close, which takes NULL.
 */
WEFT_MUST_CHECK
int net_xsk_open(const struct xsk_config *config, const char **out_failed, struct xsk **out_xsk);
void net_xsk_close(struct xsk *xsk);
/* net_xsk_read_losses brings losses up to date; what is new goes to *out_new. A system call. */
void net_xsk_read_losses(struct xsk *xsk, struct xsk_losses *out_new);

/*
 * net_xsk_rx_new makes the receive side. 0 or -ENOMEM. net_xsk_rx_teach: links learns the paths of
 * frames whose sender knows an id of this node from now on; NULL: none does.
 */
WEFT_MUST_CHECK
int net_xsk_rx_new(struct xsk *xsk, struct packet_rx **out_rx);
void net_xsk_rx_teach(struct packet_rx *rx, struct link_table *links);

/*
 * net_xsk_tx_new makes a send side in front of udp. A datagram to a path
 * that links knows leaves by the device's socket, every other one by udp. It
 * holds up to XSK_TX_DEVICE_MAX sockets, set by number of device, NULL to
 * take one away. Slots are udp's, so a caller may change between the two
 * sides. close leaves udp open. 0 or -ENOMEM.
 */
#define XSK_TX_DEVICE_MAX 8
WEFT_MUST_CHECK
int net_xsk_tx_new(struct packet_tx *udp, struct link_table *links, struct packet_tx **out_tx);
void net_xsk_tx_set(struct packet_tx *tx, uint8_t device, struct xsk *xsk);

#endif

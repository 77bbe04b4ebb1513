/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_FAST_PATH_H
#define BENCH_FAST_PATH_H

#include "net/packet_io.h"
#include "net/xdp/xdp.h"
#include "weft/cid.h"

/*
 * The path of a node between its wire and its QUIC, without the node. It
 * has a UDP socket, the XDP program in front of it, AF_XDP sockets behind
 * that. A failure ends the program with the reason.
 */
struct fast_path {
	struct packet_rx *udp_rx;
	struct packet_tx *udp_tx;
	struct xdp *xdp;
	struct xdp_worker *lane; /* with all queues of the device */
	unsigned device;
	struct weft_config policy; /* fast_path_apply puts it into the program */
	struct weft_cid_keys keys;
};

/*
 * fast_path_open listens on listen, an address of the device. No source is
 * limited. device NULL: the socket alone, with xdp NULL.
 */
void fast_path_open(struct fast_path *path, const char *device, const char *listen,
		    enum xdp_send send);
/*
 * fast_path_open_relay: the same of a relay with these tables, borrowed until it is closed. It
 * listens on two addresses, or on one that is named twice.
 */
#define FAST_PATH_LISTENS 2
void fast_path_open_relay(struct fast_path *path, const char *device,
			  const char *const listens[static FAST_PATH_LISTENS],
			  const struct weft_relay_tables *tables);
void fast_path_apply(struct fast_path *path);
void fast_path_close(struct fast_path *path);

/* fast_path_fail prints what and why and ends the program. */
__attribute__((noreturn)) void fast_path_fail(const char *what, const char *why);

#endif

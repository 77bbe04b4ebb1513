/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of opening the udp backend: the sockets, the best receive side that the system
 * allows, then the send side. Each choice has its reason.
 */
#include <stdio.h>

#include "udp_socket.h"

static int rx_open(struct udp_sockets *sockets, bool refuse_io_uring, struct packet_rx **out_rx)
{
	int err, uring_err = 0;

	if (!refuse_io_uring) {
		uring_err = net_udp_uring_rx_new(sockets, out_rx);
		if (uring_err == 0) {
			snprintf((*out_rx)->reason, sizeof((*out_rx)->reason),
				 "io_uring is available");
			return 0;
		}
	}
	err = net_udp_mmsg_rx_new(sockets, out_rx);
	if (err < 0)
		return err;
	if (refuse_io_uring)
		snprintf((*out_rx)->reason, sizeof((*out_rx)->reason),
			 "io_uring is off by configuration");
	else
		snprintf((*out_rx)->reason, sizeof((*out_rx)->reason), "io_uring refused: %s",
			 weft_err_text(uring_err));
	return 0;
}

int net_udp_open(struct udp_config *config, struct packet_rx **out_rx, struct packet_tx **out_tx,
		 unsigned *out_failed_idx)
{
	struct udp_sockets *sockets;
	struct packet_rx *rx;
	struct packet_tx *tx;
	int err;

	err = net_udp_sockets_new(config, &sockets, out_failed_idx);
	if (err < 0)
		return err;
	err = rx_open(sockets, config->refuse_io_uring, &rx);
	if (err < 0)
		goto release_sockets;
	err = net_udp_mmsg_tx_new(sockets, &tx);
	if (err < 0)
		goto close_rx;
	snprintf(tx->reason, sizeof(tx->reason), "with GSO; io_uring sends are no faster");
	net_udp_sockets_release(sockets);
	*out_rx = rx;
	*out_tx = tx;
	return 0;
close_rx:
	packet_rx_close(rx);
release_sockets:
	net_udp_sockets_release(sockets);
	return err;
}

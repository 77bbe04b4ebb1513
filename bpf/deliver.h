/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_BPF_DELIVER_H
#define WEFT_BPF_DELIVER_H

#include "maps.h"

/*
 * To the AF_XDP socket of this receive queue; where there is none, to the
 * kernel's socket. A frame that our socket would lose goes to the
 * kernel's, too. Such a frame is larger than ours, of a raised MTU. Or in generic
 * mode it is a run of datagrams that the sender's kernel did not cut.
 */
WEFT_INLINE int deliver_frame(struct xdp_md *ctx, __u32 len)
{
	const struct weft_config *config = weft_table_config(ctx);

	if (!config || len > config->deliver_len_max)
		return XDP_PASS;
	return (int)bpf_redirect_map(&weft_xsks, ctx->rx_queue_index, XDP_PASS);
}

#endif

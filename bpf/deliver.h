/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_BPF_DELIVER_H
#define WEFT_BPF_DELIVER_H

#include "maps.h"

/* To the AF_XDP socket of this receive queue; where there is none, to the kernel's socket. */
WEFT_INLINE int deliver_frame(struct xdp_md *ctx)
{
	return (int)bpf_redirect_map(&weft_xsks, ctx->rx_queue_index, XDP_PASS);
}

#endif

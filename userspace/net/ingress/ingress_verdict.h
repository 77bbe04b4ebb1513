/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_INGRESS_INGRESS_VERDICT_H
#define WEFT_NET_INGRESS_INGRESS_VERDICT_H

#include <stdint.h>

#include "weft/fastpath.h"

struct dgram;
struct weft_tables;

/*
 * net_ingress_judge_dgram decides on a datagram that the kernel's socket received as
 * the BPF program would have, counts it, and tells some drops to on_sample
 * (which may be NULL). What its verdict is, is done by the caller:
 * weft_verdict of what is returned.
 */
struct demux_judge {
	struct weft_tables *tables;
	void (*on_sample)(void *ctx, const struct weft_sample *sample);
	void *ctx;
};

enum weft_reason net_ingress_judge_dgram(struct demux_judge *judge, const struct dgram *dgram,
					 uint64_t now_ns);

#endif

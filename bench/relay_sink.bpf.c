/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Drops what a relay sends to the second ends of flows that are a load in bench/relay. Passed are
 * all else, and datagrams to PROBE_PORT: the second end of the flow whose delay is measured.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define PROBE_PORT 33767 /* contenders.SECOND_PORT + FLOWS - 1 */

struct headers {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
} __attribute__((packed));

SEC("xdp")
int relay_sink(struct xdp_md *ctx)
{
	struct headers *to = (void *)(long)ctx->data;

	if ((void *)(to + 1) > (void *)(long)ctx->data_end ||
	    to->eth.h_proto != bpf_htons(ETH_P_IP) || to->ip.protocol != IPPROTO_UDP ||
	    to->udp.dest == bpf_htons(PROBE_PORT))
		return XDP_PASS;
	return XDP_DROP;
}

char relay_sink_license[] SEC("license") = "Dual BSD/GPL";

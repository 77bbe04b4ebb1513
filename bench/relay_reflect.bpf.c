/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sends every UDP datagram over IPv4 back to its sender and looks at
 * nothing else. What bench/relay finds here the veth and the generator take;
 * no relay behind them is faster.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct headers {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
} __attribute__((packed));

SEC("xdp")
int relay_reflect(struct xdp_md *ctx)
{
	struct headers *to = (void *)(long)ctx->data, from;

	if ((void *)(to + 1) > (void *)(long)ctx->data_end ||
	    to->eth.h_proto != bpf_htons(ETH_P_IP) || to->ip.protocol != IPPROTO_UDP)
		return XDP_PASS;
	from = *to;
	__builtin_memcpy(to->eth.h_dest, from.eth.h_source, ETH_ALEN);
	__builtin_memcpy(to->eth.h_source, from.eth.h_dest, ETH_ALEN);
	to->ip.saddr = from.ip.daddr;
	to->ip.daddr = from.ip.saddr;
	to->udp.source = from.udp.dest;
	to->udp.dest = from.udp.source;
	return XDP_TX;
}

char relay_reflect_license[] SEC("license") = "Dual BSD/GPL";

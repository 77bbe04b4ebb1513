/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Passes every packet. Attached natively to both ends of a veth pair it
 * takes away what a plain veth gives sockets for nothing: super-packets
 * that cross uncut.
 */
#include <linux/bpf.h>

__attribute__((section("xdp"), used)) int xdp_pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char pass_license[] __attribute__((section("license"), used)) = "Dual BSD/GPL";

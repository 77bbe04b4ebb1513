/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef NETLAB_WIRE_BPF_H
#define NETLAB_WIRE_BPF_H

#include <linux/bpf.h>
#include <linux/types.h>

/*
 * What wire.bpf.c and wire.c share. A wire has two ends, each a veth whose
 * peer is the node's device; frames that come in at one end leave by the
 * other. Everything below is kept per end, that is, per direction, under
 * the interface index of the end where frames come in.
 */
#define WIRE_END_CNT_MAX 512
#define WIRE_CERTAIN	 (1ULL << 32)

/* Written by userspace, whole; all zero is a perfect wire. */
struct wire_settings {
	__u32 out_ifindex;
	__u32 zero;
	__u64 loss;    /* of WIRE_CERTAIN; lost without a trace */
	__u64 reorder; /* of WIRE_CERTAIN; sent at once, ahead of delayed ones */
	__u64 delay_ns;
	__u64 jitter_ns; /* delay is uniform within delay_ns +- jitter_ns */
	__u64 rate_bps;	 /* bits per second of whole frames; 0: no limit */
	__u64 queue_ns;	 /* longest wait for the rate; what would wait longer is dropped */
};

/* Written by the program only. */
struct wire_state {
	struct bpf_spin_lock lock;
	__u32 zero;
	__u64 dice;
	__u64 free_at_ns; /* when the last frame is through at rate_bps */
};

/* Per CPU. Written by the program only. */
struct wire_counters {
	__u64 frames, bytes; /* that came in */
	__u64 lost;	     /* by the dice */
	__u64 queue_full;
	__u64 held;    /* handed to the delay line */
	__u64 overrun; /* the delay line could not keep up: the lab's fault, not the wire's */
};

/* What precedes a frame on its way to the delay line. */
struct wire_held {
	__u64 depart_ns; /* CLOCK_MONOTONIC */
	__u32 out_ifindex;
	__u32 len; /* of the frame that follows, without vlan_tci */
	__u16 vlan_proto_be;
	__u16 vlan_tci;
	__u32 has_vlan;
};

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef PKTGEN_BPF_H
#define PKTGEN_BPF_H

#include <linux/types.h>

/*
 * Fields that pktgen.bpf.c varies from frame to frame. A template carries
 * zeros in every place that is written. Base sums are those of the
 * template, so a checksum is the base plus what was written. Pages come
 * back with the bytes of their last journey, on which a receiver may have
 * made an answer of them. So their head is the template's again before they
 * leave.
 */
#define PKTGEN_HEAD_WORDS 28 /* 224 bytes: no Retry or Version Negotiation is longer */
#define PKTGEN_TAIL_LEN                                                                            \
	8 /* bytes behind the frame, so that its end lies in whole words; cut off for each journey */
#define PKTGEN_ID_LEN	  16
#define PKTGEN_ID_CNT_MAX 65536
#define PKTGEN_OFF_MAX	  63 /* of what varies, from the beginning of the UDP payload */

struct pktgen_config {
	__u8 source[16]; /* the first source: its last 4 bytes (IPv4), or the address */
	__u32 is_ipv6;
	__u32 source_cnt;  /* >= 1; IPv6: each in a /64 of its own */
	__u32 source_port; /* the first; host order */
	__u32 port_cnt;	   /* >= 1 */
	__u32 id_cnt;	   /* ids in the table; 0: 16 bytes of noise in their place */
	__u32 id_off;	   /* <= PKTGEN_OFF_MAX; where the id is written */
	__u32 id_len;	   /* 0 or PKTGEN_ID_LEN, or 8: that many bytes of it */
	__u32 ip_sum;	   /* partial sums, not complemented */
	__u32 udp_sum;
	__u32 is_paired;	       /* port and id are of one number, and port_cnt is id_cnt */
	__u64 gap_ns;		       /* from one frame to the next; 0: none */
	__u64 cnt;		       /* frames to send; 0: no end */
	__u64 head[PKTGEN_HEAD_WORDS]; /* of the template, whole words of it */
};

struct pktgen_id {
	__u8 bytes[PKTGEN_ID_LEN];
};

struct pktgen_counter {
	__u64 frame_cnt, byte_cnt;
};

#endif

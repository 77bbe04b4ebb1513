/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_FACTS_H
#define WEFT_FACTS_H

#include "weft/classify.h"
#include "weft/endpoint.h"
#include "weft/token.h"

#define WEFT_INITIAL_LEN_MIN 1200 /* RFC 9000 14.1 */
/* An Initial's ids and our token are in these: 7 + 20 + 20 + 8 + 36, and what loads read over. */
#define WEFT_HEAD_LEN 128

/*
 * Stateless resets that can pass for a packet are shorter than the packet
 * that caused them; senders keep them below this (RFC 9000 10.3.3).
 */
#define WEFT_RESET_LEN_CAP 64

#define WEFT_LONG_CID_OFF 6 /* of the destination id in a long header */

enum weft_long_type {
	WEFT_LONG_INITIAL,
	WEFT_LONG_EARLY_DATA,
	WEFT_LONG_HANDSHAKE,
	WEFT_LONG_RETRY,
};

/* Whether a UDP checksum was checked, or how it must be before an answer. */
enum weft_sum {
	WEFT_SUM_TAKEN,	  /* checked by the kernel, whose socket it came by */
	WEFT_SUM_FULL,	  /* not checked yet */
	WEFT_SUM_PARTIAL, /* not checked, and that of the pseudo-header alone will do */
};

/*
 * A datagram to be judged, and what judging it found out. Without
 * pointers, so that the BPF verifier lets a function by itself have it.
 */
struct weft_facts {
	struct weft_endpoint source;
	struct weft_endpoint local; /* zeros: not known */
	__u64 now_ns;		    /* 0: not asked yet */
	__u32 len;		    /* of the UDP payload */
	__u32 payload_off;	    /* of the payload in its frame */
	enum weft_flow flow;	    /* found; OTHER when not looked at */
	enum weft_sum sum;
	__u16 udp_sum;		   /* as struct weft_frame has it */
	__u16 zero[3];		   /* padding is read by the verifier */
	struct weft_id dcid, scid; /* found, of an Initial of 1200 bytes and more */
};

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_CLASSIFY_H
#define WEFT_CLASSIFY_H

#include "weft/bytes.h"

/*
 * One UDP port carries everything; the first bytes of a datagram say what
 * it is (RFC 9443 ranges and three rules of our own). The same function
 * decides in the driver and in userspace, so the two cannot disagree.
 */
enum weft_flow {
	WEFT_FLOW_OTHER, /* nothing we speak: dropped and counted */
	WEFT_FLOW_STUN,
	WEFT_FLOW_KRPC,
	WEFT_FLOW_PROBE, /* a path probe of weft */
	WEFT_FLOW_RELAY, /* a label of weft, and a QUIC packet behind it */
	WEFT_FLOW_QUIC_LONG,
	WEFT_FLOW_QUIC_SHORT,
	WEFT_FLOW_CNT,
};

/* No protocol on this port has a shorter datagram, so shorter ones are not looked at. */
#define WEFT_CLASSIFY_LEN 8

#define WEFT_STUN_LEN_MIN	20	    /* RFC 8489 5: the header */
#define WEFT_STUN_COOKIE	0x2112a442u /* RFC 8489 5, bytes 4 to 7 */
#define WEFT_PROBE_FIRST_BYTE	0x9d
#define WEFT_PROBE_LEN		32
#define WEFT_RELAY_FIRST_BYTE	0x9e
#define WEFT_RELAY_LABEL_LEN	16 /* weft/relay_tables.h */
#define WEFT_QUIC_SHORT_LEN_MIN 21 /* RFC 9000 10.3: the smallest stateless reset */
#define WEFT_QUIC_V1		1u
/* A version that no peer may rely on, sent beside the real one (RFC 9000 6.3). */
#define WEFT_QUIC_GREASE     0x1a2a3a4au
#define WEFT_QUIC_V1_CID_MAX 20 /* RFC 9000 17.2 */

/*
 * weft_classify names the protocol of a UDP payload of len bytes. When
 * len >= WEFT_CLASSIFY_LEN that many bytes at data are readable; a BPF
 * caller has compared data + WEFT_CLASSIFY_LEN with data_end.
 */
WEFT_INLINE enum weft_flow weft_classify(const __u8 *data, __u32 len)
{
	if (len < WEFT_CLASSIFY_LEN)
		return WEFT_FLOW_OTHER;
	switch (data[0] >> 6) {
	case 0:
		if (data[0] <= 3 && len >= WEFT_STUN_LEN_MIN &&
		    weft_load_be32(data + 4) == WEFT_STUN_COOKIE)
			return WEFT_FLOW_STUN;
		return WEFT_FLOW_OTHER;
	case 1:
		/*
		 * A bencoded dictionary begins d<digit>:, and byte 1 of a
		 * short header is the first of our id, whose top bit is set.
		 */
		if (data[0] == 'd' && data[1] >= '0' && data[1] <= '9' && data[2] == ':')
			return WEFT_FLOW_KRPC;
		return len >= WEFT_QUIC_SHORT_LEN_MIN ? WEFT_FLOW_QUIC_SHORT : WEFT_FLOW_OTHER;
	case 2:
		if (data[0] == WEFT_PROBE_FIRST_BYTE && len == WEFT_PROBE_LEN)
			return WEFT_FLOW_PROBE;
		if (data[0] == WEFT_RELAY_FIRST_BYTE && len >= WEFT_RELAY_LABEL_LEN)
			return WEFT_FLOW_RELAY;
		return WEFT_FLOW_OTHER;
	default:
		if (weft_load_be32(data + 1) == WEFT_QUIC_V1 && data[5] > WEFT_QUIC_V1_CID_MAX)
			return WEFT_FLOW_OTHER;
		return WEFT_FLOW_QUIC_LONG;
	}
}

#endif

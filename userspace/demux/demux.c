/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fork in the way of a datagram: after net/ received it, before any
 * protocol sees it. Runs on the worker that owns the socket; stateless.
 */
#include "demux/demux.h"

#include "base/dgram.h"

enum weft_flow demux_classify(const struct dgram *dgram)
{
	return weft_classify(dgram->data, (__u32)dgram->len);
}

const char *demux_flow_name(enum weft_flow flow)
{
	static const char *const names[WEFT_FLOW_CNT] = {
		[WEFT_FLOW_OTHER] = "other",	     [WEFT_FLOW_STUN] = "stun",
		[WEFT_FLOW_KRPC] = "krpc",	     [WEFT_FLOW_PROBE] = "probe",
		[WEFT_FLOW_QUIC_LONG] = "quic-long", [WEFT_FLOW_QUIC_SHORT] = "quic-short",
	};

	return (unsigned)flow < WEFT_FLOW_CNT ? names[flow] : names[WEFT_FLOW_OTHER];
}

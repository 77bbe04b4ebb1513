/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fork in the way of a datagram: after net/ received it, before any
 * protocol sees it. Runs on the worker that owns the socket; stateless.
 */
#include "demux.h"

#include "base/dgram.h"

enum weft_flow net_ingress_classify(const struct dgram *dgram)
{
	return weft_classify(dgram->data, (__u32)dgram->len);
}

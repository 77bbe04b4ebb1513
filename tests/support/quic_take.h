/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SUPPORT_QUIC_TAKE_H
#define WEFT_TESTS_SUPPORT_QUIC_TAKE_H

#include "base/dgram.h"
#include "net/ingress/ingress_verdict.h"
#include "quic/quic.h"

/* quic_take does for an engine what a worker without ingress does: it judges dgram, then passes it on. */
static inline void quic_take(struct quic_engine *engine, struct dgram *dgram, uint64_t now_ns)
{
	(void)net_ingress_classify(dgram);
	net_ingress_find_owner(dgram, quic_engine_cid_keys(engine));
	quic_engine_input(engine, dgram, now_ns);
}

#endif

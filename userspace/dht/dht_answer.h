/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_DHT_ANSWER_H
#define WEFT_DHT_DHT_ANSWER_H

#include <stdint.h>

#include "dht/dht_reason.h"

struct dgram;
struct dht;
struct krpc_message;

/*
 * dht_answer answers query, which came in dgram over a network that is on, and counts the result.
 * The answer is written into the sink; without room there it is dropped, since the asker asks
 * again.
 *
 * No answer is longer than WEFT_KRPC_GAIN_MAX times its query until the asker's address is
 * validated (validated_addrs.h). Before that, nodes beside a value are left out first, then the
 * value. All answers to unvalidated addresses share a budget of bytes per second. A flood under
 * forged addresses draws no more than that from this node, however large it is.
 */
void dht_answer(struct dht *dht, const struct krpc_message *query, const struct dgram *dgram,
		uint64_t now_ns);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_RATE_LIMITER_H
#define WEFT_DHT_RATE_LIMITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "weft/err.h"

struct arena;

/*
 * The limit of new addresses per second to which this node sends. Home routers keep a state for
 * each, and give up on all of them when there are too many. And a node that is made to query a list
 * of addresses must not become a weapon.
 *
 * An address that was sent to in the last DHT_DESTINATION_NS costs nothing. Upkeep may use half of
 * the burst only, so that a request with a waiting asker finds the other half.
 */
struct dht_rate_limiter;

#define DHT_DESTINATION_NS (120 * 1000000000ull) /* what routers keep a UDP state, RFC 4787 REQ-5 */

enum dht_urgency { DHT_URGENT, DHT_UPKEEP };

/* dht_rate_limiter_new: per_s new addresses, >= 1, and a burst of two seconds. 0 or WEFT_EFULL. */
WEFT_MUST_CHECK
int dht_rate_limiter_new(struct arena *arena, uint32_t per_s, const uint64_t secret[2],
			 struct dht_rate_limiter **out_rate_limiter);
/* dht_rate_limiter_admit: addr may be sent to now, and is from then on known. */
bool dht_rate_limiter_admit(struct dht_rate_limiter *rate_limiter, const struct addr *addr,
			    enum dht_urgency urgency, uint64_t now_ns);
/* dht_rate_limiter_next_ns: when it admits a new address again; now_ns when it would now. */
uint64_t dht_rate_limiter_next_ns(const struct dht_rate_limiter *rate_limiter,
				  enum dht_urgency urgency, uint64_t now_ns);

#endif

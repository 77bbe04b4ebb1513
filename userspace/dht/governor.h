/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_GOVERNOR_H
#define WEFT_DHT_GOVERNOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "weft/err.h"

struct arena;

/*
 * How many new addresses we send to per second. Home routers keep a state
 * for each, and give up on all of them when there are too many; and a node
 * that is made to look at a list of addresses must not become a weapon.
 *
 * An address that was sent to in the last DHT_DESTINATION_NS costs
 * nothing. Upkeep may use half of the burst only, so that what somebody
 * waits for finds the other half.
 */
struct dht_governor;

#define DHT_DESTINATION_NS (120 * 1000000000ull) /* what routers keep a UDP state, RFC 4787 REQ-5 */

enum dht_urgency { DHT_URGENT, DHT_UPKEEP };

size_t dht_governor_footprint(void);
/* dht_governor_new: per_s new addresses, >= 1, and a burst of two seconds. 0 or WEFT_EFULL. */
WEFT_MUST_CHECK
int dht_governor_new(struct arena *arena, uint32_t per_s, const uint64_t secret[2],
		     struct dht_governor **out_governor);
/* dht_governor_admit: addr may be sent to now, and is from then on known. */
bool dht_governor_admit(struct dht_governor *governor, const struct addr *addr,
			enum dht_urgency urgency, uint64_t now_ns);
/* dht_governor_next_ns: when it admits a new address again; now_ns when it would now. */
uint64_t dht_governor_next_ns(const struct dht_governor *governor, enum dht_urgency urgency,
			      uint64_t now_ns);

#endif

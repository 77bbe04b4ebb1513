/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_GATEWAY_RATE_H
#define WEFT_GATEWAY_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

/*
 * How often each client address may ask, in a table that never grows. An
 * address (IPv6: its /64) earns a request every interval and saves up a
 * burst. When all places that an address may have are taken, it gets the one
 * whose owner has the least to answer for.
 */
#define RATE_SLOT_CNT 4096
#define RATE_WAY_CNT  4

struct rate_slot {
	struct addr prefix;
	uint64_t repaid_ns; /* when its whole burst is saved up again */
};

struct rate {
	uint64_t secret[2];
	uint64_t interval_ns;
	uint64_t burst_ns; /* interval_ns for each request of the burst */
	struct rate_slot slots[RATE_SLOT_CNT];
};

/*
 * gateway_rate_init: an address earns a request every interval_ns (0: any number may
 * be asked) and saves up burst, at least 1. The rate is zeroed before.
 */
void gateway_rate_init(struct rate *rate, uint64_t interval_ns, unsigned burst);
/* gateway_rate_take: whether addr may ask now, and if so that it did. */
bool gateway_rate_take(struct rate *rate, const struct addr *addr, uint64_t now_ns);
/* gateway_rate_prefix: what of an address counts as one client. */
struct addr gateway_rate_prefix(const struct addr *addr);

#endif

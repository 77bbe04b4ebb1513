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
struct arena;
struct gateway_config;

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
/* The rates of a gateway: of calls that keep it busy, of files, and of all other routes. */
enum gateway_rate { GATEWAY_RATE_OTHER, GATEWAY_RATE_BUSY, GATEWAY_RATE_FILES, GATEWAY_RATE_CNT };
struct gateway_rates {
	struct rate *each; /* GATEWAY_RATE_CNT of them */
};
/* gateway_rates_init lays them out in arena. Returns 0 or WEFT_EFULL. */
WEFT_MUST_CHECK
int gateway_rates_init(struct gateway_rates *rates, struct arena *arena,
		       const struct gateway_config *config);
/* gateway_rate_prefix: what of an address counts as one client. */
struct addr gateway_rate_prefix(const struct addr *addr);

#endif

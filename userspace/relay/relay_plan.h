/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_RELAY_PLAN_H
#define WEFT_RELAY_RELAY_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "relay/relay.h"

/*
 * What a relay sends at most, as its operator has to fit it into an uplink. Pure; any thread.
 * A relay receives about what it sends. Lengths are of datagrams behind labels; 10 % more go by the
 * wire for headers at 500 bytes a datagram.
 */
#define RELAY_PLAN_MONTH_S 2678400ull /* 31 days */

struct relay_plan_bounds {
	uint64_t uplink_per_s; /* bytes a second that the relay may send; 0: no such bound */
	uint64_t month_len;    /* bytes a month; 0: no such bound */
};

struct relay_plan {
	uint64_t free_per_s;	 /* sent while all flows without a grant are busy both ways */
	uint64_t free_month_len; /* the same for a month */
	uint32_t granted_cnt;	 /* grants that relays were shown and that are open here */
	uint32_t unbounded_cnt;	 /* of them those without a rate */
	uint32_t endless_cnt;	 /* of these those without a volume, too */
	uint64_t granted_per_s;	 /* of all others together */
	uint64_t granted_month_len;
	uint32_t flow_cap; /* the highest relay.flow_cap, one spare row included, within bounds */
	bool fits;	   /* the configured one is not higher, and no grant exceeds a bound */
};

/*
 * relay_plan adds the open grants of relay, which may be NULL. What grants take of the bounds is not
 * there for flows without one. flow_cap is WEFT_RELAY_FLOW_CNT_MAX without bounds, and 0 where
 * less than the lowest setting fits.
 */
void relay_plan(const struct relay_config *config, const struct relay *relay,
		const struct relay_plan_bounds *bounds, struct relay_plan *out_plan);

#endif

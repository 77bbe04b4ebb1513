/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_FIREWALL_DROP_COUNTERS_H
#define WEFT_FIREWALL_DROP_COUNTERS_H

#include <stdint.h>

#include "base/timer.h"
#include "offenders.h"

struct firewall_params;

/*
 * Drops by reason and by source, since the daemon started. They are the
 * driver's counters and samples, and those of every worker's socket, which
 * are fetched once a second. Counters of the driver begin at zero with each
 * first device; here they go on. Home worker only; absent in the simulator.
 */
#define DROPS_RATE_S 10

struct drops {
	const struct firewall_params *params; /* NULL: not opened */
	struct timer timer;
	uint64_t since_ns, since_s;
	uint64_t tick_cnt;
	uint64_t salt[2]; /* of the names of sources for readers that may not see them */
	struct weft_counter totals[WEFT_REASON_CNT];
	struct weft_counter seen_driver[WEFT_REASON_CNT]; /* at the last tick */
	struct weft_counter seen_sockets[WEFT_REASON_CNT];
	uint32_t recent[DROPS_RATE_S][WEFT_REASON_CNT]; /* packets of each of the last seconds */
	struct offenders offenders;
};

void firewall_drops_open(struct drops *drops, const struct firewall_params *params);
/* firewall_drops_close takes a zeroed one, too. */
void firewall_drops_close(struct drops *drops);
/* firewall_drops_sample takes one; ctx is the struct drops. */
void firewall_drops_sample(void *ctx, const struct weft_sample *sample);
/* firewall_drops_fetch takes what there is since the last second. */
void firewall_drops_fetch(struct drops *drops);
/* firewall_drops_rate: datagrams a second, over the last ten. */
uint64_t firewall_drops_rate(const struct drops *drops, enum weft_reason reason);
/*
 * firewall_drops_pseudonym names source's prefix without disclosing it; the same until a restart.
 */
#define DROPS_PSEUDONYM_CAP 17
const char *firewall_drops_pseudonym(const struct drops *drops, const struct weft_endpoint *source,
				     char text[static DROPS_PSEUDONYM_CAP]);

#endif

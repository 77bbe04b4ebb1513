/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_KAD_RTT_H
#define WEFT_KAD_RTT_H

#include <stdint.h>

/*
 * The time after which an unanswered query is probably lost, learned from the answers of all
 * nodes of a plane. It is one quantile of their round trips. A mean and a deviation, as for one
 * path (RFC 6298), do not describe many paths.
 *
 * The estimate moves by steps in the ratio quantile : 1 - quantile, up for a sample above and
 * down for one below. So it settles where just that part of the samples is below it. This is
 * O(1) and keeps no samples.
 */
struct kad_rtt {
	uint64_t slow_ns;
	uint64_t floor_ns, ceiling_ns;
	uint64_t sample_cnt;
};

void kad_rtt_init(struct kad_rtt *rtt, uint64_t start_ns, uint64_t floor_ns, uint64_t ceiling_ns);
/* kad_rtt_sample takes the round trip of an answered query, however late it came. */
void kad_rtt_sample(struct kad_rtt *rtt, uint64_t rtt_ns);

#endif

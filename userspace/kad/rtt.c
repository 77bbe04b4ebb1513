/* SPDX-License-Identifier: Apache-2.0 */
#include "kad/rtt.h"

/* Nine answers of ten come before slow_ns: the best of those tried in bench/dht-lookup. */
#define RTT_QUANTILE_PERCENT 90
/* The gain falls from 1 to 1/16 within the first hundred samples. */
#define RTT_GAIN_SAMPLES     8
#define RTT_GAIN_SAMPLES_MAX 120

void kad_rtt_init(struct kad_rtt *rtt, uint64_t start_ns, uint64_t floor_ns, uint64_t ceiling_ns)
{
	*rtt = (struct kad_rtt){
		.slow_ns = start_ns, .floor_ns = floor_ns, .ceiling_ns = ceiling_ns};
}

void kad_rtt_sample(struct kad_rtt *rtt, uint64_t rtt_ns)
{
	uint64_t n =
		rtt->sample_cnt < RTT_GAIN_SAMPLES_MAX ? rtt->sample_cnt : RTT_GAIN_SAMPLES_MAX;
	uint64_t step_ns = rtt->slow_ns * RTT_GAIN_SAMPLES / (RTT_GAIN_SAMPLES + n) / 100;

	rtt->sample_cnt++;
	if (rtt_ns > rtt->slow_ns)
		rtt->slow_ns += step_ns * RTT_QUANTILE_PERCENT;
	else
		rtt->slow_ns -= step_ns * (100 - RTT_QUANTILE_PERCENT);
	if (rtt->slow_ns < rtt->floor_ns)
		rtt->slow_ns = rtt->floor_ns;
	if (rtt->slow_ns > rtt->ceiling_ns)
		rtt->slow_ns = rtt->ceiling_ns;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "clock_vote.h"

static uint64_t size_of(int64_t skew_s)
{
	return skew_s < 0 ? -(uint64_t)skew_s : (uint64_t)skew_s;
}

void api_clock_vote_add(struct clock_vote *vote, const struct addr *remote, int64_t skew_s)
{
	const struct addr network = addr_prefix_key(remote, remote->family == ADDR_IPV4 ? 24 : 48);

	for (unsigned i = 0; i < vote->cnt; i++) {
		if (!addr_equal(&vote->networks[i].network, &network))
			continue;
		if (size_of(skew_s) < size_of(vote->networks[i].skew_s))
			vote->networks[i].skew_s = skew_s;
		return;
	}
	if (vote->cnt == CLOCK_VOTE_CAP)
		return;
	vote->networks[vote->cnt].network = network;
	vote->networks[vote->cnt++].skew_s = skew_s;
}

/* Those whose clocks are ahead of this node's, or behind. */
static unsigned side_cnt(const struct clock_vote *vote, uint64_t max_s, bool is_ahead,
			 uint64_t *out_least_s)
{
	uint64_t least_s = UINT64_MAX;
	unsigned cnt = 0;

	for (unsigned i = 0; i < vote->cnt; i++) {
		int64_t skew_s = vote->networks[i].skew_s;

		if (size_of(skew_s) <= max_s || (skew_s > 0) != is_ahead)
			continue;
		least_s = size_of(skew_s) < least_s ? size_of(skew_s) : least_s;
		cnt++;
	}
	*out_least_s = least_s;
	return cnt;
}

unsigned api_clock_vote_judge(const struct clock_vote *vote, uint64_t max_s, int64_t *out_s)
{
	for (unsigned is_ahead = 0; is_ahead < 2; is_ahead++) {
		uint64_t least_s;
		unsigned cnt = side_cnt(vote, max_s, is_ahead, &least_s);

		if (cnt < CLOCK_VOTE_MIN || 2 * cnt <= vote->cnt)
			continue;
		if (least_s > INT64_MAX)
			least_s = INT64_MAX;
		*out_s = is_ahead ? -(int64_t)least_s : (int64_t)least_s;
		return cnt;
	}
	return 0;
}

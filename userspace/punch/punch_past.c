/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The budget of searches: so many in an hour, of this node's own and of peers apart. Unknown peers have half
 * of the latter. No network is searched more often than PUNCH_SEARCH_NETWORK_MAX times, whatever
 * peers say. An unknown peer that uses up its part leaves that of known peers. Home worker.
 */
#include <string.h>

#include "punch_state.h"

#define HOUR_NS (3600 * NS_PER_S)

static void past_forget(struct punch *punch, uint64_t now_ns)
{
	unsigned cnt = 0;

	while (cnt < punch->past_cnt && now_ns - punch->past[cnt].at_ns >= HOUR_NS)
		cnt++;
	punch->past_cnt -= cnt;
	memmove(punch->past, punch->past + cnt, punch->past_cnt * sizeof(punch->past[0]));
}

bool punch_past_has_room(struct punch *punch, const struct punch_past_search *next)
{
	unsigned asked_cnt = 0, answered_cnt = 0, unknown_cnt = 0, network_cnt = 0;

	past_forget(punch, next->at_ns);
	for (unsigned i = 0; i < punch->past_cnt; i++) {
		const struct punch_past_search *past = &punch->past[i];

		asked_cnt += past->is_asked;
		answered_cnt += !past->is_asked;
		unknown_cnt += !past->is_asked && past->is_unknown;
		network_cnt += next->network && past->network == next->network;
	}
	if (network_cnt >= PUNCH_SEARCH_NETWORK_MAX)
		return false;
	if (next->is_asked)
		return asked_cnt < PUNCH_SEARCH_ASKED_MAX;
	return answered_cnt < PUNCH_SEARCH_ANSWERED_MAX &&
	       (!next->is_unknown || unknown_cnt < PUNCH_SEARCH_UNKNOWN_MAX);
}

bool punch_past_take(struct punch *punch, const struct punch_past_search *next)
{
	if (!punch_past_has_room(punch, next))
		return false;
	punch->past[punch->past_cnt++] = *next;
	return true;
}

void punch_search_fair_view(const struct punch *punch, uint64_t now_ns, struct fair_view *out)
{
	*out = (struct fair_view){
		.name = "searches of ports in the last hour",
		.cap_cnt = PUNCH_SEARCH_PAST_MAX,
	};
	for (unsigned i = 0; i < punch->past_cnt; i++)
		out->held_cnt += now_ns - punch->past[i].at_ns < HOUR_NS;
	out->is_busy = out->held_cnt == out->cap_cnt;
}

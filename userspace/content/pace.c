/* SPDX-License-Identifier: Apache-2.0 */
#include "content/pace.h"

#include "base/clock.h"

/* No product below exceeds 2^63: a length has 32 bits, a second 30. */
uint64_t pace_cost_ns(const struct pace *pace, uint64_t len)
{
	return pace->per_s ? len * NS_PER_S / pace->per_s : 0;
}

uint64_t pace_owed(const struct pace *pace, uint64_t now_ns)
{
	uint64_t owed_ns = pace->free_ns > now_ns ? pace->free_ns - now_ns : 0;
	double len = (double)owed_ns * (double)pace->per_s / (double)NS_PER_S;

	return len < (double)UINT32_MAX ? (uint64_t)len : UINT32_MAX;
}

void pace_set(struct pace *pace, uint64_t per_s, uint64_t now_ns)
{
	uint64_t len = pace_owed(pace, now_ns);

	if (pace->per_s == per_s)
		return;
	pace->per_s = per_s < PACE_MAX ? per_s : PACE_MAX;
	pace->free_ns = now_ns + pace_cost_ns(pace, len);
}

bool pace_is_free(const struct pace *pace, uint64_t now_ns)
{
	return !pace->per_s || pace->free_ns <= now_ns;
}

void pace_take(struct pace *pace, uint64_t len, uint64_t now_ns)
{
	uint64_t saved_ns = now_ns > PACE_BURST_NS ? now_ns - PACE_BURST_NS : 0;

	if (pace->free_ns < saved_ns)
		pace->free_ns = saved_ns;
	pace->free_ns += pace_cost_ns(pace, len);
}

void pace_give_back(struct pace *pace, uint64_t len)
{
	uint64_t cost_ns = pace_cost_ns(pace, len);

	pace->free_ns -= cost_ns < pace->free_ns ? cost_ns : pace->free_ns;
}

/* What is left of it after a time, as a line down to nothing: exact while bytes go steadily. */
static uint64_t meter_left(const struct pace_meter *meter, uint64_t now_ns)
{
	uint64_t age_ns = now_ns > meter->at_ns ? now_ns - meter->at_ns : 0;

	if (age_ns >= PACE_METER_NS)
		return 0;
	return (uint64_t)((double)meter->len * (double)(PACE_METER_NS - age_ns) /
			  (double)PACE_METER_NS);
}

void pace_meter_note(struct pace_meter *meter, uint64_t len, uint64_t now_ns)
{
	meter->len = meter_left(meter, now_ns) + len;
	meter->at_ns = now_ns;
}

uint64_t pace_meter_per_s(const struct pace_meter *meter, uint64_t now_ns)
{
	return meter_left(meter, now_ns) / (PACE_METER_NS / NS_PER_S);
}

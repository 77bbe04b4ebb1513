/* SPDX-License-Identifier: Apache-2.0 */
#include "node/bans/suspects.h"

#include <stddef.h>

#include "base/clock.h"

#define COST_NS	     (NS_PER_S / SUSPECTS_PER_S)
#define LEVEL_MAX_NS (SUSPECTS_BURST_CNT * COST_NS)

static void suspect_age(struct suspect *suspect, uint64_t now_ns)
{
	uint64_t elapsed_ns = now_ns > suspect->at_ns ? now_ns - suspect->at_ns : 0;

	suspect->level_ns -= elapsed_ns < suspect->level_ns ? elapsed_ns : suspect->level_ns;
	suspect->at_ns += elapsed_ns;
}

/* The entry of source, a free one, or that of the lowest, which is forgotten. */
static struct suspect *suspect_of(struct suspects *suspects, const struct weft_endpoint *source,
				  uint64_t now_ns)
{
	struct suspect *lowest = NULL;

	for (unsigned i = 0; i < suspects->cnt; i++) {
		struct suspect *suspect = &suspects->suspects[i];

		suspect_age(suspect, now_ns);
		if (weft_endpoint_equal(&suspect->source, source))
			return suspect;
		if (!lowest || suspect->level_ns < lowest->level_ns)
			lowest = suspect;
	}
	if (suspects->cnt < SUSPECTS_CAP)
		lowest = &suspects->suspects[suspects->cnt++];
	*lowest = (struct suspect){.source = *source, .at_ns = now_ns};
	return lowest;
}

bool suspects_note(struct suspects *suspects, const struct weft_endpoint *source, uint32_t weight,
		   uint64_t now_ns)
{
	struct suspect *suspect = suspect_of(suspects, source, now_ns);

	suspect->level_ns += weight * COST_NS;
	if (suspect->level_ns <= LEVEL_MAX_NS)
		return false;
	*suspect = suspects->suspects[--suspects->cnt];
	return true;
}

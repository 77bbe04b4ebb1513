/* SPDX-License-Identifier: Apache-2.0 */
#include "support/converge.h"

#include <stdio.h>

#include "base/monotonic.h"

#define TOLD_MAX 8 /* parts that do not hold */

/* converge->run hands its done an arg that is not const. */
static bool all_hold(void *arg)
{
	const struct converge *ask = arg;
	char why[CONVERGE_WHY_CAP] = "";
	bool is_all = true;

	/* Each of them, for some do something when they are asked. */
	for (unsigned part = 0; part < ask->part_cnt; part++)
		is_all &= ask->holds(ask->arg, part, why);
	return is_all;
}

static void tell(const struct converge *ask)
{
	unsigned missing_cnt = 0;

	printf("# did not converge within %.1f s: %s\n", (double)ask->within_ns / NS_PER_S,
	       ask->what);
	for (unsigned part = 0; part < ask->part_cnt; part++) {
		char why[CONVERGE_WHY_CAP] = "";

		if (ask->holds(ask->arg, part, why))
			continue;
		if (missing_cnt++ < TOLD_MAX)
			printf("#   %s %u%s%s\n", ask->part_name, part, why[0] ? ": " : "", why);
	}
	printf("#   %u of %u do not\n", missing_cnt, ask->part_cnt);
}

bool converge(const struct converge *ask, const uint64_t *now_ns, uint64_t *out_took_ns)
{
	uint64_t begin_ns = *now_ns;
	bool is_there = all_hold((void *)ask);

	while (!is_there && *now_ns - begin_ns < ask->within_ns) {
		uint64_t left_ns = begin_ns + ask->within_ns - *now_ns;

		if (ask->look_ns) {
			(void)ask->run(ask->world, ask->look_ns < left_ns ? ask->look_ns : left_ns,
				       NULL, NULL);
			is_there = all_hold((void *)ask);
		} else {
			is_there = ask->run(ask->world, left_ns, all_hold, (void *)ask);
		}
	}
	if (!is_there)
		tell(ask);
	if (out_took_ns)
		*out_took_ns = *now_ns - begin_ns;
	return is_there;
}

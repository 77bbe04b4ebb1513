/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_LIMITS_ASKERS_H
#define WEFT_SERVICE_LIMITS_ASKERS_H

#include "base/fair/fair.h"
#include "base/fair/fair_path.h"
#include "base/fair/turns.h"
#include "service/service.h"

struct arena;

/*
 * Shares the places of this node's calls that are under way or wait. Any local program can ask
 * for all of service.pending. A call cannot be taken back, so no program gets the last places. A
 * program has fewer than are free, and all programs of a user fewer than three times as many.
 * Where calls wait for their turn at a provider, users and their programs take turns.
 */
struct service_askers {
	struct fair fair;
	struct fair_paths paths;
	uint32_t wait_ms; /* for the asker refused last */
};

#define SERVICE_ASKER_LEVELS 3 /* daemon or programs, user, program */
#define SERVICE_TURN_LEVELS  2 /* user, program */

WEFT_MUST_CHECK
int service_askers_init(struct service_askers *askers, struct arena *arena,
			const struct service_limits *limits, const uint64_t secret[2]);
struct fair_path service_asker_path(const struct service_askers *askers,
				    const struct service_asker *asker);
/* service_asker_turn: where a call of path waits for its turn. */
struct turns_path service_asker_turn(const struct fair_path *path);
/* service_askers_may_take: path may have one more of cap; if not, that is counted. */
WEFT_MUST_CHECK
bool service_askers_may_take(struct service_askers *askers, const struct fair_path *path,
			     uint64_t cap, uint64_t now_ns);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONTROL_PENDING_H
#define WEFT_CONTROL_PENDING_H

#include <stddef.h>
#include <stdint.h>

#include "base/fair/fair.h"
#include "base/fair/fair_path.h"

struct arena;
struct control_call;
struct control_client;

/*
 * The calls with an id that are under way. Any program with a role can ask for
 * all of them. A call cannot be taken back, so nobody is given the last ones:
 * a program holds fewer than are free, and all programs of a user fewer than
 * three times as many. An honest program is refused single calls meanwhile,
 * with a time to ask again; calls without an id are not counted here.
 */
struct pending {
	struct fair fair;
	struct fair_paths paths;
};

size_t control_pending_footprint(uint32_t call_cap);
WEFT_MUST_CHECK
int control_pending_init(struct pending *pending, struct arena *arena, uint32_t call_cap);
/*
 * control_pending_may_take: whether client may have one more call; if not, it is counted
 * and *out_wait_ms is when to ask again. control_pending_take gives call, which is
 * client's, its share; control_pending_release gives it back, or does nothing.
 */
WEFT_MUST_CHECK
bool control_pending_may_take(struct pending *pending, struct control_client *client,
			      uint32_t *out_wait_ms);
void control_pending_take(struct pending *pending, struct control_call *call);
void control_pending_release(struct pending *pending, struct control_call *call);

#endif

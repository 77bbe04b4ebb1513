/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONTROL_CONTROL_PLACE_H
#define WEFT_CONTROL_CONTROL_PLACE_H

#include <stddef.h>
#include <stdint.h>

#include "base/fair/fair.h"
#include "base/fair/fair_path.h"
#include "control/control.h"

struct control_client;

/*
 * The places of the control socket. They can be filled by any program of a
 * user that has a role; an honest program notices nothing, or loses a
 * connection that was idle and makes another.
 */
struct places {
	struct fair fair;
	struct fair_paths paths;
};

struct place_peer {
	enum control_role role;
	uint32_t uid;
	int32_t pid;
};

size_t control_place_footprint(uint32_t client_cap);
WEFT_MUST_CHECK
int control_place_init(struct places *places, struct arena *arena, uint32_t client_cap);
/*
 * control_place_take closes another connection where that has to give way.
 * Returns 0, or WEFT_EFULL with *out_wait_ms, after which to come again.
 * Context: not within a handler: a client may be closed.
 */
WEFT_MUST_CHECK
int control_place_take(struct places *places, struct control_client *client,
		       const struct place_peer *peer, uint32_t *out_wait_ms);

#endif

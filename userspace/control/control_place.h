/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONTROL_CONTROL_PLACE_H
#define WEFT_CONTROL_CONTROL_PLACE_H

#include <stddef.h>
#include <stdint.h>

#include "base/fair/fair_path.h"
#include "control/control.h"

struct control_call;
struct control_client;

struct place_peer {
	enum control_role role;
	uint32_t uid;
	int32_t pid;
};

/* control_places_init: of both pools, in the server's arena. */
WEFT_MUST_CHECK
int control_places_init(struct control *control);
/*
 * Connections. Any program of a user that has a role can fill them. An honest program
 * notices nothing, or loses a connection that was idle and makes another.
 * control_place_take closes another connection where that has to give way. Returns 0,
 * or WEFT_EFULL with *out_wait_ms, after which to come again. Context: not within a
 * handler: a client may be closed.
 */
WEFT_MUST_CHECK
int control_place_take(struct control_client *client, const struct place_peer *peer,
		       uint32_t *out_wait_ms);
/*
 * Calls with an id that are under way. Any program with a role can ask for all of them.
 * A call cannot be taken back, so no program gets the last ones. A program holds fewer
 * than are free, and all programs of a user fewer than three times as many. An honest
 * program is refused single calls meanwhile, with a time to ask again; calls without an
 * id are not counted here.
 *
 * control_pending_may_take: whether client may have one more call; if not, it is counted
 * and *out_wait_ms is when to ask again. control_pending_take gives call, which has
 * a client, its share; control_pending_release gives it back, or does nothing.
 */
WEFT_MUST_CHECK
bool control_pending_may_take(struct control_client *client, uint32_t *out_wait_ms);
void control_pending_take(struct control_call *call);
void control_pending_release(struct control_call *call);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLIENT_SHARED_H
#define WEFT_CLIENT_SHARED_H

#include "client/client_call.h"

/*
 * Methods called on the one connection that a client keeps for it, each with
 * an id (docs/wire/control.md): any number of them is under way at once, and
 * they are answered as they end. One reply each.
 */
struct shared_ask;

/*
 * client_shared_ask_start: as client_ask_start, wants_more aside. client_shared_ask_cancel: fn is
 * not called, and the daemon ends the call.
 */
WEFT_MUST_CHECK
int client_shared_ask_start(struct weft_client *client, const struct ask_params *params,
			    struct shared_ask **out_ask, struct weft_error *error);
void client_shared_ask_cancel(struct shared_ask *ask);

#endif

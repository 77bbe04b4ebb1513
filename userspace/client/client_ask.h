/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLIENT_CLIENT_ASK_H
#define WEFT_CLIENT_CLIENT_ASK_H

#include <jansson.h>

#include "varlink/caller.h"
#include "client/client_loop.h"

/*
 * Methods of the daemon, all on the one connection of the client. Each call has an
 * id (docs/wire/control.md), so any number of them is under way at once.
 */
struct ask;

/*
 * message is a whole reply, an error's too, and borrowed; NULL: none came.
 * error: NULL for a good reply. After is_last the ask is gone; error always
 * comes with it.
 */
typedef void (*ask_fn)(void *arg, json_t *message, const struct weft_error *error, bool is_last);

struct ask_params {
	const char *method; /* with its interface */
	json_t *parameters; /* taken also on failure; NULL: none */
	bool wants_more;    /* several replies */
	int timeout_ms;	    /* for the last reply; with wants_more for the first; 0 or less: none */
	ask_fn fn;
	void (*gone)(void *arg); /* the ask is freed; NULL, or what frees arg */
	void *arg;
};

WEFT_MUST_CHECK
int client_ask_start(struct weft_client *client, const struct ask_params *params,
		     struct ask **out_ask, struct weft_error *error);
/* client_ask_cancel: fn is not called, and the daemon ends the call. */
void client_ask_cancel(struct ask *ask);
/*
 * client_ask_run waits until the ask is over; *is_done is set by fn. Replies of other
 * asks are kept for the next dispatch. Returns 0, or -EINTR when the client says
 * that signals end waiting.
 */
int client_ask_run(struct ask *ask, const bool *is_done);
/*
 * client_ask_wait starts one and waits for its last reply, whose parameters it gives.
 * fn of params is not used.
 */
WEFT_MUST_CHECK
int client_ask_wait(struct weft_client *client, const struct ask_params *params,
		    json_t **out_parameters, struct weft_error *error);

/* The caller of the stubs of varlink/node_client.h: one client, and one time for each call. */
struct client_caller {
	struct varlink_caller caller;
	struct weft_client *client;
	int timeout_ms;
	struct weft_error *error;
};
struct client_caller client_caller_of(struct weft_client *client, int timeout_ms,
				      struct weft_error *error);

#endif

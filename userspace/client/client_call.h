/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLIENT_CLIENT_CALL_H
#define WEFT_CLIENT_CLIENT_CALL_H

#include <jansson.h>

#include "client/client_loop.h"

/*
 * One method called on a connection of its own, which goes back to the
 * client's idle ones behind the last reply.
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
	int timeout_ms;	    /* for the last reply; with wants_more for the first; -1: none */
	ask_fn fn;
	void (*gone)(void *arg); /* the ask is freed; NULL, or what frees arg */
	void *arg;
};

#define ASK_INTERFACE "net.weft.Node."

/*
 * client_ask_message: {"method", "parameters", flag: true}; flag may be NULL.
 * parameters is taken. NULL: no memory.
 */
json_t *client_ask_message(const char *method, json_t *parameters, const char *flag);
WEFT_MUST_CHECK
int client_ask_start(struct weft_client *client, const struct ask_params *params,
		     struct ask **out_ask, struct weft_error *error);
/* client_ask_cancel: fn is not called; the daemon sees that the caller left. */
void client_ask_cancel(struct ask *ask);
/*
 * client_ask_run waits until the ask is over; *is_done is set by fn. 0 or -EINTR
 * (client_loop_run). client_ask_wait starts one and waits for its one reply, whose
 * parameters it gives.
 */
int client_ask_run(struct weft_client *client, struct ask *ask, const bool *is_done);
WEFT_MUST_CHECK
int client_ask_wait(struct weft_client *client, const char *method, json_t *parameters,
		    int timeout_ms, json_t **out_parameters, struct weft_error *error);

#endif

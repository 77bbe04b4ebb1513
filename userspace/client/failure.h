/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLIENT_FAILURE_H
#define WEFT_CLIENT_FAILURE_H

#include <jansson.h>

#include "weft/client.h"

/*
 * A failure, for people: filled into the caller's struct weft_error
 * (NULL: not wanted) and returned as its code.
 */
int client_failure_set(struct weft_error *error, int err, const char *what, const char *why,
		       const char *next);
/* client_failure_memory is -ENOMEM; client_failure_connect is that path could not be connected to. */
int client_failure_memory(struct weft_error *error);
int client_failure_connect(struct weft_error *error, const char *path, int err);
/* client_failure_lost: the daemon ended the connection, or sent what is no varlink. */
int client_failure_lost(struct weft_error *error, int err);
/* client_failure_silence: the daemon did not answer within timeout_ms. */
int client_failure_silence(struct weft_error *error, const char *path, int timeout_ms);
/* client_failure_of_reply: 0 when message is a reply, else what its error says. */
int client_failure_of_reply(const json_t *message, struct weft_error *error);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TOOLS_COMMAND_SERVICE_STATUS_H
#define WEFT_TOOLS_COMMAND_SERVICE_STATUS_H

#include "command/command.h"
#include "service/trace.h"

/* The common part of the commands that call services and stream to them. */

/* service_status_exit: what the command ends with for a status of a call. */
int service_status_exit(uint64_t status);
/* service_payload is text, or the standard input for "-"; to be freed. NULL: failed, and said. */
char *service_payload(const char *text, size_t *out_len);

/*
 * service_trace_option reads --trace: text is the traceparent that it names or that was made, and was
 * printed to the standard error; "" without it. STATUS_OK, or it was said what is wrong.
 */
int service_trace_option(const struct invocation *inv, char text[static SERVICE_TRACE_TEXT_CAP]);

/* command_service_http.c: GET, HEAD, POST...; a request with its answer. */
bool service_verb_is_http(const char *verb);
int service_http_call(struct invocation *inv);

#endif

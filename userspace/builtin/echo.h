/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BUILTIN_ECHO_H
#define WEFT_BUILTIN_ECHO_H

#include "base/memory/pool.h"
#include "builtin_request.h"

/*
 * The service echo: the answer to a call of any method is its payload, and a stream returns its
 * bytes, message by message. A sender that does not read is held back.
 */
#define ECHO_STREAM_MAX 64
#define ECHO_MEMORY_LEN (16 * 1024 * 1024) /* of pieces that wait, all streams together */

struct echo {
	struct pool streams; /* struct echo_stream */
	struct heap *memory;
};

extern const struct service_handler builtin_echo_handler;  /* ctx is a struct echo */
extern const struct request_method builtin_echo_methods[]; /* for its description alone */

WEFT_MUST_CHECK
int builtin_echo_init(struct echo *echo, struct arena *arena);
void builtin_echo_fini(struct echo *echo);

#endif

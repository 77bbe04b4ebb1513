/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_EXEC_EXEC_H
#define WEFT_PROVIDER_EXEC_EXEC_H

#include <stddef.h>

#include "service/service.h"

/*
 * Private to provider/: calls of an offer whose program is run once for each; ctx is the offer. The
 * payload is its standard input, its standard output the reply, its exit code the status, in the
 * numbers of sysexits.h:
 *
 *	0  OK			64 EX_USAGE	  method not found
 *	65 EX_DATAERR		invalid payload
 *	66 EX_NOINPUT		not found
 *	69 EX_UNAVAILABLE	unavailable
 *	75 EX_TEMPFAIL		rate limited, try again
 *	77 EX_NOPERM		forbidden
 *	any other, or a signal: unknown error
 *
 * Its environment is PATH, LANG, WEFT_SERVICE, WEFT_METHOD, WEFT_CALLER (z-base-32),
 * WEFT_CORRELATION (hexadecimal), WEFT_MS_LEFT and, of a call of a trace, TRACEPARENT; its folder
 * is /. Events report its lines of standard error. When the call is gone, SIGKILL ends all
 * processes that the program started.
 */
extern const struct service_handler provider_exec_handler;

#define EXEC_MEMORY_LEN (1024ull * 1024 * 1024) /* of an offer that says nothing */

struct launcher_events;
struct provider;
/* The launcher's callbacks; ctx is the provider. */
extern const struct launcher_events provider_exec_launcher_events;
/* provider_exec_reap_all ends the processes that are left when no event will report their end. */
void provider_exec_reap_all(struct provider *provider);
/* provider_exec_process_len: of one process in the pool of the provider. */
size_t provider_exec_process_len(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* --trace of the commands that call services: the trace that a call belongs to. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "command/daemon_client.h"
#include "services/command_service_status.h"

#define FLAG_SAMPLED 1 /* W3C Trace Context 3.2.2.5: the caller records it */

/* trace_new makes ids that differ from all others. */
static int trace_new(struct service_trace *out_trace)
{
	struct service_trace trace;

	if (getrandom(trace.bytes, sizeof(trace.bytes), 0) != sizeof(trace.bytes))
		return client_say_error(STATUS_FAILED, "--trace",
					"the system gives no random bytes", NULL);
	trace.bytes[SERVICE_TRACE_LEN - 1] = FLAG_SAMPLED;
	*out_trace = trace;
	return STATUS_OK;
}

int service_trace_option(const struct invocation *inv, char text[static SERVICE_TRACE_TEXT_CAP])
{
	const char *given = invocation_option(inv, "trace");
	struct service_trace trace;
	int status = STATUS_OK;

	text[0] = '\0';
	if (!given)
		return STATUS_OK;
	if (strcmp(given, "new") == 0)
		status = trace_new(&trace);
	else if (!service_trace_parse(given, &trace))
		status = client_say_error(
			STATUS_USAGE, "--trace", "neither new nor a traceparent",
			"a traceparent of W3C Trace Context is 00-, 32 letters, -, "
			"16 letters, -, 2 letters, all of 0-9 and a-f");
	if (status != STATUS_OK)
		return status;
	service_trace_write(&trace, text);
	fprintf(stderr, "traceparent: %s\n", text);
	return STATUS_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_TRACE_H
#define WEFT_SERVICE_TRACE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * W3C Trace Context, traceparent of version 00, as calls carry it: 16 bytes of the trace's id, 8 of
 * the parent's, one of flags. It names no node and no person; a caller that does not trace sends
 * none.
 */
#define SERVICE_TRACE_LEN      25
#define SERVICE_TRACE_TEXT_CAP 56

struct service_trace {
	uint8_t bytes[SERVICE_TRACE_LEN];
};

/* service_trace_is_valid: neither id is all zeros. */
bool service_trace_is_valid(const struct service_trace *trace);
/*
 * service_trace_parse reads "00-32 letters-16 letters-2 letters" in lower case. False: text is
 * none, and out_trace untouched.
 */
bool service_trace_parse(const char *text, struct service_trace *out_trace);
/* service_trace_write returns text. */
char *service_trace_write(const struct service_trace *trace,
			  char text[static SERVICE_TRACE_TEXT_CAP]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "service/trace.h"

#include <stdio.h>
#include <string.h>

#include "codec/text/hex.h"

#define ID_LEN	   16
#define PARENT_LEN 8
#define TEXT_LEN   (SERVICE_TRACE_TEXT_CAP - 1)

static bool is_zero(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i])
			return false;
	return true;
}

bool service_trace_is_valid(const struct service_trace *trace)
{
	return !is_zero(trace->bytes, ID_LEN) && !is_zero(trace->bytes + ID_LEN, PARENT_LEN);
}

bool service_trace_parse(const char *text, struct service_trace *out_trace)
{
	char id[2 * ID_LEN + 1], parent[2 * PARENT_LEN + 1], flags[3];
	struct service_trace trace;

	if (strlen(text) != TEXT_LEN || strspn(text, "0123456789abcdef-") != TEXT_LEN ||
	    sscanf(text, "00-%32[0-9a-f]-%16[0-9a-f]-%2[0-9a-f]", id, parent, flags) != 3 ||
	    !hex_read(id, trace.bytes, ID_LEN) ||
	    !hex_read(parent, trace.bytes + ID_LEN, PARENT_LEN) ||
	    !hex_read(flags, trace.bytes + ID_LEN + PARENT_LEN, 1) ||
	    !service_trace_is_valid(&trace))
		return false;
	*out_trace = trace;
	return true;
}

char *service_trace_write(const struct service_trace *trace,
			  char text[static SERVICE_TRACE_TEXT_CAP])
{
	char id[2 * ID_LEN + 1], parent[2 * PARENT_LEN + 1], flags[3];

	snprintf(text, SERVICE_TRACE_TEXT_CAP, "00-%s-%s-%s", hex_write(trace->bytes, ID_LEN, id),
		 hex_write(trace->bytes + ID_LEN, PARENT_LEN, parent),
		 hex_write(trace->bytes + ID_LEN + PARENT_LEN, 1, flags));
	return text;
}

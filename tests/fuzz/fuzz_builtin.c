/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of peers to the built-in services: a byte names the service and the caller; the method and
 * the payload follow, each with a NUL. Every call is answered once, and with JSON if with anything.
 * The node lives through all inputs of a run; the corpus finds failures again.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "unit/builtin/builtin_rig.h"

#define METHOD_CAP 64
#define CALLER_CNT 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void call(uint8_t which, const char *method, const uint8_t *payload, size_t len)
{
	enum builtin_service service = which % BUILTIN_CNT;

	rig_ask_bytes(service, which / BUILTIN_CNT % CALLER_CNT, method, payload, len);
	if (!rig.call.is_answered)
		store_flush(rig.store);
	weft_assert(rig.call.is_answered);
	/* Echo gives back whatever it was given. */
	weft_assert(rig.call.reply || !rig.call.len || service == BUILTIN_ECHO);
	rig_pass_s(1);
}

/* What ends with a NUL, or at the end. */
static const uint8_t *take(const uint8_t **at, const uint8_t *end, size_t *out_len)
{
	const uint8_t *begin = *at, *nul = memchr(begin, '\0', (size_t)(end - begin));

	*out_len = (size_t)((nul ? nul : end) - begin);
	*at = nul ? nul + 1 : end;
	return begin;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *end = data + len;

	if (!rig.builtin) {
		rig_start();
		rig_up();
		atexit(rig_stop);
	}
	while (data < end) {
		char method[METHOD_CAP];
		uint8_t which = *data++;
		const uint8_t *part = take(&data, end, &len);

		if (len >= sizeof(method))
			return 0;
		memcpy(method, part, len);
		method[len] = '\0';
		part = take(&data, end, &len);
		call(which, method, part, len);
	}
	return 0;
}

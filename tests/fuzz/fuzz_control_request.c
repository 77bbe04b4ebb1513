/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "control/control_request.h"

/*
 * The first byte is the step in which the rest arrives. Whatever comes out
 * whole is parsed, as for a client on the socket.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void take_all(struct request_splitter *splitter)
{
	const char *text;
	size_t len;

	while (control_request_take(splitter, &text, &len) == 1) {
		struct request request;

		weft_assert(text[len] == '\0');
		if (control_request_parse(text, len, &request) == 0) {
			weft_assert(json_is_object(request.parameters));
			control_request_drop(&request);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct request_splitter splitter = {.len_max = 512};
	size_t step = len ? (size_t)data[0] + 1 : 1;

	for (size_t off = 1; off < len;) {
		char *room;
		size_t cap, n = len - off;

		if (control_request_reserve(&splitter, &room, &cap) < 0)
			break;
		n = n < step ? n : step;
		n = n < cap ? n : cap;
		memcpy(room, data + off, n);
		control_request_commit(&splitter, n);
		off += n;
		take_all(&splitter);
	}
	control_request_fini(&splitter);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A message of a WebSocket to a relay: what parses is written as the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "relay/web/web_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t bytes[RELAY_WEB_FRAME_MAX];

	for (unsigned version = 0; version < RELAY_WEB_VERSION_CNT; version++) {
		struct writer w = writer_of(bytes, sizeof(bytes));
		struct cursor c = cursor_of(data, len);
		struct relay_web_frame frame;

		if (relay_web_frame_parse(&c, (enum relay_web_version)version, &frame) < 0)
			continue;
		relay_web_frame_write(&w, &frame);
		if (w.bad || writer_len(&w) != len || memcmp(bytes, data, len) != 0)
			abort();
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A head that is taken is written back to the same bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[WEBSOCKET_HEAD_LEN_MAX];
	struct websocket_head head;
	int len = http_websocket_head_parse(data, size, &head);

	if (len > 0 && (http_websocket_head_write(&head, again) != (size_t)len ||
			memcmp(again, data, (size_t)len) != 0))
		abort();
	return 0;
}

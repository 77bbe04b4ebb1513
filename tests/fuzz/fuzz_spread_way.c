/* SPDX-License-Identifier: Apache-2.0 */
/* Ways in the store, and what waits for one, damaged. What is accepted is written as the same bytes. */
#include <string.h>

#include "base/assert.h"
#include "offers/spread/spread_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t bytes[4096];
	static struct spread_wait wait;
	struct spread_route route;

	if (offers_spread_way_parse(data, len, &route)) {
		struct writer w = writer_of(bytes, sizeof(bytes));

		offers_spread_way_write(&w, &route);
		weft_assert(!w.bad && writer_len(&w) == len && memcmp(bytes, data, len) == 0);
	}
	if (offers_spread_wait_parse(data, len, &wait)) {
		struct writer w = writer_of(bytes, sizeof(bytes));

		offers_spread_wait_write(&w, &wait);
		weft_assert(!w.bad && writer_len(&w) == len && memcmp(bytes, data, len) == 0);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A list of relays that parses is written again to the same, without keys that were skipped. */
#include <string.h>

#include "base/assert.h"
#include "relay/find/list_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t bytes[RELAY_LIST_LEN_MAX];
	struct relay_listed listed[RELAY_LIST_MAX], again[RELAY_LIST_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	unsigned wanted_cnt;
	int cnt = relay_list_parse(data, len, listed);

	if (relay_list_ask_parse(data, len, &wanted_cnt) == 0)
		weft_assert(wanted_cnt > 0 && wanted_cnt <= RELAY_LIST_MAX);
	if (cnt < 0)
		return 0;
	weft_assert(cnt <= (int)RELAY_LIST_MAX);
	relay_list_write(&w, listed, (unsigned)cnt);
	weft_assert(!w.bad && relay_list_parse(bytes, writer_len(&w), again) == cnt);
	for (int i = 0; i < cnt; i++)
		weft_assert(again[i].len == listed[i].len &&
			    memcmp(again[i].bytes, listed[i].bytes, listed[i].len) == 0);
	return 0;
}

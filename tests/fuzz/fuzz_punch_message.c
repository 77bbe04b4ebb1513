/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "punch/punch_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t key[PUNCH_KEY_LEN];
	uint8_t out[PUNCH_MESSAGE_LEN_MAX], bytes[WEFT_PROBE_LEN];
	struct writer w = writer_of(out, sizeof(out));
	struct punch_candidates candidates;
	struct punch_result result;
	struct punch_probe probe;
	struct punch_now now;

	if (punch_candidates_parse(data, len, &candidates) == 0) {
		if (candidates.addr_cnt > PUNCH_CANDIDATES_MAX || candidates.nat >= PUNCH_NAT_CNT)
			abort();
		for (unsigned i = 0; i < candidates.addr_cnt; i++)
			if (!candidates.addrs[i].port || !addr_is_unicast(&candidates.addrs[i]))
				abort();
		punch_candidates_write(&w, &candidates);
	}
	if (punch_now_parse(data, len, &now) == 0)
		punch_now_write(&w, &now);
	if (punch_result_parse(data, len, &result) == 0)
		punch_result_write(&w, &result);
	if (punch_probe_parse(data, len, &probe)) {
		punch_probe_write(&probe, key, bytes);
		/* All but the proof. */
		if (len != sizeof(bytes) || memcmp(bytes, data, len - PUNCH_MAC_LEN) != 0)
			abort();
		(void)punch_probe_is_proved(&probe, key, data);
	}
	if (w.bad)
		abort();
	return 0;
}

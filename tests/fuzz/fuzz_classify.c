/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "weft/classify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Which first bytes a class may have; the rest must be OTHER. */
static const struct {
	uint8_t first_min, first_max;
} ranges[WEFT_FLOW_CNT] = {
	[WEFT_FLOW_OTHER] = {0x00, 0xff},      [WEFT_FLOW_STUN] = {0x00, 0x03},
	[WEFT_FLOW_KRPC] = {'d', 'd'},	       [WEFT_FLOW_PROBE] = {0x9d, 0x9d},
	[WEFT_FLOW_RELAY] = {0x9e, 0x9e},      [WEFT_FLOW_QUIC_LONG] = {0xc0, 0xff},
	[WEFT_FLOW_QUIC_SHORT] = {0x40, 0x7f},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	enum weft_flow flow = weft_classify(data, (__u32)len);

	if (flow == WEFT_FLOW_OTHER)
		return 0;
	if (flow >= WEFT_FLOW_CNT || len < WEFT_CLASSIFY_LEN)
		abort();
	if (data[0] < ranges[flow].first_min || data[0] > ranges[flow].first_max)
		abort();
	return 0;
}

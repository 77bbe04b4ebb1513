/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/assert.h"
#include "shares/announce/holder_record.h"
#include "shares/announce/golomb_set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What parses can be asked for anything; a first byte tells records from sets. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct holder holder;
	struct golomb_set set;
	uint8_t id[32] = {0};

	if (len == 0)
		return 0;
	if (data[0] == 0) {
		if (shares_holder_record_parse(data + 1, len - 1, &holder) == 0)
			weft_assert(holder.places.addr_cnt + holder.places.via_cnt <=
				    PEER_ADDRS_MAX);
		return 0;
	}
	if (shares_golomb_set_parse(data + 1, len - 1, &set) < 0)
		return 0;
	for (unsigned i = 0; i < 256; i++) {
		id[0] = (uint8_t)i;
		id[1] = data[len - 1];
		if (shares_golomb_set_may_have(&set, id))
			weft_assert(shares_golomb_set_region_of(id, set.depth) == set.region);
	}
	return 0;
}

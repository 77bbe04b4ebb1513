/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"
#include "shares/follow/blocklist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct blocklist list;

	if (shares_blocklist_parse(data, len, &list) == 0) {
		for (unsigned kind = 0; kind < BLOCKLIST_KIND_CNT; kind++)
			for (uint32_t i = 0; i < list.kinds[kind].cnt; i++)
				weft_assert(shares_blocklist_has(&list, (enum blocklist_kind)kind,
								 list.kinds[kind].ids[i]));
		weft_assert(!list.fault.line_cnt == !list.fault.why);
		shares_blocklist_fini(&list);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The list of servers that are forwarded to: what is taken is within its bounds. */
#include <string.h>

#include "base/assert.h"
#include "builtin/tunnels/forward_allow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct forward_allow allow;
	char text[4096];

	if (len >= sizeof(text))
		return 0;
	memcpy(text, data, len);
	text[len] = '\0';
	if (builtin_forward_allow_parse(text, &allow) < 0)
		return 0;
	weft_assert(allow.member_cnt <= FORWARD_MEMBER_MAX);
	for (unsigned i = 0; i < allow.member_cnt; i++) {
		weft_assert(allow.members[i].target_cnt > 0);
		weft_assert(allow.members[i].target_cnt <= FORWARD_TARGET_MAX);
		for (unsigned t = 0; t < allow.members[i].target_cnt; t++)
			weft_assert(allow.members[i].targets[t].port != 0);
	}
	return 0;
}

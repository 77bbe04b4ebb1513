/* SPDX-License-Identifier: Apache-2.0 */
#include "own_shares.h"

#include <string.h>

unsigned community_own_shares_find(const struct own_shares *own, const uint8_t *from)
{
	unsigned low = 0, high = own->cnt;

	while (low < high) {
		unsigned mid = (low + high) / 2;

		if (memcmp(own->ids[mid], from, ROSTER_KEY_LEN) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void community_own_shares_set(struct own_shares *own, const uint8_t *id, bool is_own)
{
	unsigned at = community_own_shares_find(own, id);
	bool is_there = at < own->cnt && memcmp(own->ids[at], id, ROSTER_KEY_LEN) == 0;

	if (is_there == is_own || (is_own && own->cnt == own->cap))
		return;
	if (is_own) {
		memmove(own->ids[at + 1], own->ids[at], (own->cnt - at) * ROSTER_KEY_LEN);
		memcpy(own->ids[at], id, ROSTER_KEY_LEN);
		own->cnt++;
	} else {
		own->cnt--;
		memmove(own->ids[at], own->ids[at + 1], (own->cnt - at) * ROSTER_KEY_LEN);
	}
}

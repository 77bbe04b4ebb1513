/* SPDX-License-Identifier: Apache-2.0 */
#include "social/ground/sorted_keys.h"

#include <stdlib.h>
#include <string.h>

static int key_compare(const void *a, const void *b)
{
	return memcmp(a, b, SORTED_KEY_LEN);
}

void social_keys_sort(uint8_t (*keys)[SORTED_KEY_LEN], size_t cnt)
{
	if (cnt)
		qsort(keys, cnt, SORTED_KEY_LEN, key_compare);
}

unsigned social_keys_sort_once(uint8_t (*keys)[SORTED_KEY_LEN], size_t cnt)
{
	unsigned left = 0;

	social_keys_sort(keys, cnt);
	for (size_t i = 0; i < cnt; i++)
		if (!left || memcmp(keys[left - 1], keys[i], SORTED_KEY_LEN) != 0)
			memmove(keys[left++], keys[i], SORTED_KEY_LEN);
	return left;
}

bool social_keys_have(const uint8_t (*keys)[SORTED_KEY_LEN], size_t cnt, const uint8_t *key)
{
	return cnt && bsearch(key, keys, cnt, SORTED_KEY_LEN, key_compare);
}

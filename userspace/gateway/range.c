/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/range.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#define UNIT "bytes="

/* digits_read: what no u64 holds is its largest value, which lies beyond any body. */
static bool digits_read(const char **at, uint64_t *out_value)
{
	const char *begin = *at;
	uint64_t value = 0;

	for (; **at >= '0' && **at <= '9'; (*at)++) {
		uint64_t digit = (uint64_t)(**at - '0');

		value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
	}
	*out_value = value;
	return *at > begin;
}

static const char *blanks_skip(const char *at)
{
	return at + strspn(at, " \t");
}

enum range_kind gateway_range_parse(const char *text, uint64_t size, uint64_t *out_off,
				    uint64_t *out_len)
{
	uint64_t first = 0, last = UINT64_MAX;
	bool has_first, has_last;

	if (!text || strncasecmp(text, UNIT, sizeof(UNIT) - 1) != 0)
		return RANGE_NONE;
	text = blanks_skip(text + sizeof(UNIT) - 1);
	has_first = digits_read(&text, &first);
	if (*text++ != '-')
		return RANGE_NONE;
	has_last = digits_read(&text, &last);
	if (*blanks_skip(text) || (!has_first && !has_last))
		return RANGE_NONE;
	if (!has_first) {
		first = last < size ? size - last : 0;
		if (last == 0)
			return RANGE_BEYOND;
		has_last = false;
	}
	if (has_last && last < first)
		return RANGE_NONE;
	if (first >= size)
		return RANGE_BEYOND;
	if (!has_last || last >= size)
		last = size - 1;
	*out_off = first;
	*out_len = last - first + 1;
	return RANGE_PART;
}

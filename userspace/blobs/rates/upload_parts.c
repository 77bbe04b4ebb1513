/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/rates/upload_parts.h"

#include "base/monotonic.h"

/* A part of the limit, for those at rest together: less than a limit is off by anyway. */
#define REST_FRACTION 64u

/* The bytes that a worker would send if it could. */
static uint64_t wanted(const struct upload_part *part, uint64_t rest, uint64_t span_ns)
{
	uint64_t grown = part->charged_cnt - part->before_cnt;
	double per_s = span_ns ? (double)grown * (double)NS_PER_S / (double)span_ns : 0;

	/* A worker that sends nearly all it may would send more. */
	if (part->is_waiting || per_s > (double)part->part * 0.8)
		return UINT64_MAX;
	return rest + (uint64_t)(per_s * 1.25);
}

/* Those that want less than an even part get what they want, until none does. */
static uint64_t parts_fill(struct upload_part *parts, unsigned cnt, uint64_t left,
			   const uint64_t *wants)
{
	bool is_filled[UPLOAD_PARTS_MAX] = {false};
	unsigned open_cnt = cnt;
	bool has_changed = true;

	while (open_cnt && has_changed) {
		uint64_t even = left / open_cnt;

		has_changed = false;
		for (unsigned i = 0; i < cnt; i++) {
			if (is_filled[i] || wants[i] > even)
				continue;
			is_filled[i] = has_changed = true;
			parts[i].part = wants[i];
			left -= wants[i];
			open_cnt--;
		}
	}
	for (unsigned i = 0; i < cnt; i++) {
		if (is_filled[i])
			continue;
		parts[i].part = left / open_cnt;
		left -= parts[i].part;
		open_cnt--;
	}
	return left;
}

void blobs_upload_parts_divide(struct upload_part *parts, unsigned cnt, uint64_t limit,
			       uint64_t span_ns)
{
	uint64_t wants[UPLOAD_PARTS_MAX], left;

	for (unsigned i = 0; i < cnt; i++) {
		wants[i] = wanted(&parts[i], limit / REST_FRACTION / cnt, span_ns);
		parts[i].before_cnt = parts[i].charged_cnt;
	}
	left = parts_fill(parts, cnt, limit, wants);
	/* No worker wants the rest now: it is there for the next getter. */
	for (unsigned i = 0; i < cnt; i++) {
		uint64_t more = left / (cnt - i);

		parts[i].part += more;
		left -= more;
	}
}

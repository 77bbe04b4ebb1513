/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_RATES_UPLOAD_PARTS_H
#define WEFT_BLOBS_RATES_UPLOAD_PARTS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How workers share a limit of the bytes that all of them send. Each has a part of it, and some
 * times a second a worker that needs more gets the share that others leave. A worker where
 * requests wait takes an even part of all that is left. A worker without waiting requests keeps
 * the rate that it sends and a quarter more. A worker at rest has little, but enough to begin
 * with. The parts always add up to the limit.
 */
#define UPLOAD_PARTS_MAX 128u /* workers */
struct upload_part {
	uint64_t charged_cnt; /* bytes that took of the limit, since the start; from its figures */
	bool is_waiting;      /* likewise: requests wait there */
	uint64_t before_cnt;  /* charged_cnt at the last division */
	uint64_t part;	      /* bytes per second, of the last division */
};

/* blobs_upload_parts_divide sets part of each, cnt of them; span_ns since the last division. */
void blobs_upload_parts_divide(struct upload_part *parts, unsigned cnt, uint64_t limit,
			       uint64_t span_ns);

#endif

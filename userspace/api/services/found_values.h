/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_SERVICES_FOUND_VALUES_H
#define WEFT_API_SERVICES_FOUND_VALUES_H

#include "mesh/seam_overlay.h"
#include "provider/tenant/program_value.h"
#include "varlink/blocks.h"

/*
 * What a get of values of programs found: of each writer its newest value. A writer is a key, which
 * is free, so places are fair shares of the nodes that gave the values. When all are taken, a node
 * that gave fewer takes the newest place of the one that gave most. Pure; home worker.
 */
#define FOUND_VALUE_MAX 64u

struct found_value {
	struct overlay_claim claim;
	size_t len;
	uint8_t bytes[PROGRAM_VALUE_LEN_MAX];
};
struct found_values {
	unsigned cnt;
	struct found_value *values[FOUND_VALUE_MAX]; /* in blocks */
};

/*
 * api_found_value_place: where to write the value of claim, whose claim is set then. NULL: there is a
 * newer one of its writer, its teller has its share, or there is no memory.
 */
struct found_value *api_found_value_place(struct found_values *found, struct varlink_blocks *blocks,
					  const struct overlay_claim *claim);

#endif

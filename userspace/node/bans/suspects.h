/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_SUSPECTS_H
#define WEFT_NODE_SUSPECTS_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/endpoint.h"

/*
 * Which sources send connection ids of ours with what does not decrypt, too
 * fast: a level for each that rises with every such datagram and sinks with
 * time. A newcomer to a full table takes the place of the lowest, so one
 * that is loud is found among any number that are not. Pure, on one
 * thread. A zeroed one is empty.
 */
#define SUSPECTS_CAP	   64
#define SUSPECTS_PER_S	   10 /* no honest source comes near: what it sends from elsewhere decrypts */
#define SUSPECTS_BURST_CNT 100 /* what a network that turns bits over may do at once */

struct suspects {
	unsigned cnt;
	struct suspect {
		struct weft_endpoint source;
		uint64_t level_ns; /* at at_ns; sinks by one each nanosecond */
		uint64_t at_ns;
	} suspects[SUSPECTS_CAP];
};

/*
 * suspects_note: source, of which an offenders table would speak, sent
 * weight of them. True when that was too many; it is forgotten then.
 */
bool suspects_note(struct suspects *suspects, const struct weft_endpoint *source, uint32_t weight,
		   uint64_t now_ns);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_REACHABILITY_REACHABILITY_H
#define WEFT_REACHABILITY_REACHABILITY_H

#include <stdint.h>

#include "weft/err.h"

struct dgram;
struct dgram_sink;
struct reachability;

/*
 * Where this node is, as others see it: STUN, answered to anyone. Home worker,
 * without I/O: datagrams and a time go in, datagrams go into the sink.
 */
struct reachability_params {
	struct dgram_sink *sink;
};

struct reachability_stats {
#define COUNTER(field, meaning) uint64_t field;
#define FILL(field, meaning)	uint32_t field;
#define BYTES(field, meaning)	uint64_t field;
#include "reachability/reachability_counters.def"
};

/* reachability_new: everything is borrowed. 0 or -ENOMEM. reachability_free takes NULL. */
WEFT_MUST_CHECK
int reachability_new(const struct reachability_params *params,
		     struct reachability **out_reachability);
void reachability_free(struct reachability *reachability);
/* reachability_input takes a datagram of STUN or a path probe, which ingress let in. */
void reachability_input(struct reachability *reachability, const struct dgram *dgram,
			uint64_t now_ns);
/* reachability_set_sink: datagrams leave by sink from now on. */
void reachability_set_sink(struct reachability *reachability, struct dgram_sink *sink);
const struct reachability_stats *reachability_stats(const struct reachability *reachability);

#endif

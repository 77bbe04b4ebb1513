/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SIM_ASK_H
#define WEFT_TESTS_SIM_ASK_H

#include "mesh/seam.h"
#include "support/sim.h"

/*
 * What one simulated node has another one do, while time passes. The outcome is that of the last
 * call here. Its err is WEFT_ETIMEOUT where nothing ended in time.
 */
struct sim_outcome {
	bool is_over;
	int err;
	enum mesh_code code; /* of a request that was refused */
	uint64_t at_ns;
	uint8_t reply[1024];
};

/* sim_dial begins a connection to where to is, at most 60 s long; how it ends is not heard. false: refused. */
bool sim_dial(struct sim_node *from, const struct sim_node *to);
/* sim_reach connects from with to by its key alone, or at its address as well. */
const struct sim_outcome *sim_reach(struct sim_node *from, const struct sim_node *to,
				    bool is_named);
/* sim_ask sends a request whose payload is an empty map. */
const struct sim_outcome *sim_ask(struct sim_node *from, const struct sim_node *to, unsigned type,
				  uint64_t timeout_ns);
/* sim_is_answered: the peer itself answered, with a refusal at least. */
bool sim_is_answered(const struct sim_outcome *outcome);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SIM_TRACE_H
#define WEFT_TESTS_SIM_TRACE_H

struct sim;
struct sim_node;

/*
 * What becomes of one pair of nodes: SIM_TRACE=12:345 in the environment has it printed how node 12
 * reaches node 345. Each line that has changed in a step is printed, with the time. They tell sessions,
 * the dial, flows of relays, kept relays, and what the record of the second names. Nothing of the run
 * changes by it.
 */
void sim_trace_init(struct sim *sim);
void sim_trace_turn(const struct sim *sim);
/* sim_trace_print: all lines of a pair as they are now. */
void sim_trace_print(const struct sim_node *from, const struct sim_node *to);

#endif

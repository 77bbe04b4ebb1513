/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SIM_PEOPLE_H
#define WEFT_TESTS_SIM_PEOPLE_H

#include <stdint.h>

struct sim;
struct sim_node;
struct social;

/* sim_person_add: a node, not started, with social as it is by default and room for 4,096 posts. */
struct sim_node *sim_person_add(struct sim *sim);
/* sim_follow: the person at a node follows another one, publicly. */
void sim_follow(struct social *social, const uint8_t *person, uint64_t now_ns);

#endif

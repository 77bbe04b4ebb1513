/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SIM_PEOPLE_H
#define WEFT_TESTS_SIM_PEOPLE_H

#include <stdint.h>

struct social;

/* sim_follow: the person at a node follows another one, publicly. */
void sim_follow(struct social *social, const uint8_t *person, uint64_t now_ns);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SEED_H
#define WEFT_TESTS_SEED_H

#include <stdbool.h>
#include <stdint.h>

/* seed_of_run: $SEED, by which tools/run-tests and tools/sim-seeds play many runs, or the given one. */
uint64_t seed_of_run(uint64_t seed);
/*
 * seed_is_small: make check plays seed after seed of each test and only the first in full. A test
 * whose run takes seconds has fewer nodes or hours in the others ($SIM_SMALL).
 */
bool seed_is_small(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SCRATCH_STORE_H
#define WEFT_TESTS_SCRATCH_STORE_H

#include <stdbool.h>

#include "store/store.h"

/*
 * scratch_store opens the store in dir, a scratch directory, as a node does; ends the program when
 * it cannot.
 */
struct store *scratch_store(const char *dir, bool is_inline);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_STORE_STORE_LIBRARY_H
#define WEFT_STORE_STORE_LIBRARY_H

#include "base/base_library.h"

/* store_libraries gives those that the store takes. Any thread. */
#define STORE_LIBRARY_CNT 1
void store_libraries(struct library out[static STORE_LIBRARY_CNT]);

#endif

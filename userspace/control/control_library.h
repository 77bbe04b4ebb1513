/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONTROL_CONTROL_LIBRARY_H
#define WEFT_CONTROL_CONTROL_LIBRARY_H

#include "base/base_library.h"

/* control_libraries gives those that JSON takes. Any thread. */
#define CONTROL_LIBRARY_CNT 1
void control_libraries(struct library out[static CONTROL_LIBRARY_CNT]);

#endif

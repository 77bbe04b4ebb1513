/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_GATEWAY_GATEWAY_LIBRARY_H
#define WEFT_GATEWAY_GATEWAY_LIBRARY_H

#include "base/base_library.h"

/* gateway_libraries gives those that HTTP takes. Any thread. */
#define GATEWAY_LIBRARY_CNT 1
void gateway_libraries(struct library out[static GATEWAY_LIBRARY_CNT]);

#endif

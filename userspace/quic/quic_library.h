/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_QUIC_QUIC_LIBRARY_H
#define WEFT_QUIC_QUIC_LIBRARY_H

#include "base/base_library.h"

/* quic_libraries gives those that QUIC and TLS take. Any thread. */
#define QUIC_LIBRARY_CNT 2
void quic_libraries(struct library out[static QUIC_LIBRARY_CNT]);

#endif

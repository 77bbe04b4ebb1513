/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CRYPTO_CRYPTO_LIBRARY_H
#define WEFT_CRYPTO_CRYPTO_LIBRARY_H

#include "base/base_library.h"

/* crypto_libraries gives those that keys and signatures take. Any thread. */
#define CRYPTO_LIBRARY_CNT 1
void crypto_libraries(struct library out[static CRYPTO_LIBRARY_CNT]);

#endif

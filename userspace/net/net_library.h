/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_NET_LIBRARY_H
#define WEFT_NET_NET_LIBRARY_H

#include "base/base_library.h"

/* net_libraries gives those that packets and names take. Any thread. */
#define NET_LIBRARY_CNT 6
void net_libraries(struct library out[static NET_LIBRARY_CNT]);

#endif

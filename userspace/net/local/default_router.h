/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_LOCAL_DEFAULT_ROUTER_H
#define WEFT_NET_LOCAL_DEFAULT_ROUTER_H

#include <stdbool.h>

struct addr;

/*
 * net_default_router: the router by which IPv4 datagrams leave for other networks, and this
 * machine's address towards it, both with port 0. false: there is none, as the kernel's routes say.
 */
bool net_default_router(struct addr *out_router, struct addr *out_local);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_LOCAL_ADDRESS_WATCH_H
#define WEFT_NET_LOCAL_ADDRESS_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/err.h"

struct addr;
struct address_watch;
struct poller;
struct timer_wheel;
struct udp_hold;

/* Follows the machine's addresses, links and routes. All functions of params are set. */
struct address_watch_params {
	struct poller *poller;
	struct timer_wheel *timers;
	/* The machine's addresses may be others. */
	void (*addrs_changed)(void *ctx, uint64_t now_ns);
	/* Any connection may have to leave from another address (net_local_choose). */
	void (*routes_changed)(void *ctx, uint64_t now_ns);
	/* There may be a way to peers that was not there. */
	void (*ways_changed)(void *ctx, uint64_t now_ns);
	/* Nothing shall leave from these addresses until this is called again. */
	void (*hold_changed)(void *ctx, const struct udp_hold *hold);
	void *ctx;
};
WEFT_MUST_CHECK
int net_address_watch_open(const struct address_watch_params *params,
			   struct address_watch **out_addresses);
/* Both take NULL. is_holding: a link is down, and nothing shall be sent into it. */
void net_address_watch_close(struct address_watch *addresses);
bool net_address_watch_is_holding(const struct address_watch *addresses);

/*
 * net_local_choose: true when local is no longer an address of this machine. *out_local is then
 * the address that the kernel would use towards remote, with the same port.
 */
bool net_local_choose(void *ctx, const struct addr *remote, const struct addr *local,
		      struct addr *out_local);

#endif

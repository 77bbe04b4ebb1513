/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_GATEWAY_WEBSOCKET_SOCKET_PLACES_H
#define WEFT_GATEWAY_WEBSOCKET_SOCKET_PLACES_H

#include "base/fair/fair_path.h"

/*
 * The places of WebSockets. Each may stay for days, so a full pool takes the youngest back from the client
 * that holds most: a user of this machine, or an address. Within a client they are shared by the
 * service's host (NAME.localhost): its pages come from any node, so one service's page leaves places to
 * the pages of others, and to programs at the gateway's own hosts.
 */
struct socket_places {
	struct fair fair;
	struct fair_paths paths;
};

size_t gateway_socket_places_footprint(uint32_t cap);
/* gateway_socket_places_init lays them out in arena; a cap of 0 lets none in. 0 or WEFT_EFULL. */
WEFT_MUST_CHECK
int gateway_socket_places_init(struct socket_places *places, struct arena *arena, uint32_t cap,
			       const struct fair_paths *paths);
/*
 * gateway_socket_places_take: a place for a WebSocket of client at site; "" is the gateway's own host. *out_victim, unless NULL,
 * lost its own. False: client has its part of them there, or there are none.
 */
WEFT_MUST_CHECK
bool gateway_socket_places_take(struct socket_places *places, const struct fair_path *client,
				const char *site, struct fair_item *item, uint64_t now_ns,
				struct fair_item **out_victim);
void gateway_socket_places_release(struct socket_places *places, struct fair_item *item,
				   uint64_t now_ns);

#endif

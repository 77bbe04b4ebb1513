/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_GATEWAY_GATEWAY_PLACES_H
#define WEFT_GATEWAY_GATEWAY_PLACES_H

#include "base/fair/fair_path.h"
#include "gateway/gateway.h"

struct load;

/*
 * The places of the gateway: of connections, and of those that are WebSockets.
 *
 * A client is an address (IPv6: its /64), or over loopback, where the kernel tells, a user
 * of this machine. Root and the daemon's own user have connections of their own.
 *
 * A WebSocket may stay for days, so a full pool takes the youngest back from the client that
 * holds most. Within a client they are shared by the service's host (NAME.localhost), whose
 * pages come from any node. So one service's page leaves places to the pages of others, and
 * to programs at the gateway's own hosts.
 */
struct gateway_client {
	struct addr remote;
	struct addr prefix; /* what rates count by */
	bool is_user;
	uint32_t uid;
	struct fair_path path;
};

struct gateway_places {
	struct fair_places conns, sockets;
	struct load *load; /* may be NULL */
	int diag_fd;	   /* asks for local users; -1: the kernel does not tell */
};

/* gateway_places_init lays them out in arena; a socket_cap of 0 lets no WebSocket in. */
WEFT_MUST_CHECK
int gateway_places_init(struct gateway_places *places, struct arena *arena,
			const struct gateway_config *config);
/* gateway_places_client is the client behind fd, which comes from remote. */
struct gateway_client gateway_places_client(const struct gateway_places *places, int fd,
					    const struct addr *remote);

/* A place: of a connection, or of a WebSocket at site; "" is the gateway's own host. */
struct gateway_place {
	const struct gateway_client *client;
	const char *site; /* NULL: a connection */
	struct fair_item *item;
	uint64_t now_ns;
};
/*
 * gateway_places_take: *out_victim, unless NULL, lost its own place. False: the client has its
 * part of them, or there are none.
 */
WEFT_MUST_CHECK
bool gateway_places_take(struct gateway_places *places, const struct gateway_place *wanted,
			 struct fair_item **out_victim);
/* gateway_places_refuse notes that client was refused a place of pool. */
void gateway_places_refuse(const struct gateway_places *places, const struct gateway_client *client,
			   const char *pool, uint64_t now_ns);

#endif

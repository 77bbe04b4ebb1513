/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses between struct addr and ngtcp2's paths. A local address that
 * is not known yet is the wildcard of the remote's family, so that ngtcp2
 * can compare it. On the way out it becomes ADDR_NONE, the kernel's
 * choice.
 */
#include "quic/engine.h"

#include <arpa/inet.h>
#include <string.h>

static ngtcp2_socklen sockaddr_from(ngtcp2_sockaddr_union *to, const struct addr *from,
				    uint8_t family)
{
	memset(to, 0, sizeof(*to));
	if (family == ADDR_IPV4) {
		to->in.sin_family = AF_INET;
		to->in.sin_port = htons(from->port);
		memcpy(&to->in.sin_addr, from->ip, 4);
		return sizeof(to->in);
	}
	to->in6.sin6_family = AF_INET6;
	to->in6.sin6_port = htons(from->port);
	to->in6.sin6_scope_id = from->scope_id;
	memcpy(&to->in6.sin6_addr, from->ip, 16);
	return sizeof(to->in6);
}

void quic_path_init(ngtcp2_path_storage *storage, const struct addr *local,
		    const struct addr *remote)
{
	ngtcp2_path_storage_zero(storage);
	storage->path.local.addrlen = sockaddr_from(&storage->local_addrbuf, local, remote->family);
	storage->path.remote.addrlen =
		sockaddr_from(&storage->remote_addrbuf, remote, remote->family);
}

void quic_path_addr(const ngtcp2_addr *from, struct addr *out_addr)
{
	const ngtcp2_sockaddr_union *sa = (const void *)from->addr;
	struct addr addr = {0};

	if (from->addrlen == sizeof(sa->in)) {
		addr.family = ADDR_IPV4;
		addr.port = ntohs(sa->in.sin_port);
		memcpy(addr.ip, &sa->in.sin_addr, 4);
	} else if (from->addrlen == sizeof(sa->in6)) {
		addr.family = ADDR_IPV6;
		addr.port = ntohs(sa->in6.sin6_port);
		addr.scope_id = sa->in6.sin6_scope_id;
		memcpy(addr.ip, &sa->in6.sin6_addr, 16);
		/* The sink knows labels alone by that: a host that took their prefix is not reached. */
		if (addr_has_relay_prefix(&addr))
			addr.transport = ADDR_RELAY;
	}
	*out_addr = addr;
}

void quic_path_tell(const struct quic_engine *engine, const ngtcp2_path *path)
{
	struct addr remote;

	if (!engine->on_path)
		return;
	quic_path_addr(&path->remote, &remote);
	engine->on_path(engine->path_ctx, &remote);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of local addresses. ngtcp2 migrates only where the local address changes, and of two direct
 * paths of one family only the remote may. So such a path has a port of its own as its local one, which
 * ngtcp2 alone sees. It is new for each move: ngtcp2 would take a path of the last ten minutes without
 * validating it. Packets from the remote of a path are read under its name; those that leave have the
 * port of the socket.
 */
#include "quic/conn_path.h"

#include "quic/engine.h"

static struct quic_alias *alias_find(struct quic_conn *conn, const struct addr *remote)
{
	for (unsigned i = 0; i < QUIC_ALIASES; i++)
		if (addr_equal(&conn->aliases[i].remote, remote))
			return &conn->aliases[i];
	return NULL;
}

static bool port_is_named(const struct quic_conn *conn, uint16_t port)
{
	for (unsigned i = 0; i < QUIC_ALIASES; i++)
		if (conn->aliases[i].remote.family != ADDR_NONE &&
		    (conn->aliases[i].port == port || conn->aliases[i].real_port == port))
			return true;
	return false;
}

void quic_alias_make(struct quic_conn *conn, const struct addr *remote, struct addr *local)
{
	struct quic_alias *alias = alias_find(conn, remote);

	/* The name of the path in use stays. */
	while (!alias ||
	       (addr_equal(&alias->remote, &conn->remote) && !addr_equal(remote, &conn->remote)))
		alias = &conn->aliases[conn->alias_next++ % QUIC_ALIASES];
	alias->real_port = local->port;
	do
		conn->alias_port++;
	while (conn->alias_port == 0 || conn->alias_port == local->port ||
	       port_is_named(conn, conn->alias_port));
	alias->remote = *remote;
	alias->port = local->port = conn->alias_port;
}

void quic_alias_in(struct quic_conn *conn, const struct addr *remote, struct addr *local)
{
	const struct quic_alias *alias = conn->alias_next ? alias_find(conn, remote) : NULL;

	if (alias && alias->real_port == local->port)
		local->port = alias->port;
}

/* The port of a label is its class, and no name. */
void quic_alias_out(const struct quic_conn *conn, struct addr *local)
{
	if (addr_is_relayed(local))
		return;
	for (unsigned i = 0; conn->alias_next && i < QUIC_ALIASES; i++)
		if (conn->aliases[i].remote.family != ADDR_NONE &&
		    conn->aliases[i].port == local->port)
			local->port = conn->aliases[i].real_port;
}

void quic_alias_forget(struct quic_conn *conn)
{
	for (unsigned i = 0; i < QUIC_ALIASES; i++)
		conn->aliases[i].remote.family = ADDR_NONE;
	conn->alias_next = 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_QUIC_CONN_PATH_H
#define WEFT_QUIC_CONN_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "weft/err.h"

/* Private to quic/: a connection's path, the one that it falls back to, and the names of both. */
struct quic_conn;
struct quic_engine;

/* fallback.c: what a connection has of the relayed path that it was moved from. */
struct quic_fallback {
	struct addr label;  /* family ADDR_NONE: it came from none; or another direct path */
	struct addr local;  /* of that path */
	uint64_t silent_ns; /* since when the path is silent that was probed last */
	unsigned probe_cnt, trial_cnt; /* in that silence */
	uint64_t next_ns;
	uint64_t in_flight_len; /* before a datagram is read */
	uint64_t acked_ns;	/* when less was in flight after that */
};

/* quic_alias.c: the local port by which ngtcp2 knows the path to remote, and that of the socket. */
#define QUIC_ALIASES 4
struct quic_alias {
	struct addr remote; /* family ADDR_NONE: free */
	uint16_t port, real_port;
};

/*
 * fallback.c. moved: conn came to its path from that of from. hears, heard: a datagram is
 * to be read, and was. next_ns: when expire is to be called,
 * which returns as quic_probe_send does.
 */
void quic_fallback_moved(struct quic_conn *conn, const struct addr *from);
void quic_fallback_hears(struct quic_conn *conn);
void quic_fallback_heard(struct quic_conn *conn);
uint64_t quic_fallback_next_ns(const struct quic_conn *conn);
WEFT_MUST_CHECK
int quic_fallback_expire(struct quic_conn *conn);
/*
 * quic_alias.c. make: the path to remote has a new name, which becomes local's port. in: local's port
 * becomes the name of the path from remote; out: a name becomes the port. forget: there are no names.
 */
void quic_alias_make(struct quic_conn *conn, const struct addr *remote, struct addr *local);
void quic_alias_in(struct quic_conn *conn, const struct addr *remote, struct addr *local);
void quic_alias_out(const struct quic_conn *conn, struct addr *local);
void quic_alias_forget(struct quic_conn *conn);
/*
 * heartbeat.c. keepalive_ns: of connections that are not in use; 0: none. used: bytes of a stream went or came. next_ns: when expire is to be called.
 */
uint64_t quic_keepalive_ns(const struct quic_engine *engine);
void quic_heartbeat_used(struct quic_conn *conn);
uint64_t quic_heartbeat_next_ns(const struct quic_conn *conn);
void quic_heartbeat_expire(struct quic_conn *conn);

#endif

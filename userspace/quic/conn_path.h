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

/* black_hole.c: whether long packets arrive, and how long those may be that are sent. */
struct quic_black_hole {
	/* While packets have any length: a span in which no long one is known to have arrived. */
	uint64_t began_ns, enough_ns; /* began_ns 0: no long one is out */
	uint64_t long_len, long_cnt;  /* sent in it */
	uint64_t lost_len, lost_cnt;  /* what ngtcp2 has for lost when it began, or the trial */
	size_t cap;		      /* the longest packet; 0: any length */
	/* While there is a cap: what was sent, and was in flight then, until some is acknowledged. */
	uint64_t data_len, flight_len;
	uint64_t answered_ns;
	bool is_answered;
	/* A trial: one packet of try_len, not before try_ns. */
	size_t try_len, tried_len; /* and as it was sent */
	uint64_t try_ns, pause_ns;
	uint64_t tried_ns; /* 0: none is out */
	int64_t tried_id;  /* its stream, and the end of its bytes there */
	uint64_t tried_end;
	unsigned tried_cnt; /* lost ones in a row */
	bool is_tried_acked;
	bool is_sure;	   /* the former length was lost TRIALS_MAX times */
	bool is_stepping;  /* through shorter ones */
	bool is_batch_new; /* nothing is in it yet */
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

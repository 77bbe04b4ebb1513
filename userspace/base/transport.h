/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_TRANSPORT_H
#define WEFT_BASE_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "weft/err.h"

/*
 * The seam between what carries streams between two keys (quic/, and tcp/ where no
 * UDP passes) and what speaks over them (mesh/). The carrier implements
 * struct transport_ops, the speaker struct transport_events; node/ hands
 * each the other's table. Nothing here blocks, and every call and every
 * event happens on the worker that owns the carrier.
 *
 * A transport_conn or transport_stream is embedded first in the carrier's
 * own object, and ops is the carrier's table. The speaker reads and writes only the field user,
 * which the carrier zeroes when the object is made. A conn pointer is valid until
 * conn_closed returns, a stream pointer until stream_closed returns.
 *
 * Events never nest inside the ops that cause them. The ops reset, abandon and close never
 * raise an event synchronously; stream_closed and conn_closed follow later.
 */
struct transport;
struct transport_ops;
struct transport_conn {
	void *user;
	const struct transport_ops *ops;
};
struct transport_stream {
	void *user;
	const struct transport_ops *ops;
};

#define TRANSPORT_KEY_LEN 32

/* Why a connection ended. */
struct transport_close {
	int err;       /* WEFT_ETIMEOUT, EWRONGKEY, EREFUSED, ECLOSED, EUNREACHABLE, ... */
	uint64_t code; /* application or protocol error code as the wire carried it */
	bool by_peer;
	bool is_protocol_code;		       /* code is of RFC 9000 20, not of the speaker */
	bool is_reset;			       /* by_peer, which forgot the connection */
	uint32_t not_before_ms;		       /* by_peer, full: when to come back */
	bool has_key;			       /* actual_key is known (also for EWRONGKEY) */
	uint8_t actual_key[TRANSPORT_KEY_LEN]; /* the key that did answer */
};

struct transport_conn_info {
	uint8_t peer_key[TRANSPORT_KEY_LEN];
	struct addr local;
	struct addr remote;
	bool is_dialler;
	bool is_resumed;
	uint64_t rtt_ns;
	uint64_t sent_len; /* bytes of datagrams in all */
	uint64_t received_len;
	uint64_t heard_ns; /* when a datagram of the peer came last */
	uint64_t lost_cnt; /* packets */
	uint64_t cwnd_len;
	uint64_t pmtu_len;
	bool has_black_hole; /* the path carried longer datagrams, and loses them now */
	bool has_ended;	     /* streams are being closed because of end, and conn_closed follows */
	struct transport_close end;
};

/*
 * Bytes lent to a stream. They stay untouched until done(arg) is called. That happens exactly
 * once, when the carrier needs them no more or the stream is gone. Over QUIC that is when the peer
 * has acknowledged all of them, over TCP when they are encrypted.
 */
struct transport_span {
	const uint8_t *data;
	size_t len;
	void (*done)(void *arg);
	void *arg;
};

/* Bytes of a stream as they come; len may be 0. Borrowed. */
struct transport_piece {
	const uint8_t *data;
	size_t len;
	bool fin; /* nothing follows */
};

struct transport_dial {
	uint8_t peer_key[TRANSPORT_KEY_LEN]; /* must answer with exactly this key */
	struct addr remote;
	const uint8_t *token; /* conn_token's, of this peer at remote, copied; NULL: none */
	size_t token_len;
	/*
	 * Datagrams that may go to remote before anything comes back from there, 0: any number.
	 * One more ends the connection in silence, with WEFT_EUNREACHABLE.
	 */
	unsigned unheard_max;
	void *user; /* becomes conn->user */
};

/*
 * dial starts a handshake. 0 with *out_conn, WEFT_EFULL when the table is
 *     full. conn_ready or conn_closed follows.
 * close ends the connection with an application code and a short reason
 *     (ASCII, <= 64 bytes, may be NULL).
 * open makes a bidirectional stream; WEFT_EBUSY when the peer's stream
 *     credit is used up: conn_streams_available follows.
 * send lends a span. 0, WEFT_EFULL when TRANSPORT_SPANS_MAX spans wait
 *     (stream_writable follows), WEFT_ECLOSED. On failure the caller keeps
 *     the span and done is not called.
 * send_copy copies len bytes (<= TRANSPORT_COPY_LEN_MAX) into the
 *     carrier's memory, otherwise as send.
 * finish says that nothing follows what was sent.
 * reset gives up both directions with a code.
 * consume gives the peer len more bytes of flow control credit: call it
 *     as received bytes are used; without it the peer stops.
 * acked tells how many bytes of what was sent on the stream its peer has
 *     acknowledged so far.
 * info fills a snapshot.
 * exporter derives len <= 64 bytes of keying material bound to the
 *     session (RFC 8446 7.5). 0 or WEFT_ECLOSED.
 * probe sends a packet that the peer has to answer, whatever the timers say:
 *     info's received_len grows when it is there.
 */
/*
 * 4 MiB of chunks on a stream. So much is under way at 5 Gbit/s while a peer
 * of that rate is kept from its CPU for 6 ms. With 1 MiB a sender slept 12 %
 * of its time (bench/quic, 2026-11).
 */
#define TRANSPORT_SPANS_MAX    16
#define TRANSPORT_COPY_LEN_MAX 16384

struct transport_ops {
	int (*dial)(struct transport *transport, const struct transport_dial *dial, uint64_t now_ns,
		    struct transport_conn **out_conn);
	void (*close)(struct transport_conn *conn, uint64_t code, const char *reason);
	int (*open)(struct transport_conn *conn, void *user, struct transport_stream **out_stream);
	int (*send)(struct transport_stream *stream, const struct transport_span *span);
	int (*send_copy)(struct transport_stream *stream, const void *data, size_t len);
	void (*finish)(struct transport_stream *stream);
	void (*reset)(struct transport_stream *stream, uint64_t code);
	void (*consume)(struct transport_stream *stream, size_t len);
	uint64_t (*acked)(const struct transport_stream *stream);
	void (*info)(const struct transport_conn *conn, struct transport_conn_info *out_info);
	int (*exporter)(struct transport_conn *conn, const char *label, uint8_t *out, size_t len);
	void (*probe)(struct transport_conn *conn);
};

struct transport {
	const struct transport_ops *ops;
};

/*
 * conn_ready: handshake done, the peer's key proved (read it with info).
 *     For an accepted connection conn->user is NULL until the speaker
 *     sets it. Returning a negative code refuses the connection.
 * conn_token: the peer of a dialled connection gave a token (RFC 9000 8.1.3)
 *     that the next dial to it at this address may show, once. data is
 *     borrowed for the call.
 * key_met_s: a question: since when the speaker knows the key, wall clock
 *     in seconds; 0: it does not. Both may be NULL: no token is kept, no
 *     key is known.
 * conn_moved: the connection's path is another one, and validated (RFC 9000 9): info has it. May be
 *     NULL.
 * conn_closed: last event of a connection; its streams were closed before.
 * conn_streams_available: open may succeed again.
 * stream_opened: the peer opened a bidirectional stream.
 * stream_data: the next bytes in order, borrowed for the call.
 * stream_reset: the peer gave up its direction with a code.
 * stream_writable: send may succeed again after WEFT_EFULL.
 * stream_closed: last event of a stream; code is 0 after a clean end.
 */
struct transport_events {
	int (*conn_ready)(void *ctx, struct transport_conn *conn, uint64_t now_ns);
	void (*conn_token)(void *ctx, struct transport_conn *conn, const uint8_t *data, size_t len,
			   uint64_t now_ns);
	uint64_t (*key_met_s)(void *ctx, const uint8_t key[TRANSPORT_KEY_LEN]);
	void (*conn_moved)(void *ctx, struct transport_conn *conn, uint64_t now_ns);
	void (*conn_closed)(void *ctx, struct transport_conn *conn,
			    const struct transport_close *close, uint64_t now_ns);
	void (*conn_streams_available)(void *ctx, struct transport_conn *conn, uint64_t now_ns);
	int (*stream_opened)(void *ctx, struct transport_conn *conn,
			     struct transport_stream *stream, uint64_t now_ns);
	void (*stream_data)(void *ctx, struct transport_stream *stream,
			    const struct transport_piece *piece, uint64_t now_ns);
	void (*stream_reset)(void *ctx, struct transport_stream *stream, uint64_t code,
			     uint64_t now_ns);
	void (*stream_writable)(void *ctx, struct transport_stream *stream, uint64_t now_ns);
	void (*stream_closed)(void *ctx, struct transport_stream *stream, uint64_t code,
			      uint64_t now_ns);
};

#endif

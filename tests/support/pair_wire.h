/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_PAIR_WIRE_H
#define WEFT_TESTS_PAIR_WIRE_H

#include "support/transport_pair.h"

/*
 * What passes between the ends of a transport_pair. Each side has its connections and streams, and
 * the net has a queue of events by time. transport_pair.c puts events in, pair_wire.c lets them
 * happen.
 */

enum event_kind {
	EVENT_READY,
	EVENT_CONN_CLOSED,
	EVENT_CREDIT,
	EVENT_DATA,
	EVENT_RESET,
	EVENT_WRITABLE,
	EVENT_STREAM_CLOSED,
	EVENT_SPAN_DONE,
	EVENT_ACK,
};

struct pair_span {
	struct transport_span span;
	bool is_done;
	struct pair_span *next;
};

struct pair_stream {
	struct transport_stream stream;
	struct pair_conn *conn;
	struct pair_stream *peer; /* NULL until the peer's side is made */
	struct pair_stream *next;
	struct pair_span *spans;
	bool is_ours, is_first, is_announced;
	bool has_sent_fin, has_got_fin, is_reset, is_closing, is_closed;
	size_t received_len, consumed_len;
};

struct pair_conn {
	struct transport_conn conn;
	struct pair_end *end;
	struct pair_conn *peer;
	struct pair_conn *next;
	struct pair_stream *streams;
	unsigned id;
	uint8_t transport; /* of the address that was dialled */
	size_t received_len;
	bool is_dialler, is_ready, is_closing, is_closed, wants_credit, had_stream;
	const struct transport_close *close; /* during the call that reports it; else NULL */
};

struct pair_event {
	struct pair_event *next;
	uint64_t at_ns, seq;
	enum event_kind kind;
	struct pair_conn *conn;
	struct pair_stream *stream;
	struct pair_span *span;
	struct transport_close close;
	uint64_t code;
	uint8_t *data;
	size_t len;
	bool fin;
};

struct pair_event *pair_event_add(struct pair_net *net, uint64_t at_ns, enum event_kind kind,
				  struct pair_conn *conn, struct pair_stream *stream);
/* pair_conn_close ends conn with err on this side and with WEFT_ECLOSED on the peer's. */
void pair_conn_close(struct pair_conn *conn, uint64_t code, int err);
/* pair_stream_check ends a stream that was finished in both directions. */
void pair_stream_check(struct pair_stream *stream);
struct pair_stream *pair_stream_of(struct transport_stream *stream);
/* pair_stream_carry queues bytes for the peer's side, which is made at once but announced on arrival. */
void pair_stream_carry(struct pair_stream *stream, const uint8_t *data, size_t len, bool fin);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_HTTP_HTTP_STREAM_H
#define WEFT_PROVIDER_HTTP_HTTP_STREAM_H

#include "base/timer.h"
#include "http_answer.h"
#include "http_body.h"
#include "http_conn.h"
#include "provider/buffer_refs.h"
#include "provider/program_offer.h"

/*
 * Private to provider/: one stream of HttpInvoke. http.c begins it and has the caller's callbacks,
 * http_exchange.c moves its bytes, http_stream.c lets it wait, go on and end.
 *
 * An entry from outside (the caller, the server, a timer) sets is_busy and does its work. It
 * leaves by provider_http_stream_settle or provider_http_stream_turn. A stream that ended
 * meanwhile is freed there and nowhere else.
 */
struct http_stream {
	struct active active;
	struct service_channel *channel; /* NULL: it ended */
	struct http_conn *conn;
	struct timer timer; /* deadline of the awaited event */
	struct timer turn;
	struct http_answer answer;
	struct buffer_refs
		buffer_refs; /* its head is the request's until a byte of the answer came */
	size_t head_len, head_sent_len;
	struct http_body body;	/* of the request */
	struct fair_item place; /* of an upgrade; http_upgrade.h */
	bool is_upgrade;	/* it asks for a WebSocket */
	bool is_shut;		/* of one, the server got the caller's end */
	bool is_safe;
	bool is_request_whole; /* the caller finished */
	bool is_deaf;	       /* the server takes no more of it */
	bool is_answered;      /* a byte of the answer came */
	bool is_head_out;      /* the answer's head is on its way to the caller */
	bool is_finished;      /* so is all of it */
	bool is_within_line;   /* the answer's body so far does not end a line */
	bool is_busy;	       /*
	 * an entry from outside runs and frees on leaving
	 */
	uint64_t progress_ns;  /* when a byte last moved, or a side finished */
};

static inline struct offer *http_stream_offer(const struct http_stream *stream)
{
	return stream->active.offer;
}

/* provider_http_stream_new: NULL: there is no room, which was counted. */
struct http_stream *provider_http_stream_new(struct offer *offer,
					     const struct service_caller *caller, uint64_t now_ns);
/* provider_http_stream_cancel undoes provider_http_stream_new, before it has anything else. */
void provider_http_stream_cancel(struct http_stream *stream);
/*
 * provider_http_stream_use_conn: conn is the stream's now, and carries its request from the start.
 */
void provider_http_stream_use_conn(struct http_stream *stream, struct http_conn *conn);
void provider_http_stream_drop_conn(struct http_stream *stream);

/* provider_http_stream_turn does all that can be done now, and settles. */
void provider_http_stream_turn(struct http_stream *stream, uint64_t now_ns);
/*
 * provider_http_stream_settle is where an entry from outside leaves; the stream may be gone then.
 */
void provider_http_stream_settle(struct http_stream *stream, uint64_t now_ns);

/*
 * provider_http_stream_deafen: the server takes no more of the request. It may answer
 * without reading all of it: its answer is still worth reading.
 */
void provider_http_stream_deafen(struct http_stream *stream);
/*
 * provider_http_stream_fail: the server broke the protocol. A caller without a head yet gets a 502.
 */
void provider_http_stream_fail(struct http_stream *stream, const char *fault, uint64_t now_ns);
/*
 * provider_http_stream_refuse_body: the request's body is longer than the offer takes: a 413, if no
 * head went out yet.
 */
void provider_http_stream_refuse_body(struct http_stream *stream, uint64_t now_ns);
/* provider_http_stream_unreachable: no connection, so nothing was asked of the server. */
void provider_http_stream_unreachable(struct http_stream *stream, int err, uint64_t now_ns);
void provider_http_stream_end(struct http_stream *stream, enum service_status status,
			      const char *text);
/*
 * provider_http_stream_judge: the stream is about to end; a server that used up its time is counted
 * (program_health.h).
 */
void provider_http_stream_judge(struct http_stream *stream, uint64_t now_ns);
/*
 * provider_http_stream_close: the channel is gone; the lent blocks come back, and then it is freed.
 */
void provider_http_stream_close(struct http_stream *stream);

/* provider_http_exchange_write sends as much of the request as the server takes. */
void provider_http_exchange_write(struct http_stream *stream, uint64_t now_ns);
/* provider_http_exchange_read reads of the answer once; true while more can be read at once. */
bool provider_http_exchange_read(struct http_stream *stream, uint64_t now_ns);
/*
 * provider_http_exchange_pass_on gives the channel the read bytes; true: nothing waits for it any
 * more.
 */
bool provider_http_exchange_pass_on(struct http_stream *stream, uint64_t now_ns);
/*
 * provider_http_exchange_may_beat: whether a comment may be sent on a silent stream of events.
 * provider_http_exchange_beat sends it, so that no proxy between server and reader takes the stream
 * for dead. False: it is no such stream, or earlier bytes are not yet taken.
 */
bool provider_http_exchange_may_beat(const struct http_stream *stream);
bool provider_http_exchange_beat(struct http_stream *stream, uint64_t now_ns);
bool provider_http_exchange_wants_to_write(const struct http_stream *stream);
/* provider_http_exchange_waits_for_caller: the caller has not taken the server's bytes. */
bool provider_http_exchange_waits_for_caller(const struct http_stream *stream);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the link to the speaker: TLS records to frames, frames to events. Streams of a side are
 * numbered in the order in which their first frames come. So an unknown number that is not the
 * next one belongs to a stream that has ended. Frames for it were on their way and are ignored.
 */
#include "tcp/tcp_state.h"

#include <string.h>

#include <openssl/err.h>

/* Credit of one stream, at most. */
#define CREDIT_MAX UINT32_MAX

static void stream_refuse(struct tcp_conn *conn, uint32_t id)
{
	conn->refused_ids[conn->refused_cnt++] = id;
	conn->peer_cnt++;
	tcp_conn_want_write(conn);
}

/* The stream that a peer begins, or NULL: it was refused. */
static struct tcp_stream *stream_open(struct tcp_conn *conn, uint32_t id)
{
	struct tcp_engine *engine = conn->engine;
	struct tcp_stream *stream = conn->is_close_wanted ? NULL : tcp_stream_new(conn, false);

	if (stream && tcp_stream_name(stream, id) < 0) {
		tcp_stream_release(stream);
		stream = NULL;
	}
	if (stream && engine->events->stream_opened(engine->ctx, &conn->transport,
						    &stream->transport, engine->now_ns) < 0) {
		tcp_stream_release(stream);
		stream = NULL;
	}
	if (!stream)
		stream_refuse(conn, id);
	return stream;
}

/* The stream of a frame, made if it is the next; NULL: it has ended. False: the peer broke a rule. */
static bool stream_find(struct tcp_conn *conn, const struct tcp_frame *frame,
			struct tcp_stream **out_stream)
{
	bool is_own = (frame->stream & 1) == (conn->next_id & 1);
	uint32_t *next_id = is_own ? &conn->next_id : &conn->next_peer_id;

	*out_stream = tcp_stream_lookup(conn, frame->stream);
	if (*out_stream || frame->stream < *next_id)
		return true;
	if (is_own || frame->stream != *next_id || frame->kind != TCP_FRAME_DATA ||
	    conn->peer_cnt == TCP_STREAMS_MAX || *next_id > UINT32_MAX - 2)
		return false;
	*next_id += 2;
	*out_stream = stream_open(conn, frame->stream);
	return true;
}

static bool input_data(struct tcp_conn *conn, struct tcp_stream *stream,
		       const struct tcp_frame *frame)
{
	const struct transport_piece piece = {frame->data, frame->len, frame->is_fin};
	struct tcp_engine *engine = conn->engine;

	if (stream->is_answered)
		return false;
	if (frame->len > stream->recv_left) {
		engine->stats.credit_overrun_cnt++;
		return false;
	}
	stream->recv_left -= frame->len;
	stream->is_answered = frame->is_fin;
	fair_conns_progress(&conn->engine->shares, &conn->share, frame->len, conn->engine->now_ns);
	if (stream->is_shut || conn->is_close_wanted)
		return true;
	stream->unread_len += frame->len;
	engine->events->stream_data(engine->ctx, &stream->transport, &piece, engine->now_ns);
	/* One that was reset meanwhile ends with its RESET. */
	if (frame->is_fin && stream->is_fin_sent && !stream->is_shut)
		tcp_stream_close(stream, 0);
	return true;
}

static void input_reset(struct tcp_conn *conn, struct tcp_stream *stream,
			const struct tcp_frame *frame)
{
	struct tcp_engine *engine = conn->engine;

	stream->is_shut = true;
	tcp_stream_stop_write(stream);
	if (!conn->is_close_wanted)
		engine->events->stream_reset(engine->ctx, &stream->transport, frame->code,
					     engine->now_ns);
	tcp_stream_close(stream, frame->code);
}

static bool input_credit(struct tcp_stream *stream, const struct tcp_frame *frame)
{
	if (stream->send_left + frame->credit > CREDIT_MAX)
		return false;
	stream->send_left += frame->credit;
	tcp_stream_want_write(stream);
	return true;
}

static bool input_stream_frame(struct tcp_conn *conn, const struct tcp_frame *frame)
{
	struct tcp_stream *stream;

	if (!stream_find(conn, frame, &stream))
		return false;
	if (!stream)
		return true;
	if (frame->kind == TCP_FRAME_DATA)
		return input_data(conn, stream, frame);
	if (frame->kind == TCP_FRAME_CREDIT)
		return input_credit(stream, frame);
	input_reset(conn, stream, frame);
	return true;
}

/* False: conn is gone. */
static bool input_frame(struct tcp_conn *conn, const struct tcp_frame *frame)
{
	switch (frame->kind) {
	case TCP_FRAME_CLOSE:
		tcp_conn_peer_closed(conn, frame);
		return false;
	case TCP_FRAME_PING:
		memcpy(conn->pong, frame->data, sizeof(conn->pong));
		conn->is_pong_due = true;
		return true;
	case TCP_FRAME_PONG:
		return true;
	case TCP_FRAME_DGRAM:
		tcp_dgram_input(conn, frame);
		return true;
	default:
		if (input_stream_frame(conn, frame))
			return true;
		tcp_conn_break(conn, "a frame breaks a rule of its stream");
		return false;
	}
}

static bool input_plain(struct tcp_conn *conn, const uint8_t *data, size_t len)
{
	struct cursor c = cursor_of(data, len);
	struct tcp_frame frame;
	int rv;

	while ((rv = tcp_frame_read(&conn->reader, &c, &frame)) > 0)
		if (!input_frame(conn, &frame))
			return false;
	if (rv == 0)
		return true;
	tcp_conn_break(conn, "malformed frame");
	return false;
}

bool tcp_input_frames(struct tcp_conn *conn)
{
	struct tcp_engine *engine = conn->engine;
	const struct transport_close bad = {.err = WEFT_EMALFORMED};
	size_t len;
	int why;

	ERR_clear_error();
	while (SSL_read_ex(conn->ssl, engine->plain, TCP_FRAME_RECORD_LEN, &len) == 1)
		if (!input_plain(conn, engine->plain, len))
			return false;
	why = SSL_get_error(conn->ssl, 0);
	if (why == SSL_ERROR_WANT_READ && !conn->is_overfull)
		return true;
	if (why == SSL_ERROR_ZERO_RETURN) {
		tcp_conn_lost(conn);
		return false;
	}
	engine->stats.malformed_cnt++;
	tcp_conn_shut(conn, &bad, false);
	return false;
}

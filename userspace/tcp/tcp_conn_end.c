/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection's end: what it means to the speaker and the peer, and the last events. A CLOSE that
 * went out is followed by the end of TLS and of the link. Then the connection lingers until its
 * peer ends its side, so that TCP loses nothing of what was said last.
 */
#include "tcp/tcp_state.h"

#include <string.h>

#include "base/monotonic.h"

#define LINGER_NS (2 * NS_PER_S)
/*
 * On a line, since it took bytes the last time: its window is 1.6 kB, which are 53 s at 300 baud. The
 * line ends a connection of which nothing is acknowledged for as long.
 */
#define NARROW_LINGER_NS (60 * NS_PER_S)

static void conn_strip(struct tcp_conn *conn)
{
	/* TLS saw an end: without one, OpenSSL would spoil the ticket. */
	if (conn->ssl)
		SSL_set_shutdown(conn->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(conn->ssl);
	conn->ssl = NULL;
	conn->in_len = 0;
}

/* From here on the connection is out of every count. */
static void conn_retire(struct tcp_conn *conn)
{
	tcp_share_release(conn);
	conn->is_shaking = false;
	tcp_handshake_leave(conn);
	tcp_dgram_leave(conn);
	conn->state = TCP_CONN_LINGER;
}

void tcp_conn_release(struct tcp_conn *conn)
{
	struct tcp_engine *engine = conn->engine;

	if (conn->link)
		conn->links->ops->close(conn->link, !conn->is_shut);
	timer_cancel(&engine->wheel, &conn->timer);
	if (conn->is_ready)
		list_unlink(&conn->ready_link);
	engine->lingering_cnt -= !list_is_empty(&conn->linger_link);
	list_unlink(&conn->linger_link);
	tcp_output_drop(conn);
	pool_release(&engine->conns, conn);
}

/* The speaker may call ops from these events; they find a lingering connection. */
static void conn_tell(struct tcp_conn *conn, const struct transport_close *close)
{
	struct tcp_engine *engine = conn->engine;
	struct tcp_stream *stream;

	conn->end = close;
	while ((stream = list_first(&conn->streams, struct tcp_stream, all_link)))
		tcp_stream_close(stream, close->code);
	if (conn->is_dialler || conn->is_announced)
		engine->events->conn_closed(engine->ctx, &conn->transport, close, engine->now_ns);
	conn->end = NULL;
}

void tcp_conn_linger(struct tcp_conn *conn)
{
	conn->linger_ns = conn->engine->now_ns + (conn->is_narrow ? NARROW_LINGER_NS : LINGER_NS);
}

void tcp_conn_shut(struct tcp_conn *conn, const struct transport_close *close, bool is_told)
{
	struct tcp_engine *engine = conn->engine;
	struct transport_close end = *close;

	end.has_key = conn->has_actual_key;
	memcpy(end.actual_key, conn->actual_key, TRANSPORT_KEY_LEN);
	conn_retire(conn);
	conn_tell(conn, &end);
	conn_strip(conn);
	if (!is_told) {
		tcp_conn_release(conn);
		return;
	}
	/* Those that linger have records, so the oldest makes room. */
	if (engine->lingering_cnt == tcp_config_linger_cap(&engine->config))
		tcp_conn_release(list_first(&engine->lingering, struct tcp_conn, linger_link));
	tcp_conn_linger(conn);
	list_push_back(&engine->lingering, &conn->linger_link);
	engine->lingering_cnt++;
	tcp_conn_rearm(conn);
	tcp_conn_want_write(conn);
}

void tcp_conn_abandon(struct tcp_conn *conn)
{
	struct tcp_stream *stream;

	if (conn->state != TCP_CONN_LINGER) {
		conn_retire(conn);
		while ((stream = list_first(&conn->streams, struct tcp_stream, all_link)))
			tcp_stream_release(stream);
		conn_strip(conn);
	}
	tcp_conn_release(conn);
}

/* False: TLS cannot carry it. */
static bool conn_say_close(struct tcp_conn *conn)
{
	uint8_t bytes[TCP_FRAME_HEAD_LEN + TCP_FRAME_BODY_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct tcp_frame frame = {
		.kind = TCP_FRAME_CLOSE,
		.code = conn->close_code,
		.not_before_ms = conn->close_not_before_ms,
		.data = (const uint8_t *)conn->close_reason,
		.len = strlen(conn->close_reason),
	};
	size_t written_len;

	tcp_frame_write(&w, &frame);
	if (SSL_write_ex(conn->ssl, bytes, writer_len(&w), &written_len) != 1)
		return false;
	(void)SSL_shutdown(conn->ssl);
	return !conn->is_overfull;
}

void tcp_conn_finish(struct tcp_conn *conn)
{
	const struct transport_close close = {.err = conn->close_err, .code = conn->close_code};
	bool is_told = conn->state == TCP_CONN_OPEN && conn_say_close(conn);

	tcp_conn_shut(conn, &close, is_told);
}

void tcp_conn_peer_closed(struct tcp_conn *conn, const struct tcp_frame *frame)
{
	struct transport_close close = {
		.err = WEFT_ECLOSED,
		.code = frame->code,
		.by_peer = true,
		.not_before_ms = frame->not_before_ms,
	};

	if (frame->code == TCP_CODE_REFUSED || frame->code == TCP_CODE_NO_KEY)
		close.err = WEFT_EREFUSED;
	if (close.not_before_ms > TCP_NOT_BEFORE_MS_MAX)
		close.not_before_ms = TCP_NOT_BEFORE_MS_MAX;
	conn->is_shut = true; /* an ordinary end of the link, no reset */
	tcp_conn_shut(conn, &close, false);
}

void tcp_conn_lost(struct tcp_conn *conn)
{
	struct transport_close lost = {.err = WEFT_ECLOSED, .by_peer = true};

	if (conn->state == TCP_CONN_LINGER) {
		tcp_conn_release(conn);
		return;
	}
	/* A peer that ended its process has forgotten the connection. */
	lost.is_reset = conn->state == TCP_CONN_OPEN;
	conn->engine->stats.reset_cnt += lost.is_reset;
	if (conn->is_close_wanted)
		lost = (struct transport_close){.err = conn->close_err, .code = conn->close_code};
	tcp_conn_shut(conn, &lost, false);
}

void tcp_conn_break(struct tcp_conn *conn, const char *reason)
{
	if (!conn->is_close_wanted)
		conn->engine->stats.malformed_cnt++;
	tcp_conn_refuse(conn, TCP_CODE_MALFORMED, reason);
	conn->close_err = WEFT_EMALFORMED;
	tcp_conn_finish(conn);
}

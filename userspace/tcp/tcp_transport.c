/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam's operations (base/transport.h). None raises an event: they change state, put the
 * connection on the ready list, and the next flush does the rest.
 */
#include "tcp/tcp_state.h"

#include <string.h>

/* The bytes that IP and TCP add to a segment, about: a header of each with time stamps. */
#define SEGMENT_HEAD_LEN 52

static struct tcp_stream *stream_of(const struct transport_stream *transport)
{
	return (struct tcp_stream *)(uintptr_t)transport;
}

static int op_dial(struct transport *transport, const struct transport_dial *dial, uint64_t now_ns,
		   struct transport_conn **out_conn)
{
	struct tcp_engine *engine = (struct tcp_engine *)transport;
	struct tcp_conn *conn;
	int err;

	if (now_ns > engine->now_ns)
		engine->now_ns = now_ns;
	if (engine->is_draining)
		return WEFT_EREFUSED;
	err = tcp_conn_dial(engine, dial, &conn);
	if (err < 0)
		return err;
	*out_conn = &conn->transport;
	return 0;
}

static void op_close(struct transport_conn *transport, uint64_t code, const char *reason)
{
	struct tcp_conn *conn = tcp_conn_of(transport);

	if (conn->state == TCP_CONN_LINGER || conn->is_close_wanted)
		return;
	tcp_conn_refuse(conn, code, reason ? reason : "");
	conn->close_err = WEFT_ECLOSED;
	tcp_share_release(conn);
}

static int op_open(struct transport_conn *transport, void *user,
		   struct transport_stream **out_stream)
{
	struct tcp_conn *conn = tcp_conn_of(transport);
	struct tcp_stream *stream;

	if (!tcp_conn_is_usable(conn))
		return WEFT_ECLOSED;
	if (conn->own_cnt >= TCP_STREAMS_MAX) {
		conn->is_open_refused = true;
		return WEFT_EBUSY;
	}
	/* Numbers are used once, and at 10,000 streams a second last for two days. */
	if (conn->next_id > UINT32_MAX - 2 * TCP_STREAMS_MAX) {
		tcp_conn_refuse(conn, 0, "stream numbers are used up");
		conn->close_err = WEFT_ECLOSED;
		return WEFT_ECLOSED;
	}
	stream = tcp_stream_new(conn, true);
	if (!stream)
		return WEFT_EFULL;
	stream->transport.user = user;
	*out_stream = &stream->transport;
	return 0;
}

static int op_send(struct transport_stream *transport, const struct transport_span *span)
{
	return tcp_stream_send(stream_of(transport), span);
}

static int op_send_copy(struct transport_stream *transport, const void *data, size_t len)
{
	return tcp_stream_send_copy(stream_of(transport), data, len);
}

static void op_finish(struct transport_stream *transport)
{
	struct tcp_stream *stream = stream_of(transport);

	stream->is_fin_wanted = true;
	if (!stream->is_gone && tcp_conn_is_usable(stream->conn))
		tcp_stream_want_write(stream);
}

static void op_reset(struct transport_stream *transport, uint64_t code)
{
	struct tcp_stream *stream = stream_of(transport);

	if (stream->is_gone || stream->is_shut || !tcp_conn_is_usable(stream->conn)) {
		stream->is_shut = true;
		return;
	}
	stream->is_shut = stream->is_reset_due = true;
	stream->reset_code = code;
	tcp_stream_stop_write(stream);
	tcp_stream_due(stream);
}

static void op_consume(struct transport_stream *transport, size_t len)
{
	struct tcp_stream *stream = stream_of(transport);

	if (!stream->is_gone && tcp_conn_is_usable(stream->conn))
		tcp_stream_consume(stream, len);
}

static uint64_t op_acked(const struct transport_stream *transport)
{
	return tcp_stream_acked(stream_of(transport));
}

static void op_info(const struct transport_conn *transport, struct transport_conn_info *out_info)
{
	struct tcp_conn *conn = tcp_conn_of(transport);
	struct transport_conn_info info = {0};
	struct tcp_figures figures = {0};

	memcpy(info.peer_key, conn->peer_key, TRANSPORT_KEY_LEN);
	info.local = conn->local;
	info.remote = conn->remote;
	info.is_dialler = conn->is_dialler;
	info.is_resumed = conn->is_resumed;
	if (conn->link)
		conn->links->ops->figures(conn->link, &figures);
	info.rtt_ns = figures.rtt_ns;
	info.sent_len = conn->sent_len;
	info.received_len = conn->received_len + figures.heard_cnt * SEGMENT_HEAD_LEN;
	info.heard_ns = conn->heard_ns;
	info.lost_cnt = figures.lost_cnt;
	info.cwnd_len = figures.cwnd_len;
	info.pmtu_len = figures.mss_len;
	if (conn->end) {
		info.has_ended = true;
		info.end = *conn->end;
	}
	*out_info = info;
}

static int op_exporter(struct transport_conn *transport, const char *label, uint8_t *out,
		       size_t len)
{
	struct tcp_conn *conn = tcp_conn_of(transport);

	if (conn->state != TCP_CONN_OPEN ||
	    SSL_export_keying_material(conn->ssl, out, len, label, strlen(label), NULL, 0, 0) != 1)
		return WEFT_ECLOSED;
	return 0;
}

static void op_probe(struct transport_conn *transport)
{
	struct tcp_conn *conn = tcp_conn_of(transport);

	if (!tcp_conn_is_usable(conn))
		return;
	conn->pinged_ns = conn->engine->now_ns;
	conn->is_ping_due = true;
	tcp_conn_want_write(conn);
}

const struct transport_ops tcp_transport_ops = {
	.dial = op_dial,
	.close = op_close,
	.open = op_open,
	.send = op_send,
	.send_copy = op_send_copy,
	.finish = op_finish,
	.reset = op_reset,
	.consume = op_consume,
	.acked = op_acked,
	.info = op_info,
	.exporter = op_exporter,
	.probe = op_probe,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam's operations (base/transport.h). None raises an event: they
 * change state, put the connection on the ready list, and the next flush
 * does the rest.
 */
#include "quic/engine.h"

#include <string.h>

static struct quic_conn *conn_of(const struct transport_conn *transport)
{
	return (struct quic_conn *)(uintptr_t)transport;
}

static struct quic_stream *stream_of(struct transport_stream *transport)
{
	return (struct quic_stream *)transport;
}

static bool conn_is_usable(const struct quic_conn *conn)
{
	return conn->state == QUIC_CONN_OPEN && !conn->is_close_wanted;
}

static int op_dial(struct transport *transport, const struct transport_dial *dial, uint64_t now_ns,
		   struct transport_conn **out_conn)
{
	struct quic_engine *engine = (struct quic_engine *)transport;
	struct quic_conn *conn;
	int err;

	if (now_ns > engine->now_ns)
		engine->now_ns = now_ns;
	if (engine->is_draining)
		return WEFT_EREFUSED;
	err = quic_conn_dial(engine, dial, &conn);
	if (err < 0)
		return err;
	*out_conn = &conn->transport;
	return 0;
}

static void op_close(struct transport_conn *transport, uint64_t code, const char *reason)
{
	struct quic_conn *conn = conn_of(transport);

	if (conn->state == QUIC_CONN_LINGER || conn->is_close_wanted)
		return;
	conn->is_close_wanted = true;
	conn->close_err = WEFT_ECLOSED;
	conn->close_code = code;
	if (reason)
		strncpy(conn->close_reason, reason, QUIC_REASON_LEN_MAX);
	quic_share_release(conn);
	quic_conn_want_write(conn);
}

static int op_open(struct transport_conn *transport, void *user,
		   struct transport_stream **out_stream)
{
	struct quic_conn *conn = conn_of(transport);
	struct quic_stream *stream;
	int64_t id;
	int rv;

	if (!conn_is_usable(conn))
		return WEFT_ECLOSED;
	stream = quic_stream_new(conn, -1);
	if (!stream)
		return WEFT_EFULL;
	rv = ngtcp2_conn_open_bidi_stream(conn->ngtcp2, &id, stream);
	if (rv != 0) {
		quic_stream_release(stream);
		if (rv != NGTCP2_ERR_STREAM_ID_BLOCKED)
			return WEFT_EFULL;
		conn->is_open_refused = true;
		return WEFT_EBUSY;
	}
	stream->id = id;
	stream->transport.user = user;
	*out_stream = &stream->transport;
	return 0;
}

static int op_send(struct transport_stream *transport, const struct transport_span *span)
{
	return quic_stream_send(stream_of(transport), span);
}

static int op_send_copy(struct transport_stream *transport, const void *data, size_t len)
{
	return quic_stream_send_copy(stream_of(transport), data, len);
}

static void op_finish(struct transport_stream *transport)
{
	struct quic_stream *stream = stream_of(transport);

	stream->is_fin_wanted = true;
	if (!stream->is_gone && conn_is_usable(stream->conn))
		quic_stream_want_write(stream);
}

static void op_reset(struct transport_stream *transport, uint64_t code)
{
	struct quic_stream *stream = stream_of(transport);
	struct quic_conn *conn = stream->conn;

	stream->is_shut = true;
	if (stream->is_gone || !conn_is_usable(conn))
		return;
	quic_stream_stop_write(stream);
	/* Fails only without memory; then the stream ends with the connection. */
	(void)ngtcp2_conn_shutdown_stream(conn->ngtcp2, 0, stream->id, code);
	quic_conn_want_write(conn);
}

static uint64_t op_acked(const struct transport_stream *stream)
{
	return ((const struct quic_stream *)(const void *)stream)->acked_len;
}

static void op_consume(struct transport_stream *transport, size_t len)
{
	struct quic_stream *stream = stream_of(transport);
	struct quic_conn *conn = stream->conn;

	if (stream->is_gone || !conn_is_usable(conn))
		return;
	if (len > stream->unread_len)
		len = (size_t)stream->unread_len;
	(void)ngtcp2_conn_extend_max_stream_offset(conn->ngtcp2, stream->id, len);
	quic_stream_credit(stream, len);
	quic_conn_want_write(conn);
}

static void op_info(const struct transport_conn *transport, struct transport_conn_info *out_info)
{
	struct quic_conn *conn = conn_of(transport);
	struct transport_conn_info info = {0};
	const ngtcp2_path *path;
	ngtcp2_conn_info stats;

	memcpy(info.peer_key, conn->peer_key, TRANSPORT_KEY_LEN);
	info.local = conn->local;
	info.remote = conn->remote;
	info.is_dialler = conn->is_dialler;
	info.is_resumed = conn->is_resumed;
	if (conn->ngtcp2) {
		ngtcp2_conn_get_conn_info(conn->ngtcp2, &stats);
		path = ngtcp2_conn_get_path(conn->ngtcp2);
		if (conn->is_local_known) {
			quic_path_addr(&path->local, &info.local);
			quic_alias_out(conn, &info.local);
		}
		info.rtt_ns = stats.smoothed_rtt;
		info.sent_len = stats.bytes_sent;
		info.received_len = stats.bytes_recv;
		info.heard_ns = conn->heard_ns;
		info.lost_cnt = stats.pkt_lost;
		info.cwnd_len = stats.cwnd;
		info.pmtu_len = quic_black_hole_path_len(conn);
		info.has_black_hole = conn->black_hole.is_sure;
	}
	if (conn->end) {
		info.has_ended = true;
		info.end = *conn->end;
	}
	*out_info = info;
}

static int op_exporter(struct transport_conn *transport, const char *label, uint8_t *out,
		       size_t len)
{
	struct quic_conn *conn = conn_of(transport);

	if (conn->state != QUIC_CONN_OPEN ||
	    SSL_export_keying_material(conn->ssl, out, len, label, strlen(label), NULL, 0, 0) != 1)
		return WEFT_ECLOSED;
	return 0;
}

static void op_probe(struct transport_conn *transport)
{
	struct quic_conn *conn = conn_of(transport);

	if (conn_is_usable(conn))
		quic_probe_ping(conn);
}

const struct transport_ops quic_transport_ops = {
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

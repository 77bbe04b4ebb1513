/* SPDX-License-Identifier: Apache-2.0 */
#include "support/pair_raw.h"

#include <string.h>

#include "base/assert.h"
#include "support/pair_wire.h"

static int raw_conn_ready(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	struct pair_raw *raw = ctx;

	(void)now_ns;
	raw->conn = conn;
	raw->is_closed = false;
	raw->ready_cnt++;
	return 0;
}

static void raw_conn_closed(void *ctx, struct transport_conn *conn,
			    const struct transport_close *close, uint64_t now_ns)
{
	struct pair_raw *raw = ctx;

	(void)now_ns;
	if (raw->conn && raw->conn != conn)
		return;
	raw->is_closed = true;
	raw->close = *close;
	raw->conn = NULL;
}

static void raw_streams_available(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	(void)ctx;
	(void)conn;
	(void)now_ns;
}

static struct pair_raw_stream *raw_stream_add(struct pair_raw *raw, struct transport_stream *stream,
					      bool is_ours)
{
	struct pair_raw_stream *added = &raw->streams[raw->stream_cnt++];

	weft_assert(raw->stream_cnt <= PAIR_STREAMS);
	added->stream = stream;
	added->is_ours = is_ours;
	stream->user = added;
	return added;
}

static int raw_stream_opened(void *ctx, struct transport_conn *conn,
			     struct transport_stream *stream, uint64_t now_ns)
{
	(void)conn;
	(void)now_ns;
	raw_stream_add(ctx, stream, false);
	return 0;
}

static void raw_stream_data(void *ctx, struct transport_stream *stream,
			    const struct transport_piece *piece, uint64_t now_ns)
{
	struct pair_raw_stream *at = stream->user;
	const struct pair_raw *raw = ctx;
	size_t len = piece->len;

	(void)now_ns;
	raw->end->transport.ops->consume(stream, len);
	if (len > sizeof(at->bytes) - at->len)
		len = sizeof(at->bytes) - at->len;
	memcpy(at->bytes + at->len, piece->data, len);
	at->len += len;
	at->has_fin = piece->fin;
}

static void raw_stream_reset(void *ctx, struct transport_stream *stream, uint64_t code,
			     uint64_t now_ns)
{
	struct pair_raw_stream *at = stream->user;

	(void)ctx;
	(void)code;
	(void)now_ns;
	at->is_reset = true;
}

static void raw_stream_writable(void *ctx, struct transport_stream *stream, uint64_t now_ns)
{
	(void)ctx;
	(void)stream;
	(void)now_ns;
}

static void raw_stream_closed(void *ctx, struct transport_stream *stream, uint64_t code,
			      uint64_t now_ns)
{
	struct pair_raw_stream *at = stream->user;

	(void)ctx;
	(void)code;
	(void)now_ns;
	at->is_closed = true;
	at->stream = NULL;
}

const struct transport_events pair_raw_events = {
	.conn_ready = raw_conn_ready,
	.conn_closed = raw_conn_closed,
	.conn_streams_available = raw_streams_available,
	.stream_opened = raw_stream_opened,
	.stream_data = raw_stream_data,
	.stream_reset = raw_stream_reset,
	.stream_writable = raw_stream_writable,
	.stream_closed = raw_stream_closed,
};

bool pair_raw_dial(struct pair_raw *raw, struct addr addr, uint8_t key_byte)
{
	struct pair_net *net = raw->end->net;
	struct transport_dial dial = {.remote = addr};
	struct transport_conn *conn;
	unsigned ready_cnt = raw->ready_cnt;

	memset(dial.peer_key, key_byte, sizeof(dial.peer_key));
	if (raw->end->transport.ops->dial(&raw->end->transport, &dial, net->now_ns, &conn) < 0)
		return false;
	pair_net_run(net, 10 * net->delay_ns);
	return raw->ready_cnt > ready_cnt;
}

unsigned pair_raw_open(struct pair_raw *raw)
{
	struct transport_stream *stream;

	weft_assert(raw->end->transport.ops->open(raw->conn, NULL, &stream) == 0);
	raw_stream_add(raw, stream, true);
	return raw->stream_cnt - 1;
}

void pair_raw_send(struct pair_raw *raw, unsigned stream, const void *data, size_t len, bool fin)
{
	struct pair_raw_stream *at = &raw->streams[stream];

	/* More than one send_copy takes: a raw speaker may say a lot. */
	pair_stream_carry(pair_stream_of(at->stream), data, len, false);
	if (fin)
		raw->end->transport.ops->finish(at->stream);
}

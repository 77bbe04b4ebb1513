/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tcp_speaker.h"

#include <string.h>

#include "base/assert.h"
#include "base/monotonic.h"

#define SPAN_LEN 65536

static uint8_t pattern[TCP_NET_PATTERN + SPAN_LEN];

static uint8_t pattern_byte(uint64_t off)
{
	return pattern[off % TCP_NET_PATTERN];
}

void tcp_speaker_init(void)
{
	for (size_t i = 0; i < TCP_NET_PATTERN; i++)
		pattern[i] = (uint8_t)(i * 131 >> 3 ^ i);
	memcpy(pattern + TCP_NET_PATTERN, pattern, SPAN_LEN);
}

struct tcp_test_conn *tcp_speaker_conn(struct tcp_node *node, struct transport_conn *conn)
{
	struct tcp_test_conn *record = &node->conns[node->conn_cnt++ % TCP_NET_CONNS];

	memset(record, 0, sizeof(*record));
	record->node = node;
	record->conn = conn;
	return record;
}

static int on_ready(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	struct tcp_node *node = ctx;
	struct tcp_test_conn *record = conn->user ? conn->user : tcp_speaker_conn(node, conn);

	(void)now_ns;
	conn->user = record;
	record->conn = conn;
	record->is_ready = true;
	node->transport->ops->info(conn, &record->info);
	node->open_cnt++;
	return node->ready_answer;
}

static void on_closed(void *ctx, struct transport_conn *conn, const struct transport_close *close,
		      uint64_t now_ns)
{
	struct tcp_node *node = ctx;
	struct tcp_test_conn *record = conn->user;

	(void)now_ns;
	weft_assert(!record->is_closed);
	record->is_closed = true;
	record->close = *close;
	record->conn = NULL;
	node->open_cnt -= record->is_ready;
}

static void on_streams_available(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	(void)ctx, (void)now_ns;
	((struct tcp_test_conn *)conn->user)->streams_available_cnt++;
}

static void span_done(void *arg)
{
	((struct tcp_test_stream *)arg)->spans_out--;
}

static void stream_fill(struct tcp_test_stream *record)
{
	const struct transport_ops *ops = record->conn->node->transport->ops;

	while (record->queued_len < record->to_send_len) {
		uint64_t left = record->to_send_len - record->queued_len;
		struct transport_span span = {&pattern[record->queued_len % TCP_NET_PATTERN],
					      left < SPAN_LEN ? (size_t)left : SPAN_LEN, span_done,
					      record};

		record->spans_out++;
		if (ops->send(record->stream, &span) < 0) {
			record->spans_out--;
			return;
		}
		record->queued_len += span.len;
	}
	ops->finish(record->stream);
}

static void stream_answer(struct tcp_test_stream *record)
{
	struct tcp_node *node = record->conn->node;
	const struct transport_ops *ops = node->transport->ops;
	uint8_t reply[8];

	for (unsigned i = 0; i < 8; i++)
		reply[i] = (uint8_t)(record->received_len >> (8 * i));
	if (ops->send_copy(record->stream, reply, sizeof(reply)) < 0)
		return;
	record->to_send_len = node->more_len;
	stream_fill(record);
}

static struct tcp_test_stream *stream_record(struct tcp_test_conn *conn)
{
	struct tcp_node *node = conn->node;
	struct tcp_test_stream *record = &node->streams[node->stream_cnt++ % TCP_NET_STREAMS];

	memset(record, 0, sizeof(*record));
	record->conn = conn;
	return record;
}

static int on_opened(void *ctx, struct transport_conn *conn, struct transport_stream *stream,
		     uint64_t now_ns)
{
	struct tcp_node *node = ctx;
	struct tcp_test_stream *record;

	(void)now_ns;
	if (node->opened_answer < 0)
		return node->opened_answer;
	record = stream_record(conn->user);
	record->stream = stream;
	stream->user = record;
	return 0;
}

static void on_data(void *ctx, struct transport_stream *stream, const struct transport_piece *piece,
		    uint64_t now_ns)
{
	const uint8_t *data = piece->data;
	const size_t len = piece->len;
	struct tcp_node *node = ctx;
	struct tcp_test_stream *record = stream->user;

	(void)now_ns;
	weft_assert(!record->has_fin && !record->is_closed);
	for (size_t i = 0; i < len; i++) {
		if (record->is_ours && record->reply_len < 8)
			record->reply |= (uint64_t)data[i] << (8 * record->reply_len++);
		else
			record->is_damaged |= data[i] != pattern_byte(record->received_len + i -
								      (record->is_ours ? 8 : 0));
	}
	record->received_len += len;
	if (node->is_consuming)
		node->transport->ops->consume(stream, len);
	else
		record->unconsumed_len += len;
	if (!piece->fin)
		return;
	record->has_fin = true;
	if (!record->is_ours)
		stream_answer(record);
}

static void on_reset(void *ctx, struct transport_stream *stream, uint64_t code, uint64_t now_ns)
{
	struct tcp_test_stream *record = stream->user;

	(void)ctx, (void)now_ns;
	record->is_reset = true;
	record->reset_code = code;
}

static void on_writable(void *ctx, struct transport_stream *stream, uint64_t now_ns)
{
	struct tcp_test_stream *record = stream->user;

	(void)ctx, (void)now_ns;
	record->writable_cnt++;
	if (record->queued_len < record->to_send_len)
		stream_fill(record);
}

static void on_stream_closed(void *ctx, struct transport_stream *stream, uint64_t code,
			     uint64_t now_ns)
{
	struct tcp_test_stream *record = stream->user;

	(void)ctx, (void)now_ns;
	weft_assert(!record->is_closed);
	record->is_closed = true;
	record->close_code = code;
	record->stream = NULL;
}

const struct transport_events tcp_speaker = {
	.conn_ready = on_ready,
	.conn_closed = on_closed,
	.conn_streams_available = on_streams_available,
	.stream_opened = on_opened,
	.stream_data = on_data,
	.stream_reset = on_reset,
	.stream_writable = on_writable,
	.stream_closed = on_stream_closed,
};

struct tcp_test_stream *tcp_net_open(struct tcp_test_conn *conn, uint64_t len)
{
	struct tcp_test_stream *record = stream_record(conn);

	record->is_ours = true;
	record->to_send_len = len;
	if (conn->node->transport->ops->open(conn->conn, record, &record->stream) < 0) {
		conn->node->stream_cnt--;
		return NULL;
	}
	stream_fill(record);
	return record;
}

static bool is_stream_closed(void *arg)
{
	return ((struct tcp_test_stream *)arg)->is_closed;
}

bool tcp_net_transfer(struct tcp_test_conn *conn, uint64_t len, uint64_t for_ns)
{
	struct tcp_test_stream *record = tcp_net_open(conn, len);

	return record && tcp_net_run(conn->node->net, for_ns, is_stream_closed, record) &&
	       record->has_fin && !record->is_damaged && record->reply_len == 8 &&
	       record->reply == len;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "support/pair_wire.h"

#include <stdlib.h>

#include "base/assert.h"

#define PACKET_LEN 40 /* of one with an acknowledgement alone */

struct pair_event *pair_event_add(struct pair_net *net, uint64_t at_ns, enum event_kind kind,
				  struct pair_conn *conn, struct pair_stream *stream)
{
	struct pair_event *event = calloc(1, sizeof(*event));
	struct pair_event **at = &net->queue;

	event->at_ns = at_ns;
	event->seq = net->seq++;
	event->kind = kind;
	event->conn = conn;
	event->stream = stream;
	while (*at && (*at)->at_ns <= at_ns)
		at = &(*at)->next;
	event->next = *at;
	*at = event;
	return event;
}

void pair_conn_close(struct pair_conn *conn, uint64_t code, int err)
{
	struct pair_net *net = conn->end->net;
	struct pair_event *event;

	if (conn->is_closing)
		return;
	conn->is_closing = true;
	event = pair_event_add(net, net->now_ns, EVENT_CONN_CLOSED, conn, NULL);
	event->close = (struct transport_close){.err = err, .code = code};
	if (conn->peer && !conn->end->is_dead) {
		event = pair_event_add(net, net->now_ns + net->delay_ns, EVENT_CONN_CLOSED,
				       conn->peer, NULL);
		event->close = (struct transport_close){
			.err = WEFT_ECLOSED, .code = code, .by_peer = true};
	}
}

void pair_stream_check(struct pair_stream *stream)
{
	struct pair_net *net = stream->conn->end->net;

	if (stream->is_closing || !stream->has_sent_fin || !stream->has_got_fin)
		return;
	stream->is_closing = true;
	pair_event_add(net, net->now_ns + 2 * net->delay_ns, EVENT_STREAM_CLOSED, stream->conn,
		       stream);
}

static void span_done(struct pair_net *net, struct pair_span *span)
{
	if (span->is_done)
		return;
	span->is_done = true;
	net->span_out_cnt--;
	if (span->span.done)
		span->span.done(span->span.arg);
}

static void stream_end(struct pair_stream *stream, uint64_t code)
{
	struct pair_end *end = stream->conn->end;

	if (stream->is_closed)
		return;
	for (struct pair_span *span = stream->spans; span; span = span->next)
		span_done(end->net, span);
	if ((stream->is_ours || stream->is_announced) && !end->is_dead) {
		end->events->stream_closed(end->ctx, &stream->stream, code, end->net->now_ns);
		weft_assert(stream->consumed_len == stream->received_len);
	}
	stream->is_closed = true;
	if (stream->conn->wants_credit && stream->is_ours && !stream->conn->is_closing) {
		stream->conn->wants_credit = false;
		pair_event_add(end->net, end->net->now_ns, EVENT_CREDIT, stream->conn, NULL);
	}
}

static void conn_end(struct pair_conn *conn, const struct transport_close *close)
{
	struct pair_end *end = conn->end;

	if (conn->is_closed)
		return;
	conn->is_closing = true;
	conn->close = close;
	for (struct pair_stream *stream = conn->streams; stream; stream = stream->next)
		stream_end(stream, close->code);
	if ((conn->is_ready || conn->is_dialler) && !end->is_dead)
		end->events->conn_closed(end->ctx, &conn->conn, close, end->net->now_ns);
	conn->close = NULL;
	conn->is_closed = true;
	end->net->conn_open_cnt--;
}

static void conn_announce(struct pair_conn *conn)
{
	struct pair_end *end = conn->end;

	if (conn->is_closing || conn->is_closed)
		return;
	conn->is_ready = true;
	if (end->events->conn_ready(end->ctx, &conn->conn, end->net->now_ns) < 0)
		pair_conn_close(conn, 1, WEFT_EREFUSED);
}

static void stream_deliver(struct pair_event *event)
{
	struct pair_stream *stream = event->stream;
	struct pair_conn *conn = event->conn;
	struct pair_end *end = conn->end;

	if (stream->is_reset || stream->is_closed || conn->is_closing)
		return;
	weft_assert(conn->is_ready);
	if (!stream->is_ours && !stream->is_announced) {
		stream->is_announced = true;
		if (end->events->stream_opened(end->ctx, &conn->conn, &stream->stream,
					       end->net->now_ns) < 0) {
			stream->conn->end->transport.ops->reset(&stream->stream, 1);
			return;
		}
	}
	stream->received_len += event->len;
	if (event->fin)
		stream->has_got_fin = true;
	end->events->stream_data(end->ctx, &stream->stream,
				 &(struct transport_piece){event->data, event->len, event->fin},
				 end->net->now_ns);
	pair_stream_check(stream);
}

static void stream_deliver_reset(struct pair_event *event)
{
	struct pair_stream *stream = event->stream;
	struct pair_end *end = event->conn->end;

	if (stream->is_reset || stream->is_closed || event->conn->is_closing)
		return;
	if (stream->is_ours || stream->is_announced)
		end->events->stream_reset(end->ctx, &stream->stream, event->code, end->net->now_ns);
	stream->conn->end->transport.ops->reset(&stream->stream, event->code);
}

/* A datagram came; its acknowledgement goes back. */
static void conn_receive(struct pair_conn *conn, size_t len)
{
	struct pair_net *net = conn->end->net;

	conn->received_len += PACKET_LEN + len;
	if (conn->peer)
		pair_event_add(net, net->now_ns + net->delay_ns, EVENT_ACK, conn->peer, NULL);
}

static void event_run(struct pair_event *event)
{
	struct pair_conn *conn = event->conn;
	struct pair_end *end = conn->end;
	uint64_t now_ns = end->net->now_ns;

	if (event->kind == EVENT_SPAN_DONE) {
		span_done(end->net, event->span);
		return;
	}
	if (end->is_dead && event->kind != EVENT_CONN_CLOSED)
		return;
	switch (event->kind) {
	case EVENT_READY:
		conn_announce(conn);
		break;
	case EVENT_CONN_CLOSED:
		conn_end(conn, &event->close);
		break;
	case EVENT_CREDIT:
		if (!conn->is_closing)
			end->events->conn_streams_available(end->ctx, &conn->conn, now_ns);
		break;
	case EVENT_DATA:
		conn_receive(conn, event->len);
		stream_deliver(event);
		break;
	case EVENT_RESET:
		stream_deliver_reset(event);
		break;
	case EVENT_WRITABLE:
		if (!event->stream->is_closed && !event->stream->is_reset)
			end->events->stream_writable(end->ctx, &event->stream->stream, now_ns);
		break;
	case EVENT_STREAM_CLOSED:
		stream_end(event->stream, event->code);
		break;
	case EVENT_ACK:
		conn->received_len += PACKET_LEN;
		break;
	case EVENT_SPAN_DONE:
		break;
	}
}

static uint64_t net_next_ns(const struct pair_net *net)
{
	uint64_t next_ns = net->queue ? net->queue->at_ns : TIMER_NEVER;

	for (unsigned i = 0; i < net->end_cnt; i++) {
		uint64_t timer_ns = timer_wheel_next_ns(&net->ends[i].timers);

		if (!net->ends[i].is_dead && timer_ns < next_ns)
			next_ns = timer_ns;
	}
	return next_ns;
}

void pair_net_run(struct pair_net *net, uint64_t len_ns)
{
	uint64_t until_ns = net->now_ns + len_ns;

	while (net_next_ns(net) <= until_ns) {
		struct pair_event *event = net->queue;

		if (net_next_ns(net) > net->now_ns)
			net->now_ns = net_next_ns(net);
		if (event && event->at_ns <= net->now_ns) {
			net->queue = event->next;
			event_run(event);
			free(event->data);
			free(event);
		}
		for (unsigned i = 0; i < net->end_cnt; i++)
			if (!net->ends[i].is_dead)
				timer_wheel_expire(&net->ends[i].timers, net->now_ns);
	}
	net->now_ns = until_ns;
}

void pair_net_give_token(struct pair_net *net, unsigned idx, const void *data, size_t len)
{
	struct pair_end *end = &net->ends[idx];

	for (struct pair_conn *conn = net->conns; conn; conn = conn->next)
		if (conn->end == end && conn->is_dialler && conn->is_ready && !conn->is_closed)
			end->events->conn_token(end->ctx, &conn->conn, data, len, net->now_ns);
}

void pair_net_close_dialled(struct pair_net *net, unsigned idx)
{
	for (struct pair_conn *conn = net->conns; conn; conn = conn->next)
		if (conn->is_dialler && conn->is_ready && conn->end == &net->ends[idx])
			pair_conn_close(conn, 0, WEFT_ETIMEOUT);
}

void pair_net_close_busy(struct pair_net *net, unsigned idx, uint32_t not_before_ms)
{
	for (struct pair_conn *conn = net->conns; conn; conn = conn->next) {
		struct pair_event *event;

		if (!conn->is_dialler || !conn->is_ready || conn->is_closing ||
		    conn->end != &net->ends[idx])
			continue;
		pair_conn_close(conn->peer, 0, WEFT_EREFUSED);
		conn->is_closing = true;
		event = pair_event_add(net, net->now_ns, EVENT_CONN_CLOSED, conn, NULL);
		event->close = (struct transport_close){
			.err = WEFT_EREFUSED, .by_peer = true, .not_before_ms = not_before_ms};
	}
}

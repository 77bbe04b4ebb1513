/* SPDX-License-Identifier: Apache-2.0 */
#include "support/transport_pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define SILENT_NS  (5 * PAIR_S)
#define PACKET_LEN 40 /* of one with an acknowledgement alone */

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

static struct pair_event *event_add(struct pair_net *net, uint64_t at_ns, enum event_kind kind,
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

static struct pair_conn *conn_of(const struct transport_conn *conn)
{
	struct pair_conn *of = (struct pair_conn *)(uintptr_t)conn;

	weft_assert(!of->is_closed);
	return of;
}

static struct pair_stream *stream_of(struct transport_stream *stream)
{
	struct pair_stream *of = (struct pair_stream *)(void *)stream;

	weft_assert(!of->is_closed);
	return of;
}

static struct pair_conn *conn_new(struct pair_end *end, unsigned id, bool is_dialler)
{
	struct pair_conn *conn = calloc(1, sizeof(*conn));

	conn->end = end;
	conn->id = id;
	conn->is_dialler = is_dialler;
	conn->next = end->net->conns;
	end->net->conns = conn;
	end->net->conn_open_cnt++;
	return conn;
}

static struct pair_stream *stream_new(struct pair_conn *conn, bool is_ours)
{
	struct pair_stream *stream = calloc(1, sizeof(*stream));

	stream->conn = conn;
	stream->is_ours = is_ours;
	stream->next = conn->streams;
	conn->streams = stream;
	return stream;
}

static const struct pair_rule *rule_of(const struct pair_net *net, const struct addr *addr)
{
	for (unsigned i = 0; i < net->rule_cnt; i++)
		if (addr_equal(&net->rules[i].addr, addr))
			return &net->rules[i];
	return NULL;
}

static struct pair_end *end_at(struct pair_net *net, const struct addr *addr)
{
	for (unsigned i = 0; i < net->end_cnt; i++)
		if (!net->ends[i].is_dead &&
		    (addr_equal(&net->ends[i].addr, addr) || addr_equal(&net->ends[i].alias, addr)))
			return &net->ends[i];
	return NULL;
}

static void conn_fail(struct pair_conn *conn, uint64_t at_ns, int err, const uint8_t *actual_key)
{
	struct pair_event *event = event_add(conn->end->net, at_ns, EVENT_CONN_CLOSED, conn, NULL);

	event->close.err = err;
	if (actual_key) {
		event->close.has_key = true;
		memcpy(event->close.actual_key, actual_key, TRANSPORT_KEY_LEN);
	}
}

static int op_dial(struct transport *transport, const struct transport_dial *dial, uint64_t now_ns,
		   struct transport_conn **out_conn)
{
	struct pair_end *end = (struct pair_end *)(void *)transport;
	struct pair_net *net = end->net;
	const struct pair_rule *rule = rule_of(net, &dial->remote);
	struct pair_end *target = end_at(net, &dial->remote);
	uint64_t delay_ns = net->delay_ns + (rule ? rule->extra_delay_ns : 0);
	uint64_t ready_ns = now_ns + 2 * delay_ns;
	struct pair_conn *conn;

	weft_assert(now_ns == net->now_ns);
	if (end->dial_cnt < PAIR_DIALS)
		end->dialled[end->dial_cnt] = dial->remote;
	end->dial_cnt++;
	end->token_len = dial->token_len;
	end->unheard_max = dial->unheard_max;
	if (dial->token)
		memcpy(end->token, dial->token, dial->token_len);
	if (rule && rule->fate == PAIR_FULL)
		return WEFT_EFULL;
	conn = conn_new(end, (unsigned)net->seq, true);
	conn->conn.user = dial->user;
	*out_conn = &conn->conn;
	if (rule && rule->fate == PAIR_SILENT)
		conn_fail(conn, now_ns + SILENT_NS, WEFT_ETIMEOUT, NULL);
	else if (rule && rule->fate == PAIR_REFUSED)
		conn_fail(conn, ready_ns, WEFT_EREFUSED, NULL);
	else if (!target)
		conn_fail(conn, ready_ns, WEFT_EUNREACHABLE, NULL);
	else if (memcmp(target->key, dial->peer_key, TRANSPORT_KEY_LEN) != 0)
		conn_fail(conn, ready_ns, WEFT_EWRONGKEY, target->key);
	else {
		conn->peer = conn_new(target, conn->id, false);
		conn->peer->peer = conn;
		conn->transport = conn->peer->transport = dial->remote.transport;
		event_add(net, ready_ns, EVENT_READY, conn, NULL);
		event_add(net, ready_ns + net->delay_ns, EVENT_READY, conn->peer, NULL);
	}
	return 0;
}

static void conn_close(struct pair_conn *conn, uint64_t code, int err)
{
	struct pair_net *net = conn->end->net;
	struct pair_event *event;

	if (conn->is_closing)
		return;
	conn->is_closing = true;
	event = event_add(net, net->now_ns, EVENT_CONN_CLOSED, conn, NULL);
	event->close = (struct transport_close){.err = err, .code = code};
	if (conn->peer && !conn->end->is_dead) {
		event = event_add(net, net->now_ns + net->delay_ns, EVENT_CONN_CLOSED, conn->peer,
				  NULL);
		event->close = (struct transport_close){
			.err = WEFT_ECLOSED, .code = code, .by_peer = true};
	}
}

static void op_close(struct transport_conn *transport_conn, uint64_t code, const char *reason)
{
	struct pair_conn *conn = conn_of(transport_conn);

	if (conn->is_closing)
		return;
	conn->end->close_code = code;
	snprintf(conn->end->close_reason, sizeof(conn->end->close_reason), "%s",
		 reason ? reason : "");
	weft_assert(strlen(conn->end->close_reason) <= 64);
	conn_close(conn, code, WEFT_ECLOSED);
}

static int op_open(struct transport_conn *transport_conn, void *user,
		   struct transport_stream **out_stream)
{
	struct pair_conn *conn = conn_of(transport_conn);
	struct pair_stream *stream;
	unsigned open_cnt = 0;

	if (conn->is_closing)
		return WEFT_ECLOSED;
	for (stream = conn->streams; stream; stream = stream->next)
		open_cnt += stream->is_ours && !stream->is_closed;
	if (open_cnt >= conn->end->net->stream_credit) {
		conn->wants_credit = true;
		return WEFT_EBUSY;
	}
	stream = stream_new(conn, true);
	stream->is_first = !conn->had_stream;
	conn->had_stream = true;
	stream->stream.user = user;
	conn->end->open_cnt++;
	*out_stream = &stream->stream;
	return 0;
}

static void stream_check(struct pair_stream *stream)
{
	struct pair_net *net = stream->conn->end->net;

	if (stream->is_closing || !stream->has_sent_fin || !stream->has_got_fin)
		return;
	stream->is_closing = true;
	event_add(net, net->now_ns + 2 * net->delay_ns, EVENT_STREAM_CLOSED, stream->conn, stream);
}

static uint64_t stream_arrival_ns(const struct pair_stream *stream)
{
	const struct pair_net *net = stream->conn->end->net;

	return net->now_ns + net->delay_ns + (stream->is_first ? net->first_stream_delay_ns : 0);
}

/* Queues bytes for the peer's side, which is made at once but announced on arrival. */
static void stream_carry(struct pair_stream *stream, const uint8_t *data, size_t len, bool fin)
{
	struct pair_net *net = stream->conn->end->net;
	size_t off = 0;

	if (!stream->peer) {
		stream->peer = stream_new(stream->conn->peer, false);
		stream->peer->peer = stream;
	}
	do {
		size_t part = net->cut_len && len - off > net->cut_len ? net->cut_len : len - off;
		struct pair_event *event = event_add(net, stream_arrival_ns(stream), EVENT_DATA,
						     stream->conn->peer, stream->peer);

		event->data = malloc(part ? part : 1);
		if (part)
			memcpy(event->data, data + off, part);
		event->len = part;
		off += part;
		event->fin = fin && off == len;
	} while (off < len);
}

/* The bytes sent at this very moment carry the fin, as in QUIC. */
static bool stream_mark_fin(const struct pair_stream *stream)
{
	struct pair_event *last = NULL;

	for (struct pair_event *at = stream->conn->end->net->queue; at; at = at->next)
		if (at->kind == EVENT_DATA && at->stream == stream->peer)
			last = at;
	if (!last || last->at_ns != stream_arrival_ns(stream))
		return false;
	last->fin = true;
	return true;
}

static int stream_may_send(struct pair_stream *stream)
{
	struct pair_end *end = stream->conn->end;

	weft_assert(!stream->has_sent_fin);
	if (stream->is_reset || stream->conn->is_closing)
		return WEFT_ECLOSED;
	if (end->send_closed_cnt) {
		end->send_closed_cnt--;
		return WEFT_ECLOSED;
	}
	if (end->send_full_cnt) {
		end->send_full_cnt--;
		event_add(end->net, end->net->now_ns + end->net->delay_ns, EVENT_WRITABLE,
			  stream->conn, stream);
		return WEFT_EFULL;
	}
	return 0;
}

static int op_send(struct transport_stream *transport_stream, const struct transport_span *span)
{
	struct pair_stream *stream = stream_of(transport_stream);
	struct pair_net *net = stream->conn->end->net;
	int err = stream_may_send(stream);
	struct pair_span *kept;

	if (err < 0)
		return err;
	stream_carry(stream, span->data, span->len, false);
	kept = calloc(1, sizeof(*kept));
	kept->span = *span;
	kept->next = stream->spans;
	stream->spans = kept;
	net->span_out_cnt++;
	event_add(net, net->now_ns + 2 * net->delay_ns, EVENT_SPAN_DONE, stream->conn, stream)
		->span = kept;
	return 0;
}

static int op_send_copy(struct transport_stream *transport_stream, const void *data, size_t len)
{
	struct pair_stream *stream = stream_of(transport_stream);
	int err = stream_may_send(stream);

	weft_assert(len <= TRANSPORT_COPY_LEN_MAX);
	if (!err)
		stream_carry(stream, data, len, false);
	return err;
}

static void op_finish(struct transport_stream *transport_stream)
{
	struct pair_stream *stream = stream_of(transport_stream);

	if (stream->is_reset || stream->has_sent_fin)
		return;
	if (!stream_mark_fin(stream))
		stream_carry(stream, NULL, 0, true);
	stream->has_sent_fin = true;
	stream_check(stream);
}

static void op_reset(struct transport_stream *transport_stream, uint64_t code)
{
	struct pair_stream *stream = stream_of(transport_stream);
	struct pair_net *net = stream->conn->end->net;

	if (stream->is_reset)
		return;
	stream->is_reset = true;
	stream->conn->end->reset_cnt++;
	if (stream->peer)
		event_add(net, stream_arrival_ns(stream), EVENT_RESET, stream->conn->peer,
			  stream->peer)
			->code = code;
	if (stream->is_closing)
		return;
	stream->is_closing = true;
	event_add(net, net->now_ns + 2 * net->delay_ns, EVENT_STREAM_CLOSED, stream->conn, stream)
		->code = code;
}

static void op_consume(struct transport_stream *transport_stream, size_t len)
{
	struct pair_stream *stream = stream_of(transport_stream);

	stream->consumed_len += len;
	weft_assert(stream->consumed_len <= stream->received_len);
}

static uint64_t op_acked(const struct transport_stream *transport_stream)
{
	const struct pair_stream *stream = (const void *)transport_stream;

	return stream->peer ? stream->peer->received_len : 0;
}

static void op_info(const struct transport_conn *transport_conn,
		    struct transport_conn_info *out_info)
{
	struct pair_conn *conn = conn_of(transport_conn);

	*out_info = (struct transport_conn_info){.local = conn->end->addr,
						 .is_dialler = conn->is_dialler,
						 .received_len = conn->received_len};
	/* A live peer acknowledges at once. */
	if (conn->peer && !conn->peer->end->is_dead)
		out_info->heard_ns = conn->end->net->now_ns;
	if (conn->close) {
		out_info->has_ended = true;
		out_info->end = *conn->close;
	}
	if (!conn->peer)
		return;
	out_info->remote = conn->peer->end->addr;
	out_info->remote.transport = conn->transport;
	memcpy(out_info->peer_key, conn->peer->end->key, TRANSPORT_KEY_LEN);
}

static int op_exporter(struct transport_conn *transport_conn, const char *label, uint8_t *out,
		       size_t len)
{
	struct pair_conn *conn = conn_of(transport_conn);

	memset(out, (int)strlen(label), len);
	memcpy(out, &conn->id, sizeof(conn->id));
	return 0;
}

static const struct transport_ops pair_ops = {
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
};

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
		event_add(end->net, end->net->now_ns, EVENT_CREDIT, stream->conn, NULL);
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
		conn_close(conn, 1, WEFT_EREFUSED);
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
			op_reset(&stream->stream, 1);
			return;
		}
	}
	stream->received_len += event->len;
	if (event->fin)
		stream->has_got_fin = true;
	end->events->stream_data(end->ctx, &stream->stream,
				 &(struct transport_piece){event->data, event->len, event->fin},
				 end->net->now_ns);
	stream_check(stream);
}

static void stream_deliver_reset(struct pair_event *event)
{
	struct pair_stream *stream = event->stream;
	struct pair_end *end = event->conn->end;

	if (stream->is_reset || stream->is_closed || event->conn->is_closing)
		return;
	if (stream->is_ours || stream->is_announced)
		end->events->stream_reset(end->ctx, &stream->stream, event->code, end->net->now_ns);
	op_reset(&stream->stream, event->code);
}

/* A datagram came; its acknowledgement goes back. */
static void conn_receive(struct pair_conn *conn, size_t len)
{
	struct pair_net *net = conn->end->net;

	conn->received_len += PACKET_LEN + len;
	if (conn->peer)
		event_add(net, net->now_ns + net->delay_ns, EVENT_ACK, conn->peer, NULL);
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
			conn_close(conn, 0, WEFT_ETIMEOUT);
}

void pair_net_close_busy(struct pair_net *net, unsigned idx, uint32_t not_before_ms)
{
	for (struct pair_conn *conn = net->conns; conn; conn = conn->next) {
		struct pair_event *event;

		if (!conn->is_dialler || !conn->is_ready || conn->is_closing ||
		    conn->end != &net->ends[idx])
			continue;
		conn_close(conn->peer, 0, WEFT_EREFUSED);
		conn->is_closing = true;
		event = event_add(net, net->now_ns, EVENT_CONN_CLOSED, conn, NULL);
		event->close = (struct transport_close){
			.err = WEFT_EREFUSED, .by_peer = true, .not_before_ms = not_before_ms};
	}
}

void pair_net_init(struct pair_net *net)
{
	memset(net, 0, sizeof(*net));
	net->now_ns = 1000 * PAIR_S;
	net->delay_ns = 10 * PAIR_MS;
	net->stream_credit = 100;
}

void pair_net_fini(struct pair_net *net)
{
	struct pair_event *event;
	struct pair_conn *conn;

	while ((event = net->queue)) {
		net->queue = event->next;
		free(event->data);
		free(event);
	}
	while ((conn = net->conns)) {
		struct pair_stream *stream;

		net->conns = conn->next;
		while ((stream = conn->streams)) {
			conn->streams = stream->next;
			while (stream->spans) {
				struct pair_span *span = stream->spans;

				stream->spans = span->next;
				free(span);
			}
			free(stream);
		}
		free(conn);
	}
}

struct addr pair_addr(unsigned n)
{
	struct addr addr = {.ip = {10, 0, 0, (uint8_t)n}, .port = 7000, .family = ADDR_IPV4};

	return addr;
}

struct pair_end *pair_net_add(struct pair_net *net, uint8_t key_byte,
			      const struct transport_events *events, void *ctx)
{
	struct pair_end *end = &net->ends[net->end_cnt++];

	weft_assert(net->end_cnt <= PAIR_ENDS);
	end->transport.ops = &pair_ops;
	end->net = net;
	memset(end->key, key_byte, sizeof(end->key));
	end->addr = pair_addr(net->end_cnt);
	end->events = events;
	end->ctx = ctx;
	timer_wheel_init(&end->timers, net->now_ns);
	return end;
}

void pair_net_rule(struct pair_net *net, struct addr addr, enum pair_fate fate,
		   uint64_t extra_delay_ns)
{
	unsigned i = 0;

	while (i < net->rule_cnt && !addr_equal(&net->rules[i].addr, &addr))
		i++;
	weft_assert(i < PAIR_RULES);
	net->rule_cnt += i == net->rule_cnt;
	net->rules[i] = (struct pair_rule){addr, fate, extra_delay_ns};
}

/* The raw speaker. */

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
	size_t len = piece->len;

	(void)ctx;
	(void)now_ns;
	op_consume(stream, len);
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
	if (op_dial(&raw->end->transport, &dial, net->now_ns, &conn) < 0)
		return false;
	pair_net_run(net, 10 * net->delay_ns);
	return raw->ready_cnt > ready_cnt;
}

unsigned pair_raw_open(struct pair_raw *raw)
{
	struct transport_stream *stream;

	weft_assert(op_open(raw->conn, NULL, &stream) == 0);
	raw_stream_add(raw, stream, true);
	return raw->stream_cnt - 1;
}

void pair_raw_send(struct pair_raw *raw, unsigned stream, const void *data, size_t len, bool fin)
{
	struct pair_raw_stream *at = &raw->streams[stream];

	/* More than one send_copy takes: a raw speaker may say a lot. */
	stream_carry(stream_of(at->stream), data, len, false);
	if (fin)
		op_finish(at->stream);
}

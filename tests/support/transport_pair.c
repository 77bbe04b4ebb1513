/* SPDX-License-Identifier: Apache-2.0 */
#include "support/transport_pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "support/pair_wire.h"

#define SILENT_NS (5 * PAIR_S)

static struct pair_conn *conn_of(const struct transport_conn *conn)
{
	struct pair_conn *of = (struct pair_conn *)(uintptr_t)conn;

	weft_assert(!of->is_closed);
	return of;
}

struct pair_stream *pair_stream_of(struct transport_stream *stream)
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
	struct pair_event *event =
		pair_event_add(conn->end->net, at_ns, EVENT_CONN_CLOSED, conn, NULL);

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
		pair_event_add(net, ready_ns, EVENT_READY, conn, NULL);
		pair_event_add(net, ready_ns + net->delay_ns, EVENT_READY, conn->peer, NULL);
	}
	return 0;
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
	pair_conn_close(conn, code, WEFT_ECLOSED);
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

static uint64_t stream_arrival_ns(const struct pair_stream *stream)
{
	const struct pair_net *net = stream->conn->end->net;

	return net->now_ns + net->delay_ns + (stream->is_first ? net->first_stream_delay_ns : 0);
}

void pair_stream_carry(struct pair_stream *stream, const uint8_t *data, size_t len, bool fin)
{
	struct pair_net *net = stream->conn->end->net;
	size_t off = 0;

	if (!stream->peer) {
		stream->peer = stream_new(stream->conn->peer, false);
		stream->peer->peer = stream;
	}
	do {
		size_t part = net->cut_len && len - off > net->cut_len ? net->cut_len : len - off;
		struct pair_event *event =
			pair_event_add(net, stream_arrival_ns(stream), EVENT_DATA,
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
		pair_event_add(end->net, end->net->now_ns + end->net->delay_ns, EVENT_WRITABLE,
			       stream->conn, stream);
		return WEFT_EFULL;
	}
	return 0;
}

static int op_send(struct transport_stream *transport_stream, const struct transport_span *span)
{
	struct pair_stream *stream = pair_stream_of(transport_stream);
	struct pair_net *net = stream->conn->end->net;
	int err = stream_may_send(stream);
	struct pair_span *kept;

	if (err < 0)
		return err;
	pair_stream_carry(stream, span->data, span->len, false);
	kept = calloc(1, sizeof(*kept));
	kept->span = *span;
	kept->next = stream->spans;
	stream->spans = kept;
	net->span_out_cnt++;
	pair_event_add(net, net->now_ns + 2 * net->delay_ns, EVENT_SPAN_DONE, stream->conn, stream)
		->span = kept;
	return 0;
}

static int op_send_copy(struct transport_stream *transport_stream, const void *data, size_t len)
{
	struct pair_stream *stream = pair_stream_of(transport_stream);
	int err = stream_may_send(stream);

	weft_assert(len <= TRANSPORT_COPY_LEN_MAX);
	if (!err)
		pair_stream_carry(stream, data, len, false);
	return err;
}

static void op_finish(struct transport_stream *transport_stream)
{
	struct pair_stream *stream = pair_stream_of(transport_stream);

	if (stream->is_reset || stream->has_sent_fin)
		return;
	if (!stream_mark_fin(stream))
		pair_stream_carry(stream, NULL, 0, true);
	stream->has_sent_fin = true;
	pair_stream_check(stream);
}

static void op_reset(struct transport_stream *transport_stream, uint64_t code)
{
	struct pair_stream *stream = pair_stream_of(transport_stream);
	struct pair_net *net = stream->conn->end->net;

	if (stream->is_reset)
		return;
	stream->is_reset = true;
	stream->conn->end->reset_cnt++;
	if (stream->peer)
		pair_event_add(net, stream_arrival_ns(stream), EVENT_RESET, stream->conn->peer,
			       stream->peer)
			->code = code;
	if (stream->is_closing)
		return;
	stream->is_closing = true;
	pair_event_add(net, net->now_ns + 2 * net->delay_ns, EVENT_STREAM_CLOSED, stream->conn,
		       stream)
		->code = code;
}

static void op_consume(struct transport_stream *transport_stream, size_t len)
{
	struct pair_stream *stream = pair_stream_of(transport_stream);

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

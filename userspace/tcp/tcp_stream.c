/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: received bytes go straight to the speaker, bytes to send stay in the speaker's spans
 * until they are encrypted. A stream has credit for the bytes that it may send. Its peer gives
 * credit as the peer's speaker uses bytes, so a slow reader stops its stream and no other.
 *
 * The connection itself has no credit: nothing of what is received lies here. Unread bytes lie with
 * the speaker: its buffers have limits of their own, and a peer has TCP_STREAMS_MAX streams.
 */
#include "tcp/tcp_state.h"

#include <string.h>

#define TURN_FIRST_LEN (16u << 10)
#define TURN_LEN       (256u << 10)
/* The window of a stream that used half of it in fewer round trips than this is doubled. */
#define GROW_RTTS 4

/* The engine's own bytes in a span made by send_copy; done gives them back. */
struct stream_copy {
	struct tcp_conn *conn;
	uint8_t data[];
};

static struct tcp_stream_name name_of(const struct tcp_conn *conn, uint32_t id)
{
	return (struct tcp_stream_name){.conn = (uintptr_t)conn, .id = id};
}

struct tcp_stream *tcp_stream_new(struct tcp_conn *conn, bool is_own)
{
	struct tcp_engine *engine = conn->engine;
	struct tcp_stream *stream = pool_acquire(&engine->streams);

	if (!stream)
		return NULL;
	stream->transport.ops = &tcp_transport_ops;
	stream->conn = conn;
	stream->is_own = is_own;
	stream->is_starting = true;
	stream->turn_len = TURN_FIRST_LEN;
	stream->send_left = stream->recv_left = stream->window_len = TCP_FIRST_CREDIT_LEN;
	stream->credit_ns = engine->now_ns;
	list_push_back(&conn->streams, &stream->all_link);
	*(is_own ? &conn->own_cnt : &conn->peer_cnt) += 1;
	return stream;
}

int tcp_stream_name(struct tcp_stream *stream, uint32_t id)
{
	struct tcp_stream_name name = name_of(stream->conn, id);
	int err = map_put(&stream->conn->engine->stream_by_id, &name, stream);

	if (err == 0)
		stream->id = id;
	return err;
}

struct tcp_stream *tcp_stream_lookup(const struct tcp_conn *conn, uint32_t id)
{
	struct tcp_stream_name name = name_of(conn, id);

	return map_lookup(&conn->engine->stream_by_id, &name);
}

static void span_done(const struct transport_span *span)
{
	if (span->done)
		span->done(span->arg);
}

static struct list_node *sending_list(struct tcp_stream *stream)
{
	return stream->is_starting ? &stream->conn->starting : &stream->conn->sending;
}

void tcp_stream_stop_write(struct tcp_stream *stream)
{
	if (stream->is_sending)
		list_unlink(&stream->send_link);
	stream->is_sending = false;
}

static void stream_forget_starved(struct tcp_stream *stream)
{
	if (stream->is_starved)
		list_unlink(&stream->starved_link);
	stream->is_starved = false;
}

void tcp_stream_release(struct tcp_stream *stream)
{
	struct tcp_conn *conn = stream->conn;
	struct tcp_stream_name name = name_of(conn, stream->id);

	tcp_stream_stop_write(stream);
	stream_forget_starved(stream);
	if (stream->is_due)
		list_unlink(&stream->due_link);
	list_unlink(&stream->all_link);
	if (stream->id)
		(void)map_delete(&conn->engine->stream_by_id, &name);
	*(stream->is_own ? &conn->own_cnt : &conn->peer_cnt) -= 1;
	for (unsigned i = 0; i < stream->span_cnt; i++)
		span_done(&stream->spans[i]);
	pool_release(&conn->engine->streams, stream);
}

void tcp_stream_close(struct tcp_stream *stream, uint64_t code)
{
	struct tcp_conn *conn = stream->conn;
	struct tcp_engine *engine = conn->engine;
	bool is_own = stream->is_own;

	stream->is_gone = true;
	engine->events->stream_closed(engine->ctx, &stream->transport, code, engine->now_ns);
	tcp_stream_release(stream);
	if (!is_own || !conn->is_open_refused || conn->is_close_wanted ||
	    conn->state != TCP_CONN_OPEN)
		return;
	conn->is_open_refused = false;
	engine->events->conn_streams_available(engine->ctx, &conn->transport, engine->now_ns);
}

void tcp_stream_due(struct tcp_stream *stream)
{
	if (!stream->is_due)
		list_push_back(&stream->conn->due, &stream->due_link);
	stream->is_due = true;
	tcp_conn_want_write(stream->conn);
}

void tcp_stream_want_write(struct tcp_stream *stream)
{
	bool has_more = (stream->span_cnt && stream->send_left) ||
			(stream->is_fin_wanted && !stream->is_fin_sent && !stream->span_cnt);

	if (!has_more || stream->is_shut)
		return;
	if (!stream->is_sending) {
		stream->is_sending = true;
		list_push_back(sending_list(stream), &stream->send_link);
	}
	tcp_conn_want_write(stream->conn);
}

struct tcp_stream *tcp_stream_next(struct tcp_conn *conn)
{
	struct tcp_stream *starting = list_first(&conn->starting, struct tcp_stream, send_link);
	struct tcp_stream *sending = list_first(&conn->sending, struct tcp_stream, send_link);

	if (!starting || !sending)
		return starting ? starting : sending;
	conn->is_start_next = !conn->is_start_next;
	return conn->is_start_next ? starting : sending;
}

static void turn_pass(struct tcp_stream *stream, size_t len)
{
	if (len < stream->turn_len) {
		stream->turn_len -= len;
		return;
	}
	list_unlink(&stream->send_link);
	stream->is_starting = false;
	stream->turn_len = TURN_LEN;
	list_push_back(&stream->conn->sending, &stream->send_link);
}

size_t tcp_stream_unsent(const struct tcp_stream *stream)
{
	size_t len = 0;

	for (unsigned i = 0; i < stream->span_cnt; i++)
		len += stream->spans[i].len;
	return len - stream->span_off;
}

static void stream_mark(struct tcp_stream *stream)
{
	if (stream->is_marked || stream->acked_len == stream->sent_len)
		return;
	stream->is_marked = true;
	stream->mark_len = stream->sent_len;
	/* The record in hand takes less than this beyond its frames. */
	stream->mark_at = stream->conn->tls_len + TCP_RECORD_CAP;
}

/* Copies from the first span on; *out_cnt spans are through. */
static size_t spans_copy(struct tcp_stream *stream, uint8_t *dst, size_t cap, unsigned *out_cnt)
{
	size_t off = stream->span_off, total = 0;
	unsigned idx = 0;

	while (total < cap) {
		size_t len = stream->spans[idx].len - off;

		if (len > cap - total)
			len = cap - total;
		memcpy(dst + total, stream->spans[idx].data + off, len);
		total += len;
		off += len;
		if (off < stream->spans[idx].len)
			break;
		off = 0;
		idx++;
	}
	stream->span_off = off;
	*out_cnt = idx;
	return total;
}

size_t tcp_stream_take(struct tcp_stream *stream, uint8_t *dst, size_t cap)
{
	struct transport_span through[TRANSPORT_SPANS_MAX];
	unsigned cnt;
	size_t len;

	if (!cap)
		return 0;
	len = spans_copy(stream, dst, cap, &cnt);
	memcpy(through, stream->spans, cnt * sizeof(through[0]));
	stream->span_cnt -= cnt;
	memmove(stream->spans, stream->spans + cnt, stream->span_cnt * sizeof(stream->spans[0]));
	stream->send_left -= len;
	stream->sent_len += len;
	stream_mark(stream);
	turn_pass(stream, len);
	for (unsigned i = 0; i < cnt; i++)
		span_done(&through[i]);
	return len;
}

uint64_t tcp_stream_acked(struct tcp_stream *stream)
{
	struct tcp_conn *conn = stream->conn;
	struct tcp_figures figures = {0};

	if (!stream->is_marked || stream->is_gone || !conn->link)
		return stream->acked_len;
	conn->links->ops->figures(conn->link, &figures);
	/* The mark is an upper bound; with nothing left to send the whole of it is through. */
	if (figures.acked_len < stream->mark_at && figures.acked_len < conn->tls_len)
		return stream->acked_len;
	stream->is_marked = false;
	stream->acked_len = stream->mark_len;
	stream_mark(stream);
	return stream->acked_len;
}

/* Whether stream takes one more span: 0, WEFT_EFULL (stream_writable follows), WEFT_ECLOSED. */
static int stream_check(struct tcp_stream *stream)
{
	if (!tcp_conn_is_usable(stream->conn) || stream->is_shut || stream->is_fin_wanted ||
	    stream->is_gone)
		return WEFT_ECLOSED;
	if (stream->span_cnt < TRANSPORT_SPANS_MAX)
		return 0;
	stream->is_send_refused = true;
	return WEFT_EFULL;
}

int tcp_stream_send(struct tcp_stream *stream, const struct transport_span *span)
{
	int err = stream_check(stream);

	if (err < 0)
		return err;
	if (span->len == 0) {
		span_done(span);
		return 0;
	}
	stream->spans[stream->span_cnt++] = *span;
	tcp_stream_want_write(stream);
	return 0;
}

static void copy_done(void *arg)
{
	struct stream_copy *copy = arg;
	struct tcp_engine *engine = copy->conn->engine;

	copy->conn->copied_len -= heap_block_len(engine->heap, copy);
	heap_release(engine->heap, copy);
	engine->is_memory_freed = true;
}

/*
 * A connection holds at most as much of the heap as is free (the dynamic threshold of
 * base/fair/fair.h). So there is room for one more, however many peers read nothing.
 */
static struct stream_copy *copy_new(struct tcp_conn *conn, const void *data, size_t len)
{
	struct tcp_engine *engine = conn->engine;
	struct heap_usage usage;
	struct stream_copy *copy;

	heap_usage(engine->heap, &usage);
	if (conn->copied_len + len > usage.cap - usage.used_len)
		return NULL;
	copy = heap_alloc(engine->heap, sizeof(*copy) + len);
	if (!copy)
		return NULL;
	conn->copied_len += heap_block_len(engine->heap, copy);
	copy->conn = conn;
	memcpy(copy->data, data, len);
	return copy;
}

int tcp_stream_send_copy(struct tcp_stream *stream, const void *data, size_t len)
{
	struct tcp_engine *engine = stream->conn->engine;
	struct stream_copy *copy;
	int err = stream_check(stream);

	if (len > TRANSPORT_COPY_LEN_MAX)
		return WEFT_ETOOLARGE;
	if (err < 0 || len == 0)
		return err;
	copy = copy_new(stream->conn, data, len);
	if (!copy) {
		stream->is_send_refused = true;
		if (!stream->is_starved)
			list_push_back(&engine->starved, &stream->starved_link);
		stream->is_starved = true;
		return WEFT_EFULL;
	}
	return tcp_stream_send(stream, &(struct transport_span){copy->data, len, copy_done, copy});
}

void tcp_stream_wake(struct tcp_engine *engine)
{
	struct list_node woken;
	struct tcp_stream *stream;

	if (!engine->is_memory_freed)
		return;
	engine->is_memory_freed = false;
	list_init(&woken);
	while ((stream = list_first(&engine->starved, struct tcp_stream, starved_link))) {
		list_unlink(&stream->starved_link);
		list_push_back(&woken, &stream->starved_link);
	}
	while ((stream = list_first(&woken, struct tcp_stream, starved_link))) {
		stream_forget_starved(stream);
		stream->is_send_refused = false;
		if (tcp_conn_is_usable(stream->conn))
			engine->events->stream_writable(engine->ctx, &stream->transport,
							engine->now_ns);
	}
}

/* A reader that is quick for the path has more under way from now on. */
static void window_grow(struct tcp_stream *stream)
{
	struct tcp_engine *engine = stream->conn->engine;
	struct tcp_figures figures = {0};
	uint64_t more = stream->window_len;

	if (stream->window_len >= engine->config.window_len_max)
		return;
	stream->conn->links->ops->figures(stream->conn->link, &figures);
	if (engine->now_ns - stream->credit_ns > GROW_RTTS * figures.rtt_ns)
		return;
	if (more > engine->config.window_len_max - stream->window_len)
		more = engine->config.window_len_max - stream->window_len;
	stream->window_len += more;
	stream->owed_len += more;
}

void tcp_stream_consume(struct tcp_stream *stream, uint64_t len)
{
	if (len > stream->unread_len)
		len = stream->unread_len;
	stream->unread_len -= len;
	stream->owed_len += len;
	if (stream->is_answered || stream->is_shut || stream->is_credit_due ||
	    stream->owed_len < stream->window_len / 2)
		return;
	window_grow(stream);
	stream->is_credit_due = true;
	tcp_stream_due(stream);
}

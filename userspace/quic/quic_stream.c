/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: received bytes go straight to the speaker, bytes to send stay
 * in the speaker's spans until the peer has acknowledged them. ngtcp2
 * keeps pointers into spans for retransmission, so a span is given back
 * only when all of it is acknowledged or the stream is closed.
 *
 * Streams that send take turns. A turn is as long as a chunk of content. Answers
 * that were asked for together then end one after the other, not all at once.
 * Either end reads or fills one buffer at a time, which stays in its cache. The
 * first turn of a stream is short, and streams in theirs have every other
 * packet. So a short answer does not wait for many long ones, nor they for a
 * flood of short ones.
 */
#include "quic/engine.h"

#include <string.h>

#define TURN_FIRST_LEN (16u << 10)
#define TURN_LEN       (256u << 10)

/* The engine's own bytes in a span made by send_copy; done gives them back. */
struct stream_copy {
	struct quic_conn *conn;
	uint8_t data[];
};

struct quic_stream *quic_stream_new(struct quic_conn *conn, int64_t id)
{
	struct quic_engine *engine = conn->engine;
	struct quic_stream *stream = pool_acquire(&engine->streams);

	if (!stream)
		return NULL;
	stream->transport.ops = &quic_transport_ops;
	stream->conn = conn;
	stream->id = id;
	stream->is_starting = true;
	stream->turn_len = TURN_FIRST_LEN;
	list_push_back(&conn->streams, &stream->all_link);
	return stream;
}

static void span_done(const struct transport_span *span)
{
	if (span->done)
		span->done(span->arg);
}

static struct list_node *sending_list(struct quic_stream *stream)
{
	return stream->is_starting ? &stream->conn->starting : &stream->conn->sending;
}

void quic_stream_stop_write(struct quic_stream *stream)
{
	if (stream->is_sending)
		list_unlink(&stream->send_link);
	stream->is_sending = false;
}

void quic_stream_release(struct quic_stream *stream)
{
	struct quic_conn *conn = stream->conn;

	quic_stream_stop_write(stream);
	quic_memory_forget(stream);
	list_unlink(&stream->all_link);
	for (unsigned i = 0; i < stream->span_cnt; i++)
		span_done(&stream->spans[i]);
	pool_release(&conn->engine->streams, stream);
}

/*
 * stream_lend: the windows of a stream that is read quickly grow sooner than its connection's, up
 * to more than that has. Streams with stopped readers must leave half of the connection's first
 * credit to the others, and to pings. So the connection has credit at once for the unread bytes
 * beyond; the streams' own windows bound them. Unread bytes lie with the speakers, and none of
 * them in our heap.
 */
static void stream_lend(struct quic_stream *stream)
{
	struct quic_conn *conn = stream->conn;
	const uint64_t kept_len =
		ngtcp2_conn_get_local_transport_params(conn->ngtcp2)->initial_max_data / 2;
	const uint64_t lent_max = conn->engine->config.window_len_max;
	uint64_t len;

	if (conn->withheld_len <= kept_len || conn->lent_len >= lent_max)
		return;
	len = conn->withheld_len - kept_len;
	if (len > stream->unread_len - stream->lent_len)
		len = stream->unread_len - stream->lent_len;
	if (len > lent_max - conn->lent_len)
		len = lent_max - conn->lent_len;
	stream->lent_len += len;
	conn->lent_len += len;
	conn->withheld_len -= len;
	ngtcp2_conn_extend_max_offset(conn->ngtcp2, len);
}

void quic_stream_credit(struct quic_stream *stream, uint64_t len)
{
	struct quic_conn *conn = stream->conn;
	const uint64_t lent_len = len < stream->lent_len ? len : stream->lent_len;

	stream->unread_len -= len;
	stream->lent_len -= lent_len;
	conn->lent_len -= lent_len;
	conn->withheld_len -= len - lent_len;
	if (len > lent_len)
		ngtcp2_conn_extend_max_offset(conn->ngtcp2, len - lent_len);
}

void quic_stream_close(struct quic_stream *stream, uint64_t code)
{
	struct quic_conn *conn = stream->conn;
	struct quic_engine *engine = conn->engine;

	/*
	 * Credit that the speaker never used still counts against the
	 * connection.
	 */
	quic_stream_credit(stream, stream->unread_len);
	stream->is_gone = true;
	conn->events->stream_closed(conn->ctx, &stream->transport, code, engine->now_ns);
	quic_stream_release(stream);
}

void quic_stream_want_write(struct quic_stream *stream)
{
	bool has_more = stream->sent_idx < stream->span_cnt ||
			(stream->is_fin_wanted && !stream->is_fin_sent);

	if (!has_more || stream->is_shut)
		return;
	if (!stream->is_sending) {
		stream->is_sending = true;
		list_push_back(sending_list(stream), &stream->send_link);
	}
	quic_conn_want_write(stream->conn);
}

struct quic_stream *quic_stream_next(struct quic_conn *conn)
{
	struct quic_stream *starting = list_first(&conn->starting, struct quic_stream, send_link);
	struct quic_stream *sending = list_first(&conn->sending, struct quic_stream, send_link);

	if (!starting || !sending)
		return starting ? starting : sending;
	conn->is_start_next = !conn->is_start_next;
	return conn->is_start_next ? starting : sending;
}

static void turn_pass(struct quic_stream *stream, size_t len)
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

unsigned quic_stream_unsent(const struct quic_stream *stream,
			    ngtcp2_vec vecs[static TRANSPORT_SPANS_MAX])
{
	unsigned cnt = 0;
	size_t off = stream->sent_off;

	for (unsigned i = stream->sent_idx; i < stream->span_cnt; i++) {
		/* ngtcp2 takes writable pointers and only reads. */
		vecs[cnt].base = (uint8_t *)(uintptr_t)(stream->spans[i].data + off);
		vecs[cnt].len = stream->spans[i].len - off;
		off = 0;
		cnt++;
	}
	return cnt;
}

uint64_t quic_stream_sent_len(const struct quic_stream *stream)
{
	uint64_t len = stream->acked_len - stream->acked_off + stream->sent_off;

	for (unsigned i = 0; i < stream->sent_idx; i++)
		len += stream->spans[i].len;
	return len;
}

void quic_stream_sent(struct quic_stream *stream, size_t len)
{
	turn_pass(stream, len);
	quic_heartbeat_used(stream->conn);
	while (stream->sent_idx < stream->span_cnt) {
		size_t left = stream->spans[stream->sent_idx].len - stream->sent_off;

		if (len < left) {
			stream->sent_off += len;
			return;
		}
		len -= left;
		stream->sent_off = 0;
		stream->sent_idx++;
	}
	stream->is_fin_sent = stream->is_fin_wanted;
	if (stream->is_fin_sent && !stream->is_answered &&
	    ngtcp2_conn_is_local_stream(stream->conn->ngtcp2, stream->id))
		quic_probe_await(stream->conn);
	quic_stream_stop_write(stream);
}

/* Spans that are acknowledged whole leave; the rest move up. */
static unsigned spans_acked(struct quic_stream *stream, size_t len,
			    struct transport_span out_done[static TRANSPORT_SPANS_MAX])
{
	unsigned cnt = 0;

	stream->acked_len += len;
	stream->acked_off += len;
	while (cnt < stream->sent_idx && stream->acked_off >= stream->spans[cnt].len) {
		stream->acked_off -= stream->spans[cnt].len;
		out_done[cnt] = stream->spans[cnt];
		cnt++;
	}
	stream->span_cnt -= cnt;
	stream->sent_idx -= cnt;
	memmove(stream->spans, stream->spans + cnt, stream->span_cnt * sizeof(stream->spans[0]));
	return cnt;
}

void quic_stream_writable(struct quic_stream *stream)
{
	struct quic_conn *conn = stream->conn;
	struct quic_engine *engine = conn->engine;

	stream->is_send_refused = false;
	quic_memory_forget(stream);
	if (!conn->is_close_wanted)
		conn->events->stream_writable(conn->ctx, &stream->transport, engine->now_ns);
}

int quic_stream_on_acked(ngtcp2_conn *ngtcp2, int64_t id, uint64_t offset, uint64_t len, void *user,
			 void *stream_user)
{
	struct transport_span done[TRANSPORT_SPANS_MAX];
	struct quic_stream *stream = stream_user;
	unsigned cnt;

	(void)user;
	(void)ngtcp2;
	(void)id;
	(void)offset;
	if (!stream)
		return 0;
	cnt = spans_acked(stream, (size_t)len, done);
	quic_black_hole_acked(stream);
	for (unsigned i = 0; i < cnt; i++)
		span_done(&done[i]);
	if (cnt && stream->is_send_refused)
		quic_stream_writable(stream);
	return 0;
}

int quic_stream_on_open(ngtcp2_conn *ngtcp2, int64_t id, void *user)
{
	struct quic_conn *conn = user;
	struct quic_engine *engine = conn->engine;
	struct quic_stream *stream = NULL;

	if (conn->is_announced && !conn->is_close_wanted)
		stream = quic_stream_new(conn, id);
	if (stream && conn->events->stream_opened(conn->ctx, &conn->transport, &stream->transport,
						  engine->now_ns) < 0) {
		quic_stream_release(stream);
		stream = NULL;
	}
	if (!stream)
		return ngtcp2_conn_shutdown_stream(ngtcp2, 0, id, QUIC_STREAM_REFUSED);
	return ngtcp2_conn_set_stream_user_data(ngtcp2, id, stream);
}

int quic_stream_on_data(ngtcp2_conn *ngtcp2, uint32_t flags, int64_t id, uint64_t offset,
			const uint8_t *data, size_t len, void *user, void *stream_user)
{
	struct quic_stream *stream = stream_user;
	struct quic_conn *conn = user;

	(void)id;
	(void)offset;
	if (!stream || conn->is_close_wanted) {
		ngtcp2_conn_extend_max_offset(ngtcp2, len);
		return 0;
	}
	stream->unread_len += len;
	conn->withheld_len += len;
	stream_lend(stream);
	stream->is_answered |= (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0;
	if (stream->is_fin_sent)
		quic_probe_await(conn);
	fair_conns_progress(&conn->engine->shares, &conn->share, len, conn->engine->now_ns);
	quic_heartbeat_used(conn);
	conn->events->stream_data(
		conn->ctx, &stream->transport,
		&(struct transport_piece){data, len, flags & NGTCP2_STREAM_DATA_FLAG_FIN},
		conn->engine->now_ns);
	return 0;
}

int quic_stream_on_reset(ngtcp2_conn *ngtcp2, int64_t id, uint64_t final_size, uint64_t code,
			 void *user, void *stream_user)
{
	struct quic_stream *stream = stream_user;
	struct quic_conn *conn = user;

	(void)ngtcp2;
	(void)id;
	(void)final_size;
	if (stream && !conn->is_close_wanted)
		conn->events->stream_reset(conn->ctx, &stream->transport, code,
					   conn->engine->now_ns);
	return 0;
}

int quic_stream_on_close(ngtcp2_conn *ngtcp2, uint32_t flags, int64_t id, uint64_t code, void *user,
			 void *stream_user)
{
	struct quic_stream *stream = stream_user;

	(void)user;
	if (!ngtcp2_conn_is_local_stream(ngtcp2, id))
		ngtcp2_conn_extend_max_streams_bidi(ngtcp2, 1);
	if (stream)
		quic_stream_close(stream,
				  flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET ? code : 0);
	return 0;
}

int quic_stream_on_credit(ngtcp2_conn *ngtcp2, uint64_t max_streams, void *user)
{
	struct quic_conn *conn = user;

	(void)ngtcp2;
	(void)max_streams;
	if (!conn->is_open_refused || conn->is_close_wanted)
		return 0;
	conn->is_open_refused = false;
	conn->events->conn_streams_available(conn->ctx, &conn->transport, conn->engine->now_ns);
	return 0;
}

int quic_stream_on_window(ngtcp2_conn *ngtcp2, int64_t id, uint64_t max_data, void *user,
			  void *stream_user)
{
	(void)ngtcp2;
	(void)id;
	(void)max_data;
	(void)user;
	if (stream_user)
		quic_stream_want_write(stream_user);
	return 0;
}

static void copy_done(void *arg)
{
	struct stream_copy *copy = arg;

	quic_memory_release(copy->conn, copy);
}

/* Whether stream takes one more span: 0, WEFT_EFULL (stream_writable follows), WEFT_ECLOSED. */
static int stream_check(struct quic_stream *stream)
{
	if (stream->conn->state != QUIC_CONN_OPEN || stream->conn->is_close_wanted ||
	    stream->is_shut || stream->is_fin_wanted || stream->is_gone)
		return WEFT_ECLOSED;
	if (stream->span_cnt < TRANSPORT_SPANS_MAX)
		return 0;
	stream->is_send_refused = true;
	return WEFT_EFULL;
}

static void stream_append(struct quic_stream *stream, const struct transport_span *span)
{
	stream->spans[stream->span_cnt++] = *span;
	quic_stream_want_write(stream);
}

int quic_stream_send(struct quic_stream *stream, const struct transport_span *span)
{
	int err = stream_check(stream);

	if (err < 0)
		return err;
	/* Nothing will ever be acknowledged of it, and ngtcp2 writes no empty frame for it. */
	if (span->len == 0)
		span_done(span);
	else
		stream_append(stream, span);
	return 0;
}

int quic_stream_send_copy(struct quic_stream *stream, const void *data, size_t len)
{
	struct stream_copy *copy;
	int err = stream_check(stream);

	if (len > TRANSPORT_COPY_LEN_MAX)
		return WEFT_ETOOLARGE;
	if (err < 0 || len == 0)
		return err;
	copy = quic_memory_alloc(stream->conn, sizeof(*copy) + len);
	if (!copy) {
		stream->is_send_refused = true;
		quic_memory_await(stream);
		return WEFT_EFULL;
	}
	copy->conn = stream->conn;
	memcpy(copy->data, data, len);
	stream_append(stream, &(struct transport_span){copy->data, len, copy_done, copy});
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From streams to the link: frames are put together in one buffer, and TLS makes one record of it.
 * The link takes as many records as it can with one call. A DATA frame of a long answer fills its
 * record. Streams take turns as on QUIC (quic/quic_stream.c).
 */
#include "tcp/tcp_state.h"

#include <string.h>

#include <openssl/bio.h>

/* Records that one connection writes before the others have theirs: 1 MiB. */
#define WRITE_RECORDS_MAX 64
/*
 * Bytes of frames that wait before a line. A heartbeat and the start of another answer come behind so
 * many: 1 s at 9,600 baud.
 */
#define NARROW_LEN 1024

/* --- TLS's view of the connection (bio(7)) --- */

static int bio_read(BIO *bio, char *dst, size_t cap, size_t *out_len)
{
	struct tcp_conn *conn = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (!conn->in_len) {
		BIO_set_retry_read(bio);
		return 0;
	}
	*out_len = cap < conn->in_len ? cap : conn->in_len;
	memcpy(dst, conn->in, *out_len);
	conn->in += *out_len;
	conn->in_len -= *out_len;
	return 1;
}

static struct tcp_record *record_add(struct tcp_conn *conn)
{
	struct tcp_record *record;
	unsigned max = conn->state == TCP_CONN_OPEN ? TCP_RECORDS_MAX : TCP_RECORDS_SHAKING;

	if (conn->record_cnt >= max)
		return NULL;
	record = pool_acquire(&conn->engine->records);
	if (!record)
		return NULL;
	list_push_back(&conn->records, &record->link);
	conn->record_cnt++;
	return record;
}

static int bio_write(BIO *bio, const char *src, size_t len, size_t *out_len)
{
	struct tcp_conn *conn = BIO_get_data(bio);
	struct tcp_record *record =
		list_is_empty(&conn->records)
			? NULL
			: container_of(conn->records.prev, struct tcp_record, link);

	BIO_clear_retry_flags(bio);
	if (!record || record->len == TCP_RECORD_CAP)
		record = record_add(conn);
	if (!record) {
		conn->is_overfull = true;
		BIO_set_retry_write(bio);
		return 0;
	}
	if (len > TCP_RECORD_CAP - record->len)
		len = TCP_RECORD_CAP - record->len;
	memcpy(record->data + record->len, src, len);
	record->len += (uint32_t)len;
	conn->tls_len += len;
	*out_len = len;
	return 1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *arg)
{
	(void)bio, (void)number, (void)arg;
	return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *tcp_output_bio(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weft tcp");

	if (method && BIO_meth_set_read_ex(method, bio_read) &&
	    BIO_meth_set_write_ex(method, bio_write) && BIO_meth_set_ctrl(method, bio_ctrl))
		return method;
	BIO_meth_free(method);
	return NULL;
}

/* --- frames --- */

static bool has_room(const struct writer *w)
{
	return w->end - w->pos >= TCP_FRAME_HEAD_LEN + TCP_FRAME_BODY_MAX;
}

static void fill_conn_frames(struct tcp_conn *conn, struct writer *w)
{
	struct tcp_frame frame = {.data = conn->pong, .len = sizeof(conn->pong)};

	if (conn->is_pong_due) {
		frame.kind = TCP_FRAME_PONG;
		tcp_frame_write(w, &frame);
	}
	if (conn->is_ping_due) {
		frame.kind = TCP_FRAME_PING;
		frame.data = (const uint8_t *)&conn->pinged_ns;
		tcp_frame_write(w, &frame);
	}
	conn->is_pong_due = conn->is_ping_due = false;
	while (conn->refused_cnt && has_room(w)) {
		frame = (struct tcp_frame){.kind = TCP_FRAME_RESET,
					   .stream = conn->refused_ids[--conn->refused_cnt],
					   .code = TCP_CODE_STREAM_REFUSED};
		tcp_frame_write(w, &frame);
		conn->peer_cnt--;
	}
}

static void fill_credit(struct tcp_stream *stream, struct writer *w)
{
	struct tcp_frame frame = {.kind = TCP_FRAME_CREDIT, .stream = stream->id};

	stream->is_credit_due = false;
	if (stream->is_answered || !stream->owed_len)
		return;
	frame.credit = (uint32_t)stream->owed_len;
	tcp_frame_write(w, &frame);
	stream->recv_left += stream->owed_len;
	stream->owed_len = 0;
	stream->credit_ns = stream->conn->engine->now_ns;
}

/* A stream of which the peer has heard nothing ends without a word. */
static void fill_reset(struct tcp_stream *stream, struct writer *w)
{
	struct tcp_frame frame = {
		.kind = TCP_FRAME_RESET, .stream = stream->id, .code = stream->reset_code};

	if (stream->id)
		tcp_frame_write(w, &frame);
	tcp_stream_close(stream, stream->reset_code);
}

static void fill_due(struct tcp_conn *conn, struct writer *w)
{
	struct tcp_stream *stream;

	while (has_room(w) && (stream = list_first(&conn->due, struct tcp_stream, due_link))) {
		list_unlink(&stream->due_link);
		stream->is_due = false;
		if (stream->is_reset_due)
			fill_reset(stream, w);
		else if (stream->is_credit_due)
			fill_credit(stream, w);
	}
}

/* The first frame of a stream of this side gives it its number: numbers are seen in order. */
static bool stream_begin(struct tcp_stream *stream)
{
	struct tcp_conn *conn = stream->conn;

	if (stream->id)
		return true;
	if (tcp_stream_name(stream, conn->next_id) < 0)
		return false;
	conn->next_id += 2;
	return true;
}

static void fill_data(struct tcp_conn *conn, struct writer *w)
{
	struct tcp_stream *stream;

	while (w->end - w->pos > TCP_FRAME_HEAD_LEN && (stream = tcp_stream_next(conn))) {
		size_t room = (size_t)(w->end - w->pos) - TCP_FRAME_HEAD_LEN;
		size_t len = tcp_stream_unsent(stream);
		uint8_t *head = w->pos;
		bool is_fin;

		if (!stream_begin(stream)) {
			tcp_stream_stop_write(stream);
			continue;
		}
		if (len > stream->send_left)
			len = (size_t)stream->send_left;
		if (len > room)
			len = room;
		(void)writer_reserve(w, TCP_FRAME_HEAD_LEN + len);
		/* done of its spans may be called here, so the stream is looked at again. */
		len = tcp_stream_take(stream, head + TCP_FRAME_HEAD_LEN, len);
		is_fin = stream->is_fin_wanted && !tcp_stream_unsent(stream);
		if (!len && !is_fin) {
			w->pos = head;
			tcp_stream_stop_write(stream);
			continue;
		}
		w->pos = head;
		tcp_frame_write_head(w, TCP_FRAME_DATA | (is_fin ? TCP_FRAME_FIN : 0), stream->id,
				     len);
		w->pos += len;
		stream->is_fin_sent = is_fin;
		if (is_fin || !tcp_stream_unsent(stream) || !stream->send_left)
			tcp_stream_stop_write(stream);
		if (is_fin && stream->is_answered)
			tcp_stream_close(stream, 0);
	}
}

/* Streams whose bytes are through may have new ones. */
static void writable(struct tcp_conn *conn)
{
	struct list_node *at = conn->streams.next;

	while (at != &conn->streams) {
		struct tcp_stream *stream = container_of(at, struct tcp_stream, all_link);
		const struct transport_events *events = conn->engine->events;

		at = at->next;
		if (!stream->is_send_refused || stream->is_starved ||
		    stream->span_cnt == TRANSPORT_SPANS_MAX || conn->is_close_wanted)
			continue;
		stream->is_send_refused = false;
		events->stream_writable(conn->engine->ctx, &stream->transport,
					conn->engine->now_ns);
		/* The speaker only resets in an event, and that waits for its frame. */
	}
}

static bool has_data(const struct tcp_conn *conn)
{
	return !list_is_empty(&conn->starting) || !list_is_empty(&conn->sending);
}

bool tcp_output_fill(struct tcp_conn *conn)
{
	struct tcp_engine *engine = conn->engine;
	size_t cap = conn->is_narrow ? NARROW_LEN : TCP_FRAME_RECORD_LEN;
	unsigned full_cnt = conn->is_narrow ? 1 : TCP_RECORDS_FULL;
	struct writer w = writer_of(engine->plain, cap);
	size_t written_len;

	if (conn->state != TCP_CONN_OPEN || conn->record_cnt >= full_cnt)
		return false;
	fill_conn_frames(conn, &w);
	fill_due(conn, &w);
	/* Half of a record each while both wait. */
	tcp_dgram_fill(conn, &w, engine->plain + (has_data(conn) ? cap / 2 : cap));
	fill_data(conn, &w);
	if (!writer_len(&w))
		return false;
	if (SSL_write_ex(conn->ssl, engine->plain, writer_len(&w), &written_len) != 1)
		conn->is_overfull = true;
	writable(conn);
	return !conn->is_overfull;
}

static bool records_take(struct tcp_conn *conn, size_t len)
{
	struct tcp_record *record;

	conn->sent_len += len;
	conn->engine->stats.sent_len += len;
	conn->wrote_ns = conn->engine->now_ns;
	while ((record = list_first(&conn->records, struct tcp_record, link))) {
		size_t left = record->len - record->off;

		if (len < left) {
			record->off += (uint32_t)len;
			return false;
		}
		len -= left;
		list_unlink(&record->link);
		pool_release(&conn->engine->records, record);
		conn->record_cnt--;
	}
	return true;
}

void tcp_output_drop(struct tcp_conn *conn)
{
	struct tcp_record *record;

	while ((record = list_first(&conn->records, struct tcp_record, link))) {
		list_unlink(&record->link);
		pool_release(&conn->engine->records, record);
	}
	conn->record_cnt = 0;
}

static unsigned records_list(struct tcp_conn *conn, struct iovec pieces[static TCP_RECORDS_MAX])
{
	unsigned cnt = 0;

	for (struct list_node *at = conn->records.next; at != &conn->records; at = at->next) {
		struct tcp_record *record = container_of(at, struct tcp_record, link);

		pieces[cnt].iov_base = record->data + record->off;
		pieces[cnt].iov_len = record->len - record->off;
		cnt++;
	}
	return cnt;
}

enum tcp_written tcp_output_write(struct tcp_conn *conn)
{
	const struct transport_close hostile = {.err = WEFT_EMALFORMED};
	struct iovec pieces[TCP_RECORDS_MAX];
	unsigned record_cnt = 0;
	ssize_t len;

	while (record_cnt < WRITE_RECORDS_MAX) {
		while (tcp_output_fill(conn))
			;
		if (conn->is_overfull) {
			conn->engine->stats.malformed_cnt++;
			tcp_conn_shut(conn, &hostile, false);
			return TCP_WRITTEN_GONE;
		}
		if (conn->is_blocked || list_is_empty(&conn->records))
			return TCP_WRITTEN_QUIET;
		record_cnt += conn->record_cnt;
		len = conn->links->ops->write(conn->link, pieces, records_list(conn, pieces));
		if (len < 0) {
			tcp_conn_lost(conn);
			return TCP_WRITTEN_GONE;
		}
		if (conn->state == TCP_CONN_LINGER && conn->is_narrow && len > 0)
			tcp_conn_linger(conn);
		if (!records_take(conn, (size_t)len))
			conn->is_blocked = true;
	}
	return TCP_WRITTEN;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a stream to an HTTP server: the request out, the answer in and on to the caller. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "http_request.h"
#include "http_stream.h"
#include "http_upgrade.h"

/* Sends the rest of the request's head. 0 when all was sent or no more can be, or -errno. */
static int head_flush(struct http_stream *stream)
{
	while (stream->head_sent_len < stream->head_len) {
		ssize_t n =
			send(stream->conn->watch.fd,
			     stream->buffer_refs.head.data + stream->head_sent_len,
			     stream->head_len - stream->head_sent_len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		stream->head_sent_len += (size_t)n;
	}
	return 0;
}

bool provider_http_exchange_wants_to_write(const struct http_stream *stream)
{
	if (stream->is_deaf)
		return false;
	return (!stream->is_answered && stream->head_sent_len < stream->head_len) ||
	       stream->body.out.len > 0;
}

void provider_http_exchange_write(struct http_stream *stream, uint64_t now_ns)
{
	int64_t sent = 0;
	size_t len;

	if (!provider_http_exchange_wants_to_write(stream))
		return;
	if (!stream->is_answered)
		sent = head_flush(stream);
	if (sent == 0 && (stream->is_answered || stream->head_sent_len == stream->head_len))
		sent = provider_queue_flush(&stream->body.out, stream->conn->watch.fd);
	if (sent < 0) {
		provider_http_stream_deafen(stream);
		return;
	}
	if (sent > 0)
		stream->progress_ns = now_ns;
	len = provider_http_body_sent(&stream->body, (size_t)sent);
	if (len)
		service_channel_consume(stream->channel, len);
}

bool provider_http_exchange_pass_on(struct http_stream *stream, uint64_t now_ns)
{
	unsigned before_cnt = stream->buffer_refs.pending_cnt;
	bool is_sent = provider_buffer_refs_send(&stream->buffer_refs, stream->channel);

	if (stream->buffer_refs.pending_cnt < before_cnt)
		stream->progress_ns = now_ns;
	return is_sent;
}

bool provider_http_exchange_waits_for_caller(const struct http_stream *stream)
{
	return stream->buffer_refs.pending_cnt ||
	       !provider_buffer_refs_has_room(&stream->buffer_refs);
}

/* The answer's head takes the place of the request's. */
static int head_pend(struct http_stream *stream, uint64_t now_ns)
{
	struct writer w = writer_of(stream->buffer_refs.head.data, HTTP_REQUEST_CAP);
	struct service_http_answer head;
	int err;

	provider_http_answer_head(
		&stream->answer,
		provider_http_request_host(http_stream_offer(stream)->spec.view.target), &head);
	err = stream->answer.is_switched ? service_http_switch_write(&w, &head)
					 : service_http_answer_write(&w, &head);
	if (err < 0)
		return err;
	stream->is_head_out = true;
	provider_health_call_answered(http_stream_offer(stream), now_ns);
	if (stream->answer.is_switched)
		provider_http_upgrade_begin(stream);
	provider_buffer_refs_pend(&stream->buffer_refs.head, writer_len(&w));
	return 0;
}

static void stream_input(struct http_stream *stream, struct buffer_ref *block, size_t len,
			 uint64_t now_ns)
{
	size_t body_len;

	/* A server that answers half a head has no use for the rest. */
	if (!stream->is_answered && stream->head_sent_len < stream->head_len)
		provider_http_stream_deafen(stream);
	stream->is_answered = true;
	stream->progress_ns = now_ns;
	if (provider_http_answer_input(&stream->answer, block->data, len, &body_len) < 0) {
		provider_buffer_refs_release(block);
		provider_http_stream_fail(stream, stream->answer.fault, now_ns);
		return;
	}
	if (stream->answer.has_head && !stream->is_head_out && head_pend(stream, now_ns) < 0) {
		provider_buffer_refs_release(block);
		provider_http_stream_fail(stream, "the head of its answer is longer than 16 KiB",
					  now_ns);
		return;
	}
	if (body_len) {
		stream->is_within_line = block->data[body_len - 1] != '\n';
		provider_buffer_refs_pend(block, body_len);
	} else {
		provider_buffer_refs_release(block);
	}
}

bool provider_http_exchange_may_beat(const struct http_stream *stream)
{
	return stream->is_head_out && stream->answer.is_event_stream && !stream->answer.is_whole &&
	       !stream->is_within_line && !provider_http_exchange_waits_for_caller(stream);
}

bool provider_http_exchange_beat(struct http_stream *stream, uint64_t now_ns)
{
	struct buffer_ref *block;

	if (!provider_http_exchange_may_beat(stream))
		return false;
	block = provider_buffer_refs_acquire(&stream->buffer_refs);
	if (!block)
		return false;
	memcpy(block->data, ":\n", 2);
	provider_buffer_refs_pend(block, 2);
	(void)provider_http_exchange_pass_on(stream, now_ns);
	return true;
}

/*
 * stream_retry: a connection that was laid by closed as it was taken (RFC 9112
 * 9.3.1). The request is safe and its head is still here. False: it is none of that kind.
 */
static bool stream_retry(struct http_stream *stream, uint64_t now_ns)
{
	struct offer *offer = http_stream_offer(stream);
	struct http_conn *conn;
	int err;

	if (stream->is_answered || !stream->conn->is_reused)
		return false;
	provider_http_stream_drop_conn(stream);
	err = provider_http_conn_open(offer, &conn);
	if (err < 0) {
		provider_http_stream_unreachable(stream, err, now_ns);
		return true;
	}
	provider_http_stream_use_conn(stream, conn);
	return true;
}

static void stream_eof(struct http_stream *stream, uint64_t now_ns)
{
	if (stream_retry(stream, now_ns))
		return;
	if (provider_http_answer_eof(&stream->answer) == 0)
		return;
	provider_health_suspect(http_stream_offer(stream), now_ns);
	provider_http_stream_fail(stream, stream->answer.fault, now_ns);
}

bool provider_http_exchange_read(struct http_stream *stream, uint64_t now_ns)
{
	struct buffer_ref *block;
	ssize_t n;

	if (!stream->channel || !stream->conn || stream->conn->is_connecting ||
	    stream->answer.is_whole || !provider_http_exchange_pass_on(stream, now_ns))
		return false;
	block = provider_buffer_refs_acquire(&stream->buffer_refs);
	if (!block)
		return false;
	n = recv(stream->conn->watch.fd, block->data, BUFFER_REFS_BLOCK_LEN, MSG_DONTWAIT);
	if (n > 0) {
		stream_input(stream, block, (size_t)n, now_ns);
		return true;
	}
	provider_buffer_refs_release(block);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	stream_eof(stream, now_ns);
	return false;
}

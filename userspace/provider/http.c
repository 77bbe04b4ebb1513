/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams of HttpInvoke to a local HTTP server, and its answers back.
 *
 *	request   channel's opening -> head -> connection; its pieces -> out -> connection
 *	answer    connection -> a block of 64 KiB -> http_answer takes the framing off
 *		  -> the block is lent to the channel until it is acknowledged
 *
 * Neither body is ever held whole. A server that does not read makes out
 * grow, whose bytes are not consumed, so the caller is stopped; a caller that does
 * not read keeps the blocks, without which nothing is read from the server.
 */
#include "provider/http.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "provider/http_answer.h"
#include "provider/http_body.h"
#include "provider/http_conn.h"
#include "provider/http_request.h"
#include "provider/lending.h"
#include "provider/offer.h"

#define READS_PER_TURN_MAX 16
#define STARVED_NS	   (10 * NS_PER_MS) /* until a block is asked of a full heap again */
#define CONNECT_NS	   (5 * NS_PER_S)
#define LINGER_NS	   (10 * NS_PER_S) /* a caller may go on sending what nobody wants */

#define HTTP_HINT                                                                                  \
	"this service speaks HTTP: ask it by /mesh/http/NAME/PATH of a gateway, by weft service "  \
	"call NAME GET /PATH, or open a stream of method HttpInvoke"

struct http_stream {
	struct active active;
	struct service_channel *channel; /* NULL: it ended */
	struct http_conn *conn;
	struct timer timer; /* what comes too late */
	struct timer turn;
	struct http_answer answer;
	struct lending lending; /* its head is the request's until a byte of the answer came */
	size_t head_len, head_sent_len;
	struct http_body body; /* of the request */
	bool is_safe;
	bool is_request_whole; /* the caller finished */
	bool is_deaf;	       /* the server takes no more of it */
	bool is_answered;      /* a byte of the answer came */
	bool is_head_out;      /* the answer's head is on its way to the caller */
	bool is_finished;      /* so is all of it */
	bool is_busy;	       /* an entry from outside runs; what it ends is freed as it leaves */
	uint64_t progress_ns;  /* when a byte last moved, or a side finished */
};

size_t http_stream_len(void)
{
	return sizeof(struct http_stream);
}

static struct offer *offer_of(const struct http_stream *stream)
{
	return stream->active.offer;
}

/* stream_free: nothing of it is lent. */
static void stream_free(struct http_stream *stream)
{
	struct provider *provider = offer_of(stream)->provider;

	lending_fini(&stream->lending);
	offer_leave(&stream->active);
	pool_release(&provider->http_streams, stream);
}

static void stream_drop_conn(struct http_stream *stream)
{
	if (stream->conn)
		http_conn_close(stream->conn);
	stream->conn = NULL;
}

/* stream_close: the channel is gone; what is lent comes back, and then stream_settle frees it. */
static void stream_close(struct http_stream *stream)
{
	struct timer_wheel *timers = offer_of(stream)->provider->timers;

	stream->channel = NULL;
	stream_drop_conn(stream);
	timer_cancel(timers, &stream->timer);
	timer_cancel(timers, &stream->turn);
	(void)http_body_drop(&stream->body);
}

static void stream_end(struct http_stream *stream, enum service_status status, const char *text)
{
	service_channel_end(stream->channel, status, text);
	stream_close(stream);
}

static void stream_settle(struct http_stream *stream, uint64_t now_ns);

static void stream_abandon(struct active *active, uint64_t now_ns)
{
	struct http_stream *stream = list_entry(active, struct http_stream, active);

	if (!stream->channel)
		return;
	stream->is_busy = true;
	stream_end(stream, SERVICE_UNAVAILABLE, "the service is withdrawn");
	stream_settle(stream, now_ns);
}

/* Comes from the channel, maybe while it is called: the stream goes on at its turn. */
static void block_returned(struct lending *lending)
{
	struct http_stream *stream = list_entry(lending, struct http_stream, lending);

	if (stream->channel)
		timer_set(offer_of(stream)->provider->timers, &stream->turn, 0);
	else if (!stream->is_busy)
		stream_settle(stream, 0);
}

/* A server may answer without reading all of the request: its answer is still worth reading. */
static void stream_become_deaf(struct http_stream *stream)
{
	size_t len = http_body_drop(&stream->body);

	stream->is_deaf = true;
	if (len)
		service_channel_consume(stream->channel, len);
}

/* stream_finish: all of the answer is with the channel; what the caller still sends is thrown away. */
static void stream_finish(struct http_stream *stream, uint64_t now_ns)
{
	stream_drop_conn(stream);
	stream_become_deaf(stream);
	service_channel_finish(stream->channel);
	stream->is_finished = true;
	stream->progress_ns = now_ns;
}

static void stream_complete(struct http_stream *stream, uint64_t now_ns)
{
	/* One that took not all of our request would read the next as the rest of it. */
	if (stream->answer.keeps_alive && stream->is_safe && !stream->is_deaf && stream->conn) {
		http_conn_keep(stream->conn, now_ns);
		stream->conn = NULL;
	}
	stream_finish(stream, now_ns);
}

/* stream_fail: the server did what it must not. A caller who has no head yet gets a 502. */
static void stream_fail(struct http_stream *stream, const char *fault, uint64_t now_ns)
{
	struct service_http_answer answer = {.status = 502};
	uint8_t head[256];
	char text[128];
	struct writer w = writer_of(head, sizeof(head));
	struct service_piece pieces[2] = {{.data = head, .is_last = true},
					  {.data = (uint8_t *)text, .is_last = true}};

	offer_failed(offer_of(stream), fault, now_ns);
	if (stream->is_head_out) {
		stream_end(stream, SERVICE_UNKNOWN_ERROR, "");
		return;
	}
	answer.headers.list[0] = (struct service_http_header){"content-type", "text/plain", 12, 10};
	answer.headers.cnt = 1;
	answer.body_len = (uint64_t)snprintf(
		text, sizeof(text), "The program behind this service failed: %s.\n", fault);
	if (service_http_answer_write(&w, &answer) < 0)
		goto end;
	pieces[0].len = writer_len(&w);
	pieces[1].len = (size_t)answer.body_len;
	for (unsigned i = 0; i < (stream->answer.is_to_head ? 1 : 2); i++)
		if (service_channel_send(stream->channel, &pieces[i], NULL, NULL) < 0)
			goto end;
	stream_finish(stream, now_ns);
	return;
end:
	stream_end(stream, SERVICE_UNKNOWN_ERROR, "");
}

/* stream_unreachable: no connection, so nothing was asked of the server. */
static void stream_unreachable(struct http_stream *stream, int err, uint64_t now_ns)
{
	struct offer *offer = offer_of(stream);

	stream_end(stream, SERVICE_UNAVAILABLE, "the program behind this service is not running");
	health_refused(offer, err, now_ns);
}

static void conn_ready(void *user, unsigned events, uint64_t now_ns);

static void stream_use_conn(struct http_stream *stream, struct http_conn *conn)
{
	conn->ready = conn_ready;
	conn->user = stream;
	stream->conn = conn;
	stream->head_sent_len = 0;
	stream->is_deaf = false;
	http_answer_init(&stream->answer, stream->answer.is_to_head);
}

/*
 * stream_retry: a connection that was laid by closed as it was taken (RFC 9112
 * 9.3.1). The request is safe and its head is still here. False: it is none of that kind.
 */
static bool stream_retry(struct http_stream *stream, uint64_t now_ns)
{
	struct offer *offer = offer_of(stream);
	struct http_conn *conn;
	int err;

	if (stream->is_answered || !stream->conn->is_reused)
		return false;
	stream_drop_conn(stream);
	err = http_conn_open(offer, &conn);
	if (err < 0) {
		stream_unreachable(stream, err, now_ns);
		return true;
	}
	stream_use_conn(stream, conn);
	return true;
}

/* Sends of the request's head what is left. 0 when all went or nothing more goes, or -errno. */
static int head_flush(struct http_stream *stream)
{
	while (stream->head_sent_len < stream->head_len) {
		ssize_t n = send(
			stream->conn->watch.fd, stream->lending.head.data + stream->head_sent_len,
			stream->head_len - stream->head_sent_len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		stream->head_sent_len += (size_t)n;
	}
	return 0;
}

static bool request_waits(const struct http_stream *stream)
{
	if (stream->is_deaf)
		return false;
	return (!stream->is_answered && stream->head_sent_len < stream->head_len) ||
	       stream->body.out.len > 0;
}

static void stream_write(struct http_stream *stream, uint64_t now_ns)
{
	int64_t sent = 0;
	size_t len;

	if (!request_waits(stream))
		return;
	if (!stream->is_answered)
		sent = head_flush(stream);
	if (sent == 0 && (stream->is_answered || stream->head_sent_len == stream->head_len))
		sent = queue_flush(&stream->body.out, stream->conn->watch.fd);
	if (sent < 0) {
		stream_become_deaf(stream);
		return;
	}
	if (sent > 0)
		stream->progress_ns = now_ns;
	len = http_body_sent(&stream->body, (size_t)sent);
	if (len)
		service_channel_consume(stream->channel, len);
}

/* The answer's head takes the place of the request's. */
static int head_pend(struct http_stream *stream)
{
	struct writer w = writer_of(stream->lending.head.data, HTTP_REQUEST_CAP);
	struct service_http_answer head;
	int err;

	http_answer_head(&stream->answer, &head);
	err = service_http_answer_write(&w, &head);
	if (err < 0)
		return err;
	stream->is_head_out = true;
	lending_pend(&stream->lending.head, writer_len(&w));
	return 0;
}

static void stream_input(struct http_stream *stream, struct loan *block, size_t len,
			 uint64_t now_ns)
{
	size_t body_len;

	/* Who answers half a head has no use for the rest. */
	if (!stream->is_answered && stream->head_sent_len < stream->head_len)
		stream_become_deaf(stream);
	stream->is_answered = true;
	stream->progress_ns = now_ns;
	if (http_answer_input(&stream->answer, block->data, len, &body_len) < 0) {
		lending_release(block);
		stream_fail(stream, stream->answer.fault, now_ns);
		return;
	}
	if (stream->answer.has_head && !stream->is_head_out && head_pend(stream) < 0) {
		lending_release(block);
		stream_fail(stream, "the head of its answer is longer than 16 KiB", now_ns);
		return;
	}
	if (body_len)
		lending_pend(block, body_len);
	else
		lending_release(block);
}

static void stream_eof(struct http_stream *stream, uint64_t now_ns)
{
	if (stream_retry(stream, now_ns))
		return;
	if (http_answer_eof(&stream->answer) == 0)
		return;
	health_suspect(offer_of(stream), now_ns);
	stream_fail(stream, stream->answer.fault, now_ns);
}

/* pending_send: true: nothing waits for the channel any more. */
static bool pending_send(struct http_stream *stream, uint64_t now_ns)
{
	unsigned before_cnt = stream->lending.pending_cnt;
	bool is_sent = lending_send(&stream->lending, stream->channel);

	if (stream->lending.pending_cnt < before_cnt)
		stream->progress_ns = now_ns;
	return is_sent;
}

/* True while more can be read at once. */
static bool stream_read_once(struct http_stream *stream, uint64_t now_ns)
{
	struct loan *block;
	ssize_t n;

	if (!stream->channel || !stream->conn || stream->conn->is_connecting ||
	    stream->answer.is_whole || !pending_send(stream, now_ns))
		return false;
	block = lending_acquire(&stream->lending);
	if (!block)
		return false;
	n = recv(stream->conn->watch.fd, block->data, LENDING_BLOCK_LEN, MSG_DONTWAIT);
	if (n > 0) {
		stream_input(stream, block, (size_t)n, now_ns);
		return true;
	}
	lending_release(block);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	stream_eof(stream, now_ns);
	return false;
}

/* stream_waits_for_caller: what the server said is not taken. */
static bool stream_waits_for_caller(const struct http_stream *stream)
{
	return stream->lending.pending_cnt || !lending_has_room(&stream->lending);
}

static void stream_watch(struct http_stream *stream, uint64_t now_ns)
{
	unsigned interest = 0;
	int err;

	if (!stream->conn)
		return;
	if (stream->conn->is_connecting || request_waits(stream))
		interest |= POLLER_OUT;
	if (!stream->conn->is_connecting && !stream_waits_for_caller(stream) &&
	    !stream->lending.is_starved)
		interest |= POLLER_IN;
	err = http_conn_watch(stream->conn, interest);
	if (err < 0)
		stream_unreachable(stream, err, now_ns);
}

static uint64_t stream_deadline_ns(const struct http_stream *stream)
{
	const struct offer *offer = offer_of(stream);

	if (stream->is_finished)
		return stream->progress_ns + LINGER_NS;
	if (stream->conn && stream->conn->is_connecting)
		return stream->progress_ns + CONNECT_NS;
	if (stream->is_request_whole && !stream->is_head_out)
		return stream->progress_ns + offer_timeout_ns(offer);
	return stream->progress_ns + offer->provider->config.stall_ns;
}

/* stream_settle is where an entry from outside leaves; the stream may be gone then. */
static void stream_settle(struct http_stream *stream, uint64_t now_ns)
{
	struct timer_wheel *timers = offer_of(stream)->provider->timers;

	if (stream->channel)
		stream_watch(stream, now_ns);
	stream->is_busy = false;
	if (!stream->channel) {
		if (!lending_owes(&stream->lending))
			stream_free(stream);
		return;
	}
	timer_set(timers, &stream->timer, stream_deadline_ns(stream));
	if (stream->lending.is_starved)
		timer_set(timers, &stream->turn, now_ns + STARVED_NS);
}

/* stream_turn does all that can be done now. */
static void stream_turn(struct http_stream *stream, uint64_t now_ns)
{
	unsigned reads = 0;

	stream->is_busy = true;
	stream->lending.is_starved = false;
	if (stream->conn && !stream->conn->is_connecting)
		stream_write(stream, now_ns);
	while (stream_read_once(stream, now_ns))
		if (++reads == READS_PER_TURN_MAX) {
			timer_set(offer_of(stream)->provider->timers, &stream->turn, now_ns);
			break;
		}
	if (stream->channel && !stream->is_finished && stream->answer.is_whole &&
	    pending_send(stream, now_ns))
		stream_complete(stream, now_ns);
	stream_settle(stream, now_ns);
}

static void conn_ready(void *user, unsigned events, uint64_t now_ns)
{
	struct http_stream *stream = user;
	int err;

	(void)events;
	if (stream->conn->is_connecting) {
		err = upstream_connect_result(stream->conn->watch.fd);
		stream->conn->is_connecting = false;
		if (err < 0) {
			stream->is_busy = true;
			stream_unreachable(stream, err, now_ns);
			stream_settle(stream, now_ns);
			return;
		}
	}
	stream_turn(stream, now_ns);
}

static void turn_fire(struct timer *timer, uint64_t now_ns)
{
	stream_turn(list_entry(timer, struct http_stream, turn), now_ns);
}

/* timer_fire: whatever the stream waited for, it came too late. */
static void timer_fire(struct timer *timer, uint64_t now_ns)
{
	struct http_stream *stream = list_entry(timer, struct http_stream, timer);

	stream->is_busy = true;
	if (stream->is_finished) {
		stream_end(stream, SERVICE_OK, "");
	} else if (stream->conn && stream->conn->is_connecting) {
		stream_unreachable(stream, -ETIMEDOUT, now_ns);
	} else {
		if (stream->is_request_whole && !stream_waits_for_caller(stream))
			offer_failed(offer_of(stream), "it did not answer in time", now_ns);
		stream_end(stream, SERVICE_TIMEOUT, "no byte of this exchange moved for too long");
	}
	stream_settle(stream, now_ns);
}

/* body_check: of a piece of the request, or its end, that could not be taken. */
static void body_check(struct http_stream *stream, int err, const char *fault)
{
	if (err == WEFT_EMALFORMED)
		stream_end(stream, SERVICE_INVALID_PAYLOAD, fault);
	else if (err < 0)
		stream_end(stream, SERVICE_UNAVAILABLE, "too many bodies are under way");
}

static void on_piece(void *arg, const struct service_piece *piece, uint64_t now_ns)
{
	struct http_stream *stream = arg;

	stream->is_busy = true;
	stream->progress_ns = now_ns;
	if (stream->is_deaf)
		service_channel_consume(stream->channel, piece->len);
	else
		body_check(stream, http_body_take(&stream->body, piece->data, piece->len),
			   "the body is longer than its head says");
	stream_turn(stream, now_ns);
}

static void on_finished(void *arg, uint64_t now_ns)
{
	struct http_stream *stream = arg;

	stream->is_busy = true;
	stream->is_request_whole = true;
	stream->progress_ns = now_ns;
	if (!stream->is_deaf)
		body_check(stream, http_body_finish(&stream->body),
			   "the body is shorter than its head says");
	stream_turn(stream, now_ns);
}

static void on_writable(void *arg, uint64_t now_ns)
{
	stream_turn(arg, now_ns);
}

static void on_ended(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	struct http_stream *stream = arg;

	(void)answer;
	stream->is_busy = true;
	stream_close(stream);
	stream_settle(stream, now_ns);
}

static const struct service_channel_events channel_events = {
	.piece = on_piece,
	.finished = on_finished,
	.writable = on_writable,
	.ended = on_ended,
};

/* stream_new: NULL: there is no room, which was counted. */
static struct http_stream *stream_new(struct offer *offer)
{
	struct provider *provider = offer->provider;
	struct http_stream *stream = pool_acquire(&provider->http_streams);

	if (!stream ||
	    !lending_init(&stream->lending, provider->heap, HTTP_REQUEST_CAP, block_returned)) {
		provider->stats.refused_cnt++;
		goto release_stream;
	}
	timer_init(&stream->timer, timer_fire);
	timer_init(&stream->turn, turn_fire);
	if (offer_enter(offer, &stream->active, stream_abandon))
		return stream;
	lending_fini(&stream->lending);
release_stream:
	if (stream)
		pool_release(&provider->http_streams, stream);
	return NULL;
}

static void stream_ask(struct http_stream *stream, const struct service_http_request *request,
		       const struct service_caller *caller)
{
	struct writer w = writer_of(stream->lending.head.data, HTTP_REQUEST_CAP);

	http_request_write(&w, request, offer_of(stream)->spec.view.target, caller);
	stream->head_len = writer_len(&w);
	http_body_init(&stream->body, offer_of(stream)->provider->heap, request->body_len);
	stream->is_safe = http_request_is_safe(request);
	stream->answer.is_to_head = request->verb_len == 4 && memcmp(request->verb, "HEAD", 4) == 0;
}

static int stream_connect(struct http_stream *stream)
{
	struct offer *offer = offer_of(stream);
	struct http_conn *conn = stream->is_safe ? http_conn_take(offer) : NULL;
	int err = conn ? 0 : http_conn_open(offer, &conn);

	if (err == 0)
		stream_use_conn(stream, conn);
	return err;
}

static void http_stream(void *ctx, struct service_channel *channel,
			const struct service_caller *caller, const char *method,
			const uint8_t *head, size_t len, uint64_t now_ns)
{
	struct offer *offer = ctx;
	struct service_http_request request;
	struct http_stream *stream;
	int err;

	if (strcmp(method, SERVICE_HTTP_METHOD) != 0) {
		service_channel_end(channel, SERVICE_METHOD_NOT_FOUND, HTTP_HINT);
		return;
	}
	if (service_http_request_parse(head, len, &request) < 0) {
		service_channel_end(channel, SERVICE_INVALID_PAYLOAD,
				    "the head of the request is not one of HttpInvoke");
		return;
	}
	stream = stream_new(offer);
	if (!stream) {
		service_channel_end(channel, SERVICE_UNAVAILABLE,
				    "the service has too many requests under way");
		return;
	}
	offer->stream_cnt++;
	offer->provider->stats.stream_cnt++;
	stream_ask(stream, &request, caller);
	stream->channel = channel;
	stream->progress_ns = now_ns;
	stream->is_busy = true;
	err = stream_connect(stream);
	if (err < 0) {
		stream_unreachable(stream, err, now_ns);
		stream_settle(stream, now_ns);
		return;
	}
	service_channel_accept(channel, &channel_events, stream);
	stream_turn(stream, now_ns);
}

static void http_call(void *ctx, struct service_call *call, const struct service_caller *caller,
		      const char *method, const uint8_t *payload, size_t len, uint64_t now_ns)
{
	(void)ctx, (void)caller, (void)method, (void)payload, (void)len;
	service_reply(call, SERVICE_METHOD_NOT_FOUND, HTTP_HINT, NULL, 0, now_ns);
}

const struct service_handler http_handler = {
	.call = http_call,
	.stream = http_stream,
};

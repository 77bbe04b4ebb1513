/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a stream to an HTTP server: its turns, its waits, its end. */
#include "http_stream.h"

#include <errno.h>
#include <stdio.h>

#include "base/monotonic.h"
#include "http.h"
#include "http_request.h"
#include "http_upgrade.h"

#define READS_PER_TURN_MAX 16
#define STARVED_NS	   (10 * NS_PER_MS) /* until a block is asked of a full heap again */
#define CONNECT_NS	   (5 * NS_PER_S)
#define BEATS_PER_STALL	   4
#define LINGER_NS	   (10 * NS_PER_S) /* a caller may go on sending after the answer */

size_t provider_http_stream_len(void)
{
	return sizeof(struct http_stream);
}

/* stream_free: nothing of it is lent. */
static void stream_free(struct http_stream *stream)
{
	struct provider *provider = http_stream_offer(stream)->provider;

	provider_buffer_refs_fini(&stream->buffer_refs);
	provider_offer_leave(&stream->active);
	pool_release(&provider->http_streams, stream);
}

void provider_http_stream_cancel(struct http_stream *stream)
{
	stream_free(stream);
}

void provider_http_stream_drop_conn(struct http_stream *stream)
{
	if (stream->conn)
		provider_http_conn_close(stream->conn);
	stream->conn = NULL;
}

void provider_http_stream_close(struct http_stream *stream)
{
	struct timer_wheel *timers = http_stream_offer(stream)->provider->timers;

	stream->channel = NULL;
	provider_http_upgrade_leave(stream);
	provider_http_stream_drop_conn(stream);
	timer_cancel(timers, &stream->timer);
	timer_cancel(timers, &stream->turn);
	(void)provider_http_body_drop(&stream->body);
}

void provider_http_stream_end(struct http_stream *stream, enum service_status status,
			      const char *text)
{
	service_channel_end(stream->channel, status, text);
	provider_http_stream_close(stream);
}

static void stream_abandon(struct active *active, const char *why, uint64_t now_ns)
{
	struct http_stream *stream = container_of(active, struct http_stream, active);

	if (!stream->channel)
		return;
	stream->is_busy = true;
	provider_http_stream_end(stream, SERVICE_UNAVAILABLE, why);
	provider_http_stream_settle(stream, now_ns);
}

static const struct active_kind stream_kind = {.abandon = stream_abandon, .is_stream = true};

/* Comes from the channel, maybe while it is called: the stream goes on at its turn. */
static void block_returned(struct buffer_refs *buffer_refs)
{
	struct http_stream *stream = container_of(buffer_refs, struct http_stream, buffer_refs);

	if (stream->channel)
		timer_set(http_stream_offer(stream)->provider->timers, &stream->turn, 0);
	else if (!stream->is_busy)
		provider_http_stream_settle(stream, 0);
}

void provider_http_stream_deafen(struct http_stream *stream)
{
	size_t len = provider_http_body_drop(&stream->body);

	stream->is_deaf = true;
	if (len)
		service_channel_consume(stream->channel, len);
}

/* stream_finish: the channel has all of the answer; later bytes of the caller are dropped. */
static void stream_finish(struct http_stream *stream, uint64_t now_ns)
{
	provider_http_stream_drop_conn(stream);
	provider_http_upgrade_leave(stream);
	provider_http_stream_deafen(stream);
	service_channel_finish(stream->channel);
	stream->is_finished = true;
	stream->progress_ns = now_ns;
}

static void stream_complete(struct http_stream *stream, uint64_t now_ns)
{
	/*
	 * A server that took only a part of the request would read the next one as the rest of it.
	 */
	if (stream->answer.keeps_alive && stream->is_safe && !stream->is_deaf && stream->conn) {
		provider_http_conn_keep(stream->conn, now_ns);
		stream->conn = NULL;
	}
	stream_finish(stream, now_ns);
}

/*
 * stream_say answers in place of the server, if the caller has no head yet; it is the end of the
 * answer.
 */
static void stream_say(struct http_stream *stream, unsigned status, const char *text,
		       uint64_t now_ns)
{
	struct service_http_answer answer = {.status = status, .body_len = strlen(text)};
	uint8_t head[256];
	struct writer w = writer_of(head, sizeof(head));
	struct service_piece pieces[2] = {
		{.data = head, .is_last = true},
		{.data = (const uint8_t *)text, .len = strlen(text), .is_last = true}};

	answer.headers.list[0] = (struct service_http_header){"content-type", "text/plain", 12, 10};
	answer.headers.cnt = 1;
	if (service_http_answer_write(&w, &answer) < 0)
		goto end;
	pieces[0].len = writer_len(&w);
	for (unsigned i = 0; i < (stream->answer.is_to_head ? 1 : 2); i++)
		if (service_channel_send(stream->channel, &pieces[i], NULL, NULL) < 0)
			goto end;
	stream_finish(stream, now_ns);
	return;
end:
	provider_http_stream_end(stream, SERVICE_UNKNOWN_ERROR, "");
}

void provider_http_stream_fail(struct http_stream *stream, const char *fault, uint64_t now_ns)
{
	char text[128];

	provider_offer_failed(http_stream_offer(stream), fault, now_ns);
	if (stream->is_head_out) {
		provider_http_stream_end(stream, SERVICE_UNKNOWN_ERROR, "");
		return;
	}
	snprintf(text, sizeof(text), "The program behind this service failed: %s.\n", fault);
	stream_say(stream, 502, text, now_ns);
}

void provider_http_stream_refuse_body(struct http_stream *stream, uint64_t now_ns)
{
	if (stream->is_head_out)
		provider_http_stream_end(stream, SERVICE_PAYLOAD_TOO_LARGE,
					 "the body is longer than this service takes");
	else
		stream_say(stream, 413, "The body is longer than this service takes.\n", now_ns);
}

void provider_http_stream_unreachable(struct http_stream *stream, int err, uint64_t now_ns)
{
	struct offer *offer = http_stream_offer(stream);

	provider_http_stream_end(stream, SERVICE_UNAVAILABLE,
				 "the program behind this service is not running");
	provider_health_refused(offer, err, now_ns);
}

static void stream_watch(struct http_stream *stream, uint64_t now_ns)
{
	unsigned interest = 0;
	int err;

	if (!stream->conn)
		return;
	if (stream->conn->is_connecting || provider_http_exchange_wants_to_write(stream))
		interest |= POLLER_OUT;
	if (!stream->conn->is_connecting && !provider_http_exchange_waits_for_caller(stream) &&
	    !stream->buffer_refs.is_starved)
		interest |= POLLER_IN;
	err = provider_http_conn_watch(stream->conn, interest);
	if (err < 0)
		provider_http_stream_unreachable(stream, err, now_ns);
}

/* stream_awaits_answer: all of the request is there, so it is the server's turn. */
static bool stream_awaits_answer(const struct http_stream *stream)
{
	return stream->is_request_whole || (stream->is_upgrade && !stream->answer.is_switched);
}

static uint64_t stream_deadline_ns(const struct http_stream *stream)
{
	const struct offer *offer = http_stream_offer(stream);

	if (stream->is_finished)
		return stream->progress_ns + LINGER_NS;
	if (stream->conn && stream->conn->is_connecting)
		return stream->progress_ns + CONNECT_NS;
	if (stream->answer.is_switched)
		return provider_http_upgrade_deadline_ns(stream);
	if (stream_awaits_answer(stream) && !stream->is_head_out)
		return stream->progress_ns + provider_offer_timeout_ns(offer);
	if (provider_http_exchange_may_beat(stream))
		return stream->progress_ns + offer->provider->config.stall_ns / BEATS_PER_STALL;
	return stream->progress_ns + offer->provider->config.stall_ns;
}

void provider_http_stream_settle(struct http_stream *stream, uint64_t now_ns)
{
	struct timer_wheel *timers = http_stream_offer(stream)->provider->timers;
	uint64_t deadline_ns;

	if (stream->channel)
		stream_watch(stream, now_ns);
	stream->is_busy = false;
	if (!stream->channel) {
		if (!provider_buffer_refs_owes(&stream->buffer_refs))
			stream_free(stream);
		return;
	}
	deadline_ns = stream_deadline_ns(stream);
	if (deadline_ns == UINT64_MAX)
		timer_cancel(timers, &stream->timer);
	else
		timer_set(timers, &stream->timer, deadline_ns);
	if (stream->buffer_refs.is_starved)
		timer_set(timers, &stream->turn, now_ns + STARVED_NS);
}

void provider_http_stream_turn(struct http_stream *stream, uint64_t now_ns)
{
	unsigned reads = 0;

	stream->is_busy = true;
	stream->buffer_refs.is_starved = false;
	if (stream->conn && !stream->conn->is_connecting)
		provider_http_exchange_write(stream, now_ns);
	provider_http_upgrade_write(stream);
	while (provider_http_exchange_read(stream, now_ns))
		if (++reads == READS_PER_TURN_MAX) {
			timer_set(http_stream_offer(stream)->provider->timers, &stream->turn,
				  now_ns);
			break;
		}
	if (stream->channel && !stream->is_finished && stream->answer.is_whole &&
	    provider_http_exchange_pass_on(stream, now_ns))
		stream_complete(stream, now_ns);
	provider_http_stream_settle(stream, now_ns);
}

static void conn_ready(void *user, unsigned events, uint64_t now_ns)
{
	struct http_stream *stream = user;
	int err;

	(void)events;
	if (stream->conn->is_connecting) {
		err = provider_upstream_connect_result(stream->conn->watch.fd);
		stream->conn->is_connecting = false;
		if (err < 0) {
			stream->is_busy = true;
			provider_http_stream_unreachable(stream, err, now_ns);
			provider_http_stream_settle(stream, now_ns);
			return;
		}
	}
	provider_http_stream_turn(stream, now_ns);
}

void provider_http_stream_use_conn(struct http_stream *stream, struct http_conn *conn)
{
	conn->ready = conn_ready;
	conn->user = stream;
	stream->conn = conn;
	stream->head_sent_len = 0;
	stream->is_deaf = false;
	provider_http_answer_init(&stream->answer, stream->answer.is_to_head);
	stream->answer.may_switch = stream->is_upgrade;
}

/* The server's turn: it has not begun its answer, or does not take the rest of the request. */
static bool stream_waits_for_server(const struct http_stream *stream)
{
	if (!stream->channel || stream->is_head_out || stream->is_finished ||
	    provider_http_exchange_waits_for_caller(stream))
		return false;
	return stream_awaits_answer(stream) || provider_http_exchange_wants_to_write(stream);
}

void provider_http_stream_judge(struct http_stream *stream, uint64_t now_ns)
{
	uint64_t span_ns, waited_ns = now_ns - stream->progress_ns;

	if (!stream_waits_for_server(stream))
		return;
	/* A caller counts from before its request came here: an eighth may have passed. */
	span_ns = stream_deadline_ns(stream) - stream->progress_ns;
	if (waited_ns >= span_ns - span_ns / 8)
		provider_health_call_overdue(http_stream_offer(stream), stream->progress_ns,
					     now_ns);
}

static void turn_fire(struct timer *timer, uint64_t now_ns)
{
	provider_http_stream_turn(container_of(timer, struct http_stream, turn), now_ns);
}

/* timer_fire: whatever the stream waited for, it came too late. */
static void timer_fire(struct timer *timer, uint64_t now_ns)
{
	struct http_stream *stream = container_of(timer, struct http_stream, timer);

	stream->is_busy = true;
	if (stream->is_finished) {
		provider_http_stream_end(stream, SERVICE_OK, "");
	} else if (stream->conn && stream->conn->is_connecting) {
		provider_http_stream_unreachable(stream, -ETIMEDOUT, now_ns);
	} else if (!provider_http_exchange_beat(stream, now_ns)) {
		if (stream_waits_for_server(stream))
			provider_offer_failed(http_stream_offer(stream),
					      "it did not answer in time", now_ns);
		provider_http_stream_judge(stream, now_ns);
		provider_http_stream_end(stream, SERVICE_TIMEOUT,
					 "no byte of this exchange moved for too long");
	}
	provider_http_stream_settle(stream, now_ns);
}

struct http_stream *provider_http_stream_new(struct offer *offer,
					     const struct service_caller *caller, uint64_t now_ns)
{
	struct provider *provider = offer->provider;
	struct http_stream *stream;

	provider_offer_make_room(offer, caller, now_ns);
	stream = pool_acquire(&provider->http_streams);
	if (!stream || !provider_buffer_refs_init(&stream->buffer_refs, provider->heap,
						  HTTP_REQUEST_CAP, block_returned)) {
		provider->stats.refused_cnt++;
		goto release_stream;
	}
	timer_init(&stream->timer, timer_fire);
	timer_init(&stream->turn, turn_fire);
	if (provider_offer_enter(offer, &stream->active, &stream_kind, caller, now_ns))
		return stream;
	provider_buffer_refs_fini(&stream->buffer_refs);
release_stream:
	if (stream)
		pool_release(&provider->http_streams, stream);
	return NULL;
}

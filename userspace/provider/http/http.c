/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams of HttpInvoke to a local HTTP server, and its answers back.
 *
 *	request   channel's opening -> head -> connection; its pieces -> out -> connection
 *	answer    connection -> a block of 64 KiB -> http_answer takes the framing off
 *		  -> the block is lent to the channel until it is acknowledged
 *
 * Neither body is ever held whole. A server that does not read makes out grow. The bytes of out
 * are not consumed, so the caller is stopped. A caller that does not read keeps the blocks,
 * without which nothing is read from the server.
 */
#include "http.h"

#include <string.h>

#include "http_request.h"
#include "http_stream.h"
#include "http_upgrade.h"

#define HTTP_HINT                                                                                  \
	"this service speaks HTTP: ask it by /mesh/http/NAME/PATH of a gateway, by weft service "  \
	"call NAME GET /PATH, or open a stream of method HttpInvoke"

/*
 * A server that refuses the upgrade would take them for its next request, with any caller named in
 * it.
 */
#define EARLY_TEXT "bytes came before the server agreed to a WebSocket"

/* body_check: of a piece of the request, or its end, that could not be taken. */
static void body_check(struct http_stream *stream, int err, const char *fault, uint64_t now_ns)
{
	if (err == WEFT_ETOOLARGE)
		provider_http_stream_refuse_body(stream, now_ns);
	else if (err == WEFT_EMALFORMED)
		provider_http_stream_end(stream, SERVICE_INVALID_PAYLOAD, fault);
	else if (err < 0)
		provider_http_stream_end(stream, SERVICE_UNAVAILABLE,
					 "too many bodies are under way");
}

static void on_piece(void *arg, const struct service_piece *piece, uint64_t now_ns)
{
	struct http_stream *stream = arg;

	stream->is_busy = true;
	stream->progress_ns = now_ns;
	if (stream->is_deaf)
		service_channel_consume(stream->channel, piece->len);
	else if (stream->is_upgrade && !stream->answer.is_switched)
		provider_http_stream_end(stream, SERVICE_INVALID_PAYLOAD, EARLY_TEXT);
	else
		body_check(stream, provider_http_body_take(&stream->body, piece->data, piece->len),
			   "the body is longer than its head says", now_ns);
	provider_http_stream_turn(stream, now_ns);
}

static void on_finished(void *arg, uint64_t now_ns)
{
	struct http_stream *stream = arg;

	stream->is_busy = true;
	stream->is_request_whole = true;
	stream->progress_ns = now_ns;
	if (!stream->is_deaf && !stream->is_upgrade)
		body_check(stream, provider_http_body_finish(&stream->body),
			   "the body is shorter than its head says", now_ns);
	provider_http_stream_turn(stream, now_ns);
}

static void on_writable(void *arg, uint64_t now_ns)
{
	provider_http_stream_turn(arg, now_ns);
}

static void on_ended(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	struct http_stream *stream = arg;

	(void)answer;
	stream->is_busy = true;
	provider_http_stream_judge(stream, now_ns);
	provider_http_stream_close(stream);
	provider_http_stream_settle(stream, now_ns);
}

static const struct service_channel_events channel_events = {
	.piece = on_piece,
	.finished = on_finished,
	.writable = on_writable,
	.ended = on_ended,
};

/* body_len_max: of a request, as the offer says. */
static uint64_t body_len_max(const struct offer *offer)
{
	uint64_t len_max = offer->spec.view.body_len_max;

	return len_max ? len_max : UINT64_MAX;
}

static bool body_is_too_long(const struct offer *offer, const struct service_http_request *request)
{
	return request->body_len != SERVICE_HTTP_BODY_LEN_UNTOLD &&
	       request->body_len > body_len_max(offer);
}

static void stream_ask(struct http_stream *stream, const struct service_http_request *request,
		       const struct service_caller *caller)
{
	struct writer w = writer_of(stream->buffer_refs.head.data, HTTP_REQUEST_CAP);
	struct offer *offer = http_stream_offer(stream);
	const char *target = offer->spec.view.target;

	if (stream->is_upgrade)
		provider_http_request_write_upgrade(&w, request, target, caller);
	else
		provider_http_request_write(&w, request, target, caller);
	stream->head_len = writer_len(&w);
	/* The length of a WebSocket is unknown, and its bytes get no framing here. */
	provider_http_body_init(&stream->body, offer->provider->heap,
				stream->is_upgrade ? SERVICE_HTTP_BODY_LEN_UNTOLD - 1
						   : request->body_len,
				body_len_max(offer));
	stream->is_safe = !stream->is_upgrade && provider_http_request_is_safe(request);
	stream->answer.is_to_head = request->verb_len == 4 && memcmp(request->verb, "HEAD", 4) == 0;
}

static int stream_connect(struct http_stream *stream)
{
	struct offer *offer = http_stream_offer(stream);
	struct http_conn *conn = stream->is_safe ? provider_http_conn_take(offer) : NULL;
	int err = conn ? 0 : provider_http_conn_open(offer, &conn);

	if (err == 0)
		provider_http_stream_use_conn(stream, conn);
	return err;
}

static void http_stream(void *ctx, struct service_channel *channel,
			const struct service_input *input, uint64_t now_ns)
{
	struct offer *offer = ctx;
	struct service_http_request request;
	struct http_stream *stream;
	bool is_upgrade = strcmp(input->method, SERVICE_HTTP_UPGRADE) == 0;
	int err;

	if (!service_http_is_method(input->method)) {
		service_channel_end(channel, SERVICE_METHOD_NOT_FOUND, HTTP_HINT);
		return;
	}
	if (service_http_request_parse(input->data, input->len, &request) < 0) {
		service_channel_end(channel, SERVICE_INVALID_PAYLOAD,
				    "the head of the request is not one of HttpInvoke");
		return;
	}
	if (is_upgrade && !service_http_wants_socket(&request)) {
		service_channel_end(channel, SERVICE_INVALID_PAYLOAD,
				    "the head of the request asks for no WebSocket");
		return;
	}
	stream = provider_http_stream_new(offer, input->caller, now_ns);
	if (stream && is_upgrade && !provider_http_upgrade_enter(stream, input->caller, now_ns)) {
		provider_http_stream_cancel(stream);
		service_channel_end(channel, SERVICE_UNAVAILABLE,
				    "the service has too many WebSockets open");
		return;
	}
	if (!stream) {
		service_channel_end(channel, SERVICE_UNAVAILABLE,
				    "the service has too many requests under way");
		return;
	}
	stream->is_upgrade = is_upgrade;
	offer->stream_cnt++;
	offer->provider->stats.stream_cnt++;
	stream_ask(stream, &request, input->caller);
	stream->channel = channel;
	stream->progress_ns = now_ns;
	stream->is_busy = true;
	/* Its server gets nothing of it. */
	if (body_is_too_long(offer, &request)) {
		service_channel_accept(channel, &channel_events, stream);
		provider_http_stream_refuse_body(stream, now_ns);
		provider_http_stream_settle(stream, now_ns);
		return;
	}
	err = stream_connect(stream);
	if (err < 0) {
		provider_http_stream_unreachable(stream, err, now_ns);
		provider_http_stream_settle(stream, now_ns);
		return;
	}
	service_channel_accept(channel, &channel_events, stream);
	provider_http_stream_turn(stream, now_ns);
}

static void http_call(void *ctx, struct service_call *call, const struct service_input *input,
		      uint64_t now_ns)
{
	(void)ctx, (void)input;
	service_fail(call, SERVICE_METHOD_NOT_FOUND, HTTP_HINT, now_ns);
}

const struct service_handler provider_http_handler = {
	.call = http_call,
	.stream = http_stream,
};

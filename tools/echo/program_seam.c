/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls and streams of a service in a program of its own. One thread, the program's.
 *
 * Inbound: on_call, on_stream and on_piece -> the service's handler; out: service_reply and
 * service_channel_send -> libweft. What a service did not consume holds its sender back, as in weftd.
 */
#include "program_seam.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "codec/text/zbase32.h"

#define UNREAD_MAX ((size_t)1 << 20) /* bytes of a stream that a service did not consume */

struct service_call {
	struct weft_request *request;
};

struct service_channel {
	struct weft_request *request; /* until it is taken */
	struct weft_stream *stream;   /* from then on */
	const struct service_channel_events *events;
	void *arg;
	size_t unread_len;
	bool is_paused;
};

/* ---- calls ---- */

/* caller_read: this program's peer is its node, which names the caller. */
static struct service_caller caller_read(const struct weft_request_info *info)
{
	struct service_caller caller = {.is_local = false};
	uint64_t left_ns = info->ms_left > 0 ? (uint64_t)(unsigned)info->ms_left * NS_PER_MS : 0;

	if (zbase32_parse(info->caller, strlen(info->caller), caller.key, sizeof(caller.key)) !=
	    sizeof(caller.key))
		memset(caller.key, 0, sizeof(caller.key));
	caller.deadline_ns = clock_monotonic_ns() + left_ns;
	return caller;
}

static struct service_input input_of(const struct weft_request_info *info,
				     const struct service_caller *caller)
{
	return (struct service_input){
		.caller = caller, .method = info->method, .data = info->payload, .len = info->len};
}

void service_reply(struct service_call *call, const struct service_outcome *outcome,
		   uint64_t now_ns)
{
	(void)now_ns;
	if (outcome->status == SERVICE_OK)
		weft_request_reply(call->request, outcome->payload, outcome->len);
	else
		weft_request_fail(call->request, (enum weft_call_status)outcome->status,
				  outcome->text ? outcome->text : "");
	free(call);
}

static void on_call(void *ctx, struct weft_request *request, const struct weft_request_info *info)
{
	const struct program_seam *seam = ctx;
	const struct service_caller caller = caller_read(info);
	const struct service_input input = input_of(info, &caller);
	struct service_call *call = calloc(1, sizeof(*call));

	if (!call) {
		weft_request_fail(request, WEFT_CALL_UNAVAILABLE, "no memory");
		return;
	}
	call->request = request;
	seam->handler->call(seam->ctx, call, &input, clock_monotonic_ns());
}

/* ---- streams ---- */

static void on_piece(void *arg, struct weft_stream *stream, const void *data, size_t len,
		     unsigned flags)
{
	struct service_channel *channel = arg;
	const struct service_piece piece = {.data = data,
					    .len = len,
					    .is_text = flags & WEFT_STREAM_TEXT,
					    .is_last = !(flags & WEFT_STREAM_MORE)};

	channel->unread_len += len;
	channel->is_paused = channel->unread_len > UNREAD_MAX;
	if (channel->is_paused)
		weft_stream_pause(stream, true);
	/* It may end the channel. */
	channel->events->piece(channel->arg, &piece, clock_monotonic_ns());
}

static void on_finished(void *arg, struct weft_stream *stream)
{
	const struct service_channel *channel = arg;

	(void)stream;
	channel->events->finished(channel->arg, clock_monotonic_ns());
}

static void on_writable(void *arg, struct weft_stream *stream)
{
	const struct service_channel *channel = arg;

	(void)stream;
	channel->events->writable(channel->arg, clock_monotonic_ns());
}

static void on_ended(void *arg, struct weft_stream *stream, enum weft_call_status status,
		     const char *text)
{
	struct service_channel *channel = arg;
	const struct service_answer answer = {.status = (enum service_status)status, .text = text};

	(void)stream;
	channel->events->ended(channel->arg, &answer, clock_monotonic_ns());
	free(channel);
}

void service_channel_accept(struct service_channel *channel,
			    const struct service_channel_events *events, void *arg)
{
	static const struct weft_stream_events stream_events = {.piece = on_piece,
								.finished = on_finished,
								.writable = on_writable,
								.ended = on_ended};

	channel->events = events;
	channel->arg = arg;
	channel->stream = weft_request_accept(channel->request, &stream_events, channel);
	channel->request = NULL;
	if (!channel->stream)
		on_ended(channel, NULL, WEFT_CALL_UNAVAILABLE, "no memory");
}

int service_channel_send(struct service_channel *channel, const struct service_piece *piece,
			 void (*done)(void *arg), void *arg)
{
	unsigned flags =
		(piece->is_text ? WEFT_STREAM_TEXT : 0u) | (piece->is_last ? 0u : WEFT_STREAM_MORE);
	int err = weft_stream_send(channel->stream, piece->data, piece->len, flags);

	if (err < 0)
		return err == WEFT_EFULL ? err : WEFT_ECLOSED;
	if (done)
		done(arg); /* libweft has copied it */
	return 0;
}

void service_channel_finish(struct service_channel *channel)
{
	weft_stream_finish(channel->stream);
}

void service_channel_consume(struct service_channel *channel, size_t len)
{
	channel->unread_len -= len;
	if (!channel->is_paused || channel->unread_len > UNREAD_MAX / 2)
		return;
	channel->is_paused = false;
	weft_stream_pause(channel->stream, false);
}

void service_channel_end(struct service_channel *channel, enum service_status status,
			 const char *text)
{
	if (channel->stream)
		weft_stream_end(channel->stream, (enum weft_call_status)status, text ? text : "");
	else
		weft_request_fail(channel->request, (enum weft_call_status)status,
				  text ? text : "");
	free(channel);
}

static void on_stream(void *ctx, struct weft_request *request, const struct weft_request_info *info)
{
	const struct program_seam *seam = ctx;
	const struct service_caller caller = caller_read(info);
	const struct service_input input = input_of(info, &caller);
	struct service_channel *channel = calloc(1, sizeof(*channel));

	if (!channel) {
		weft_request_fail(request, WEFT_CALL_UNAVAILABLE, "no memory");
		return;
	}
	channel->request = request;
	seam->handler->stream(seam->ctx, channel, &input, clock_monotonic_ns());
}

const struct weft_handler program_seam_handler = {.call = on_call, .stream = on_stream};

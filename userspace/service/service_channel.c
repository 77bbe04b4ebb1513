/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams of services. One side is over the mesh. There pieces of messages are frames, the end
 * in order is the finish of both directions, and any other end is a STREAM_CLOSE. Received bytes
 * go on as the packets bring them; nothing is held. Home worker.
 */
#include "service/service_channel.h"

#include <string.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "service/incoming/call_answer.h"
#include "service/outgoing/call_ask.h"
#include "service/outgoing/call_client.h"
#include "service/service_state.h"

/* Codes of resets that end a stream with a status; below them are the mesh's own. */
#define RESET_CODE 0x300u
/* A channel that its user has left may take this long to end. */
#define DRAIN_NS (30 * NS_PER_S)

static const struct mesh_stream_ops *channel_ops(const struct service_channel *channel)
{
	return channel->service->params.streams.ops;
}

/* The mesh's stream below, or NULL: there is none yet, or no longer. */
static struct mesh_stream *channel_stream(const struct service_channel *channel)
{
	if (channel->call)
		return channel->call->stream;
	return channel->ask ? channel->ask->stream : NULL;
}

void service_channel_release(struct service_channel *channel)
{
	timer_cancel(channel->service->params.timers, &channel->timer);
	pool_release(&channel->service->channels, channel);
}

/* Nothing is left of it: neither its stream nor a waiting caller. */
void service_channel_gone(struct service_channel *channel)
{
	struct service_call *call = channel->call;
	struct service_ask *ask = channel->ask;

	service_channel_release(channel);
	if (call)
		service_router_channel_gone(call);
	if (ask)
		service_client_gone(ask);
}

/* The user's part is over; its call is no longer in hand. */
void service_channel_close(struct service_channel *channel, enum service_status status)
{
	channel->state = SERVICE_CHANNEL_CLOSED;
	channel->status = status;
	if (channel->call)
		service_router_channel_over(channel->call, status, channel->service->now_ns);
	timer_set(channel->service->params.timers, &channel->timer,
		  channel->service->now_ns + DRAIN_NS);
}

void service_channel_tell_ended(const struct service_channel_events *events, void *arg,
				enum service_status status, const char *text, uint64_t now_ns)
{
	struct service_answer answer = {.status = status, .text = status == SERVICE_OK ? "" : text};

	if (events->ended)
		events->ended(arg, &answer, now_ns);
}

/* After a finish no frame can say how the stream ends: the code of a reset does. */
static void channel_reset(struct service_channel *channel)
{
	channel_ops(channel)->reset(channel_stream(channel),
				    RESET_CODE + (uint64_t)channel->status);
	if (channel->call)
		channel->call->stream = NULL;
	else
		channel->ask->stream = NULL;
	timer_set(channel->service->params.timers, &channel->timer, 0);
}

/* Sends STREAM_CLOSE and finishes; when it finds no room, writable comes back to it. */
static void channel_send_close(struct service_channel *channel)
{
	struct mesh_stream *stream = channel_stream(channel);
	uint8_t close[SERVICE_CLOSE_LEN_MAX];
	struct writer w = writer_of(close, sizeof(close));
	struct mesh_stream_frame frame = {.type = MESH_STREAM_CLOSE};

	if (channel->is_finished) {
		channel_reset(channel);
		return;
	}
	service_close_write(&w, channel->status, channel->text);
	weft_assert(!w.bad);
	frame.payload_len = writer_len(&w);
	channel->is_close_unsent =
		channel_ops(channel)->send(stream, &frame, close, frame.payload_len, NULL) ==
		WEFT_EFULL;
	if (!channel->is_close_unsent)
		channel_ops(channel)->finish(stream);
}

/* The other side broke the protocol. */
static void channel_fail(struct service_channel *channel, const char *text, uint64_t now_ns)
{
	const struct service_channel_events *events = channel->events;
	const uint8_t *key =
		channel->call ? channel->call->caller.key : service_ask_provider(channel->ask)->key;
	void *arg = channel->arg;

	service_tell_violation(channel->service, key, "broke the rules of a stream", now_ns);
	service_channel_end(channel, SERVICE_INVALID_PAYLOAD, text);
	service_channel_tell_ended(events, arg, SERVICE_INVALID_PAYLOAD, text, now_ns);
}

static bool frame_is_in_order(const struct service_channel *channel,
			      const struct mesh_stream_frame *frame)
{
	if (frame->type == MESH_STREAM_CLOSE)
		return frame->payload_len > 0 && frame->payload_len <= SERVICE_CLOSE_LEN_MAX;
	return frame->type == MESH_STREAM_DATA && frame->payload_len <= SERVICE_PIECE_LEN_MAX &&
	       (!channel->in_message ||
		channel->in_text == !!(frame->flags & MESH_STREAM_FLAG_TEXT));
}

static void channel_piece(struct service_channel *channel, const uint8_t *data, size_t len,
			  uint64_t now_ns)
{
	struct service_piece piece = {.data = data, .len = len, .is_text = channel->in_text};

	channel->in_left_len -= len;
	piece.is_last = !channel->in_left_len && !channel->in_more;
	channel->in_message = !piece.is_last;
	if (channel->events->piece)
		channel->events->piece(channel->arg, &piece, now_ns);
}

void service_channel_frame(struct service_channel *channel, const struct mesh_stream_frame *frame,
			   uint64_t now_ns)
{
	channel->service->now_ns = now_ns;
	channel->in_type = frame->type;
	channel->in_left_len = frame->payload_len;
	channel->close_len = 0;
	if (channel->state != SERVICE_CHANNEL_OPEN)
		return;
	if (!frame_is_in_order(channel, frame)) {
		channel_fail(channel, "a frame that has no place in a stream came", now_ns);
		return;
	}
	if (frame->type != MESH_STREAM_DATA)
		return;
	channel->in_text = frame->flags & MESH_STREAM_FLAG_TEXT;
	channel->in_more = frame->flags & MESH_STREAM_FLAG_MORE;
	if (!frame->payload_len)
		channel_piece(channel, NULL, 0, now_ns);
}

/* The other side ended both directions. */
static void channel_closed(struct service_channel *channel, uint64_t now_ns)
{
	const struct service_channel_events *events = channel->events;
	struct service_reply_head head;
	void *arg = channel->arg;

	if (service_close_parse(channel->close, channel->close_len, &head) < 0) {
		channel_fail(channel, "the end of the stream is malformed", now_ns);
		return;
	}
	if (!channel->is_finished)
		channel_ops(channel)->finish(channel_stream(channel));
	service_channel_close(channel, head.status);
	service_channel_tell_ended(events, arg, head.status, head.text, now_ns);
}

void service_channel_data(struct service_channel *channel, const uint8_t *data, size_t len,
			  uint64_t now_ns)
{
	channel->service->now_ns = now_ns;
	if (channel->state == SERVICE_CHANNEL_OPEN && channel->in_type == MESH_STREAM_DATA) {
		channel_piece(channel, data, len, now_ns);
		return;
	}
	channel_ops(channel)->consume(channel_stream(channel), len);
	if (channel->state != SERVICE_CHANNEL_OPEN || len > channel->in_left_len)
		return;
	memcpy(channel->close + channel->close_len, data, len);
	channel->close_len += len;
	channel->in_left_len -= len;
	if (!channel->in_left_len)
		channel_closed(channel, now_ns);
}

void service_channel_finished(struct service_channel *channel, uint64_t now_ns)
{
	channel->service->now_ns = now_ns;
	channel->has_finish = true;
	if (channel->state != SERVICE_CHANNEL_OPEN)
		return;
	if (channel->in_message)
		channel_fail(channel, "the stream ended within a message", now_ns);
	else if (channel->events->finished)
		channel->events->finished(channel->arg, now_ns);
}

void service_channel_writable(struct service_channel *channel, uint64_t now_ns)
{
	channel->service->now_ns = now_ns;
	if (channel->is_close_unsent) {
		channel_send_close(channel);
	} else if (channel->wants_writable && channel->state != SERVICE_CHANNEL_CLOSED) {
		channel->wants_writable = false;
		if (channel->events->writable)
			channel->events->writable(channel->arg, now_ns);
	}
}

static enum service_status end_status(const struct mesh_stream_end *end)
{
	if (!end->err)
		return SERVICE_OK;
	if (end->err == WEFT_ECANCELLED && end->code >= RESET_CODE &&
	    end->code < RESET_CODE + SERVICE_STATUS_CNT)
		return (enum service_status)(end->code - RESET_CODE);
	return SERVICE_UNAVAILABLE;
}

void service_channel_ended(struct service_channel *channel, const struct mesh_stream_end *end,
			   uint64_t now_ns)
{
	const struct service_channel_events *events = channel->events;
	bool is_over = channel->state == SERVICE_CHANNEL_CLOSED;
	void *arg = channel->arg;
	enum service_status status = end_status(end);
	const char *text = status == SERVICE_UNAVAILABLE ? "the connection was lost"
							 : "the other side ended the stream";

	channel->service->now_ns = now_ns;
	if (!is_over)
		service_channel_close(channel, status);
	service_channel_gone(channel);
	if (!is_over)
		service_channel_tell_ended(events, arg, status, text, now_ns);
}

static void channel_expire(struct timer *timer, uint64_t now_ns)
{
	struct service_channel *channel = container_of(timer, struct service_channel, timer);
	struct mesh_stream *stream = channel_stream(channel);

	channel->service->now_ns = now_ns;
	if (channel->is_local) {
		service_channel_local_tell(channel, now_ns);
		return;
	}
	if (stream)
		channel_ops(channel)->reset(stream, 0);
	service_channel_gone(channel);
}

static struct service_channel *channel_acquire(struct service *service)
{
	struct service_channel *channel = pool_acquire(&service->channels);

	if (!channel)
		return NULL;
	channel->service = service;
	timer_init(&channel->timer, channel_expire);
	return channel;
}

struct service_channel *service_channel_offer(struct service_call *call)
{
	struct service_channel *channel = channel_acquire(call->service);

	if (!channel)
		return NULL;
	channel->state = SERVICE_CHANNEL_OFFERED;
	channel->call = call;
	channel->is_local = call->ask != NULL;
	return channel;
}

void service_channel_accept(struct service_channel *channel,
			    const struct service_channel_events *events, void *arg)
{
	struct service_call *call = channel->call;

	weft_assert(channel->state == SERVICE_CHANNEL_OFFERED);
	channel->state = SERVICE_CHANNEL_OPEN;
	channel->events = events;
	channel->arg = arg;
	if (channel->is_local) {
		service_channel_join(channel, call->ask->channel);
		service_client_opened(call->ask, channel->service->now_ns);
		call->ask = NULL;
	} else {
		service_call_send_taken(call);
	}
	service_router_taken(call);
}

void service_channel_offered(struct service_channel *channel, uint64_t now_ns)
{
	struct service_call *call = channel->call;
	enum service_status status = channel->status;
	char text[SERVICE_TEXT_LEN_MAX + 1];

	if (channel->events)
		return;
	/* The handler did not take it: the opening is answered as a call is. */
	memcpy(text, channel->text, sizeof(text));
	call->channel = NULL;
	service_channel_release(channel);
	service_fail(call, status == SERVICE_OK ? SERVICE_UNKNOWN_ERROR : status, text, now_ns);
}

void service_channel_opened(struct service_channel *channel, const uint8_t *provider,
			    uint64_t now_ns)
{
	channel->service->now_ns = now_ns;
	channel->state = SERVICE_CHANNEL_OPEN;
	if (channel->events->opened)
		channel->events->opened(channel->arg, provider, now_ns);
}

void service_channel_refused(struct service_channel *channel, const struct service_answer *answer,
			     uint64_t now_ns)
{
	const struct service_channel_events *events = channel->events;
	void *arg = channel->arg;

	service_channel_release(channel);
	if (events->ended)
		events->ended(arg, answer, now_ns);
}

int service_channel_open(struct service *service, const struct service_request *request,
			 uint64_t now_ns, struct service_channel **out_channel)
{
	struct service_channel *channel = channel_acquire(service);
	int err;

	service->now_ns = now_ns;
	if (!channel)
		return WEFT_EFULL;
	channel->events = request->events;
	channel->arg = request->arg;
	err = service_client_open(service, request, channel, now_ns);
	if (err < 0) {
		service_channel_release(channel);
		return err;
	}
	*out_channel = channel;
	return 0;
}

int service_channel_send(struct service_channel *channel, const struct service_piece *piece,
			 void (*done)(void *arg), void *arg)
{
	struct transport_span span = {piece->data, piece->len, done, arg};
	struct mesh_stream_frame frame = {
		.type = MESH_STREAM_DATA,
		.flags = (piece->is_text ? MESH_STREAM_FLAG_TEXT : 0) |
			 (piece->is_last ? 0 : MESH_STREAM_FLAG_MORE),
		.payload_len = piece->len,
	};
	bool is_lent = done && piece->len;
	int err = WEFT_EFULL;

	weft_assert(piece->len <= (done ? SERVICE_PIECE_LEN_MAX : SERVICE_COPY_LEN_MAX));
	if (channel->state == SERVICE_CHANNEL_CLOSED || channel->is_finished)
		return WEFT_ECLOSED;
	if (channel->is_local)
		return service_channel_local_send(channel, piece, done, arg);
	if (!channel->ask || service_client_is_started(channel->ask))
		err = channel_ops(channel)->send(channel_stream(channel), &frame,
						 is_lent ? NULL : piece->data,
						 is_lent ? 0 : piece->len, is_lent ? &span : NULL);
	if (err == WEFT_EFULL)
		channel->wants_writable = true;
	if (err < 0)
		return err;
	if (channel->ask)
		channel->ask->is_pinned = true;
	if (done && !is_lent)
		done(arg);
	return 0;
}

void service_channel_finish(struct service_channel *channel)
{
	if (channel->state == SERVICE_CHANNEL_CLOSED || channel->is_finished)
		return;
	channel->is_finished = true;
	if (channel->is_local)
		service_channel_local_run(channel);
	else if (!channel->ask || service_client_is_started(channel->ask))
		channel_ops(channel)->finish(channel_stream(channel));
}

void service_channel_consume(struct service_channel *channel, size_t len)
{
	if (channel->is_local)
		service_channel_local_consume(channel, len);
	else if (channel_stream(channel))
		channel_ops(channel)->consume(channel_stream(channel), len);
}

void service_channel_end(struct service_channel *channel, enum service_status status,
			 const char *text)
{
	switch (channel->state) {
	case SERVICE_CHANNEL_OPENING:
		service_call_cancel(channel->ask);
		service_channel_release(channel);
		break;
	case SERVICE_CHANNEL_OFFERED:
		service_call_count(channel->call, status, channel->service->now_ns);
		service_text_copy(channel->text, text);
		service_channel_close(channel, status);
		break;
	case SERVICE_CHANNEL_OPEN:
		service_text_copy(channel->text, text);
		service_channel_close(channel, status);
		if (channel->is_local)
			service_channel_local_run(channel);
		else
			channel_send_close(channel);
		break;
	case SERVICE_CHANNEL_CLOSED:
		break;
	}
}

int service_channels_init(struct service *service)
{
	return pool_init(&service->channels, &service->arena, sizeof(struct service_channel),
			 (uint32_t)service_limits_of(service)->channel_cnt);
}

void service_channels_fini(struct service *service)
{
	struct service_channel *channel = NULL;

	while ((channel = pool_next(&service->channels, channel)))
		timer_cancel(service->params.timers, &channel->timer);
}

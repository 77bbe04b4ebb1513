/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams of services: an upgraded connection, and frames on it
 * (codec/pipe_frame.h). The same on both sides.
 */
#include "client/client_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "varlink/node_client.h"
#include "base/container_of.h"
#include "client/client_ask.h"
#include "client/failure.h"
#include "codec/pipe_frame.h"

#define BACKLOG_MAX   (1024 * 1024) /* bytes that wait to be sent */
#define BACKLOG_LOW   (64 * 1024)   /* writable comes below */
#define OPEN_GRACE_MS 5000	    /* beyond the daemon's own time for it */
#define LINGER_MS     10000	    /* for the end of a stream to be sent */

_Static_assert(WEFT_STREAM_PIECE_MAX == PIPE_FRAME_LEN_MAX, "a piece is a frame");

enum stream_state {
	STREAM_ASKED, /* the reply to the call that opens it is to come */
	STREAM_OPEN,
	STREAM_LINGERING, /* ended here; what was written is still to be sent */
};

struct weft_stream {
	struct loop_source source;
	struct varlink varlink;
	enum stream_state state;
	struct pipe_frame_in in;
	const struct weft_stream_events *events;
	void *arg;
	int timeout_ms;
	bool is_paused;
	bool is_full;	  /* writable is owed */
	bool is_finished; /* by us */
};

static struct weft_stream *stream_of(struct loop_source *source)
{
	return container_of(source, struct weft_stream, source);
}

static void stream_free(struct loop_source *source)
{
	struct weft_stream *stream = stream_of(source);

	client_varlink_close(&stream->varlink);
	free(stream);
}

static void stream_watch(struct weft_stream *stream)
{
	unsigned interest = client_varlink_backlog_len(&stream->varlink) ? POLLOUT : 0;

	if (!stream->is_paused && stream->state != STREAM_LINGERING)
		interest |= POLLIN;
	client_loop_want(&stream->source, interest);
}

/* stream_over tells the end, once, and lets go. */
static void stream_over(struct weft_stream *stream, enum weft_call_status status, const char *text)
{
	client_loop_bury(&stream->source);
	if (stream->state != STREAM_LINGERING && stream->events->ended)
		stream->events->ended(stream->arg, stream, status, text);
}

static void stream_lost(struct weft_stream *stream)
{
	stream_over(stream, WEFT_CALL_UNAVAILABLE, "the connection to the daemon is gone");
}

static void stream_tell(struct weft_stream *stream, const struct pipe_frame *frame)
{
	unsigned flags = (frame->kind == PIPE_FRAME_TEXT ? WEFT_STREAM_TEXT : 0u) |
			 (frame->is_last ? 0u : WEFT_STREAM_MORE);

	if (frame->kind == PIPE_FRAME_END)
		stream_over(stream, frame->status, frame->text);
	else if (frame->kind == PIPE_FRAME_FINISH && stream->events->finished)
		stream->events->finished(stream->arg, stream);
	else if (frame->kind <= PIPE_FRAME_TEXT && stream->events->piece &&
		 (frame->len || frame->is_last))
		stream->events->piece(stream->arg, stream,
				      frame->len ? (const void *)frame->data : "", frame->len,
				      flags);
}

/* stream_frames tells what came, until it is paused or over. */
static void stream_frames(struct weft_stream *stream)
{
	const uint8_t *data;
	struct pipe_frame frame;
	struct cursor c;
	size_t len;
	int err = 1;

	while (err == 1 && !stream->is_paused && stream->state == STREAM_OPEN &&
	       !stream->source.is_dead) {
		len = client_varlink_peek(&stream->varlink, &data);
		if (!len)
			return;
		c = cursor_of(data, len);
		err = pipe_frame_input(&stream->in, &c, &frame);
		if (err == 1)
			stream_tell(stream, &frame);
		/* frame borrowed from the buffer until here */
		client_varlink_skip(&stream->varlink, len - cursor_left(&c));
	}
	if (err < 0)
		stream_over(stream, WEFT_CALL_UNKNOWN_ERROR,
			    "the daemon sent what is no frame of a stream");
}

static void stream_refused(struct weft_stream *stream, const json_t *message,
			   const struct weft_error *error)
{
	const json_t *status = json_object_get(json_object_get(message, "parameters"), "status");

	stream_over(stream,
		    json_is_integer(status) ? (enum weft_call_status)json_integer_value(status)
					    : WEFT_CALL_UNKNOWN_ERROR,
		    error->why);
}

/* stream_opening: the reply to the call, then frames. */
static void stream_opening(struct weft_stream *stream)
{
	struct weft_error error;
	json_t *message;
	const char *provider;
	int err = client_varlink_take(&stream->varlink, &message);

	if (err < 0)
		stream_lost(stream);
	if (err <= 0)
		return;
	if (client_failure_of_reply(message, &error) < 0) {
		stream_refused(stream, message, &error);
	} else {
		provider = json_string_value(
			json_object_get(json_object_get(message, "parameters"), "provider"));
		stream->state = STREAM_OPEN;
		client_loop_set_deadline(&stream->source, -1);
		if (stream->events->opened)
			stream->events->opened(stream->arg, stream, provider ? provider : "");
	}
	json_decref(message);
}

/* stream_work tells all that is in the buffer. */
static void stream_work(struct weft_stream *stream)
{
	if (stream->state == STREAM_ASKED)
		stream_opening(stream);
	if (stream->state == STREAM_OPEN && !stream->source.is_dead)
		stream_frames(stream);
}

static void stream_sent(struct weft_stream *stream)
{
	size_t backlog_len = client_varlink_backlog_len(&stream->varlink);

	if (stream->state == STREAM_LINGERING && backlog_len == 0) {
		client_loop_bury(&stream->source);
	} else if (stream->is_full && backlog_len < BACKLOG_LOW) {
		stream->is_full = false;
		if (stream->events->writable)
			stream->events->writable(stream->arg, stream);
	}
}

static void stream_ready(struct loop_source *source)
{
	struct weft_stream *stream = stream_of(source);
	int got = -EAGAIN, err = client_varlink_flush(&stream->varlink);

	if (err == 0)
		stream_sent(stream);
	if (source->is_dead)
		return;
	if (!stream->is_paused && stream->state != STREAM_LINGERING)
		got = client_varlink_fill(&stream->varlink);
	/* Bytes sent before the connection went are still handed on. */
	stream_work(stream);
	if (source->is_dead)
		return;
	if (err < 0 || (got <= 0 && got != -EAGAIN))
		stream_lost(stream);
	else
		stream_watch(stream);
}

/* Too late to be opened or to be sent; or, after a pause, what is in the buffer is due. */
static void stream_expired(struct loop_source *source)
{
	struct weft_stream *stream = stream_of(source);

	if (stream->state == STREAM_OPEN)
		stream_work(stream);
	else
		stream_over(stream, WEFT_CALL_TIMEOUT, "the daemon did not answer in time");
}

static struct weft_stream *stream_new(const struct weft_stream_events *events, void *arg)
{
	struct weft_stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return NULL;
	stream->source = (struct loop_source){
		.fd = -1, .ready = stream_ready, .expired = stream_expired, .free = stream_free};
	stream->varlink.fd = -1;
	stream->events = events;
	stream->arg = arg;
	return stream;
}

static int stream_ask(struct weft_stream *stream, const struct weft_stream_params *params)
{
	const struct weft_target *target = &params->target;
	struct varlink_blocks blocks = {0};
	const struct api_open_service_stream_in in = {
		.name = target->service,
		.version = target->version,
		.provider = target->provider,
		.traceparent = target->traceparent,
		API_IF(sign, target->is_signed, true),
		.method = params->method,
		.base64 = varlink_base64(&blocks, params->head, params->len),
		API_IF(timeout_ms, params->timeout_ms > 0, params->timeout_ms),
	};
	json_t *message =
		json_pack("{s:s, s:o, s:b}", "method", API_OPEN_SERVICE_STREAM_METHOD, "parameters",
			  api_open_service_stream_in_write(&in), "upgrade", 1);
	int err = message ? client_varlink_send(&stream->varlink, message) : -ENOMEM;

	json_decref(message);
	varlink_blocks_free(&blocks);
	return err;
}

int weft_stream_open(struct weft_client *client, const struct weft_stream_params *params,
		     struct weft_stream **out_stream, struct weft_error *error)
{
	struct weft_stream *stream = stream_new(params->events, params->arg);
	int timeout_ms = params->timeout_ms > 0 ? params->timeout_ms : -1, err;

	err = stream ? client_loop_connect(client, timeout_ms, &stream->varlink, error)
		     : client_failure_memory(error);
	if (err < 0) {
		free(stream);
		return err;
	}
	stream->source.fd = stream->varlink.fd;
	err = stream_ask(stream, params);
	if (err == 0)
		err = client_loop_add(client, &stream->source);
	if (err < 0) {
		stream_free(&stream->source);
		return client_failure_set(error, err, "this program", NULL, NULL);
	}
	/* Messages that the daemon sent before it left are still read. */
	(void)client_varlink_flush(&stream->varlink);
	stream_watch(stream);
	if (timeout_ms >= 0)
		client_loop_set_deadline(&stream->source, timeout_ms + OPEN_GRACE_MS);
	*out_stream = stream;
	return 0;
}

struct weft_stream *client_stream_accept(struct weft_client *client, struct varlink *varlink,
					 const struct weft_stream_events *events, void *arg)
{
	struct weft_stream *stream = stream_new(events, arg);

	if (!stream)
		return NULL;
	stream->state = STREAM_OPEN;
	stream->source.fd = varlink->fd;
	if (client_loop_add(client, &stream->source) < 0) {
		stream_free(&stream->source);
		return NULL;
	}
	stream->varlink = *varlink;
	*varlink = (struct varlink){.fd = -1};
	stream_watch(stream);
	/* Frames may have come with the call. */
	client_loop_set_deadline(&stream->source, 0);
	return stream;
}

/* stream_queue writes a frame's head and len bytes; 0 or -ENOMEM. */
static int stream_queue(struct weft_stream *stream, enum pipe_frame_kind kind, const void *data,
			size_t len)
{
	uint8_t head[PIPE_FRAME_HEAD_LEN];
	struct writer w = writer_of(head, sizeof(head));

	pipe_frame_head_write(&w, kind, len);
	return client_varlink_send_bytes(&stream->varlink, head, sizeof(head), data, len);
}

/* stream_push sends what waits; an error is found again when the loop comes to it. */
static void stream_push(struct weft_stream *stream)
{
	if (client_varlink_flush(&stream->varlink) < 0)
		client_loop_want(&stream->source, stream->source.interest | POLLOUT);
	else
		stream_watch(stream);
}

int weft_stream_send(struct weft_stream *stream, const void *data, size_t len, unsigned flags)
{
	size_t backlog_len = client_varlink_backlog_len(&stream->varlink);
	int err;

	if (len > WEFT_STREAM_PIECE_MAX)
		return WEFT_ETOOLARGE;
	if (stream->is_finished || stream->state == STREAM_LINGERING || stream->source.is_dead)
		return WEFT_ECLOSED;
	if (backlog_len && backlog_len + PIPE_FRAME_HEAD_LEN + len > BACKLOG_MAX) {
		stream->is_full = true;
		return WEFT_EFULL;
	}
	err = stream_queue(
		stream,
		pipe_frame_piece_kind(flags & WEFT_STREAM_TEXT, !(flags & WEFT_STREAM_MORE)), data,
		len);
	if (err == 0)
		stream_push(stream);
	return err;
}

void weft_stream_finish(struct weft_stream *stream)
{
	if (stream->is_finished || stream->source.is_dead)
		return;
	stream->is_finished = true;
	if (stream_queue(stream, PIPE_FRAME_FINISH, NULL, 0) == 0)
		stream_push(stream);
}

void weft_stream_pause(struct weft_stream *stream, bool is_paused)
{
	const uint8_t *data;

	if (stream->source.is_dead)
		return;
	stream->is_paused = is_paused;
	stream_watch(stream);
	if (!is_paused && stream->state == STREAM_OPEN &&
	    client_varlink_peek(&stream->varlink, &data))
		client_loop_set_deadline(&stream->source, 0);
}

void weft_stream_end(struct weft_stream *stream, enum weft_call_status status, const char *text)
{
	uint8_t frame[PIPE_FRAME_HEAD_LEN + PIPE_FRAME_END_LEN_MAX];
	struct writer w = writer_of(frame, sizeof(frame));

	if (stream->source.is_dead || stream->state == STREAM_LINGERING)
		return;
	pipe_frame_end_write(&w, (uint8_t)status, text ? text : "");
	if (client_varlink_send_bytes(&stream->varlink, frame, writer_len(&w), NULL, 0) < 0 ||
	    client_varlink_flush(&stream->varlink) < 0 ||
	    !client_varlink_backlog_len(&stream->varlink)) {
		stream->state = STREAM_LINGERING;
		client_loop_bury(&stream->source);
		return;
	}
	stream->state = STREAM_LINGERING;
	stream_watch(stream);
	client_loop_set_deadline(&stream->source, LINGER_MS);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenServiceStream: a stream of a service bridged to the connection of a
 * local program (codec/pipe_frame.h). Home worker.
 *
 * Push-back: bytes that the channel does not take are left in the connection,
 * which is read no further. For bytes that the program does not read, the
 * channel's sender is held back by not consuming it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/pipe_frame.h"
#include "method_service_target.h"

_Static_assert(PIPE_FRAME_LEN_MAX >= SERVICE_PIECE_LEN_MAX, "a piece fits a frame");
_Static_assert(PIPE_FRAME_TEXT_LEN_MAX >= SERVICE_TEXT_LEN_MAX, "a reason fits the end");

/* Empty ones have no bytes by which a program that does not read would be noticed. */
#define UNREAD_PIECES_MAX 65536

struct bridge {
	struct control_call *call; /* NULL when it is open */
	struct control_pipe *pipe; /* NULL until then */
	struct service_channel *channel;
	struct pipe_frame_in in;
	size_t unused_len;   /* bytes of pieces that wait for the program to read */
	uint32_t unread_cnt; /* pieces since it had read nearly all */
	char name[SERVICE_NAME_LEN_MAX + 1];
};

/* bridge_leave ends the channel for want of the program, or for what it did. */
static void bridge_leave(struct bridge *bridge, enum service_status status, const char *text)
{
	service_channel_end(bridge->channel, status, text);
	free(bridge);
}

static void bridge_caller_left(void *arg)
{
	bridge_leave(arg, SERVICE_UNAVAILABLE, "the program that opened it has left");
}

/* bridge_close says the end to the program, and lets go of it. */
static void bridge_close(struct bridge *bridge, enum service_status status, const char *text,
			 uint64_t now_ns)
{
	uint8_t frame[PIPE_FRAME_HEAD_LEN + PIPE_FRAME_END_LEN_MAX];
	struct writer w = writer_of(frame, sizeof(frame));
	int err;

	pipe_frame_end_write(&w, (uint8_t)status, text ? text : "");
	err = control_pipe_write(bridge->pipe, frame, writer_len(&w), now_ns);
	(void)err; /* a program that does not get it sees the connection end */
	control_pipe_close(bridge->pipe, now_ns);
}

/* --- from the program --- */

/* bridge_take: 0, WEFT_EFULL, WEFT_ECLOSED. */
static int bridge_take(struct bridge *bridge, const struct pipe_frame *frame)
{
	struct service_piece piece = {.data = frame->data,
				      .len = frame->len,
				      .is_text = frame->kind == PIPE_FRAME_TEXT,
				      .is_last = frame->is_last};

	if (frame->kind == PIPE_FRAME_FINISH) {
		service_channel_finish(bridge->channel);
		return 0;
	}
	if (!piece.len && !piece.is_last)
		return 0;
	return service_channel_send(bridge->channel, &piece, NULL, NULL);
}

static void bridge_broken(struct bridge *bridge, uint64_t now_ns)
{
	bridge_close(bridge, SERVICE_INVALID_PAYLOAD, "what came is no frame of a stream", now_ns);
	bridge_leave(bridge, SERVICE_UNAVAILABLE, "the program that opened it broke its framing");
}

static size_t bridge_input(void *arg, const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct bridge *bridge = arg;
	size_t used = 0;

	while (used < len) {
		size_t part = len - used < SERVICE_COPY_LEN_MAX ? len - used : SERVICE_COPY_LEN_MAX;
		struct pipe_frame_in before = bridge->in;
		struct cursor c = cursor_of(data + used, part);
		struct pipe_frame frame;
		int err = pipe_frame_input(&bridge->in, &c, &frame);

		if (err < 0) {
			bridge_broken(bridge, now_ns);
			return len;
		}
		if (err == 1 && frame.kind == PIPE_FRAME_END) {
			control_pipe_close(bridge->pipe, now_ns);
			bridge_leave(bridge, (enum service_status)frame.status, frame.text);
			return len;
		}
		/* Bytes that are not taken now are read again, by the parser as it was. */
		if (err == 1 && bridge_take(bridge, &frame) == WEFT_EFULL) {
			bridge->in = before;
			return used;
		}
		used += part - cursor_left(&c);
	}
	return used;
}

/* A program that shuts its side has finished, unless it was in the middle of a message. */
static void bridge_eof(void *arg, uint64_t now_ns)
{
	struct bridge *bridge = arg;

	if (bridge->in.is_in_message)
		bridge_broken(bridge, now_ns);
	else if (!bridge->in.is_finished)
		service_channel_finish(bridge->channel);
}

static void bridge_low(void *arg, uint64_t now_ns)
{
	struct bridge *bridge = arg;
	size_t unused_len = bridge->unused_len;

	(void)now_ns;
	bridge->unused_len = 0;
	bridge->unread_cnt = 0;
	service_channel_consume(bridge->channel, unused_len);
}

static const struct control_pipe_events pipe_events = {
	.input = bridge_input,
	.eof = bridge_eof,
	.writable = bridge_low,
	.gone = bridge_caller_left,
};

/* --- from the service --- */

static void channel_opened(void *arg, const uint8_t provider[MESH_KEY_LEN], uint64_t now_ns)
{
	struct bridge *bridge = arg;
	struct control_call *call = bridge->call;
	const struct api_open_service_stream_out out = {
		.provider = api_id(control_blocks(call), provider)};

	(void)now_ns;
	control_on_gone(call, NULL, NULL);
	bridge->call = NULL;
	bridge->pipe = control_upgrade(call, api_open_service_stream_out_write(&out), &pipe_events,
				       bridge);
	if (!bridge->pipe)
		bridge_caller_left(bridge);
}

static void channel_piece(void *arg, const struct service_piece *piece, uint64_t now_ns)
{
	struct bridge *bridge = arg;
	uint8_t head[PIPE_FRAME_HEAD_LEN];
	struct writer w = writer_of(head, sizeof(head));

	pipe_frame_head_write(&w, pipe_frame_piece_kind(piece->is_text, piece->is_last),
			      piece->len);
	if (++bridge->unread_cnt > UNREAD_PIECES_MAX ||
	    control_pipe_write(bridge->pipe, head, sizeof(head), now_ns) < 0 ||
	    control_pipe_write(bridge->pipe, piece->data, piece->len, now_ns) < 0) {
		control_pipe_close(bridge->pipe, now_ns);
		bridge_caller_left(bridge);
		return;
	}
	bridge->unused_len += piece->len;
	if (control_pipe_backlog_len(bridge->pipe) < CONTROL_PIPE_LOW)
		bridge_low(bridge, now_ns);
}

static void channel_finished(void *arg, uint64_t now_ns)
{
	struct bridge *bridge = arg;
	uint8_t head[PIPE_FRAME_HEAD_LEN];
	struct writer w = writer_of(head, sizeof(head));

	pipe_frame_head_write(&w, PIPE_FRAME_FINISH, 0);
	if (control_pipe_write(bridge->pipe, head, sizeof(head), now_ns) == 0)
		return;
	control_pipe_close(bridge->pipe, now_ns);
	bridge_caller_left(bridge);
}

static void channel_writable(void *arg, uint64_t now_ns)
{
	struct bridge *bridge = arg;

	(void)now_ns;
	control_pipe_resume(bridge->pipe);
}

static void channel_ended(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	struct bridge *bridge = arg;

	if (bridge->call) {
		control_on_gone(bridge->call, NULL, NULL);
		api_service_open_fail(bridge->call, bridge->name, answer);
	} else {
		bridge_close(bridge, answer->status, answer->text, now_ns);
	}
	free(bridge);
}

static const struct service_channel_events channel_events = {
	.opened = channel_opened,
	.piece = channel_piece,
	.finished = channel_finished,
	.writable = channel_writable,
	.ended = channel_ended,
};

void api_open_service_stream(struct api *api, struct control_call *call,
			     const struct api_open_service_stream_in *in, uint64_t now_ns)
{
	const struct api_call_service_in asked = {
		.name = in->name,
		.version = in->version,
		.provider = in->provider,
		.prefer = in->prefer,
		.method = in->method,
		.json = in->json,
		.base64 = in->base64,
		.has_timeout_ms = in->has_timeout_ms,
		.timeout_ms = in->timeout_ms,
		.sign = in->sign,
		.traceparent = in->traceparent,
	};
	struct api_service_request request;
	struct bridge *bridge;
	int err;

	if (!api_services_are_on(api, call) ||
	    !api_service_request_read(api, call, &asked, &request))
		return;
	bridge = calloc(1, sizeof(*bridge));
	if (!bridge) {
		free(request.payload);
		control_fail(call, -ENOMEM, request.service.target.name, "no memory",
			     "free some and try again");
		return;
	}
	bridge->call = call;
	snprintf(bridge->name, sizeof(bridge->name), "%s", request.service.target.name);
	request.service.events = &channel_events;
	request.service.arg = bridge;
	err = service_channel_open(api->service, &request.service, now_ns, &bridge->channel);
	free(request.payload);
	if (err < 0) {
		free(bridge);
		api_service_start_fail(call, err, request.service.target.name);
		return;
	}
	control_on_gone(call, bridge_caller_left, bridge);
}

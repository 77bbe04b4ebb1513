/* SPDX-License-Identifier: Apache-2.0 */
#include "echo.h"

#include <string.h>

#include "base/memory/heap.h"
#include "base/list.h"

struct echo_stream {
	struct echo *echo;
	struct service_channel *channel;
	struct list_node waiting; /* struct echo_piece: came, and cannot be sent yet */
	bool is_finished;	  /* nothing follows them */
};

struct echo_piece {
	struct list_node node;
	struct service_piece piece; /* the unsent rest */
	uint8_t data[];
};

static void call(void *ctx, struct service_call *asked, const struct service_input *input,
		 uint64_t now_ns)
{
	(void)ctx;
	service_reply(asked,
		      &(struct service_outcome){
			      .status = SERVICE_OK, .payload = input->data, .len = input->len},
		      now_ns);
}

/* Sends as much of piece as the channel takes, and leaves the rest in it. True: all was sent. */
static bool piece_send(struct echo_stream *stream, struct service_piece *piece)
{
	do {
		struct service_piece part = *piece;

		if (part.len > SERVICE_COPY_LEN_MAX) {
			part.len = SERVICE_COPY_LEN_MAX;
			part.is_last = false;
		}
		if (service_channel_send(stream->channel, &part, NULL, NULL) < 0)
			return false;
		service_channel_consume(stream->channel, part.len);
		piece->data += part.len;
		piece->len -= part.len;
	} while (piece->len);
	return true;
}

static void piece_release(struct echo_stream *stream, struct echo_piece *waiting)
{
	list_unlink(&waiting->node);
	heap_release(stream->echo->memory, waiting);
}

static void stream_release(struct echo_stream *stream)
{
	while (!list_is_empty(&stream->waiting))
		piece_release(stream, container_of(stream->waiting.next, struct echo_piece, node));
	pool_release(&stream->echo->streams, stream);
}

static void on_piece(void *arg, const struct service_piece *came, uint64_t now_ns)
{
	struct echo_stream *stream = arg;
	struct service_piece piece = *came;
	struct echo_piece *waiting;

	(void)now_ns;
	if (list_is_empty(&stream->waiting) && piece_send(stream, &piece))
		return;
	waiting = heap_alloc(stream->echo->memory, sizeof(*waiting) + piece.len);
	if (!waiting) {
		service_channel_end(stream->channel, SERVICE_UNAVAILABLE,
				    "echo has no memory for what is not read");
		stream_release(stream);
		return;
	}
	if (piece.len)
		memcpy(waiting->data, piece.data, piece.len);
	waiting->piece = piece;
	waiting->piece.data = waiting->data;
	list_init(&waiting->node);
	list_push_back(&stream->waiting, &waiting->node);
}

static void on_writable(void *arg, uint64_t now_ns)
{
	struct echo_stream *stream = arg;

	(void)now_ns;
	while (!list_is_empty(&stream->waiting)) {
		struct echo_piece *first =
			container_of(stream->waiting.next, struct echo_piece, node);

		if (!piece_send(stream, &first->piece))
			return;
		piece_release(stream, first);
	}
	if (stream->is_finished)
		service_channel_finish(stream->channel);
}

static void on_finished(void *arg, uint64_t now_ns)
{
	struct echo_stream *stream = arg;

	stream->is_finished = true;
	on_writable(stream, now_ns);
}

static void on_ended(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	(void)answer, (void)now_ns;
	stream_release(arg);
}

static const struct service_channel_events stream_events = {
	.piece = on_piece,
	.finished = on_finished,
	.writable = on_writable,
	.ended = on_ended,
};

static void stream(void *ctx, struct service_channel *channel, const struct service_input *input,
		   uint64_t now_ns)
{
	struct echo *echo = ctx;
	struct echo_stream *opened = pool_acquire(&echo->streams);

	(void)input, (void)now_ns;
	if (!opened) {
		service_channel_end(channel, SERVICE_UNAVAILABLE, "echo has no room for a stream");
		return;
	}
	opened->echo = echo;
	opened->channel = channel;
	list_init(&opened->waiting);
	service_channel_accept(channel, &stream_events, opened);
}

const struct request_method builtin_echo_methods[] = {
	{"*",
	 .about = "Any method: the answer is the payload, and a stream brings its messages back",
	 .example = "{\"hello\": \"mesh\"}"},
	{.name = NULL},
};

const struct service_handler builtin_echo_handler = {.call = call, .stream = stream};

int builtin_echo_init(struct echo *echo, struct arena *arena)
{
	int err = heap_new(ECHO_MEMORY_LEN, &echo->memory);

	return err < 0 ? err
		       : pool_init(&echo->streams, arena, sizeof(struct echo_stream),
				   ECHO_STREAM_MAX);
}

void builtin_echo_fini(struct echo *echo)
{
	heap_free(echo->memory);
}

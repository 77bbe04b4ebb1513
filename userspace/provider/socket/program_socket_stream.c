/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams to a program on a unix socket: Open with upgrade, then frames of
 * codec/pipe_frame.h both ways.
 *
 *	caller   piece -> a frame in link.out -> socket; consumed as it is written
 *	program  socket -> link.in -> pieces of frames -> the channel, which copies them;
 *		 while that is full nothing is read
 */
#include "program_socket.h"

#include <errno.h>
#include <string.h>

#include "codec/pipe_frame.h"
#include "program_link.h"
#include "service/http_envelope.h"

#define IN_CAP		   SERVICE_COPY_LEN_MAX /* a piece of what is in it is one that a channel copies */
#define READS_PER_TURN_MAX 16

struct socket_stream {
	struct program_link link;
	struct service_channel *channel;
	struct timer timer; /* Open is not answered, or nothing is written any more */
	struct timer turn;
	struct pipe_frame_in frames;
	struct queue held; /* frames until the program took the stream */
	size_t taken_len;  /* of link.in: what the channel has */
	size_t unconsumed_len;
	uint64_t progress_ns;
	bool is_open;	    /* the program took it */
	bool is_in_message; /* of the caller */
	bool is_text;
	bool is_waiting; /* the channel is full, and piece is what it did not take */
	struct service_piece piece;
	bool is_finished; /* the program says no more */
};

size_t provider_socket_stream_len(void)
{
	return sizeof(struct socket_stream);
}

static struct offer *offer_of(const struct socket_stream *stream)
{
	return stream->link.active.offer;
}

static void stream_free(struct socket_stream *stream)
{
	struct provider *provider = offer_of(stream)->provider;

	timer_cancel(provider->timers, &stream->timer);
	timer_cancel(provider->timers, &stream->turn);
	provider_queue_clear(&stream->held);
	provider_program_link_close(&stream->link);
	provider_offer_leave(&stream->link.active);
	pool_release(&provider->socket_streams, stream);
}

static void stream_end(struct socket_stream *stream, enum service_status status, const char *text)
{
	service_channel_end(stream->channel, status, text);
	stream_free(stream);
}

static void stream_fail(struct socket_stream *stream, const char *fault, uint64_t now_ns)
{
	provider_offer_failed(offer_of(stream), fault, now_ns);
	stream_end(stream, SERVICE_UNKNOWN_ERROR, "");
}

static void stream_abandon(struct active *active, const char *why, uint64_t now_ns)
{
	(void)now_ns;
	stream_end(container_of(active, struct socket_stream, link.active), SERVICE_UNAVAILABLE,
		   why);
}

static const struct active_kind stream_kind = {.abandon = stream_abandon, .is_stream = true};

static struct queue *frames_to(struct socket_stream *stream)
{
	return stream->is_open ? &stream->link.out : &stream->held;
}

static int frame_push(struct socket_stream *stream, enum pipe_frame_kind kind, const uint8_t *data,
		      size_t len)
{
	uint8_t head[PIPE_FRAME_HEAD_LEN];
	struct writer w = writer_of(head, sizeof(head));
	int err;

	pipe_frame_head_write(&w, kind, len);
	err = provider_queue_push(frames_to(stream), head, sizeof(head));
	return err == 0 && len ? provider_queue_push(frames_to(stream), data, len) : err;
}

/* The program took the stream: the bytes that waited for that follow its request. */
static void stream_opened(struct socket_stream *stream, size_t reply_len)
{
	stream->is_open = true;
	stream->taken_len = reply_len;
	provider_queue_append(&stream->link.out, &stream->held);
}

/* reply_take reads the reply to Open. 1: the stream is open; 0: not yet; negative: it has ended. */
static int reply_take(struct socket_stream *stream, uint64_t now_ns)
{
	struct program_reply reply;
	size_t reply_len;
	int err = provider_program_link_reply(&stream->link, &reply, &reply_len);

	if (err == 0 && stream->link.in_len < IN_CAP)
		return 0;
	if (err <= 0) {
		stream_fail(stream, "its reply is not one of net.weft.Service", now_ns);
		return WEFT_EMALFORMED;
	}
	if (reply.status != SERVICE_OK) {
		stream_end(stream, reply.status, reply.text);
		provider_program_reply_fini(&reply);
		return WEFT_ECLOSED;
	}
	provider_program_reply_fini(&reply);
	stream_opened(stream, reply_len);
	return 1;
}

/*
 * piece_give: false: the channel is full. A piece on which the channel closed is lost; ended says
 * so.
 */
static bool piece_give(struct socket_stream *stream)
{
	int err = service_channel_send(stream->channel, &stream->piece, NULL, NULL);

	stream->is_waiting = err == WEFT_EFULL;
	return !stream->is_waiting;
}

/*
 * frame_take: 1: it is dealt with; 0: its piece waits for the channel; negative: the stream has
 * ended.
 */
static int frame_take(struct socket_stream *stream, const struct pipe_frame *frame, uint64_t now_ns)
{
	stream->progress_ns = now_ns;
	switch (frame->kind) {
	case PIPE_FRAME_FINISH:
		stream->is_finished = true;
		service_channel_finish(stream->channel);
		return 1;
	case PIPE_FRAME_END:
		stream_end(stream,
			   frame->status < SERVICE_STATUS_CNT ? (enum service_status)frame->status
							      : SERVICE_UNKNOWN_ERROR,
			   frame->text);
		return WEFT_ECLOSED;
	default:
		stream->piece = (struct service_piece){
			.data = frame->data,
			.len = frame->len,
			.is_text = frame->kind == PIPE_FRAME_TEXT,
			.is_last = frame->is_last,
		};
		return piece_give(stream);
	}
}

/* frames_take hands on what link.in holds. As frame_take. */
static int frames_take(struct socket_stream *stream, uint64_t now_ns)
{
	struct program_link *link = &stream->link;
	struct cursor c = cursor_of(link->in + stream->taken_len, link->in_len - stream->taken_len);
	struct pipe_frame frame;
	int err = 1;

	if (stream->is_waiting && !piece_give(stream))
		return 0;
	while (err > 0) {
		err = pipe_frame_input(&stream->frames, &c, &frame);
		stream->taken_len = (size_t)(c.pos - (const uint8_t *)link->in);
		if (err < 0)
			stream_fail(stream, "what it sends are no frames of a stream", now_ns);
		if (err <= 0)
			break;
		err = frame_take(stream, &frame, now_ns);
		if (err == 0)
			return 0;
	}
	if (err < 0)
		return err;
	link->in_len = stream->taken_len = 0;
	return 1;
}

static void stream_read_failed(struct socket_stream *stream, int err, uint64_t now_ns)
{
	if (err == WEFT_EFULL) {
		stream_end(stream, SERVICE_UNAVAILABLE, "too many bodies are under way");
		return;
	}
	provider_health_suspect(offer_of(stream), now_ns);
	provider_offer_failed(offer_of(stream), "it closed the connection within a stream", now_ns);
	stream_end(stream, SERVICE_UNAVAILABLE, "the program behind this service has left");
}

/* stream_read: 1: there may be more; 0: not now; negative: the stream has ended. */
static int stream_read(struct socket_stream *stream, uint64_t now_ns)
{
	int err;

	if (stream->is_open) {
		err = frames_take(stream, now_ns);
		if (err <= 0)
			return err;
	}
	err = provider_program_link_read(&stream->link, IN_CAP);
	if (err == 0)
		return 0;
	if (err < 0) {
		stream_read_failed(stream, err, now_ns);
		return err;
	}
	return stream->is_open ? 1 : reply_take(stream, now_ns);
}

static void stream_unreachable(struct socket_stream *stream, int err, uint64_t now_ns)
{
	provider_health_refused(offer_of(stream), err, now_ns);
	stream_end(stream, SERVICE_UNAVAILABLE, "the program behind this service is not running");
}

static void stream_consume(struct socket_stream *stream, size_t sent_len)
{
	size_t len = sent_len < stream->unconsumed_len ? sent_len : stream->unconsumed_len;

	if (stream->link.out.len == 0 && stream->held.len == 0)
		len = stream->unconsumed_len;
	stream->unconsumed_len -= len;
	if (len)
		service_channel_consume(stream->channel, len);
}

/* stream_write: 0, or negative: the stream has ended. */
static int stream_write(struct socket_stream *stream, uint64_t now_ns)
{
	bool was_connecting = stream->link.is_connecting;
	size_t sent_len;
	int err = provider_program_link_turn(&stream->link, &sent_len);

	if (err < 0 && was_connecting) {
		stream_unreachable(stream, err, now_ns);
		return err;
	}
	/* The bytes it sent before it left are still read, and then its end. */
	if (err < 0)
		provider_queue_clear(&stream->link.out);
	if (sent_len)
		stream->progress_ns = now_ns;
	stream_consume(stream, sent_len);
	return 0;
}

/* A stream may be silent for ever; one side that does not take what the other says may not. */
static void stream_guard(struct socket_stream *stream)
{
	const struct offer *offer = offer_of(stream);
	struct timer_wheel *timers = offer->provider->timers;

	if (!stream->is_open)
		timer_set(timers, &stream->timer,
			  stream->progress_ns + provider_offer_timeout_ns(offer));
	else if (stream->link.out.len || stream->is_waiting)
		timer_set(timers, &stream->timer,
			  stream->progress_ns + offer->provider->config.stall_ns);
	else
		timer_cancel(timers, &stream->timer);
}

static void stream_turn(struct socket_stream *stream, uint64_t now_ns)
{
	unsigned reads = 0;
	int err = stream_write(stream, now_ns);

	if (err < 0)
		return;
	do
		err = stream->link.is_connecting ? 0 : stream_read(stream, now_ns);
	while (err > 0 && ++reads < READS_PER_TURN_MAX);
	if (err < 0)
		return;
	if (err > 0)
		timer_set(offer_of(stream)->provider->timers, &stream->turn, now_ns);
	stream->link.is_reading = !stream->is_waiting;
	if (provider_program_link_watch(&stream->link) < 0) {
		stream_end(stream, SERVICE_UNAVAILABLE, "the service cannot answer now");
		return;
	}
	stream_guard(stream);
}

static void link_ready(struct program_link *link, uint64_t now_ns)
{
	stream_turn(container_of(link, struct socket_stream, link), now_ns);
}

static void turn_fire(struct timer *timer, uint64_t now_ns)
{
	stream_turn(container_of(timer, struct socket_stream, turn), now_ns);
}

static void timer_fire(struct timer *timer, uint64_t now_ns)
{
	struct socket_stream *stream = container_of(timer, struct socket_stream, timer);

	if (!stream->is_waiting)
		provider_offer_failed(offer_of(stream),
				      stream->is_open ? "it reads nothing of a stream"
						      : "it did not answer in time",
				      now_ns);
	stream_end(stream, SERVICE_TIMEOUT, "no byte of this stream moved for too long");
}

static void on_piece(void *arg, const struct service_piece *piece, uint64_t now_ns)
{
	struct socket_stream *stream = arg;

	stream->unconsumed_len += piece->len;
	stream->is_in_message = !piece->is_last;
	stream->is_text = piece->is_text;
	if (frame_push(stream, pipe_frame_piece_kind(piece->is_text, piece->is_last), piece->data,
		       piece->len) < 0) {
		stream_end(stream, SERVICE_UNAVAILABLE, "too many bodies are under way");
		return;
	}
	stream_turn(stream, now_ns);
}

static void on_finished(void *arg, uint64_t now_ns)
{
	struct socket_stream *stream = arg;
	int err = 0;

	/* A message that its sender left open ends here. */
	if (stream->is_in_message)
		err = frame_push(stream, pipe_frame_piece_kind(stream->is_text, true), NULL, 0);
	if (err == 0)
		err = frame_push(stream, PIPE_FRAME_FINISH, NULL, 0);
	if (err < 0) {
		stream_end(stream, SERVICE_UNAVAILABLE, "too many bodies are under way");
		return;
	}
	stream_turn(stream, now_ns);
}

static void on_writable(void *arg, uint64_t now_ns)
{
	stream_turn(arg, now_ns);
}

/* The program gets the reason, if it takes that at once. */
static void on_ended(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	struct socket_stream *stream = arg;
	uint8_t end[PIPE_FRAME_HEAD_LEN + PIPE_FRAME_END_LEN_MAX];
	struct writer w = writer_of(end, sizeof(end));
	size_t sent_len;

	(void)now_ns;
	pipe_frame_end_write(&w, (uint8_t)answer->status, answer->text);
	if (stream->is_open && provider_queue_push(&stream->link.out, end, writer_len(&w)) == 0)
		(void)!provider_program_link_turn(&stream->link, &sent_len);
	stream_free(stream);
}

static const struct service_channel_events channel_events = {
	.piece = on_piece,
	.finished = on_finished,
	.writable = on_writable,
	.ended = on_ended,
};

static struct socket_stream *stream_new(struct offer *offer, const struct service_caller *caller,
					uint64_t now_ns)
{
	struct provider *provider = offer->provider;
	struct socket_stream *stream;

	provider_offer_make_room(offer, caller, now_ns);
	stream = pool_acquire(&provider->socket_streams);
	if (!stream) {
		provider->stats.refused_cnt++;
		return NULL;
	}
	stream->link.watch.fd = -1;
	stream->link.out.heap = stream->held.heap = provider->heap;
	stream->link.ready = link_ready;
	timer_init(&stream->timer, timer_fire);
	timer_init(&stream->turn, turn_fire);
	if (provider_offer_enter(offer, &stream->link.active, &stream_kind, caller, now_ns))
		return stream;
	pool_release(&provider->socket_streams, stream);
	return NULL;
}

void provider_socket_stream_open(void *ctx, struct service_channel *channel,
				 const struct service_input *input, uint64_t now_ns)
{
	struct offer *offer = ctx;
	struct socket_stream *stream;
	int err;

	if (service_http_is_method(input->method)) {
		service_channel_end(channel, SERVICE_METHOD_NOT_FOUND,
				    "this service does not speak HTTP: call its methods");
		return;
	}
	stream = stream_new(offer, input->caller, now_ns);
	if (!stream) {
		service_channel_end(channel, SERVICE_UNAVAILABLE,
				    "the service has too many streams under way");
		return;
	}
	offer->stream_cnt++;
	offer->provider->stats.stream_cnt++;
	stream->channel = channel;
	stream->progress_ns = now_ns;
	if (provider_program_message_open(&stream->link.out, input) < 0) {
		stream_end(stream, SERVICE_UNAVAILABLE, "too many bodies are under way");
		return;
	}
	err = provider_program_link_open(&stream->link);
	if (err < 0) {
		stream_unreachable(stream, err, now_ns);
		return;
	}
	service_channel_accept(channel, &channel_events, stream);
	stream_turn(stream, now_ns);
}

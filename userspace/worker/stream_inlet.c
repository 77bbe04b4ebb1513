/* SPDX-License-Identifier: Apache-2.0 */
#include "stream_inlet.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "mesh/stream/foreign.h"
#include "stream_relay.h"

/* Home has other things to do, however much a worker tells. */
#define MESSAGES_PER_TURN 4096

struct inlet_stream {
	struct stream_inlet *inlet;
	pool_handle name;
	struct mesh_stream *stream; /* NULL: reset, and the worker is to hear of it */
	struct list_node node;	    /* of inlet->news */
	size_t consumed_len;	    /* these are not told yet */
	bool is_finished;
	uint64_t code;	  /* of the reset */
	unsigned say_cnt; /* frames that have not come back */
	bool wants_writable;
};

static void stream_note(struct inlet_stream *stream)
{
	if (list_is_empty(&stream->node))
		list_push_back(&stream->inlet->news, &stream->node);
}

static void stream_release(struct inlet_stream *stream)
{
	list_unlink(&stream->node);
	(void)map_delete(&stream->inlet->by_name, &stream->name);
	pool_release(&stream->inlet->streams, stream);
}

static int foreign_send(void *carrier, const struct mesh_stream_frame *frame, const void *head,
			size_t head_len, const struct transport_span *tail)
{
	struct inlet_stream *stream = carrier;
	struct stream_message *message;

	if (stream->say_cnt == RELAY_SAYS_MAX) {
		stream->wants_writable = true;
		return WEFT_EFULL;
	}
	message = worker_stream_message_new(STREAM_SAY, stream->name, head_len);
	if (!message)
		return WEFT_ECLOSED; /* without memory nothing says that there is some again */
	message->say.frame = *frame;
	message->say.head_len = head_len;
	message->say.tail = tail ? *tail : (struct transport_span){0};
	if (head_len)
		memcpy(message->bytes, head, head_len);
	stream->say_cnt++;
	worker_stream_queue_post(stream->inlet->to, message);
	return 0;
}

static void foreign_finish(void *carrier)
{
	struct inlet_stream *stream = carrier;

	stream->is_finished = true;
	stream_note(stream);
}

static void foreign_consume(void *carrier, size_t len)
{
	struct inlet_stream *stream = carrier;

	stream->consumed_len += len;
	stream_note(stream);
}

static void foreign_reset(void *carrier, uint64_t code)
{
	struct inlet_stream *stream = carrier;

	stream->stream = NULL;
	stream->code = code;
	stream_note(stream);
}

static const struct mesh_foreign_ops foreign_ops = {
	.send = foreign_send,
	.finish = foreign_finish,
	.consume = foreign_consume,
	.reset = foreign_reset,
};

/* Why a stream is not taken, to its opener. */
static uint64_t refusal_code(int err)
{
	if (err == WEFT_EUNKNOWN)
		return MESH_CODE_UNKNOWN;
	return err == WEFT_EFULL ? MESH_CODE_BUSY : MESH_CODE_REFUSED;
}

static void inlet_opened(struct stream_inlet *inlet, const struct stream_message *message,
			 uint64_t now_ns)
{
	struct inlet_stream *stream = pool_acquire(&inlet->streams);
	int err;

	/* None is here that the worker has not got. */
	weft_assert(stream && map_put(&inlet->by_name, &message->stream, stream) == 0);
	stream->inlet = inlet;
	stream->name = message->stream;
	list_init(&stream->node);
	err = mesh_foreign_open(inlet->mesh, message->opened.type, &message->opened.peer,
				&foreign_ops, stream, now_ns, &stream->stream);
	if (err == 0)
		return;
	stream->stream = NULL;
	if (!stream->code)
		stream->code = refusal_code(err);
	stream_note(stream);
}

/* What was said is no longer needed, whether its stream is there or not. */
static void inlet_said(struct inlet_stream *stream, const struct stream_message *message,
		       uint64_t now_ns)
{
	const struct transport_span *tail = &message->say.tail;

	if (tail->data && tail->done)
		tail->done(tail->arg);
	if (!stream)
		return;
	stream->say_cnt--;
	if (!stream->wants_writable || !stream->stream)
		return;
	stream->wants_writable = false;
	mesh_foreign_writable(stream->stream, now_ns);
}

static void inlet_take(struct stream_inlet *inlet, const struct stream_message *message,
		       uint64_t now_ns)
{
	struct inlet_stream *stream = map_lookup(&inlet->by_name, &message->stream);
	struct mesh_stream *told = stream ? stream->stream : NULL;

	if (message->kind == STREAM_OPENED)
		inlet_opened(inlet, message, now_ns);
	else if (message->kind == STREAM_SAID)
		inlet_said(stream, message, now_ns);
	else if (message->kind == STREAM_ENDED && stream)
		stream_release(stream);
	if (!told)
		return;
	switch (message->kind) {
	case STREAM_FRAME:
		mesh_foreign_frame(told, &message->frame, now_ns);
		break;
	case STREAM_DATA:
		mesh_foreign_data(told, message->bytes, message->data_len, now_ns);
		break;
	case STREAM_FINISHED:
		mesh_foreign_finished(told, now_ns);
		break;
	case STREAM_ENDED:
		mesh_foreign_ended(told,
				   &(struct mesh_stream_end){.err = message->ended.err,
							     .code = message->ended.code},
				   now_ns);
		break;
	default:
		break;
	}
}

bool worker_stream_inlet_read(struct stream_inlet *inlet, uint64_t now_ns)
{
	struct stream_message *message;
	bool had_some = false;

	for (unsigned i = 0; i < MESSAGES_PER_TURN && inlet->from; i++) {
		message = worker_stream_queue_take(inlet->from);
		if (!message)
			break;
		inlet_take(inlet, message, now_ns);
		if (message->kind != STREAM_SAID) /* that one was home's own */
			inlet->taken_len += sizeof(*message);
		free(message);
		had_some = true;
	}
	return had_some;
}

/* False: there is no memory to tell. */
static bool news_tell(struct inlet_stream *stream)
{
	struct stream_message *message = worker_stream_message_new(STREAM_TURN, stream->name, 0);

	if (!message)
		return false;
	message->turn.consumed_len = stream->consumed_len;
	message->turn.is_finished = stream->is_finished;
	message->turn.is_reset = !stream->stream;
	message->turn.code = stream->code;
	worker_stream_queue_post(stream->inlet->to, message);
	stream->consumed_len = 0;
	stream->is_finished = false;
	list_unlink(&stream->node);
	if (!stream->stream)
		stream_release(stream);
	return true;
}

/* As news_tell. */
static bool taken_tell(struct stream_inlet *inlet)
{
	struct stream_message *message = worker_stream_message_new(STREAM_TAKEN, 0, 0);

	if (!message)
		return false;
	message->taken_len = inlet->taken_len;
	worker_stream_queue_post(inlet->to, message);
	inlet->taken_len = 0;
	return true;
}

bool worker_stream_inlet_flush(struct stream_inlet *inlet)
{
	if (!inlet->to)
		return false;
	if (inlet->taken_len && !taken_tell(inlet))
		return true;
	while (!list_is_empty(&inlet->news))
		if (!news_tell(container_of(inlet->news.next, struct inlet_stream, node)))
			break;
	return worker_stream_queue_flush(inlet->to) || !list_is_empty(&inlet->news);
}

size_t worker_stream_inlet_footprint(uint32_t stream_cap)
{
	return pool_footprint(sizeof(struct inlet_stream), stream_cap) +
	       map_footprint(sizeof(pool_handle), stream_cap);
}

int worker_stream_inlet_open(struct stream_inlet *inlet, struct mesh *mesh, uint32_t stream_cap,
			     struct stream_queue *to, struct stream_queue *from)
{
	static const uint64_t secret[2]; /* the worker's names are not its peers' choice */
	int err;

	*inlet = (struct stream_inlet){.mesh = mesh, .to = to, .from = from};
	list_init(&inlet->news);
	err = arena_open(&inlet->arena, worker_stream_inlet_footprint(stream_cap));
	if (err == 0)
		err = pool_init(&inlet->streams, &inlet->arena, sizeof(struct inlet_stream),
				stream_cap);
	if (err == 0)
		err = map_init(&inlet->by_name, &inlet->arena, sizeof(pool_handle), stream_cap,
			       secret);
	return err;
}

void worker_stream_inlet_close(struct stream_inlet *inlet, uint64_t now_ns)
{
	const struct mesh_stream_end end = {.err = WEFT_ECLOSED};
	struct inlet_stream *stream;
	struct stream_message *message;

	if (!inlet->to)
		return;
	while ((message = worker_stream_queue_drain(inlet->from))) {
		inlet_take(inlet, message, now_ns);
		free(message);
	}
	while ((stream = pool_next(&inlet->streams, NULL))) {
		struct mesh_stream *told = stream->stream;

		stream_release(stream);
		if (told)
			mesh_foreign_ended(told, &end, now_ns);
	}
	/* What the worker never read. */
	while ((message = worker_stream_queue_drain(inlet->to))) {
		if (message->kind == STREAM_SAY)
			inlet_said(NULL, message, now_ns);
		free(message);
	}
	arena_close(&inlet->arena);
	*inlet = (struct stream_inlet){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stream_inlet.h"

#include <string.h>

#include "base/assert.h"
#include "base/fair/fair_path.h"
#include "stream_relay.h"

/* Home has other things to do, however much a worker tells. */
#define MESSAGES_PER_TURN 4096

struct inlet_stream {
	struct stream_inlet *inlet;
	pool_handle name;
	struct mesh_stream *stream; /* NULL: reset, and the worker has to be informed, or left */
	struct list_node node;	    /* of inlet->news */
	struct fair_path path;
	size_t consumed_len; /* not sent to the worker yet */
	bool is_finished;
	bool is_left;
	uint64_t code;	  /* of the reset */
	unsigned say_cnt; /* frames that have not come back */
	const void *lent; /* arg of the tail that was sent last */
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

/* A place for a frame, or NULL. */
static struct stream_say *frame_acquire(struct inlet_stream *stream)
{
	struct stream_inlet *inlet = stream->inlet;
	struct stream_say *say = inlet->unused_frames;
	bool is_own = stream->say_cnt == 0 && inlet->own_frame_cnt < inlet->streams.cap_cnt;
	struct fair_item *victim;

	if (!is_own && !fair_may_hold(&inlet->frame_slots, &stream->path,
				      inlet->frame_cap - inlet->frame_slots.held_cnt)) {
		inlet->frame_refused_cnt++;
		return NULL;
	}
	if (say)
		inlet->unused_frames = say->next;
	else
		say = &inlet->frames[inlet->made_frame_cnt++];
	if (is_own) {
		inlet->own_frame_cnt++;
	} else {
		enum fair_verdict verdict = fair_take(&inlet->frame_slots, &stream->path,
						      &say->slot, inlet->now_ns, &victim);

		weft_assert(verdict == FAIR_TAKEN); /* there are as many slots as places */
	}
	return say;
}

static void frame_release(struct stream_inlet *inlet, struct stream_say *say)
{
	if (fair_item_holds(&say->slot))
		fair_release(&inlet->frame_slots, &say->slot, inlet->now_ns);
	else
		inlet->own_frame_cnt--;
	say->next = inlet->unused_frames;
	inlet->unused_frames = say;
}

static int foreign_send(void *carrier, const struct mesh_stream_frame *frame, const void *head,
			size_t head_len, const struct transport_span *tail)
{
	struct inlet_stream *stream = carrier;
	struct stream_say *say;

	say = stream->say_cnt < RELAY_SAYS_MAX ? frame_acquire(stream) : NULL;
	if (!say && stream->say_cnt == 0)
		return WEFT_ECLOSED; /* no frame of its own says when there is a place again */
	if (!say) {
		stream->wants_writable = true;
		return WEFT_EFULL;
	}
	say->stream = stream->name;
	say->frame = *frame;
	say->tail = tail ? *tail : (struct transport_span){0};
	say->head_len = head_len;
	if (head_len)
		memcpy(say->head, head, head_len);
	if (tail)
		stream->lent = tail->arg;
	stream->say_cnt++;
	worker_stream_queue_post_say(stream->inlet->to, say);
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

static void foreign_leave(void *carrier)
{
	struct inlet_stream *stream = carrier;

	stream->stream = NULL;
	stream->is_left = true;
}

/* Only what its user left: others are reset by the user itself. */
static void foreign_recall(struct mesh_foreign_source *source, const void *arg, uint64_t code)
{
	struct stream_inlet *inlet = container_of(source, struct stream_inlet, source);
	struct inlet_stream *stream = NULL;

	while ((stream = pool_next(&inlet->streams, stream)))
		if (stream->is_left && stream->say_cnt && stream->lent == arg) {
			stream->is_left = false;
			foreign_reset(stream, code);
		}
}

static const struct mesh_foreign_ops foreign_ops = {
	.send = foreign_send,
	.finish = foreign_finish,
	.consume = foreign_consume,
	.reset = foreign_reset,
	.leave = foreign_leave,
};

/* Why a stream is not taken, to its opener. */
static uint64_t refusal_code(int err)
{
	if (err == WEFT_EUNKNOWN)
		return MESH_CODE_UNKNOWN;
	return err == WEFT_EFULL ? MESH_CODE_BUSY : MESH_CODE_REFUSED;
}

/* --- what the worker sends (stream_relay.c) --- */

/* The stream that a message names; NULL: it is over here. */
static struct inlet_stream *stream_heard(struct stream_inlet *inlet, const void *bytes)
{
	const struct stream_event *event = bytes;

	inlet->taken_cnt++;
	return map_lookup(&inlet->by_name, &event->stream);
}

void worker_inlet_opened(void *object, const void *bytes, size_t len)
{
	const struct stream_opened *opened = bytes;
	struct stream_inlet *inlet = object;
	struct inlet_stream *stream = pool_acquire(&inlet->streams);
	struct mesh_foreign foreign = {.type = opened->type,
				       .peer = &opened->peer,
				       .ops = &foreign_ops,
				       .carrier = stream};
	int err;

	(void)len;
	inlet->taken_cnt++;
	/* None is here that the worker has not got. */
	weft_assert(stream && map_put(&inlet->by_name, &opened->stream, stream) == 0);
	stream->inlet = inlet;
	stream->name = opened->stream;
	stream->path = opened->path;
	list_init(&stream->node);
	err = mesh_foreign_open(inlet->mesh, &foreign, inlet->now_ns, &stream->stream);
	if (err == 0)
		return;
	stream->stream = NULL;
	if (!stream->code)
		stream->code = refusal_code(err);
	stream_note(stream);
}

void worker_inlet_frame(void *object, const void *bytes, size_t len)
{
	const struct stream_frame *framed = bytes;
	struct stream_inlet *inlet = object;
	struct inlet_stream *stream = stream_heard(inlet, bytes);

	(void)len;
	if (stream && stream->stream)
		mesh_foreign_frame(stream->stream, &framed->frame, inlet->now_ns);
}

void worker_inlet_data(void *object, const void *bytes, size_t len)
{
	const struct stream_event *event = bytes;
	struct stream_inlet *inlet = object;
	struct inlet_stream *stream = stream_heard(inlet, bytes);
	size_t data_len = len - sizeof(*event);

	if (stream && stream->is_left)
		foreign_consume(stream, data_len);
	else if (stream && stream->stream)
		mesh_foreign_data(stream->stream, (const uint8_t *)(event + 1), data_len,
				  inlet->now_ns);
}

void worker_inlet_finished(void *object, const void *bytes, size_t len)
{
	struct stream_inlet *inlet = object;
	struct inlet_stream *stream = stream_heard(inlet, bytes);

	(void)len;
	if (stream && stream->stream)
		mesh_foreign_finished(stream->stream, inlet->now_ns);
}

void worker_inlet_ended(void *object, const void *bytes, size_t len)
{
	const struct stream_ended *ended = bytes;
	const struct mesh_stream_end end = {.err = ended->err, .code = ended->code};
	struct stream_inlet *inlet = object;
	struct inlet_stream *stream = stream_heard(inlet, bytes);
	struct mesh_stream *open = stream ? stream->stream : NULL;

	(void)len;
	if (stream)
		stream_release(stream);
	if (open)
		mesh_foreign_ended(open, &end, inlet->now_ns);
}

/* A frame comes back: sent or not, it is no longer needed, whether its stream is there or not. */
static void said(struct stream_inlet *inlet, struct stream_say *say)
{
	struct inlet_stream *stream = map_lookup(&inlet->by_name, &say->stream);

	if (say->tail.data && say->tail.done)
		say->tail.done(say->tail.arg);
	frame_release(inlet, say);
	if (!stream)
		return;
	stream->say_cnt--;
	if (!stream->wants_writable || !stream->stream)
		return;
	stream->wants_writable = false;
	mesh_foreign_writable(stream->stream, inlet->now_ns);
}

void worker_inlet_said(void *object, const void *bytes, size_t len)
{
	(void)len;
	said(object, *(struct stream_say *const *)bytes);
}

bool worker_stream_inlet_read(struct stream_inlet *inlet, uint64_t now_ns)
{
	unsigned cnt = 0;

	inlet->now_ns = now_ns;
	while (inlet->from && cnt < MESSAGES_PER_TURN &&
	       mailbox_run(&inlet->from->mailbox, (void *[]){inlet}))
		cnt++;
	return cnt > 0;
}

/* False: there is no room to tell. */
static bool news_tell(struct inlet_stream *stream)
{
	bool is_reset = !stream->stream && !stream->is_left;
	const struct stream_turn turn = {
		.stream = stream->name,
		.consumed_len = stream->consumed_len,
		.is_finished = stream->is_finished,
		.is_reset = is_reset,
		.code = stream->code,
	};
	const struct mailbox_message message = {
		.run = worker_relay_turn, .bytes = &turn, .len = sizeof(turn)};

	if (!worker_stream_queue_post(stream->inlet->to, &message))
		return false;
	stream->consumed_len = 0;
	stream->is_finished = false;
	list_unlink(&stream->node);
	if (is_reset)
		stream_release(stream);
	return true;
}

/* As news_tell. */
static bool taken_tell(struct stream_inlet *inlet)
{
	const struct mailbox_message message = {.run = worker_relay_taken,
						.bytes = &inlet->taken_cnt,
						.len = sizeof(inlet->taken_cnt)};

	if (!worker_stream_queue_post(inlet->to, &message))
		return false;
	inlet->taken_cnt = 0;
	return true;
}

bool worker_stream_inlet_flush(struct stream_inlet *inlet)
{
	bool is_told;

	if (!inlet->to)
		return false;
	is_told = !inlet->taken_cnt || taken_tell(inlet);
	while (is_told && !list_is_empty(&inlet->news))
		is_told = news_tell(container_of(inlet->news.next, struct inlet_stream, node));
	return worker_stream_queue_flush(inlet->to) || !is_told;
}

static int inlet_lay_out(struct stream_inlet *inlet, uint32_t stream_cap)
{
	/* The worker's names, and its accounts', are not its peers' choice. */
	static const uint64_t secret[2];
	static const struct fair_config slots = {.name = "frames from home to streams of workers",
						 .kind = FAIR_WORK,
						 .cap_cnt = INLET_FRAMES_MAX,
						 .level_cnt = FAIR_PEER_LEVELS};
	int err = arena_open(&inlet->arena, ARENA_GROWS);

	if (err == 0)
		err = pool_init(&inlet->streams, &inlet->arena, sizeof(struct inlet_stream),
				stream_cap);
	if (err == 0)
		err = map_init(&inlet->by_name, &inlet->arena, sizeof(pool_handle), stream_cap,
			       secret);
	if (err == 0)
		err = fair_init(&inlet->frame_slots, &inlet->arena, &slots, secret);
	if (err == 0) {
		inlet->frames = arena_alloc(&inlet->arena, ((size_t)stream_cap + INLET_FRAMES_MAX) *
								   sizeof(inlet->frames[0]));
		err = inlet->frames ? 0 : WEFT_EFULL;
	}
	arena_fit(&inlet->arena);
	return err;
}

size_t worker_stream_inlet_footprint(uint32_t stream_cap)
{
	struct stream_inlet inlet = {0};
	size_t len = inlet_lay_out(&inlet, stream_cap) < 0 ? 0 : inlet.arena.used_len;

	arena_close(&inlet.arena);
	return len;
}

int worker_stream_inlet_open(struct stream_inlet *inlet, struct mesh *mesh, uint32_t stream_cap,
			     struct stream_queue *to, struct stream_queue *from)
{
	*inlet = (struct stream_inlet){
		.mesh = mesh, .to = to, .from = from, .frame_cap = INLET_FRAMES_MAX};
	list_init(&inlet->news);
	inlet->source.recall = foreign_recall;
	mesh_foreign_attach(mesh, &inlet->source);
	return inlet_lay_out(inlet, stream_cap);
}

void worker_stream_inlet_close(struct stream_inlet *inlet, uint64_t now_ns)
{
	const struct mesh_stream_end end = {.err = WEFT_ECLOSED};
	struct inlet_stream *stream;
	struct stream_say *say;

	if (!inlet->to)
		return;
	inlet->now_ns = now_ns;
	while (mailbox_run(&inlet->from->mailbox, (void *[]){inlet}))
		;
	while ((say = worker_stream_queue_take(inlet->from)))
		said(inlet, say);
	while ((stream = pool_next(&inlet->streams, NULL))) {
		struct mesh_stream *open = stream->stream;

		stream_release(stream);
		if (open)
			mesh_foreign_ended(open, &end, now_ns);
	}
	/* Frames that the worker has not read lie in this memory. */
	worker_stream_queue_fini(inlet->to);
	mesh_foreign_detach(&inlet->source);
	arena_close(&inlet->arena);
	*inlet = (struct stream_inlet){0};
}

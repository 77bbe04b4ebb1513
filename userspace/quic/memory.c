/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's heap: ngtcp2's objects, copies of bytes to send, close
 * packets. A stream whose copy was refused waits here; what frees memory
 * may be any connection's, so the next flush tells the waiting ones in
 * turn. A freed block fits only its size class, so being told is no
 * promise: who is refused again waits at the end of the line.
 */
#include "quic/engine.h"

/* A refusal searches the whole heap: how many to provoke in one flush. */
#define WAKE_CNT_MAX 16

static void *mem_alloc(size_t len, void *user)
{
	return heap_alloc(((struct quic_engine *)user)->heap, len);
}

static void mem_free(void *block, void *user)
{
	quic_memory_release(user, block);
}

static void *mem_zalloc(size_t cnt, size_t len, void *user)
{
	return heap_zalloc(((struct quic_engine *)user)->heap, cnt, len);
}

static void *mem_resize(void *block, size_t len, void *user)
{
	struct quic_engine *engine = user;

	engine->is_memory_freed = true;
	return heap_resize(engine->heap, block, len);
}

int quic_memory_init(struct quic_engine *engine, size_t cap)
{
	TAILQ_INIT(&engine->starved);
	engine->mem = (ngtcp2_mem){engine, mem_alloc, mem_free, mem_zalloc, mem_resize};
	return heap_new(cap, &engine->heap);
}

void quic_memory_release(struct quic_engine *engine, void *block)
{
	heap_release(engine->heap, block);
	engine->is_memory_freed = true;
}

void quic_memory_await(struct quic_stream *stream)
{
	struct quic_engine *engine = stream->conn->engine;

	if (stream->is_starved)
		return;
	stream->is_starved = true;
	TAILQ_INSERT_TAIL(&engine->starved, stream, starved_link);
	engine->starved_cnt++;
}

void quic_memory_forget(struct quic_stream *stream)
{
	struct quic_engine *engine = stream->conn->engine;

	if (!stream->is_starved)
		return;
	stream->is_starved = false;
	TAILQ_REMOVE(&engine->starved, stream, starved_link);
	engine->starved_cnt--;
}

void quic_memory_wake(struct quic_engine *engine)
{
	uint32_t cnt = engine->starved_cnt;

	if (!quic_memory_is_due(engine))
		return;
	/* Those beyond the limit keep it due, so that the next flush comes at once. */
	engine->is_memory_freed = cnt > WAKE_CNT_MAX;
	for (uint32_t i = 0; i < cnt && i < WAKE_CNT_MAX && engine->starved_cnt; i++)
		quic_stream_writable(TAILQ_FIRST(&engine->starved));
}

bool quic_memory_is_due(const struct quic_engine *engine)
{
	return engine->is_memory_freed && engine->starved_cnt > 0;
}

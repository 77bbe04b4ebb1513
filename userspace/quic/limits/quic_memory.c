/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's heap: ngtcp2's objects, copies of bytes to send, close
 * packets.
 *
 * Half of it is shared out. A connection may always hold its share, which is
 * more than an idle one needs. All connections together may hold the other
 * half, mostly bytes that came before others that are missing. When that is
 * used up, the connection that holds the most ends, not the one that
 * asks. So a peer that fills its window and leaves the first byte out does
 * not end others. Connections that begin meanwhile get smaller windows.
 *
 * A stream whose copy was refused waits here. Any connection may free
 * memory, so the next flush calls the waiting streams in turn. A freed
 * block fits only its size class. A stream that is refused again waits at
 * the end of the line.
 */
#include "quic/engine.h"

#include <string.h>

/* A refusal searches the whole heap: how many to provoke in one flush. */
#define WAKE_CNT_MAX 16
/* Least share, twice what an idle connection takes (docs/performance.md). */
#define SHARE_LEN_MIN ((size_t)64 << 10)
/* Least window: a request and its answer are smaller. */
#define WINDOW_LEN_MIN ((size_t)16 << 10)

static size_t conn_excess(const struct quic_conn *conn)
{
	size_t share_len = conn->engine->heap_share_len;

	return conn->heap_len > share_len ? conn->heap_len - share_len : 0;
}

/* Memory that a condemned connection still holds counts as free. */
static void conn_account(struct quic_conn *conn, size_t heap_len)
{
	size_t before = conn_excess(conn);

	conn->heap_len = heap_len;
	if (!conn->is_condemned)
		conn->engine->excess_len += conn_excess(conn) - before;
}

static struct quic_conn *largest_conn(struct quic_engine *engine)
{
	struct quic_conn *conn = NULL, *largest = NULL;

	while ((conn = pool_next(&engine->conns, conn)))
		if (!conn->is_condemned && (!largest || conn->heap_len > largest->heap_len))
			largest = conn;
	return largest;
}

/* Ends with the next flush: the call that needs memory may be inside any connection's events. */
static void conn_condemn(struct quic_conn *conn)
{
	struct quic_engine *engine = conn->engine;

	engine->excess_len -= conn_excess(conn);
	conn->is_condemned = true;
	engine->stats.refused_heap_cnt++;
	if (!conn->is_close_wanted)
		quic_conn_refuse(conn, QUIC_CLOSE_REFUSED, "holds too much memory");
	quic_conn_want_write(conn);
}

/* Whether conn may hold len bytes more; if need be at the cost of one that holds more. */
static bool conn_may_hold(struct quic_conn *conn, size_t len)
{
	struct quic_engine *engine = conn->engine;
	struct quic_conn *largest;

	if (conn->heap_len + len <= engine->heap_share_len)
		return true;
	if (conn->is_condemned)
		return false;
	if (engine->excess_len + len <= engine->excess_cap)
		return true;
	largest = largest_conn(engine);
	if (largest)
		conn_condemn(largest);
	return largest != conn;
}

void *quic_memory_alloc(struct quic_conn *conn, size_t len)
{
	struct heap *heap = conn->engine->heap;
	void *block = conn_may_hold(conn, len) ? heap_alloc(heap, len) : NULL;

	if (block)
		conn_account(conn, conn->heap_len + heap_block_len(heap, block));
	return block;
}

void quic_memory_release(struct quic_conn *conn, void *block)
{
	struct quic_engine *engine = conn->engine;

	if (!block)
		return;
	conn_account(conn, conn->heap_len - heap_block_len(engine->heap, block));
	heap_release(engine->heap, block);
	engine->is_memory_freed = true;
}

static void *mem_alloc(size_t len, void *user)
{
	return quic_memory_alloc(user, len);
}

static void mem_free(void *block, void *user)
{
	quic_memory_release(user, block);
}

static void *mem_zalloc(size_t cnt, size_t len, void *user)
{
	size_t total;
	void *block;

	if (__builtin_mul_overflow(cnt, len, &total))
		return NULL;
	block = quic_memory_alloc(user, total);
	return block ? memset(block, 0, total) : NULL;
}

static void *mem_resize(void *block, size_t len, void *user)
{
	struct quic_conn *conn = user;
	struct quic_engine *engine = conn->engine;
	size_t old_len = block ? heap_block_len(engine->heap, block) : 0;
	void *moved;

	if (len > old_len && !conn_may_hold(conn, len - old_len))
		return NULL;
	moved = heap_resize(engine->heap, block, len);
	if (!moved)
		return NULL;
	conn_account(conn, conn->heap_len - old_len + heap_block_len(engine->heap, moved));
	engine->is_memory_freed = true;
	return moved;
}

int quic_memory_init(struct quic_engine *engine, size_t cap)
{
	size_t share_len = cap / 2 / engine->config.conn_cap;

	list_init(&engine->starved);
	engine->heap_share_len = share_len > SHARE_LEN_MIN ? share_len : SHARE_LEN_MIN;
	engine->excess_cap = cap / 2;
	engine->mem = (ngtcp2_mem){NULL, mem_alloc, mem_free, mem_zalloc, mem_resize};
	return heap_new(cap, &engine->heap);
}

uint64_t quic_memory_window_len(const struct quic_engine *engine, uint64_t wanted_len,
				unsigned divisor)
{
	size_t left_len = engine->excess_cap > engine->excess_len
				  ? engine->excess_cap - engine->excess_len
				  : 0;
	size_t len = left_len / divisor;

	len = len > WINDOW_LEN_MIN ? len : WINDOW_LEN_MIN;
	return len < wanted_len ? len : wanted_len;
}

void quic_memory_await(struct quic_stream *stream)
{
	struct quic_engine *engine = stream->conn->engine;

	if (stream->is_starved)
		return;
	stream->is_starved = true;
	list_push_back(&engine->starved, &stream->starved_link);
	engine->starved_cnt++;
}

void quic_memory_forget(struct quic_stream *stream)
{
	struct quic_engine *engine = stream->conn->engine;

	if (!stream->is_starved)
		return;
	stream->is_starved = false;
	list_unlink(&stream->starved_link);
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
		quic_stream_writable(
			list_first(&engine->starved, struct quic_stream, starved_link));
}

bool quic_memory_is_due(const struct quic_engine *engine)
{
	return engine->is_memory_freed && engine->starved_cnt > 0;
}

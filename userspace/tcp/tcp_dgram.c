/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams of relay flows in a connection. They come in frames of their own, and wait in a queue of
 * their connection. They need no credit: what does not fit is dropped, as on any network. The oldest
 * makes room, for the newest has what its peer needs now.
 */
#include "tcp/tcp_state.h"

#include <string.h>

#include "base/assert.h"

_Static_assert(TCP_DGRAM_LEN_MAX == TCP_FRAME_DGRAM_MAX, "a frame carries each datagram");
_Static_assert(TCP_DGRAM_LEN_MAX <= UINT16_MAX, "a slot's len");

int tcp_dgram_init(struct tcp_engine *engine, const uint64_t secret[2])
{
	uint32_t conn_cap = engine->conns.cap_cnt;
	int err = pool_init(&engine->dgrams, &engine->arena, sizeof(struct tcp_dgram_slot),
			    engine->config.dgram_cap);

	list_init(&engine->dgrams_by_age);

	if (err < 0)
		return err;
	return map_init(&engine->conn_by_name, &engine->arena, TCP_NAME_LEN, conn_cap, secret);
}

void tcp_dgram_enter(struct tcp_conn *conn)
{
	int err = map_put(&conn->engine->conn_by_name, conn->peer_key, conn);

	/* There are as many places as connections. */
	weft_assert(err == 0);
}

static struct tcp_dgram_slot *oldest_of(const struct tcp_conn *conn)
{
	return list_first(&conn->dgrams, struct tcp_dgram_slot, link);
}

static void slot_drop(struct tcp_conn *conn, struct tcp_dgram_slot *slot)
{
	list_unlink(&slot->link);
	list_unlink(&slot->age);
	pool_release(&conn->engine->dgrams, slot);
	conn->dgram_cnt--;
}

/* Another open connection of the key takes its place, if there is one. */
void tcp_dgram_leave(struct tcp_conn *conn)
{
	struct tcp_engine *engine = conn->engine;
	struct tcp_conn *other = NULL;

	while (conn->dgram_cnt)
		slot_drop(conn, oldest_of(conn));
	if (!conn->is_announced || map_lookup(&engine->conn_by_name, conn->peer_key) != conn)
		return;
	(void)map_delete(&engine->conn_by_name, conn->peer_key);
	while ((other = pool_next(&engine->conns, other)))
		if (other != conn && other->state == TCP_CONN_OPEN && other->is_announced &&
		    memcmp(other->peer_key, conn->peer_key, TCP_NAME_LEN) == 0)
			tcp_dgram_enter(other);
}

void tcp_dgram_input(struct tcp_conn *conn, const struct tcp_frame *frame)
{
	struct tcp_engine *engine = conn->engine;
	/* Where frame->data points; a receiver decrypts in place. */
	const struct tcp_dgram dgram = {.data = conn->reader.body + TCP_FRAME_ECN_LEN,
					.len = frame->len,
					.ecn = frame->ecn};

	engine->stats.dgram_heard_cnt++;
	if (engine->on_dgram && !conn->is_close_wanted)
		engine->on_dgram(engine->dgram_ctx, conn->peer_key, &dgram, engine->now_ns);
}

static void late_drop(struct tcp_conn *conn)
{
	struct tcp_engine *engine = conn->engine;
	struct tcp_dgram_slot *slot;

	while ((slot = oldest_of(conn)) && engine->now_ns >= slot->queued_ns + TCP_DGRAM_LATE_NS) {
		slot_drop(conn, slot);
		engine->stats.dgram_late_cnt++;
	}
}

/* Room in conn's queue for one more, of which the oldest of all datagrams may be dropped. */
static struct tcp_dgram_slot *slot_take(struct tcp_conn *conn)
{
	struct tcp_engine *engine = conn->engine;
	uint32_t max = engine->dgrams.cap_cnt - engine->dgrams.used_cnt;

	if (max > TCP_DGRAM_QUEUE_MAX)
		max = TCP_DGRAM_QUEUE_MAX;
	while (conn->dgram_cnt && conn->dgram_cnt >= max) {
		slot_drop(conn, oldest_of(conn));
		engine->stats.dgram_full_cnt++;
		if (max < TCP_DGRAM_QUEUE_MAX)
			max++;
	}
	/* Clients that read nothing hold the oldest ones: any number of them leaves room for the others. */
	if (engine->dgrams.used_cnt == engine->dgrams.cap_cnt) {
		struct tcp_dgram_slot *oldest =
			list_first(&engine->dgrams_by_age, struct tcp_dgram_slot, age);

		slot_drop(oldest->conn, oldest);
		engine->stats.dgram_full_cnt++;
	}
	return pool_acquire(&engine->dgrams);
}

int tcp_engine_send_dgram(struct tcp_engine *engine, const uint8_t name[static TCP_NAME_LEN],
			  const struct tcp_dgram *dgram, uint64_t now_ns)
{
	struct tcp_conn *conn = map_lookup(&engine->conn_by_name, name);
	struct tcp_dgram_slot *slot;

	if (now_ns > engine->now_ns)
		engine->now_ns = now_ns;
	if (!conn || !tcp_conn_is_usable(conn)) {
		engine->stats.dgram_absent_cnt++;
		return WEFT_EABSENT;
	}
	late_drop(conn);
	slot = dgram->len && dgram->len <= TCP_DGRAM_LEN_MAX ? slot_take(conn) : NULL;
	if (!slot) {
		engine->stats.dgram_full_cnt++;
		return dgram->len > TCP_DGRAM_LEN_MAX ? WEFT_ETOOLARGE : WEFT_EFULL;
	}
	slot->queued_ns = engine->now_ns;
	slot->len = (uint16_t)dgram->len;
	slot->ecn = dgram->ecn & 3;
	memcpy(slot->data, dgram->data, dgram->len);
	slot->conn = conn;
	list_push_back(&conn->dgrams, &slot->link);
	list_push_back(&engine->dgrams_by_age, &slot->age);
	conn->dgram_cnt++;
	tcp_conn_want_write(conn);
	return 0;
}

void tcp_dgram_fill(struct tcp_conn *conn, struct writer *w, const uint8_t *limit)
{
	struct tcp_dgram_slot *slot;

	late_drop(conn);
	while ((slot = oldest_of(conn))) {
		const struct tcp_frame frame = {
			.kind = TCP_FRAME_DGRAM,
			.data = slot->data,
			.len = slot->len,
			.ecn = slot->ecn,
		};

		if (limit - w->pos < TCP_FRAME_HEAD_LEN + TCP_FRAME_ECN_LEN + slot->len)
			return;
		tcp_frame_write(w, &frame);
		conn->engine->stats.dgram_sent_cnt++;
		slot_drop(conn, slot);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histories of others' rooms that are kept here. Now and then this node asks one of the nodes
 * that may have a history for its head. Then it asks for the segments that the head names and
 * that are not here. It believes only what the host signed, and only segments that follow from
 * the one before. One question is under way at a time. Home worker.
 */
#include <string.h>

#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "crypto/blake3/blake3.h"
#include "crypto/node_key.h"
#include "builtin/builtin.h"
#include "rooms.h"

#define REPLY_CAP   (ROOM_SEGMENT_LEN_MAX + 1024 + MESH_FRAME_OVERHEAD)
#define TIMEOUT_NS  (20 * NS_PER_S)
#define REQUEST_CAP 128

struct room_sync {
	struct mesh_request *request; /* NULL: none is under way */
	struct room *room;
	uint8_t peer[MESH_KEY_LEN];
	uint8_t head_bytes[ROOM_HEAD_LEN_MAX];
	size_t head_len;
	struct room_head head; /* of them, verified */
	uint64_t number;       /* of the segment that was asked for */
	uint8_t reply[REPLY_CAP];
};

static const struct ack quiet;

static void ask(struct rooms *rooms, unsigned type, uint64_t now_ns);

static uint64_t wall_ms(const struct rooms *rooms)
{
	return rooms->clock->wall_ms(rooms->clock->ctx);
}

static void sync_end(struct rooms *rooms, const char *fault)
{
	struct room_sync *sync = rooms->sync;

	sync->request = NULL;
	if (sync->room)
		sync->room->fault = fault;
	sync->room = NULL;
}

/* --- received records --- */

/* All parts that the head names are here: the head becomes the room's. */
static void head_take(struct rooms *rooms, const uint8_t *tail, size_t tail_len, uint64_t now_ns)
{
	struct room_sync *sync = rooms->sync;
	struct room *room = sync->room;
	struct provider_write *write = provider_write_new(rooms->tenant);

	if (!builtin_room_set_bytes(room, &room->tail, &room->tail_len, tail, tail_len) ||
	    !builtin_room_set_bytes(room, &room->head, &room->head_len, sync->head_bytes,
				    sync->head_len)) {
		provider_write_free(write);
		sync_end(rooms, "there is no memory for its newest messages");
		return;
	}
	room->updated_ms = sync->head.updated_ms;
	builtin_room_trim(room, sync->head.days, wall_ms(rooms), write);
	builtin_room_record_put(room, write);
	builtin_acks_submit(rooms->acks, write, &quiet, now_ns);
	sync_end(rooms, NULL);
}

static bool has_tail(const struct room_head *head)
{
	static const uint8_t zeros[ROOM_HASH_LEN];

	return memcmp(head->tail, zeros, ROOM_HASH_LEN) != 0;
}

/* Asks for the next missing part, or takes the head. */
static void sync_next(struct rooms *rooms, uint64_t now_ns)
{
	struct room_sync *sync = rooms->sync;
	const struct room *room = sync->room;

	if (room->sealed_cnt > sync->head.sealed_cnt ||
	    (room->sealed_cnt == sync->head.sealed_cnt && room->sealed_cnt &&
	     memcmp(room->last, sync->head.last, ROOM_HASH_LEN) != 0)) {
		sync_end(rooms, "its host signed two histories that differ");
		return;
	}
	sync->number = room->sealed_cnt;
	if (sync->number < sync->head.sealed_cnt || has_tail(&sync->head))
		ask(rooms, MESH_GET_ROOM_SEGMENT, now_ns);
	else
		head_take(rooms, NULL, 0, now_ns);
}

static void segment_came(struct rooms *rooms, const struct room_answer *told, uint64_t now_ns)
{
	struct room_sync *sync = rooms->sync;
	struct room *room = sync->room;
	bool is_tail = sync->number == sync->head.sealed_cnt;
	const struct room_place place = {
		.id = room->id,
		.host = room->host,
		.number = sync->number,
		.previous = room->part_cnt || room->sealed_cnt == 0 || is_tail ? room->last : NULL,
		.after_sequence = room->sealed_sequence,
	};
	struct room_segment segment;
	struct room_part part = {.number = sync->number, .len = (uint32_t)told->len};
	struct provider_write *write;

	blake3_hash(told->bytes, told->len, part.hash);
	if (builtin_room_segment_check(told->bytes, told->len, &place, &segment) < 0 ||
	    (is_tail ? memcmp(part.hash, sync->head.tail, ROOM_HASH_LEN) != 0
		     : segment.event_cnt < ROOM_SEGMENT_EVENTS)) {
		sync_end(rooms, "a node gave a segment that its host did not sign, or not there");
		return;
	}
	if (is_tail) {
		head_take(rooms, told->bytes, told->len, now_ns);
		return;
	}
	part.event_cnt = segment.event_cnt;
	part.first_sequence = segment.first_sequence;
	part.last_sequence = segment.last_sequence;
	write = provider_write_new(rooms->tenant);
	builtin_room_take_part(room, &part, told->bytes, write);
	builtin_room_record_put(room, write);
	builtin_acks_submit(rooms->acks, write, &quiet, now_ns);
	sync_next(rooms, now_ns);
}

/*
 * The missing segments in between can no longer be had: the history begins anew with the next one.
 */
static void gap_skip(struct rooms *rooms, uint64_t first, uint64_t now_ns)
{
	struct room_sync *sync = rooms->sync;
	struct room *room = sync->room;
	uint64_t sealed_cnt = sync->head.sealed_cnt;
	struct provider_write *write;

	if (sealed_cnt > ROOM_SEGMENTS_MAX && first < sealed_cnt - ROOM_SEGMENTS_MAX)
		first = sealed_cnt - ROOM_SEGMENTS_MAX;
	if (first <= room->sealed_cnt || first > sealed_cnt)
		return;
	write = provider_write_new(rooms->tenant);
	builtin_room_drop_parts(room, write);
	room->sealed_cnt = first;
	memset(room->last, 0, sizeof(room->last));
	if (first == sealed_cnt)
		memcpy(room->last, sync->head.last, ROOM_HASH_LEN);
	builtin_room_record_put(room, write);
	builtin_acks_submit(rooms->acks, write, &quiet, now_ns);
}

static void head_came(struct rooms *rooms, const struct room_answer *told, uint64_t now_ns)
{
	struct room_sync *sync = rooms->sync;
	struct room *room = sync->room;

	if (told->len > sizeof(sync->head_bytes) ||
	    builtin_room_head_check(told->bytes, told->len, room->id, room->host, &sync->head) <
		    0) {
		sync_end(rooms, "a node gave a head that its host did not sign");
		return;
	}
	memcpy(sync->head_bytes, told->bytes, told->len);
	sync->head_len = told->len;
	if (sync->head.updated_ms <= room->updated_ms) {
		sync_end(rooms, NULL);
		return;
	}
	gap_skip(rooms, told->first, now_ns);
	sync_next(rooms, now_ns);
}

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct rooms *rooms = arg;
	struct room_answer told;
	bool is_head = reply->type == MESH_ROOM_HEAD;

	rooms->sync->request = NULL;
	if (reply->err < 0)
		sync_end(rooms, reply->err == WEFT_EABSENT
					? "a node that was asked does not have it"
					: "a node that was asked did not answer");
	else if (builtin_room_answer_parse(reply->payload, reply->payload_len, is_head, &told) < 0)
		sync_end(rooms, "a node gave an answer that cannot be read");
	else if (is_head)
		head_came(rooms, &told, now_ns);
	else
		segment_came(rooms, &told, now_ns);
}

/* --- asking --- */

static void ask(struct rooms *rooms, unsigned type, uint64_t now_ns)
{
	struct room_sync *sync = rooms->sync;
	const struct room_ask wanted = {.host = sync->room->host, .number = sync->number};
	uint8_t payload[REQUEST_CAP];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_ask question = {
		.type = type,
		.payload = payload,
		.reply_buf = sync->reply,
		.reply_cap = sizeof(sync->reply),
		.timeout_ns = TIMEOUT_NS,
		.reply = on_reply,
		.arg = rooms,
	};
	struct room_ask told = wanted;

	memcpy(told.id, sync->room->id, sizeof(told.id));
	builtin_room_ask_write(&w, &told, type == MESH_GET_ROOM_SEGMENT);
	question.payload_len = writer_len(&w);
	memcpy(question.peer.key, sync->peer, MESH_KEY_LEN);
	if (provider_peer_ask(rooms->tenant, &question, now_ns, &sync->request) < 0)
		sync_end(rooms, "there is no session with a node that may have it");
}

/* Node number turn of those that may have it: the host, then the named nodes, then the members. */
static const uint8_t *node_of(const struct room *room, const struct room_head *head, unsigned turn)
{
	if (turn == 0)
		return room->host;
	if (turn - 1 < room->via_cnt)
		return room->via[turn - 1];
	turn -= 1 + room->via_cnt;
	return head && turn < head->member_cnt ? head->members[turn] : NULL;
}

static void room_ask_turn(struct room *room, uint64_t now_ns)
{
	struct rooms *rooms = room->rooms;
	struct room_sync *sync = rooms->sync;
	struct room_head head;
	bool has_head =
		room->head && builtin_room_head_parse(room->head, room->head_len, &head) == 0;
	const uint8_t *node = node_of(room, has_head ? &head : NULL, room->turn++);

	if (!node) {
		room->turn = 0;
		room->due_ns = now_ns + ROOMS_SYNC_NS;
		return;
	}
	if (memcmp(node, node_key_public(rooms->key), MESH_KEY_LEN) == 0)
		return;
	sync->room = room;
	memcpy(sync->peer, node, MESH_KEY_LEN);
	ask(rooms, MESH_ASK_ROOM, now_ns);
}

void builtin_rooms_sync_tick(struct rooms *rooms, uint64_t now_ns)
{
	struct room *room = NULL;

	if (!provider_peers_are_there(rooms->tenant))
		return;
	while (!rooms->sync->room && (room = pool_next(&rooms->pool, room)))
		if (!room->is_own && room->due_ns <= now_ns)
			room_ask_turn(room, now_ns);
}

/* --- life --- */

int builtin_rooms_sync_init(struct rooms *rooms, struct arena *arena)
{
	rooms->sync = arena_alloc(arena, sizeof(*rooms->sync));
	return rooms->sync ? 0 : WEFT_EFULL;
}

void builtin_rooms_sync_forget(struct rooms *rooms, const struct room *room)
{
	if (rooms->sync->room != room)
		return;
	if (rooms->sync->request)
		provider_peer_cancel(rooms->tenant, rooms->sync->request);
	rooms->sync->request = NULL;
	rooms->sync->room = NULL;
}

void builtin_rooms_sync_fini(struct rooms *rooms)
{
	if (rooms->sync && rooms->sync->room)
		builtin_rooms_sync_forget(rooms, rooms->sync->room);
}

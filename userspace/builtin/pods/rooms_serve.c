/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers' requests for histories of rooms: 420 for a head, 422 for a segment. For a peer that may
 * not read a room, the room is absent. Home worker.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/fair/fair_path.h"
#include "builtin/builtin.h"
#include "rooms.h"

#define WAIT_MS 1000

/* An answer under way, with its bytes behind it. */
struct answer {
	struct rooms_lent *lent;
	unsigned place;
	uint8_t data[];
};

struct rooms_lent {
	bool is_ended; /* rooms is gone: freed with the last answer */
	unsigned cnt;
	struct {
		bool is_used;
		uint64_t network; /* of its asker's path (base/fair/fair_path.h) */
		uint8_t peer[MESH_KEY_LEN];
	} places[ROOMS_ANSWERS_MAX];
};

static void answer_done(void *arg)
{
	struct answer *answer = arg;
	struct rooms_lent *lent = answer->lent;

	lent->places[answer->place].is_used = false;
	lent->cnt--;
	free(answer);
	if (lent->is_ended && lent->cnt == 0)
		free(lent);
}

static uint64_t network_of(const struct rooms *rooms, const struct mesh_call *call)
{
	struct fair_path path;

	provider_peer_ops(rooms->tenant)->asker_path(call->incoming, &path);
	return fair_path_network(&path);
}

/*
 * The place for an answer to peer, or ROOMS_ANSWERS_MAX. A place cannot be taken back, so a network
 * holds three times its free places at most (base/fair/fair.h, dynamic threshold).
 */
static unsigned place_find(const struct rooms_lent *lent, const uint8_t *peer, uint64_t network)
{
	unsigned peer_cnt = 0, network_cnt = 0, free_cnt = 0, place = ROOMS_ANSWERS_MAX;

	for (unsigned i = 0; i < ROOMS_ANSWERS_MAX; i++) {
		if (!lent->places[i].is_used) {
			place = i;
			free_cnt++;
			continue;
		}
		peer_cnt += memcmp(lent->places[i].peer, peer, MESH_KEY_LEN) == 0;
		network_cnt += lent->places[i].network == network;
	}
	if (peer_cnt >= ROOMS_PEER_ANSWERS_MAX || network_cnt >= FAIR_NETWORK_FACTOR * free_cnt)
		return ROOMS_ANSWERS_MAX;
	return place;
}

static void refuse(const struct rooms *rooms, const struct mesh_call *call, enum mesh_code code,
		   const char *text)
{
	uint64_t wait_ms = code == MESH_CODE_BUSY ? WAIT_MS : 0;

	provider_peer_ops(rooms->tenant)->answer_error(call->incoming, code, text, wait_ms);
}

/* Copies told->bytes. */
static void answer_send(struct rooms *rooms, const struct mesh_call *call, unsigned type,
			const struct room_answer *told)
{
	size_t cap = told->len + 64;
	uint64_t network = network_of(rooms, call);
	unsigned place = place_find(rooms->lent, call->peer_key, network);
	struct answer *answer = place < ROOMS_ANSWERS_MAX ? malloc(sizeof(*answer) + cap) : NULL;
	struct transport_span span = {.done = answer_done, .arg = answer};
	struct writer w;

	if (!answer) {
		refuse(rooms, call, MESH_CODE_BUSY, "as many answers are under way as may be");
		return;
	}
	w = writer_of(answer->data, cap);
	builtin_room_answer_write(&w, told, type == MESH_ROOM_HEAD);
	answer->lent = rooms->lent;
	answer->place = place;
	rooms->lent->places[place].is_used = true;
	rooms->lent->places[place].network = network;
	memcpy(rooms->lent->places[place].peer, call->peer_key, MESH_KEY_LEN);
	rooms->lent->cnt++;
	span.data = answer->data;
	span.len = writer_len(&w);
	if (provider_peer_ops(rooms->tenant)->answer(call->incoming, type, NULL, 0, &span) < 0)
		answer_done(answer);
}

/* A room of this node is known by its pod, before anything was asked of it. */
static struct room *room_of(struct rooms *rooms, const struct room_ask *ask)
{
	struct room *room = builtin_rooms_find(rooms, ask->id, ask->host);
	const struct pod *pod = room ? NULL : builtin_pods_find(rooms->pods, ask->id);
	struct room *own = pod ? builtin_rooms_own(rooms, pod) : NULL;

	if (own && memcmp(own->host, ask->host, MESH_KEY_LEN) == 0)
		room = own;
	return room;
}

/* The room that the asker may read, or NULL: it was answered. */
static struct room *admit(struct rooms *rooms, const struct mesh_call *call, bool has_number,
			  struct room_ask *ask)
{
	struct room_head head;
	struct room *room;

	if (builtin_room_ask_parse(call->payload, call->payload_len, has_number, ask) < 0) {
		refuse(rooms, call, MESH_CODE_MALFORMED, "a room is asked for by host and id");
		return NULL;
	}
	room = room_of(rooms, ask);
	if (room)
		builtin_room_refresh(room);
	if (room && room->head && builtin_room_head_parse(room->head, room->head_len, &head) == 0 &&
	    builtin_room_head_admits(&head, call->peer_key))
		return room;
	refuse(rooms, call, MESH_CODE_ABSENT, "the history of no such room is here");
	return NULL;
}

static void head_asked(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct rooms *rooms = ctx;
	struct room_ask ask;
	struct room *room = admit(rooms, call, false, &ask);
	struct room_answer told;

	(void)now_ns;
	if (!room)
		return;
	told = (struct room_answer){.bytes = room->head, .len = room->head_len};
	told.first = room->part_cnt ? room->parts[0].number : room->sealed_cnt;
	answer_send(rooms, call, MESH_ROOM_HEAD, &told);
}

static void segment_asked(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct rooms *rooms = ctx;
	struct room_ask ask;
	struct room *room = admit(rooms, call, true, &ask);
	struct room_answer told = {.bytes = NULL};

	(void)now_ns;
	if (!room)
		return;
	if (ask.number == room->sealed_cnt && room->tail) {
		told.bytes = room->tail;
		told.len = room->tail_len;
	} else {
		told.bytes = rooms->scratch;
		told.len = builtin_room_part_bytes(room, ask.number, rooms->scratch);
	}
	if (told.len)
		answer_send(rooms, call, MESH_ROOM_SEGMENT, &told);
	else
		refuse(rooms, call, MESH_CODE_ABSENT, "this segment is not here");
}

unsigned builtin_rooms_answer_cnt(const struct rooms *rooms)
{
	return rooms->lent ? rooms->lent->cnt : 0;
}

int builtin_rooms_serve_init(struct rooms *rooms)
{
	int err;

	rooms->lent = calloc(1, sizeof(*rooms->lent));
	if (!rooms->lent)
		return -ENOMEM;
	if (!provider_peers_are_there(rooms->tenant))
		return 0;
	err = provider_peer_handle(rooms->tenant, MESH_ASK_ROOM, head_asked, rooms);
	return err < 0 ? err
		       : provider_peer_handle(rooms->tenant, MESH_GET_ROOM_SEGMENT, segment_asked,
					      rooms);
}

void builtin_rooms_serve_fini(struct rooms *rooms)
{
	struct rooms_lent *lent = rooms->lent;

	rooms->lent = NULL;
	if (!lent)
		return;
	lent->is_ended = true;
	if (lent->cnt == 0)
		free(lent);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "rooms.h"

#include <errno.h>
#include <string.h>

#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "base/memory/heap.h"
#include "base/random.h"
#include "codec/text/hex.h"
#include "crypto/blake3/blake3.h"
#include "crypto/node_key.h"
#include "builtin/builtin.h"

#define MAP_KEY_LEN (POD_ID_LEN + MESH_KEY_LEN)

static const struct ack quiet;

static uint64_t wall_ms(const struct rooms *rooms)
{
	return rooms->clock->wall_ms(rooms->clock->ctx);
}

/* --- which room --- */

static void map_key(const char *id, const uint8_t *host, uint8_t out[MAP_KEY_LEN])
{
	memcpy(out, id, POD_ID_LEN);
	memcpy(out + POD_ID_LEN, host, MESH_KEY_LEN);
}

struct room *builtin_rooms_find(const struct rooms *rooms, const char *id,
				const uint8_t host[MESH_KEY_LEN])
{
	uint8_t key[MAP_KEY_LEN];

	if (strlen(id) != POD_ID_LEN)
		return NULL;
	map_key(id, host, key);
	return map_lookup(&rooms->by_key, key);
}

struct room *builtin_room_new(struct rooms *rooms, const char *id, const uint8_t *host, bool is_own)
{
	struct room *room;
	uint8_t key[MAP_KEY_LEN];

	if (!is_own && rooms->kept_cnt >= ROOMS_KEPT_MAX)
		return NULL;
	room = pool_acquire(&rooms->pool);
	if (!room)
		return NULL;
	*room = (struct room){.rooms = rooms, .is_own = is_own, .is_dirty = is_own};
	memcpy(room->id, id, POD_ID_LEN + 1);
	memcpy(room->host, host, MESH_KEY_LEN);
	map_key(id, host, key);
	if (map_put(&rooms->by_key, key, room) < 0) {
		pool_release(&rooms->pool, room);
		return NULL;
	}
	rooms->kept_cnt += !is_own;
	return room;
}

static void room_release(struct room *room)
{
	struct rooms *rooms = room->rooms;
	uint8_t key[MAP_KEY_LEN];

	builtin_rooms_sync_forget(rooms, room);
	map_key(room->id, room->host, key);
	map_delete(&rooms->by_key, key);
	(void)builtin_room_set_bytes(room, &room->head, &room->head_len, NULL, 0);
	(void)builtin_room_set_bytes(room, &room->tail, &room->tail_len, NULL, 0);
	rooms->kept_cnt -= !room->is_own;
	pool_release(&rooms->pool, room);
}

struct room *builtin_rooms_own(struct rooms *rooms, const struct pod *pod)
{
	const uint8_t *host = node_key_public(rooms->key);
	struct room *room = builtin_rooms_find(rooms, pod->id, host);

	if (pod->days == 0)
		return NULL;
	return room ? room : builtin_room_new(rooms, pod->id, host, true);
}

/* --- own rooms: sealing and signing --- */

/* Writes the first cnt unsealed messages as the next segment; its length, 0: none. */
static size_t segment_make(struct room *room, const struct pod *pod, unsigned cnt,
			   struct room_part *part)
{
	struct rooms *rooms = room->rooms;
	struct room_segment segment = {.number = room->sealed_cnt, .event_cnt = cnt};
	struct writer body = writer_of(rooms->scratch + ROOM_RECORD_LEN_MAX, ROOM_SEGMENT_LEN_MAX);
	struct writer w = writer_of(rooms->scratch, ROOM_SEGMENT_LEN_MAX);

	memcpy(segment.id, room->id, sizeof(segment.id));
	memcpy(segment.previous, room->last, ROOM_HASH_LEN);
	builtin_room_segment_begin(&body, &segment);
	*part = (struct room_part){.number = room->sealed_cnt};
	for (struct list_node *node = pod->messages.next;
	     node != &pod->messages && part->event_cnt < cnt; node = node->next) {
		const struct pod_message *message = container_of(node, struct pod_message, node);
		uint8_t id[ROOM_EVENT_ID_LEN];
		struct room_event event = {
			.sequence = message->sequence,
			.at_ms = message->at_ms,
			.sender = message->sender,
			.id = id,
			.signature = message->is_signed ? message->signature : NULL,
			.channel = message->channel,
			.channel_len = strlen(message->channel),
			.body = message->body,
			.body_len = message->body_len,
		};

		if (message->sequence <= room->sealed_sequence)
			continue;
		if (!hex_read(message->id, id, sizeof(id)))
			memset(id, 0, sizeof(id));
		builtin_room_event_write(&body, &event);
		if (part->event_cnt++ == 0)
			part->first_sequence = message->sequence;
		part->last_sequence = message->sequence;
	}
	builtin_room_segment_sign(&w, rooms->key, &body);
	if (w.bad || part->event_cnt != cnt)
		return 0;
	part->len = (uint32_t)writer_len(&w);
	blake3_hash(rooms->scratch, part->len, part->hash);
	return part->len;
}

/* Kept messages that no segment has; those behind one that is being written wait for it. */
static unsigned unsealed_cnt(const struct room *room, const struct pod *pod)
{
	unsigned cnt = 0;

	for (struct list_node *node = pod->messages.next; node != &pod->messages;
	     node = node->next) {
		const struct pod_message *message = container_of(node, struct pod_message, node);

		if (!message->is_kept)
			break;
		cnt += message->sequence > room->sealed_sequence;
	}
	return cnt;
}

/* Seals a segment of 200 messages; false: it cannot be made. */
static bool room_seal(struct room *room, const struct pod *pod)
{
	struct rooms *rooms = room->rooms;
	struct provider_write *write;
	struct room_part part;

	if (segment_make(room, pod, ROOM_SEGMENT_EVENTS, &part) == 0)
		return false;
	write = provider_write_new(rooms->tenant);
	builtin_room_take_part(room, &part, rooms->scratch, write);
	builtin_room_trim(room, pod->days, wall_ms(rooms), write);
	builtin_room_record_put(room, write);
	builtin_acks_submit(rooms->acks, write, &quiet, rooms->clock->now_ns(rooms->clock->ctx));
	provider_counter_add(rooms->tenant, POD_CHAT_SEALED, 1);
	return true;
}

/* Messages that are in no segment afterwards. */
static unsigned room_seal_all(struct room *room, const struct pod *pod)
{
	unsigned cnt = unsealed_cnt(room, pod);

	while (cnt >= ROOM_SEGMENT_EVENTS && room_seal(room, pod))
		cnt -= ROOM_SEGMENT_EVENTS;
	return cnt;
}

void builtin_rooms_said(struct rooms *rooms, const struct pod *pod)
{
	struct room *room = builtin_rooms_own(rooms, pod);

	if (!room)
		return;
	room->is_dirty = true;
	(void)room_seal_all(room, pod);
}

static void head_fill(const struct room *room, const struct pod *pod, struct room_head *head)
{
	*head = (struct room_head){.visibility = pod->visibility,
				   .days = pod->days,
				   .member_cnt = pod->member_cnt,
				   .sealed_cnt = room->sealed_cnt,
				   .updated_ms = room->updated_ms};
	memcpy(head->id, room->id, sizeof(head->id));
	memcpy(head->name, pod->name, sizeof(head->name));
	for (unsigned i = 0; i < pod->member_cnt; i++)
		memcpy(head->members[i], pod->members[i].key, MESH_KEY_LEN);
	memcpy(head->last, room->last, ROOM_HASH_LEN);
	if (room->tail)
		blake3_hash(room->tail, room->tail_len, head->tail);
}

void builtin_room_refresh(struct room *room)
{
	struct rooms *rooms = room->rooms;
	const struct pod *pod = room->is_own ? builtin_pods_find(rooms->pods, room->id) : NULL;
	uint8_t bytes[ROOM_HEAD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct room_part part;
	struct room_head head;
	unsigned cnt;
	size_t len;

	if (!pod || !room->is_dirty)
		return;
	cnt = room_seal_all(room, pod);
	len = cnt ? segment_make(room, pod, cnt, &part) : 0;
	(void)builtin_room_set_bytes(room, &room->tail, &room->tail_len, rooms->scratch, len);
	room->updated_ms =
		wall_ms(rooms) > room->updated_ms ? wall_ms(rooms) : room->updated_ms + 1;
	head_fill(room, pod, &head);
	builtin_room_head_write(&w, rooms->key, &head);
	if (!w.bad &&
	    builtin_room_set_bytes(room, &room->head, &room->head_len, bytes, writer_len(&w)))
		room->is_dirty = false;
}

/* --- keeping and forgetting --- */

static void room_delete(struct room *room, const struct ack *ack, uint64_t now_ns)
{
	struct rooms *rooms = room->rooms;
	struct provider_write *write = provider_write_new(rooms->tenant);

	builtin_room_drop_parts(room, write);
	builtin_room_record_delete(room, write);
	room_release(room);
	builtin_acks_submit(rooms->acks, write, ack, now_ns);
}

void builtin_rooms_gone(struct rooms *rooms, const char *id, uint64_t now_ns)
{
	struct room *room = builtin_rooms_find(rooms, id, node_key_public(rooms->key));

	if (room)
		room_delete(room, &quiet, now_ns);
}

int builtin_rooms_forget(struct rooms *rooms, struct room *room, const struct ack *ack,
			 uint64_t now_ns)
{
	(void)rooms;
	if (room->is_own)
		return WEFT_EABSENT;
	room_delete(room, ack, now_ns);
	return 0;
}

static bool has_via(const struct room *room, const uint8_t *via)
{
	for (unsigned i = 0; i < room->via_cnt; i++)
		if (memcmp(room->via[i], via, MESH_KEY_LEN) == 0)
			return true;
	return false;
}

int builtin_rooms_keep(struct rooms *rooms, const struct room_origin *origin, const struct ack *ack,
		       uint64_t now_ns)
{
	struct room *room = builtin_rooms_find(rooms, origin->id, origin->host);
	const uint8_t *via = origin->via;
	struct provider_write *write;

	if (memcmp(origin->host, node_key_public(rooms->key), MESH_KEY_LEN) == 0)
		return WEFT_EEXISTS;
	if (room && via && !has_via(room, via) && room->via_cnt == ROOM_VIA_MAX)
		return WEFT_EFULL;
	if (!room && !(room = builtin_room_new(rooms, origin->id, origin->host, false)))
		return WEFT_EFULL;
	if (via && !has_via(room, via))
		memcpy(room->via[room->via_cnt++], via, MESH_KEY_LEN);
	room->due_ns = now_ns;
	room->turn = 0;
	write = provider_write_new(rooms->tenant);
	builtin_room_record_put(room, write);
	builtin_acks_submit(rooms->acks, write, ack, now_ns);
	return 0;
}

/* --- reading --- */

struct reading {
	uint64_t since;
	bool (*fn)(void *arg, const struct room_event *event);
	void *arg;
	bool is_over;
};

static bool event_pass(void *arg, const struct room_event *event)
{
	struct reading *reading = arg;

	if (event->sequence > reading->since && !reading->is_over)
		reading->is_over = !reading->fn(reading->arg, event);
	return !reading->is_over;
}

void builtin_rooms_events_each(struct room *room, uint64_t since,
			       bool (*fn)(void *arg, const struct room_event *event), void *arg)
{
	struct reading reading = {.since = since, .fn = fn, .arg = arg};
	size_t len;

	builtin_room_refresh(room);
	for (unsigned i = 0; i < room->part_cnt && !reading.is_over; i++) {
		if (room->parts[i].last_sequence <= since)
			continue;
		len = builtin_room_part_bytes(room, room->parts[i].number, room->rooms->scratch);
		builtin_room_segment_each(room->rooms->scratch, len, event_pass, &reading);
	}
	if (!reading.is_over && room->tail)
		builtin_room_segment_each(room->tail, room->tail_len, event_pass, &reading);
}

/* --- how full it is --- */

void builtin_rooms_fill(const struct rooms *rooms, struct builtin_rooms *out)
{
	const struct room *room = NULL;
	struct heap_usage usage;

	heap_usage(rooms->memory, &usage);
	out->memory_len = usage.used_len;
	out->kept_cnt = rooms->kept_cnt;
	out->answer_cnt = builtin_rooms_answer_cnt(rooms);
	while ((room = pool_next(&rooms->pool, room))) {
		uint64_t len = room->tail_len, event_cnt = 0;

		for (unsigned i = 0; i < room->part_cnt; i++) {
			len += room->parts[i].len;
			event_cnt += room->parts[i].event_cnt;
		}
		out->segment_cnt =
			out->segment_cnt > room->part_cnt ? out->segment_cnt : room->part_cnt;
		out->event_cnt = out->event_cnt > event_cnt ? out->event_cnt : event_cnt;
		out->len = out->len > len ? out->len : len;
	}
}

/* --- life --- */

static void on_tick(struct timer *timer, uint64_t now_ns)
{
	struct rooms *rooms = container_of(timer, struct rooms, tick.base);

	builtin_rooms_sync_tick(rooms, now_ns);
	provider_timer_set(&rooms->tick, now_ns + ROOMS_TICK_NS);
}

static uint32_t room_cap(const struct builtin_config *config)
{
	return config->pod_cnt + ROOMS_KEPT_MAX;
}

int builtin_rooms_init(struct rooms *rooms, struct arena *arena,
		       const struct builtin_params *params, struct pods *pods)
{
	uint32_t cap = room_cap(&params->config);
	uint64_t secret[2];
	int err;

	random_fill(params->random, secret, sizeof(secret));
	rooms->acks = pods->acks;
	rooms->tenant = pods->tenant;
	rooms->pods = pods;
	rooms->key = params->key;
	rooms->clock = &params->clock;
	rooms->scratch = arena_alloc(arena, 2 * ROOM_RECORD_LEN_MAX);
	if (!rooms->scratch)
		return -ENOMEM;
	if ((err = heap_new(ROOMS_MEMORY_LEN, &rooms->memory)) < 0 ||
	    (err = pool_init(&rooms->pool, arena, sizeof(struct room), cap)) < 0 ||
	    (err = map_init(&rooms->by_key, arena, MAP_KEY_LEN, cap, secret)) < 0 ||
	    (err = builtin_rooms_sync_init(rooms, arena)) < 0)
		return err;
	if ((err = builtin_rooms_serve_init(rooms)) < 0 || (err = builtin_rooms_load(rooms)) < 0 ||
	    (err = provider_timer_acquire(rooms->tenant, &rooms->tick, on_tick)) < 0)
		return err;
	provider_timer_set(&rooms->tick, params->now_ns + ROOMS_TICK_NS);
	return 0;
}

void builtin_rooms_fini(struct rooms *rooms)
{
	if (!rooms->tenant)
		return;
	provider_timer_release(&rooms->tick);
	builtin_rooms_sync_fini(rooms);
	builtin_rooms_serve_fini(rooms);
	heap_free(rooms->memory);
}

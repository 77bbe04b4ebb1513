/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BUILTIN_PODS_ROOMS_H
#define WEFT_BUILTIN_PODS_ROOMS_H

#include "base/map.h"
#include "base/memory/pool.h"
#include "builtin/ack.h"
#include "pods.h"
#include "room_record.h"

struct builtin_config;
struct builtin_params;

/*
 * Histories of rooms (room_record.h). This node seals and signs those of its own rooms. It also
 * keeps those of other rooms that one of its programs asked for.
 *
 *	said	 pods.c -> rooms_said: 200 messages that are in no segment become one
 *	asked	 rooms_serve.c: 420 is answered with the head, 422 with a segment
 *	kept	 builtin_rooms_keep -> rooms_sync.c: head, then verified segments
 *	read	 builtin_rooms_events_each
 *
 * Limits. Only programs of this node keep rooms, at most ROOMS_KEPT_MAX. The ROOM_... below
 * bound the bytes of a room, from any number of senders, and its oldest segments go first. At
 * most ROOMS_ANSWERS_MAX answers are under way, ROOMS_PEER_ANSWERS_MAX of one peer. A network
 * has three times the free ones at most. Other askers get a time to come again.
 *
 * Rows: 'r', id, host, 'h' is a record; 'r', id, host, 's' u64be is a segment. Home worker.
 */
#define ROOMS_KEPT_MAX	       16
#define ROOM_SEGMENTS_MAX      50
#define ROOM_EVENTS_MAX	       5000
#define ROOM_BYTES_MAX	       50000000ull
#define ROOM_AGE_MS	       (30 * 24 * 3600 * 1000ull)
#define ROOM_VIA_MAX	       8 /* nodes to ask, beside the host and the members */
#define ROOMS_ANSWERS_MAX      16
#define ROOMS_PEER_ANSWERS_MAX 4
#define ROOMS_SYNC_NS	       (20 * NS_PER_S) /* between two askings for one room */
#define ROOMS_TICK_NS	       NS_PER_S
#define ROOMS_MEMORY_LEN       (32 * 1024 * 1024) /* tails and heads */

struct room_part {
	uint64_t number;
	uint64_t first_sequence, last_sequence;
	uint32_t len, event_cnt;
	uint8_t hash[ROOM_HASH_LEN];
};

struct room {
	struct rooms *rooms;
	char id[POD_ID_LEN + 1];
	uint8_t host[MESH_KEY_LEN];
	bool is_own;
	bool is_dirty; /* own: the head is out of date */
	unsigned part_cnt;
	struct room_part parts[ROOM_SEGMENTS_MAX]; /* sealed and held, oldest first, none missing */
	uint64_t sealed_cnt;			   /* there are, held or not */
	uint64_t sealed_sequence;		   /* of the last event in them */
	uint8_t last[ROOM_HASH_LEN];		   /* hash of the last; zeros: none is */
	uint8_t *head, *tail;			   /* of the memory of rooms; NULL: none yet */
	size_t head_len, tail_len;
	uint64_t updated_ms; /* as the head says */
	unsigned via_cnt;
	uint8_t via[ROOM_VIA_MAX][MESH_KEY_LEN];
	uint64_t due_ns;   /* kept: when it is asked for again */
	unsigned turn;	   /* index of the next node to ask */
	const char *fault; /* of the last asking, static; NULL: none */
};

struct room_sync;
struct rooms_lent;
struct rooms {
	struct pool pool;
	struct map by_key; /* id, host */
	struct heap *memory;
	struct acks *acks;
	struct provider_tenant *tenant;
	struct pods *pods;
	const struct node_key *key;
	const struct builtin_clock *clock;
	struct provider_timer tick;
	struct room_sync *sync;
	struct rooms_lent *lent; /* outlives rooms as long as an answer is under way */
	uint8_t *scratch;	 /* two segments */
	unsigned kept_cnt;
};

/*
 * builtin_rooms_init reads the stored rooms; 0, WEFT_EDAMAGED, -errno. builtin_rooms_fini is safe
 * after it failed.
 */
WEFT_MUST_CHECK
int builtin_rooms_init(struct rooms *rooms, struct arena *arena,
		       const struct builtin_params *params, struct pods *pods);
void builtin_rooms_fini(struct rooms *rooms);

struct room *builtin_rooms_find(const struct rooms *rooms, const char *id,
				const uint8_t host[MESH_KEY_LEN]);
/*
 * builtin_rooms_own: that of pod, made when there is none; NULL: it keeps none, or there is no
 * place.
 */
struct room *builtin_rooms_own(struct rooms *rooms, const struct pod *pod);
/*
 * builtin_rooms_said: a message of pod is kept, or its members changed. builtin_rooms_gone: pod is
 * not any more.
 */
void builtin_rooms_said(struct rooms *rooms, const struct pod *pod);
void builtin_rooms_gone(struct rooms *rooms, const char *id, uint64_t now_ns);
/* builtin_room_refresh: own: brings head and tail up to date. */
void builtin_room_refresh(struct room *room);
/* Where a history comes from. Borrowed. */
struct room_origin {
	const char *id;
	const uint8_t *host; /* a node's key */
	const uint8_t *via;  /* another node that is asked for it; NULL: only those it names */
};
/*
 * builtin_rooms_keep: from now on this node keeps the history of origin. ack ends when that is
 * durable. 0, WEFT_EFULL (rooms, or the via of that room), or WEFT_EEXISTS (an own one); on an
 * error ack was not taken.
 * builtin_rooms_forget: 0 or WEFT_EABSENT.
 */
WEFT_MUST_CHECK
int builtin_rooms_keep(struct rooms *rooms, const struct room_origin *origin, const struct ack *ack,
		       uint64_t now_ns);
WEFT_MUST_CHECK
int builtin_rooms_forget(struct rooms *rooms, struct room *room, const struct ack *ack,
			 uint64_t now_ns);
/* builtin_rooms_events_each: events after since, oldest first, until fn returns false. */
void builtin_rooms_events_each(struct room *room, uint64_t since,
			       bool (*fn)(void *arg, const struct room_event *event), void *arg);

/* builtin_rooms_fill sets the used amounts; the caller sets the bounds. */
struct builtin_rooms;
void builtin_rooms_fill(const struct rooms *rooms, struct builtin_rooms *out);

/* --- of rooms*.c and room_store.c --- */

/* builtin_room_new: NULL: as many are there as may be. */
struct room *builtin_room_new(struct rooms *rooms, const char *id, const uint8_t *host,
			      bool is_own);
/* builtin_rooms_load: 0, WEFT_EDAMAGED, WEFT_ENEWER, or as provider_walk_close. */
WEFT_MUST_CHECK
int builtin_rooms_load(struct rooms *rooms);
/* builtin_room_record_put puts the record of room; with its tail, if it is another's. */
#define ROOM_PART_LEN_MAX 128
#define ROOM_RECORD_LEN_MAX                                                                        \
	(ROOM_SEGMENT_LEN_MAX + ROOM_HEAD_LEN_MAX + ROOM_SEGMENTS_MAX * ROOM_PART_LEN_MAX + 1024)
void builtin_room_record_put(const struct room *room, struct provider_write *write);
void builtin_room_record_delete(const struct room *room, struct provider_write *write);
/*
 * builtin_room_take_part links a sealed segment, whose bytes it puts; the oldest that are too many
 * go.
 */
void builtin_room_take_part(struct room *room, const struct room_part *part, const uint8_t *bytes,
			    struct provider_write *write);
/* builtin_room_drop_parts drops all of them. */
void builtin_room_drop_parts(struct room *room, struct provider_write *write);
/* builtin_room_trim drops the oldest parts that a bound does not allow. days: 0, or of the room. */
void builtin_room_trim(struct room *room, unsigned days, uint64_t wall_ms,
		       struct provider_write *write);
/*
 * builtin_room_part_bytes: the segment of number that is held, copied into dst of
 * ROOM_SEGMENT_LEN_MAX; its length, 0: none.
 */
size_t builtin_room_part_bytes(const struct room *room, uint64_t number, uint8_t *dst);
/*
 * builtin_room_set_bytes copies bytes into *slot, of the memory of rooms; false: there is none, and
 * it is empty.
 */
bool builtin_room_set_bytes(struct room *room, uint8_t **slot, size_t *slot_len,
			    const uint8_t *bytes, size_t len);

/* rooms_serve.c */
WEFT_MUST_CHECK
int builtin_rooms_serve_init(struct rooms *rooms);
void builtin_rooms_serve_fini(struct rooms *rooms);
unsigned builtin_rooms_answer_cnt(const struct rooms *rooms);
/* rooms_sync.c; tick asks for one room that is due. */
WEFT_MUST_CHECK
int builtin_rooms_sync_init(struct rooms *rooms, struct arena *arena);
void builtin_rooms_sync_fini(struct rooms *rooms);
void builtin_rooms_sync_tick(struct rooms *rooms, uint64_t now_ns);
void builtin_rooms_sync_forget(struct rooms *rooms, const struct room *room);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BUILTIN_PODS_ROOM_RECORD_H
#define WEFT_BUILTIN_PODS_ROOM_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "pod.h"
#include "weft/err.h"

struct node_key;

/*
 * The history of a room as bytes (docs/wire/rooms.md). Segments hold events, each with the hash
 * of the segment before, and a head names the last segment. Both are signed objects of the node
 * that has the room, the host. The host alone knows the order, and the senders by their
 * sessions. A sealed segment never changes. Later messages are the tail, a segment like others,
 * which each head replaces. Pure.
 */
#define ROOM_HASH_LEN	       32
#define ROOM_SEGMENT_EVENTS    200 /* of a sealed one, at least */
#define ROOM_SEGMENT_EVENT_MAX 500
#define ROOM_SEGMENT_LEN_MAX   1000000 /* fits a call's answer with its fields */
#define ROOM_HEAD_LEN_MAX      4096
#define ROOM_EVENT_ID_LEN      (POD_MESSAGE_ID_LEN / 2)

enum room_event_kind {
	ROOM_TEXT,
	ROOM_REACTION,
	ROOM_EDIT,
	ROOM_DELETE,
	ROOM_SYSTEM,
	ROOM_EVENT_KIND_CNT,
};
extern const char *const builtin_room_event_kinds[ROOM_EVENT_KIND_CNT];

/* Pointers borrow the parsed bytes, or the fields to be written. */
struct room_event {
	uint64_t sequence; /* milliseconds since 1970 at the host, ascending */
	uint64_t at_ms;
	enum room_event_kind kind;
	const uint8_t *sender;	  /* MESH_KEY_LEN */
	const uint8_t *id;	  /* ROOM_EVENT_ID_LEN */
	const uint8_t *signature; /* POD_SIGNATURE_LEN, by the member's key; NULL: none */
	const char *channel, *body;
	size_t channel_len, body_len;
};

struct room_segment {
	char id[POD_ID_LEN + 1];
	uint64_t number;
	uint8_t previous[ROOM_HASH_LEN]; /* hash of segment number - 1; of 0 zeros */
	unsigned event_cnt;
	uint64_t first_sequence, last_sequence; /* 0: no event */
};

/*
 * builtin_room_segment_begin writes a body up to its events, of which builtin_room_event_write
 * writes event_cnt; builtin_room_segment_sign then writes the segment. Overflow is sticky in w.
 */
void builtin_room_segment_begin(struct writer *body, const struct room_segment *segment);
void builtin_room_event_write(struct writer *body, const struct room_event *event);
void builtin_room_segment_sign(struct writer *w, const struct node_key *key,
			       const struct writer *body);

/* The place that a segment has to have. */
struct room_place {
	const char *id;
	const uint8_t *host;
	uint64_t number;
	const uint8_t *previous; /* NULL: the first that is held, whatever came before it */
	uint64_t after_sequence; /* its events come later */
};
/*
 * builtin_room_segment_parse: 0, WEFT_EMALFORMED, or WEFT_ETOOLARGE; it does not check the
 * signature. builtin_room_segment_check parses it and checks that it is the one of place.
 * WEFT_EREFUSED: of another room, host, number or time. WEFT_EDAMAGED: its previous one is another,
 * or the signature is not the host's. builtin_room_segment_each calls fn with the events of a
 * parsed segment until it returns false.
 */
WEFT_MUST_CHECK
int builtin_room_segment_parse(const uint8_t *bytes, size_t len, struct room_segment *out_segment);
WEFT_MUST_CHECK
int builtin_room_segment_check(const uint8_t *bytes, size_t len, const struct room_place *place,
			       struct room_segment *out_segment);
void builtin_room_segment_each(const uint8_t *bytes, size_t len,
			       bool (*fn)(void *arg, const struct room_event *event), void *arg);

struct room_head {
	char id[POD_ID_LEN + 1];
	char name[POD_NAME_LEN_MAX + 1];
	uint8_t visibility;
	uint16_t days; /* events are kept for so long, at most */
	unsigned member_cnt;
	uint8_t members[POD_MEMBER_MAX][MESH_KEY_LEN];
	uint64_t sealed_cnt;	     /* segments 0 to sealed_cnt - 1 are sealed */
	uint8_t last[ROOM_HASH_LEN]; /* hash of the last of them; zeros: none is */
	uint8_t tail
		[ROOM_HASH_LEN]; /* hash of segment sealed_cnt, the tail; zeros: there is none */
	uint64_t updated_ms;	 /* a later head replaces this one */
};
void builtin_room_head_write(struct writer *w, const struct node_key *key,
			     const struct room_head *head);
/*
 * builtin_room_head_parse: 0 or WEFT_EMALFORMED. builtin_room_head_check: as
 * builtin_room_segment_check, of the room id of host.
 */
WEFT_MUST_CHECK
int builtin_room_head_parse(const uint8_t *bytes, size_t len, struct room_head *out_head);
WEFT_MUST_CHECK
int builtin_room_head_check(const uint8_t *bytes, size_t len, const char *id, const uint8_t *host,
			    struct room_head *out_head);
/* builtin_room_head_admits: the node of key may read the history. */
bool builtin_room_head_admits(const struct room_head *head, const uint8_t key[MESH_KEY_LEN]);

/*
 * Requests of messages 420 and 422, and their answers: parse: 0 or WEFT_EMALFORMED; pointers
 * borrow.
 */
struct room_ask {
	const uint8_t *host;
	char id[POD_ID_LEN + 1];
	uint64_t number; /* of 422 */
};
void builtin_room_ask_write(struct writer *w, const struct room_ask *ask, bool has_number);
WEFT_MUST_CHECK
int builtin_room_ask_parse(const uint8_t *payload, size_t len, bool has_number,
			   struct room_ask *out_ask);
struct room_answer {
	const uint8_t *bytes; /* the head, or the segment */
	size_t len;
	uint64_t first; /* of 421: the oldest segment that the answerer has */
};
void builtin_room_answer_write(struct writer *w, const struct room_answer *answer, bool has_first);
WEFT_MUST_CHECK
int builtin_room_answer_parse(const uint8_t *payload, size_t len, bool has_first,
			      struct room_answer *out_answer);

#endif

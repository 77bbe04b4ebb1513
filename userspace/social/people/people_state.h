/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_PEOPLE_PEOPLE_STATE_H
#define WEFT_SOCIAL_PEOPLE_PEOPLE_STATE_H

#include "base/fair/fair_path.h"
#include "base/map.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "circles.h"
#include "people.h"
#include "person_follows.h"
#include "person_profiles.h"
#include "person_requests.h"
#include "personas.h"
#include "social/ground/social_ground.h"
#include "social/object/successor.h"
#include "store/store.h"

/* Private to social/people/: what its files share. */

struct key_seal;

/* --- rows in the store --- */

/* The first byte of a key in STORE_PEOPLE; the last kind is a row of STORE_CIRCLES. */
enum people_kind {
	PEOPLE_ROW_PERSONA = 1,
	PEOPLE_ROW_FOLLOW,
	PEOPLE_ROW_BLOCK,
	PEOPLE_ROW_ACCEPTED,
	PEOPLE_ROW_AUDIENCE,
	PEOPLE_ROW_REQUEST,
	PEOPLE_ROW_PROFILE,
	PEOPLE_ROW_PERSONAL,
	PEOPLE_ROW_OWN,
	PEOPLE_ROW_REFUSED,
	PEOPLE_ROW_SUCCESSION,
	PEOPLE_ROW_CIRCLE,
	PEOPLE_ROW_END,
};
#define PEOPLE_ROW_NAME_MAX (SOCIAL_CIRCLE_ID_LEN + NODE_KEY_LEN) /* of a member of a circle */
#define PEOPLE_ROW_LEN_MAX  (PROFILE_LEN_MAX + 256u)
#define PEOPLE_ROW_LAYOUT   1u

/*
 * A kind of row. write makes its value of what is in memory; false: there is none, and the row goes.
 * load puts what was read into memory; false: it cannot be read, and the row goes. name is the key
 * behind its kind.
 */
struct people_codec {
	bool (*write)(struct people *people, const uint8_t *name, struct writer *w);
	bool (*load)(struct people *people, const uint8_t *name, struct cursor *c, uint64_t now_ns);
};
extern const struct people_codec people_codec_persona, people_codec_follow, people_codec_block,
	people_codec_accepted, people_codec_audience, people_codec_request, people_codec_profile,
	people_codec_personal, people_codec_own, people_codec_refused, people_codec_succession,
	people_codec_circle;

/* The source of an unknown peer, as it lies in a row: class, family, address 16. */
struct people_origin {
	struct addr addr; /* of family ADDR_NONE: none is known */
	uint8_t class;
};
struct people_origin social_people_origin(const struct people_source *source);
void social_people_origin_write(struct writer *w, const struct people_origin *origin);
bool social_people_origin_read(struct cursor *c, struct people_origin *out_origin);
/* Text of at most SOCIAL_NAME_MAX bytes. */
void social_people_text_write(struct writer *w, const char *text);
bool social_people_text_read(struct cursor *c, char text[static SOCIAL_NAME_CAP]);

/* --- personas --- */

struct persona_row {
	const struct node_key *key; /* NULL: the row is free */
	struct node_key *drawn;	    /* the same; NULL: it is the node's */
	struct node_key *next;	    /* NULL: none is drawn */
	uint8_t number;
	bool is_former; /* it was succeeded; the node's own stays a persona, too */
	bool is_via_anchors;
	char label[SOCIAL_NAME_CAP];
	uint64_t made_ms, committed_ms;
	/* Its own profile. */
	size_t profile_len; /* 0: none */
	uint8_t profile[PROFILE_LEN_MAX];
	bool shows_follows;
	size_t successor_len; /* of a former key */
	uint8_t successor[SUCCESSOR_LEN_MAX];
};
#define PERSONA_ROWS_MAX (SOCIAL_PERSONAS_MAX + SOCIAL_FORMER_KEYS_MAX)

/* --- people --- */

struct follow_row {
	struct list_node link; /* of follows, in order */
	uint8_t key[NODE_KEY_LEN];
	uint8_t kinds[SOCIAL_PERSONAS_MAX]; /* enum follow_kind, by the persona's number */
	uint64_t since_ms;
	char petname[SOCIAL_NAME_CAP];
	bool is_frozen;
};
/* A block, an acceptance or a refusal. */
struct mark_row {
	struct list_node link;
	uint8_t key[NODE_KEY_LEN];
	uint64_t since_ms;
};
struct mark_table {
	struct pool rows;
	struct map by_key;
	struct list_node list; /* the oldest first */
};
struct audience_row {
	struct fair_item share; /* first: a victim's leads to the rest */
	uint8_t key[NODE_KEY_LEN];
	uint32_t numbers; /* a bit for the number of each persona */
	struct people_origin origin;
	uint64_t seen_ms;
};
struct request_row {
	struct fair_item share; /* first */
	uint8_t key[NODE_KEY_LEN], to[NODE_KEY_LEN], post[32];
	struct people_origin origin;
	uint64_t came_ms;
};
#define COMMITMENTS_MAX	 4u
#define PROFILE_MARK_LEN 8u
struct profile_row {
	struct fair_item share; /* first; of one that is not acquainted */
	uint8_t key[NODE_KEY_LEN];
	struct people_origin origin;
	uint64_t time_ms;
	uint8_t mark
		[PROFILE_MARK_LEN]; /* hash of the bytes: of two of one time the greater one holds */
	char name[SOCIAL_NAME_CAP];
	uint8_t anchors[PROFILE_ANCHORS_MAX][NODE_KEY_LEN];
	uint8_t anchor_cnt;
	bool has_picture, has_personal, is_personal_read;
	uint8_t picture[BLAKE3_HASH_LEN];
	/* Hashes of next keys, and when this node first saw each; the oldest stay. */
	struct {
		uint8_t hash[BLAKE3_HASH_LEN];
		uint64_t seen_ms;
	} commitments[COMMITMENTS_MAX];
	uint8_t commitment_cnt;
	/* Of the personal profile, when it was read. */
	uint64_t personal_ms;
	uint8_t edition[SOCIAL_EDITION_LEN];
	bool has_personal_picture;
	char personal_name[SOCIAL_NAME_CAP];
	uint8_t personal_picture[BLAKE3_HASH_LEN];
};
struct succession_row {
	struct list_node link;
	uint8_t former[NODE_KEY_LEN], next[NODE_KEY_LEN], other[NODE_KEY_LEN];
	enum succession_state state;
	uint64_t came_ms;
};

struct circle_row {
	uint8_t id[SOCIAL_CIRCLE_ID_LEN];
	uint8_t persona; /* its number */
	uint8_t rank;
	char name[SOCIAL_NAME_CAP];
	uint64_t made_ms;
	uint8_t (*members)[NODE_KEY_LEN]; /* ascending */
	unsigned member_cnt;
	bool has_profile, has_picture;
	char profile_name[SOCIAL_NAME_CAP];
	char profile_text[PROFILE_TEXT_CAP];
	uint8_t profile_picture[BLAKE3_HASH_LEN];
};

/* --- changes on their way to the disk: people_keep.c --- */

struct people_keep {
	bool is_open;
	struct store_batch *batch; /* NULL: there was no memory for it */
	size_t len;
	uint64_t due_ns;
	struct list_node touches, waiting; /* of the open batch */
	struct list_node behind;	   /* of batches that failed */
	uint64_t again_ns;
	struct pool touch_pool, waiters, commits;
};

struct people {
	const struct social_ground *ground;
	struct arena arena;
	struct timer timer;
	struct key_seal *seal;
	uint64_t now_ns; /* the latest time that was named */
	struct people_keep keep;
	struct list_node watches;
	struct people_stats stats;
	bool is_loading, is_stopped;

	struct persona_row *personas;		  /* PERSONA_ROWS_MAX */
	unsigned persona_at[SOCIAL_PERSONAS_MAX]; /* rows, by index */
	unsigned persona_cnt;

	struct pool follows;
	struct map follow_by_key;
	struct list_node follow_list;
	struct mark_table blocks, accepted, refused;
	struct pool audience, requests, profiles, successions;
	struct map audience_by_key, request_by_key, profile_by_key, succession_by_key;
	struct fair_places audience_places, request_places, profile_places;
	struct list_node succession_list;
	struct circle_row *circles; /* SOCIAL_CIRCLES_MAX; no name: free */

	const struct profile_put *putting; /* what the row that is written now is to hold */
	struct person person;		   /* what social_person gives */
	struct profile profile;		   /* at hand; 18 KiB each */
	uint8_t made[PEOPLE_ROW_LEN_MAX];
};

static inline uint64_t people_wall_ms(const struct people *people)
{
	return social_wall_ms(people->ground);
}

/* --- people.c --- */

void social_people_tell(struct people *people, enum people_change_kind kind, const uint8_t *person,
			const uint8_t *other);
/* social_people_path: what pays for something of key from origin. */
struct fair_path social_people_path(const struct fair_places *places,
				    const struct people_origin *origin, const uint8_t *key);
/* social_people_is_own: a persona, or a former key. */
bool social_people_is_own(const struct people *people, const uint8_t *key);

/* --- people_keep.c --- */

WEFT_MUST_CHECK
int social_people_keep_init(struct people *people);
/* social_people_keep_lags: the disk does not keep up, so nothing may change. */
bool social_people_keep_lags(const struct people *people);
/*
 * social_people_touch: the row of name is to be as memory has it. social_people_wait: done is called when
 * all that was touched up to now is durable.
 */
void social_people_touch(struct people *people, enum people_kind kind, const uint8_t *name,
			 uint64_t now_ns);
void social_people_wait(struct people *people, const struct people_done *done, uint64_t now_ns);
void social_people_keep_expire(struct people *people, uint64_t now_ns);
uint64_t social_people_keep_next_ns(const struct people *people);
/* social_people_keep_fini writes what waits, and calls no done. */
void social_people_keep_fini(struct people *people);
/* social_people_load reads what is durable: 0 or -errno. */
WEFT_MUST_CHECK
int social_people_load(struct people *people, uint64_t now_ns);
size_t social_people_row_key(enum people_kind kind, const uint8_t *name, enum store_db *out_db,
			     uint8_t key[static PEOPLE_ROW_NAME_MAX + 1]);

/* --- tables --- */

WEFT_MUST_CHECK
int social_marks_init(struct people *people, struct mark_table *marks, uint32_t cap);
struct mark_row *social_mark_lookup(const struct mark_table *marks, const uint8_t *key);
/* social_mark_add: NULL: it is full. since_ms says where in the order it is. */
struct mark_row *social_mark_add(struct mark_table *marks, const uint8_t *key, uint64_t since_ms);
void social_mark_drop(struct mark_table *marks, struct mark_row *row);
void social_mark_each(const struct mark_table *marks, people_mark_fn fn, void *arg);

struct persona_row *social_persona_row(const struct people *people, unsigned idx);
/* social_persona_row_of: of any own key. */
struct persona_row *social_persona_row_of(const struct people *people, const uint8_t *key);
void social_personas_index(struct people *people);

struct follow_row *social_follow_row(const struct people *people, const uint8_t *key);
struct follow_row *social_follow_row_get(struct people *people, const uint8_t *key,
					 uint64_t since_ms);
void social_follow_row_drop(struct people *people, struct follow_row *row, uint64_t now_ns);
bool social_follow_row_is_empty(const struct follow_row *row);
void social_audience_drop(struct people *people, const uint8_t *key, uint64_t now_ns);
/* Its persona is gone, or all of it for a person. */
void social_audience_clear(struct people *people, unsigned number, uint64_t now_ns);
void social_request_drop(struct people *people, const uint8_t *key, uint64_t now_ns);
void social_requests_clear(struct people *people, const uint8_t *to, uint64_t now_ns);
void social_circles_leave(struct people *people, const uint8_t *key, uint64_t now_ns);
void social_circles_clear(struct people *people, unsigned number, uint64_t now_ns);
/* social_circles_move: next takes the places of former. social_circles_hand: from number to number. */
void social_circles_move(struct people *people, const uint8_t *former, const uint8_t *next,
			 uint64_t now_ns);
void social_circles_hand(struct people *people, unsigned from, unsigned to, uint64_t now_ns);
struct circle_row *social_circle_row(const struct people *people, const uint8_t *id);
/* social_circle_of: the one with the highest rank that has a profile and the reader in it, or NULL. */
const struct circle_row *social_circle_of(const struct people *people, unsigned number,
					  const uint8_t *reader);

struct profile_row *social_profile_row(const struct people *people, const uint8_t *key);
void social_profile_drop(struct people *people, const uint8_t *key, uint64_t now_ns);
/* social_profile_move: the person came among the acquainted, or left: its place is another one. */
void social_profile_move(struct people *people, const uint8_t *key, uint64_t now_ns);
/* social_profile_mark: what two profiles of one time are compared by. */
void social_profile_mark(const void *bytes, size_t len, uint8_t out_mark[static PROFILE_MARK_LEN]);
/* social_profile_is_sound: its name and text are such as others may be shown. */
bool social_profile_is_sound(const char *name, const char *text);
/* social_people_stored reads a row of the store: 0, WEFT_EABSENT or -errno; value until the close. */
WEFT_MUST_CHECK
int social_people_stored(struct people *people, enum people_kind kind, const uint8_t *name,
			 struct store_snapshot **out_snapshot, struct cursor *out_value);
/* social_profile_sign makes the own profile anew, later than before. 0 or WEFT_ETOOLARGE. */
WEFT_MUST_CHECK
int social_profile_sign(struct people *people, struct persona_row *persona,
			struct profile *profile);
/* social_profile_adopt: an own profile that came from elsewhere and was judged, if it is newer. */
WEFT_MUST_CHECK
int social_profile_adopt(struct people *people, struct persona_row *persona,
			 const struct profile_put *put, uint64_t now_ns);
/* social_profile_follows_changed: own profiles that show follows are made anew. */
void social_profile_follows_changed(struct people *people, unsigned number, uint64_t now_ns);
/* social_personal_read reads the personal profile of row, if it has one; its text, too, if wanted. */
void social_personal_read(struct people *people, struct profile_row *row,
			  char out_text[static PROFILE_TEXT_CAP]);

#endif

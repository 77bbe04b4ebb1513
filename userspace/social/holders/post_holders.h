/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_HOLDERS_POST_HOLDERS_H
#define WEFT_SOCIAL_HOLDERS_POST_HOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "social/ground/social_ground.h"
#include "social/object/replica_note.h"

/*
 * Which persons have which posts, as far as this node knows. It knows what it
 * gave itself, and what holders say of their copies. revoke/ asks whether a
 * reader ever had a post, and replicas/ how many copies there are.
 *
 * A row of STORE_REPLICAS for each post and person:
 *
 *	layout 1 u8 | flags u8 | given ms u64be | heard ms u64be | noted ms u64be
 *	revoked ms u64be | the edition in its place 32, or zeros | the note as it came
 *
 * Nothing is held in memory. A post has at most HOLDERS_PER_POST rows, which
 * peers fill by notes of their own. When all are taken, the holder that is silent
 * for longest gives way. But it does so only after HOLDER_SILENT_MS, or to a
 * chosen one where it is none. Rows that the person at this node makes, of
 * what was given and of readers that were taken off, do not count. They stay.
 *
 * Home worker only; nothing blocks.
 */
struct post_holders;

#define HOLDERS_PER_POST 16u
#define HOLDER_SILENT_MS (7ull * 24 * 3600 * 1000)

enum holder_flag {
	HOLDER_GIVEN = 1,   /* this node gave the post to the person */
	HOLDER_HAS = 2,	    /* its latest note says so */
	HOLDER_REVOKED = 4, /* the person was taken off the readers */
	HOLDER_CHOSEN = 8,  /* of a class that does not give way to others */
};
/* Borrowed for the call that gives it. */
struct post_holder {
	const uint8_t *post, *person; /* POST_ID_LEN, NODE_KEY_LEN */
	unsigned flags;
	uint64_t given_ms, heard_ms, noted_ms, revoked_ms;
	const uint8_t *replaced_by; /* POST_ID_LEN: the edition that took its place; or NULL */
	const uint8_t *note;	    /* as it came, clear or sealed; or NULL */
	size_t note_len;
};
/* social_holder_is_live: it says that it has the post, and was heard of within HOLDER_SILENT_MS. */
bool social_holder_is_live(const struct post_holder *holder, uint64_t wall_ms);

WEFT_MUST_CHECK
int social_holders_open(const struct social_ground *ground, struct post_holders **out_holders);
/* social_holders_stop: done is called no more. social_holders_close frees. Both take NULL. */
void social_holders_stop(struct post_holders *holders);
void social_holders_close(struct post_holders *holders);

/*
 * social_holders_give notes that this node gives posts to person: 0, and done follows once, when the
 * marks are durable. It is called inside when there is nothing to write. The posts go after done with
 * err 0, so a crash never leaves a post given without its mark. WEFT_EFULL (too many wait), -ENOMEM
 * or the store's error, and done is not called.
 */
#define HOLDERS_GIVEN_MAX 1024u
struct holders_give {
	const uint8_t *person;
	const uint8_t (*posts)[POST_ID_LEN]; /* of personas of this node, not public ones */
	unsigned post_cnt;		     /* at most HOLDERS_GIVEN_MAX */
	void (*done)(void *arg, int err);
	void *arg;
};
WEFT_MUST_CHECK
int social_holders_give(struct post_holders *holders, const struct holders_give *give);
/* social_holders_is_giving: marks are on their way to the disk, which no walk shows yet. */
bool social_holders_is_giving(const struct post_holders *holders);

/* What a holder said of a post that this node has. */
struct holder_said {
	const uint8_t *post, *person;
	bool has;
	uint64_t noted_ms; /* the time in its note; a later one counts */
	bool is_chosen;
	bool is_passed;	     /* another node gave the note: it was heard of at noted_ms */
	const uint8_t *note; /* at most REPLICA_STORED_LEN_MAX bytes, as others get it; or NULL */
	size_t note_len;
};
/*
 * social_holders_note keeps what was said, in one batch: how many were taken, or a negative code.
 * What is older than what is known, or finds no place, is passed over.
 */
#define HOLDERS_SAID_MAX 256u
int social_holders_note(struct post_holders *holders, const struct holder_said *said, unsigned cnt);
/* social_holders_revoked: person is no reader of post any more; replaced_by may be NULL. */
struct holder_revoked {
	const uint8_t *post, *person, *replaced_by;
	void (*done)(void *arg, int err);
	void *arg;
};
WEFT_MUST_CHECK
int social_holders_revoked(struct post_holders *holders, const struct holder_revoked *revoked);
/* social_holders_forget: post is here no more. Rows of readers that were taken off stay. */
void social_holders_forget(struct post_holders *holders, const uint8_t post[static POST_ID_LEN]);

/* social_holders_each gives the rows of post; fn returns whether to go on. 0 or the store's error. */
int social_holders_each(struct post_holders *holders, const uint8_t post[static POST_ID_LEN],
			bool (*fn)(void *arg, const struct post_holder *holder), void *arg);
/*
 * social_holders_walk gives rows of all posts, in one order, from where walk is; at most visit_max are
 * looked at. 1: there are more; 0: none, and walk begins anew; or the store's error.
 */
struct holder_walk {
	bool has_from;
	uint8_t from[POST_ID_LEN + NODE_KEY_LEN]; /* the next one is behind it */
};
WEFT_MUST_CHECK
int social_holders_walk(struct post_holders *holders, struct holder_walk *walk, unsigned visit_max,
			bool (*fn)(void *arg, const struct post_holder *holder), void *arg);
/* social_holders_find: the times and flags of one; its pointers are NULL. 0, WEFT_EABSENT, an error. */
WEFT_MUST_CHECK
int social_holders_find(struct post_holders *holders, const uint8_t post[static POST_ID_LEN],
			const uint8_t person[static NODE_KEY_LEN], struct post_holder *out_holder);
/* social_holders_cnt: live holders of post, this node left out. */
unsigned social_holders_cnt(struct post_holders *holders, const uint8_t post[static POST_ID_LEN]);

#endif

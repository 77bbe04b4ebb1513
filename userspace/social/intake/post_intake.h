/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_INTAKE_POST_INTAKE_H
#define WEFT_SOCIAL_INTAKE_POST_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/figure.h"
#include "social/keep/post_store.h"

struct social_ground;

/*
 * The one way by which posts, new readers, deletions and profiles come into a node, whatever brought
 * them. Each is judged off nothing but its bytes and what this node knows of its author: 150 us a post. A
 * peer is trusted for nothing. A verdict is a count and an answer, never a line of the log.
 *
 *	bytes -> signatures -> author (blocked, clock) -> held or deleted -> share -> keep -> done
 *
 * A post takes the first of these shares that fits. Posts of others come by no other way:
 *
 *	own		its author is a person of this node
 *	wanted		its author is followed, or may post to the group of this node that it is of
 *	addressed	an unknown person seals it for a person or group here, mentions one in
 *			public, replies to one, or was asked for it
 *	hosted		it came as a replica, or by an import
 *
 * A direct message is a post whose readers are all among its mentions. A post of a group that came before
 * the key of its epoch is marked as readable within a minute of the key. One that came before the state
 * that has its author is wanted within a minute of the state.
 *
 * Home worker only; nothing blocks.
 */
struct intake;

#define INTAKE_AHEAD_MS (24ull * 3600 * 1000) /* an author's clock is ahead by so much at most */

enum intake_source {
	INTAKE_SYNC,	/* it was asked for, or said by a node in session */
	INTAKE_DEPOSIT, /* sealed for a person of this node, and left at a STORE node */
	INTAKE_REPLICA, /* to be kept for others */
	INTAKE_IMPORT,	/* of a file */
	INTAKE_OWN,	/* made here */
};

enum intake_verdict {
	INTAKE_TAKEN,	  /* durable */
	INTAKE_KNOWN,	  /* it was here */
	INTAKE_TOO_LARGE, /* a part is longer than any */
	INTAKE_MALFORMED,
	INTAKE_ALTERED,	 /* a signature is none */
	INTAKE_FORGED,	 /* signed by another key than the author's */
	INTAKE_AHEAD,	 /* of tomorrow, by the author's clock */
	INTAKE_BLOCKED,	 /* its author is */
	INTAKE_DELETED,	 /* by its author, before */
	INTAKE_OLD,	 /* not newer than what is held */
	INTAKE_UNWANTED, /* of an unknown author, and for no person here */
	INTAKE_REFUSED,	 /* of an unknown author whose request was refused */
	INTAKE_ABSENT,	 /* the post that it is about is not here */
	INTAKE_FULL,	 /* the share has no room */
	INTAKE_BUSY,	 /* the disk does not keep up, or the post is changing: again in a while */
	INTAKE_FAILED,	 /* memory, or the disk */
	INTAKE_VERDICT_CNT,
};
/* social_intake_text: "the author's clock is more than a day ahead". */
const char *social_intake_text(enum intake_verdict verdict);

/* done (may be NULL) is called once, also inside the call; id is the post's, zeros if it is none. */
typedef void (*intake_done_fn)(void *arg, enum intake_verdict verdict, const uint8_t *id);

/* Bytes of a visibility, a deletion or a profile, and the node that brought them. */
struct intake_object {
	const uint8_t *bytes;
	size_t len;
	const uint8_t *from;
	enum intake_source source;
	intake_done_fn done;
	void *arg;
};
/* What is durable now; borrowed for the call. */
struct intake_change {
	const uint8_t *post;
	const uint8_t *from; /* the node in session that it came of, or NULL */
	bool is_put;	     /* else it has other readers, or is deleted */
};
/* What is known of people and groups: their parts of social/. All functions are set but those that may be NULL. */
struct intake_ways {
	bool (*is_own)(void *ctx, const uint8_t *key); /* a person of this node */
	bool (*is_blocked)(void *ctx, const uint8_t *key);
	bool (*is_followed)(void *ctx, const uint8_t *key); /* by any person of this node */
	/* the words of a person that is not acquainted are not wanted; may be NULL */
	bool (*is_refused)(void *ctx, const uint8_t *key);
	/* a person of this node is in it; out_opens: and has a key of the epoch */
	bool (*is_in_group)(void *ctx, const uint8_t *group, uint64_t epoch, bool *out_opens);
	/* that key is the one that the author of a post sealed it for: any author may name another */
	bool (*opens_group)(void *ctx, const struct visibility_group *of);
	/* author may post to the group: now, or (epoch not NULL; this may read the disk) then */
	bool (*is_poster)(void *ctx, const uint8_t *group, const uint64_t *epoch,
			  const uint8_t *author);
	/* the post of an unknown person to a person of this node is held */
	void (*was_addressed)(void *ctx, const uint8_t *author, const uint8_t *post,
			      uint64_t now_ns);
	/* watches of posts have heard of it; may be NULL */
	void (*changed)(void *ctx, const struct intake_change *change, uint64_t now_ns);
	/* the author of a post that is held deletes it, as from (or NULL) says; may be NULL */
	void (*will_go)(void *ctx, const uint8_t *post, const uint8_t *from);
	/*
	 * Judges and keeps a profile: 0, WEFT_EFULL, WEFT_EBUSY, as social_profile_read, or:
	 *   WEFT_EEXISTS  this one or a later one is there
	 *   WEFT_ESTALE   its time is ahead
	 *   WEFT_EREFUSED the person is blocked
	 */
	int (*profile)(void *ctx, const struct intake_object *object, uint64_t now_ns);
	void *ctx;
};
struct intake_params {
	const struct social_ground *ground; /* borrowed until social_intake_close, as is posts */
	struct post_store *posts;
	struct intake_ways ways;
};
WEFT_MUST_CHECK
int social_intake_open(const struct intake_params *params, struct intake **out_intake);
/* social_intake_stop: nothing is done by itself any more. close: no done is called. Both take NULL. */
void social_intake_stop(struct intake *intake);
void social_intake_close(struct intake *intake);

struct intake_ask {
	struct post_parts parts; /* borrowed for the call */
	const uint8_t *from;	 /* the key of the session that it came by, or NULL */
	enum intake_source source;
	bool is_asked_for; /* a person of this node named this very post, as by a link */
	uint16_t marks; /* POST_MARKS beside those found here, of one that was made or imported */
	intake_done_fn done;
	void *arg;
};
void social_intake_post(struct intake *intake, const struct intake_ask *ask, uint64_t now_ns);

void social_intake_visibility(struct intake *intake, const struct intake_object *object,
			      uint64_t now_ns);
void social_intake_deletion(struct intake *intake, const struct intake_object *object,
			    uint64_t now_ns);
/* social_intake_profile: done has no id, and comes inside the call. */
void social_intake_profile(struct intake *intake, const struct intake_object *object,
			   uint64_t now_ns);

/*
 * social_intake_followed: person is followed from now on. Posts that were addressed or hosted are wanted
 * now, the newest INTAKE_MOVES_MAX of them. So no crowd of unknown people takes their room.
 * social_intake_unasked: the first words of an unknown person are not wanted, and go
 * unless they are pinned.
 */
#define INTAKE_MOVES_MAX 1000u
void social_intake_followed(struct intake *intake, const uint8_t person[static NODE_KEY_LEN],
			    uint64_t now_ns);
void social_intake_unasked(struct intake *intake, const uint8_t post[static POST_ID_LEN],
			   uint64_t now_ns);

/*
 * social_intake_attachments calls fn with the id of each blob that a held post refers to, until it returns
 * false: for the sweep of blobs (blobs/retainer.h). So what a post needs stays as long as the post. One
 * id may come several times. Returns whether all were given.
 */
bool social_intake_attachments(struct intake *intake,
			       bool (*fn)(void *arg, const uint8_t id[static 32]), void *arg);

struct intake_stats {
#define FIGURE FIGURE_FIELD
#include "social/intake/intake_counters.def"
};
void social_intake_stats(const struct intake *intake, struct intake_stats *out_stats);

#endif

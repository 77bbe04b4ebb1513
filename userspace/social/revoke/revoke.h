/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_REVOKE_REVOKE_H
#define WEFT_SOCIAL_REVOKE_REVOKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/figure.h"
#include "social/holders/post_holders.h"
#include "social/keep/post_store.h"

struct intake;

/*
 * Posts are taken from a reader (docs/social.md). The plan says what that costs for each post, and
 * whether the reader ever fetched it. A revocation then goes over the posts one by one:
 *
 *	wrap	   next visibility -> durable -> mark of the reader
 *	seal	   new edition -> durable -> deletion of the old one, superseded -> durable -> mark
 *
 * A row of STORE_REPLICAS, under 31 zero bytes, a slot and the person, has the revocation until it is
 * done. So it goes on after a crash, and what was done of it is found done. Each step is one batch: a
 * post has its old readers or its new ones, and never a key without a header.
 *
 *	revoke.c	the queue, its rows, time	revoke_plan.c	costs, and what is in scope
 *	revoke_post.c	one post			reader_removal.c	headers and posts, pure
 *
 * At most REVOCATIONS_MAX wait; the person at this node alone makes them. Home worker only; nothing
 * blocks.
 */
struct revocations;

#define REVOCATIONS_MAX	     32u
#define REVOKE_CIRCLE_ID_LEN 16u

enum revoke_way {
	REVOKE_ADVISED, /* for each post, what the plan advises */
	REVOKE_WRAP,	/* cheap: enough for a reader that never had the post */
	REVOKE_SEAL,	/* heavy: another post takes the place of each */
};
enum revoke_fetched {
	REVOKE_NEVER,	/* this node did not give it, and there is no copy elsewhere */
	REVOKE_MAYBE,	/* not from this node; but another has a copy, and may have given it */
	REVOKE_FETCHED, /* this node gave it, or the reader says that it has it */
};

/* Which posts of this node's personas: one, those of a circle, or all that person reads. */
struct revoke_scope {
	const uint8_t *person; /* NODE_KEY_LEN */
	const uint8_t *post;   /* POST_ID_LEN, or NULL */
	/*
	 * REVOKE_CIRCLE_ID_LEN, or NULL: posts of which every other reader is in the circle now. A
	 * post keeps no name of a circle, so its readers alone tell.
	 */
	const uint8_t *circle;
};

/* What it costs to take one post from the reader. */
struct revoke_cost {
	uint8_t post[POST_ID_LEN];
	uint64_t time_ms;
	enum revoke_fetched fetched;
	uint64_t given_ms;	 /* 0: this node did not give it */
	unsigned wrap_cnt;	 /* keys to wrap, either way */
	unsigned copy_cnt;	 /* other nodes with a copy */
	uint64_t wrap_len;	 /* bytes to send: a visibility for each copy */
	uint64_t seal_len;	 /* the post with its attachments and the deletion, likewise */
	enum revoke_way advised; /* REVOKE_WRAP or REVOKE_SEAL */
};

/* What is known of people: their part of social/. All functions are set, but cut. */
struct revoke_ways {
	/* The personas of this node, from 0 on; NULL behind the last. */
	const struct node_key *(*persona)(void *ctx, unsigned idx);
	/* The key of a persona, or a former one; NULL: it is none of this node's. */
	const struct node_key *(*own)(void *ctx, const uint8_t *key);
	bool (*is_in_circle)(void *ctx, const uint8_t *circle, const uint8_t *person);
	/* person reads post no more: what is on its way to it ends; may be NULL */
	void (*cut)(void *ctx, const uint8_t *person, const uint8_t *post, uint64_t now_ns);
	void *ctx;
};

struct revoke_params {
	const struct social_ground *ground; /* all borrowed until social_revoke_close */
	struct post_store *posts;
	struct intake *intake;
	struct post_holders *holders;
	struct revoke_ways ways;
	uint64_t now_ns;
};
/*
 * social_revoke_open reads what was not done. social_revoke_stop ends callers with WEFT_ECANCELLED, and calls
 * nothing any more: what is not done goes on at the next start.
 */
WEFT_MUST_CHECK
int social_revoke_open(const struct revoke_params *params, struct revocations **out_revocations);
void social_revoke_stop(struct revocations *revocations);
void social_revoke_close(struct revocations *revocations);

/* A page of the plan. cnt and what follows are set. */
struct revoke_plan {
	struct revoke_scope scope;
	unsigned persona; /* index, 0 at first: the posts of one come after another's */
	const struct post_cursor *from; /* behind this one; NULL: from the newest */
	struct revoke_cost *costs;
	unsigned cap;
	unsigned cnt;
	bool is_all; /* there is no more behind persona and next */
	struct post_cursor next;
};
/*
 * social_revoke_plan gives the costs of the posts in scope, newest first. 0, WEFT_EABSENT (the post is
 * not here, not of this node, or not for person) or the store's error. It may find less than cap and
 * still not be all: a page looks at a bounded number of posts.
 */
WEFT_MUST_CHECK
int social_revoke_plan(struct revocations *revocations, struct revoke_plan *plan);

/* What a revocation did. */
struct revoke_outcome {
	int err; /* 0, or why it ended before; what was done stays, and the rest is not */
	unsigned wrapped_cnt, sealed_cnt, wrap_cnt;
	unsigned kept_cnt; /* posts that could not be encrypted anew, so they were wrapped anew */
};
/*
 * social_revoke_start: 0, and done (may be NULL) follows when all is done and durable. WEFT_EFULL
 * (REVOCATIONS_MAX), WEFT_EREFUSED (person is of this node), -ENOMEM or the store's error.
 */
struct revoke_ask {
	struct revoke_scope scope;
	enum revoke_way way;
	void (*done)(void *arg, const struct revoke_outcome *outcome);
	void *arg;
};
WEFT_MUST_CHECK
int social_revoke_start(struct revocations *revocations, const struct revoke_ask *ask,
			uint64_t now_ns);
unsigned social_revoke_cnt(const struct revocations *revocations);

/*
 * social_revoke_proof writes what shows that person was taken off post: a map {0 deletion?, 1
 * visibility}, both as the author signed them. 0, WEFT_EABSENT (it was not), or the store's error.
 */
#define REVOKE_PROOF_LEN_MAX (POST_CLAIM_LEN_MAX + VISIBILITY_LEN_MAX + 32u)
WEFT_MUST_CHECK
int social_revoke_proof(struct revocations *revocations, const uint8_t post[static POST_ID_LEN],
			const uint8_t person[static NODE_KEY_LEN], struct writer *out);

struct revoke_stats {
#define FIGURE FIGURE_FIELD
#include "social/revoke/revoke_counters.def"
};
void social_revoke_stats(const struct revocations *revocations, struct revoke_stats *out_stats);

#endif

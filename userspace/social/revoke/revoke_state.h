/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_REVOKE_REVOKE_STATE_H
#define WEFT_SOCIAL_REVOKE_REVOKE_STATE_H

#include "base/list.h"
#include "base/timer.h"
#include "social/intake/post_intake.h"
#include "social/revoke/reader_removal.h"
#include "social/revoke/revoke.h"

/* Private to revoke/. */

#define REVOKE_RETRY_NS 50000000ull

/* Where a walk over the posts of a persona is. */
struct revoke_search {
	unsigned persona; /* index */
	bool has_cursor;
	struct post_cursor cursor;
};

/* A revocation that is not done: its row says as much. */
struct revocation {
	struct list_node link;
	struct revocations *owner;
	uint8_t slot; /* of its row */
	enum revoke_way way;
	bool has_post, has_circle;
	uint8_t person[NODE_KEY_LEN], post[POST_ID_LEN], circle[REVOKE_CIRCLE_ID_LEN];
	uint64_t started_ms;
	bool is_durable;
	struct revoke_outcome outcome;
	void (*done)(void *arg, const struct revoke_outcome *outcome);
	void *arg;
	struct revoke_search search; /* where it is */
	bool has_before;	     /* and where it was before the post at hand */
	struct post_cursor before;
	bool is_over;
};

/* The post at hand of the first revocation. */
struct revoke_step {
	bool is_under_way; /* a change of it is on its way to the disk */
	bool is_sealed;
	bool is_kept; /* it was to be encrypted anew, and has attachments */
	unsigned wrap_cnt;
	uint8_t id[POST_ID_LEN];
	uint8_t next_id[POST_ID_LEN]; /* the edition in its place */
	uint64_t time_ms;
};

struct revocations {
	struct revoke_params params;
	struct list_node queue; /* the first is under way */
	unsigned cnt;
	struct timer timer;
	struct revoke_step step;
	uint64_t now_ns; /* the latest time that was named */
	struct revoke_stats stats;
	bool is_stopped;
	struct visibility visibility; /* of the post at hand */
	struct post post;
	uint8_t made_post[POST_LEN_MAX];
	uint8_t made_visibility[VISIBILITY_LEN_MAX];
	uint8_t made_claim[POST_CLAIM_LEN_MAX];
	char text[POST_LEN_MAX];
};

static inline struct revoke_scope revocation_scope(const struct revocation *revocation)
{
	return (struct revoke_scope){.person = revocation->person,
				     .post = revocation->has_post ? revocation->post : NULL,
				     .circle = revocation->has_circle ? revocation->circle : NULL};
}

static inline const struct node_key *social_revoke_own(const struct revocations *revocations,
						       const uint8_t *key)
{
	return revocations->params.ways.own(revocations->params.ways.ctx, key);
}
static inline const struct node_key *social_revoke_persona(const struct revocations *revocations,
							   unsigned idx)
{
	return revocations->params.ways.persona(revocations->params.ways.ctx, idx);
}

/* revoke.c: the post at hand is done, or err says why it is not: 0, WEFT_EBUSY (again in a while). */
void social_revoke_stepped(struct revocations *revocations, int err);

/* --- revoke_plan.c --- */

/* social_revoke_load reads the post of view into visibility, post and *out_copy, which the caller frees. */
WEFT_MUST_CHECK
int social_revoke_load(struct revocations *revocations, const uint8_t id[static POST_ID_LEN],
		       struct post_copy **out_copy);
/* social_revoke_is_in_scope: of the post that was loaded. */
bool social_revoke_is_in_scope(const struct revocations *revocations,
			       const struct revoke_scope *scope);
/* social_revoke_fetched: whether person ever had post, as far as is known here. */
WEFT_MUST_CHECK
int social_revoke_fetched(struct revocations *revocations, const uint8_t post[static POST_ID_LEN],
			  const uint8_t person[static NODE_KEY_LEN], struct revoke_cost *out_cost);
/*
 * social_revoke_find goes on behind cursor, if it is set, over the posts of a persona, and moves it. It
 * returns 1 with *out_view, a post for recipients, or 0 if there is none any more. WEFT_EBUSY: it looked
 * at as many posts as one turn may, and is to go on. Else the store's error.
 */
WEFT_MUST_CHECK
int social_revoke_find(struct revocations *revocations, struct revoke_search *search,
		       struct post_view *out_view);

/* --- revoke_post.c --- */

/* social_revoke_post begins to take view from the reader of revocation; social_revoke_stepped follows. */
void social_revoke_post(struct revocations *revocations, const struct revocation *revocation,
			const struct post_view *view);

#endif

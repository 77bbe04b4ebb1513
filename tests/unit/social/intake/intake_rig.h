/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_UNIT_SOCIAL_INTAKE_INTAKE_RIG_H
#define WEFT_TESTS_UNIT_SOCIAL_INTAKE_INTAKE_RIG_H

/* What comes into a node of one person, and the people and the group that it knows. */
#include "social/intake/post_intake.h"

#include "../post_rig.h"

/* Persons of the test: 0 is of this node, 1 followed, 2 a stranger, 3 blocked, 4 the stranger's friend. */
enum { OWN, FRIEND, STRANGER, BLOCKED, OTHER };
#define GROUP_IN 7

static struct intake *intake;
static enum intake_verdict last;
static unsigned settled_cnt, addressed_cnt;
static uint8_t last_id[POST_ID_LEN];
static int profile_err;
static uint64_t opened_epoch = 1; /* of the group, the node has this key */

static inline bool on_is_own(void *ctx, const uint8_t *key)
{
	(void)ctx;
	return memcmp(key, rig_key(OWN), NODE_KEY_LEN) == 0;
}

static inline bool on_is_blocked(void *ctx, const uint8_t *key)
{
	(void)ctx;
	return memcmp(key, rig_key(BLOCKED), NODE_KEY_LEN) == 0;
}

static inline bool on_is_followed(void *ctx, const uint8_t *key)
{
	(void)ctx;
	return memcmp(key, rig_key(FRIEND), NODE_KEY_LEN) == 0;
}

static int member = -1; /* a further person of the group than OTHER */

static inline bool on_is_poster(void *ctx, const uint8_t *group, const uint64_t *epoch,
				const uint8_t *author)
{
	(void)ctx, (void)epoch;
	return group[0] == GROUP_IN &&
	       (memcmp(author, rig_key(OTHER), NODE_KEY_LEN) == 0 ||
		(member >= 0 && memcmp(author, rig_key((unsigned)member), NODE_KEY_LEN) == 0));
}

static inline bool on_is_in_group(void *ctx, const uint8_t *group, uint64_t epoch, bool *out_opens)
{
	(void)ctx;
	*out_opens = epoch == opened_epoch;
	return group[0] == GROUP_IN;
}

static uint8_t opened_key; /* the first byte of that key */

static inline bool on_opens_group(void *ctx, const struct visibility_group *of)
{
	(void)ctx;
	return of->key[0] == opened_key;
}

static bool refuses_strangers;

static inline bool on_is_refused(void *ctx, const uint8_t *key)
{
	(void)ctx;
	return refuses_strangers && memcmp(key, rig_key(STRANGER), NODE_KEY_LEN) == 0;
}

static inline void on_addressed(void *ctx, const uint8_t *author, const uint8_t *post,
				uint64_t now_ns)
{
	(void)ctx, (void)now_ns;
	addressed_cnt += memcmp(author, rig_key(STRANGER), NODE_KEY_LEN) == 0 &&
			 social_posts_known(rig_posts, post) == POST_HELD;
}

static inline int on_profile(void *ctx, const struct intake_object *object, uint64_t now_ns)
{
	(void)ctx, (void)object, (void)now_ns;
	return profile_err;
}

static inline void begin(void)
{
	struct intake_params params = {.ground = &rig_ground,
				       .ways = {.is_own = on_is_own,
						.is_blocked = on_is_blocked,
						.is_followed = on_is_followed,
						.is_refused = on_is_refused,
						.is_in_group = on_is_in_group,
						.opens_group = on_opens_group,
						.is_poster = on_is_poster,
						.was_addressed = on_addressed,
						.profile = on_profile}};

	rig_begin();
	params.posts = rig_posts;
	if (social_intake_open(&params, &intake) < 0)
		abort();
	settled_cnt = addressed_cnt = 0;
}

static inline void end(void)
{
	social_posts_stop(rig_posts);
	social_intake_close(intake);
	rig_end();
}

static inline void on_settled(void *arg, enum intake_verdict verdict, const uint8_t *id)
{
	(void)arg;
	last = verdict;
	settled_cnt++;
	memcpy(last_id, id, POST_ID_LEN);
}

static inline enum intake_verdict bring(const struct rig_post *post, enum intake_source source)
{
	unsigned before = settled_cnt;

	social_intake_post(
		intake,
		&(struct intake_ask){.parts = post->parts, .source = source, .done = on_settled},
		rig_now_ns);
	rig_settle();
	if (settled_cnt != before + 1)
		abort();
	return last;
}

static inline enum intake_verdict made(struct rig_post *post, enum intake_source source)
{
	enum intake_verdict verdict;

	rig_make(post);
	verdict = bring(post, source);
	free(post->bytes);
	post->bytes = NULL;
	return verdict;
}

static inline enum intake_verdict bring_object(void (*take)(struct intake *,
							    const struct intake_object *, uint64_t),
					       const struct writer *w)
{
	unsigned before = settled_cnt;

	take(intake,
	     &(struct intake_object){.bytes = w->start, .len = writer_len(w), .done = on_settled},
	     rig_now_ns);
	rig_settle();
	if (settled_cnt != before + 1)
		abort();
	return last;
}

static inline struct intake_stats stats(void)
{
	struct intake_stats now;

	social_intake_stats(intake, &now);
	return now;
}

static inline struct post_view view_of(const struct rig_post *post)
{
	struct post_view view = {.share = POST_SHARE_CNT};

	(void)!social_posts_look(rig_posts, post->id, &view);
	return view;
}

#endif

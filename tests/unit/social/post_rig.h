/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_POST_RIG_H
#define WEFT_TESTS_POST_RIG_H

#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "base/timer.h"
#include "crypto/node_key.h"
#include "social/ground/social_ground.h"
#include "social/keep/post_store.h"
#include "store/store.h"
#include "support/check.h"
#include "support/scratch.h"
#include "support/scratch_store.h"

/*
 * A store of posts over a scratch directory, with a clock of its own. Posts of numbered people are signed
 * as they should be. The ground has no mesh.
 */
#define RIG_WALL_MS	 1800000000000ull
#define RIG_PEOPLE	 16u
#define RIG_MINUTE_MS	 60000ull
#define RIG_CONTENT_MAX	 POST_LEN_MAX
#define RIG_VISIBILITIES 65536u

static struct node_key *rig_people[RIG_PEOPLE];
static char rig_dir[SCRATCH_CAP];
static struct store *rig_store;
static struct timer_wheel rig_timers;
static struct random rig_dice;
static struct social_ground rig_ground;
static struct post_store *rig_posts;
static struct posts_config rig_config;
static uint64_t rig_now_ns, rig_wall;
static unsigned rig_own;    /* the person that is_own says yes to */
static bool rig_has_thread; /* of the store */

static inline const uint8_t *rig_key(unsigned person)
{
	return node_key_public(rig_people[person]);
}

static inline uint64_t rig_wall_ms(void *ctx)
{
	(void)ctx;
	return rig_wall;
}

static inline enum fair_class rig_class_of(void *ctx, const uint8_t *key)
{
	(void)ctx, (void)key;
	return FAIR_UNKNOWN;
}

static inline bool rig_is_own(void *ctx, const uint8_t *key)
{
	(void)ctx;
	return memcmp(key, rig_key(rig_own), NODE_KEY_LEN) == 0;
}

static inline void rig_up(void)
{
	struct post_store_params params = {.config = rig_config,
					   .ground = &rig_ground,
					   .is_own = rig_is_own,
					   .now_ns = rig_now_ns};

	rig_store = scratch_store(rig_dir, !rig_has_thread);
	rig_ground.store = rig_store;
	if (social_posts_open(&params, &rig_posts) < 0)
		abort();
}

static inline void rig_down(void)
{
	social_posts_close(rig_posts);
	store_close(rig_store);
}

static inline void rig_begin(void)
{
	random_init_seeded(&rig_dice, 11);
	for (unsigned i = 0; i < RIG_PEOPLE; i++) {
		uint8_t seed[NODE_KEY_SEED_LEN] = {(uint8_t)(i + 1), 9};

		if (node_key_from_seed(seed, &rig_people[i]) < 0)
			abort();
	}
	rig_now_ns = NS_PER_S;
	rig_wall = RIG_WALL_MS;
	rig_own = 0;
	timer_wheel_init(&rig_timers, rig_now_ns);
	rig_ground = (struct social_ground){.key = rig_people[0],
					    .timers = &rig_timers,
					    .random = &rig_dice,
					    .wall_ms = rig_wall_ms,
					    .class_of = rig_class_of};
	scratch_make(rig_dir);
	if (!rig_config.post_cap)
		social_posts_config_defaults(&rig_config);
	rig_up();
}

static inline void rig_end(void)
{
	rig_down();
	scratch_remove(rig_dir);
	for (unsigned i = 0; i < RIG_PEOPLE; i++)
		node_key_free(rig_people[i]);
	rig_config = (struct posts_config){0};
}

/* rig_pass: time passes, and what is written is durable. */
static inline void rig_pass(uint64_t ns)
{
	rig_now_ns += ns;
	rig_wall += ns / NS_PER_MS;
	timer_wheel_expire(&rig_timers, rig_now_ns);
	while (store_is_pending(rig_store))
		(void)store_reap(rig_store);
}
static inline void rig_settle(void)
{
	rig_pass(20 * NS_PER_MS);
}
static inline void rig_again(void)
{
	rig_down();
	rig_up();
}

/* A post as it travels; zeros: public, of person 0, at the beginning, in an edition of its own. */
struct rig_post {
	unsigned author;
	uint64_t minute; /* of its time */
	unsigned logical;
	const uint8_t *parent, *supersedes;
	enum visibility_kind kind;
	unsigned readers[RIG_PEOPLE], reader_cnt; /* people */
	uint8_t group;				  /* all bytes of its id */
	uint8_t group_key;			  /* the first byte of it */
	uint64_t epoch, number;
	size_t content_len; /* 0: 10 */
	const uint8_t *attachment;
	unsigned mention; /* a person, from 1 on; 0: none */
	/* built by rig_make */
	uint8_t id[POST_ID_LEN];
	struct post_parts parts;
	uint8_t *bytes;
};

static inline int rig_reader_order(const void *a, const void *b)
{
	return memcmp(((const struct visibility_recipient *)a)->reader,
		      ((const struct visibility_recipient *)b)->reader, NODE_KEY_LEN);
}

/* rig_readers writes the visibility of post into out, as its author, with other's key if set. */
static inline size_t rig_readers(const struct rig_post *post, struct writer *out)
{
	struct visibility *visibility = calloc(1, sizeof(*visibility));
	size_t before = writer_len(out);

	if (!visibility)
		abort();
	visibility->post = post->id;
	visibility->number = post->number;
	visibility->kind = post->kind;
	visibility->recipient_cnt = post->reader_cnt;
	for (unsigned i = 0; i < post->reader_cnt; i++)
		memcpy(visibility->recipients[i].reader, rig_key(post->readers[i]), NODE_KEY_LEN);
	qsort(visibility->recipients, post->reader_cnt, sizeof(visibility->recipients[0]),
	      rig_reader_order);
	memset(visibility->group.group, post->group, sizeof(visibility->group.group));
	visibility->group.key[0] = post->group_key;
	visibility->group.epoch = post->epoch;
	social_visibility_write(out, visibility, rig_people[post->author]);
	free(visibility);
	return writer_len(out) - before;
}

static inline void rig_make(struct rig_post *post)
{
	static char content[RIG_CONTENT_MAX];
	static unsigned made_cnt;
	const size_t cap = POST_LEN_MAX + POST_CLAIM_LEN_MAX + RIG_VISIBILITIES;
	struct post said = {.author = rig_key(post->author),
			    .time_ms = RIG_WALL_MS + post->minute * RIG_MINUTE_MS,
			    .content = content,
			    .content_len = post->content_len ? post->content_len : 10,
			    .parent = post->parent};
	uint8_t logical_id[POST_LOGICAL_ID_LEN] = {0};
	unsigned logical = post->logical ? post->logical : 1000 + made_cnt;
	struct writer w;

	/* No two posts have the same content. */
	memset(content, 'a', sizeof(content));
	snprintf(content, 10, "%09u", made_cnt++);
	content[9] = 'b';
	memcpy(logical_id, &logical, sizeof(logical));
	if (post->attachment)
		said.attachments[said.attachment_cnt++] =
			(struct post_attachment){post->attachment, POST_ID_LEN, "image/png", 9, 5};
	if (post->mention)
		memcpy(said.mentions[said.mention_cnt++], rig_key(post->mention - 1), NODE_KEY_LEN);
	post->bytes = malloc(cap);
	if (!post->bytes)
		abort();
	w = writer_of(post->bytes, cap);
	social_post_write(&w, &said);
	post->parts.post = post->bytes;
	post->parts.post_len = writer_len(&w);
	social_post_id(post->bytes, post->parts.post_len, post->id);
	post->parts.claim = w.pos;
	social_claim_write(&w, &(struct post_claim){post->id, logical_id, post->supersedes, NULL},
			   rig_people[post->author]);
	post->parts.claim_len = (size_t)(w.pos - post->parts.claim);
	post->parts.visibility = w.pos;
	post->parts.visibility_len = rig_readers(post, &w);
	if (w.bad)
		abort();
}

/* What became of the changes that were asked for. */
static unsigned rig_done_cnt, rig_failed_cnt;
static inline void rig_done(void *arg, int err)
{
	(void)arg;
	rig_done_cnt += err == 0;
	rig_failed_cnt += err < 0;
}
static const struct post_change_done rig_note = {rig_done, NULL};

/* rig_put puts a post that was made; network: of the node that brought it, 0: this one. */
static inline int rig_put(const struct rig_post *post, enum post_share share, unsigned network)
{
	struct judged_post *judged;
	struct post_put put = {
		.parts = post->parts, .share = share, .class = FAIR_UNKNOWN, .done = rig_done};
	int err = social_post_judge(&post->parts, &judged);

	if (err < 0)
		return err;
	if (network)
		put.source = (struct addr){.ip = {20, (uint8_t)(network >> 8), (uint8_t)network, 1},
					   .family = ADDR_IPV4};
	put.judged = judged;
	err = social_posts_put(rig_posts, &put, rig_now_ns);
	social_judged_free(judged);
	return err;
}

/* rig_say makes post and puts it, durably: what the put came to. */
static inline int rig_say(struct rig_post *post, enum post_share share, unsigned network)
{
	int err;

	rig_make(post);
	err = rig_put(post, share, network);
	rig_settle();
	free(post->bytes);
	post->bytes = NULL;
	return err;
}

/* rig_delete deletes post in the name of person. */
static inline int rig_delete(const uint8_t *post, unsigned person)
{
	uint8_t bytes[POST_CLAIM_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct post_deletion deletion = {.post = post, .time_ms = RIG_WALL_MS}, heard;

	social_deletion_write(&w, &deletion, rig_people[person]);
	if (social_deletion_read(bytes, writer_len(&w), &heard) < 0)
		abort();
	return social_posts_remove(rig_posts, &(struct post_removal){&heard, bytes, writer_len(&w)},
				   rig_note, rig_now_ns);
}

/* rig_renew gives post other readers, by a number one higher. */
static inline int rig_renew(struct rig_post *post)
{
	struct visibility *visibility = malloc(sizeof(*visibility));
	uint8_t bytes[8192];
	struct writer w = writer_of(bytes, sizeof(bytes));
	size_t len;
	int err;

	post->number++;
	len = rig_readers(post, &w);
	if (!visibility || social_visibility_read(bytes, len, visibility) < 0)
		abort();
	err = social_posts_set_visibility(
		rig_posts,
		&(struct post_readers){.visibility = visibility, .bytes = bytes, .len = len},
		rig_note, rig_now_ns);
	free(visibility);
	return err;
}

static inline struct posts_stats rig_stats(void)
{
	struct posts_stats stats;

	social_posts_stats(rig_posts, &stats);
	return stats;
}

static inline uint16_t rig_flags(const uint8_t *id)
{
	struct post_view view;

	return social_posts_look(rig_posts, id, &view) == 0 ? view.flags : UINT16_MAX;
}

#endif

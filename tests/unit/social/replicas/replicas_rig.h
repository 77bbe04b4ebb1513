/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_UNIT_SOCIAL_REPLICAS_REPLICAS_RIG_H
#define WEFT_TESTS_UNIT_SOCIAL_REPLICAS_REPLICAS_RIG_H

/* Copies of posts among nodes in session: what is counted, where the next one goes, what is refused. */
#include "social/replicas/replicas.h"

#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/timer.h"
#include "crypto/node_key.h"
#include "social/intake/post_intake.h"
#include "social/replicas/replica_message.h"
#include "social/write/post_make.h"
#include "store/store.h"
#include "support/check.h"
#include "support/mesh_lab.h"
#include "support/scratch.h"
#include "support/scratch_store.h"
#include "support/seed.h"

#define NODES	6u
#define HOUR_NS (3600 * NS_PER_S)
#define DAY_NS	(24 * HOUR_NS)

struct node {
	struct mesh *mesh;
	struct node_key *key;
	struct social_ground ground;
	struct store *store;
	struct post_store *posts;
	struct intake *intake;
	struct post_holders *holders;
	struct replicas *replicas;
	struct timer_wheel timers;
	char dir[SCRATCH_CAP];
	bool follows_all;	    /* it wants the posts of all, */
	const struct node *follows; /* or of this one alone */
	bool is_audience;	    /* it follows all, as the others know */
	bool is_in_group;	    /* the rig's, and it has its key */
	bool is_stuck;		    /* its disk writes nothing now */
	unsigned low_cnt;
};

static struct mesh_lab lab;
static struct random dice;
static struct mesh_lab_ask asked;
static struct node nodes[NODES];
static unsigned node_cnt;
static unsigned target;		 /* copies that each node wants elsewhere */
static uint64_t hosted_per_hour; /* bytes; 0: the default */
static enum intake_verdict put_verdict;
static const struct mem_link calm = {.delay_ns = 10 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};

/* --- ways --- */

static inline bool is_own(void *ctx, const uint8_t *key)
{
	return memcmp(((struct node *)ctx)->mesh->key, key, MESH_KEY_LEN) == 0;
}

static inline const struct node_key *own(void *ctx, const uint8_t *key)
{
	return is_own(ctx, key) ? ((struct node *)ctx)->key : NULL;
}

static inline bool is_none(void *ctx, const uint8_t *key)
{
	(void)ctx, (void)key;
	return false;
}

static inline bool is_followed(void *ctx, const uint8_t *key)
{
	const struct node *node = ctx;

	return node->follows_all &&
	       (!node->follows || memcmp(node->follows->mesh->key, key, MESH_KEY_LEN) == 0);
}

static inline bool is_audience(void *ctx, const uint8_t *key)
{
	(void)ctx;
	for (unsigned i = 0; i < node_cnt; i++)
		if (memcmp(nodes[i].mesh->key, key, MESH_KEY_LEN) == 0)
			return nodes[i].is_audience;
	return false;
}

static inline bool speaks_for(void *ctx, const uint8_t *key, const uint8_t *person)
{
	(void)ctx;
	return memcmp(key, person, MESH_KEY_LEN) == 0;
}

/* One group of one epoch. */
static const uint8_t group_id[32] = {0x67};
#define GROUP_EPOCH 4u
static struct node_key *group_key;

static inline bool is_member(void *ctx, const uint8_t *group, uint64_t epoch, const uint8_t *key)
{
	const struct node *node = ctx;

	/* A node outside of the group does not know its members. */
	if (!node->is_in_group || memcmp(group, group_id, 32) != 0 || epoch != GROUP_EPOCH)
		return false;
	for (unsigned i = 0; i < node_cnt; i++)
		if (memcmp(nodes[i].mesh->key, key, MESH_KEY_LEN) == 0)
			return nodes[i].is_in_group;
	return false;
}

static inline bool is_fellow(void *ctx, const uint8_t *key)
{
	return is_member(ctx, group_id, GROUP_EPOCH, key);
}

static inline const struct node_key *group_key_of(void *ctx, const struct visibility_group *of)
{
	const struct node *node = ctx;

	return node->is_in_group && memcmp(of->key, node_key_public(group_key), MESH_KEY_LEN) == 0
		       ? group_key
		       : NULL;
}

static inline bool opens_group(void *ctx, const struct visibility_group *of)
{
	return group_key_of(ctx, of) != NULL;
}

static inline bool is_in_group(void *ctx, const uint8_t *group, uint64_t epoch, bool *out_opens)
{
	const struct node *node = ctx;

	*out_opens = node->is_in_group && epoch == GROUP_EPOCH;
	return node->is_in_group && memcmp(group, group_id, 32) == 0;
}

static inline bool is_poster(void *ctx, const uint8_t *group, const uint64_t *epoch,
			     const uint8_t *author)
{
	(void)epoch;
	return is_member(ctx, group, GROUP_EPOCH, author);
}

static inline void not_addressed(void *ctx, const uint8_t *author, const uint8_t *post,
				 uint64_t now_ns)
{
	(void)ctx, (void)author, (void)post, (void)now_ns;
}

static inline int no_profile(void *ctx, const struct intake_object *object, uint64_t now_ns)
{
	(void)ctx, (void)object, (void)now_ns;
	return WEFT_EUNKNOWN;
}

static inline uint64_t wall_ms(void *ctx)
{
	(void)ctx;
	return MESH_LAB_WALL_S * 1000 + lab.now_ns / NS_PER_MS;
}

static inline enum fair_class class_of(void *ctx, const uint8_t *key)
{
	(void)ctx, (void)key;
	return FAIR_UNKNOWN;
}

static inline void happened(void *ctx, const struct social_event *event)
{
	((struct node *)ctx)->low_cnt += event->kind == SOCIAL_COPIES_LOW;
}

/* --- nodes --- */

static inline void turn(void *ctx, uint64_t now_ns)
{
	struct node *node = ctx;

	timer_wheel_expire(&node->timers, now_ns);
	if (!node->is_stuck)
		(void)store_reap(node->store);
}

static inline uint64_t next_ns(void *ctx)
{
	struct node *node = ctx;

	return store_is_pending(node->store) && !node->is_stuck
		       ? lab.now_ns
		       : timer_wheel_next_ns(&node->timers);
}

static inline void posts_up(struct node *node)
{
	struct post_store_params params = {
		.ground = &node->ground, .is_own = is_own, .ctx = node, .now_ns = lab.now_ns};
	const struct intake_params intake = {.ground = &node->ground,
					     .ways = {.is_own = is_own,
						      .is_blocked = is_none,
						      .is_followed = is_followed,
						      .is_in_group = is_in_group,
						      .opens_group = opens_group,
						      .is_poster = is_poster,
						      .was_addressed = not_addressed,
						      .profile = no_profile,
						      .ctx = node}};
	struct intake_params intake_params = intake;

	social_posts_config_defaults(&params.config);
	params.config.post_cap = 4096;
	if (social_posts_open(&params, &node->posts) < 0)
		abort();
	intake_params.posts = node->posts;
	if (social_intake_open(&intake_params, &node->intake) < 0 ||
	    social_holders_open(&node->ground, &node->holders) < 0)
		abort();
}

static inline void node_up(struct node *node)
{
	struct replicas_params params = {.ways = {.own = own,
						  .is_blocked = is_none,
						  .is_acquainted = is_followed,
						  .is_audience = is_audience,
						  .is_fellow = is_fellow,
						  .is_member = is_member,
						  .group_key = group_key_of,
						  .speaks_for = speaks_for,
						  .ctx = node},
					 .now_ns = lab.now_ns};

	mesh_lab_up(node->mesh);
	timer_wheel_init(&node->timers, lab.now_ns);
	node->store = scratch_store(node->dir, true);
	node->ground = (struct social_ground){.key = node->key,
					      .store = node->store,
					      .mesh = mesh_lab_seam_of(node->mesh),
					      .neighbours = &mesh_lab_neighbours,
					      .timers = &node->timers,
					      .random = &dice,
					      .wall_ms = wall_ms,
					      .class_of = class_of,
					      .happened = happened,
					      .ctx = node};
	posts_up(node);
	social_replicas_config_defaults(&params.config);
	params.config.target = target;
	if (hosted_per_hour)
		params.config.hosted_per_hour = hosted_per_hour;
	params.ground = &node->ground;
	params.posts = node->posts;
	params.intake = node->intake;
	params.holders = node->holders;
	if (social_replicas_open(&params, &node->replicas) < 0)
		abort();
	node->mesh->expire = turn;
	node->mesh->next_ns = next_ns;
	node->mesh->ctx = node;
}

static inline void node_down(struct node *node)
{
	social_replicas_stop(node->replicas);
	social_holders_stop(node->holders);
	social_posts_stop(node->posts);
	social_replicas_close(node->replicas);
	social_holders_close(node->holders);
	social_intake_close(node->intake);
	social_posts_close(node->posts);
	mesh_lab_down(node->mesh);
	store_close(node->store);
}

static inline struct node *node_add(void)
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {(uint8_t)(node_cnt + 1), 41};
	struct node *node = &nodes[node_cnt++];

	memset(node, 0, sizeof(*node));
	node->mesh = mesh_lab_add(&lab);
	if (node_key_from_seed(seed, &node->key) < 0)
		abort();
	memcpy(node->mesh->key, node_key_public(node->key), MESH_KEY_LEN);
	scratch_make(node->dir);
	node_up(node);
	return node;
}

static inline void begin_with(unsigned cnt, unsigned copy_target)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {77};

	target = copy_target;
	if (node_key_from_seed(seed, &group_key) < 0)
		abort();
	random_init_seeded(&dice, seed_of_run(3));
	mesh_lab_init(&lab, seed_of_run(3), NODES, &calm);
	lab.idle_ns = 100000000 * NS_PER_S;
	node_cnt = 0;
	while (cnt--)
		(void)node_add();
}

static inline void begin(unsigned cnt)
{
	begin_with(cnt, 3);
}

static inline void end(void)
{
	for (unsigned i = 0; i < node_cnt; i++) {
		node_down(&nodes[i]);
		node_key_free(nodes[i].key);
		scratch_remove(nodes[i].dir);
	}
	node_key_free(group_key);
	mesh_lab_fini(&lab);
}

static inline void pass(uint64_t for_ns)
{
	for (unsigned i = 0; i < node_cnt; i++)
		nodes[i].mesh->due_ns = 0;
	(void)mesh_lab_run(&lab, for_ns, NULL, NULL);
}

/* A session of both; and a sync over it, as a says. */
static inline void meet(struct node *a, struct node *b)
{
	mesh_lab_ask(a->mesh, b->mesh, MESH_PEX_REQUEST, "", 0, &asked);
	social_replicas_synced(a->replicas, b->mesh->key, lab.now_ns);
	pass(2 * NS_PER_S);
}

/* --- posts --- */

static inline void on_put(void *arg, enum intake_verdict verdict, const uint8_t *id)
{
	(void)arg, (void)id;
	put_verdict = verdict;
}

static inline void put(struct node *node, const struct made_post *made)
{
	social_intake_post(node->intake,
			   &(struct intake_ask){
				   .parts = {made->post, made->claim, made->visibility,
					     made->post_len, made->claim_len, made->visibility_len},
				   .source = node == &nodes[0] ? INTAKE_OWN : INTAKE_SYNC,
				   .done = on_put},
			   lab.now_ns);
	pass(NS_PER_S);
	if (put_verdict != INTAKE_TAKEN && put_verdict != INTAKE_KNOWN)
		abort();
}

/* A post of author: for the group, or else public, or for reader. */
static inline struct made_post *post_make_for(struct node *author, const struct node *reader,
					      bool is_of_group, size_t len)
{
	static char text[200000];
	static unsigned made_cnt;
	uint8_t readers[1][NODE_KEY_LEN];
	struct made_post *made;
	struct post_making making = {.author = author->key,
				     .audience = {.kind = VISIBILITY_PUBLIC},
				     .time_ms = wall_ms(NULL) + made_cnt++,
				     .text = text,
				     .text_len = len};

	memset(text, 'a', sizeof(text));
	if (reader) {
		memcpy(readers[0], reader->mesh->key, NODE_KEY_LEN);
		making.audience.kind = VISIBILITY_RECIPIENTS;
		making.audience.readers = (const uint8_t(*)[NODE_KEY_LEN])readers;
		making.audience.reader_cnt = 1;
	}
	if (is_of_group)
		making.audience = (struct write_audience){.kind = VISIBILITY_GROUP,
							  .group = group_id,
							  .epoch = GROUP_EPOCH,
							  .group_key = node_key_public(group_key)};
	if (social_post_make(&making, &dice, &made) < 0)
		abort();
	return made;
}

static inline struct made_post *post_make(struct node *author, const struct node *reader,
					  size_t len)
{
	return post_make_for(author, reader, false, len);
}

/* Bytes of its own, so that it hosts three times as many for others. */
static inline void own_bytes(struct node *node, size_t len)
{
	struct made_post *made = post_make(node, NULL, len);

	put(node, made);
	social_made_post_free(made);
}

static inline unsigned copies(struct node *node, const struct made_post *made)
{
	struct replica_view view;

	social_replicas_view(node->replicas, made->id, &view);
	return view.copy_cnt;
}

static inline struct replicas_stats stats_of(const struct node *node)
{
	struct replicas_stats stats;

	social_replicas_stats(node->replicas, &stats);
	return stats;
}

/* --- tests --- */

#endif

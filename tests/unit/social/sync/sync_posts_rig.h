/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SYNC_POSTS_RIG_H
#define WEFT_TESTS_SYNC_POSTS_RIG_H

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "base/timer.h"
#include "crypto/node_key.h"
#include "social/holders/post_holders.h"
#include "social/object/post.h"
#include "social/object/post_claim.h"
#include "social/object/visibility.h"
#include "social/sync/sync.h"
#include "store/store.h"
#include "support/check.h"
#include "support/mesh_lab.h"
#include "support/seed.h"

/*
 * Nodes that exchange posts, on the network of support/mesh_lab.h, with their posts in memory. Person n
 * has node n, and further persons have none. Posts are as on the wire but for claims, which sync/ does not look at.
 */
#define RIG_NODES  12u
#define RIG_PEOPLE 12u
#define RIG_POSTS  120000u
#define RIG_LOG	   256u
#define RIG_GIVES  64u
#define RIG_TIME   1800000000000ull

struct rig_post {
	uint8_t id[POST_ID_LEN];
	unsigned author;
	uint64_t time_ms;
	uint16_t number;
	struct sync_bytes post, visibility; /* of the heap; the test's for good */
	bool is_gone;
};

struct rig_node {
	struct mesh *mesh;
	unsigned number;
	struct timer_wheel timers;
	struct social_ground ground;
	struct sync *sync;
	struct arena arena;
	struct post_index index;
	struct map by_id;
	struct rig_post *posts;
	unsigned post_cnt;
	/* Bits by person. */
	unsigned follows, chosen, related, blocked, members;
	unsigned follow_extra; /* keys of no person, which it follows as well */
	unsigned persona;      /* a further person that it is, or 0 */
	bool proves;	       /* it has the secret key of the group */
	bool refuses;	       /* its intake keeps nothing */
	bool is_silent;	       /* its POST_GET answers are empty: it has lost what it named */
	unsigned taken_cnt, deletion_cnt, profile_cnt, read_cnt;
	unsigned heard_follows; /* of its persons, by others: bits by peer */
	struct sync_outcome outcome;
	unsigned done_cnt;
	/* Posts that are not public, which it is about to give. */
	int give_err;	 /* of its disk */
	bool gives_late; /* rig_marks_write is called for them */
	struct {
		struct sync_give give;
		unsigned person;
		uint8_t posts[SYNC_GIVE_MAX][POST_ID_LEN];
		bool is_pending;
	} gives[RIG_GIVES];
	unsigned give_cnt;
	struct post_holders *holders; /* of a test that has them on a disk, with store; or NULL */
	struct store *store;
	unsigned synced, pulled; /* bits by person */
	/* Requests that it sent. */
	struct {
		unsigned type, to;
		size_t len;
		uint8_t payload[2048];
	} asked[RIG_LOG];
	unsigned asked_cnt;
	size_t asked_len;
};

static struct mesh_lab rig_lab;
static struct random rig_dice;
static struct rig_node rig_nodes[RIG_NODES];
static unsigned rig_cnt;
static struct node_key *rig_people[RIG_PEOPLE], *rig_group;
static const uint8_t rig_group_id[32] = {0x67};
#define RIG_EPOCH 3u
static const struct mem_link rig_calm = {.delay_ns = 10 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};
static struct mesh_ops rig_ops;

#define WHO(person) (1u << (person))
static inline const uint8_t *rig_key(unsigned person)
{
	return node_key_public(rig_people[person]);
}

static inline unsigned rig_person(const uint8_t *key)
{
	for (unsigned i = 0; i < RIG_PEOPLE; i++)
		if (memcmp(rig_key(i), key, NODE_KEY_LEN) == 0)
			return i;
	return RIG_PEOPLE;
}

static inline bool rig_has(unsigned set, const uint8_t *key)
{
	unsigned person = rig_person(key);

	return person < RIG_PEOPLE && set >> person & 1;
}

/* --- posts --- */

static inline struct rig_post *rig_find(struct rig_node *node, const uint8_t *id)
{
	return map_lookup(&node->by_id, id);
}

static inline bool rig_holds(struct rig_node *node, const uint8_t *id)
{
	const struct rig_post *post = rig_find(node, id);

	return post && !post->is_gone;
}

static inline unsigned rig_held_cnt(const struct rig_node *node)
{
	return node->index.row_cnt;
}

/* Sets of readers, by their bytes behind the post's id and the number: those of one kind are one. */
static inline uint16_t rig_audience(const struct sync_bytes *visibility)
{
	static struct visibility said;
	uint32_t sum = 1;

	if (social_visibility_parse(visibility->bytes, visibility->len, &said) < 0)
		abort();
	if (said.kind == VISIBILITY_PUBLIC)
		return SYNC_AUDIENCE_PUBLIC;
	for (unsigned i = 0; i < said.recipient_cnt; i++)
		sum += WHO(rig_person(said.recipients[i].reader));
	/* Every third person's are looked at each time. */
	return sum % 3 == 2 ? SYNC_AUDIENCE_OTHER : (uint16_t)(sum + 1);
}

static inline void rig_put(struct rig_node *node, const struct rig_post *post)
{
	struct post_row row = {.time_ms = post->time_ms,
			       .author = post->author,
			       .number = post->number,
			       .audience = rig_audience(&post->visibility)};

	memcpy(row.id, post->id, sizeof(row.id));
	if (node->post_cnt == RIG_POSTS || !social_index_put(&node->index, &row))
		abort();
	node->posts[node->post_cnt] = *post;
	if (map_put(&node->by_id, post->id, &node->posts[node->post_cnt]) < 0)
		abort();
	node->post_cnt++;
}

static inline struct sync_bytes rig_kept(const void *bytes, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	memcpy(copy, bytes, len);
	return (struct sync_bytes){copy, len};
}

static inline int rig_key_compare(const void *a, const void *b)
{
	return memcmp(a, b, NODE_KEY_LEN);
}

/* A visibility of kind for the people in readers, by the author. */
static inline struct sync_bytes rig_visibility(const struct rig_post *post,
					       enum visibility_kind kind, unsigned readers)
{
	static struct visibility said;
	static uint8_t bytes[VISIBILITY_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	memset(&said, 0, sizeof(said));
	said.post = post->id;
	said.number = post->number;
	said.kind = kind;
	for (unsigned i = 0; kind == VISIBILITY_RECIPIENTS && i < RIG_PEOPLE; i++)
		if (readers >> i & 1)
			memcpy(said.recipients[said.recipient_cnt++].reader, rig_key(i),
			       NODE_KEY_LEN);
	qsort(said.recipients, said.recipient_cnt, sizeof(said.recipients[0]), rig_key_compare);
	if (kind == VISIBILITY_GROUP) {
		memcpy(said.group.group, rig_group_id, sizeof(rig_group_id));
		memcpy(said.group.key, node_key_public(rig_group), NODE_KEY_LEN);
		said.group.epoch = RIG_EPOCH;
	}
	social_visibility_write(&w, &said, rig_people[post->author]);
	if (w.bad)
		abort();
	return rig_kept(bytes, writer_len(&w));
}

static uint64_t rig_next_time = RIG_TIME;
/* A post of len letters, held by node. */
static inline struct rig_post rig_post_of(struct rig_node *node, unsigned author,
					  enum visibility_kind kind, unsigned readers, size_t len)
{
	struct rig_post made = {.author = author, .time_ms = rig_next_time, .number = 1};
	char *content = malloc(len);
	uint8_t *bytes = malloc(POST_LEN_MAX);
	struct writer w = writer_of(bytes, POST_LEN_MAX);
	struct post post = {.author = rig_key(author),
			    .time_ms = rig_next_time,
			    .content = content,
			    .content_len = len};

	rig_next_time += 1000;
	memset(content, 'a', len);
	social_post_write(&w, &post);
	if (w.bad)
		abort();
	social_post_id(bytes, writer_len(&w), made.id);
	made.post = rig_kept(bytes, writer_len(&w));
	made.visibility = rig_visibility(&made, kind, readers);
	rig_put(node, &made);
	free(content);
	free(bytes);
	return made;
}

static inline struct rig_post rig_post(struct rig_node *node, unsigned author,
				       enum visibility_kind kind, unsigned readers)
{
	return rig_post_of(node, author, kind, readers, 20);
}

#endif

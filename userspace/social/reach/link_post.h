/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_REACH_LINK_POST_H
#define WEFT_SOCIAL_REACH_LINK_POST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "social/ground/social_ground.h"
#include "social/object/post.h"
#include "social/routes/social_search.h"

/*
 * Fetches one post that a link names, by its id and its author (602). Nodes with a session are asked
 * first, with the author's anchors. Then the author's node is looked for, and asked.
 *
 * A node that does not have the post, and one that may not give it, answer the same. So the outcome says no
 * more than at how many nodes it was not found. What a node gives is judged as any post, and the next
 * one is asked where it does not hold. A link asks LINK_POST_NODES_MAX nodes at most, and ends by
 * LINK_NS.
 *
 * Only a person at this node begins one. Home worker only; nothing blocks.
 */
struct social_link_posts;
struct sync_take;

#define LINK_POSTS_MAX	    4u	/* under way */
#define LINK_ASKS_MAX	    4u	/* at once, of one link */
#define LINK_POST_NODES_MAX 16u /* beside the author's */
#define LINK_NS		    60000000000ull

struct social_link_posts_ways {
	/* The nodes to ask before the author's is looked for: how many of cap. */
	unsigned (*nodes)(void *ctx, const uint8_t *author, uint8_t (*out)[NODE_KEY_LEN],
			  unsigned cap);
	/* A post that a person asked for; done of it is called once, also inside. */
	void (*take)(void *ctx, const struct sync_take *take, uint64_t now_ns);
	void *ctx;
};
struct social_link_posts_params {
	const struct social_ground *ground; /* borrowed until close, as are the two */
	struct social_routes *routes;
	struct social_searches *searches;
	struct social_link_posts_ways ways;
};
/* social_link_posts_open: 0 or -ENOMEM. stop ends all with WEFT_ECLOSED. Both take NULL. */
WEFT_MUST_CHECK
int social_link_posts_open(const struct social_link_posts_params *params,
			   struct social_link_posts **out_links);
void social_link_posts_stop(struct social_link_posts *links);
/* social_link_posts_close: no post that it gave to take is under way any more. */
void social_link_posts_close(struct social_link_posts *links);

struct link_outcome {
	int err;	   /* 0: it is here; WEFT_EABSENT: no node gave it; WEFT_ECLOSED */
	unsigned node_cnt; /* that answered without it */
};
struct link_ask {
	const uint8_t *id, *author; /* borrowed for the call */
	void (*done)(void *arg, const struct link_outcome *outcome, uint64_t now_ns);
	void *arg;
};
/* social_link_post: 0, and done is called once, never inside; WEFT_EFULL: too many are under way. */
WEFT_MUST_CHECK
int social_link_post(struct social_link_posts *links, const struct link_ask *ask, uint64_t now_ns);

#endif

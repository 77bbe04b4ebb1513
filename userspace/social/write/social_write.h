/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_WRITE_SOCIAL_WRITE_H
#define WEFT_SOCIAL_WRITE_SOCIAL_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/figure.h"
#include "social/intake/post_intake.h"
#include "social/object/private_text.h"
#include "social/read/social_read.h"

struct people;
struct social_ground;

/*
 * What people of this node write. The readers of a post are resolved and fixed when it is made: a
 * person that comes to a circle later does not read it. A post goes the way of all posts (intake/), and a caller has
 * its answer when it is durable.
 *
 *	draft -> readers -> post_make.c -> intake -> keep -> done
 *
 *	social_write.c	  posts, editions, deletions		post_make.c	bytes, keys, signatures
 *	write_audience.c  readers				post_drafts.c	what is not posted yet
 *	post_pins.c	  posts that are to stay
 *
 * A program that does not know whether its call was durable calls once more, with the same token. The
 * logical id of the post is made of persona and token, so that the post is there once.
 *
 * Tables, filled by this node alone: WRITES_MAX posts on their way, DRAFTS_MAX drafts.
 *
 * Home worker only; nothing blocks. A reader costs 0.1 ms.
 */
struct social_write;

#define WRITES_MAX	64u
#define WRITE_TOKEN_MAX 128u /* bytes */

/* A group as a post to it needs it. NULL: this node is in none. */
struct write_group {
	uint8_t key[NODE_KEY_LEN]; /* the public key of the epoch */
	uint64_t epoch;
};
struct write_group_ways {
	/*
	 * The key of a shard of group, for a post of persona. 0; 1: another shard is behind this one;
	 * WEFT_EABSENT: no such group here; WEFT_EREFUSED: its role may not post.
	 */
	int (*now)(void *ctx, const uint8_t *group, const uint8_t *persona, unsigned shard,
		   struct write_group *out_group);
	void *ctx;
};

/* All borrowed until social_write_free, but the ways, which are copied. */
struct social_write_params {
	const struct social_ground *ground;
	struct post_store *posts;
	struct people *people;
	struct intake *intake;
	struct social_read *read;
	struct write_group_ways groups;
	bool gives_receipts; /* and wants them */
	/* A direct message is durable that is for person, a person of another node; or NULL. */
	void (*left_word)(void *ctx, const uint8_t *person, const uint8_t *post, uint64_t now_ns);
	void *ctx;
};
WEFT_MUST_CHECK
int social_write_new(const struct social_write_params *params, struct social_write **out_write);
/*
 * social_write_stop: no caller is called any more. social_write_free, when the store of posts calls nothing
 * any more. Both take NULL.
 */
void social_write_stop(struct social_write *write);
void social_write_free(struct social_write *write);

/* social_write_wants_receipts: of the direct messages that are written here. */
bool social_write_wants_receipts(const struct social_write *write);

/* --- posts --- */

enum post_intent { POST_TO_ALL, POST_TO_FRIENDS, POST_TO_CIRCLE, POST_TO_PEOPLE, POST_TO_GROUP };

/*
 * id: of the post, and NULL with an err. wrap_cnt: readers that it was sealed for. verdict tells more of
 * WEFT_EREFUSED.
 */
typedef void (*write_done_fn)(void *arg, int err, const uint8_t *id);

/* What a person wants to say; borrowed for the call. */
struct write_draft {
	unsigned persona; /* index */
	enum post_intent intent;
	const char *circle;   /* its name */
	const uint8_t *group; /* GROUP_ID_LEN */
	const uint8_t (*people)[NODE_KEY_LEN];
	size_t person_cnt;
	enum private_kind is; /* of POST_TO_PEOPLE: a post, or a direct message */
	const char *text;
	size_t text_len;
	const uint8_t *parent; /* a post that it replies to, or NULL */
	const uint8_t (*mentions)[NODE_KEY_LEN];
	unsigned mention_cnt;
	const struct post_attachment *attachments;
	unsigned attachment_cnt;
	const uint8_t *content_key; /* of the attachments of a private post, or NULL */
	const char *token;	    /* or NULL */
	uint16_t marks;		    /* further ones of POST_MARKS */
	write_done_fn done; /* called once if the call returned 0, also inside it; or NULL */
	void *arg;
};
/*
 * social_write_post: 0, or
 *   WEFT_EABSENT    no such circle or group
 *   WEFT_EFULL      more readers than a post may have: SOCIAL_READERS_ADVICE
 *   WEFT_EREFUSED   a reader is blocked, or the persona may not post to the group
 *   WEFT_ETOOLARGE  the text
 *   WEFT_EMALFORMED the text is not UTF-8, a reader is no key, or there are too many mentions
 *   WEFT_EBUSY      WRITES_MAX are on their way
 *   -ENOMEM
 */
WEFT_MUST_CHECK
int social_write_post(struct social_write *write, const struct write_draft *draft, uint64_t now_ns);

/*
 * social_write_edit makes an edition in place of the latest one of a post of this node: with the same
 * readers, parent, attachments and logical id. As social_write_post, or WEFT_EABSENT: no such post is
 * here; WEFT_EREFUSED: it is another author's, or its readers cannot be had any more.
 */
struct write_edit {
	const uint8_t *id; /* of any edition */
	const char *text;
	size_t text_len;
	const uint8_t (*mentions)[NODE_KEY_LEN];
	unsigned mention_cnt;
	bool has_attachments; /* these, in place of those of the post; as of a draft */
	const struct post_attachment *attachments;
	unsigned attachment_cnt;
	const uint8_t *content_key;
	write_done_fn done;
	void *arg;
};
WEFT_MUST_CHECK
int social_write_edit(struct social_write *write, const struct write_edit *edit, uint64_t now_ns);
/*
 * social_write_delete takes back a post of this node, with all its editions that are here; done comes when
 * the last deletion is durable. 0, WEFT_EABSENT, WEFT_EREFUSED (another author's) or WEFT_EBUSY.
 */
struct write_delete {
	const uint8_t *id; /* of any edition */
	write_done_fn done;
	void *arg;
};
WEFT_MUST_CHECK
int social_write_delete(struct social_write *write, const struct write_delete *deletion,
			uint64_t now_ns);

struct social_write_stats {
#define FIGURE FIGURE_FIELD
#include "social/write/social_write_counters.def"
};
void social_write_stats(const struct social_write *write, struct social_write_stats *out_stats);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_KEEP_POST_RECORD_H
#define WEFT_SOCIAL_KEEP_POST_RECORD_H

#include "social/keep/post_store.h"

/*
 * Private to this folder: rows of the databases.
 *
 *	posts: post -> layout u8 | share u8 | kind u8 | class u8 | family u8 | has u8 | flags u16be
 *		ip 16 | time u64be | author 32 | logical id 16 | number u64be | post length u32be
 *		claim length u32be | readers' length u32be | audience 16
 *		parent 32?  supersedes 32?  group 32, epoch u64be?
 *	post_bodies: post -> the post, its claim and its readers, one behind the other
 *	post_authors: author 32 | ~time u64be | post 32 -> nothing
 *	post_replies: parent 32 | time u64be | post 32 -> nothing
 *	post_gone: post -> end of life, ms, u64be | author 32 | deletion
 */
#define POST_AUDIENCE_LEN   16u
#define POST_RECORD_LEN_MAX 220u
#define POST_ORDER_KEY_LEN  72u
#define POST_BODY_LEN_MAX   (POST_LEN_MAX + POST_CLAIM_LEN_MAX + VISIBILITY_LEN_MAX)
#define POST_GONE_HEAD_LEN  40u
#define POST_GONE_LEN_MAX   (POST_GONE_HEAD_LEN + POST_CLAIM_LEN_MAX)

/* A row of posts. Of view, id is the key; superseded_by is not in it. */
struct post_record {
	struct post_view view;
	enum fair_class class;
	struct addr source;
	uint8_t audience[POST_AUDIENCE_LEN]; /* names its set of readers: post_audience.c */
	bool has_supersedes;
	uint8_t supersedes[POST_ID_LEN];
};
void social_post_record_write(struct writer *w, const struct post_record *record);
/* social_post_record_parse: 0 or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int social_post_record_parse(const uint8_t id[static POST_ID_LEN], const void *bytes, size_t len,
			     struct post_record *out_record);
/* social_post_body_split: where the parts of a body are; WEFT_EDAMAGED: it has another length. */
WEFT_MUST_CHECK
int social_post_body_split(const struct post_record *record, const uint8_t *body, size_t len,
			   struct post_parts *out_parts);
static inline uint64_t social_post_len(const struct post_view *view)
{
	return (uint64_t)view->post_len + view->claim_len + view->visibility_len;
}

/* The keys that order posts of an author, and replies. */
struct post_order_key {
	uint8_t bytes[POST_ORDER_KEY_LEN];
};
void social_post_author_key(const uint8_t *author, uint64_t time_ms, const uint8_t *id,
			    struct post_order_key *out_key);
void social_post_reply_key(const uint8_t *parent, uint64_t time_ms, const uint8_t *id,
			   struct post_order_key *out_key);

#endif

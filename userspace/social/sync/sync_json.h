/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_SYNC_SYNC_JSON_H
#define WEFT_SOCIAL_SYNC_SYNC_JSON_H

#include <jansson.h>

#include "social/sync/sync.h"

/*
 * The messages of distsoc/sync/4 as JSON (docs/wire/social.md). Each is an object with one name, that of
 * the message:
 *
 *	{"Hello": {"post_ids": [id], "follows": [key]}}
 *	{"PostRequest": {"post_ids": [id]}}
 *	{"Posts": {"posts": [{"id", "post", "visibility", "claim", "signed_visibility"}]}}
 *
 * Ids, keys and signed objects are in hexadecimal. Pure, and thread-safe.
 */
#define SYNC_JSON_LEN_MAX   (1u << 20) /* of a message that comes */
#define SYNC_JSON_DEPTH_MAX 8u

enum sync_json_kind { SYNC_JSON_HELLO, SYNC_JSON_REQUEST, SYNC_JSON_POSTS, SYNC_JSON_KIND_CNT };
struct sync_json {
	enum sync_json_kind kind;
	json_t *root; /* the caller gives it back with json_decref */
	json_t *body; /* within it */
};
/* social_sync_json_parse: 0, WEFT_ETOOLARGE, WEFT_EMALFORMED or -ENOMEM. */
WEFT_MUST_CHECK
int social_sync_json_parse(const char *text, size_t len, struct sync_json *out_json);
/* social_sync_json_ids: the list of that name in body: how many, or WEFT_EMALFORMED; a missing one is empty. */
WEFT_MUST_CHECK
int social_sync_json_ids(const json_t *body, const char *name, uint8_t (*out)[32], unsigned cap);
/* social_sync_json_make wraps body, which is taken, as a message of kind. NULL: no memory. */
json_t *social_sync_json_make(enum sync_json_kind kind, json_t *body);
/* social_sync_json_posts_cut takes posts out of a message of them, for which is_out says so. */
void social_sync_json_posts_cut(json_t *root, bool (*is_out)(const void *ctx, const uint8_t *id),
				const void *ctx);
/* social_sync_json_id: a string. */
json_t *social_sync_json_id(const uint8_t id[static 32]);

/* A post that came; bytes are of the heap, for social_sync_json_post_free. */
struct sync_json_post {
	uint8_t id[POST_ID_LEN];
	uint8_t author[NODE_KEY_LEN];
	struct sync_bytes post, claim, visibility; /* without signatures the last two are empty */
};
/* social_sync_json_post_read: 0, WEFT_EMALFORMED, WEFT_EDAMAGED (another id) or -ENOMEM. */
WEFT_MUST_CHECK
int social_sync_json_post_read(const json_t *item, struct sync_json_post *out_post);
void social_sync_json_post_free(struct sync_json_post *post);
/* social_sync_json_post_write: NULL: no memory, or the bytes are no post. */
json_t *social_sync_json_post_write(const uint8_t id[static POST_ID_LEN],
				    const struct sync_copy *copy);

#endif

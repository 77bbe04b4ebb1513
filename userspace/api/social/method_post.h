/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_SOCIAL_METHOD_POST_H
#define WEFT_API_SOCIAL_METHOD_POST_H

#include "api/methods.h"
#include "social/attachments/attachments.h"
#include "social/read/social_read.h"
#include "social/write/social_write.h"

/* Shared by the methods of posts, feeds and direct messages. */

/* api_reader, api_writer: NULL: the social layer is off, and call was failed. */
struct social_read *api_reader(struct api *api, struct control_call *call);
struct social_write *api_writer(struct api *api, struct control_call *call);

/* api_social_post: texts are in blocks. */
struct api_social_post api_social_post(struct api *api, struct varlink_blocks *blocks,
				       const struct opened_post *opened);
/* api_post_name: as the person at this node calls the person of key, in blocks; "": not at all. */
const char *api_post_name(struct api *api, struct varlink_blocks *blocks, const uint8_t *key);

/*
 * api_post_id_read: the post that a call names by its id, the first 8 letters of one that is held, or a
 * link. api_post_person_read: a person by a key, a petname or a name, with or without an @. api_post_persona_read:
 * NULL is the node's own. false: call was failed.
 */
bool api_post_id_read(struct api *api, struct control_call *call, const char *name,
		      uint8_t out_id[static POST_ID_LEN]);
bool api_post_person_read(struct api *api, struct control_call *call, const char *name,
			  uint8_t out_key[static NODE_KEY_LEN]);
bool api_post_persona_read(struct api *api, struct control_call *call, const char *name,
			   unsigned *out_persona);
#define POST_LINK_PREFIX "/p/" /* /p/POST/AUTHOR */
/* A cursor is the time and the id of a post. api_post_cursor_read: false: call was failed. */
bool api_post_cursor_read(struct control_call *call, const char *text, struct post_cursor *out);
const char *api_post_cursor(struct varlink_blocks *blocks, const struct post_cursor *cursor);
/* api_post_limit_read: 50 where it is missing; false: call was failed. */
bool api_post_limit_read(struct control_call *call, bool has_limit, int64_t limit, unsigned *out);

/* api_post_open_fail fails a call about a post of that name, which does not open. */
void api_post_open_fail(struct control_call *call, int err, const char *name);
/* api_post_delivery: how a direct message of this node does for its readers; no rows of another post. */
void api_post_delivery(struct api *api, struct varlink_blocks *blocks,
		       const struct opened_post *opened, struct api_direct_delivery_list *rows);
/* api_post_fail fails a call about the post or the readers that what names. */
void api_post_fail(struct control_call *call, int err, const char *what);

/*
 * A call that waits until what it writes is durable: social_write's done with it as the argument. Then
 * the call is answered by reply, which gets the opened post, or failed.
 */
struct post_writing {
	struct post_writing *next;
	struct api *api;
	struct control_call *call; /* NULL: the caller left */
	const char *what;	   /* a literal, for a failure */
	void (*reply)(struct post_writing *writing, const uint8_t *id);
	uint8_t draft[16]; /* of PublishDraft */
};
/* api_post_writing_new: NULL: call was failed. api_post_writing_cancel: the call is the handler's to fail. */
struct post_writing *
api_post_writing_new(struct api *api, struct control_call *call, const char *what,
		     void (*reply)(struct post_writing *writing, const uint8_t *id));
void api_post_writing_cancel(struct post_writing *writing);
void api_post_written(void *arg, int err, const uint8_t *id);

/*
 * A call that waits until files are attachments: give goes on with it, if its caller is still there, and
 * with in as it was. api_post_attach copies *from, and fails its call where it cannot.
 */
struct post_attaching {
	struct api *api;
	struct control_call *call; /* NULL: the caller left */
	const struct varlink_type *type;
	const void *in; /* of that type; for the call of api_post_attach */
	json_t *parameters;
	void (*give)(struct post_attaching *attaching, const void *in,
		     const struct made_attachments *made);
};
void api_post_attach(const struct post_attaching *from, const struct api_string_list *paths,
		     bool is_public);

/* Readers, text and mentions that a call names, for a write_draft. */
struct post_words {
	const char *text;
	const char *const *people, *const *mentions;
	size_t person_cnt, mention_cnt;
	enum post_intent intent;
	const char *circle, *group, *persona, *reply_to, *token;
};
/* api_post_draft_fill: in blocks of call; false: call was failed. */
bool api_post_draft_fill(struct api *api, struct control_call *call, const struct post_words *words,
			 struct write_draft *out_draft);
/* api_post_mentions: those named, and the @NAME of text that are a person's; false: call was failed. */
bool api_post_mentions(struct api *api, struct control_call *call, const struct post_words *words,
		       struct write_draft *draft);

#endif

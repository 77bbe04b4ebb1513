/* SPDX-License-Identifier: Apache-2.0 */
#include "social/sync/sync_json.h"

#include <errno.h>
#include <stdlib.h>

#include "codec/json_heap.h"
#include "codec/text/hex.h"

static const char *const names[SYNC_JSON_KIND_CNT] = {"Hello", "PostRequest", "Posts"};

/* --- messages --- */

/* jansson goes as deep as a text says, on the stack. */
static bool is_shallow(const char *text, size_t len)
{
	unsigned depth = 0;
	bool is_string = false;

	for (size_t i = 0; i < len; i++) {
		if (is_string && text[i] == '\\') {
			i++; /* what it stands before ends no string */
		} else if (is_string) {
			is_string = text[i] != '"';
		} else if (text[i] == '"') {
			is_string = true;
		} else if (text[i] == '{' || text[i] == '[') {
			if (++depth > SYNC_JSON_DEPTH_MAX)
				return false;
		} else if ((text[i] == '}' || text[i] == ']') && depth) {
			depth--;
		}
	}
	return true;
}

int social_sync_json_parse(const char *text, size_t len, struct sync_json *out_json)
{
	json_t *root;
	int err;

	if (len > SYNC_JSON_LEN_MAX)
		return WEFT_ETOOLARGE;
	if (!is_shallow(text, len))
		return WEFT_EMALFORMED;
	if ((err = json_heap_load(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &root)) < 0)
		return err;
	for (unsigned kind = 0; json_object_size(root) == 1 && kind < SYNC_JSON_KIND_CNT; kind++) {
		json_t *body = json_object_get(root, names[kind]);

		if (!json_is_object(body))
			continue;
		*out_json = (struct sync_json){(enum sync_json_kind)kind, root, body};
		return 0;
	}
	json_decref(root);
	return WEFT_EMALFORMED;
}

static bool id_read(const json_t *text, void *out, size_t len)
{
	return json_is_string(text) && json_string_length(text) == 2 * len &&
	       hex_read(json_string_value(text), out, len);
}

int social_sync_json_ids(const json_t *body, const char *name, uint8_t (*out)[32], unsigned cap)
{
	const json_t *list = json_object_get(body, name);
	size_t cnt = json_array_size(list);

	if (list && (!json_is_array(list) || cnt > cap))
		return WEFT_EMALFORMED;
	for (size_t i = 0; i < cnt; i++)
		if (!id_read(json_array_get(list, i), out[i], sizeof(out[i])))
			return WEFT_EMALFORMED;
	return (int)cnt;
}

json_t *social_sync_json_make(enum sync_json_kind kind, json_t *body)
{
	json_t *root = json_object();

	if (!body || json_object_set_new(root, names[kind], body) < 0) {
		json_decref(root);
		return NULL;
	}
	return root;
}

void social_sync_json_posts_cut(json_t *root, bool (*is_out)(const void *ctx, const uint8_t *id),
				const void *ctx)
{
	json_t *posts = json_object_get(json_object_get(root, names[SYNC_JSON_POSTS]), "posts");
	uint8_t id[POST_ID_LEN];

	for (size_t i = json_array_size(posts); i-- > 0;)
		if (!id_read(json_object_get(json_array_get(posts, i), "id"), id, sizeof(id)) ||
		    is_out(ctx, id))
			(void)json_array_remove(posts, i);
}

static json_t *hex_text(const uint8_t *bytes, size_t len)
{
	char *text = malloc(2 * len + 1);
	json_t *made = text ? json_string_nocheck(hex_write(bytes, len, text)) : NULL;

	free(text);
	return made;
}

json_t *social_sync_json_id(const uint8_t id[static 32])
{
	char text[HEX_TEXT_CAP(32)];

	return json_string_nocheck(hex_write(id, 32, text));
}

/* --- a post that comes --- */

/* What the parts of a post point into, while it is written. */
struct draft {
	struct post post;
	uint8_t author[NODE_KEY_LEN], parent[POST_ID_LEN];
	uint8_t ids[POST_UNITS_MAX][POST_ID_LEN];
	unsigned id_cnt;
};

static bool attachment_read(struct draft *draft, const json_t *item)
{
	const json_t *size = json_object_get(item, "size"),
		     *type = json_object_get(item, "mime_type");
	struct post_attachment *to = &draft->post.attachments[draft->post.attachment_cnt];
	int cnt = social_sync_json_ids(item, "cids", draft->ids + draft->id_cnt,
				       POST_UNITS_MAX - draft->id_cnt);

	if (cnt <= 0 || draft->post.attachment_cnt == POST_ATTACHMENTS_MAX ||
	    !json_is_string(type) || !json_is_integer(size) || json_integer_value(size) < 0)
		return false;
	*to = (struct post_attachment){.ids = draft->ids[draft->id_cnt],
				       .ids_len = (size_t)cnt * POST_ID_LEN,
				       .type = json_string_value(type),
				       .type_len = json_string_length(type),
				       .size = (uint64_t)json_integer_value(size)};
	draft->id_cnt += (unsigned)cnt;
	draft->post.attachment_cnt++;
	return true;
}

static bool draft_read(struct draft *draft, const json_t *item)
{
	const json_t *content = json_object_get(item, "content");
	const json_t *time = json_object_get(item, "timestamp");
	const json_t *parent = json_object_get(item, "parent"), *attachment;
	struct post *post = &draft->post;
	size_t i;
	int cnt;

	if (!id_read(json_object_get(item, "author"), draft->author, sizeof(draft->author)) ||
	    !json_is_string(content) || !json_is_integer(time) || json_integer_value(time) < 0 ||
	    (parent && !id_read(parent, draft->parent, sizeof(draft->parent))))
		return false;
	json_array_foreach(json_object_get(item, "attachments"), i,
			   attachment) if (!attachment_read(draft, attachment)) return false;
	cnt = social_sync_json_ids(item, "mentions", post->mentions, POST_MENTIONS_MAX);
	if (cnt < 0)
		return false;
	post->mention_cnt = (unsigned)cnt;
	post->author = draft->author;
	post->time_ms = (uint64_t)json_integer_value(time);
	post->content = json_string_value(content);
	post->content_len = json_string_length(content);
	post->parent = parent ? draft->parent : NULL;
	return true;
}

/* The bytes of a signed object: 0 (also where there is none), WEFT_EMALFORMED or -ENOMEM. */
static int signed_read(const json_t *item, const char *name, struct sync_bytes *out)
{
	const json_t *text = json_object_get(item, name);
	size_t len = json_string_length(text) / 2;
	uint8_t *bytes;

	if (!text)
		return 0;
	if (!json_is_string(text) || len == 0 || len > POST_LEN_MAX)
		return WEFT_EMALFORMED;
	bytes = malloc(len);
	if (!bytes)
		return -ENOMEM;
	*out = (struct sync_bytes){bytes, len};
	return id_read(text, bytes, len) ? 0 : WEFT_EMALFORMED;
}

/* Bytes of the post that the JSON says; its id has to be theirs. */
static int post_make(const json_t *item, struct sync_json_post *out_post)
{
	struct draft *draft = calloc(1, sizeof(*draft));
	uint8_t *bytes = malloc(POST_LEN_MAX), id[POST_ID_LEN];
	struct writer w = writer_of(bytes, bytes ? POST_LEN_MAX : 0);
	int err = draft && bytes ? 0 : -ENOMEM;

	out_post->post.bytes = bytes;
	if (err == 0 && !draft_read(draft, json_object_get(item, "post")))
		err = WEFT_EMALFORMED;
	if (err == 0) {
		social_post_write(&w, &draft->post);
		memcpy(out_post->author, draft->author, sizeof(out_post->author));
		out_post->post.len = writer_len(&w);
		social_post_id(bytes, writer_len(&w), id);
		err = w.bad ? WEFT_EMALFORMED
			    : (memcmp(id, out_post->id, sizeof(id)) == 0 ? 0 : WEFT_EDAMAGED);
	}
	free(draft);
	return err;
}

int social_sync_json_post_read(const json_t *item, struct sync_json_post *out_post)
{
	int err;

	memset(out_post, 0, sizeof(*out_post));
	if (!id_read(json_object_get(item, "id"), out_post->id, sizeof(out_post->id)))
		return WEFT_EMALFORMED;
	if ((err = post_make(item, out_post)) < 0 ||
	    (err = signed_read(item, "claim", &out_post->claim)) < 0 ||
	    (err = signed_read(item, "signed_visibility", &out_post->visibility)) < 0)
		social_sync_json_post_free(out_post);
	return err;
}

void social_sync_json_post_free(struct sync_json_post *post)
{
	free((void *)(uintptr_t)post->post.bytes);
	free((void *)(uintptr_t)post->claim.bytes);
	free((void *)(uintptr_t)post->visibility.bytes);
	post->post.bytes = post->claim.bytes = post->visibility.bytes = NULL;
}

/* --- a post that goes --- */

static json_t *attachment_write(const struct post_attachment *attachment)
{
	json_t *cids = json_array();

	for (size_t at = 0; at < attachment->ids_len; at += POST_ID_LEN)
		json_array_append_new(cids, social_sync_json_id(attachment->ids + at));
	return json_pack("{s:o, s:s%, s:I}", "cids", cids, "mime_type", attachment->type,
			 attachment->type_len, "size", (json_int_t)attachment->size);
}

static json_t *post_write(const struct post *post)
{
	json_t *attachments = json_array(), *mentions = json_array(), *made;

	for (unsigned i = 0; i < post->attachment_cnt; i++)
		json_array_append_new(attachments, attachment_write(&post->attachments[i]));
	for (unsigned i = 0; i < post->mention_cnt; i++)
		json_array_append_new(mentions, social_sync_json_id(post->mentions[i]));
	made = json_pack("{s:o, s:I, s:s%, s:o}", "author", social_sync_json_id(post->author),
			 "timestamp", (json_int_t)post->time_ms, "content", post->content,
			 post->content_len, "attachments", attachments);
	if (post->parent)
		json_object_set_new(made, "parent", social_sync_json_id(post->parent));
	if (post->mention_cnt)
		json_object_set_new(made, "mentions", mentions);
	else
		json_decref(mentions);
	return made;
}

static json_t *visibility_write(const struct visibility *said)
{
	json_t *recipients;

	if (said->kind == VISIBILITY_PUBLIC)
		return json_string("Public");
	if (said->kind == VISIBILITY_GROUP)
		return json_pack("{s:{s:o, s:I, s:o, s:o}}", "Group", "group",
				 social_sync_json_id(said->group.group), "epoch",
				 (json_int_t)said->group.epoch, "key",
				 social_sync_json_id(said->group.key), "wrapped_cek",
				 hex_text(said->group.wrapped, sizeof(said->group.wrapped)));
	recipients = json_array();
	for (unsigned i = 0; i < said->recipient_cnt; i++)
		json_array_append_new(recipients,
				      json_pack("{s:o, s:o}", "recipient",
						social_sync_json_id(said->recipients[i].reader),
						"wrapped_cek",
						hex_text(said->recipients[i].wrapped,
							 sizeof(said->recipients[i].wrapped))));
	return json_pack("{s:{s:o}}", "Encrypted", "recipients", recipients);
}

json_t *social_sync_json_post_write(const uint8_t id[static POST_ID_LEN],
				    const struct sync_copy *copy)
{
	struct post *post = malloc(sizeof(*post));
	struct visibility *said = malloc(sizeof(*said));
	json_t *made = NULL;

	if (post && said && social_post_parse(copy->post.bytes, copy->post.len, post) == 0 &&
	    social_visibility_parse(copy->visibility.bytes, copy->visibility.len, said) == 0)
		made = json_pack("{s:o, s:o, s:o, s:o, s:o}", "id", social_sync_json_id(id), "post",
				 post_write(post), "visibility", visibility_write(said), "claim",
				 hex_text(copy->claim.bytes, copy->claim.len), "signed_visibility",
				 hex_text(copy->visibility.bytes, copy->visibility.len));
	free(post);
	free(said);
	return made;
}

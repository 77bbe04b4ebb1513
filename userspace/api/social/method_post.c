/* SPDX-License-Identifier: Apache-2.0 */
/* WritePost, EditPost, DeletePost, ShowThread, ExportPost, LinkPost, MarkPosts. */
#include "api/social/method_post.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/durable_reply.h"
#include "codec/text/hex.h"
#include "codec/text/zbase32.h"
#include "social/social.h"

/* --- failures --- */

void api_post_open_fail(struct control_call *call, int err, const char *name)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EABSENT, "this node has no such post",
		 "weft social sync NODE asks a node for what is new"},
		{WEFT_EREFUSED, "it is for other people: no key of this node opens it", NULL},
		{WEFT_EBUSY, "its readers are changing", "try again in a moment"},
		{WEFT_EDAMAGED, "its author sealed it wrongly, so it does not open", NULL},
		{WEFT_EMALFORMED, "its author sealed it wrongly, so it does not open", NULL},
		{0, NULL, "weft store check says whether the store is sound"},
	};

	control_fail_of(call, err, name, rows);
}

/* --- writing --- */

/* The post that was written, or why it does not open again; then call was failed. */
static bool written_open(struct post_writing *writing, const uint8_t *id,
			 struct opened_post **out_opened)
{
	int err = social_read_open(social_read_of(writing->api->social), id, out_opened);

	if (err < 0)
		api_post_fail(writing->call, err, writing->what);
	return err == 0;
}

static void write_reply(struct post_writing *writing, const uint8_t *id)
{
	struct varlink_blocks *blocks = control_blocks(writing->call);
	struct opened_post *opened;

	if (!written_open(writing, id, &opened))
		return;
	api_reply(writing->call, write_post, .post = api_social_post(writing->api, blocks, opened));
	social_opened_free(opened);
}

static enum post_intent intent_of(enum api_write_post_in_to to)
{
	switch (to) {
	case API_WRITE_POST_IN_TO_PUBLIC:
		return POST_TO_ALL;
	case API_WRITE_POST_IN_TO_CIRCLE:
		return POST_TO_CIRCLE;
	case API_WRITE_POST_IN_TO_PEOPLE:
		return POST_TO_PEOPLE;
	case API_WRITE_POST_IN_TO_GROUP:
		return POST_TO_GROUP;
	default:
		return POST_TO_FRIENDS;
	}
}

static void post_give(struct api *api, struct control_call *call,
		      const struct api_write_post_in *in, const struct made_attachments *made)
{
	const struct post_words words = {
		.text = in->text,
		.people = (const char *const *)in->people.rows,
		.person_cnt = in->people.cnt,
		.mentions = (const char *const *)in->mentions.rows,
		.mention_cnt = in->mentions.cnt,
		.intent = intent_of(in->to),
		.circle = in->circle,
		.group = in->group,
		.persona = in->persona,
		.reply_to = in->reply_to,
		.token = in->token,
	};
	struct social_write *write = social_write_of(api->social);
	struct post_writing *writing;
	struct write_draft draft;
	int err;

	if (!api_post_draft_fill(api, call, &words, &draft) ||
	    !(writing = api_post_writing_new(api, call, "post", write_reply)))
		return;
	draft.done = api_post_written;
	draft.arg = writing;
	draft.attachments = made->rows;
	draft.attachment_cnt = made->cnt;
	draft.content_key = made->content_key;
	if ((err = social_write_post(write, &draft, api->home->now_ns)) < 0) {
		api_post_writing_cancel(writing);
		api_post_fail(call, err, "post");
	}
}

static void write_attached(struct post_attaching *attaching, const void *in,
			   const struct made_attachments *made)
{
	post_give(attaching->api, attaching->call, in, made);
}

void api_write_post(struct api *api, struct control_call *call, const struct api_write_post_in *in,
		    uint64_t now_ns)
{
	static const struct made_attachments none = {.cnt = 0};
	const struct post_attaching attaching = {
		.api = api,
		.call = call,
		.type = &api_write_post_in_type,
		.in = in,
		.give = write_attached,
	};

	(void)now_ns;
	if (!api_writer(api, call))
		return;
	if (in->has_attachments && in->attachments.cnt)
		api_post_attach(&attaching, &in->attachments,
				in->to == API_WRITE_POST_IN_TO_PUBLIC);
	else
		post_give(api, call, in, &none);
}

static void edit_reply(struct post_writing *writing, const uint8_t *id)
{
	struct varlink_blocks *blocks = control_blocks(writing->call);
	struct opened_post *opened;

	if (!written_open(writing, id, &opened))
		return;
	api_reply(writing->call, edit_post, .post = api_social_post(writing->api, blocks, opened));
	social_opened_free(opened);
}

static void edit_give(struct api *api, struct control_call *call, const struct api_edit_post_in *in,
		      const struct made_attachments *made)
{
	const struct post_words words = {
		.text = in->text,
		.mentions = (const char *const *)in->mentions.rows,
		.mention_cnt = in->mentions.cnt,
	};
	struct write_draft named = {.intent = POST_TO_ALL};
	struct post_writing *writing;
	uint8_t id[POST_ID_LEN];
	struct write_edit edit;
	int err;

	if (!api_post_id_read(api, call, in->post, id) ||
	    !api_post_mentions(api, call, &words, &named) ||
	    !(writing = api_post_writing_new(api, call, "post", edit_reply)))
		return;
	edit = (struct write_edit){
		.id = id,
		.text = in->text,
		.text_len = strlen(in->text),
		.mentions = named.mentions,
		.mention_cnt = named.mention_cnt,
		.has_attachments = in->has_attachments,
		.attachments = made->rows,
		.attachment_cnt = made->cnt,
		.content_key = made->content_key,
		.done = api_post_written,
		.arg = writing,
	};
	if ((err = social_write_edit(social_write_of(api->social), &edit, api->home->now_ns)) < 0) {
		api_post_writing_cancel(writing);
		api_post_fail(call, err, in->post);
	}
}

static void edit_attached(struct post_attaching *attaching, const void *in,
			  const struct made_attachments *made)
{
	edit_give(attaching->api, attaching->call, in, made);
}

void api_edit_post(struct api *api, struct control_call *call, const struct api_edit_post_in *in,
		   uint64_t now_ns)
{
	static const struct made_attachments none = {.cnt = 0};
	const struct post_attaching attaching = {
		.api = api,
		.call = call,
		.type = &api_edit_post_in_type,
		.in = in,
		.give = edit_attached,
	};
	uint8_t id[POST_ID_LEN];
	struct post_view view;
	int err;

	(void)now_ns;
	if (!api_writer(api, call) || !api_post_id_read(api, call, in->post, id))
		return;
	if ((err = social_posts_look(social_posts_of(api->social), id, &view)) < 0)
		api_post_open_fail(call, err, in->post);
	else if (in->has_attachments && in->attachments.cnt)
		api_post_attach(&attaching, &in->attachments, view.kind == VISIBILITY_PUBLIC);
	else
		edit_give(api, call, in, &none);
}

static void delete_reply(struct post_writing *writing, const uint8_t *id)
{
	api_reply(writing->call, delete_post, .post_id = api_id(control_blocks(writing->call), id));
}

void api_delete_post(struct api *api, struct control_call *call,
		     const struct api_delete_post_in *in, uint64_t now_ns)
{
	struct social_write *write = api_writer(api, call);
	struct write_delete deletion = {.done = api_post_written};
	struct post_writing *writing;
	uint8_t id[POST_ID_LEN];
	int err;

	if (!write || !api_post_id_read(api, call, in->post, id) ||
	    !(writing = api_post_writing_new(api, call, "post", delete_reply)))
		return;
	deletion.id = id;
	deletion.arg = writing;
	if ((err = social_write_delete(write, &deletion, now_ns)) < 0) {
		api_post_writing_cancel(writing);
		api_post_fail(call, err, in->post);
	}
}

/* --- threads --- */

/* A reply of the control socket has 1 MiB at most. */
#define PAGE_LEN_MAX (640u * 1024)

struct thread_listing {
	struct api *api;
	struct varlink_blocks *blocks;
	struct api_thread_post_list posts;
	size_t len;
};

static bool thread_add(void *arg, const struct opened_post *opened, unsigned depth)
{
	struct thread_listing *listing = arg;

	varlink_push(listing->blocks, &listing->posts,
		     {depth, api_social_post(listing->api, listing->blocks, opened)});
	listing->len += 2 * opened->text_len + 512;
	return listing->len < PAGE_LEN_MAX;
}

void api_show_thread(struct api *api, struct control_call *call,
		     const struct api_show_thread_in *in, uint64_t now_ns)
{
	struct social_read *read = api_reader(api, call);
	struct thread_listing listing = {.api = api, .blocks = control_blocks(call)};
	uint8_t id[POST_ID_LEN];
	int err;

	(void)now_ns;
	if (!read || !api_post_id_read(api, call, in->post, id))
		return;
	if ((err = social_thread_each(read, id, thread_add, &listing)) < 0)
		api_post_open_fail(call, err, in->post);
	else
		api_reply(call, show_thread, .posts = listing.posts);
}

/* --- for other programs --- */

static const char *hex_of(struct varlink_blocks *blocks, const uint8_t *bytes, size_t len)
{
	char *text = varlink_alloc(blocks, 2 * len + 1);

	return text ? hex_write(bytes, len, text) : NULL;
}

static int deletion_export(struct api *api, struct varlink_blocks *blocks, const uint8_t *id,
			   struct api_export_post_out *out)
{
	uint8_t bytes[POST_CLAIM_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	int err = social_posts_deletion(social_posts_of(api->social), id, &w);

	if (err == 0)
		out->deletion = hex_of(blocks, bytes, writer_len(&w));
	return err;
}

void api_export_post(struct api *api, struct control_call *call,
		     const struct api_export_post_in *in, uint64_t now_ns)
{
	struct social_read *read = api_reader(api, call);
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_export_post_out out = {0};
	struct post_copy *copy;
	uint8_t id[POST_ID_LEN];
	int err;

	(void)now_ns;
	if (!read || !api_post_id_read(api, call, in->post, id))
		return;
	out.post_id = api_id(blocks, id);
	err = social_posts_read(social_posts_of(api->social), id, &copy);
	if (err == WEFT_EABSENT) {
		err = deletion_export(api, blocks, id, &out);
	} else if (err == 0) {
		out.post = hex_of(blocks, copy->parts.post, copy->parts.post_len);
		out.claim = hex_of(blocks, copy->parts.claim, copy->parts.claim_len);
		out.visibility = hex_of(blocks, copy->parts.visibility, copy->parts.visibility_len);
		social_post_copy_free(copy);
	}
	if (err < 0)
		api_post_open_fail(call, err, in->post);
	else
		control_reply(call, api_export_post_out_write(&out));
}

void api_link_post(struct api *api, struct control_call *call, const struct api_link_post_in *in,
		   uint64_t now_ns)
{
	struct social_read *read = api_reader(api, call);
	struct varlink_blocks *blocks = control_blocks(call);
	struct post_view view;
	uint8_t id[POST_ID_LEN];
	int err;

	(void)now_ns;
	if (!read || !api_post_id_read(api, call, in->post, id))
		return;
	if ((err = social_posts_look(social_posts_of(api->social), id, &view)) < 0)
		api_post_open_fail(call, err, in->post);
	else
		api_reply(call, link_post,
			  .link = varlink_format(blocks, POST_LINK_PREFIX "%s/%s",
						 api_id(blocks, id), api_id(blocks, view.author)));
}

/* --- marks --- */

/* Marks are kept in the order in which they are made, so the last one that is durable answers for all. */
void api_mark_posts(struct api *api, struct control_call *call, const struct api_mark_posts_in *in,
		    uint64_t now_ns)
{
	struct social_read *read = api_reader(api, call);
	struct post_change_done done = {NULL, NULL};
	struct api_durable_reply *waiting;
	uint8_t id[POST_ID_LEN];
	json_t *reply;
	int err = 0;

	if (!read)
		return;
	reply = api_mark_posts_out_write(
		&(struct api_mark_posts_out){.marked = (int64_t)in->posts.cnt});
	if (!in->posts.cnt) {
		control_reply(call, reply);
		return;
	}
	waiting = api_durable_reply_new(call, "mark", "try again", reply);
	if (!waiting)
		return;
	for (size_t i = 0; i < in->posts.cnt && err == 0; i++) {
		if (!api_post_id_read(api, call, in->posts.rows[i], id)) {
			api_durable_reply_cancel(waiting);
			return;
		}
		if (i + 1 == in->posts.cnt)
			done = (struct post_change_done){api_durable_reply_send, waiting};
		err = social_read_mark(read, id, in->read, done, now_ns);
	}
	if (err < 0) {
		api_durable_reply_cancel(waiting);
		api_post_open_fail(call, err, "post");
	}
}

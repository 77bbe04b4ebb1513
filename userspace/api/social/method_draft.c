/* SPDX-License-Identifier: Apache-2.0 */
/* SaveDraft, ListDrafts, DropDraft, PublishDraft. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/durable_reply.h"
#include "api/social/method_post.h"
#include "codec/text/hex.h"
#include "codec/text/zbase32.h"
#include "social/people/personas.h"
#include "social/social.h"
#include "social/write/post_drafts.h"

#define DRAFT_TEXT_CAP (ZBASE32_TEXT_LEN(DRAFT_ID_LEN) + 1)

static void draft_fail(struct control_call *call, int err, const char *name)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EABSENT, "there is no such draft", "weft post drafts lists them"},
		{WEFT_EFULL, "there are 1024 drafts, as many as may be", "weft post drop DRAFT"},
		{WEFT_ETOOLARGE, "a draft has 256 KiB at most", "shorten it"},
		{WEFT_EMALFORMED, "it is not UTF-8, or a draft is named by 26 letters", NULL},
		{0, NULL, "see that the state directory can be written, and try again"},
	};

	control_fail_of(call, err, name, rows);
}

static bool draft_id_read(struct control_call *call, const char *name,
			  uint8_t id[static DRAFT_ID_LEN])
{
	if (zbase32_parse(name, strlen(name), id, DRAFT_ID_LEN) == (int)DRAFT_ID_LEN)
		return true;
	draft_fail(call, WEFT_EMALFORMED, name);
	return false;
}

/* --- keeping --- */

/* The readers as they were typed, each on a line. */
static const char *lines_of(struct varlink_blocks *blocks, const struct api_string_list *names)
{
	size_t len = 1;
	char *text;

	for (size_t i = 0; i < names->cnt; i++)
		len += strlen(names->rows[i]) + 1;
	if (!(text = varlink_alloc(blocks, len)))
		return NULL;
	for (size_t i = 0; i < names->cnt; i++) {
		strcat(text, names->rows[i]);
		strcat(text, "\n");
	}
	return text;
}

static const enum post_intent intents[] = {
	[API_SAVE_DRAFT_IN_TO_PUBLIC] = POST_TO_ALL,
	[API_SAVE_DRAFT_IN_TO_FRIENDS] = POST_TO_FRIENDS,
	[API_SAVE_DRAFT_IN_TO_CIRCLE] = POST_TO_CIRCLE,
	[API_SAVE_DRAFT_IN_TO_PEOPLE] = POST_TO_PEOPLE,
	[API_SAVE_DRAFT_IN_TO_GROUP] = POST_TO_GROUP,
};

/* What its call names of a draft beside its text; false: call was failed. */
struct draft_names {
	uint8_t id[DRAFT_ID_LEN], group[32], parent[POST_ID_LEN];
};
static bool draft_fill(struct api *api, struct control_call *call,
		       const struct api_save_draft_in *in, struct draft_names *names,
		       struct stored_draft *out_draft)
{
	unsigned persona;

	if (!api_post_persona_read(api, call, in->persona, &persona) ||
	    (in->draft && !draft_id_read(call, in->draft, names->id)) ||
	    (in->reply_to && !api_post_id_read(api, call, in->reply_to, names->parent)))
		return false;
	if (in->group && zbase32_parse(in->group, strlen(in->group), names->group, 32) != 32) {
		control_fail(call, WEFT_EMALFORMED, "group",
			     "a group is named by the 52 letters of its id",
			     "weft group list shows them");
		return false;
	}
	*out_draft = (struct stored_draft){
		.id = in->draft ? names->id : NULL,
		.text = in->text,
		.text_len = strlen(in->text),
		.changed_ms = api->wall_us(api->ctx) / 1000,
		.intent = intents[in->to],
		.persona = node_key_public(social_persona(social_people(api->social), persona)),
		.circle = in->circle,
		.circle_len = in->circle ? strlen(in->circle) : 0,
		.group = in->group ? names->group : NULL,
		.names = lines_of(control_blocks(call), &in->people),
		.parent = in->reply_to ? names->parent : NULL,
	};
	out_draft->names_len = out_draft->names ? strlen(out_draft->names) : 0;
	if (!out_draft->names_len)
		out_draft->names = NULL;
	return true;
}

/* The id is known when the row is on its way, and the reply is sent when it is durable. */
struct draft_saving {
	struct control_call *call;
	char id[DRAFT_TEXT_CAP];
};

static void saving_done(void *arg, int err)
{
	struct draft_saving *saving = arg;

	if (saving->call && err < 0)
		draft_fail(saving->call, err, "draft");
	else if (saving->call)
		api_reply(saving->call, save_draft, .draft_id = saving->id);
	free(saving);
}

void api_save_draft(struct api *api, struct control_call *call, const struct api_save_draft_in *in,
		    uint64_t now_ns)
{
	struct social_write *write = api_writer(api, call);
	struct draft_saving *saving;
	struct draft_names names;
	struct stored_draft draft;
	uint8_t id[DRAFT_ID_LEN];
	int err;

	(void)now_ns;
	if (!write || !draft_fill(api, call, in, &names, &draft))
		return;
	if (!(saving = calloc(1, sizeof(*saving)))) {
		draft_fail(call, -ENOMEM, "draft");
		return;
	}
	err = social_drafts_put(write, &draft, (struct post_change_done){saving_done, saving}, id);
	if (err < 0) {
		free(saving);
		draft_fail(call, err, in->draft ? in->draft : "draft");
		return;
	}
	zbase32_write(id, sizeof(id), saving->id);
	control_hold(call, &saving->call);
	saving->call = call;
}

/* --- listing --- */

struct draft_listing {
	struct varlink_blocks *blocks;
	struct api_social_draft_list drafts;
};

static const char *const intent_words[] = {
	[POST_TO_ALL] = "public",    [POST_TO_FRIENDS] = "friends", [POST_TO_CIRCLE] = "circle",
	[POST_TO_PEOPLE] = "people", [POST_TO_GROUP] = "group",
};

static const char *span_text(struct varlink_blocks *blocks, const char *text, size_t len)
{
	return text ? varlink_format(blocks, "%.*s", (int)len, text) : NULL;
}

static void lines_push(struct varlink_blocks *blocks, const struct stored_draft *draft,
		       struct api_string_list *out)
{
	const char *at = draft->names, *end = at ? at + draft->names_len : at;

	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		if (!stop)
			stop = end;
		varlink_push(blocks, out, span_text(blocks, at, (size_t)(stop - at)));
		at = stop + 1;
	}
}

static struct api_social_draft draft_row(struct varlink_blocks *blocks,
					 const struct stored_draft *draft)
{
	char id[DRAFT_TEXT_CAP];
	struct api_social_draft row = {
		.draft_id = varlink_text(blocks, zbase32_write(draft->id, DRAFT_ID_LEN, id)),
		.changed_s = api_uint(draft->changed_ms / 1000),
		.to = intent_words[draft->intent],
		.circle = span_text(blocks, draft->circle, draft->circle_len),
		.group = draft->group ? api_id(blocks, draft->group) : NULL,
		.persona = api_id(blocks, draft->persona),
		.reply_to = draft->parent ? api_id(blocks, draft->parent) : NULL,
		.text = span_text(blocks, draft->text, draft->text_len),
	};

	lines_push(blocks, draft, &row.people);
	return row;
}

static bool draft_add(void *arg, const struct stored_draft *draft)
{
	struct draft_listing *listing = arg;

	varlink_push(listing->blocks, &listing->drafts, draft_row(listing->blocks, draft));
	return true;
}

void api_list_drafts(struct api *api, struct control_call *call,
		     const struct api_list_drafts_in *in, uint64_t now_ns)
{
	struct social_write *write = api_writer(api, call);
	struct draft_listing listing = {.blocks = control_blocks(call)};
	int err;

	(void)in, (void)now_ns;
	if (!write)
		return;
	if ((err = social_drafts_each(write, draft_add, &listing)) < 0)
		draft_fail(call, err, "drafts");
	else
		api_reply(call, list_drafts, .drafts = listing.drafts);
}

void api_drop_draft(struct api *api, struct control_call *call, const struct api_drop_draft_in *in,
		    uint64_t now_ns)
{
	struct social_write *write = api_writer(api, call);
	struct api_durable_reply *waiting;
	uint8_t id[DRAFT_ID_LEN];
	int err;

	(void)now_ns;
	if (!write || !draft_id_read(call, in->draft, id) ||
	    !(waiting = api_durable_reply_new(call, "draft", "weft post drop DRAFT", NULL)))
		return;
	err = social_drafts_drop(write, id,
				 (struct post_change_done){api_durable_reply_send, waiting});
	if (err < 0) {
		api_durable_reply_cancel(waiting);
		draft_fail(call, err, in->draft);
	}
}

/* --- publishing --- */

struct draft_find {
	struct varlink_blocks *blocks;
	uint8_t id[DRAFT_ID_LEN];
	struct api_social_draft row;
	enum post_intent intent;
	bool is_found;
};

static bool draft_look(void *arg, const struct stored_draft *draft)
{
	struct draft_find *find = arg;

	if (memcmp(draft->id, find->id, DRAFT_ID_LEN) != 0)
		return true;
	find->is_found = true;
	find->intent = draft->intent;
	find->row = draft_row(find->blocks, draft);
	return false;
}

/* The answer comes when the draft is gone. If it stays, its id is the token of the post: there is no second. */
static void publish_reply(struct post_writing *writing, const uint8_t *id)
{
	struct api *api = writing->api;
	struct varlink_blocks *blocks = control_blocks(writing->call);
	struct api_publish_draft_out out;
	struct api_durable_reply *waiting;
	struct opened_post *opened;
	int err = social_read_open(social_read_of(api->social), id, &opened);

	if (err < 0) {
		api_post_fail(writing->call, err, writing->what);
		return;
	}
	out.post = api_social_post(api, blocks, opened);
	social_opened_free(opened);
	waiting = api_durable_reply_new(writing->call, "draft", "weft post drop DRAFT",
					api_publish_draft_out_write(&out));
	if (!waiting)
		return;
	err = social_drafts_drop(social_write_of(api->social), writing->draft,
				 (struct post_change_done){api_durable_reply_send, waiting});
	if (err < 0) {
		api_durable_reply_cancel(waiting);
		draft_fail(writing->call, err, "draft");
	}
}

static void draft_publish(struct api *api, struct control_call *call, const struct draft_find *find,
			  uint64_t now_ns)
{
	char token[8 + 2 * DRAFT_ID_LEN + 1] = "draft:";
	const struct post_words words = {
		.text = find->row.text,
		.people = (const char *const *)find->row.people.rows,
		.person_cnt = find->row.people.cnt,
		.intent = find->intent,
		.circle = find->row.circle,
		.group = find->row.group,
		.persona = find->row.persona,
		.reply_to = find->row.reply_to,
		.token = token,
	};
	struct post_writing *writing;
	struct write_draft draft;
	int err;

	hex_write(find->id, DRAFT_ID_LEN, token + strlen(token));
	if (!api_post_draft_fill(api, call, &words, &draft) ||
	    !(writing = api_post_writing_new(api, call, "post", publish_reply)))
		return;
	memcpy(writing->draft, find->id, DRAFT_ID_LEN);
	draft.done = api_post_written;
	draft.arg = writing;
	if ((err = social_write_post(social_write_of(api->social), &draft, now_ns)) < 0) {
		api_post_writing_cancel(writing);
		api_post_fail(call, err, "post");
	}
}

void api_publish_draft(struct api *api, struct control_call *call,
		       const struct api_publish_draft_in *in, uint64_t now_ns)
{
	struct social_write *write = api_writer(api, call);
	struct draft_find find = {.blocks = control_blocks(call)};
	int err;

	if (!write || !draft_id_read(call, in->draft, find.id))
		return;
	err = social_drafts_each(write, draft_look, &find);
	if (err < 0 || !find.is_found)
		draft_fail(call, err < 0 ? err : WEFT_EABSENT, in->draft);
	else
		draft_publish(api, call, &find, now_ns);
}

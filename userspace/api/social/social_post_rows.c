/* SPDX-License-Identifier: Apache-2.0 */
/* Posts as methods show them, and the words by which methods name posts and people. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/social/method_post.h"
#include "codec/text/hex.h"
#include "codec/text/zbase32.h"
#include "social/object/attachment_head.h"
#include "social/people/personas.h"
#include "social/social.h"

/* --- the layer --- */

static bool is_on(struct api *api, struct control_call *call)
{
	if (!api->social)
		control_fail(call, WEFT_EREFUSED, "social", "it is switched off",
			     "set social.enabled = yes in weft.conf and start weftd again");
	return api->social != NULL;
}

struct social_read *api_reader(struct api *api, struct control_call *call)
{
	return is_on(api, call) ? social_read_of(api->social) : NULL;
}

struct social_write *api_writer(struct api *api, struct control_call *call)
{
	return is_on(api, call) ? social_write_of(api->social) : NULL;
}

/* --- rows --- */

const char *api_post_name(struct api *api, struct varlink_blocks *blocks, const uint8_t *key)
{
	return varlink_text(blocks, social_read_called(social_read_of(api->social), key));
}

static void public_describe(struct varlink_blocks *blocks, const struct post_attachment *from,
			    struct api_post_attachment *row)
{
	struct attachment_head head;

	social_attachment_type_parse(from->type, from->type_len, &head);
	row->type = varlink_text(blocks, head.type);
	row->name = head.name[0] ? varlink_text(blocks, head.name) : NULL;
	API_SET(row, size, api_uint(from->size));
}

static void attachments_add(struct varlink_blocks *blocks, const struct opened_post *opened,
			    struct api_post_attachment_list *rows)
{
	bool is_public = opened->view.kind == VISIBILITY_PUBLIC;

	for (unsigned i = 0; i < opened->post.attachment_cnt; i++) {
		const struct post_attachment *attachment = &opened->post.attachments[i];
		struct api_post_attachment row = {
			.index = i,
			.units = (int64_t)(attachment->ids_len / POST_ID_LEN),
		};

		if (is_public)
			public_describe(blocks, attachment, &row);
		varlink_push(blocks, rows, row);
	}
}

static enum api_social_post_audience audience_of(enum visibility_kind kind)
{
	switch (kind) {
	case VISIBILITY_PUBLIC:
		return API_SOCIAL_POST_AUDIENCE_PUBLIC;
	case VISIBILITY_GROUP:
		return API_SOCIAL_POST_AUDIENCE_GROUP;
	default:
		return API_SOCIAL_POST_AUDIENCE_PEOPLE;
	}
}

/* A text in JSON has no NUL: one that was typed is shown as the replacement character. */
static const char *text_of(struct varlink_blocks *blocks, const struct opened_post *opened)
{
	size_t nul_cnt = 0, at = 0;
	char *text;

	for (size_t i = 0; i < opened->text_len; i++)
		nul_cnt += opened->text[i] == '\0';
	if (!(text = varlink_alloc(blocks, opened->text_len + 2 * nul_cnt + 1)))
		return NULL;
	for (size_t i = 0; i < opened->text_len; i++) {
		if (opened->text[i]) {
			text[at++] = opened->text[i];
			continue;
		}
		memcpy(text + at, "\xef\xbf\xbd", 3);
		at += 3;
	}
	return text;
}

struct api_social_post api_social_post(struct api *api, struct varlink_blocks *blocks,
				       const struct opened_post *opened)
{
	const struct post_view *view = &opened->view;
	struct api_social_post row = {
		.post_id = api_id(blocks, view->id),
		.author = api_id(blocks, view->author),
		.author_name = api_post_name(api, blocks, view->author),
		.time_ms = api_uint(view->time_ms),
		.time_s = api_uint(view->time_ms / 1000),
		.audience = audience_of(view->kind),
		.group = view->kind == VISIBILITY_GROUP ? api_id(blocks, view->group) : NULL,
		.own = opened->is_own,
		.unread = opened->is_unread,
		.edited = opened->is_edited,
		.mention = (view->flags & POST_MENTIONS_ME) != 0,
		.direct = opened->is != PRIVATE_POST,
		.reply_to = opened->post.parent ? api_id(blocks, opened->post.parent) : NULL,
		.text = text_of(blocks, opened),
	};

	for (unsigned i = 0; i < opened->post.mention_cnt; i++)
		varlink_push(blocks, &row.mentions, api_id(blocks, opened->post.mentions[i]));
	attachments_add(blocks, opened, &row.attachments);
	return row;
}

/* --- delivery --- */

static const char *anchors_text(struct api *api, struct varlink_blocks *blocks,
				const struct mail_view *view)
{
	const char *text = "";

	for (unsigned i = 0; i < view->anchor_cnt; i++) {
		const char *name = api_post_name(api, blocks, view->anchors[i]);
		char key[ZBASE32_KEY_TEXT_CAP];

		if (!name || !*name)
			name = varlink_format(blocks, "%.8s",
					      zbase32_write(view->anchors[i], 32, key));
		text = varlink_format(blocks, "%s%s%s", text, *text ? ", " : "", name);
	}
	return text;
}

static void delivery_add(struct api *api, struct varlink_blocks *blocks, const uint8_t *post,
			 const uint8_t *person, struct api_direct_delivery_list *rows)
{
	static const enum api_direct_delivery_state states[] = {
		[MAIL_GIVEN] = API_DIRECT_DELIVERY_STATE_GIVEN,
		[MAIL_LEFT] = API_DIRECT_DELIVERY_STATE_LEFT,
		[MAIL_WAITS] = API_DIRECT_DELIVERY_STATE_WAITS,
	};
	struct api_direct_delivery row = {.person = api_id(blocks, person)};
	struct mail_view view;

	social_mail_look(social_mail_of(api->social), post, person, &view);
	row.state = states[view.state];
	row.at = anchors_text(api, blocks, &view);
	row.why = view.state == MAIL_WAITS ? view.why : NULL;
	for (unsigned i = 0; i < view.anchor_cnt; i++)
		varlink_push(blocks, &row.anchors, api_id(blocks, view.anchors[i]));
	varlink_push(blocks, rows, row);
}

void api_post_delivery(struct api *api, struct varlink_blocks *blocks,
		       const struct opened_post *opened, struct api_direct_delivery_list *rows)
{
	const struct people *people = social_people(api->social);
	struct visibility *visibility;

	if (!opened->is_own || opened->is == PRIVATE_POST ||
	    social_read_visibility(opened, &visibility) < 0)
		return;
	for (unsigned i = 0; i < visibility->recipient_cnt; i++)
		if (!social_own_key(people, visibility->recipients[i].reader))
			delivery_add(api, blocks, opened->view.id, visibility->recipients[i].reader,
				     rows);
	free(visibility);
}

/* --- naming a post --- */

#define PREFIX_LETTERS_MIN 8u
#define PREFIX_LEN	   5u /* bytes of eight letters */

/* The one post that is held whose id begins so: 0, WEFT_EABSENT or WEFT_EEXISTS. */
static int prefix_find(struct post_store *posts, const char *name, uint8_t *out_id)
{
	const struct post_index *index = social_posts_index(posts);
	struct post_place place = social_index_end(index);
	char text[ZBASE32_KEY_TEXT_CAP];
	uint8_t first[PREFIX_LEN];
	const struct post_row *row;
	unsigned found_cnt = 0;

	if (zbase32_parse(name, PREFIX_LETTERS_MIN, first, sizeof(first)) != PREFIX_LEN)
		return WEFT_EMALFORMED;
	while ((row = social_index_prev(index, &place)) && found_cnt < 2) {
		if (memcmp(row->id, first, sizeof(first)) != 0 ||
		    strncasecmp(zbase32_write(row->id, POST_ID_LEN, text), name, strlen(name)) != 0)
			continue;
		memcpy(out_id, row->id, POST_ID_LEN);
		found_cnt++;
	}
	return found_cnt == 1 ? 0 : found_cnt ? WEFT_EEXISTS : WEFT_EABSENT;
}

static int post_find(struct api *api, const char *name, uint8_t *out_id)
{
	size_t len = strlen(name);
	const char *at = strstr(name, POST_LINK_PREFIX);

	/* Of a link the id is enough: the author is for a node that has it not. */
	if (at) {
		name = at + strlen(POST_LINK_PREFIX);
		len = strcspn(name, "/");
	}
	if (len == ZBASE32_TEXT_LEN(POST_ID_LEN) &&
	    zbase32_parse(name, len, out_id, POST_ID_LEN) == POST_ID_LEN)
		return 0;
	/* The objects of a post name it in hex. */
	if (len == 2 * POST_ID_LEN && hex_read(name, out_id, POST_ID_LEN))
		return 0;
	if (len < PREFIX_LETTERS_MIN || len > ZBASE32_TEXT_LEN(POST_ID_LEN))
		return WEFT_EMALFORMED;
	return prefix_find(social_posts_of(api->social), name, out_id);
}

bool api_post_id_read(struct api *api, struct control_call *call, const char *name,
		      uint8_t out_id[static POST_ID_LEN])
{
	static const struct control_failure_row rows[] = {
		{WEFT_EABSENT, "this node has no such post",
		 "weft social sync NODE asks a node for what is new"},
		{WEFT_EEXISTS, "several posts begin so", "give more letters"},
		{0, "a post is named by the 52 letters of its id, or the first 8 and more",
		 "copy it from weft feed"},
	};
	int err = post_find(api, name, out_id);

	if (err < 0)
		control_fail_of(call, err, name, rows);
	return err == 0;
}

/* --- naming people --- */

bool api_post_person_read(struct api *api, struct control_call *call, const char *name,
			  uint8_t out_key[static NODE_KEY_LEN])
{
	static const struct control_failure_row rows[] = {
		{WEFT_EEXISTS, "several people are called so",
		 "name the one that is meant by its key"},
		{0, "no person that is followed is called so",
		 "give a key of 52 letters, or follow the person first: weft follow add NODE"},
	};
	int err = social_read_name(social_read_of(api->social), name, strlen(name), out_key);

	if (err < 0)
		control_fail_of(call, err, name, rows);
	return err == 0;
}

bool api_post_persona_read(struct api *api, struct control_call *call, const char *name,
			   unsigned *out_persona)
{
	struct people *people = social_people(api->social);
	unsigned persona = SOCIAL_PERSONA_NONE;
	uint8_t key[NODE_KEY_LEN];

	if (!name) {
		*out_persona = 0;
		return true;
	}
	if (zbase32_parse(name, strlen(name), key, sizeof(key)) == NODE_KEY_LEN)
		persona = social_persona_of(people, key);
	for (unsigned i = 0; persona == SOCIAL_PERSONA_NONE && i < social_persona_cnt(people);
	     i++) {
		struct persona_view view;
		char number[16];

		social_persona_view(people, i, &view);
		snprintf(number, sizeof(number), "%u", view.number);
		if (strcmp(number, name) == 0 || (view.label && strcmp(view.label, name) == 0))
			persona = i;
	}
	if (persona == SOCIAL_PERSONA_NONE)
		control_fail(call, WEFT_EABSENT, name, "this node has no such persona",
			     "name one by its key, its label or its number");
	*out_persona = persona;
	return persona != SOCIAL_PERSONA_NONE;
}

/* --- pages --- */

bool api_post_cursor_read(struct control_call *call, const char *text, struct post_cursor *out)
{
	char *end;

	if (*text >= '0' && *text <= '9') {
		out->time_ms = strtoull(text, &end, 10);
		if (*end == '.' &&
		    zbase32_parse(end + 1, strlen(end + 1), out->id, POST_ID_LEN) == POST_ID_LEN)
			return true;
	}
	control_fail(call, WEFT_EMALFORMED, "cursor", "it is not that of a page",
		     "give what the page before said");
	return false;
}

const char *api_post_cursor(struct varlink_blocks *blocks, const struct post_cursor *cursor)
{
	char id[ZBASE32_KEY_TEXT_CAP];

	return varlink_format(blocks, "%" PRIu64 ".%s", cursor->time_ms,
			      zbase32_write(cursor->id, POST_ID_LEN, id));
}

bool api_post_limit_read(struct control_call *call, bool has_limit, int64_t limit, unsigned *out)
{
	*out = has_limit ? (unsigned)limit : 50;
	if (!has_limit || (limit >= 1 && limit <= (int64_t)FEED_PAGE_MAX))
		return true;
	control_fail(call, WEFT_EMALFORMED, "limit", "it is not in 1 to 200",
		     "give a number of posts");
	return false;
}

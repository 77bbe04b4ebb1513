/* SPDX-License-Identifier: Apache-2.0 */
/* SendDirect, ListDirects, ShowDirects. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/social/method_post.h"
#include "codec/text/zbase32.h"
#include "social/people/personas.h"
#include "social/social.h"

/* --- sending --- */

static void send_reply(struct post_writing *writing, const uint8_t *id)
{
	struct varlink_blocks *blocks = control_blocks(writing->call);
	struct api_direct_delivery_list delivery = {0};
	struct opened_post *opened;
	int err = social_read_open(social_read_of(writing->api->social), id, &opened);

	if (err < 0) {
		api_post_fail(writing->call, err, writing->what);
		return;
	}
	api_post_delivery(writing->api, blocks, opened, &delivery);
	api_reply(writing->call, send_direct, .post = api_social_post(writing->api, blocks, opened),
		  .delivery = delivery);
	social_opened_free(opened);
}

void api_send_direct(struct api *api, struct control_call *call,
		     const struct api_send_direct_in *in, uint64_t now_ns)
{
	struct social_write *write = api_writer(api, call);
	const struct post_words words = {
		.text = in->text,
		.people = (const char *const *)in->people.rows,
		.person_cnt = in->people.cnt,
		.intent = POST_TO_PEOPLE,
		.persona = in->persona,
		.reply_to = in->reply_to,
		.token = in->token,
	};
	struct post_writing *writing;
	struct write_draft draft;
	int err;

	if (!write || !api_post_draft_fill(api, call, &words, &draft) ||
	    !(writing = api_post_writing_new(api, call, "message", send_reply)))
		return;
	draft.is = social_write_wants_receipts(write) ? PRIVATE_DIRECT_ASKING : PRIVATE_DIRECT;
	draft.done = api_post_written;
	draft.arg = writing;
	if ((err = social_write_post(write, &draft, now_ns)) < 0) {
		api_post_writing_cancel(writing);
		api_post_fail(call, err, "message");
		return;
	}
	for (size_t i = 0; i < draft.person_cnt; i++)
		social_use_session(api->social, draft.people[i], now_ns);
}

/* --- threads --- */

struct direct_listing {
	struct api *api;
	struct control_call *call;
	struct social_read *read;
	struct api_direct_thread_list threads;
	struct api_direct_message_list messages;
	size_t len;
	uint64_t now_ns;
};

/* The first letters of a text, for a list: whole characters. */
#define GIST_LEN 200

static const char *gist_of(struct varlink_blocks *blocks, const char *text)
{
	size_t len = strnlen(text, GIST_LEN);

	while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	return varlink_format(blocks, "%.*s", (int)len, text);
}

/* A name of a person, or the first letters of the key. */
static const char *short_name(struct api *api, struct varlink_blocks *blocks, const uint8_t *key)
{
	const char *name = api_post_name(api, blocks, key);
	char text[ZBASE32_KEY_TEXT_CAP];

	return name && *name ? name : varlink_format(blocks, "%.8s", zbase32_write(key, 32, text));
}

/* The state of the reader that is furthest from having it. */
static const char *delivery_word(struct api *api, struct varlink_blocks *blocks,
				 const struct opened_post *newest)
{
	static const char *const words[] = {
		[API_DIRECT_DELIVERY_STATE_GIVEN] = "given",
		[API_DIRECT_DELIVERY_STATE_LEFT] = "left",
		[API_DIRECT_DELIVERY_STATE_WAITS] = "waits",
	};
	struct api_direct_delivery_list rows = {0};
	enum api_direct_delivery_state worst = API_DIRECT_DELIVERY_STATE_GIVEN;

	api_post_delivery(api, blocks, newest, &rows);
	for (size_t i = 0; i < rows.cnt; i++)
		if (rows.rows[i].state > worst)
			worst = rows.rows[i].state;
	return rows.cnt ? words[worst] : "";
}

static bool direct_add(void *arg, const struct direct_parties *parties,
		       const struct opened_post *newest, unsigned unread_cnt)
{
	struct direct_listing *listing = arg;
	struct varlink_blocks *blocks = control_blocks(listing->call);
	struct people *people = social_people(listing->api->social);
	struct api_direct_thread row = {
		.unread = unread_cnt,
		.newest_s = api_uint(newest->view.time_ms / 1000),
		.newest = gist_of(blocks, newest->text),
		.delivery = delivery_word(listing->api, blocks, newest),
		.names = "",
	};

	for (unsigned i = 0; i < parties->cnt; i++) {
		const uint8_t *key = parties->keys[i];

		if (parties->cnt > 1 && social_own_key(people, key))
			continue;
		varlink_push(blocks, &row.people, api_id(blocks, key));
		row.names = varlink_format(blocks, "%s%s%s", row.names, *row.names ? ", " : "",
					   short_name(listing->api, blocks, key));
	}
	varlink_push(blocks, &listing->threads, row);
	return true;
}

static void list_fail(struct control_call *call, int err)
{
	control_fail(call, err, "direct messages", weft_err_text(err),
		     "weft store check says whether the store is sound");
}

void api_list_directs(struct api *api, struct control_call *call,
		      const struct api_list_directs_in *in, uint64_t now_ns)
{
	struct social_read *read = api_reader(api, call);
	struct direct_listing listing = {.api = api, .call = call, .read = read};
	struct post_cursor from, next;
	int more;

	(void)now_ns;
	if (!read || (in->cursor && !api_post_cursor_read(call, in->cursor, &from)))
		return;
	more = social_directs_each(read, in->cursor ? &from : NULL, direct_add, &listing, &next);
	if (more < 0)
		list_fail(call, more);
	else
		api_reply(call, list_directs, .threads = listing.threads,
			  .cursor = more ? api_post_cursor(control_blocks(call), &next) : NULL);
}

/* --- one thread --- */

struct receipt_listing {
	struct direct_listing *listing;
	struct api_direct_receipt_list *receipts;
};

/* A person that read a message has it, too: one row says the more of the two. */
static void receipt_add(void *arg, const uint8_t *person, bool is_read)
{
	struct receipt_listing *receipts = arg;
	struct varlink_blocks *blocks = control_blocks(receipts->listing->call);
	const char *key = api_id(blocks, person);

	for (size_t i = 0; key && i < receipts->receipts->cnt; i++) {
		struct api_direct_receipt *row = &receipts->receipts->rows[i];

		if (strcmp(row->person, key) == 0) {
			row->read |= is_read;
			return;
		}
	}
	varlink_push(blocks, receipts->receipts, {key, is_read});
}

/* A reply of the control socket has 1 MiB at most. */
#define PAGE_LEN_MAX (640u * 1024)

static bool message_add(void *arg, const struct opened_post *opened)
{
	struct direct_listing *listing = arg;
	struct varlink_blocks *blocks = control_blocks(listing->call);
	struct api_direct_message row = {.post = api_social_post(listing->api, blocks, opened)};
	struct receipt_listing receipts = {listing, &row.receipts};

	if (opened->is_own)
		social_receipts_each(listing->read, opened->view.id, receipt_add, &receipts);
	api_post_delivery(listing->api, blocks, opened, &row.delivery);
	varlink_push(blocks, &listing->messages, row);
	social_read_shown(listing->read, opened, listing->now_ns);
	listing->len += 2 * opened->text_len + 1024;
	return listing->len < PAGE_LEN_MAX;
}

/* With each persona that may be the one of the thread: that of the call is among the parties. */
static bool parties_read(struct api *api, struct control_call *call,
			 const struct api_string_list *names, struct direct_parties *parties)
{
	if (!names->cnt || names->cnt > VISIBILITY_RECIPIENTS_MAX) {
		control_fail(call, WEFT_EMALFORMED, "people", "1 to 500 are named",
			     "weft dm list shows the threads");
		return false;
	}
	for (size_t i = 0; i < names->cnt; i++)
		if (!api_post_person_read(api, call, names->rows[i], parties->keys[i]))
			return false;
	parties->cnt = (unsigned)names->cnt;
	return true;
}

static int page_read(struct direct_listing *listing, struct direct_ask *ask, unsigned persona,
		     const struct direct_parties *others, struct post_cursor *out_next)
{
	struct people *people = social_people(listing->api->social);
	struct direct_parties *parties = malloc(sizeof(*parties));
	int more;

	if (!parties)
		return -ENOMEM;
	*parties = *others;
	memcpy(parties->keys[parties->cnt++], node_key_public(social_persona(people, persona)),
	       NODE_KEY_LEN);
	social_direct_sort(parties);
	ask->parties = parties;
	more = social_direct_page(listing->read, ask, message_add, listing, out_next);
	free(parties);
	return more;
}

void api_show_directs(struct api *api, struct control_call *call,
		      const struct api_show_directs_in *in, uint64_t now_ns)
{
	struct social_read *read = api_reader(api, call);
	struct direct_listing listing = {.api = api, .call = call, .read = read, .now_ns = now_ns};
	struct direct_parties *others =
		varlink_alloc(control_blocks(call), sizeof(struct direct_parties));
	struct post_cursor from, next;
	struct direct_ask ask = {0};
	unsigned persona;
	int more;

	if (!read || !others || !api_post_limit_read(call, in->has_limit, in->limit, &ask.limit) ||
	    (in->cursor && !api_post_cursor_read(call, in->cursor, &from)) ||
	    !api_post_persona_read(api, call, in->persona, &persona) ||
	    !parties_read(api, call, &in->people, others))
		return;
	ask.from = in->cursor ? &from : NULL;
	for (unsigned i = 0; i < others->cnt; i++)
		social_use_session(api->social, others->keys[i], now_ns);
	more = page_read(&listing, &ask, persona, others, &next);
	if (more < 0)
		list_fail(call, more);
	else
		api_reply(call, show_directs, .messages = listing.messages,
			  .cursor = more ? api_post_cursor(control_blocks(call), &next) : NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* ListCommunityMembers, ListCommunityShares, SearchCommunity: pages of a community. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/zbase32.h"
#include "community/community.h"
#include "method_community.h"
#include "node/sharing/sharing_state.h"

#define LIMIT_DEFAULT	50
#define CURSOR_TEXT_CAP (ZBASE32_TEXT_LEN(COMMUNITY_CURSOR_LEN) + 1)

/* --- as JSON --- */

static json_t *json_text(const char *text, size_t len)
{
	return json_stringn(text, len);
}

/* Addresses are not for the role view, as those of peers are not. */
static json_t *json_member(const struct node *node, const struct community_member *member,
			   enum control_role role)
{
	json_t *addrs = json_array();
	char text[ADDR_TEXT_CAP];

	for (unsigned i = 0; i < member->addr_cnt && role != CONTROL_VIEW; i++)
		json_array_append_new(addrs, json_string(addr_format(&member->addrs[i], text)));
	return json_pack("{s:o, s:o, s:o, s:b}", "node_id", api_json_id(member->key), "said_s",
			 api_json_uint(member->time_s), "addresses", addrs, "self",
			 memcmp(member->key, node->own_key, MESH_KEY_LEN) == 0);
}

static json_t *json_share(const struct community_share *share)
{
	const struct community_binding *binding = &share->binding;

	return json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "share_id",
		api_json_id(binding->share_id), "share_key", api_json_id(binding->share_key),
		"collection_id", api_json_id(binding->manifest_id), "sequence",
		api_json_uint(binding->seq), "title", json_text(binding->title, binding->title_len),
		"description", json_text(binding->text, binding->text_len), "items",
		api_json_uint(binding->item_cnt), "bytes", api_json_uint(binding->byte_cnt),
		"node_id", api_json_id(share->key), "said_s", api_json_uint(share->time_s));
}

static json_t *json_cursor(const uint8_t *cursor, bool has_more)
{
	char text[CURSOR_TEXT_CAP];

	return has_more ? json_string(zbase32_write(cursor, COMMUNITY_CURSOR_LEN, text)) : NULL;
}

/* --- what is asked --- */

struct asking {
	struct node *node;
	struct communities *communities;
	struct control_call *call;
	const char *name;
	uint8_t id[COMMUNITY_ID_LEN];
	uint8_t cursor[COMMUNITY_CURSOR_LEN];
	size_t cursor_len;
	unsigned limit;
};

static void fail(const struct asking *asking, int err)
{
	static const struct {
		int err;
		const char *why, *next;
	} rows[] = {
		{WEFT_EDAMAGED, "the cursor was not made for this question",
		 "begin without a cursor"},
		{WEFT_EMALFORMED, "the cursor was not made for this question",
		 "begin without a cursor"},
		{WEFT_ESTALE, "the cursor has expired", "begin without a cursor"},
		{WEFT_ECHANGED, "the cursor has expired", "begin without a cursor"},
		{WEFT_EBUSY, "too many questions at once", "try again in some seconds"},
		{WEFT_ETOOLARGE, "too many words", "ask with 256 bytes of them at most"},
		{WEFT_EREFUSED,
		 "that member refuses it: this node's token has expired, or it asks too often",
		 "weft community list shows when the token ends"},
		{WEFT_EABSENT, "that member does not see this node as one, or left",
		 "weft community members shows who is there; a strict community needs a token"},
		{WEFT_EUNREACHABLE, "that member cannot be reached", "try another, or later"},
		{WEFT_ETIMEOUT, "that member did not answer", "try another, or later"},
		{0, NULL, "try again"},
	};
	size_t i = 0;

	while (rows[i].err && rows[i].err != err)
		i++;
	control_fail(asking->call, err, asking->name,
		     rows[i].why ? rows[i].why : weft_err_text(err), rows[i].next);
}

/* Reads what all three take; false: call was failed. */
static bool asking_read(struct asking *asking, const json_t *parameters)
{
	const char *cursor = json_string_value(json_object_get(parameters, "cursor"));
	json_int_t limit = json_integer_value(json_object_get(parameters, "limit"));
	int len = 0;

	asking->name = json_string_value(json_object_get(parameters, "name"));
	asking->communities = api_communities(asking->node, asking->call);
	if (!asking->communities ||
	    !api_community_find(asking->communities, asking->call, asking->name, asking->id))
		return false;
	if (limit < 0 || limit > COMMUNITY_PAGE_MAX) {
		control_fail(asking->call, WEFT_ETOOLARGE, "limit", "a page has at most 200 rows",
			     "ask for the next page by its cursor");
		return false;
	}
	if (cursor)
		len = zbase32_parse(cursor, strlen(cursor), asking->cursor, sizeof(asking->cursor));
	if (len < 0) {
		fail(asking, WEFT_EMALFORMED);
		return false;
	}
	asking->cursor_len = (size_t)len;
	asking->limit = limit ? (unsigned)limit : LIMIT_DEFAULT;
	return true;
}

/* --- here --- */

struct collecting {
	const struct node *node;
	json_t *rows;
	enum control_role role; /* of members */
};

static void collect_member(void *arg, const struct community_member *member)
{
	struct collecting *collecting = arg;

	json_array_append_new(collecting->rows,
			      json_member(collecting->node, member, collecting->role));
}

static void collect_share(void *arg, const struct community_share *share)
{
	struct collecting *collecting = arg;

	json_array_append_new(collecting->rows, json_share(share));
}

static struct community_listing listing_of(const struct asking *asking)
{
	return (struct community_listing){
		.cursor = asking->cursor, .cursor_len = asking->cursor_len, .limit = asking->limit};
}

static void listing_reply(const struct asking *asking, int err, const char *field, json_t *rows,
			  const struct community_listing *listing)
{
	if (err < 0) {
		json_decref(rows);
		fail(asking, err);
		return;
	}
	control_reply(asking->call, json_pack("{s:o, s:o*}", field, rows, "cursor",
					      json_cursor(listing->next, listing->has_more)));
}

void api_list_community_members(void *ctx, struct control_call *call, const json_t *parameters,
				uint64_t now_ns)
{
	struct asking asking = {.node = ctx, .call = call};
	struct collecting collecting = {.node = ctx, .role = control_role_of(call)};
	struct community_listing listing;
	int err;

	(void)now_ns;
	if (!asking_read(&asking, parameters))
		return;
	listing = listing_of(&asking);
	collecting.rows = json_array();
	err = community_members(asking.communities, asking.id, &listing, collect_member,
				&collecting);
	listing_reply(&asking, err, "members", collecting.rows, &listing);
}

/* --- a question that takes its time --- */

struct community_question_record {
	struct community_question_record *next;
	struct node *node;
	struct control_call *call; /* NULL: the caller left */
	char name[COMMUNITY_NAME_LEN_MAX + 1];
};

static void question_forget(struct community_question_record *record)
{
	struct community_question_record **at = &record->node->community_questions;

	while (*at != record)
		at = &(*at)->next;
	*at = record->next;
	free(record);
}

void api_questions_forget(struct node *node)
{
	while (node->community_questions)
		question_forget(node->community_questions);
}

static void question_caller_left(void *arg)
{
	((struct community_question_record *)arg)->call = NULL;
}

static void question_done(void *arg, int err, const struct community_page *page, uint64_t now_ns)
{
	struct community_question_record *record = arg;
	struct asking asking = {.node = record->node, .call = record->call, .name = record->name};
	struct collecting collecting = {.node = record->node, .rows = json_array()};
	bool has_more = err == 0 && page->has_more && page->cursor.len == COMMUNITY_CURSOR_LEN;
	struct community_share share;

	(void)now_ns;
	for (unsigned i = 0; err == 0 && i < page->share_cnt; i++)
		if (community_share_parse(page->shares[i].data, page->shares[i].len, &share) == 0)
			collect_share(&collecting, &share);
	if (record->call)
		control_on_gone(record->call, NULL, NULL);
	if (record->call && err < 0)
		fail(&asking, err);
	else if (record->call)
		control_reply(record->call,
			      json_pack("{s:O, s:o*}", "shares", collecting.rows, "cursor",
					json_cursor(page->cursor.data, has_more)));
	json_decref(collecting.rows);
	question_forget(record);
}

/* The member that parameters name, if they do; false: call was failed. */
static bool peer_read(const struct asking *asking, const json_t *parameters, struct mesh_peer *peer,
		      struct addr addrs[static PEER_ADDRS_MAX], bool *out_is_named)
{
	const char *name = json_string_value(json_object_get(parameters, "node_id"));
	uint8_t key[MESH_KEY_LEN];

	*out_is_named = name != NULL;
	if (!name)
		return true;
	if (!api_node_id_read(asking->node, asking->call, name, key))
		return false;
	if (community_peer(asking->communities, asking->id, key, peer, addrs) == 0)
		return true;
	control_fail(asking->call, WEFT_EABSENT, name, "it is no member as far as is known here",
		     "weft community members shows who is");
	return false;
}

typedef int question_fn(struct communities *communities, const uint8_t id[static COMMUNITY_ID_LEN],
			const struct community_question *question, uint64_t now_ns);

static void question_begin(const struct asking *asking, question_fn *begin, const char *words,
			   const struct mesh_peer *peer, uint64_t now_ns)
{
	struct community_question_record *record = calloc(1, sizeof(*record));
	struct community_question question = {.words = words,
					      .peer = peer,
					      .cursor = asking->cursor,
					      .cursor_len = asking->cursor_len,
					      .limit = asking->limit,
					      .done = question_done,
					      .arg = record};
	int err;

	if (!record) {
		fail(asking, -ENOMEM);
		return;
	}
	record->node = asking->node;
	record->call = asking->call;
	snprintf(record->name, sizeof(record->name), "%s", asking->name);
	record->next = asking->node->community_questions;
	asking->node->community_questions = record;
	control_on_gone(asking->call, question_caller_left, record);
	err = begin(asking->communities, asking->id, &question, now_ns);
	if (err == 0)
		return;
	control_on_gone(asking->call, NULL, NULL);
	question_forget(record);
	if (words && err == WEFT_EABSENT)
		control_fail(asking->call, WEFT_EMALFORMED, "words", "there is no word in them",
			     "give words of letters and digits");
	else
		fail(asking, err);
}

void api_list_community_shares(void *ctx, struct control_call *call, const json_t *parameters,
			       uint64_t now_ns)
{
	struct asking asking = {.node = ctx, .call = call};
	struct collecting collecting = {.node = ctx};
	struct addr addrs[PEER_ADDRS_MAX];
	struct community_listing listing;
	struct mesh_peer peer;
	bool is_named;
	int err;

	if (!asking_read(&asking, parameters) ||
	    !peer_read(&asking, parameters, &peer, addrs, &is_named))
		return;
	if (is_named) {
		question_begin(&asking, community_ask_shares, NULL, &peer, now_ns);
		return;
	}
	listing = listing_of(&asking);
	collecting.rows = json_array();
	err = community_shares(asking.communities, asking.id, &listing, collect_share, &collecting);
	listing_reply(&asking, err, "shares", collecting.rows, &listing);
}

void api_search_community(void *ctx, struct control_call *call, const json_t *parameters,
			  uint64_t now_ns)
{
	struct asking asking = {.node = ctx, .call = call};
	const char *words = json_string_value(json_object_get(parameters, "words"));
	struct addr addrs[PEER_ADDRS_MAX];
	struct mesh_peer peer;
	bool is_named;

	if (!asking_read(&asking, parameters) ||
	    !peer_read(&asking, parameters, &peer, addrs, &is_named))
		return;
	question_begin(&asking, community_search, words, is_named ? &peer : NULL, now_ns);
}

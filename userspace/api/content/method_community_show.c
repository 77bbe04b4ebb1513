/* SPDX-License-Identifier: Apache-2.0 */
/* ListCommunityMembers, ListCommunityShares, SearchCommunity: pages of a community. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/text/zbase32.h"
#include "community/community.h"
#include "method_community.h"

#define LIMIT_DEFAULT	50
#define CURSOR_TEXT_CAP (ZBASE32_TEXT_LEN(COMMUNITY_CURSOR_LEN) + 1)

/* --- rows --- */

static struct api_community_share share_row(struct varlink_blocks *blocks,
					    const struct community_share *share)
{
	const struct community_binding *binding = &share->binding;

	return (struct api_community_share){
		.share_id = api_id(blocks, binding->share_id),
		.share_key = api_id(blocks, binding->share_key),
		.collection_id = api_id(blocks, binding->manifest_id),
		.sequence = api_uint(binding->seq),
		.title = varlink_format(blocks, "%.*s", (int)binding->title_len, binding->title),
		.description =
			varlink_format(blocks, "%.*s", (int)binding->text_len, binding->text),
		.items = api_uint(binding->item_cnt),
		.bytes = api_uint(binding->byte_cnt),
		.node_id = api_id(blocks, share->key),
		.said_s = api_uint(share->time_s),
	};
}

/* NULL: there are no more rows. */
static const char *cursor_text(struct varlink_blocks *blocks, const uint8_t *cursor, bool has_more)
{
	char text[CURSOR_TEXT_CAP];

	return has_more ? varlink_text(blocks, zbase32_write(cursor, COMMUNITY_CURSOR_LEN, text))
			: NULL;
}

/* --- what is asked --- */

struct asking {
	struct api *api;
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
	static const struct control_failure_row rows[] = {
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
		 "weft community members lists the members; a strict community needs a token"},
		{WEFT_EUNREACHABLE, "that member cannot be reached", "try another, or later"},
		{WEFT_ETIMEOUT, "that member did not answer", "try another, or later"},
		{0, NULL, "try again"},
	};

	control_fail_of(asking->call, err, asking->name, rows);
}

/* Reads what all three take; cursor may be NULL. false: call was failed. */
static bool asking_read(struct asking *asking, const char *name, const char *cursor, int64_t limit)
{
	int len = 0;

	asking->name = name;
	asking->communities = api_communities(asking->api, asking->call);
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
	const struct api *api;
	struct control_call *call;
	struct api_community_member_list members;
	struct api_community_share_list shares;
};

/* Addresses are not for the role view, as those of peers are not. */
static void collect_member(void *arg, const struct community_member *member)
{
	struct collecting *to = arg;
	struct varlink_blocks *blocks = control_blocks(to->call);
	struct api_community_member row = {
		.node_id = api_id(blocks, member->key),
		.said_s = api_uint(member->time_s),
		.self = memcmp(member->key, to->api->own_key, MESH_KEY_LEN) == 0,
	};

	for (unsigned i = 0;
	     i < member->places.addr_cnt && control_role_of(to->call) != CONTROL_VIEW; i++)
		varlink_push(blocks, &row.addresses, api_addr(blocks, &member->places.addrs[i]));
	varlink_push(blocks, &to->members, row);
}

static void collect_share(void *arg, const struct community_share *share)
{
	struct collecting *to = arg;
	struct varlink_blocks *blocks = control_blocks(to->call);

	varlink_push(blocks, &to->shares, share_row(blocks, share));
}

static struct community_listing listing_of(const struct asking *asking)
{
	return (struct community_listing){
		.cursor = asking->cursor, .cursor_len = asking->cursor_len, .limit = asking->limit};
}

void api_list_community_members(struct api *api, struct control_call *call,
				const struct api_list_community_members_in *in, uint64_t now_ns)
{
	struct asking asking = {.api = api, .call = call};
	struct collecting collecting = {.api = api, .call = call};
	struct community_listing listing;
	int err;

	(void)now_ns;
	if (!asking_read(&asking, in->name, in->cursor, in->limit))
		return;
	listing = listing_of(&asking);
	err = community_members(asking.communities, asking.id, &listing, collect_member,
				&collecting);
	if (err < 0)
		fail(&asking, err);
	else
		api_reply(call, list_community_members, .members = collecting.members,
			  .cursor = cursor_text(control_blocks(call), listing.next,
						listing.has_more));
}

/* --- a question that takes its time --- */

struct community_question_record {
	struct community_question_record *next;
	struct api *api;
	struct control_call *call; /* NULL: the caller left */
	char name[COMMUNITY_NAME_LEN_MAX + 1];
};

static void question_forget(struct community_question_record *record)
{
	struct community_question_record **at = &record->api->community_questions;

	while (*at != record)
		at = &(*at)->next;
	*at = record->next;
	free(record);
}

void api_questions_forget(struct api *api)
{
	while (api->community_questions)
		question_forget(api->community_questions);
}

static void question_done(void *arg, int err, const struct community_page *page, uint64_t now_ns)
{
	struct community_question_record *record = arg;
	struct asking asking = {.api = record->api, .call = record->call, .name = record->name};
	struct collecting collecting = {.api = record->api, .call = record->call};
	struct community_share share;

	(void)now_ns;
	for (unsigned i = 0; record->call && err == 0 && i < page->share_cnt; i++)
		if (community_share_parse(page->shares[i].data, page->shares[i].len, &share) == 0)
			collect_share(&collecting, &share);
	if (record->call && err < 0)
		fail(&asking, err);
	else if (record->call)
		/* SearchCommunity replies the same. */
		api_reply(record->call, list_community_shares, .shares = collecting.shares,
			  .cursor = cursor_text(control_blocks(record->call), page->cursor.data,
						page->has_more &&
							page->cursor.len == COMMUNITY_CURSOR_LEN));
	question_forget(record);
}

/* The member of name, unless it is NULL; false: call was failed. */
static bool peer_read(const struct asking *asking, const char *name, struct mesh_peer *peer,
		      struct peer_places *places)
{
	uint8_t key[MESH_KEY_LEN];

	if (!name)
		return true;
	if (!api_node_id_read(asking->api, asking->call, name, key))
		return false;
	if (community_peer(asking->communities, asking->id, key, peer, places) == 0)
		return true;
	control_fail(asking->call, WEFT_EABSENT, name, "it is no member as far as is known here",
		     "weft community members lists the members");
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
	record->api = asking->api;
	snprintf(record->name, sizeof(record->name), "%s", asking->name);
	record->next = asking->api->community_questions;
	asking->api->community_questions = record;
	control_hold(asking->call, &record->call);
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

void api_list_community_shares(struct api *api, struct control_call *call,
			       const struct api_list_community_shares_in *in, uint64_t now_ns)
{
	struct asking asking = {.api = api, .call = call};
	struct collecting collecting = {.api = api, .call = call};
	struct peer_places places;
	struct community_listing listing;
	struct mesh_peer peer;
	int err;

	if (!asking_read(&asking, in->name, in->cursor, in->limit) ||
	    !peer_read(&asking, in->node_id, &peer, &places))
		return;
	if (in->node_id) {
		question_begin(&asking, community_ask_shares, NULL, &peer, now_ns);
		return;
	}
	listing = listing_of(&asking);
	err = community_shares(asking.communities, asking.id, &listing, collect_share, &collecting);
	if (err < 0)
		fail(&asking, err);
	else
		api_reply(call, list_community_shares, .shares = collecting.shares,
			  .cursor = cursor_text(control_blocks(call), listing.next,
						listing.has_more));
}

void api_search_community(struct api *api, struct control_call *call,
			  const struct api_search_community_in *in, uint64_t now_ns)
{
	struct asking asking = {.api = api, .call = call};
	struct peer_places places;
	struct mesh_peer peer;

	if (asking_read(&asking, in->name, in->cursor, in->limit) &&
	    peer_read(&asking, in->node_id, &peer, &places))
		question_begin(&asking, community_search, in->words, in->node_id ? &peer : NULL,
			       now_ns);
}

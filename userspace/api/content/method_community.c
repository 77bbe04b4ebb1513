/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CreateCommunity, JoinCommunity, LeaveCommunity, ListCommunities, LinkCommunity,
 * MakeCommunityToken, ExpelCommunityMember. What is in a community is shown by method_community_show.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "codec/zbase32.h"
#include "community/community.h"
#include "method_community.h"
#include "node/sharing/sharing_state.h"

#define TOKEN_LIFE_S	     (30 * 86400)
#define NAME_FROM_ID_LETTERS 12 /* of a community that is joined without a name */

struct communities *api_communities(struct node *node, struct control_call *call)
{
	if (node->sharing)
		return node->sharing->communities;
	control_fail(call, WEFT_EREFUSED, "communities", "they are switched off",
		     "set sharing.enabled = yes in weft.conf and start weftd again");
	return NULL;
}

bool api_community_find(struct communities *communities, struct control_call *call,
			const char *name, uint8_t out_id[static COMMUNITY_ID_LEN])
{
	if (community_find(communities, name, out_id))
		return true;
	control_fail(call, WEFT_EABSENT, name, "no such community was joined",
		     "weft community list shows those that were");
	return false;
}

/* --- as JSON --- */

static json_t *json_community(const struct node *node, const struct community_info *info)
{
	json_t *json = json_pack(
		"{s:o, s:o, s:s, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "community_id",
		api_json_id(info->id), "key", api_json_id(info->key), "name", info->name, "strict",
		info->is_strict, "ours", info->is_ours, "joined_s", api_json_uint(info->joined_s),
		"members", api_json_uint(info->member_cnt), "shares",
		api_json_uint(info->share_cnt), "partners", api_json_uint(info->partner_cnt),
		"epoch", api_json_uint(info->epoch), "key_epoch", api_json_uint(info->key_epoch),
		"expelled", (json_int_t)info->expelled_cnt);

	if (info->token_expires_s)
		json_object_set_new(json, "token_expires_s", api_json_uint(info->token_expires_s));
	if (info->synced_ns)
		json_object_set_new(
			json, "synced_ago_s",
			api_json_uint((node->home.now_ns - info->synced_ns) / NS_PER_S));
	return json;
}

struct collecting {
	const struct node *node;
	const uint8_t *id; /* NULL: all */
	json_t *found;	   /* an array, or the one */
};

static bool collect(void *arg, const struct community_info *info)
{
	struct collecting *collecting = arg;

	if (!collecting->id)
		json_array_append_new(collecting->found, json_community(collecting->node, info));
	else if (memcmp(info->id, collecting->id, COMMUNITY_ID_LEN) == 0)
		collecting->found = json_community(collecting->node, info);
	return !collecting->id || !collecting->found;
}

static json_t *json_fills(const struct node *node, const struct community_stats *stats)
{
	const struct community_config *config = &node_config_live(node->config)->sharing.community;
	json_t *json = json_array();

	json_array_append_new(json,
			      api_json_fill("communities joined", stats->community_cnt,
					    config->community_cap, "community.community_cap"));
	json_array_append_new(json, api_json_fill("members of the largest", stats->member_max,
						  config->member_cap, "community.member_cap"));
	json_array_append_new(json, api_json_fill("shares of the largest", stats->share_max,
						  config->share_cap, "community.share_cap"));
	json_array_append_new(json, api_json_fill("nodes expelled from the one with most",
						  stats->expelled_max, COMMUNITY_EXPELLED_MAX, ""));
	return json;
}

static json_t *json_reasons(const struct community_stats *stats)
{
	json_t *json = json_array();

	for (unsigned i = 0; i < COMMUNITY_REASON_CNT; i++) {
		enum community_reason reason = (enum community_reason)i;

		json_array_append_new(json, json_pack("{s:s, s:o, s:s}", "reason",
						      community_reason_word(reason), "times",
						      api_json_uint(stats->reasons[i]), "meaning",
						      community_reason_text(reason)));
	}
	return json;
}

/* --- joining and leaving --- */

/* A call that waits until what it began is durable. */
struct joining {
	struct joining *next;
	struct node *node;
	struct control_call *call; /* NULL: the caller left */
	uint8_t id[COMMUNITY_ID_LEN];
	bool is_leave;
	char name[COMMUNITY_NAME_LEN_MAX + 1];
};

static void joining_forget(struct joining *joining)
{
	struct joining **at = &joining->node->joinings;

	while (*at != joining)
		at = &(*at)->next;
	*at = joining->next;
	free(joining);
}

void api_joinings_forget(struct node *node)
{
	if (node->sharing && node->sharing->communities)
		community_forget_callers(node->sharing->communities);
	while (node->joinings)
		joining_forget(node->joinings);
	api_questions_forget(node);
}

static void joining_caller_left(void *arg)
{
	((struct joining *)arg)->call = NULL;
}

static void joining_reply(const struct joining *joining)
{
	struct collecting collecting = {.node = joining->node, .id = joining->id};
	struct communities *communities = joining->node->sharing->communities;
	char text[LINK_TEXT_CAP];
	struct link link;

	if (joining->is_leave) {
		control_reply(joining->call, json_object());
		return;
	}
	communities_each(communities, collect, &collecting);
	if (community_link(communities, joining->id, &link) < 0 || !collecting.found) {
		json_decref(collecting.found);
		control_fail(joining->call, WEFT_EABSENT, joining->name, "it was left meanwhile",
			     "join it again");
		return;
	}
	control_reply(joining->call, json_pack("{s:o, s:s}", "community", collecting.found, "link",
					       blobs_link_write(&link, text)));
}

static void joining_lost(const struct joining *joining, int err)
{
	char why[128];

	snprintf(why, sizeof(why), "%s: %s",
		 joining->is_leave ? "that it is left could not be saved"
				   : "it could not be saved, so nothing is changed",
		 weft_err_text(err));
	control_fail(joining->call, err, joining->name, why,
		     "see that the state directory can be written, and try again");
}

static void joining_done(void *arg, int err, uint64_t now_ns)
{
	struct joining *joining = arg;

	(void)now_ns;
	if (joining->call) {
		control_on_gone(joining->call, NULL, NULL);
		if (err < 0)
			joining_lost(joining, err);
		else
			joining_reply(joining);
	}
	joining_forget(joining);
}

static struct joining *joining_new(struct node *node, struct control_call *call, const char *name)
{
	struct joining *joining = calloc(1, sizeof(*joining));

	if (!joining) {
		control_fail(call, -ENOMEM, name, "no memory", "free some and try again");
		return NULL;
	}
	joining->node = node;
	joining->call = call;
	snprintf(joining->name, sizeof(joining->name), "%s", name);
	joining->next = node->joinings;
	node->joinings = joining;
	control_on_gone(call, joining_caller_left, joining);
	return joining;
}

static void joining_fail(struct joining *joining, int err)
{
	static const struct {
		int err;
		const char *why, *next;
	} rows[] = {
		{WEFT_EMALFORMED, "a name has 1 to 64 bytes without blanks", "choose another"},
		{WEFT_EEXISTS, "another community has that name",
		 "give another name; weft community join takes it as --name"},
		{WEFT_EFULL, "no more communities can be joined",
		 "leave one, or raise community.community_cap in weft.conf(5)"},
		{WEFT_EBUSY, "it is being joined or left right now", "try again in some seconds"},
		{WEFT_EREFUSED, "the id is not that of the key",
		 "copy both, or the link, from whoever invited you"},
		{WEFT_EDAMAGED, "the token is not one of this community for this node",
		 "ask for one made for the id that weft node id prints"},
		{WEFT_ESTALE, "the token has expired", "ask for a new one"},
		{0, NULL, "the daemon's log may tell more"},
	};
	char name[COMMUNITY_NAME_LEN_MAX + 1];
	struct control_call *call = joining->call;
	size_t i = 0;

	while (rows[i].err && rows[i].err != err)
		i++;
	memcpy(name, joining->name, sizeof(name));
	control_on_gone(call, NULL, NULL);
	joining_forget(joining);
	control_fail(call, err, name, rows[i].why ? rows[i].why : weft_err_text(err), rows[i].next);
}

void api_create_community(void *ctx, struct control_call *call, const json_t *parameters,
			  uint64_t now_ns)
{
	struct node *node = ctx;
	struct communities *communities = api_communities(node, call);
	const char *name = json_string_value(json_object_get(parameters, "name"));
	struct joining *joining = communities ? joining_new(node, call, name) : NULL;
	int err;

	if (!joining)
		return;
	err = community_create(communities, name,
			       json_is_true(json_object_get(parameters, "strict")), joining_done,
			       joining, now_ns, joining->id);
	if (err < 0)
		joining_fail(joining, err);
}

/* The link of a call, or what id and key say; false: call was failed. */
static bool link_read(struct control_call *call, const json_t *parameters, struct link *out_link)
{
	const char *text = json_string_value(json_object_get(parameters, "link"));
	const char *id = json_string_value(json_object_get(parameters, "community_id"));
	const char *key = json_string_value(json_object_get(parameters, "key"));
	int err;

	if (text) {
		if ((err = blobs_link_parse(text, out_link)) < 0) {
			api_fail_link(call, err, text,
				      "give the link that weft community link printed, "
				      "or the community's id and its key");
			return false;
		}
		if (out_link->kind == LINK_COMMUNITY)
			return true;
		control_fail(call, WEFT_EMALFORMED, "link", "it is of no community",
			     "give the link that weft community link printed");
		return false;
	}
	*out_link = (struct link){.kind = LINK_COMMUNITY};
	if (id && key &&
	    zbase32_parse(id, strlen(id), out_link->community_id, COMMUNITY_ID_LEN) ==
		    COMMUNITY_ID_LEN &&
	    zbase32_parse(key, strlen(key), out_link->public_key, COMMUNITY_KEY_LEN) ==
		    COMMUNITY_KEY_LEN)
		return true;
	control_fail(call, WEFT_EMALFORMED, id ? id : "community",
		     "it takes the id and the key of a community, of 52 letters each",
		     "copy both from weft community list --json of a member, or give a link");
	return false;
}

static bool token_read(struct control_call *call, const json_t *parameters,
		       uint8_t token[static COMMUNITY_TOKEN_LEN_MAX], size_t *out_len)
{
	const char *text = json_string_value(json_object_get(parameters, "token"));
	int len = text ? zbase32_parse(text, strlen(text), token, COMMUNITY_TOKEN_LEN_MAX) : 0;

	if (len >= 0) {
		*out_len = (size_t)len;
		return true;
	}
	control_fail(call, WEFT_EMALFORMED, "token", "it is cut short, or a letter is wrong",
		     "copy the whole of what weft community token printed");
	return false;
}

void api_join_community(void *ctx, struct control_call *call, const json_t *parameters,
			uint64_t now_ns)
{
	struct node *node = ctx;
	struct communities *communities = api_communities(node, call);
	const char *name = json_string_value(json_object_get(parameters, "name"));
	uint8_t token[COMMUNITY_TOKEN_LEN_MAX];
	char from_id[ZBASE32_KEY_TEXT_CAP];
	struct community_join_ask ask = {
		.is_strict = json_is_true(json_object_get(parameters, "strict"))};
	struct joining *joining;
	struct link link;
	int err;

	if (!communities || !link_read(call, parameters, &link) ||
	    !token_read(call, parameters, token, &ask.token_len))
		return;
	zbase32_write(link.community_id, COMMUNITY_ID_LEN, from_id);
	from_id[NAME_FROM_ID_LETTERS] = '\0';
	joining = joining_new(node, call, name ? name : from_id);
	if (!joining)
		return;
	ask.link = &link;
	ask.token = ask.token_len ? token : NULL;
	/* One that was joined keeps its name, unless another is given. */
	ask.name = name;
	if (!community_is_joined(communities, link.community_id))
		ask.name = joining->name;
	err = community_join(communities, &ask, joining_done, joining, now_ns, joining->id);
	if (err < 0)
		joining_fail(joining, err);
}

void api_leave_community(void *ctx, struct control_call *call, const json_t *parameters,
			 uint64_t now_ns)
{
	struct node *node = ctx;
	struct communities *communities = api_communities(node, call);
	const char *name = json_string_value(json_object_get(parameters, "name"));
	uint8_t id[COMMUNITY_ID_LEN];
	struct joining *joining;
	int err;

	(void)now_ns;
	if (!communities || !api_community_find(communities, call, name, id) ||
	    !(joining = joining_new(node, call, name)))
		return;
	joining->is_leave = true;
	err = community_leave(communities, id, joining_done, joining);
	if (err < 0)
		joining_fail(joining, err);
}

/* --- shown --- */

void api_list_communities(void *ctx, struct control_call *call, const json_t *parameters,
			  uint64_t now_ns)
{
	struct node *node = ctx;
	struct communities *communities = api_communities(node, call);
	struct collecting collecting = {.node = node};
	struct community_stats stats;

	(void)parameters, (void)now_ns;
	if (!communities)
		return;
	collecting.found = json_array();
	communities_each(communities, collect, &collecting);
	communities_stats(communities, &stats);
	control_reply(call, json_pack("{s:o, s:o, s:o}", "communities", collecting.found, "fills",
				      json_fills(node, &stats), "reasons", json_reasons(&stats)));
}

void api_link_community(void *ctx, struct control_call *call, const json_t *parameters,
			uint64_t now_ns)
{
	struct communities *communities = api_communities(ctx, call);
	const char *name = json_string_value(json_object_get(parameters, "name"));
	uint8_t id[COMMUNITY_ID_LEN];
	char text[LINK_TEXT_CAP];
	struct link link;

	(void)now_ns;
	if (!communities || !api_community_find(communities, call, name, id))
		return;
	if (community_link(communities, id, &link) < 0)
		control_fail(call, WEFT_EABSENT, name, "it was left", "join it again");
	else
		control_reply(call, json_pack("{s:s}", "link", blobs_link_write(&link, text)));
}

void api_make_community_token(void *ctx, struct control_call *call, const json_t *parameters,
			      uint64_t now_ns)
{
	struct node *node = ctx;
	struct communities *communities = api_communities(node, call);
	const char *name = json_string_value(json_object_get(parameters, "name"));
	const char *member = json_string_value(json_object_get(parameters, "node_id"));
	json_int_t life_s = json_integer_value(json_object_get(parameters, "for_s"));
	uint8_t id[COMMUNITY_ID_LEN], key[MESH_KEY_LEN], token[COMMUNITY_TOKEN_LEN_MAX];
	char text[ZBASE32_TEXT_LEN(COMMUNITY_TOKEN_LEN_MAX) + 1];
	uint64_t expires_s;
	size_t len;
	int err;

	(void)now_ns;
	if (!communities || !api_community_find(communities, call, name, id) ||
	    !api_node_id_read(node, call, member, key))
		return;
	if (life_s == 0)
		life_s = TOKEN_LIFE_S;
	if (life_s < 0 || life_s > COMMUNITY_TOKEN_LIFE_S_MAX) {
		control_fail(call, WEFT_EMALFORMED, "for", "a token lives for at most 30 days",
			     "give a time like 12h or 30d; one of 30 days is renewed by itself");
		return;
	}
	expires_s = node_wall_us(node) / 1000000 + (uint64_t)life_s;
	err = community_token(communities, id, key, expires_s, token, &len);
	if (err == WEFT_EREFUSED)
		control_fail(call, err, name, "its key is not on this node",
			     "ask whoever created the community");
	else if (err < 0)
		control_fail(call, err, name, weft_err_text(err), "try again");
	else
		control_reply(call,
			      json_pack("{s:s, s:o}", "token", zbase32_write(token, len, text),
					"expires_s", api_json_uint(expires_s)));
}

void api_expel_community_member(void *ctx, struct control_call *call, const json_t *parameters,
				uint64_t now_ns)
{
	static const struct {
		int err;
		const char *why, *next;
	} rows[] = {
		{WEFT_EREFUSED, "the community's key is not on this node",
		 "ask whoever created the community"},
		{WEFT_EEXISTS, "it is so already", "weft community list --json has how many are"},
		{WEFT_EFULL, "256 nodes are expelled",
		 "expel --undo one whose token has ended long ago"},
		{WEFT_EMALFORMED, "that is this node, which has the community's key",
		 "weft community leave gives the community up"},
		{0, NULL, "try again"},
	};
	struct node *node = ctx;
	struct communities *communities = api_communities(node, call);
	const char *name = json_string_value(json_object_get(parameters, "name"));
	const char *member = json_string_value(json_object_get(parameters, "node_id"));
	bool is_expelled = !json_is_true(json_object_get(parameters, "undo"));
	uint8_t id[COMMUNITY_ID_LEN], key[MESH_KEY_LEN];
	struct collecting collecting = {.node = node, .id = id};
	size_t i = 0;
	int err;

	if (!communities || !api_community_find(communities, call, name, id) ||
	    !api_node_id_read(node, call, member, key))
		return;
	err = community_expel(communities, id, key, is_expelled, now_ns);
	if (err == 0) {
		communities_each(communities, collect, &collecting);
		api_reply_idempotent(node, call, json_pack("{s:o}", "community", collecting.found));
		return;
	}
	while (rows[i].err && rows[i].err != err)
		i++;
	control_fail(call, err, member, rows[i].why ? rows[i].why : weft_err_text(err),
		     rows[i].next);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CreateCommunity, JoinCommunity, LeaveCommunity, ListCommunities, LinkCommunity,
 * MakeCommunityToken, ExpelCommunityMember. method_community_show.c shows the contents of a
 * community.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "codec/text/zbase32.h"
#include "community/community.h"
#include "method_community.h"

#define TOKEN_LIFE_S	     (30 * 86400)
#define NAME_FROM_ID_LETTERS 12 /* of a community that is joined without a name */

struct communities *api_communities(struct api *api, struct control_call *call)
{
	if (api->follows)
		return api->communities;
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

/* --- rows --- */

static struct api_community community_row(struct varlink_blocks *blocks, const struct api *api,
					  const struct community_info *info)
{
	return (struct api_community){
		.community_id = api_id(blocks, info->id),
		.key = api_id(blocks, info->key),
		.name = varlink_text(blocks, info->name),
		.strict = info->is_strict,
		.ours = info->is_ours,
		.joined_s = api_uint(info->joined_s),
		.members = api_uint(info->member_cnt),
		.shares = api_uint(info->share_cnt),
		.partners = api_uint(info->partner_cnt),
		API_IF(token_expires_s, info->token_expires_s, api_uint(info->token_expires_s)),
		.epoch = api_uint(info->epoch),
		.key_epoch = api_uint(info->key_epoch),
		.expelled = info->expelled_cnt,
		API_IF(synced_ago_s, info->synced_ns,
		       api_uint((api->home->now_ns - info->synced_ns) / NS_PER_S)),
	};
}

/* The community of id, or all when it is NULL; rows are in the memory of call's next reply. */
static struct api_community_list communities_collect(struct api *api, struct control_call *call,
						     const uint8_t *id)
{
	struct community_iter iter = {.communities = api->communities};
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_community_list found = {0};
	struct community_info info;

	while (communities_next(&iter, &info) && (!id || !found.cnt))
		if (info.is_kept && (!id || memcmp(info.id, id, COMMUNITY_ID_LEN) == 0))
			varlink_push(blocks, &found, community_row(blocks, api, &info));
	return found;
}

/* --- joining and leaving --- */

/* A call that waits until what it began is durable. */
struct joining {
	struct joining *next;
	struct api *api;
	struct control_call *call; /* NULL: the caller left */
	uint8_t id[COMMUNITY_ID_LEN];
	bool is_leave;
	char name[COMMUNITY_NAME_LEN_MAX + 1];
};

static void joining_forget(struct joining *joining)
{
	struct joining **at = &joining->api->joinings;

	while (*at != joining)
		at = &(*at)->next;
	*at = joining->next;
	free(joining);
}

void api_joinings_forget(struct api *api)
{
	if (api->follows && api->communities)
		community_forget_callers(api->communities);
	while (api->joinings)
		joining_forget(api->joinings);
	api_questions_forget(api);
}

static void joining_reply(const struct joining *joining)
{
	struct api_community_list found = {0};
	char text[LINK_TEXT_CAP];
	struct link link;

	if (joining->is_leave) {
		api_reply(joining->call, leave_community);
		return;
	}
	if (community_link(joining->api->communities, joining->id, &link) == 0)
		found = communities_collect(joining->api, joining->call, joining->id);
	if (found.cnt)
		/* JoinCommunity replies the same. */
		api_reply(joining->call, create_community, .community = found.rows[0],
			  .link = blobs_link_write(&link, text));
	else
		control_fail(joining->call, WEFT_EABSENT, joining->name, "it was left meanwhile",
			     "join it again");
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
	if (joining->call && err < 0)
		joining_lost(joining, err);
	else if (joining->call)
		joining_reply(joining);
	joining_forget(joining);
}

static struct joining *joining_new(struct api *api, struct control_call *call, const char *name)
{
	struct joining *joining = calloc(1, sizeof(*joining));

	if (!joining) {
		control_fail(call, -ENOMEM, name, "no memory", "free some and try again");
		return NULL;
	}
	joining->api = api;
	snprintf(joining->name, sizeof(joining->name), "%s", name);
	joining->next = api->joinings;
	api->joinings = joining;
	control_hold(call, &joining->call);
	return joining;
}

static void joining_fail(struct joining *joining, int err)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EMALFORMED, "a name has 1 to 64 bytes without blanks", "choose another"},
		{WEFT_EEXISTS, "another community has that name",
		 "give another name; weft community join takes it as --name"},
		{WEFT_EFULL, "no more communities can be joined",
		 "leave one, or raise community.community_cap in weft.conf(5)"},
		{WEFT_EBUSY, "it is being joined or left right now", "try again in some seconds"},
		{WEFT_EREFUSED, "the id is not that of the key",
		 "copy both, or the link, from the member that invited you"},
		{WEFT_EDAMAGED, "the token is not one of this community for this node",
		 "ask for one made for the id that weft node id prints"},
		{WEFT_ESTALE, "the token has expired", "ask for a new one"},
		{0, NULL, "the daemon's log may tell more"},
	};

	control_fail_of(joining->call, err, joining->name, rows);
	joining_forget(joining);
}

void api_create_community(struct api *api, struct control_call *call,
			  const struct api_create_community_in *in, uint64_t now_ns)
{
	struct communities *communities = api_communities(api, call);
	struct joining *joining = communities ? joining_new(api, call, in->name) : NULL;
	int err;

	if (!joining)
		return;
	err = community_create(communities,
			       &(struct community_join_ask){.name = in->name,
							    .is_strict = in->strict,
							    .done = joining_done,
							    .arg = joining},
			       now_ns, joining->id);
	if (err < 0)
		joining_fail(joining, err);
}

/* The link of a call, or what id and key say; false: call was failed. */
static bool link_read(struct control_call *call, const struct api_join_community_in *in,
		      struct link *out_link)
{
	const char *id = in->community_id, *key = in->key;
	int err;

	if (in->link) {
		if ((err = blobs_link_parse(in->link, out_link)) < 0) {
			api_fail_link(call, err, in->link,
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

static bool token_read(struct control_call *call, const char *text,
		       uint8_t token[static COMMUNITY_TOKEN_LEN_MAX], size_t *out_len)
{
	int len = text ? zbase32_parse(text, strlen(text), token, COMMUNITY_TOKEN_LEN_MAX) : 0;

	if (len >= 0) {
		*out_len = (size_t)len;
		return true;
	}
	control_fail(call, WEFT_EMALFORMED, "token", "it is cut short, or a letter is wrong",
		     "copy the whole of what weft community token printed");
	return false;
}

void api_join_community(struct api *api, struct control_call *call,
			const struct api_join_community_in *in, uint64_t now_ns)
{
	struct communities *communities = api_communities(api, call);
	uint8_t token[COMMUNITY_TOKEN_LEN_MAX];
	char from_id[ZBASE32_KEY_TEXT_CAP];
	struct community_join_ask ask = {.is_strict = in->strict};
	struct joining *joining;
	struct link link;
	int err;

	if (!communities || !link_read(call, in, &link) ||
	    !token_read(call, in->token, token, &ask.token_len))
		return;
	zbase32_write(link.community_id, COMMUNITY_ID_LEN, from_id);
	from_id[NAME_FROM_ID_LETTERS] = '\0';
	joining = joining_new(api, call, in->name ? in->name : from_id);
	if (!joining)
		return;
	ask.link = &link;
	ask.token = ask.token_len ? token : NULL;
	ask.done = joining_done;
	ask.arg = joining;
	/* One that was joined keeps its name, unless another is given. */
	ask.name = in->name;
	if (!community_is_joined(communities, link.community_id))
		ask.name = joining->name;
	err = community_join(communities, &ask, now_ns, joining->id);
	if (err < 0)
		joining_fail(joining, err);
}

void api_leave_community(struct api *api, struct control_call *call,
			 const struct api_leave_community_in *in, uint64_t now_ns)
{
	struct communities *communities = api_communities(api, call);
	uint8_t id[COMMUNITY_ID_LEN];
	struct joining *joining;
	int err;

	(void)now_ns;
	if (!communities || !api_community_find(communities, call, in->name, id) ||
	    !(joining = joining_new(api, call, in->name)))
		return;
	joining->is_leave = true;
	err = community_leave(communities, id, joining_done, joining);
	if (err < 0)
		joining_fail(joining, err);
}

/* --- shown --- */

void api_list_communities(struct api *api, struct control_call *call,
			  const struct api_list_communities_in *in, uint64_t now_ns)
{
	const struct community_config *config = &config_live(api->config)->sharing.community;
	struct communities *communities = api_communities(api, call);
	struct api_community_reason reasons[COMMUNITY_REASON_CNT];
	struct community_stats stats;

	(void)in, (void)now_ns;
	if (!communities)
		return;
	communities_stats(communities, &stats);
	struct api_fill fills[] = {
		{"communities joined", api_uint(stats.community_cnt), config->community_cap,
		 "community.community_cap"},
		{"members of the largest", api_uint(stats.member_max), config->member_cap,
		 "community.member_cap"},
		{"shares of the largest", api_uint(stats.share_max), config->share_cap,
		 "community.share_cap"},
		{"nodes expelled from the one with most", api_uint(stats.expelled_max),
		 COMMUNITY_EXPELLED_MAX, ""},
	};
	for (unsigned i = 0; i < COMMUNITY_REASON_CNT; i++)
		reasons[i] = (struct api_community_reason){community_reasons[i].word,
							   api_uint(stats.reasons[i]),
							   community_reasons[i].text};
	api_reply(call, list_communities, .communities = communities_collect(api, call, NULL),
		  .fills = API_ROWS(fills), .reasons = API_ROWS(reasons));
}

void api_link_community(struct api *api, struct control_call *call,
			const struct api_link_community_in *in, uint64_t now_ns)
{
	struct communities *communities = api_communities(api, call);
	uint8_t id[COMMUNITY_ID_LEN];
	char text[LINK_TEXT_CAP];
	struct link link;

	(void)now_ns;
	if (!communities || !api_community_find(communities, call, in->name, id))
		return;
	if (community_link(communities, id, &link) < 0)
		control_fail(call, WEFT_EABSENT, in->name, "it was left", "join it again");
	else
		api_reply(call, link_community, .link = blobs_link_write(&link, text));
}

void api_make_community_token(struct api *api, struct control_call *call,
			      const struct api_make_community_token_in *in, uint64_t now_ns)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EREFUSED, "its key is not on this node", "ask the founder of the community"},
		{0, NULL, "try again"},
	};
	struct communities *communities = api_communities(api, call);
	int64_t life_s = in->for_s ? in->for_s : TOKEN_LIFE_S;
	uint8_t id[COMMUNITY_ID_LEN], key[MESH_KEY_LEN], token[COMMUNITY_TOKEN_LEN_MAX];
	char text[ZBASE32_TEXT_LEN(COMMUNITY_TOKEN_LEN_MAX) + 1];
	uint64_t expires_s;
	int len;

	(void)now_ns;
	if (!communities || !api_community_find(communities, call, in->name, id) ||
	    !api_node_id_read(api, call, in->node_id, key))
		return;
	if (life_s < 0 || life_s > COMMUNITY_TOKEN_LIFE_S_MAX) {
		control_fail(call, WEFT_EMALFORMED, "for", "a token lives for at most 30 days",
			     "give a time like 12h or 30d; one of 30 days is renewed by itself");
		return;
	}
	expires_s = api->wall_us(api->ctx) / 1000000 + (uint64_t)life_s;
	len = community_token(communities, id, key, expires_s, token);
	if (len < 0)
		control_fail_of(call, len, in->name, rows);
	else
		api_reply(call, make_community_token,
			  .token = zbase32_write(token, (size_t)len, text),
			  .expires_s = api_uint(expires_s));
}

void api_expel_community_member(struct api *api, struct control_call *call,
				const struct api_expel_community_member_in *in, uint64_t now_ns)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EREFUSED, "the community's key is not on this node",
		 "ask the founder of the community"},
		{WEFT_EEXISTS, "it is so already", "weft community list --json has how many are"},
		{WEFT_EFULL, "256 nodes are expelled",
		 "expel --undo one whose token has ended long ago"},
		{WEFT_EMALFORMED, "that is this node, which has the community's key",
		 "weft community leave gives the community up"},
		{0, NULL, "try again"},
	};
	struct communities *communities = api_communities(api, call);
	uint8_t id[COMMUNITY_ID_LEN], key[MESH_KEY_LEN];
	struct api_expel_community_member_out out = {0};
	struct api_community_list found;
	int err;

	if (!communities || !api_community_find(communities, call, in->name, id) ||
	    !api_node_id_read(api, call, in->node_id, key))
		return;
	err = community_expel(communities, id, key, !in->undo, now_ns);
	if (err < 0) {
		control_fail_of(call, err, in->node_id, rows);
		return;
	}
	found = communities_collect(api, call, id);
	if (found.cnt) /* else memory is lost, which the reply says */
		out.community = found.rows[0];
	api_reply_idempotent(api, call, api_expel_community_member_out_write(&out));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* ListGroups and ShowGroup, and how calls name groups. */
#include <string.h>

#include "api/social/method_group.h"
#include "codec/text/zbase32.h"

#define PREFIX_LEN_MIN 6u
#define LIMIT	       100u
#define LIMIT_MAX      500u

struct groups *api_groups(struct api *api, struct control_call *call)
{
	if (api->social)
		return social_groups_of(api->social);
	control_fail(call, WEFT_EREFUSED, "groups", "the social layer is switched off",
		     "set social.enabled = yes in weft.conf and start weftd again");
	return NULL;
}

/* --- names --- */

struct search {
	const char *name;
	uint8_t id[GROUP_ID_LEN];
	unsigned cnt;
	bool is_exact;
};

static void search_look(struct search *search, const uint8_t *id, const char *name)
{
	char text[ZBASE32_TEXT_LEN(GROUP_ID_LEN) + 1];
	size_t len = strlen(search->name);
	bool is_name = strcmp(name, search->name) == 0;

	zbase32_write(id, GROUP_ID_LEN, text);
	if (search->is_exact ||
	    !(is_name || (len >= PREFIX_LEN_MIN && strncmp(text, search->name, len) == 0)))
		return;
	memcpy(search->id, id, GROUP_ID_LEN);
	search->is_exact = text[len] == '\0' && !is_name;
	search->cnt = search->is_exact ? 1 : search->cnt + 1;
}

static void search_group(void *arg, const struct group_view *view)
{
	search_look(arg, view->group, view->name);
}

static void search_invite(void *arg, const struct group_invite_view *view)
{
	search_look(arg, view->group, view->name);
}

static bool search_end(const struct search *search, struct control_call *call,
		       uint8_t out_id[static GROUP_ID_LEN])
{
	if (search->cnt != 1) {
		control_fail(call, search->cnt ? WEFT_EMALFORMED : WEFT_EABSENT, search->name,
			     search->cnt ? "several are called so" : "there is none of that name",
			     "weft group list has names and ids");
		return false;
	}
	memcpy(out_id, search->id, GROUP_ID_LEN);
	return true;
}

bool api_group_find(struct api *api, struct control_call *call, const char *name,
		    uint8_t out_id[static GROUP_ID_LEN])
{
	struct search search = {.name = name};

	social_groups_each(social_groups_of(api->social), search_group, &search);
	return search_end(&search, call, out_id);
}

bool api_invite_find(struct api *api, struct control_call *call, const char *name,
		     uint8_t out_id[static GROUP_ID_LEN])
{
	struct search search = {.name = name};

	social_group_invites(social_groups_of(api->social), search_invite, &search);
	return search_end(&search, call, out_id);
}

bool api_group_name_is_free(struct api *api, struct control_call *call, const char *name)
{
	struct search search = {.name = name};
	size_t len = strlen(name);

	social_groups_each(social_groups_of(api->social), search_group, &search);
	if (len > 0 && len < GROUP_NAME_CAP && search.cnt == 0)
		return true;
	control_fail(call, search.cnt ? WEFT_EEXISTS : WEFT_EMALFORMED, name,
		     search.cnt ? "another group is called so" : "a name has 1 to 64 bytes",
		     "choose another");
	return false;
}

/* --- rows --- */

static enum api_group_role role_word(enum group_role role)
{
	switch (role) {
	case GROUP_ADMIN:
		return API_GROUP_ROLE_ADMIN;
	case GROUP_MODERATOR:
		return API_GROUP_ROLE_MODERATOR;
	case GROUP_POSTER:
		return API_GROUP_ROLE_POSTER;
	default:
		return API_GROUP_ROLE_VIEWER;
	}
}

enum group_role api_group_role_read(enum api_group_role role)
{
	switch (role) {
	case API_GROUP_ROLE_ADMIN:
		return GROUP_ADMIN;
	case API_GROUP_ROLE_MODERATOR:
		return GROUP_MODERATOR;
	case API_GROUP_ROLE_POSTER:
		return GROUP_POSTER;
	default:
		return GROUP_VIEWER;
	}
}

struct api_group api_group_row(struct varlink_blocks *blocks, const struct group_view *view)
{
	return (struct api_group){
		.group_id = api_id(blocks, view->group),
		.name = varlink_text(blocks, view->name),
		.person = api_id(blocks, view->person),
		.role = role_word(view->role),
		.member = view->is_member,
		.leaving = view->is_leaving,
		.has_key = view->has_key,
		.epoch = api_uint(view->epoch),
		.members = view->member_cnt,
		.shards = view->shard_cnt,
	};
}

struct listing {
	struct varlink_blocks *blocks;
	struct api_group_list groups;
	struct api_group_invitation_list invitations;
	struct api_group_member_list members;
	uint64_t first, limit, at;
};

static void list_group(void *arg, const struct group_view *view)
{
	struct listing *listing = arg;

	varlink_push(listing->blocks, &listing->groups, api_group_row(listing->blocks, view));
}

static void list_invite(void *arg, const struct group_invite_view *view)
{
	struct listing *listing = arg;
	struct varlink_blocks *blocks = listing->blocks;
	const struct api_group_invitation row = {
		.group_id = api_id(blocks, view->group),
		.name = varlink_text(blocks, view->name),
		.from = api_id(blocks, view->from),
		.members = view->member_cnt,
		.came_s = api_uint(view->time_ms / 1000),
	};

	varlink_push(blocks, &listing->invitations, row);
}

void api_list_groups(struct api *api, struct control_call *call,
		     const struct api_list_groups_in *in, uint64_t now_ns)
{
	struct groups *groups = api_groups(api, call);
	struct listing listing = {.blocks = control_blocks(call)};

	(void)in, (void)now_ns;
	if (!groups)
		return;
	social_groups_each(groups, list_group, &listing);
	social_group_invites(groups, list_invite, &listing);
	api_reply(call, list_groups, .groups = listing.groups, .invitations = listing.invitations);
}

static void list_member(void *arg, const struct group_row_view *view)
{
	struct listing *listing = arg;
	uint64_t at = listing->at++;
	const struct api_group_member row = {
		.person = api_id(listing->blocks, view->member->key),
		.role = role_word(view->member->role),
		.shard = view->shard,
	};

	if (at >= listing->first && at - listing->first < listing->limit)
		varlink_push(listing->blocks, &listing->members, row);
}

void api_show_group(struct api *api, struct control_call *call, const struct api_show_group_in *in,
		    uint64_t now_ns)
{
	struct groups *groups = api_groups(api, call);
	struct listing listing = {.blocks = control_blocks(call), .limit = LIMIT};
	struct group_view view;
	uint8_t id[GROUP_ID_LEN];

	(void)now_ns;
	if (!groups || !api_group_find(api, call, in->group, id))
		return;
	if ((in->has_limit && (in->limit < 1 || in->limit > LIMIT_MAX)) ||
	    (in->has_first && in->first < 0)) {
		control_fail_parameter(call, in->has_first && in->first < 0 ? "first" : "limit");
		return;
	}
	if (in->has_limit)
		listing.limit = (uint64_t)in->limit;
	if (in->has_first)
		listing.first = (uint64_t)in->first;
	(void)social_group_now(groups, id, &view);
	social_group_members(groups, id, list_member, &listing);
	api_reply(call, show_group, .group = api_group_row(listing.blocks, &view),
		  .members = listing.members,
		  API_IF(next, listing.at > listing.first + listing.limit,
			 api_uint(listing.first + listing.limit)));
}

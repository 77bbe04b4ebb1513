/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CreateGroup, AddGroupMembers, RemoveGroupMembers, SetGroupRole, RekeyGroup, LeaveGroup, AcceptGroup,
 * RefuseGroup, HideGroupPost. method_group_show.c shows groups.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/social/method_group.h"
#include "api/social/person_words.h"
#include "codec/text/zbase32.h"
#include "social/groups/groups.h"

#define MEMBERS_MAX 1000u

/* A call that waits until what it began is durable. */
struct group_call {
	struct group_call *next;
	struct api *api;
	struct control_call *call; /* NULL: the caller left */
	uint8_t group[GROUP_ID_LEN];
	uint8_t (*members)[NODE_KEY_LEN];
	bool is_empty; /* its reply has no group */
	char name[GROUP_NAME_CAP];
};

static void group_call_free(struct group_call *waiting)
{
	struct group_call **at = &waiting->api->group_calls;

	while (*at != waiting)
		at = &(*at)->next;
	*at = waiting->next;
	free(waiting->members);
	free(waiting);
}

void api_group_calls_forget(struct api *api)
{
	while (api->group_calls)
		group_call_free(api->group_calls);
}

static void group_fail(struct control_call *call, int err, const char *name)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EABSENT, "no such group, or one of those named is no member of it",
		 "weft group show NAME has the members"},
		{WEFT_EEXISTS, "one of those named is a member", "leave it out"},
		{WEFT_EREFUSED, "your role does not allow it, or no admin would be left",
		 "weft group list has your role; weft group role GROUP admin NODE makes an admin"},
		{WEFT_EMALFORMED, "a key is none, or is named twice", "name each person once"},
		{WEFT_EFULL, "too many groups, members, or posters of a group with shards",
		 "docs/limits.md has the limits"},
		{WEFT_EBUSY, "another change of it is on its way", "try again in some seconds"},
		{0, NULL, "the daemon's log may tell more"},
	};

	control_fail_of(call, err, name, rows);
}

static void group_reply(const struct group_call *waiting)
{
	struct groups *groups = social_groups_of(waiting->api->social);
	struct group_view view;

	/* The replies of all other methods are the same. */
	if (waiting->is_empty)
		api_reply(waiting->call, refuse_group);
	else if (social_group_now(groups, waiting->group, &view))
		api_reply(waiting->call, create_group,
			  .group = api_group_row(control_blocks(waiting->call), &view));
	else
		group_fail(waiting->call, WEFT_EABSENT, waiting->name);
}

static void group_done(void *arg, int err)
{
	struct group_call *waiting = arg;

	if (waiting->call && err < 0)
		control_fail(waiting->call, err, waiting->name,
			     "it could not be saved, so nothing is changed",
			     "see that the state directory can be written, and try again");
	else if (waiting->call)
		group_reply(waiting);
	group_call_free(waiting);
}

static struct group_call *group_call_new(struct api *api, struct control_call *call,
					 const char *name)
{
	struct group_call *waiting;

	if (!api_groups(api, call))
		return NULL;
	waiting = calloc(1, sizeof(*waiting));
	if (!waiting) {
		control_fail(call, -ENOMEM, name, "no memory", "free some and try again");
		return NULL;
	}
	waiting->api = api;
	(void)snprintf(waiting->name, sizeof(waiting->name), "%s", name);
	waiting->next = api->group_calls;
	api->group_calls = waiting;
	control_hold(call, &waiting->call);
	return waiting;
}

/* Reads the people that are named. false: call was failed. */
static bool members_read(struct group_call *waiting, const struct api_string_list *list)
{
	if (list->cnt > MEMBERS_MAX) {
		control_fail(waiting->call, WEFT_ETOOLARGE, waiting->name,
			     "more than 1000 people at once", "name them in several calls");
		return false;
	}
	waiting->members = calloc(list->cnt + 1, sizeof(waiting->members[0]));
	if (!waiting->members) {
		control_fail(waiting->call, -ENOMEM, waiting->name, "no memory",
			     "free some and try again");
		return false;
	}
	for (size_t i = 0; i < list->cnt; i++)
		if (!api_person_read(social_people(waiting->api->social), waiting->call,
				     list->rows[i], waiting->members[i]))
			return false;
	return true;
}

typedef int (*group_act_fn)(struct groups *groups, const struct group_ask *ask, uint64_t now_ns);

struct group_params {
	const char *group;
	const struct api_string_list *members; /* or NULL */
	enum group_role role;
	bool is_invite; /* group is an invitation */
	group_act_fn act;
};

/* Does what a method is for; the reply follows when that is durable. */
static void group_run(struct api *api, struct control_call *call, const struct group_params *params,
		      uint64_t now_ns)
{
	struct group_call *waiting = group_call_new(api, call, params->group);
	struct group_ask ask = {.role = params->role, .done = group_done, .arg = waiting};
	int err;

	if (!waiting)
		return;
	if (!(params->is_invite ? api_invite_find(api, call, params->group, waiting->group)
				: api_group_find(api, call, params->group, waiting->group)) ||
	    (params->members && !members_read(waiting, params->members))) {
		group_call_free(waiting);
		return;
	}
	for (unsigned i = 0; i < (params->members ? params->members->cnt : 0); i++)
		social_use_session(api->social, waiting->members[i], now_ns);
	ask.group = waiting->group;
	ask.members = (const uint8_t(*)[NODE_KEY_LEN])waiting->members;
	ask.member_cnt = params->members ? (unsigned)params->members->cnt : 0;
	waiting->is_empty = params->act == social_group_refuse;
	err = params->act(social_groups_of(api->social), &ask, now_ns);
	if (err < 0) {
		group_fail(call, err, params->group);
		group_call_free(waiting);
	}
}

void api_create_group(struct api *api, struct control_call *call,
		      const struct api_create_group_in *in, uint64_t now_ns)
{
	static const struct api_string_list none = {0};
	struct group_call *waiting = group_call_new(api, call, in->name);
	struct group_ask ask = {.role = in->has_role ? api_group_role_read(in->role) : GROUP_VIEWER,
				.name = in->name,
				.done = group_done,
				.arg = waiting};
	int err;

	if (!waiting)
		return;
	if (!api_group_name_is_free(api, call, in->name) ||
	    !members_read(waiting, in->has_members ? &in->members : &none)) {
		group_call_free(waiting);
		return;
	}
	ask.members = (const uint8_t(*)[NODE_KEY_LEN])waiting->members;
	ask.member_cnt = in->has_members ? (unsigned)in->members.cnt : 0;
	err = social_group_create(social_groups_of(api->social), &ask, now_ns, waiting->group);
	if (err < 0) {
		group_fail(call, err, in->name);
		group_call_free(waiting);
	}
}

void api_add_group_members(struct api *api, struct control_call *call,
			   const struct api_add_group_members_in *in, uint64_t now_ns)
{
	const struct group_params params = {.group = in->group,
					    .members = &in->members,
					    .role = in->has_role ? api_group_role_read(in->role)
								 : GROUP_VIEWER,
					    .act = social_group_add};

	group_run(api, call, &params, now_ns);
}

void api_remove_group_members(struct api *api, struct control_call *call,
			      const struct api_remove_group_members_in *in, uint64_t now_ns)
{
	const struct group_params params = {
		.group = in->group, .members = &in->members, .act = social_group_remove};

	group_run(api, call, &params, now_ns);
}

void api_set_group_role(struct api *api, struct control_call *call,
			const struct api_set_group_role_in *in, uint64_t now_ns)
{
	const struct group_params params = {.group = in->group,
					    .members = &in->members,
					    .role = api_group_role_read(in->role),
					    .act = social_group_give_role};

	group_run(api, call, &params, now_ns);
}

void api_rekey_group(struct api *api, struct control_call *call,
		     const struct api_rekey_group_in *in, uint64_t now_ns)
{
	const struct group_params params = {.group = in->group, .act = social_group_rekey};

	group_run(api, call, &params, now_ns);
}

void api_leave_group(struct api *api, struct control_call *call,
		     const struct api_leave_group_in *in, uint64_t now_ns)
{
	const struct group_params params = {.group = in->group, .act = social_group_leave};

	group_run(api, call, &params, now_ns);
}

void api_accept_group(struct api *api, struct control_call *call,
		      const struct api_accept_group_in *in, uint64_t now_ns)
{
	const struct group_params params = {
		.group = in->group, .is_invite = true, .act = social_group_accept};

	group_run(api, call, &params, now_ns);
}

void api_refuse_group(struct api *api, struct control_call *call,
		      const struct api_refuse_group_in *in, uint64_t now_ns)
{
	const struct group_params params = {
		.group = in->group, .is_invite = true, .act = social_group_refuse};

	group_run(api, call, &params, now_ns);
}

void api_hide_group_post(struct api *api, struct control_call *call,
			 const struct api_hide_group_post_in *in, uint64_t now_ns)
{
	size_t len = strlen(in->post);
	struct group_call *waiting;
	uint8_t post[POST_ID_LEN];
	struct group_ask ask = {.done = group_done};
	struct group_hide what;
	struct post_view view;
	int err;

	if (zbase32_parse(in->post, len, post, sizeof(post)) != (int)sizeof(post)) {
		control_fail(call, WEFT_EMALFORMED, in->post, "not the id of a post",
			     "an id has 52 letters");
		return;
	}
	if (!(waiting = group_call_new(api, call, in->group)))
		return;
	if (!api_group_find(api, call, in->group, waiting->group)) {
		group_call_free(waiting);
		return;
	}
	waiting->is_empty = true;
	ask.group = waiting->group;
	ask.arg = waiting;
	err = social_posts_look(social_posts_of(api->social), post, &view);
	if (err < 0 || view.kind != VISIBILITY_GROUP ||
	    memcmp(view.group, waiting->group, sizeof(view.group)) != 0) {
		control_fail(call, WEFT_EABSENT, in->post,
			     "no post of that group is here by that id",
			     "weft feed --group and weft post show have the ids");
		group_call_free(waiting);
		return;
	}
	what = (struct group_hide){
		.author = view.author, .logical_id = view.logical_id, .is_hidden = !in->show};
	err = social_group_hide_post(social_groups_of(api->social), &ask, &what, now_ns);
	if (err < 0) {
		group_fail(call, err, in->group);
		group_call_free(waiting);
	}
}

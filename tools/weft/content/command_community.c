/* SPDX-License-Identifier: Apache-2.0 */
/* weft community: create, join, leave, list, link, token, members, shares, search, bind, unbind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/daemon_client.h"
#include "command/command_show.h"
#include "print/output_table.h"
#include "print/text.h"

void print_community_create(const struct invocation *inv, const json_t *reply)
{
	const json_t *community = json_object_get(reply, "community");

	if (inv->has_terminal_out)
		fprintf(stderr, "joined %s; others join by\n", field_text(community, "name"));
	printf("%s\n", field_text(reply, "link"));
}

static void print_token(const struct invocation *inv, const json_t *reply)
{
	char when[TEXT_SHORT_CAP];

	printf("%s\n", field_text(reply, "token"));
	if (inv->has_terminal_out)
		fprintf(stderr, "valid until %s\n",
			text_time(field_uint(reply, "expires_s"), when));
}

void print_community_list(const struct invocation *inv, const json_t *reply)
{
	table_print(inv, json_object_get(reply, "communities"), api_view_community_list,
		    "No community was joined: weft community join LINK");
}

/* The rows of a page, and how to see the next. */
static void print_page(const struct invocation *inv, const json_t *reply, const char *field,
		       const struct column *columns, const char *empty)
{
	table_print(inv, json_object_get(reply, field), columns, empty);
	table_tell_more(reply);
}

static void print_members(const struct invocation *inv, const json_t *reply)
{
	print_page(inv, reply, "members", api_view_community_member_list, "No member is known.");
}

static void print_shares(const struct invocation *inv, const json_t *reply)
{
	print_page(inv, reply, "shares", api_view_community_share_list, "No share.");
}

int run_community_join(struct invocation *inv)
{
	const char *name = invocation_option(inv, "name"), *token = invocation_option(inv, "token");
	json_t *parameters = json_pack("{s:s*, s:s*, s:b}", "name", name, "token", token, "strict",
				       invocation_option(inv, "strict") != NULL);

	if (inv->arg_cnt == 1) {
		json_object_set_new(parameters, "link", json_string(inv->args[0]));
	} else {
		json_object_set_new(parameters, "community_id", json_string(inv->args[0]));
		json_object_set_new(parameters, "key", json_string(inv->args[1]));
	}
	return client_show(inv, "JoinCommunity", parameters, print_community_create);
}

void print_community_leave(const struct invocation *inv, const json_t *reply)
{
	(void)reply;
	if (inv->has_terminal_out)
		printf("Left %s; what was in it is forgotten.\n", inv->args[0]);
}

int run_community_token(struct invocation *inv)
{
	const char *life = invocation_option(inv, "for");
	json_t *parameters = json_pack("{s:s, s:s}", "name", inv->args[0], "node_id", inv->args[1]);
	uint64_t life_s;

	if (life) {
		if (!text_parse_seconds(life, &life_s) || life_s > INT64_MAX) {
			json_decref(parameters);
			return client_say_error(STATUS_USAGE, life, "it is no time",
						"give one like 12h or 30d");
		}
		json_object_set_new(parameters, "for_s", json_integer((json_int_t)life_s));
	}
	return client_show(inv, "MakeCommunityToken", parameters, print_token);
}

void print_community_expel(const struct invocation *inv, const json_t *reply)
{
	const json_t *community = json_object_get(reply, "community");

	if (inv->has_terminal_out)
		printf("%s: epoch %lld, %lld expelled.\n", field_text(community, "name"),
		       (long long)json_integer_value(json_object_get(community, "epoch")),
		       (long long)json_integer_value(json_object_get(community, "expelled")));
}

/* What the options say of a page; NULL: it was said that they are wrong. */
static json_t *page_parameters(const struct invocation *inv)
{
	const char *limit = invocation_option(inv, "limit");
	const char *cursor = invocation_option(inv, "cursor");
	json_t *parameters = json_pack("{s:s, s:s*}", "name", inv->args[0], "cursor", cursor);
	uint64_t cnt;

	if (!limit)
		return parameters;
	if (text_parse_count(limit, &cnt) && cnt > 0 && cnt <= 200) {
		json_object_set_new(parameters, "limit", json_integer((json_int_t)cnt));
		return parameters;
	}
	json_decref(parameters);
	(void)client_say_error(STATUS_USAGE, limit, "it is no number of rows",
			       "give one of 1 to 200");
	return NULL;
}

int run_community_members(struct invocation *inv)
{
	json_t *parameters = page_parameters(inv);

	return parameters ? client_show(inv, "ListCommunityMembers", parameters, print_members)
			  : STATUS_USAGE;
}

int run_community_shares(struct invocation *inv)
{
	json_t *parameters = page_parameters(inv);
	const char *of = invocation_option(inv, "from");

	if (parameters && of)
		json_object_set_new(parameters, "node_id", json_string(of));
	return parameters ? client_show(inv, "ListCommunityShares", parameters, print_shares)
			  : STATUS_USAGE;
}

int run_community_search(struct invocation *inv)
{
	json_t *parameters = page_parameters(inv);
	const char *at = invocation_option(inv, "from");

	if (!parameters)
		return STATUS_USAGE;
	json_object_set_new(parameters, "words", json_string(inv->args[1]));
	if (at)
		json_object_set_new(parameters, "node_id", json_string(at));
	return client_show(inv, "SearchCommunity", parameters, print_shares);
}

/* --- bind, unbind --- */

/* The id of the community that is called name, or name itself. */
static const char *id_of(const json_t *communities, const char *name)
{
	const json_t *community;
	size_t i;

	json_array_foreach(communities, i, community)
	{
		if (strcmp(field_text(community, "name"), name) == 0)
			return field_text(community, "community_id");
	}
	return name;
}

/* The communities of a share, with id or without it. */
static json_t *ids_with(const json_t *share, const char *id, bool is_bound)
{
	const json_t *each;
	json_t *ids = json_array();
	size_t i;

	json_array_foreach(json_object_get(share, "communities"), i, each)
	{
		if (strcmp(json_string_value(each), id) != 0)
			json_array_append(ids, (json_t *)each);
	}
	if (is_bound)
		json_array_append_new(ids, json_string(id));
	return ids;
}

static void print_bound(const struct invocation *inv, const json_t *reply)
{
	if (json_is_true(json_object_get(json_object_get(reply, "share"), "public"))) {
		if (inv->has_terminal_out)
			printf("Members of %s see \"%s\".\n", inv->args[0], inv->args[1]);
	} else {
		fprintf(stderr,
			"weft: %s: nobody sees it while it is private\n"
			"  weft share set %s --public\n",
			inv->args[1], inv->args[1]);
	}
}

static void print_unbound(const struct invocation *inv, const json_t *reply)
{
	(void)reply;
	if (inv->has_terminal_out)
		printf("Members of %s see \"%s\" no more.\n", inv->args[0], inv->args[1]);
}

static int bind(struct invocation *inv, bool is_bound)
{
	json_t *communities = NULL, *shown = NULL, *ids;
	int status = client_ask(inv, "ListCommunities", NULL, &communities);

	if (status == STATUS_OK)
		status = client_ask(inv, "ShowShare", json_pack("{s:s}", "name", inv->args[1]),
				    &shown);
	if (status == STATUS_OK) {
		ids = ids_with(json_object_get(shown, "share"),
			       id_of(json_object_get(communities, "communities"), inv->args[0]),
			       is_bound);
		status = client_show(
			inv, "SetShare",
			json_pack("{s:s, s:o}", "name", inv->args[1], "communities", ids),
			is_bound ? print_bound : print_unbound);
	}
	json_decref(communities);
	json_decref(shown);
	return status;
}

int run_community_bind(struct invocation *inv)
{
	return bind(inv, true);
}

int run_community_unbind(struct invocation *inv)
{
	return bind(inv, false);
}

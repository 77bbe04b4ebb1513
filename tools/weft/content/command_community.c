/* SPDX-License-Identifier: Apache-2.0 */
/* weft community: create, join, leave, token, expel, members, shares, search, bind, unbind. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command/daemon_client.h"
#include "print/output_table.h"
#include "print/text.h"

void print_community_create(const struct invocation *inv, const void *reply)
{
	const struct api_create_community_out *out = reply;

	if (inv->has_terminal_out)
		fprintf(stderr, "joined %s; others join by\n", out->community.name);
	printf("%s\n", out->link);
}

void print_community_joined(const struct invocation *inv, const void *reply)
{
	const struct api_join_community_out *out = reply;

	print_community_create(inv, &(struct api_create_community_out){out->community, out->link});
}

int fill_community_join(const struct invocation *inv, void *parameters)
{
	struct api_join_community_in *in = parameters;

	if (inv->arg_cnt == 1) {
		in->link = inv->args[0];
	} else {
		in->community_id = inv->args[0];
		in->key = inv->args[1];
	}
	return STATUS_OK;
}

void print_community_token(const struct invocation *inv, const void *reply)
{
	const struct api_make_community_token_out *out = reply;
	char when[TEXT_SHORT_CAP];

	printf("%s\n", out->token);
	if (inv->has_terminal_out)
		fprintf(stderr, "valid until %s\n", text_time((uint64_t)out->expires_s, when));
}

void print_community_leave(const struct invocation *inv, const void *reply)
{
	(void)reply;
	if (inv->has_terminal_out)
		printf("Left %s; what was in it is forgotten.\n", inv->args[0]);
}

void print_community_expel(const struct invocation *inv, const void *reply)
{
	const struct api_expel_community_member_out *out = reply;

	if (inv->has_terminal_out)
		printf("%s: epoch %" PRId64 ", %" PRId64 " expelled.\n", out->community.name,
		       out->community.epoch, out->community.expelled);
}

/* --- pages: the rows, and how to see the next --- */

void print_community_members(const struct invocation *inv, const void *reply)
{
	const struct api_list_community_members_out *out = reply;

	table_print(inv, TABLE_ROWS(out->members), api_view_community_member_list,
		    "No member is known.");
	table_tell_more(out->cursor);
}

void print_community_shares(const struct invocation *inv, const void *reply)
{
	const struct api_list_community_shares_out *out = reply;

	table_print(inv, TABLE_ROWS(out->shares), api_view_community_share_list, "No share.");
	table_tell_more(out->cursor);
}

void print_community_found(const struct invocation *inv, const void *reply)
{
	const struct api_search_community_out *out = reply;

	print_community_shares(inv,
			       &(struct api_list_community_shares_out){out->shares, out->cursor});
}

/* --- bind, unbind --- */

static void print_bound(const struct invocation *inv, const void *reply)
{
	const struct api_set_share_out *out = reply;

	if (strcmp(inv->command->verb, "unbind") == 0) {
		if (inv->has_terminal_out)
			printf("Members of %s see \"%s\" no more.\n", inv->args[0], inv->args[1]);
	} else if (!out->share.public) {
		fprintf(stderr,
			"weft: %s: no member sees it while it is private\n"
			"  weft share set %s --public\n",
			inv->args[1], inv->args[1]);
	} else if (inv->has_terminal_out) {
		printf("Members of %s see \"%s\".\n", inv->args[0], inv->args[1]);
	}
}

/* The id of the community that is called name, or name itself. */
static const char *id_of(const struct api_list_communities_out *list, const char *name)
{
	for (size_t i = 0; i < list->communities.cnt; i++)
		if (strcmp(list->communities.rows[i].name, name) == 0)
			return list->communities.rows[i].community_id;
	return name;
}

/* Binds or unbinds: the communities of the share, with this one or without it. */
int run_community_bind(struct invocation *inv)
{
	const struct api_show_share_in show = {.name = inv->args[1]};
	struct api_set_share_in set = {.name = inv->args[1], .has_communities = true};
	const struct api_list_communities_out *list;
	const struct api_show_share_out *shown;
	const struct api_string_list *bound;
	const char *id;
	int status = client_ask(inv, api_list_communities_request(NULL), &list);

	if (status == STATUS_OK)
		status = client_ask(inv, api_show_share_request(&show), &shown);
	if (status != STATUS_OK)
		return status;
	id = id_of(list, inv->args[0]);
	bound = &shown->share.communities;
	for (size_t i = 0; i < bound->cnt; i++)
		if (strcmp(bound->rows[i], id) != 0)
			varlink_push(inv->blocks, &set.communities, bound->rows[i]);
	if (strcmp(inv->command->verb, "bind") == 0)
		varlink_push(inv->blocks, &set.communities, id);
	return client_show(inv, api_set_share_request(&set), print_bound);
}

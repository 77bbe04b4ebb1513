/* SPDX-License-Identifier: Apache-2.0 */
/* weft sub: add, list, show, set, sync, remove. */
#include <stdio.h>
#include <string.h>

#include "command/daemon_client.h"
#include "command/command_path.h"
#include "command/command_show.h"
#include "print/text.h"

/* Adds what --name, --trust and --weight say; STATUS_USAGE after saying what is wrong. */
static int settings_add(const struct invocation *inv, json_t *parameters)
{
	const char *name = invocation_option(inv, "name");
	const char *trust = invocation_option(inv, "trust");
	const char *weight = invocation_option(inv, "weight");
	uint64_t percent;

	if (weight && (!text_parse_count(weight, &percent) || percent > 1000))
		return client_say_error(STATUS_USAGE, "--weight", "not a number from 0 to 1000",
					"100 is the weight of any share");
	if (name && json_object_set_new(parameters, "name", json_string(name)) < 0)
		return client_say_error(STATUS_USAGE, "--name", "it is not UTF-8", NULL);
	if (trust && json_object_set_new(parameters, "trust", json_string(trust)) < 0)
		return client_say_error(STATUS_USAGE, "--trust", "it is not UTF-8", NULL);
	if (weight)
		(void)json_object_set_new(parameters, "weight", json_integer((json_int_t)percent));
	return STATUS_OK;
}

/* Adds what is said of the folder; STATUS_USAGE after saying what is wrong. */
static int folder_add(const struct invocation *inv, json_t *parameters)
{
	const char *fetch = invocation_option(inv, "fetch");
	const char *versions = invocation_option(inv, "keep-versions");
	bool is_mirror = invocation_option(inv, "mirror") != NULL;
	bool is_keeping = invocation_option(inv, "no-mirror") != NULL;
	bool is_ended = invocation_option(inv, "no-fetch") != NULL;
	char path[PATH_MAX];
	uint64_t cnt;

	if ((fetch && is_ended) || (is_mirror && is_keeping))
		return client_say_error(STATUS_USAGE, "sub set", "that is said and taken back",
					"give one of the two");
	if (fetch && !path_absolute(fetch, path))
		return client_say_error(STATUS_USAGE, fetch, path, NULL);
	if (fetch && json_object_set_new(parameters, "fetch", json_string(path)) < 0)
		return client_say_error(STATUS_USAGE, "--fetch", "the path is not UTF-8", NULL);
	if (is_ended)
		(void)json_object_set_new(parameters, "fetch", json_string(""));
	if (versions && (!text_parse_count(versions, &cnt) || cnt > 1000))
		return client_say_error(STATUS_USAGE, "--keep-versions",
					"not a number from 0 to 1000", "0 keeps none");
	if (versions)
		(void)json_object_set_new(parameters, "keep_versions",
					  json_integer((json_int_t)cnt));
	if (is_mirror || is_keeping)
		(void)json_object_set_new(parameters, "mirror", json_boolean(is_mirror));
	return STATUS_OK;
}

static bool keep_reply(void *arg, json_t *reply, bool is_last)
{
	(void)is_last;
	*(json_t **)arg = json_incref(reply);
	return true;
}

/* It is followed whatever came of the first sync; that there is nothing yet is said with why. */
static void first_revision_tell(const json_t *follow)
{
	const char *detail = json_string_value(json_object_get(follow, "detail"));
	const char *state = json_string_value(json_object_get(follow, "state"));

	if (json_integer_value(json_object_get(follow, "revision")) == 0)
		fprintf(stderr,
			"weft: it is followed, but no revision of it is here (%s)%s%s\n"
			"  it is asked for again by itself; weft sub sync asks now\n",
			state, detail[0] ? ": " : "", detail);
	else if (detail[0])
		fprintf(stderr, "weft: %s\n", detail);
}

int run_sub_add(struct invocation *inv)
{
	bool waits = !invocation_option(inv, "no-wait");
	json_t *reply = NULL;
	struct client_call call = {
		.method = "AddFollow",
		.parameters = json_pack("{s:s, s:b}", "link", inv->args[0], "wait", waits),
		.is_long = true,
		.reply = keep_reply,
		.arg = &reply};
	int status;

	if (!call.parameters)
		return client_say_error(STATUS_USAGE, "add", "it is not UTF-8", NULL);
	status = settings_add(inv, call.parameters);
	if (status != STATUS_OK) {
		json_decref(call.parameters);
		return status;
	}
	if (waits && inv->has_terminal_err)
		fprintf(stderr, "Waiting for its first revision; Ctrl-C leaves it followed.\n");
	client_catch_interrupt();
	status = client_call(inv, &call);
	if (status == STATUS_OK && inv->is_json)
		text_print_json(reply);
	else if (status == STATUS_OK)
		fields_print(inv, json_object_get(reply, "follow"), api_view_follow_show);
	if (status == STATUS_OK && waits)
		first_revision_tell(json_object_get(reply, "follow"));
	json_decref(reply);
	return status;
}

/* One call about the share that is named first; shows it as it is then. */
static int share_call(struct invocation *inv, const char *method, const char *member)
{
	json_t *parameters = json_pack("{s:s}", member, inv->args[0]);
	int status;

	if (!parameters)
		return client_say_error(STATUS_USAGE, inv->command->verb, "it is not UTF-8", NULL);
	status = settings_add(inv, parameters);
	if (status == STATUS_OK)
		status = folder_add(inv, parameters);
	if (status != STATUS_OK) {
		json_decref(parameters);
		return status;
	}
	return show_fields(inv, method, parameters, "follow", api_view_follow_show);
}

int run_sub_set(struct invocation *inv)
{
	return share_call(inv, "SetFollow", "share");
}

void print_sub_show(const struct invocation *inv, const json_t *reply)
{
	const json_t *follow = json_object_get(reply, "follow"), *share;
	size_t i;

	fields_print(inv, follow, api_view_follow_show);
	json_array_foreach(json_object_get(follow, "recommended"), i, share)
		printf(inv->has_terminal_out ? "recommends  %s\n" : "recommends\t%s\n",
		       json_string_value(share));
	show_part(inv, "revision", json_object_get(follow, "revisions"), api_view_revision_list);
}

int run_sub_sync(struct invocation *inv)
{
	json_t *reply = NULL;
	struct client_call call = {
		.method = "SyncFollows",
		.parameters = inv->arg_cnt ? json_pack("{s:s}", "share", inv->args[0]) : NULL,
		.is_long = true,
		.reply = keep_reply,
		.arg = &reply};
	int status;

	if (inv->arg_cnt && !call.parameters)
		return client_say_error(STATUS_USAGE, "sync", "it is not UTF-8", NULL);
	client_catch_interrupt();
	status = client_call(inv, &call);
	if (status == STATUS_OK && inv->is_json)
		text_print_json(reply);
	else if (status == STATUS_OK)
		table_print(inv, json_object_get(reply, "follows"), api_view_follow_list,
			    "nothing is followed; weft sub add LINK begins");
	json_decref(reply);
	return status;
}

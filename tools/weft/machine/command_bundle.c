/* SPDX-License-Identifier: Apache-2.0 */
/* weft social export and weft social import. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "command/command_path.h"
#include "command/daemon_client.h"
#include "machine/passphrase.h"
#include "print/output_table.h"
#include "print/progress.h"
#include "print/text.h"

struct bundling {
	const struct invocation *inv;
	struct progress progress;
};

static bool names_passphrase(const struct invocation *inv)
{
	return invocation_option(inv, "sealed") || invocation_option(inv, "passphrase-file") ||
	       invocation_option(inv, "passphrase-fd");
}

/* The reply as JSON, or the state on a line that the next one takes the place of. */
static void state_show(struct bundling *bundling, const struct client_reply *reply,
		       const struct progress_state *state)
{
	progress_clear(&bundling->progress);
	if (bundling->inv->is_json)
		text_print_json(reply->json);
	else if (state)
		progress_show(&bundling->progress, state);
}

static bool export_reply(void *arg, const struct client_reply *reply)
{
	struct bundling *bundling = arg;
	const struct api_export_social_out *out = reply->out;
	const struct progress_state state = {
		.verb = "exporting",
		.item_done = out->progress ? (uint64_t)out->progress->posts : 0};

	state_show(bundling, reply, out->progress ? &state : NULL);
	if (out->written && !bundling->inv->is_json)
		fields_print(bundling->inv, out->written, api_view_bundle_written_show);
	return true;
}

static bool import_reply(void *arg, const struct client_reply *reply)
{
	struct bundling *bundling = arg;
	const struct api_import_social_out *out = reply->out;
	const struct api_bundle_progress *told = out->progress;
	const struct progress_state state = {
		.verb = told && told->step == API_BUNDLE_PROGRESS_STEP_TAKING ? "taking"
									      : "checking",
		.item_done = told ? (uint64_t)told->done : 0,
		.item_cnt = told ? (uint64_t)told->records : 0};

	state_show(bundling, reply, told ? &state : NULL);
	if (out->taken && !bundling->inv->is_json)
		fields_print(bundling->inv, out->taken, api_view_bundle_taken_show);
	return true;
}

static int bundling_run(struct invocation *inv, struct client_call *call)
{
	struct bundling bundling = {.inv = inv};
	int status;

	call->wants_more = true;
	call->arg = &bundling;
	progress_init(&bundling.progress, inv->has_terminal_err);
	status = client_call(inv, call);
	progress_clear(&bundling.progress);
	return status;
}

static bool posts_read(const char *word, struct api_export_social_in *in)
{
	in->has_posts = word != NULL;
	if (!word || strcmp(word, "read") == 0)
		in->posts = API_EXPORT_SOCIAL_IN_POSTS_READ;
	else if (strcmp(word, "own") == 0)
		in->posts = API_EXPORT_SOCIAL_IN_POSTS_OWN;
	else if (strcmp(word, "all") == 0)
		in->posts = API_EXPORT_SOCIAL_IN_POSTS_ALL;
	else
		return false;
	return true;
}

int run_social_export(struct invocation *inv)
{
	char path[PATH_MAX], passphrase[PASSPHRASE_CAP] = "";
	bool has_keys = invocation_option(inv, "keys") != NULL;
	bool is_sealed = has_keys || names_passphrase(inv);
	struct api_export_social_in in = {
		.path = path,
		.passphrase = is_sealed ? passphrase : NULL,
		.has_keys = true,
		.keys = has_keys,
		.has_replace = true,
		.replace = invocation_option(inv, "force") != NULL,
	};
	struct client_call call = {.reply = export_reply};
	int status;

	if (!path_absolute(inv->args[0], path))
		return client_say_error(STATUS_USAGE, inv->args[0], "there is no such place", NULL);
	if (!posts_read(invocation_option(inv, "posts"), &in))
		return client_say_error(STATUS_USAGE, "posts", "it is not own, read or all", NULL);
	status = is_sealed ? passphrase_ask(inv, true, passphrase) : STATUS_OK;
	if (status == STATUS_OK) {
		call.request = api_export_social_request(&in);
		status = bundling_run(inv, &call);
	}
	explicit_bzero(passphrase, sizeof(passphrase));
	return status;
}

int run_social_import(struct invocation *inv)
{
	char path[PATH_MAX], passphrase[PASSPHRASE_CAP] = "";
	bool is_sealed = names_passphrase(inv);
	const struct api_import_social_in in = {.path = path,
						.passphrase = is_sealed ? passphrase : NULL};
	struct client_call call = {.reply = import_reply};
	int status;

	if (!path_absolute(inv->args[0], path))
		return client_say_error(STATUS_USAGE, inv->args[0], "there is no such place", NULL);
	status = is_sealed ? passphrase_ask(inv, false, passphrase) : STATUS_OK;
	if (status == STATUS_OK) {
		call.request = api_import_social_request(&in);
		status = bundling_run(inv, &call);
	}
	explicit_bzero(passphrase, sizeof(passphrase));
	return status;
}

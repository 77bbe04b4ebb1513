/* SPDX-License-Identifier: Apache-2.0 */
/* weft share: new, publish, update, set, show, diff, link, revoke, retire, export-key. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/daemon_client.h"
#include "command/command_path.h"
#include "content/command_share.h"
#include "print/output_table.h"
#include "print/text.h"

/* option_text adds the option as a parameter, if it was given. */
static void option_text(const struct invocation *inv, const char *option, json_t *parameters,
			const char *name)
{
	const char *value = invocation_option(inv, option);

	if (value)
		(void)json_object_set_new(parameters, name, json_string(value));
}

/* An option that may be given several times has its values on lines. */
static void option_list(const struct invocation *inv, const char *option, json_t *parameters,
			const char *name)
{
	const char *at = invocation_option(inv, option);
	json_t *list;

	if (!at)
		return;
	list = json_array();
	for (size_t len; *at; at += len + (at[len] == '\n')) {
		len = strcspn(at, "\n");
		if (len)
			json_array_append_new(list, json_stringn(at, len));
	}
	(void)json_object_set_new(parameters, name, list);
}

/* settings_read: what share new and share set say alike; NULL: it was said what is wrong. */
static json_t *settings_read(const struct invocation *inv)
{
	json_t *parameters = json_pack("{s:s}", "name", inv->args[0]);

	if (!parameters) {
		(void)client_say_error(STATUS_USAGE, "name", "it is not UTF-8", "Give another.");
		return NULL;
	}
	option_text(inv, "title", parameters, "title");
	option_text(inv, "description", parameters, "description");
	option_list(inv, "tag", parameters, "tags");
	option_list(inv, "recommend", parameters, "recommended");
	option_list(inv, "community", parameters, "communities");
	if (invocation_option(inv, "public") && invocation_option(inv, "private")) {
		json_decref(parameters);
		(void)client_say_error(STATUS_USAGE, inv->args[0],
				       "--public and --private exclude each other",
				       "Give one of them.");
		return NULL;
	}
	if (invocation_option(inv, "public"))
		(void)json_object_set_new(parameters, "public", json_true());
	if (invocation_option(inv, "private"))
		(void)json_object_set_new(parameters, "public", json_false());
	return parameters;
}

void print_share_show(const struct invocation *inv, const json_t *reply)
{
	const json_t *revisions = json_object_get(reply, "revisions");

	fields_print(inv, json_object_get(reply, "share"), api_view_published_share_show);
	if (revisions) {
		putchar('\n');
		table_print(inv, revisions, api_view_share_revision_list,
			    "no revision yet; weft share publish NAME DIR makes one");
	}
}

static void print_new(const struct invocation *inv, const json_t *reply)
{
	const json_t *share = json_object_get(reply, "share");
	char name[TEXT_SHORT_CAP * 4];

	if (!inv->has_terminal_out) {
		printf("%s\n", field_text(share, "link"));
		return;
	}
	text_clean(field_text(share, "name"), name, sizeof(name));
	printf("Share \"%s\" is made; nothing is published yet.\n\n%s\n\nPublish a folder:\n"
	       "  weft share publish %s DIR\n",
	       name, field_text(share, "link"), name);
}

int run_share_new(struct invocation *inv)
{
	const char *key = invocation_option(inv, "key");
	json_t *parameters = settings_read(inv);
	char path[PATH_MAX];

	if (!parameters)
		return STATUS_USAGE;
	if (key && !path_existing(key, path)) {
		json_decref(parameters);
		return client_say_error(STATUS_NOT_FOUND, key, path,
					"Name the file that weft share export-key wrote.");
	}
	if (key)
		(void)json_object_set_new(parameters, "key_file", json_string(path));
	return client_set(inv, "NewShare", parameters, print_new);
}

int run_share_set(struct invocation *inv)
{
	json_t *parameters = settings_read(inv);

	if (!parameters)
		return STATUS_USAGE;
	/* Its name alone: a revision would say what the former one says. */
	if (json_object_size(parameters) == 1) {
		json_decref(parameters);
		return client_say_error(STATUS_USAGE, inv->args[0], "nothing to set is given",
					"weft share set --help lists what can be set.");
	}
	return client_set(inv, "SetShare", parameters, print_share_show);
}

/* --- publish, update --- */

/* The reason why followers would refuse the revision, and the next step. */
static void tell_dates(const json_t *share, const char *name)
{
	uint64_t clock_s = field_uint(share, "clock_ahead_s");

	if (clock_s)
		fprintf(stderr,
			"weft: this node's clock is %" PRIu64 " s or more ahead of most connected "
			"peers, and they take no revision from the future: set the clock, then: "
			"weft share update %s\n",
			clock_s, name);
}

static void print_published(const struct invocation *inv, const json_t *reply)
{
	const json_t *share = json_object_get(reply, "share");
	const json_t *import = json_object_get(reply, "import");
	char bytes[TEXT_SHORT_CAP], files[TEXT_COUNT_CAP], name[TEXT_SHORT_CAP * 4];
	uint64_t revision = field_uint(share, "revision");

	text_clean(field_text(share, "name"), name, sizeof(name));
	tell_dates(share, name);
	if (!inv->has_terminal_out) {
		printf("%" PRIu64 "\t%s\n", revision, field_text(share, "link"));
		return;
	}
	if (json_is_true(json_object_get(reply, "unchanged"))) {
		printf("Nothing changed: revision %" PRIu64 " of \"%s\" holds.\n", revision, name);
		return;
	}
	printf("Published \"%s\", revision %" PRIu64 ": %s, %s; %" PRIu64 " read anew, %" PRIu64
	       " of %" PRIu64 " manifests new.\n\n%s\n",
	       name, revision, text_count(field_uint(share, "items"), "file", "files", files),
	       text_bytes(field_uint(share, "bytes"), bytes),
	       field_uint(import, "files_done") - field_uint(import, "files_reused"),
	       field_uint(reply, "new_manifests"), field_uint(reply, "manifests"),
	       field_text(share, "link"));
	if (!json_is_true(json_object_get(reply, "asked")))
		fprintf(stderr, "weft: neither the overlay nor a node that has the share could be "
				"asked for "
				"a newer revision; the number follows what this node knows\n");
}

static int publish(struct invocation *inv, json_t *parameters)
{
	struct share_import import;
	struct client_call call = {.method = "PublishShare",
				   .parameters = parameters,
				   .wants_more = true,
				   .reply = share_import_reply,
				   .on_error = share_import_failed,
				   .arg = &import};
	int status;

	share_import_begin(&import, inv);
	client_catch_interrupt();
	status = client_call(inv, &call);
	share_import_end(&import);
	if (status == STATUS_INTERRUPTED)
		fprintf(stderr, "weft: ended; the share is as it was, and what was hashed is "
				"remembered\n");
	if (status == STATUS_OK && import.last) {
		share_tell_skipped(json_object_get(import.last, "import"));
		if (inv->is_json)
			text_print_json(import.last);
		else
			print_published(inv, import.last);
	}
	json_decref(import.last);
	return status;
}

/* The length of the folder that has both; paths are absolute and without links. */
static size_t common_len(const char *a, size_t a_len, const char *b)
{
	size_t len = 0;

	for (size_t i = 0; i <= a_len; i++) {
		int left = i < a_len ? a[i] : '/', right = b[i] ? b[i] : '/';

		if (left != right)
			break;
		if (left == '/')
			len = i;
		if (!b[i])
			break;
	}
	return len;
}

/* One path is published as it is; several, as they lie below the folder that has them all. */
static int paths_read(const struct invocation *inv, json_t *parameters)
{
	char paths[INVOCATION_ARG_MAX][PATH_MAX], top[PATH_MAX];
	unsigned cnt = inv->arg_cnt - 1;
	json_t *only;
	size_t len;

	for (unsigned i = 0; i < cnt; i++)
		if (!path_existing(inv->args[i + 1], paths[i]))
			return client_say_error(STATUS_NOT_FOUND, inv->args[i + 1], paths[i],
						"Name folders or files that are there.");
	len = strlen(paths[0]);
	for (unsigned i = 1; i < cnt; i++)
		len = common_len(paths[0], len, paths[i]);
	snprintf(top, sizeof(top), "%.*s", (int)(len ? len : 1), paths[0]);
	if (json_object_set_new(parameters, "path", json_string(top)) < 0)
		return client_say_error(STATUS_USAGE, top, "the path is not UTF-8",
					"Rename it first.");
	if (cnt == 1)
		return STATUS_OK;
	only = json_array();
	for (unsigned i = 0; i < cnt; i++) {
		if (!paths[i][len]) {
			json_decref(only);
			return STATUS_OK; /* the folder itself is among them */
		}
		json_array_append_new(only, json_string(paths[i] + len + 1));
	}
	return json_object_set_new(parameters, "only", only) < 0 || json_array_size(only) < cnt
		       ? client_say_error(STATUS_USAGE, top, "a path is not UTF-8",
					  "Rename it first.")
		       : STATUS_OK;
}

int run_share_publish(struct invocation *inv)
{
	const char *text = invocation_option(inv, "text");
	json_t *parameters = settings_read(inv);
	int status = STATUS_OK;

	if (!parameters)
		return STATUS_USAGE;
	if ((inv->arg_cnt > 1) == (text != NULL)) {
		status = client_say_error(STATUS_USAGE, inv->args[0],
					  text ? "files or --text, not both" : "nothing to publish",
					  "weft share publish NAME DIR, or --text TEXT; weft share "
					  "update NAME publishes the same folder again.");
	} else if (text) {
		option_text(inv, "text", parameters, "text");
		option_text(inv, "as", parameters, "as");
	} else {
		status = paths_read(inv, parameters);
	}
	if (status == STATUS_OK)
		return publish(inv, parameters);
	json_decref(parameters);
	return status;
}

int run_share_update(struct invocation *inv)
{
	return publish(inv, json_pack("{s:s}", "name", inv->args[0]));
}

/* --- diff --- */

static void print_diff(const struct invocation *inv, const json_t *reply)
{
	table_print(inv, json_object_get(reply, "files"), api_view_share_change_list,
		    "the files are the same");
	if (!inv->has_terminal_out)
		return;
	printf("\nFrom revision %" PRIu64 " to %" PRIu64 ": %" PRIu64 " added, %" PRIu64
	       " removed, %" PRIu64 " changed%s.\n",
	       field_uint(reply, "from"), field_uint(reply, "to"), field_uint(reply, "added"),
	       field_uint(reply, "removed"), field_uint(reply, "changed"),
	       json_is_true(json_object_get(reply, "cut")) ? "; not all are shown" : "");
}

int run_share_diff(struct invocation *inv)
{
	static const char *const names[] = {"", "from", "to"};
	json_t *parameters = json_pack("{s:s}", "name", inv->args[0]);

	for (unsigned i = 1; i < inv->arg_cnt; i++) {
		uint64_t seq;

		if (!text_parse_count(inv->args[i], &seq)) {
			json_decref(parameters);
			return client_say_error(STATUS_USAGE, inv->args[i],
						"not the number of a revision",
						"weft share show NAME lists them.");
		}
		(void)json_object_set_new(parameters, names[i], json_integer((json_int_t)seq));
	}
	return client_show(inv, "DiffShare", parameters, print_diff);
}

/* --- link, revoke, retire, export-key --- */

int run_share_link(struct invocation *inv)
{
	bool is_bare = invocation_option(inv, "bare") != NULL;
	json_t *reply;
	int status = client_ask(inv, "ShowShare", json_pack("{s:s}", "name", inv->args[0]), &reply);

	if (status != STATUS_OK)
		return status;
	printf("%s\n", field_text(json_object_get(reply, "share"), is_bare ? "bare_link" : "link"));
	json_decref(reply);
	return STATUS_OK;
}

/* A step that cannot be undone needs a confirmation. */
static bool is_meant(const struct invocation *inv, const char *what, const char *next)
{
	if (invocation_option(inv, "yes"))
		return true;
	(void)client_say_error(STATUS_USAGE, inv->args[0], what, next);
	return false;
}

static void print_revoked(const struct invocation *inv, const json_t *reply)
{
	(void)reply;
	if (inv->has_terminal_out)
		printf("Revoked. Whoever follows it stops when they hear of it; this node goes on "
		       "telling as long as the share is listed here.\n");
}

int run_share_revoke(struct invocation *inv)
{
	if (!is_meant(inv, "a share that is revoked is over, for ever and everywhere",
		      "Say --yes if you mean it. weft share retire only forgets it here."))
		return STATUS_USAGE;
	return client_show(inv, "RevokeShare", json_pack("{s:s}", "name", inv->args[0]),
			   print_revoked);
}

static void print_rotated(const struct invocation *inv, const json_t *reply)
{
	const json_t *share = json_object_get(reply, "share");

	printf("%s\n", field_text(share, "link"));
	if (inv->has_terminal_out)
		printf("This is its link from now on. Links to the old key lead to it, and whoever "
		       "follows moves over, as long as %s.old is listed here.\n",
		       field_text(share, "name"));
}

int run_share_rotate(struct invocation *inv)
{
	if (!is_meant(inv,
		      "the old key of the share is over for ever, and a new one takes its place",
		      "Say --yes if you mean it. weft share revoke ends the share altogether."))
		return STATUS_USAGE;
	return client_show(inv, "RotateShare", json_pack("{s:s}", "name", inv->args[0]),
			   print_rotated);
}

static void print_retired(const struct invocation *inv, const json_t *reply)
{
	(void)reply;
	if (inv->has_terminal_out)
		printf("Forgotten, with its key. The files stay; who follows it keeps what is "
		       "there.\n");
}

int run_share_retire(struct invocation *inv)
{
	if (!is_meant(inv, "without its key nothing can ever be published under it again",
		      "Say --yes if you mean it. weft share export-key keeps the key."))
		return STATUS_USAGE;
	return client_show(inv, "RetireShare", json_pack("{s:s}", "name", inv->args[0]),
			   print_retired);
}

static void print_exported(const struct invocation *inv, const json_t *reply)
{
	if (inv->has_terminal_out)
		printf("The key is in %s. Whoever has it can publish the share.\n",
		       field_text(reply, "path"));
}

int run_share_export_key(struct invocation *inv)
{
	char path[PATH_MAX];

	if (!path_absolute(inv->args[1], path))
		return client_say_error(STATUS_USAGE, inv->args[1], "no path can be made of it",
					"Name a new file in a folder that is there.");
	return client_show(inv, "ExportShareKey",
			   json_pack("{s:s, s:s}", "name", inv->args[0], "path", path),
			   print_exported);
}

/* --- weft share watch --- */

/* The share that is called as the argument, or publishes path (NULL: no such file). */
static const char *watched_find(const struct invocation *inv, const json_t *list, const char *path)
{
	const json_t *share;
	size_t i;

	json_array_foreach(json_object_get(list, "published"), i, share)
	{
		if (strcmp(field_text(share, "name"), inv->args[0]) == 0 ||
		    (path && strcmp(field_text(share, "path"), path) == 0))
			return field_text(share, "name");
	}
	return NULL;
}

/* Makes a share of the folder: its name, or NULL after *out_status was said. */
static const char *watched_make(struct invocation *inv, const char *path, int *out_status)
{
	const char *name = invocation_option(inv, "name"), *slash = strrchr(path, '/');
	json_t *reply = NULL;

	name = name ? name : slash ? slash + 1 : path;
	*out_status = client_ask(inv, "NewShare",
				 json_pack("{s:s, s:b}", "name", name, "public",
					   invocation_option(inv, "public") != NULL),
				 &reply);
	json_decref(reply);
	if (*out_status == STATUS_OK)
		*out_status = publish(inv, json_pack("{s:s, s:s}", "name", name, "path", path));
	return *out_status == STATUS_OK ? name : NULL;
}

static void print_watched(const struct invocation *inv, const json_t *reply)
{
	const json_t *share = json_object_get(reply, "share");
	char name[PATH_MAX];

	text_clean(field_text(share, "name"), name, sizeof(name));
	if (!inv->has_terminal_out)
		printf("%s\n", name);
	else if (invocation_option(inv, "off"))
		printf("%s is watched no more; weft share update %s publishes it.\n", name, name);
	else
		printf("%s is published by itself, %" PRIu64 " s after its folder changed last.\n",
		       name, field_uint(share, "watch_quiet_s"));
}

int run_share_watch(struct invocation *inv)
{
	const char *quiet = invocation_option(inv, "quiet"), *name;
	json_t *list = NULL, *parameters;
	char path[PATH_MAX];
	uint64_t quiet_s = 0;
	bool is_there = path_existing(inv->args[0], path);
	int status;

	if (quiet && (!text_parse_seconds(quiet, &quiet_s) || quiet_s > 86400))
		return client_say_error(STATUS_USAGE, "--quiet", "not a time", "give 1s to 24h");
	status = client_ask(inv, "ListShares", NULL, &list);
	if (status != STATUS_OK)
		return status;
	name = watched_find(inv, list, is_there ? path : NULL);
	if (!name && (!is_there || invocation_option(inv, "off"))) {
		json_decref(list);
		return client_say_error(STATUS_NOT_FOUND, inv->args[0],
					"no share is called so or publishes it",
					"weft share list shows those there are");
	}
	if (!name)
		name = watched_make(inv, path, &status);
	if (name) {
		parameters = json_pack("{s:s, s:b}", "name", name, "watch",
				       invocation_option(inv, "off") == NULL);
		if (quiet)
			json_object_set_new(parameters, "quiet_s",
					    json_integer((json_int_t)quiet_s));
		status = client_show(inv, "WatchShare", parameters, print_watched);
	}
	json_decref(list);
	return status;
}

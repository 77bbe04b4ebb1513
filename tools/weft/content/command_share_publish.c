/* SPDX-License-Identifier: Apache-2.0 */
/* weft share: new, publish, update, set, show, diff, link, revoke, retire, export-key, watch. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "command/command_path.h"
#include "content/command_share.h"
#include "print/output_table.h"
#include "print/text.h"

void print_share_show(const struct invocation *inv, const void *reply)
{
	const struct api_show_share_out *out = reply;

	fields_print(inv, &out->share, api_view_published_share_show);
	putchar('\n');
	table_print(inv, TABLE_ROWS(out->revisions), api_view_share_revision_list,
		    "no revision yet; weft share publish NAME DIR makes one");
}

void print_share_new(const struct invocation *inv, const void *reply)
{
	const struct api_new_share_out *out = reply;
	char name[TEXT_SHORT_CAP * 4];

	if (!inv->has_terminal_out) {
		printf("%s\n", out->share.link);
		return;
	}
	text_clean(out->share.name, name, sizeof(name));
	printf("Share \"%s\" is made; nothing is published yet.\n\n%s\n\nPublish a folder:\n"
	       "  weft share publish %s DIR\n",
	       name, out->share.link, name);
}

int fill_share_set(const struct invocation *inv, void *parameters)
{
	struct api_set_share_in *in = parameters;
	bool is_any = false;

	if (invocation_option(inv, "public") && invocation_option(inv, "private"))
		return client_say_error(STATUS_USAGE, inv->args[0],
					"--public and --private exclude each other",
					"Give one of them.");
	if (invocation_option(inv, "private"))
		API_SET(in, public, false);
	for (unsigned i = 0; i < COMMAND_OPTION_MAX; i++)
		is_any |= inv->values[i] != NULL;
	/* Its name alone: a revision would say what the former one says. */
	return is_any ? STATUS_OK
		      : client_say_error(STATUS_USAGE, inv->args[0], "nothing to set is given",
					 "weft share set --help lists what can be set.");
}

/* --- publish, update --- */

static void print_published(const struct invocation *inv, const void *reply)
{
	const struct api_publish_share_out *out = reply;
	const struct api_published_share *share = out->share;
	char bytes[TEXT_SHORT_CAP], files[TEXT_COUNT_CAP], name[TEXT_SHORT_CAP * 4];

	if (!share)
		return;
	text_clean(share->name, name, sizeof(name));
	/* The reason why followers would refuse the revision, and the next step. */
	if (share->clock_ahead_s)
		fprintf(stderr,
			"weft: this node's clock is %" PRId64 " s or more ahead of most connected "
			"peers, and they take no revision from the future: set the clock, then: "
			"weft share update %s\n",
			share->clock_ahead_s, name);
	if (!inv->has_terminal_out) {
		printf("%" PRId64 "\t%s\n", share->revision, share->link);
		return;
	}
	if (out->unchanged) {
		printf("Nothing changed: revision %" PRId64 " of \"%s\" holds.\n", share->revision,
		       name);
		return;
	}
	printf("Published \"%s\", revision %" PRId64 ": %s, %s; %" PRId64 " read anew, %" PRId64
	       " of %" PRId64 " manifests new.\n\n%s\n",
	       name, share->revision, text_count((uint64_t)share->items, "file", "files", files),
	       text_bytes((uint64_t)share->bytes, bytes),
	       out->import ? out->import->files_done - out->import->files_reused : 0,
	       out->new_manifests, out->manifests, share->link);
	if (!out->asked)
		fprintf(stderr, "weft: neither the overlay nor a node that has the share could be "
				"asked for "
				"a newer revision; the number follows what this node knows\n");
}

static int publish(struct invocation *inv, const struct api_publish_share_in *in)
{
	return share_import_run(inv, api_publish_share_request(in), print_published,
				"ended; the share is as it was, and what was hashed is remembered");
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
static void paths_read(const struct invocation *inv, struct api_publish_share_in *in)
{
	const struct api_string_list paths = in->only;
	size_t len = strlen(paths.rows[0]);

	in->has_only = false;
	in->only = (struct api_string_list){0};
	for (size_t i = 1; i < paths.cnt; i++)
		len = common_len(paths.rows[0], len, paths.rows[i]);
	in->path = varlink_format(inv->blocks, "%.*s", (int)(len ? len : 1), paths.rows[0]);
	for (size_t i = 0; i < paths.cnt; i++)
		if (!paths.rows[i][len])
			return; /* the folder itself is among them */
	in->has_only = true;
	for (size_t i = 0; i < paths.cnt; i++)
		varlink_push(inv->blocks, &in->only, paths.rows[i] + len + 1);
}

int run_share_publish(struct invocation *inv)
{
	bool has_text = invocation_option(inv, "text") != NULL;
	struct api_publish_share_in in = {0};
	int status;

	if ((inv->arg_cnt > 1) == has_text)
		return client_say_error(STATUS_USAGE, inv->args[0],
					has_text ? "files or --text, not both"
						 : "nothing to publish",
					"weft share publish NAME DIR, or --text TEXT; weft share "
					"update NAME publishes the same folder again.");
	status = command_fill(inv, API_PUBLISH_SHARE, &in);
	if (status != STATUS_OK)
		return status;
	if (!has_text) {
		in.as = NULL;
		paths_read(inv, &in);
	}
	return publish(inv, &in);
}

int run_share_update(struct invocation *inv)
{
	return publish(inv, &(struct api_publish_share_in){.name = inv->args[0]});
}

/* --- diff, link --- */

void print_share_diff(const struct invocation *inv, const void *reply)
{
	const struct api_diff_share_out *out = reply;

	table_print(inv, TABLE_ROWS(out->files), api_view_share_change_list,
		    "the files are the same");
	if (inv->has_terminal_out)
		printf("\nFrom revision %" PRId64 " to %" PRId64 ": %" PRId64 " added, %" PRId64
		       " removed, %" PRId64 " changed%s.\n",
		       out->from, out->to, out->added, out->removed, out->changed,
		       out->cut ? "; not all are shown" : "");
}

int run_share_link(struct invocation *inv)
{
	const struct api_show_share_in in = {.name = inv->args[0]};
	const struct api_show_share_out *out;
	int status = client_ask(inv, api_show_share_request(&in), &out);

	if (status == STATUS_OK)
		printf("%s\n",
		       invocation_option(inv, "bare") ? out->share.bare_link : out->share.link);
	return status;
}

/* --- revoke, rotate, retire, export-key --- */

/* A step that cannot be undone needs a confirmation. */
int fill_share_final(const struct invocation *inv, void *in)
{
	static const struct {
		const char *verb, *what, *next;
	} steps[] = {
		{"revoke", "a share that is revoked is over, for ever and everywhere",
		 "Say --yes if you mean it. weft share retire only forgets it here."},
		{"rotate",
		 "the old key of the share is over for ever, and a new one takes its place",
		 "Say --yes if you mean it. weft share revoke ends the share altogether."},
		{"retire", "without its key nothing can ever be published under it again",
		 "Say --yes if you mean it. weft share export-key keeps the key."},
	};

	(void)in;
	for (size_t i = 0; !invocation_option(inv, "yes") && i < VARLINK_CNT_OF(steps); i++)
		if (strcmp(steps[i].verb, inv->command->verb) == 0)
			return client_say_error(STATUS_USAGE, inv->args[0], steps[i].what,
						steps[i].next);
	return STATUS_OK;
}

void print_share_rotated(const struct invocation *inv, const void *reply)
{
	const struct api_rotate_share_out *out = reply;

	printf("%s\n", out->share.link);
	if (inv->has_terminal_out)
		printf("This is its link from now on. Links to the old key lead to it, and "
		       "followers move over, as long as %s.old is listed here.\n",
		       out->share.name);
}

void print_share_exported(const struct invocation *inv, const void *reply)
{
	const struct api_export_share_key_out *out = reply;

	if (inv->has_terminal_out)
		printf("The key is in %s. A holder of the key can publish the share.\n", out->path);
}

/* --- watch --- */

/* The share that is called as the argument, or publishes path (NULL: no such file). */
static const char *watched_find(const struct invocation *inv,
				const struct api_list_shares_out *list, const char *path)
{
	for (size_t i = 0; i < list->published.cnt; i++) {
		const struct api_published_share *share = &list->published.rows[i];

		if (strcmp(share->name, inv->args[0]) == 0 ||
		    (path && share->path && strcmp(share->path, path) == 0))
			return share->name;
	}
	return NULL;
}

/* Makes a share of the folder: its name, or NULL after *out_status was said. */
static const char *watched_make(struct invocation *inv, const char *path, int *out_status)
{
	const char *name = invocation_option(inv, "name"), *slash = strrchr(path, '/');
	struct api_new_share_in in = {.has_public = true,
				      .public = invocation_option(inv, "public") != NULL};
	const struct api_new_share_out *made;

	in.name = name ? name : slash ? slash + 1 : path;
	*out_status = client_ask(inv, api_new_share_request(&in), &made);
	if (*out_status == STATUS_OK)
		*out_status =
			publish(inv, &(struct api_publish_share_in){.name = in.name, .path = path});
	return *out_status == STATUS_OK ? in.name : NULL;
}

static void print_watched(const struct invocation *inv, const void *reply)
{
	const struct api_watch_share_out *out = reply;
	char name[PATH_MAX];

	text_clean(out->share.name, name, sizeof(name));
	if (!inv->has_terminal_out)
		printf("%s\n", name);
	else if (invocation_option(inv, "off"))
		printf("%s is watched no more; weft share update %s publishes it.\n", name, name);
	else
		printf("%s is published by itself, %" PRId64 " s after its folder changed last.\n",
		       name, out->share.watch_quiet_s);
}

int run_share_watch(struct invocation *inv)
{
	bool is_off = invocation_option(inv, "off") != NULL;
	struct api_watch_share_in in = {.has_watch = true, .watch = !is_off};
	const struct api_list_shares_out *list;
	char path[PATH_MAX];
	bool is_there = path_existing(inv->args[0], path);
	int status = command_fill(inv, API_WATCH_SHARE, &in);

	if (status == STATUS_OK)
		status = client_ask(inv, api_list_shares_request(NULL), &list);
	if (status != STATUS_OK)
		return status;
	in.name = watched_find(inv, list, is_there ? path : NULL);
	if (!in.name && (!is_there || is_off))
		return client_say_error(STATUS_NOT_FOUND, inv->args[0],
					"no share is called so or publishes it",
					"weft share list shows those there are");
	if (!in.name)
		in.name = watched_make(inv, path, &status);
	return in.name ? client_show(inv, api_watch_share_request(&in), print_watched) : status;
}

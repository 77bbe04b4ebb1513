/* SPDX-License-Identifier: Apache-2.0 */
/* weft bootstrap: make, sign, retire, add, list, check. */
#include <stdio.h>
#include <string.h>

#include "command/daemon_client.h"
#include "print/output_table.h"

#define SCHEME	 "mesh-bootstrap:"
#define FILE_CAP 16384

static bool is_list(const char *text)
{
	return strncmp(text, SCHEME, sizeof(SCHEME) - 1) == 0;
}

/* The entries that word names: itself, or those of the file. NULL: it was said why not. */
static char *list_text(const struct invocation *inv, const char *word)
{
	char *text = varlink_alloc(inv->blocks, is_list(word) ? strlen(word) + 1 : FILE_CAP);
	FILE *file = is_list(word) ? NULL : fopen(word, "re");
	size_t len = 0;

	if (is_list(word) && text) {
		strcpy(text, word);
		return text;
	}
	if (text && file)
		len = fread(text, 1, FILE_CAP - 1, file);
	if (file)
		fclose(file);
	if (len > 0 && len < FILE_CAP - 1)
		return text;
	(void)client_say_error(STATUS_FAILED, word, "no file with a bootstrap list",
			       "name a file, or the list itself: mesh-bootstrap:...");
	return NULL;
}

/* --- make, sign, retire --- */

static void print_made(const struct invocation *inv, const void *reply)
{
	(void)inv;
	printf("%s\n", ((const struct api_make_bootstrap_out *)reply)->list);
}

/* before: the list whose place it takes, or NULL. */
static int make(const struct invocation *inv, const struct api_string_list *entries,
		const struct api_bootstrap *before)
{
	struct api_make_bootstrap_in in = {.entries = *entries};
	struct client_call call = {.request = api_make_bootstrap_request(&in), .is_setting = true};
	int status = command_fill(inv, API_MAKE_BOOTSTRAP, &in);

	if (status != STATUS_OK)
		return status;
	if (before && before->title && *before->title && !in.title)
		in.title = before->title;
	if (before)
		API_SET(&in, above, before->serial);
	return client_show_call(inv, &call, print_made);
}

int run_bootstrap_make(struct invocation *inv)
{
	struct api_string_list entries = {inv->args, inv->arg_cnt, inv->arg_cnt};

	return make(inv, &entries, NULL);
}

/* An entry a line; what is behind # is for people. */
static void entries_read(const struct invocation *inv, char *text, struct api_string_list *entries)
{
	char *line;

	while ((line = strsep(&text, "\n"))) {
		line += strspn(line, " \t\r");
		line[strcspn(line, " \t\r#")] = '\0';
		if (*line)
			varlink_push(inv->blocks, entries, line);
	}
}

/* The list that is kept in text, as its issuer signed it. */
static int list_read(const struct invocation *inv, const char *text,
		     const struct api_bootstrap **out_list)
{
	const struct api_read_bootstrap_in in = {.list = text};
	const struct api_read_bootstrap_out *reply;
	int status = client_ask(inv, api_read_bootstrap_request(&in), &reply);

	if (status == STATUS_OK)
		*out_list = &reply->bootstrap;
	return status;
}

int run_bootstrap_sign(struct invocation *inv)
{
	char *text = list_text(inv, inv->args[0]);
	const struct api_bootstrap *list;
	struct api_string_list entries = {0};
	int status;

	if (!text)
		return STATUS_FAILED;
	if (!is_list(text)) {
		entries_read(inv, text, &entries);
		return make(inv, &entries, NULL);
	}
	status = list_read(inv, text, &list);
	return status == STATUS_OK ? make(inv, &list->entries, list) : status;
}

/* An entry that any of the words names: as it is written, or by its node or its address. */
static bool is_named(const struct invocation *inv, const char *entry)
{
	const char *addr = strchr(entry, '@');

	for (unsigned i = 1; i < inv->arg_cnt; i++) {
		const char *word = inv->args[i];

		if (strcmp(entry, word) == 0)
			return true;
		if (addr &&
		    (strcmp(addr + 1, word) == 0 || (strlen(word) == (size_t)(addr - entry) &&
						     strncmp(entry, word, strlen(word)) == 0)))
			return true;
	}
	return inv->arg_cnt == 1;
}

int run_bootstrap_retire(struct invocation *inv)
{
	const char *text = list_text(inv, inv->args[0]);
	const struct api_bootstrap *list;
	struct api_string_list left = {0};
	int status = text ? list_read(inv, text, &list) : STATUS_FAILED;

	if (status != STATUS_OK)
		return status;
	for (size_t i = 0; i < list->entries.cnt; i++)
		if (!is_named(inv, list->entries.rows[i]))
			varlink_push(inv->blocks, &left, list->entries.rows[i]);
	if (left.cnt == list->entries.cnt && inv->arg_cnt > 1)
		return client_say_error(STATUS_NOT_FOUND, inv->args[1],
					"the list has no such entry",
					"name it as NODE@ADDRESS:PORT, by its node or its address");
	return make(inv, &left, list);
}

/* --- add, list, check --- */

int fill_bootstrap_add(const struct invocation *inv, void *in)
{
	const char *text = list_text(inv, inv->args[0]);

	((struct api_add_bootstrap_in *)in)->list = text;
	return text ? STATUS_OK : STATUS_FAILED;
}

struct entry_row {
	struct api_bootstrap list;
	const char *entry; /* NULL: it has none */
};

void print_bootstrap_list(const struct invocation *inv, const void *reply)
{
	static const struct column columns[] = {
		COLUMN_OF("ISSUER", entry_row, list.issuer, string, ID),
		COLUMN_OF("SERIAL", entry_row, list.serial, int, COUNT),
		COLUMN_OF("EXPIRES", entry_row, list.expires_s, int, TIME),
		COLUMN_OF("STATE", entry_row, list.state, bootstrap_state, TEXT),
		COLUMN_OF("ENTRY", entry_row, entry, string, TEXT),
		COLUMN_OF("TITLE", entry_row, list.title, string, TEXT),
		{0},
	};
	const struct api_list_bootstraps_out *out = reply;
	struct {
		struct entry_row *rows;
		size_t cnt, cap;
	} list = {0};

	for (size_t i = 0; i < out->bootstraps.cnt; i++) {
		const struct api_bootstrap *each = &out->bootstraps.rows[i];

		if (!each->entries.cnt)
			varlink_push(inv->blocks, &list, {*each, NULL});
		for (size_t j = 0; j < each->entries.cnt; j++)
			varlink_push(inv->blocks, &list, {*each, each->entries.rows[j]});
	}
	table_print(inv, TABLE_ROWS(list), columns,
		    "no bootstrap list is kept; weft bootstrap add FILE --trust NODE adds one");
}

int fill_bootstrap_check(const struct invocation *inv, void *in)
{
	struct api_check_bootstrap_in *check = in;

	if (inv->arg_cnt)
		check->list = list_text(inv, inv->args[0]);
	return inv->arg_cnt && !check->list ? STATUS_FAILED : STATUS_OK;
}

/* With a failed entry the command fails, after its table. */
int judge_bootstrap_check(const struct invocation *inv, const void *reply)
{
	const struct api_check_bootstrap_out *out = reply;

	(void)inv;
	for (size_t i = 0; i < out->checks.cnt; i++)
		if (out->checks.rows[i].why)
			return STATUS_FAILED;
	return STATUS_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* weft bootstrap: make, sign, retire, add, list, remove, check. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/daemon_client.h"
#include "command/command.h"
#include "command/command_show.h"
#include "print/output_table.h"
#include "print/text.h"

#define SCHEME	 "mesh-bootstrap:"
#define FILE_CAP 16384
#define DAYS_MAX 400

/* What word names: itself, or what the file has. NULL: it was said why not; the caller frees it. */
static char *list_text(const char *word)
{
	bool is_link = strncmp(word, SCHEME, sizeof(SCHEME) - 1) == 0;
	char *text = calloc(1, is_link ? strlen(word) + 1 : FILE_CAP);
	FILE *file = is_link ? NULL : fopen(word, "re");
	size_t len = 0;

	if (is_link && text) {
		memcpy(text, word, strlen(word));
		return text;
	}
	if (text && file)
		len = fread(text, 1, FILE_CAP - 1, file);
	if (file)
		fclose(file);
	if (len > 0 && len < FILE_CAP - 1)
		return text;
	free(text);
	(void)client_say_error(STATUS_FAILED, word, "no file with a bootstrap list",
			       "name a file, or the list itself: mesh-bootstrap:...");
	return NULL;
}

static void made_print(const struct invocation *inv, const json_t *reply)
{
	(void)inv;
	printf("%s\n", field_text(reply, "list"));
}

/* entries is taken. */
static int make(struct invocation *inv, json_t *entries, const json_t *before)
{
	const char *days = invocation_option(inv, "days");
	json_t *parameters = command_parameters(inv, "MakeBootstrap", NULL);
	uint64_t day_cnt;

	json_object_set_new(parameters, "entries", entries);
	if (days && (!text_parse_count(days, &day_cnt) || day_cnt < 1 || day_cnt > DAYS_MAX)) {
		json_decref(parameters);
		return client_say_error(STATUS_USAGE, "--days", "a list lasts 1 to 400 days",
					"for example: --days 90");
	}
	if (days)
		json_object_set_new(parameters, "days", json_integer((json_int_t)day_cnt));
	if (before && *field_text(before, "title") && !invocation_option(inv, "title"))
		json_object_set(parameters, "title", json_object_get(before, "title"));
	if (before)
		json_object_set(parameters, "above", json_object_get(before, "serial"));
	return client_set(inv, "MakeBootstrap", parameters, made_print);
}

int run_bootstrap_make(struct invocation *inv)
{
	json_t *entries = json_array();

	for (unsigned i = 0; i < inv->arg_cnt; i++)
		json_array_append_new(entries, json_string(inv->args[i]));
	return make(inv, entries, NULL);
}

/* An entry a line; what is behind # is for people. */
static json_t *lines_read(char *text)
{
	json_t *entries = json_array();
	char *line;

	while ((line = strsep(&text, "\n"))) {
		line += strspn(line, " \t\r");
		line[strcspn(line, " \t\r#")] = '\0';
		if (*line)
			json_array_append_new(entries, json_string(line));
	}
	return entries;
}

/* The list that is kept in text, as its issuer signed it. */
static int list_read(const struct invocation *inv, const char *text, json_t **out_reply)
{
	return client_ask(inv, "ReadBootstrap", json_pack("{s:s}", "list", text), out_reply);
}

int run_bootstrap_sign(struct invocation *inv)
{
	char *text = list_text(inv->args[0]);
	json_t *reply, *list;
	int status;

	if (!text)
		return STATUS_FAILED;
	if (strncmp(text, SCHEME, sizeof(SCHEME) - 1) != 0) {
		status = make(inv, lines_read(text), NULL);
	} else if ((status = list_read(inv, text, &reply)) == STATUS_OK) {
		list = json_object_get(reply, "bootstrap");
		status = make(inv, json_incref(json_object_get(list, "entries")), list);
		json_decref(reply);
	}
	free(text);
	return status;
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
	char *text = list_text(inv->args[0]);
	json_t *reply, *list, *left, *entry;
	size_t i;
	int status = STATUS_FAILED;

	if (text)
		status = list_read(inv, text, &reply);
	free(text);
	if (status != STATUS_OK)
		return status;
	list = json_object_get(reply, "bootstrap");
	left = json_array();
	json_array_foreach(json_object_get(list, "entries"), i, entry)
	{
		if (!is_named(inv, json_string_value(entry)))
			json_array_append(left, entry);
	}
	if (json_array_size(left) == json_array_size(json_object_get(list, "entries")) &&
	    inv->arg_cnt > 1) {
		json_decref(left);
		status = client_say_error(
			STATUS_NOT_FOUND, inv->args[1], "the list has no such entry",
			"name it as NODE@ADDRESS:PORT, by its node or its address");
	} else {
		status = make(inv, left, list);
	}
	json_decref(reply);
	return status;
}

int run_bootstrap_add(struct invocation *inv)
{
	char *text = list_text(inv->args[0]);
	json_t *parameters;

	if (!text)
		return STATUS_FAILED;
	parameters = command_parameters(inv, "AddBootstrap", NULL);
	json_object_set_new(parameters, "list", json_string(text));
	free(text);
	return show_fields(inv, "AddBootstrap", parameters, "bootstrap", api_view_bootstrap_show);
}

void print_bootstrap_list(const struct invocation *inv, const json_t *reply)
{
	static const struct column columns[] = {
		{"ISSUER", "issuer", COLUMN_ID},
		{"SERIAL", "serial", COLUMN_COUNT},
		{"EXPIRES", "expires_s", COLUMN_TIME},
		{"STATE", "state", COLUMN_TEXT},
		{"ENTRY", "entry", COLUMN_TEXT},
		{"TITLE", "title", COLUMN_TEXT},
		{0},
	};
	json_t *lists = json_object_get(reply, "bootstraps"), *rows = json_array(), *list, *entry;
	size_t i, j;

	json_array_foreach(lists, i, list)
	{
		json_t *entries = json_object_get(list, "entries");

		if (!json_array_size(entries))
			json_array_append(rows, list);
		json_array_foreach(entries, j, entry)
		{
			json_t *row = json_copy(list);

			json_object_set(row, "entry", entry);
			json_array_append_new(rows, row);
		}
	}
	table_print(inv, rows, columns,
		    "no bootstrap list is kept; weft bootstrap add FILE --trust NODE adds one");
	json_decref(rows);
}

static void checks_print(const struct invocation *inv, const json_t *reply)
{
	table_print(inv, json_object_get(reply, "checks"), api_view_bootstrap_check_list,
		    "no bootstrap list is kept, or they have no entries");
}

static bool reply_keep(void *arg, json_t *parameters, bool is_last)
{
	(void)is_last;
	*(json_t **)arg = json_incref(parameters);
	return true;
}

/* With a failed entry the command fails, after its table. */
int run_bootstrap_check(struct invocation *inv)
{
	char *text = inv->arg_cnt ? list_text(inv->args[0]) : NULL;
	json_t *parameters = json_object(), *reply = NULL, *check;
	struct client_call call = {.method = "CheckBootstrap",
				   .parameters = parameters,
				   .is_long = true,
				   .reply = reply_keep,
				   .arg = &reply};
	int status;
	size_t i;

	if (inv->arg_cnt && !text) {
		json_decref(parameters);
		return STATUS_FAILED;
	}
	if (text)
		json_object_set_new(parameters, "list", json_string(text));
	free(text);
	status = client_call(inv, &call);
	if (status != STATUS_OK)
		return status;
	if (inv->is_json)
		text_print_json(reply);
	else
		checks_print(inv, reply);
	json_array_foreach(json_object_get(reply, "checks"), i, check)
	{
		if (json_object_get(check, "why"))
			status = STATUS_FAILED;
	}
	json_decref(reply);
	return status;
}

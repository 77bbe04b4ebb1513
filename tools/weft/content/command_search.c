/* SPDX-License-Identifier: Apache-2.0 */
/* weft search. */
#include <stdio.h>
#include <string.h>

#include "command/daemon_client.h"
#include "command/command_show.h"
#include "print/terminal.h"
#include "print/text.h"

#define QUERY_CAP   1024
#define SNIPPET_CAP 512 /* of a snippet, cleaned */
#define BOLD	    (terminal_is_styled() ? "\033[1m" : "")
#define PLAIN	    (terminal_is_styled() ? "\033[22m" : "")

/* --- what was found --- */

static void print_clean(const char *text, size_t len)
{
	char part[SNIPPET_CAP], clean[SNIPPET_CAP];

	snprintf(part, sizeof(part), "%.*s", (int)len, text);
	fputs(text_clean(part, clean, sizeof(clean)), stdout);
}

static void print_snippet(const json_t *snippet)
{
	const char *text = field_text(snippet, "text");
	size_t i, at = 0, text_len = strlen(text);
	const json_t *mark;

	if (json_is_true(json_object_get(snippet, "cut_before")))
		fputs("...", stdout);
	json_array_foreach(json_object_get(snippet, "marks"), i, mark)
	{
		size_t off = field_uint(mark, "offset"), len = field_uint(mark, "length");

		if (off < at || off > text_len || len > text_len - off)
			break;
		print_clean(text + at, off - at);
		fputs(BOLD, stdout);
		print_clean(text + off, len);
		fputs(PLAIN, stdout);
		at = off + len;
	}
	print_clean(text + at, text_len - at);
	if (json_is_true(json_object_get(snippet, "cut_behind")))
		fputs("...", stdout);
	fputs("\n", stdout);
}

static void print_hit(const json_t *hit)
{
	const char *share = field_text(hit, "share"), *trust = field_text(hit, "trust");
	const json_t *about = json_object_get(hit, "about");
	char bytes[TEXT_SHORT_CAP], clean[SNIPPET_CAP];

	print_snippet(json_object_get(hit, "shown"));
	printf("    %s in %s%s%s%s\n", text_bytes(field_uint(hit, "size"), bytes),
	       text_clean(share[0] ? share : field_text(hit, "share_id"), clean, sizeof(clean)),
	       strcmp(trust, "normal") ? " (" : "", strcmp(trust, "normal") ? trust : "",
	       strcmp(trust, "normal") ? ")" : "");
	if (about) {
		fputs("    ", stdout);
		print_snippet(about);
	}
}

/* What is behind the hits: how many there are, and what is not searched yet. */
static void print_outcome(const json_t *reply, size_t shown_cnt)
{
	uint64_t found = field_uint(reply, "found"), reachable = field_uint(reply, "reachable");
	uint64_t page = field_uint(reply, "page"), len = field_uint(reply, "page_size");
	uint64_t first = (page - 1) * len, pending = field_uint(reply, "pending_shares");
	char files[TEXT_COUNT_CAP], shares[TEXT_COUNT_CAP];

	if (shown_cnt)
		printf("\n%llu to %llu of %s", (unsigned long long)first + 1,
		       (unsigned long long)(first + shown_cnt),
		       text_count(found, "file", "files", files));
	else
		printf("%s", found ? "There is no such page" : "Nothing was found");
	printf(" in %s.\n", text_count(field_uint(reply, "shares"), "followed share",
				       "followed shares", shares));
	if (!field_uint(reply, "shares"))
		printf("weft sub add LINK follows one.\n");
	if (first + shown_cnt < reachable && shown_cnt)
		printf("More: --page %llu.\n", (unsigned long long)page + 1);
	else if (shown_cnt && reachable < found)
		printf("Only the best %llu can be looked at: give more words.\n",
		       (unsigned long long)reachable);
	if (pending)
		printf("Of %s the newest revision is not indexed yet: weft search --status.\n",
		       text_count(pending, "share", "shares", shares));
}

static void print_found(const struct invocation *inv, const json_t *reply)
{
	const json_t *hits = json_object_get(reply, "hits"), *hit;
	size_t i;

	if (!inv->has_terminal_out) {
		table_print(inv, hits, api_view_search_hit_list, "");
		return;
	}
	json_array_foreach(hits, i, hit)
	{
		print_hit(hit);
	}
	print_outcome(reply, json_array_size(hits));
}

/* --- how the index is --- */

static void print_status(const struct invocation *inv, const json_t *reply)
{
	const json_t *search = json_object_get(reply, "search");

	fields_print(inv, search, api_view_search_index_show);
	if (inv->has_terminal_out)
		printf("\n");
	show_part(inv, "fill", json_object_get(search, "fills"), api_view_fill_list);
	show_part(inv, "share", json_object_get(search, "shares"), api_view_search_share_list);
}

/* --- the command --- */

/* Adds a number that an option says; STATUS_USAGE after saying what is wrong. */
static int number_add(const struct invocation *inv, const char *option, const char *member,
		      json_t *parameters)
{
	const char *text = invocation_option(inv, option);
	char shown[32];
	uint64_t number;

	if (!text)
		return STATUS_OK;
	snprintf(shown, sizeof(shown), "--%s", option);
	if (!text_parse_count(text, &number) || number == 0 || number > INT32_MAX)
		return client_say_error(STATUS_USAGE, shown, "not a number from 1 on", NULL);
	(void)json_object_set_new(parameters, member, json_integer((json_int_t)number));
	return STATUS_OK;
}

/* The words as one query; false: too long. */
static bool query_join(const struct invocation *inv, char query[static QUERY_CAP])
{
	size_t len = 0;

	for (unsigned i = 0; i < inv->arg_cnt; i++) {
		int added =
			snprintf(query + len, QUERY_CAP - len, "%s%s", i ? " " : "", inv->args[i]);

		len += (size_t)added;
		if (len >= QUERY_CAP)
			return false;
	}
	return true;
}

static int search_run(struct invocation *inv, json_t *parameters)
{
	json_t *reply;
	int status = client_ask(inv, "Search", parameters, &reply);

	if (status != STATUS_OK)
		return status;
	if (inv->is_json)
		text_print_json(reply);
	else
		print_found(inv, reply);
	if (json_array_size(json_object_get(reply, "hits")) == 0)
		status = STATUS_NOT_FOUND;
	json_decref(reply);
	return status;
}

int run_search(struct invocation *inv)
{
	const char *trust = invocation_option(inv, "trust"), *share = invocation_option(inv, "in");
	char query[QUERY_CAP] = "";
	json_t *parameters;
	int status;

	if (invocation_option(inv, "status"))
		return client_show(inv, "ShowSearch", NULL, print_status);
	if (inv->arg_cnt == 0)
		return client_say_error(STATUS_USAGE, "search", "no word to look for is given",
					"weft search WORD..., or weft search --status");
	if (!query_join(inv, query))
		return client_say_error(STATUS_USAGE, "search", "the query is too long",
					"Leave some words out.");
	parameters = json_pack("{s:s}", "query", query);
	if (!parameters)
		return client_say_error(STATUS_USAGE, "search", "the query is not UTF-8", NULL);
	if (trust)
		(void)json_object_set_new(parameters, "trust", json_string(trust));
	if (share)
		(void)json_object_set_new(parameters, "share", json_string(share));
	status = number_add(inv, "page", "page", parameters);
	if (status == STATUS_OK)
		status = number_add(inv, "size", "page_size", parameters);
	if (status != STATUS_OK) {
		json_decref(parameters);
		return status;
	}
	return search_run(inv, parameters);
}

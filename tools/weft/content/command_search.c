/* SPDX-License-Identifier: Apache-2.0 */
/* weft search. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command/daemon_client.h"
#include "print/output_table.h"
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

static void print_snippet(const struct api_snippet *snippet)
{
	const char *text = snippet->text;
	size_t at = 0, text_len = strlen(text);

	if (snippet->cut_before)
		fputs("...", stdout);
	for (size_t i = 0; i < snippet->marks.cnt; i++) {
		size_t off = (size_t)snippet->marks.rows[i].offset;
		size_t len = (size_t)snippet->marks.rows[i].length;

		if (off < at || off > text_len || len > text_len - off)
			break;
		print_clean(text + at, off - at);
		fputs(BOLD, stdout);
		print_clean(text + off, len);
		fputs(PLAIN, stdout);
		at = off + len;
	}
	print_clean(text + at, text_len - at);
	if (snippet->cut_behind)
		fputs("...", stdout);
	fputs("\n", stdout);
}

static void print_hit(const struct api_search_hit *hit)
{
	bool is_normal = strcmp(hit->trust, "normal") == 0;
	char bytes[TEXT_SHORT_CAP], clean[SNIPPET_CAP];

	print_snippet(&hit->shown);
	printf("    %s in %s%s%s%s\n", text_bytes((uint64_t)hit->size, bytes),
	       text_clean(hit->share[0] ? hit->share : hit->share_id, clean, sizeof(clean)),
	       is_normal ? "" : " (", is_normal ? "" : hit->trust, is_normal ? "" : ")");
	if (hit->about) {
		fputs("    ", stdout);
		print_snippet(hit->about);
	}
}

/* The summary behind the hits: how many there are, and what is not searched yet. */
static void print_outcome(const struct api_search_out *out)
{
	int64_t first = (out->page - 1) * out->page_size, shown_cnt = (int64_t)out->hits.cnt;
	char files[TEXT_COUNT_CAP], shares[TEXT_COUNT_CAP];

	if (shown_cnt)
		printf("\n%" PRId64 " to %" PRId64 " of %s", first + 1, first + shown_cnt,
		       text_count((uint64_t)out->found, "file", "files", files));
	else
		printf("%s", out->found ? "There is no such page" : "Nothing was found");
	printf(" in %s.\n",
	       text_count((uint64_t)out->shares, "followed share", "followed shares", shares));
	if (!out->shares)
		printf("weft sub add LINK follows one.\n");
	if (first + shown_cnt < out->reachable && shown_cnt)
		printf("More: --page %" PRId64 ".\n", out->page + 1);
	else if (shown_cnt && out->reachable < out->found)
		printf("Only the best %" PRId64 " can be looked at: give more words.\n",
		       out->reachable);
	if (out->pending_shares)
		printf("The newest revision of %s is not indexed yet: weft search --status.\n",
		       text_count((uint64_t)out->pending_shares, "share", "shares", shares));
}

static void print_found(const struct invocation *inv, const void *reply)
{
	const struct api_search_out *out = reply;

	if (!inv->has_terminal_out) {
		table_print(inv, TABLE_ROWS(out->hits), api_view_search_hit_list, "");
		return;
	}
	for (size_t i = 0; i < out->hits.cnt; i++)
		print_hit(&out->hits.rows[i]);
	print_outcome(out);
}

/* --- the command --- */

static void print_status(const struct invocation *inv, const void *reply)
{
	const struct api_search_index *search =
		&((const struct api_show_search_out *)reply)->search;

	fields_print(inv, search, api_view_search_index_show);
	if (inv->has_terminal_out)
		printf("\n");
	show_part(inv, "fill", TABLE_ROWS(search->fills), api_view_fill_list);
	show_part(inv, "share", TABLE_ROWS(search->shares), api_view_search_share_list);
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

int run_search(struct invocation *inv)
{
	char query[QUERY_CAP] = "";
	struct api_search_in in = {0};
	struct client_call call = {.request = api_search_request(&in)};
	const struct api_search_out *out;
	int status;

	if (invocation_option(inv, "status"))
		return client_show(inv, api_show_search_request(NULL), print_status);
	if (inv->arg_cnt == 0)
		return client_say_error(STATUS_USAGE, "search", "no word to look for is given",
					"weft search WORD..., or weft search --status");
	if (!query_join(inv, query))
		return client_say_error(STATUS_USAGE, "search", "the query is too long",
					"Leave some words out.");
	status = command_fill(inv, API_SEARCH, &in);
	in.query = query;
	if (status == STATUS_OK)
		status = client_show_call(inv, &call, print_found);
	out = call.last.out;
	return status == STATUS_OK && out && !out->hits.cnt ? STATUS_NOT_FOUND : status;
}

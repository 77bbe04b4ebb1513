/* SPDX-License-Identifier: Apache-2.0 */
/* weft why: what happened to somebody. */
#include <stdio.h>

#include "client.h"
#include "show.h"
#include "text.h"

static void print_why(const struct invocation *inv, const json_t *why)
{
	static const struct column bans[] = {
		{"", "line", COLUMN_TEXT},
		{"BANNED", "target", COLUMN_TEXT},
		{"UNTIL", "expires_s", COLUMN_TIME},
		{"REASON", "reason", COLUMN_TEXT},
		{0},
	};
	static const struct column incidents[] = {
		{"", "line", COLUMN_TEXT},
		{"TIME", "at_s", COLUMN_TIME},
		{"WHAT", "kind", COLUMN_TEXT},
		{"WHO", "who", COLUMN_ID},
		{"WHERE", "address", COLUMN_TEXT},
		{"WHY", "why", COLUMN_TEXT},
		{"BY THE PEER", "by_peer", COLUMN_BOOL},
		{"ANSWERED", "actual_key", COLUMN_ID},
		{"TIMES", "times", COLUMN_COUNT},
		{"LAST", "last_s", COLUMN_TIME},
		{0},
	};
	static const struct column drops[] = {
		{"", "line", COLUMN_TEXT},
		{"SOURCE", "source", COLUMN_TEXT},
		{"REASON", "reason", COLUMN_TEXT},
		{"DATAGRAMS", "packets", COLUMN_COUNT},
		{"FIRST", "first_s", COLUMN_TIME},
		{"LAST", "last_s", COLUMN_TIME},
		{0},
	};
	static const struct column refusals[] = {
		{"", "line", COLUMN_TEXT},
		{"POOL", "pool", COLUMN_TEXT},
		{"WHO", "who", COLUMN_ID},
		{"REFUSED", "times", COLUMN_COUNT},
		{"LAST", "last_s", COLUMN_TIME},
		{"WAITS MS", "wait_ms", COLUMN_COUNT},
		{0},
	};
	static const struct column conducts[] = {
		{"", "line", COLUMN_TEXT}, {"CONDUCT", "text", COLUMN_TEXT}, {0}};
	json_t *ban = json_object_get(why, "ban"), *conduct = json_object_get(why, "conduct");
	json_t *list = json_array();

	if (json_is_object(ban))
		(void)json_array_append(list, ban);
	show_part(inv, "ban", list, bans);
	(void)json_array_clear(list);
	if (json_is_string(conduct))
		(void)json_array_append_new(list, json_pack("{s:O}", "text", conduct));
	show_part(inv, "conduct", list, conducts);
	json_decref(list);
	show_part(inv, "incident", json_object_get(why, "incidents"), incidents);
	show_part(inv, "refusal", json_object_get(why, "refusals"), refusals);
	show_part(inv, "drop", json_object_get(why, "drops"), drops);
	if (inv->has_terminal_out && !json_is_object(ban) && !json_is_string(conduct) &&
	    !json_array_size(json_object_get(why, "incidents")) &&
	    !json_array_size(json_object_get(why, "refusals")) &&
	    !json_array_size(json_object_get(why, "drops")))
		printf("Nothing is known of it in the last 24 hours.\n");
}

int run_why(struct invocation *inv)
{
	return client_show(inv, "ShowWhy", json_pack("{s:s}", "who", inv->args[0]), print_why);
}

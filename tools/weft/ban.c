/* SPDX-License-Identifier: Apache-2.0 */
/* weft ban: add, list, remove. */
#include <stdio.h>

#include "client.h"
#include "show.h"
#include "text.h"

/* Of a ban in force, or of one that was until now. */
#define BAN_FIELDS(is_banned, keeps_out)                                                           \
	{                                                                                          \
		{"target", is_banned, "target", COLUMN_TEXT},                                      \
		{"kind", "kind", "kind", COLUMN_TEXT},                                             \
		{"added", "since", "added_s", COLUMN_TIME},                                        \
		{"expires", "until", "expires_s", COLUMN_TIME},                                    \
		{"reason", "reason", "reason", COLUMN_TEXT},                                       \
		{"scope", keeps_out, "scope", COLUMN_TEXT},                                        \
		{0},                                                                               \
	}
static const struct field ban_fields[] = BAN_FIELDS("banned", "keeps out");
static const struct field removed_fields[] = BAN_FIELDS("no longer banned", "kept out");

int run_ban_add(struct invocation *inv)
{
	const char *duration = invocation_option(inv, "for");
	const char *reason = invocation_option(inv, "reason");
	json_t *parameters = json_pack("{s:s}", "target", inv->args[0]);
	uint64_t seconds;

	if (duration && !text_parse_seconds(duration, &seconds)) {
		json_decref(parameters);
		return client_say_error(STATUS_USAGE, "--for", "not a length of time",
					"for example 90s, 10m, 12h or 7d");
	}
	if (duration)
		json_object_set_new(parameters, "duration_s", json_integer((json_int_t)seconds));
	if (reason)
		json_object_set_new(parameters, "reason", json_string(reason));
	return show_fields(inv, "AddBan", parameters, "ban", ban_fields);
}

int run_ban_list(struct invocation *inv)
{
	static const struct column columns[] = {
		{"BANNED", "target", COLUMN_TEXT},
		{"KIND", "kind", COLUMN_TEXT},
		{"SINCE", "added_s", COLUMN_TIME},
		{"UNTIL", "expires_s", COLUMN_TIME},
		{"REASON", "reason", COLUMN_TEXT},
		{"KEEPS OUT", "scope", COLUMN_TEXT},
		{0},
	};

	return show_list(inv, "ListBans", "bans", columns, "nobody is banned");
}

int run_ban_remove(struct invocation *inv)
{
	return show_fields(inv, "RemoveBan", json_pack("{s:s}", "target", inv->args[0]), "ban",
			   removed_fields);
}

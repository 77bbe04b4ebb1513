/* SPDX-License-Identifier: Apache-2.0 */
/* weft overlay: status. */
#include <stdio.h>

#include "client.h"
#include "show.h"
#include "text.h"

static void print_status(const struct invocation *inv, const json_t *reply)
{
	static const struct field fields[] = {
		{"serving", "keeps values", "serving", COLUMN_BOOL},
		{"good", "good nodes", "good", COLUMN_COUNT},
		{"questionable", "questionable", "questionable", COLUMN_COUNT},
		{"bad", "bad", "bad", COLUMN_COUNT},
		{"candidates", "waiting for a place", "candidates", COLUMN_COUNT},
		{"keys", "keys kept", "keys", COLUMN_COUNT},
		{"puts", "own puts", "puts", COLUMN_COUNT},
		{"gets", "own gets", "gets", COLUMN_COUNT},
		{"requests_sent", "requests sent", "requests_sent", COLUMN_COUNT},
		{0},
	};
	static const struct column fills[] = {
		{"", "line", COLUMN_PIPE},	     {"WHAT", "name", COLUMN_TEXT},
		{"USED", "used", COLUMN_QUANTITY},   {"LIMIT", "cap", COLUMN_QUANTITY},
		{"SETTING", "setting", COLUMN_TEXT}, {0},
	};
	static const struct column reasons[] = {
		{"", "line", COLUMN_PIPE},
		{"REASON", "reason", COLUMN_TEXT},
		{"TIMES", "times", COLUMN_COUNT},
		{"MEANING", "meaning", COLUMN_TEXT},
		{0},
	};
	const json_t *overlay = json_object_get(reply, "overlay"), *reason;
	json_t *seen = json_array();
	size_t i;

	fields_print(inv, overlay, fields);
	if (inv->has_terminal_out)
		printf("\n");
	show_part(inv, "fill", json_object_get(overlay, "fills"), fills);
	/* What never happened is left out on a terminal. */
	json_array_foreach(json_object_get(overlay, "reasons"), i, reason)
	{
		if (!inv->has_terminal_out || field_uint(reason, "times"))
			json_array_append(seen, (json_t *)reason);
	}
	show_part(inv, "reason", seen, reasons);
	json_decref(seen);
}

int run_overlay_status(struct invocation *inv)
{
	return client_show(inv, "ShowOverlay", NULL, print_status);
}

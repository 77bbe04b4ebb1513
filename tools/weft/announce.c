/* SPDX-License-Identifier: Apache-2.0 */
/* weft announce: status. */
#include <stdio.h>

#include "client.h"
#include "show.h"
#include "text.h"

static void print_status(const struct invocation *inv, const json_t *reply)
{
	static const struct field fields[] = {
		{"scope", "told", "scope", COLUMN_TEXT},
		{"contents", "files by content", "contents", COLUMN_TEXT},
		{"depth", "bits of a region", "depth", COLUMN_COUNT},
		{"manifests", "collections and shares", "manifests", COLUMN_COUNT},
		{"told", "of them told", "told", COLUMN_COUNT},
		{"left_out", "of them left out", "left_out", COLUMN_COUNT},
		{"items", "files of public shares", "items", COLUMN_COUNT},
		{"items_left_out", "of them left out", "items_left_out", COLUMN_COUNT},
		{"regions", "regions", "regions", COLUMN_COUNT},
		{"due", "of them due", "due", COLUMN_COUNT},
		{"puts", "announcements", "puts", COLUMN_COUNT},
		{"put_bytes", "bytes of them", "put_bytes", COLUMN_BYTES},
		{"asked", "nodes asked", "asked", COLUMN_COUNT},
		{"stored", "nodes that took one", "stored", COLUMN_COUNT},
		{"failed", "taken by nobody", "failed", COLUMN_COUNT},
		{"error", "the last one", "error", COLUMN_TEXT},
		{"next_ms", "next one in ms", "next_ms", COLUMN_COUNT},
		{"searches", "searches", "searches", COLUMN_COUNT},
		{"found", "nodes found", "found", COLUMN_COUNT},
		{0},
	};
	static const struct column fills[] = {
		{"", "line", COLUMN_PIPE},	     {"WHAT", "name", COLUMN_TEXT},
		{"USED", "used", COLUMN_QUANTITY},   {"LIMIT", "cap", COLUMN_QUANTITY},
		{"SETTING", "setting", COLUMN_TEXT}, {0},
	};
	const json_t *announce = json_object_get(reply, "announce");

	fields_print(inv, announce, fields);
	if (inv->has_terminal_out)
		printf("\n");
	show_part(inv, "fill", json_object_get(announce, "fills"), fills);
}

int run_announce_status(struct invocation *inv)
{
	return client_show(inv, "ShowAnnounce", NULL, print_status);
}

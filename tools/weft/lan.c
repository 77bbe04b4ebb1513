/* SPDX-License-Identifier: Apache-2.0 */
/* weft lan: list. */
#include "client.h"
#include "show.h"

int run_lan_list(struct invocation *inv)
{
	static const struct column columns[] = {
		{"WAY", "way", COLUMN_TEXT},
		{"INSTANCE", "instance", COLUMN_TEXT},
		{"NODE", "node_id", COLUMN_ID},
		{"ADDRESS", "addr", COLUMN_TEXT},
		{"INTERFACE", "interface", COLUMN_TEXT},
		{"CAPS", "caps", COLUMN_TEXT},
		{"HEARD", "heard_s", COLUMN_SECONDS},
		{0},
	};

	return show_list(
		inv, "ListLanNodes", "nodes", columns,
		"nobody was heard; lan.interfaces in weft.conf says where this node listens");
}

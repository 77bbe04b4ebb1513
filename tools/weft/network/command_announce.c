/* SPDX-License-Identifier: Apache-2.0 */
/* weft announce: status. */
#include <stdio.h>

#include "command/command_show.h"
#include "print/text.h"

void print_announce_status(const struct invocation *inv, const json_t *reply)
{
	const json_t *announce = json_object_get(reply, "announce");

	fields_print(inv, announce, api_view_announce_show);
	if (inv->has_terminal_out)
		printf("\n");
	show_part(inv, "fill", json_object_get(announce, "fills"), api_view_fill_list);
}

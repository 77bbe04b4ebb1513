/* SPDX-License-Identifier: Apache-2.0 */
/* weft overlay: status. */
#include <stdio.h>

#include "command/command_show.h"
#include "print/text.h"

void print_overlay_status(const struct invocation *inv, const json_t *reply)
{
	const json_t *overlay = json_object_get(reply, "overlay"), *reason;
	json_t *seen = json_array();
	size_t i;

	fields_print(inv, overlay, api_view_overlay_show);
	if (inv->has_terminal_out)
		printf("\n");
	show_part(inv, "fill", json_object_get(overlay, "fills"), api_view_fill_list);
	/* A terminal leaves out counters of zero. */
	json_array_foreach(json_object_get(overlay, "reasons"), i, reason)
	{
		if (!inv->has_terminal_out || field_uint(reason, "times"))
			json_array_append(seen, (json_t *)reason);
	}
	show_part(inv, "reason", seen, api_view_overlay_reason_list);
	json_decref(seen);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* weft why: the incidents of an address or a key. */
#include <stdio.h>

#include "command/command_show.h"
#include "print/text.h"

void print_why(const struct invocation *inv, const json_t *why)
{
	static const struct column conducts[] = {{"REPUTATION", "text", COLUMN_TEXT}, {0}};
	json_t *ban = json_object_get(why, "ban"), *reputation = json_object_get(why, "reputation");
	json_t *list = json_array();

	if (json_is_object(ban))
		(void)json_array_append(list, ban);
	show_part(inv, "ban", list, api_view_ban_why);
	(void)json_array_clear(list);
	if (json_is_string(reputation))
		(void)json_array_append_new(list, json_pack("{s:O}", "text", reputation));
	show_part(inv, "reputation", list, conducts);
	json_decref(list);
	show_part(inv, "incident", json_object_get(why, "incidents"), api_view_incident_list);
	show_part(inv, "refusal", json_object_get(why, "refusals"), api_view_refusal_why);
	show_part(inv, "drop", json_object_get(why, "drops"), api_view_drop_source_why);
	if (inv->has_terminal_out && !json_is_object(ban) && !json_is_string(reputation) &&
	    !json_array_size(json_object_get(why, "incidents")) &&
	    !json_array_size(json_object_get(why, "refusals")) &&
	    !json_array_size(json_object_get(why, "drops")))
		printf("Nothing is known of it in the last 24 hours.\n");
}

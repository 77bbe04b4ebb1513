/* SPDX-License-Identifier: Apache-2.0 */
/* weft ban: add, list, remove. */
#include <stdio.h>

#include "command/daemon_client.h"
#include "command/command_show.h"
#include "print/text.h"

int run_ban_add(struct invocation *inv)
{
	const char *duration = invocation_option(inv, "for");
	json_t *parameters = command_parameters(inv, "AddBan", "target");
	uint64_t seconds;

	if (duration && !text_parse_seconds(duration, &seconds)) {
		json_decref(parameters);
		return client_say_error(STATUS_USAGE, "--for", "not a length of time",
					"for example 90s, 10m, 12h or 7d");
	}
	if (duration)
		json_object_set_new(parameters, "duration_s", json_integer((json_int_t)seconds));
	return show_fields(inv, "AddBan", parameters, "ban", api_view_ban_show);
}

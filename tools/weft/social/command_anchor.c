/* SPDX-License-Identifier: Apache-2.0 */
/* weft anchor disable and enable: one call with one word more. */
#include "command/command.h"

static int enabled_fill(void *parameters, bool is_enabled)
{
	struct api_set_anchor_in *in = parameters;

	in->enabled = is_enabled;
	return STATUS_OK;
}

int fill_anchor_disable(const struct invocation *inv, void *parameters)
{
	(void)inv;
	return enabled_fill(parameters, false);
}

int fill_anchor_enable(const struct invocation *inv, void *parameters)
{
	(void)inv;
	return enabled_fill(parameters, true);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* weft xdp: plan, attach, status. */
#include <stdio.h>
#include <string.h>

#include "command/daemon_client.h"
#include "print/output_table.h"
#include "print/text.h"

#define CONFIRM_MAX_S 86400

/* "60", "60s" or "5m" in seconds; at most a day. */
static bool confirm_parse(const char *text, uint64_t *out_s)
{
	size_t len = strlen(text);
	uint64_t factor = 1;

	if (len && (text[len - 1] == 's' || text[len - 1] == 'm'))
		factor = text[--len] == 'm' ? 60 : 1;
	if (!len || strspn(text, "0123456789") < len || !text_parse_size(text, len, out_s) ||
	    !*out_s || *out_s > CONFIRM_MAX_S / factor)
		return false;
	*out_s *= factor;
	return true;
}

int fill_xdp_attach(const struct invocation *inv, void *parameters)
{
	const char *confirm = invocation_option(inv, "confirm");
	struct api_attach_xdp_in *in = parameters;
	uint64_t confirm_s;

	if (!confirm)
		return STATUS_OK;
	if (!confirm_parse(confirm, &confirm_s))
		return client_say_error(STATUS_USAGE, confirm, "not a time such as 60s or 5m",
					"weft help xdp attach");
	API_SET(in, confirm_ms, (int64_t)confirm_s * 1000);
	return STATUS_OK;
}

int judge_xdp_attach(const struct invocation *inv, const void *reply)
{
	const char *confirm = invocation_option(inv, "confirm");

	(void)reply;
	if (confirm && !inv->is_json)
		fprintf(stderr, "weft: it is detached in %s unless you type: weft xdp keep %s\n",
			confirm, inv->args[0]);
	return STATUS_OK;
}

void print_xdp_plan(const struct invocation *inv, const void *reply)
{
	const struct api_xdp_plan *plan = &((const struct api_plan_xdp_out *)reply)->plan;

	fields_print(inv, plan, api_view_xdp_plan_show);
	texts_print(inv, "stays untouched", NULL, TABLE_ROWS(plan->untouched));
	texts_print(inv, "warnings", NULL, TABLE_ROWS(plan->warnings));
}

void print_xdp_mode(const struct invocation *inv, const void *reply)
{
	(void)inv;
	printf("%s\n", api_mode_type.words[((const struct api_set_xdp_mode_out *)reply)->mode]);
}

void print_xdp_status(const struct invocation *inv, const void *reply)
{
	const struct api_show_xdp_out *out = reply;

	if (inv->has_terminal_out)
		fields_print(inv, reply, api_view_show_xdp_out_show);
	table_print(inv, TABLE_ROWS(out->devices), api_view_xdp_device_list,
		    "no device is attached");
	/* The worker of each queue: for people, beside one device a line. */
	for (size_t i = 0; inv->has_terminal_out && i < out->devices.cnt; i++) {
		printf("\n%s\n", out->devices.rows[i].device);
		table_print(inv, TABLE_ROWS(out->devices.rows[i].receive), api_view_xdp_queue_list,
			    "no queue");
	}
}

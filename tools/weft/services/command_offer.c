/* SPDX-License-Identifier: Apache-2.0 */
/* weft schema show, weft offer find. */
#include <stdio.h>

#include "command/daemon_client.h"
#include "print/output_table.h"

void print_schema(const struct invocation *inv, const void *reply)
{
	const struct api_show_schema_out *out = reply;

	if (invocation_option(inv, "text")) {
		fputs(out->text, stdout);
		return;
	}
	fields_print(inv, &out->schema, api_view_schema_show);
	show_part(inv, "field", TABLE_ROWS(out->fields), api_view_schema_field_list);
	show_part(inv, "filter", TABLE_ROWS(out->filters), api_view_schema_filter_list);
}

void print_found_offers(const struct invocation *inv, const void *reply)
{
	const struct api_find_offers_out *out = reply;

	table_print(inv, TABLE_ROWS(out->offers), api_view_offer_list, "No offer fits.");
	table_tell_more(out->cursor);
}

int judge_found_offers(const struct invocation *inv, const void *reply)
{
	const struct api_find_offers_out *out = reply;

	(void)inv;
	return out->offers.cnt ? STATUS_OK : STATUS_NOT_FOUND;
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TOOLS_COMMAND_OFFER_TABLE_H
#define WEFT_TOOLS_COMMAND_OFFER_TABLE_H

#include "command/command.h"

/*
 * offer_table_print: on a terminal a table for each schema, whose columns are the fields that the
 * schema lists. A pipe gets the columns that offers of any schema have.
 */
void offer_table_print(const struct invocation *inv, const struct api_offer_list *offers,
		       const char *empty);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TOOLS_OUTPUT_TABLE_H
#define WEFT_TOOLS_OUTPUT_TABLE_H

#include <jansson.h>

#include "api/node_views.h"
#include "command/command.h"

/*
 * A table of the objects in an array: aligned under a heading on a
 * terminal, whose width it keeps by cutting text; else tab-separated with plain numbers and no heading.
 */
/* table_print: columns end with heading NULL; empty says what to print for no rows. */
void table_print(const struct invocation *inv, const json_t *rows, const struct column *columns,
		 const char *empty);

/*
 * table_print_part is one of several tables: in a pipe each row begins with kind, by which a script
 * distinguishes it from the others.
 */
void table_print_part(const struct invocation *inv, const char *kind, const json_t *rows,
		      const struct column *columns);

/* table_tell_more says on stderr how the next page is had, if reply has a cursor for it. */
void table_tell_more(const json_t *reply);

#define FIELD_TITLE_WIDTH 20
/* fields_print: fields end with name NULL. */
void fields_print(const struct invocation *inv, const json_t *object, const struct field *fields);

#endif

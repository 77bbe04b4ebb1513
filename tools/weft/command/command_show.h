/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TOOLS_COMMAND_SHOW_H
#define WEFT_TOOLS_COMMAND_SHOW_H

#include "print/output_table.h"

/*
 * One call, one reply, shown. show_list prints the array at member as a
 * table, empty when it has no rows; show_fields takes parameters and prints
 * the object at member. With --json the reply is printed as it came.
 */
int show_list(const struct invocation *inv, const char *method, const char *member,
	      const struct column *columns, const char *empty);
int show_fields(const struct invocation *inv, const char *method, json_t *parameters,
		const char *member, const struct field *fields);

/*
 * show_part prints one of several tables of a reply, none when it has no
 * rows (table_print_part).
 */
void show_part(const struct invocation *inv, const char *kind, const json_t *rows,
	       const struct column *columns);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TOOLS_OUTPUT_TABLE_H
#define WEFT_TOOLS_OUTPUT_TABLE_H

#include "varlink/node_views.h"

struct invocation;

/*
 * A table of structs. On a terminal it is aligned under a heading, and cuts text to keep the
 * width. Elsewhere it is tab-separated, with plain numbers and no heading.
 */
struct table_rows {
	const void *rows;
	size_t cnt, len; /* len: of a row */
};
/* TABLE_ROWS: of a list of the interface; TABLE_ROW: of one struct. */
#define TABLE_ROWS(list)  ((struct table_rows){(list).rows, (list).cnt, sizeof(*(list).rows)})
#define TABLE_ROW(object) ((struct table_rows){(object), 1, sizeof(*(object))})
/* A column, or the column of a field, of a struct that is made here. */
#define COLUMN_OF(heading, row, member, type, kind)                                                \
	{heading, VARLINK_NEEDED(row, "", member, api_##type##_type), COLUMN_##kind, NULL}
/* The same of the optional field of its struct at. */
#define COLUMN_IF(heading, row, at, member, type, kind)                                            \
	{heading,                                                                                  \
	 {"", &api_##type##_type, offsetof(struct row, at.member),                                 \
	  offsetof(struct row, at.has_##member), true},                                            \
	 COLUMN_##kind,                                                                            \
	 NULL}

/* table_print: columns end with heading NULL; empty says what to print for no rows. */
void table_print(const struct invocation *inv, struct table_rows rows, const struct column *columns,
		 const char *empty);

/*
 * table_print_part is one of several tables: in a pipe each row begins with kind, by which a script
 * distinguishes it from the others. show_part prints one of several, and none without rows.
 */
void table_print_part(const struct invocation *inv, const char *kind, struct table_rows rows,
		      const struct column *columns);
void show_part(const struct invocation *inv, const char *kind, struct table_rows rows,
	       const struct column *columns);

/* table_tell_more says on stderr how the next page is had, if there is a cursor for it. */
void table_tell_more(const char *cursor);

#define FIELD_TITLE_WIDTH 20
/* fields_print: fields end with name NULL; object may be NULL. */
void fields_print(const struct invocation *inv, const void *object, const struct field *fields);
/* texts_print: each on a line of a field; the name is that of a pipe, NULL: only people get them. */
void texts_print(const struct invocation *inv, const char *title, const char *name,
		 struct table_rows texts);

#endif

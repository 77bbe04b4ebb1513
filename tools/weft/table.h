/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TOOLS_TABLE_H
#define WEFT_TOOLS_TABLE_H

#include <jansson.h>

#include "command.h"

/*
 * A table of the objects in an array: aligned under a heading on a
 * terminal, whose width it keeps by cutting text; else tab-separated with plain numbers and no heading.
 */
enum column_kind {
	COLUMN_TEXT,
	COLUMN_ID, /* cut to 12 letters on a terminal */
	COLUMN_COUNT,
	COLUMN_BYTES, /* 1.2 GiB on a terminal */
	COLUMN_TIME,
	COLUMN_SECONDS,	 /* 1m 05s on a terminal */
	COLUMN_RTT,	 /* microseconds; 1.65 ms on a terminal */
	COLUMN_QUANTITY, /* bytes, bytes_per_s or a count, as the row's "unit" says */
	COLUMN_BOOL,	 /* yes or no */
	COLUMN_PIPE,	 /* text that only a pipe gets */
};
struct column {
	const char *heading;
	const char *field;
	enum column_kind kind;
};
/* table_print: columns end with heading NULL; empty says what to print for no rows. */
void table_print(const struct invocation *inv, const json_t *rows, const struct column *columns,
		 const char *empty);

/* table_tell_more says on stderr how the next page is had, if reply has a cursor for it. */
void table_tell_more(const json_t *reply);

/* A line about one object: "title  value" on a terminal, else name TAB value. */
struct field {
	const char *name; /* stable, for scripts */
	const char *title;
	const char *field;
	enum column_kind kind;
};
#define FIELD_TITLE_WIDTH 20
/* fields_print: fields end with name NULL. */
void fields_print(const struct invocation *inv, const json_t *object, const struct field *fields);

#endif
